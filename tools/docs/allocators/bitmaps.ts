/** Bitmaps with one cursor: what a lap finds, and what each platform does about a page that is freed ahead of the cursor. */
import type { Step } from '../curl.ts';
import { buffer, dma, look, map, operations, run, session, unmap, unmapAt } from './one-device.ts';

/**
 * A page stays mapped while the cursor goes round, is used, and is unmapped when the cursor has come up to it: with what is flushed at
 * a wrap, the translation that its last use brought back is the only one that a new owner of the address could meet.
 * @param filler pages that bring the cursor round: two such ranges do not fit the map
 */
export const lap = (allocator: Record<string, unknown>, filler: number): Step[] => [
  session('lap', { allocator, invalidation: 'wrap' }),
  operations('lap', [
    buffer('large', filler),
    buffer('old'),
    buffer('new'),
    map({ buffer: 'large', as: 'filler' }),
    map({ buffer: 'old', as: 'victim' }),
    unmap('filler'),
    map({ buffer: 'large', as: 'lap' }),
    dma('victim'),
    unmap('victim'),
    map({ buffer: 'new', as: 'heir' }),
    dma('heir'),
  ]),
];

/** Single pages 64 apart, all else free, and a request for 64. */
const fragments: Step[] = [
  session('holes', { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 }, invalidation: 'strict' }),
  operations('holes', [
    map(),
    map({ pages: 63, as: 'a' }),
    map(),
    map({ pages: 63, as: 'b' }),
    map(),
    map({ pages: 63, as: 'c' }),
    ...['a', 'b', 'c'].map((as) => unmap(as)),
    map({ pages: 64 }),
  ]),
  look('holes', { entries: true, livePages: true, lastWordsScanned: true }),
];

const FLUSHES = { flushesWrap: true, invalidationsRange: true } as const;

/** A ring that is freed in the order in which it was mapped, in a map of 4,096 pages. */
const ring = (name: string, allocator: Record<string, unknown>): Step[] => [
  session(name, {
    allocator,
    invalidation: 'wrap',
    workloads: [{ kind: 'nic-rx', device: 'nic0', gbps: 4, ringSize: 512, mappingsPerPacket: 1, cpus: [0] }],
  }),
  ...run(name, 50_000_000, { counts: { mapPageCalls: true, ...FLUSHES } }),
];

/** One page mapped and unmapped over and over. */
const newestFirst = (name: string, allocator: Record<string, unknown>): Step[] => [
  session(name, {
    allocator,
    invalidation: 'wrap',
    workloads: [{ kind: 'map-benchmark', device: 'nic0', transferNs: 1000 }],
  }),
  ...run(name, 20_000_000, { counts: { mapSingleCalls: true, ...FLUSHES } }),
];

/** A search that wraps and fails, an unmap, and the map that pays for both. */
const forgotten: Step[] = [
  session('forgets', { allocator: { kind: 'amd-2008', entries: 512 }, invalidation: 'wrap' }),
  operations('forgets', [
    map({ as: 'victim' }),
    map({ physicalAddress: '0x200000' }),
    dma('victim'),
    unmap('victim'),
    map({ pages: 600 }),
  ]),
  look('forgets', { needFlush: true }),
  operations('forgets', [unmapAt('0x2000'), map({ physicalAddress: '0x300000', as: 'heir' }), dma('heir')]),
  look('forgets', { needFlush: true }),
];

/** A request that no range is long enough for. */
const ranges: Step[] = [
  session('ranges', { allocator: { kind: 'amd-2008' }, invalidation: 'strict' }),
  operations('ranges', [map()]),
  look('ranges', { ranges: true }),
  operations('ranges', [map({ pages: 40_000 })]),
  look('ranges', { ranges: true }),
];

export const bitmapScenes: Record<string, Step[]> = {
  'bitmap fragments': fragments,
  'bitmap lap': lap({ kind: 'bitmap', apertureBytes: 2 ** 20 }, 64),
  'gart lap': lap({ kind: 'gart', entries: 256 }, 140),
  'gart ring': [
    ...ring('bitmap', { kind: 'bitmap', apertureBytes: 2 ** 24 }),
    ...ring('gart', { kind: 'gart', entries: 4096 }),
  ],
  'amd-2008 forgets': forgotten,
  'amd-2008 ranges': ranges,
  'alpha lap': lap({ kind: 'alpha', entries: 256 }, 140),
  'alpha ring': [
    ...ring('ring', { kind: 'alpha', entries: 4096 }),
    ...newestFirst('newest', { kind: 'alpha', entries: 4096 }),
  ],
};
