/** Experiments that fill a report: what it shows of each is looked at in tests and in a browser. Small enough to be run each time. */
import type { ReproductionTable } from '../../../src/lab/compare/results.ts';
import type { ExperimentData, Plain } from '../../../src/lab/experiment.ts';
import { experimentOf } from '../small-lab.ts';

const KIND = 'policy.invalidation.kind';
const probe: Plain = {
  name: 'probe',
  kind: 'hostile',
  device: 'nic0',
  target: 'nic0',
  select: 'random-unmapped',
  access: 'write',
  accessesPerUs: 1,
};

/** The thread's question, asked of today's policies too. */
export function policies(): ExperimentData {
  return experimentOf({
    title: 'Which policy should a 10 Gb/s receiver run, and what does it give up?',
    base: {
      machine: { cpus: 2 },
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] }, probe],
      costs: { profile: 'riommu15-brcm' },
    },
    arms: [
      { label: 'strict', set: { [KIND]: 'strict' } },
      { label: 'batched', set: { [KIND]: 'batched' } },
      { label: 'deferred-2008', set: { [KIND]: 'deferred-2008' } },
      { label: 'flush-queue', set: { [KIND]: 'flush-queue' } },
      { label: 'bitmap, wrap', set: { [KIND]: 'wrap', 'policy.allocator.kind': 'bitmap' } },
      { label: 'bitmap, strict', set: { [KIND]: 'strict', 'policy.allocator.kind': 'bitmap' } },
      { label: 'never', set: { [KIND]: 'never' } },
    ],
    until: { ns: 5_000_000 },
    seeds: [1, 2, 3],
    control: true,
  });
}

/** Strict invalidation waits for one queue, however many CPUs there are. */
export function scaling(): ExperimentData {
  const sets = ['strict', 'flush-queue'].flatMap((kind) => [1, 2, 4, 8].map((cpus) => ({ kind, cpus })));
  return experimentOf({
    title: 'How far does each policy scale?',
    base: {
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [{ name: 'bench', kind: 'map-benchmark', device: 'nic0', threads: 8, seconds: 1 }],
    },
    arms: sets.map(({ kind, cpus }) => ({ set: { [KIND]: kind, 'machine.cpus': cpus } })),
    until: { operations: 2000 },
    seeds: [1, 2],
  });
}

/** A window against what the IOTLB holds: `N` pages at random miss with 1 - E/N. */
export function workingSet(): ExperimentData {
  const pages = [8, 16, 32, 64, 128, 256, 512, 1024];
  return experimentOf({
    title: 'When does a working set no longer fit the IOTLB?',
    base: {
      devices: [{ name: 'copy0', kind: 'nic' }],
      workloads: [{ name: 'copy', kind: 'dma-window', device: 'copy0', accessBytes: 64, pattern: 'random' }],
    },
    arms: ['lru', 'random'].flatMap((replacement) =>
      pages.map((count) => ({
        set: { 'iommu.iotlb.replacement': replacement, 'workloads.copy.windowBytes': count * 4096 },
      })),
    ),
    until: { operations: 3000 },
    seeds: [1, 2, 3],
  });
}

/** A sweep of two policies over two machines with a control each: more arms than have room for their names. */
export function manyArms(): ExperimentData {
  const kinds = ['strict', 'deferred-2008', 'flush-queue', 'batched'];
  const waters = [16, 32, 64, 125, 250, 500];
  return experimentOf({
    title: 'How large should the batch of a deferred flush be?',
    base: {
      machine: { cpus: 2 },
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] }, probe],
    },
    arms: [
      ...kinds.map((kind) => ({ label: kind, set: { [KIND]: kind } })),
      ...waters.flatMap((highWater) =>
        ['rbtree-2008', 'rbtree', 'rcache'].map((allocator) => ({
          label: `deferred-2008 of ${highWater} entries over ${allocator}`,
          set: {
            [KIND]: 'deferred-2008',
            'policy.invalidation.highWater': highWater,
            'policy.allocator.kind': allocator,
          },
        })),
      ),
    ],
    until: { operations: 1500 },
    seeds: [1, 2, 3],
    control: true,
  });
}

/** Text that would like to be something else. */
export const EVIL = `<script>alert("x")</script>]]> & 'quoted' @octocat #1 | \`code\` https://example.org/ \u202e--> {{`;

/** Half of it is not there, a run failed, and everybody's text is hostile. */
export function hostileText(): ExperimentData {
  const whole = experimentOf({
    title: EVIL,
    base: {
      machine: { cpus: 2 },
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10 }],
    },
    arms: [
      { label: EVIL, set: { [KIND]: 'strict' } },
      { label: `zr0-c0" class="x" style="x:y" url(#zr0-c0) ${EVIL}`, set: { [KIND]: 'deferred-2008' } },
      { label: 'not yet', set: { [KIND]: 'never' } },
    ],
    until: { operations: 500 },
    seeds: [1, 2],
    control: true,
  });
  const rows = whole.rows.map((row) => {
    if (row.arm === 'arm-3') return { ...row, state: 'queued' as const, outcome: null };
    if (row.arm === 'control' && row.seed === 2)
      return { ...row, state: 'failed' as const, outcome: { ok: false as const, code: 'no-frame', detail: EVIL } };
    return row;
  });
  const jobs = { total: rows.length, finished: 5, failed: 1, cached: 0 };
  return { document: { ...whole.document, state: 'running', jobs, progress: 0.75 }, rows };
}

export const reproduction: ReproductionTable = {
  title: 'rIOMMU: Efficient IOMMU for I/O Devices that Employ Ring Buffers',
  citation: 'Malka, Amit, Ben-Yehuda, Tsafrir, ASPLOS 2015',
  rows: [
    {
      target: 'B1',
      what: `cycles of an unmap, strict ${EVIL}`,
      published: '4,321',
      where: 'table 1',
      tag: 'sourced',
      simulated: '4,300',
      relativeError: -0.00486,
      calibrated: false,
      status: 'appears',
      remark: '',
    },
    {
      target: 'B7',
      what: 'replacement does not matter',
      published: 'within a point',
      where: 'section 5',
      tag: 'by eye',
      simulated: '30.7, 30.6',
      relativeError: null,
      calibrated: true,
      status: 'does not appear',
      remark: 'fifo is 3 points off',
    },
  ],
};
