/**
 * EiovaR, FAST 2015: the linear-time allocator. That rings disturb each other (B2), one step at a time (B3), how the disturbance grows
 * with a ring (B4), what a search costs (B5).
 */
import type { Arm, Measure, Reproduction, Row, ScriptStep } from './reproduction.ts';

const PAGE = 4096;
const MEMORY = 4 * 2 ** 30;

// --- B2: two rings on one core, nothing given of the allocation but what a node takes.

interface Traffic {
  profile: string;
  /** Receive descriptors: what makes the published number of live IOVAs. */
  ring: number;
  /** Packets sent a second; half as many acknowledgements come in. */
  sent: number;
}
/** Gb/s of so many frames a second, with the 38 bytes that a frame takes on the wire beside its own. */
const load = (packets: number, frameBytes: number) => (packets * (frameBytes + 38) * 8) / 1e9;
const ACK_BYTES = 66;

const stream = ({ profile, ring, sent }: Traffic, allocator: string, policy: string): Arm => ({
  spec: {
    machine: { cpus: 1 },
    policy: { allocator: { kind: allocator }, invalidation: { kind: policy } },
    devices: [{ name: 'nic0', kind: 'nic' }],
    workloads: [
      {
        name: 'rx',
        kind: 'nic-rx',
        device: 'nic0',
        cpus: [0],
        ringSize: ring,
        frameBytes: ACK_BYTES,
        gbps: load(sent / 2, ACK_BYTES),
      },
      { name: 'tx', kind: 'nic-tx', device: 'nic0', cpus: [0], frameBytes: 1500, gbps: load(sent, 1500) },
    ],
    costs: { profile },
  },
  run: { operations: 60_000 },
});

const MLX: Traffic = { profile: 'riommu15-mlx', ring: 6000, sent: 25_000 };
const BRCM: Traffic = { profile: 'riommu15-brcm', ring: 3000, sent: 100_000 };

const searchOf = (arm: string): Measure => ({
  ratio: [
    { arm, metric: 'counts.nodesVisited' },
    { arm, metric: 'counts.allocationAttempts' },
  ],
});
const allocOf = (arm: string): Measure => ({ arm, metric: 'breakdown.map.iovaAlloc' });

const interference = (nic: string, strict: number, defer: number, allocStrict: number, allocDefer: number): Row[] => [
  {
    target: 'B2',
    what: `${nic}: mean search, strict above deferred`,
    published: { text: `${strict} above ${defer} nodes`, tag: 'sourced', where: 'table 2, Netperf stream' },
    shape: { order: 'descending', of: [`${nic} strict`, `${nic} defer`].map(searchOf) },
    digits: 1,
    calibrated: false,
  },
  {
    target: 'B2',
    what: `${nic}: an allocation under strict takes several times one under deferred`,
    published: { text: `${allocStrict} over ${allocDefer} cycles`, tag: 'sourced', where: 'table 2, Netperf stream' },
    shape: { allAbove: 2, of: [{ ratio: [allocOf(`${nic} strict`), allocOf(`${nic} defer`)] }] },
    digits: 1,
    calibrated: false,
  },
  ...[
    { mode: 'strict', nodes: strict },
    { mode: 'defer', nodes: defer },
  ].map(
    ({ mode, nodes }): Row => ({
      target: 'B2',
      what: `${nic}, ${mode}: mean search, nodes`,
      published: { value: nodes, tag: 'sourced', where: 'table 2, Netperf stream' },
      simulated: searchOf(`${nic} ${mode}`),
      digits: 1,
      accept: { report: true },
      calibrated: false,
    }),
  ),
];

// --- B3: table 1's five operations.

/** Pages of the example, from the top of the space down; 400 is the highest, at page 0xfffff. */
const LOWEST = 100;
const HIGHEST = 400;
const topDown = { reservedRegions: [], superpages: [] };

/** What the example calls the page at an address. */
const numberOf = (address: Measure): Measure => ({ shifted: [{ scaled: [address, 1 / PAGE] }, HIGHEST - 0xfffff] });

