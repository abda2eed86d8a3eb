/** Experiments for general use beside the questions: a base to change with `vary`, `workloads`, `until`. */
import type { RequestPreset } from '../presets.ts';
import { cpusTo, NVME } from './machines.ts';

const pair = (allocator: string, invalidation: Record<string, unknown>) => ({
  label: `${invalidation.kind}${invalidation.form === undefined ? '' : ` (${invalidation.form})`}, ${allocator}`,
  set: { 'policy.allocator': { kind: allocator }, 'policy.invalidation': invalidation },
});

const QUEUES = 16;

const policiesAt100g: RequestPreset = {
  kind: 'policies-at-100g',
  title: 'All policies on a NIC at 100 Gb/s, over the address caches of today where they can be',
  source: 'Linux rcache, 2016 to today; `wrap` and `delayed` need the allocators of their platforms',
  request: {
    base: { machine: { cpus: QUEUES }, devices: [{ name: 'nic0', kind: 'nic' }] },
    arms: [
      ...['strict', 'batched', 'flush-queue', 'deferred-2008', 'never'].map((kind) => pair('rcache', { kind })),
      pair('bitmap', { kind: 'wrap' }),
      pair('sba-parisc', { kind: 'delayed' }),
      pair('sba-ia64', { kind: 'delayed', form: 'ia64' }),
    ],
    workloads: [
      {
        name: 'rx',
        kind: 'nic-rx',
        device: 'nic0',
        gbps: 100,
        queues: QUEUES,
        cpus: cpusTo(QUEUES),
        mappingsPerPacket: 1,
      },
    ],
    warmUp: { operations: 5000 },
    until: { ns: 2_000_000 },
    seeds: [1],
  },
};

/** Each under the policy that its platform or its time had. */
const allocators: RequestPreset = {
  kind: 'allocators',
  title: 'All allocators, each under the policy that it was made for',
  source: 'what each allocator’s page cites',
  request: {
    base: { machine: { cpus: 2 }, devices: [{ name: 'nic0', kind: 'nic' }], costs: { profile: 'riommu15-brcm' } },
    arms: [
      pair('rbtree-2008', { kind: 'deferred-2008' }),
      pair('eiovar', { kind: 'deferred-2008' }),
      pair('rbtree', { kind: 'flush-queue' }),
      pair('maple', { kind: 'flush-queue' }),
      pair('rcache', { kind: 'flush-queue' }),
      pair('contiguous', { kind: 'batched' }),
      pair('bitmap', { kind: 'wrap' }),
      pair('gart', { kind: 'wrap' }),
      pair('amd-2008', { kind: 'wrap' }),
      pair('alpha', { kind: 'wrap' }),
      pair('sparc-pools', { kind: 'wrap' }),
      pair('powerpc-pools', { kind: 'strict' }),
      pair('sba-parisc', { kind: 'delayed' }),
      pair('sba-ia64', { kind: 'delayed', form: 'ia64' }),
      pair('identity', { kind: 'strict' }),
      pair('persistent', { kind: 'strict' }),
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] },
      { name: 'tx', kind: 'nic-tx', device: 'nic0', gbps: 1, cpus: [1] },
    ],
    warmUp: { operations: 2000 },
    until: { operations: 20_000 },
    seeds: [1],
  },
};

const CPUS = 8;

const block4k: RequestPreset = {
  kind: 'block-4k',
  title: 'Reads of 4 KiB at random from two NVMe drives, under each policy of Linux',
  source:
    'F_S_Memory_Script, two drives behind one unit of a Skylake: 1,644 thousand I/Os a second without IOMMU, 652 under strict',
  request: {
    base: {
      machine: { cpus: CPUS },
      policy: { allocator: { kind: 'rcache' } },
      devices: [{ name: 'nvme', kind: 'block' }],
      costs: { profile: 'skl26-nvme' },
    },
    vary: { 'policy.invalidation.kind': ['strict', 'batched', 'deferred-2008', 'flush-queue'] },
    workloads: [{ ...NVME, jobs: CPUS, cpus: cpusTo(CPUS) }],
    warmUp: { operations: 5000 },
    until: { operations: 20_000 },
    seeds: [1, 2, 3],
  },
};

export const generalPresets: RequestPreset[] = [policiesAt100g, allocators, block4k];
