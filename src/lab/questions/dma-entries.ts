/** What a guest keeps mapped: all its memory, in whatever pages, or what its rings and queues hold at the time. */
import { cpusTo } from './machines.ts';
import type { Column, Question } from './question.ts';

const CPUS = 4;
/** A guest's memory, as far as it is registered for a device in user space. */
const MEMORY = 2 ** 30;
const registered = (pageSize: string) => `1 GiB registered, in ${pageSize}`;
const RINGS = 'vIOMMU, 4 rings of 512';
const DEEP = 'vIOMMU, 4 rings of 4,096';
const STORAGE = 'vIOMMU, NVMe at depth 4 x 256';

export const ENTRIES: Column = { head: 'most mappings of the DMA API at once', of: 'gauges.liveMappingsPeak' };
const TABLES: Column = { head: 'tables, KiB', of: 'gauges.tablePages', scale: 4 };

const viommu = {
  tenants: [{ name: 'vm', kind: 'vm' }],
  'policy.mode': 'nested',
  'policy.invalidation': { kind: 'strict' },
};
const rings = (ringSize: number) => ({
  ...viommu,
  workloads: [
    {
      name: 'rx',
      kind: 'nic-rx',
      device: 'dev0',
      gbps: 2,
      ringSize,
      queues: CPUS,
      cpus: cpusTo(CPUS),
      mappingsPerPacket: 1,
    },
  ],
});

const window = (pageSize: string) => ({
  workloads: [
    {
      name: 'user',
      kind: 'dma-window',
      device: 'dev0',
      windowBytes: MEMORY,
      pageSize,
      access: 'read',
      accessBytes: 4096,
    },
  ],
});

export const dmaEntries: Question = {
  kind: 'questions/dma-entries',
  title: 'How many DMA entries will this VM need?',
  question:
    'VFIO counts mappings (65,535 of them unless raised), a device model keeps a table of regions, and a guest with a vIOMMU maps as it ' +
    'pleases. How many entries will a guest keep at a time, and what do the tables cost?',
  source:
    'GitHub spdk/spdk#915 and #1142, nutanix/libvfio-user#588 (16 was far too few), kata-containers/kata-containers#11721, ' +
    'NVIDIA/nvtrust#46',
  request: {
    base: {
      machine: { cpus: CPUS, memoryBytes: 8 * 2 ** 30 },
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'dev0', kind: 'nic' }],
    },
    arms: [
      { label: registered('4 KiB'), set: window('4KiB') },
      { label: registered('2 MiB'), set: window('2MiB') },
      { label: RINGS, set: rings(512) },
      { label: DEEP, set: rings(4096) },
      {
        label: STORAGE,
        set: {
          ...viommu,
          workloads: [
            {
              name: 'fio',
              kind: 'block',
              device: 'dev0',
              disk: 'nvme',
              lengthBytes: 4096,
              depth: 256,
              jobs: CPUS,
              cpus: cpusTo(CPUS),
            },
          ],
        },
      },
    ],
    until: { ns: 3_000_000 },
    control: false,
  },
  columns: [
    ENTRIES,
    { head: 'table entries written in the run', of: 'counts.ptesWritten' },
    TABLES,
    { head: 'memory in use at most, MiB', of: 'gauges.framesInUsePeak', scale: 4096 / 2 ** 20, digits: 1 },
  ],
  answer(arms) {
    const written = (label: string) => arms.of(label, 'counts.ptesWritten');
    return [
      `Memory that is registered once takes an entry a page: ${written(registered('4 KiB'))} for 1 GiB in 4 KiB, ` +
        `${written(registered('2 MiB'))} in 2 MiB. A GiB of single pages is four times what VFIO allows by default.`,
      `A guest with a vIOMMU keeps what its rings and queues hold, whatever its memory: ${arms.of(RINGS, ENTRIES.of)} with 4 rings of 512, ` +
        `${arms.of(DEEP, ENTRIES.of)} with 4 of 4,096, ${arms.of(STORAGE, ENTRIES.of)} for 4 x 256 I/Os.`,
    ];
  },
};