const mapOne = (number: number): ScriptStep => ({
  do: {
    op: 'map',
    device: 'nic0',
    kind: 'page',
    direction: 'from-device',
    physicalAddress: number * PAGE,
    lengthBytes: PAGE,
  },
  as: `p${number}`,
});
const unmapOf = (label: string): ScriptStep => ({ do: { op: 'unmap', mapping: `$${label}` } });
const anew = (label: string, number: number): ScriptStep => {
  const { do: operation } = mapOne(number) as { do: Record<string, unknown> & { op: 'map' } };
  return { do: operation, as: label };
};
const cached = (label: string): ScriptStep => ({ read: { read: 'allocator' }, as: label });

const fiveSteps = (withTx: boolean): Arm => ({
  spec: {
    machine: { memoryBytes: MEMORY },
    iommu: topDown,
    policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'nic0', kind: 'custom' }],
    costs: { profile: 'riommu15-mlx' },
  },
  *script() {
    for (let number = HIGHEST; number >= LOWEST; number--) yield mapOne(number);
    // C = 152, as the example has it: freed, it is cached as what follows it, and found again at once.
    yield unmapOf('p152');
    yield anew('start', 152);
    yield cached('atStart');
    yield unmapOf('p151');
    yield cached('afterRxFree151');
    if (withTx) {
      yield unmapOf('p300');
      yield cached('afterTxFree300');
    }
    yield anew('first', 151);
    yield cached('afterFirst');
    yield unmapOf('p150');
    yield cached('afterRxFree150');
    yield anew('second', 150);
    yield cached('afterSecond');
  },
});

const cachedAt = (arm: string, label: string): Measure => numberOf({ arm, metric: `${label}.cached32Iova` });
const returned = (arm: string, label: string): Measure => numberOf({ arm, metric: `${label}.iova` });

const fiveRows = (arm: string, expected: [what: string, measure: Measure, number: number][]): Row[] =>
  expected.map(([what, simulated, number]) => ({
    target: 'B3',
    what: `${arm}: ${what}`,
    published: { value: number, tag: 'sourced', where: 'table 1' },
    simulated,
    digits: 0,
    accept: { exactly: true },
    calibrated: false,
  }));

// --- B4: one event, then a ring alone.

const RINGS = [256, 512, 1024, 2048, 4096];

/** A transmit ring above a receive ring, one swap between them, then the receive ring goes round once. */
const swapped = (ring: number, allocator: string): Arm => ({
  spec: {
    machine: { memoryBytes: MEMORY },
    iommu: topDown,
    policy: { allocator: { kind: allocator }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'nic0', kind: 'custom' }],
    costs: { profile: 'riommu15-mlx' },
  },
  *script() {
    const rx = (index: number, turn: number): string => `rx${index}_${turn}`;
    for (let i = 0; i < ring; i++) yield anew(`tx${i}`, i);
    for (let i = 0; i < ring; i++) yield anew(rx(i, 0), ring + i);
    yield { phase: 'before' };
    for (let i = 0; i < ring; i++) {
      yield unmapOf(rx(i, 0));
      yield anew(rx(i, 1), ring + i);
    }
    yield { phase: 'event' };
    yield unmapOf(rx(0, 1));
    yield unmapOf(`tx${ring / 2}`);
    yield anew(rx(0, 2), ring);
    yield { phase: 'settling' };
    for (let i = 1; i < ring; i++) {
      yield unmapOf(rx(i, 1));
      yield anew(rx(i, 2), ring + i);
    }
    yield { phase: 'cycle' };
    for (let i = 0; i < ring; i++) {
      yield unmapOf(rx(i, 2));
      yield anew(rx(i, 3), ring + i);
    }
  },
});

const longest = (arm: string, phase: string): Measure => ({ arm, metric: `${phase}.iovaAlloc.longest` });

// --- B5: so many nodes, so many cycles.

