/** Addresses allocated on some CPUs and freed on others: what the per-CPU caches of 2016 come to under a deferred policy (B17). */
import type { Arm, Measure, Reproduction } from './reproduction.ts';

/** The most that can be simulated; the machines of the mails have 96 and 128. */
const CPUS = 64;
const HALF = CPUS / 2;
const submitters = Array.from({ length: HALF }, (_, cpu) => cpu);

const DEPOTS = {
  /** As in Linux from 2016 to 2023. */
  fixed: { kind: 'rcache', magazineEntries: 128, depot: 'fixed', depotMax: 32 },
  trimmed: { kind: 'rcache' },
};
type Depot = keyof typeof DEPOTS;

interface Load {
  lengths: number[];
  depth: number;
  dmaMaskBits: number;
}
/** One size in all of the space that 64 bits reach. */
const ONE: Load = { lengths: [4096], depth: 64, dmaMaskBits: 64 };
/** Three sizes in 512 MiB, for which 64 CPUs' caches are nearly enough: that stands for hours in 4 GiB. */
const SEVERAL: Load = { lengths: [4096, 8192, 32_768], depth: 16, dmaMaskBits: 29 };

const reads = (
  { lengths, depth, dmaMaskBits }: Load,
  depot: Depot,
  policy: string,
  before: number[],
  run = 40_000,
): Arm => ({
  spec: {
    machine: { cpus: CPUS },
    policy: { allocator: DEPOTS[depot], invalidation: { kind: policy } },
    devices: [{ name: 'nvme', kind: 'block', dmaMaskBits }],
    workloads: lengths.map((lengthBytes, i) => ({
      name: `fio${i}`,
      kind: 'block',
      device: 'nvme',
      disk: 'custom',
      // No drive is the limit.
      iops: 8_000_000,
      lengthBytes,
      pattern: 'random',
      access: 'read',
      depth,
      jobs: HALF,
      cpus: submitters,
      completionCpus: submitters.map((cpu) => HALF + cpu),
    })),
    costs: { profile: 'skl26-nvme' },
  },
  before: before.map((operations) => ({ operations })),
  run: { operations: run },
});

const iops = (arm: string): Measure => ({ arm, metric: 'iops' });
const unserved = (arm: string): Measure => ({
  ratio: [
    { arm, metric: 'counts.cacheMisses' },
    { arm, metric: 'counts.allocationAttempts' },
  ],
});
const kept = (later: string, early: string): Measure => ({ ratio: [iops(later), iops(early)] });

const CLIFF = 'linux iommu list, December 2020: after 16 h 0.33 to 0.69 M of 1.5 to 1.7 M I/Os a second';

export const iovaAgeing: Reproduction = {
  id: 'iova-ageing',
  title: 'Allocated here, freed there, for long',
  citation:
    'linux iommu list, J. Garry: 1607538189-237944-4 (December 2020) and later; 20190801122154.18820-2 (2019); Linux iova.c of 2016 and 2023',
  setup:
    `${HALF} CPUs submit, ${HALF} complete; magazines of 128 and a depot of 32 against those of today. With one size and the whole ` +
    'space the fixed depot overflows for ever: a share of the addresses goes to the tree and comes from it. A cliff needs a space that ' +
    'is used up, for which the machines of the mails took hours; here three sizes share 512 MiB, so that it comes within milliseconds, ' +
    'if it comes. That is far below the 100 ms of the worker that trims.',
  arms: {
    'one size, fixed': reads(ONE, 'fixed', 'flush-queue', [80_000]),
    'one size, trimmed': reads(ONE, 'trimmed', 'flush-queue', [80_000]),
    'one size, strict': reads(ONE, 'fixed', 'strict', [20_000], 10_000),
    'early, fixed': reads(SEVERAL, 'fixed', 'flush-queue', [40_000]),
    'late, fixed': reads(SEVERAL, 'fixed', 'flush-queue', [120_000]),
    // A run that begins anew finds all I/Os with the disk, and their completions come together.
    'late, fixed, in bursts': reads(SEVERAL, 'fixed', 'flush-queue', [40_000, 40_000, 40_000, 40_000]),
    'late, trimmed': reads(SEVERAL, 'trimmed', 'flush-queue', [120_000]),
    'early, trimmed': reads(SEVERAL, 'trimmed', 'flush-queue', [40_000]),
    'early, strict': reads(SEVERAL, 'fixed', 'strict', [20_000], 10_000),
    'late, strict': reads(SEVERAL, 'fixed', 'strict', [80_000], 10_000),
  },
  rows: [
    {
      target: 'B17',
      what: 'one size, deferred, fixed depot: share of allocations that the caches do not serve, in steady state',
      published: {
        text: 'some, for ever',
        tag: 'derived',
        where: 'iova.c: what the depot has no place for goes to the tree',
      },
      shape: { allAbove: 0.05, of: [unserved('one size, fixed')] },
      digits: 3,
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'the same, strict; deferred with the trimmed depot',
      published: {
        text: 'next to none',
        tag: 'sourced',
        where: 'mails: strict stays compact; commit of September 2023',
      },
      shape: { allBelow: 0.02, of: [unserved('one size, strict'), unserved('one size, trimmed')] },
      digits: 4,
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'one size, deferred: I/Os a second, fixed depot over trimmed',
      published: { value: 0.45, tag: 'derived', where: CLIFF },
      simulated: kept('one size, fixed', 'one size, trimmed'),
      accept: { between: [0, 0.5] },
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'three sizes in a small space, deferred, fixed depot: late over early',
      published: { value: 0.3, tag: 'derived', where: `${CLIFF}: 0.2 to 0.45 of the rate` },
      simulated: kept('late, fixed', 'early, fixed'),
      accept: { between: [0, 0.5] },
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'the same, where all I/Os complete together at times: late over early',
      published: { value: 0.3, tag: 'derived', where: `${CLIFF}: 0.2 to 0.45 of the rate` },
      simulated: kept('late, fixed, in bursts', 'early, fixed'),
      accept: { between: [0, 0.5] },
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'the same, strict: late over early',
      published: { value: 1, tag: 'sourced', where: 'mails: strict does not show it' },
      simulated: kept('late, strict', 'early, strict'),
      accept: { within: 0.05 },
      calibrated: false,
    },
    {
      target: 'B17',
      what: 'the same, deferred with the trimmed depot: late over early',
      published: { value: 1, tag: 'derived', where: '2019 mail: 2.45 to 2.52 M with trimming, 2.17 M before ageing' },
      simulated: kept('late, trimmed', 'early, trimmed'),
      accept: { between: [0.9, 1.2] },
      calibrated: false,
    },
  ],
  misses: [
    {
      rows: ['one size, deferred: I/Os a second, fixed depot over trimmed'],
      why:
        'A fifth of the allocations go to the tree for ever, but the tree finds a gap within five nodes, and its lock costs nothing to ' +
        'hand over. On the machines of the mails trees had grown for hours.',
    },
    {
      rows: [
        'three sizes in a small space, deferred, fixed depot: late over early',
        'the same, deferred with the trimmed depot: late over early',
      ],
      why:
        'The other way round: what the fixed depot has no place for goes back to the space, and as long as the load is even the space ' +
        'lasts; when all I/Os complete together it does not, and then all caches are flushed again and again, searches are long, and the ' +
        'rate does not recover: that is the cliff. A depot without limit takes from the small space until nothing is left, and its worker ' +
        'gives back one magazine in 100 ms, when all is over within 20.',
    },
  ],
};