interface Search {
  what: string;
  nodes: number;
  cycles: number;
}
const SEARCHES: Search[] = [
  { what: 'mlx strict stream', nodes: 153, cycles: 7656 },
  { what: 'mlx strict RR', nodes: 206, cycles: 10269 },
  { what: 'mlx strict Apache 1 MB', nodes: 381, cycles: 17776 },
  { what: 'mlx strict Apache 1 KB', nodes: 1078, cycles: 49981 },
  { what: 'mlx strict Memcached', nodes: 893, cycles: 50606 },
  { what: 'mlx defer stream', nodes: 32, cycles: 2202 },
  { what: 'mlx defer RR', nodes: 32, cycles: 2360 },
  { what: 'mlx defer Apache 1 MB', nodes: 30, cycles: 2085 },
  { what: 'mlx defer Apache 1 KB', nodes: 33, cycles: 2642 },
  { what: 'mlx defer Memcached', nodes: 33, cycles: 3040 },
  { what: 'brcm strict stream', nodes: 345, cycles: 14878 },
  { what: 'brcm strict RR', nodes: 68, cycles: 3359 },
  { what: 'brcm strict Apache 1 MB', nodes: 27, cycles: 1469 },
  { what: 'brcm strict Apache 1 KB', nodes: 39, cycles: 2527 },
  { what: 'brcm strict Memcached', nodes: 128, cycles: 5797 },
  { what: 'brcm defer stream', nodes: 13, cycles: 1108 },
  { what: 'brcm defer RR', nodes: 9, cycles: 1029 },
  { what: 'brcm defer Apache 1 MB', nodes: 9, cycles: 833 },
  { what: 'brcm defer Apache 1 KB', nodes: 9, cycles: 1104 },
  { what: 'brcm defer Memcached', nodes: 9, cycles: 1021 },
];

/** One hole of a page at the top, and two pages asked for: the search passes every range below it. */
const searching = (nodes: number): Arm => ({
  spec: {
    machine: { memoryBytes: MEMORY },
    iommu: topDown,
    policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'nic0', kind: 'custom' }],
    costs: { profile: 'riommu15-mlx' },
  },
  *script() {
    for (let i = 0; i <= nodes; i++) yield anew(`p${i}`, i);
    yield unmapOf('p0');
    yield {
      do: {
        op: 'map',
        device: 'nic0',
        kind: 'single',
        direction: 'from-device',
        physicalAddress: 2 ** 30,
        lengthBytes: 2 * PAGE,
      },
      as: 'found',
    };
  },
});

export const eiovar15: Reproduction = {
  id: 'eiovar15',
  title: 'The linear-time allocator: rings that disturb each other',
  citation:
    'Malka, Amit, Tsafrir: Efficient Intra-Operating System Protection Against Harmful DMAs (EiovaR), FAST 2015, tables 1 and 2',
  setup:
    'B2: one core, a receive ring that makes the published number of live IOVAs (12 K on mlx, 3 K on brcm), 1,500-byte packets sent ' +
    'and half as many acknowledgements received, at a load that the core can carry. Nothing is given of the allocation but the 49.4 ' +
    'cycles of a node; the interference develops by itself. How long a search is depends on the load, which the paper does not give, ' +
    'so the lengths are shown and only the shape is judged. B3 and B4 are operations one by one, addresses counted from the top of ' +
    'the 32-bit space. B5 feeds the search lengths of table 2; the 49.4 and 379 were fitted on these very rows.',
  arms: {
    'mlx strict': stream(MLX, 'rbtree-2008', 'strict'),
    'mlx defer': stream(MLX, 'rbtree-2008', 'deferred-2008'),
    'mlx strict+': stream(MLX, 'eiovar', 'strict'),
    'brcm strict': stream(BRCM, 'rbtree-2008', 'strict'),
    'brcm defer': stream(BRCM, 'rbtree-2008', 'deferred-2008'),
    'without Tx': fiveSteps(false),
    'with Tx': fiveSteps(true),
    ...Object.fromEntries(RINGS.map((ring) => [`ring ${ring}`, swapped(ring, 'rbtree-2008')])),
    ...Object.fromEntries(RINGS.map((ring) => [`ring ${ring} with a free list`, swapped(ring, 'eiovar')])),
    ...Object.fromEntries([...new Set(SEARCHES.map(({ nodes }) => nodes))].map((n) => [`${n} nodes`, searching(n)])),
  },
  rows: [
    ...interference('mlx', 153, 32, 7656, 2202),
    ...interference('brcm', 345, 13, 14878, 1108),
    {
      target: 'B2',
      what: 'mlx: both searches are above 10 nodes',
      published: { text: '153 and 32 nodes', tag: 'sourced', where: 'table 2, Netperf stream' },
      shape: { allAbove: 10, of: ['mlx strict', 'mlx defer'].map(searchOf) },
      digits: 1,
      calibrated: false,
    },
    {
      target: 'B2',
      what: 'mlx, strict, with the free list: mean search, nodes',
      published: { value: 0, tag: 'sourced', where: 'text: no search' },
      simulated: searchOf('mlx strict+'),
      digits: 1,
      accept: { withinAbsolute: 0.5 },
      calibrated: false,
    },
    ...fiveRows('without Tx', [
      ['C at the start', cachedAt('without Tx', 'atStart'), 152],
      ['C after Rx frees 151', cachedAt('without Tx', 'afterRxFree151'), 152],
      ['Rx gets', returned('without Tx', 'first'), 151],
      ['C then', cachedAt('without Tx', 'afterFirst'), 151],
      ['C after Rx frees 150', cachedAt('without Tx', 'afterRxFree150'), 151],
      ['Rx gets', returned('without Tx', 'second'), 150],
      ['C then', cachedAt('without Tx', 'afterSecond'), 150],
    ]),
    ...fiveRows('with Tx', [
      ['C at the start', cachedAt('with Tx', 'atStart'), 152],
      ['C after Rx frees 151', cachedAt('with Tx', 'afterRxFree151'), 152],
      ['C after Tx frees 300', cachedAt('with Tx', 'afterTxFree300'), 301],
      ['Rx gets', returned('with Tx', 'first'), 300],
      ['C then', cachedAt('with Tx', 'afterFirst'), 300],
      ['C after Rx frees 150', cachedAt('with Tx', 'afterRxFree150'), 300],
      ['Rx gets', returned('with Tx', 'second'), 151],
      ['C then', cachedAt('with Tx', 'afterSecond'), 151],
    ]),
    {
      target: 'B4',
      what: 'longest allocation of a ring cycle after one swap, cycles, against ring size 256 to 4096',
      published: {
        text: 'linear, R² > 0.98',
        tag: 'sourced',
        where: 'text: as long as the distance between the rings',
      },
      shape: {
        line: { x: RINGS, y: RINGS.map((ring) => longest(`ring ${ring}`, 'cycle')) },
        r2Above: 0.98,
        slopeAbove: 1,
      },
      digits: 0,
      calibrated: false,
    },
    ...RINGS.map(
      (ring): Row => ({
        target: 'B4',
        what: `ring of ${ring}: long searches in a cycle`,
        published: { value: 1, tag: 'sourced', where: 'text: every ring cycle contains one' },
        simulated: { arm: `ring ${ring}`, metric: 'cycle.iovaAlloc.searches' },
        digits: 0,
        accept: { exactly: true },
        calibrated: false,
      }),
    ),
    {
      target: 'B4',
      what: 'longest allocation of a cycle before the swap, cycles',
      published: {
        text: 'constant: below 500',
        tag: 'sourced',
        where: 'text: free-then-allocate in one ring is constant time',
      },
      shape: { allBelow: 500, of: RINGS.map((ring) => longest(`ring ${ring}`, 'before')) },
      digits: 0,
      calibrated: false,
    },
    {
      target: 'B4',
      what: 'the same after the swap, with the free list',
      published: { text: 'constant: below 500', tag: 'sourced', where: 'text' },
      shape: { allBelow: 500, of: RINGS.map((ring) => longest(`ring ${ring} with a free list`, 'cycle')) },
      digits: 0,
      calibrated: false,
    },
    ...SEARCHES.map(
      ({ what, nodes, cycles }): Row => ({
        target: 'B5',
        what: `${what}: ${nodes} nodes, cycles of the allocation`,
        published: { value: cycles, tag: 'sourced', where: 'table 2' },
        simulated: { arm: `${nodes} nodes`, metric: 'found.breakdown.iovaAlloc' },
        digits: 0,
        accept: { within: 0.25 },
        calibrated: true,
      }),
    ),
  ],
};
