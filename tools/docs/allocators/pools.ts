/** Bitmaps cut into pools: who shares a pool with whom, and what room one pool does not lend another. */
import { create } from '../commands.ts';
import type { Step } from '../curl.ts';
import { lap } from './bitmaps.ts';
import { look, map, operations, session } from './one-device.ts';

const times = (count: number, line: (nth: number) => string): string[] =>
  Array.from({ length: count }, (_, nth) => line(nth));

/** A page on each of nine CPUs: the address tells the pool. */
const hash: Step[] = [
  session('hash', {
    allocator: { kind: 'sparc-pools', entries: 4096 },
    invalidation: 'strict',
    machine: { cpus: 9 },
  }),
  operations(
    'hash',
    times(9, (cpu) => map({ cpu })),
    { line: true, op: true, result: { iova: true } },
  ),
];

/** The large pool is full, all else is free; then a page is asked for. */
const large: Step[] = [
  session('large', { allocator: { kind: 'sparc-pools', entries: 256 }, invalidation: 'wrap' }),
  operations(
    'large',
    times(4, () => map({ pages: 16 })),
  ),
  look('large', { entries: true, livePages: true, needFlush: true }),
  operations('large', [map()]),
  {
    curl: 'curl -s localhost:8080/v1/sessions/large/metrics',
    show: { counts: { flushesWrap: true, invalidationsGlobal: true } },
  },
];

/** Twelve single pages, and then requests of 16. */
const blocks = (name: string, blockEntries: number): Step[] => [
  session(name, { allocator: { kind: 'powerpc-pools', entries: 256, blockEntries }, invalidation: 'strict' }),
  operations(name, [...times(12, () => map()), ...times(4, () => map({ pages: 16 }))]),
];

const refused: Step[] = [
  {
    curl: create('{"policy": {"allocator": {"kind": "powerpc-pools"}, "invalidation": {"kind": "wrap"}}}'),
    show: { status: true, code: true, detail: true },
  },
];

export const poolScenes: Record<string, Step[]> = {
  'sparc-pools hash': hash,
  'sparc-pools large': large,
  'sparc-pools lap': lap({ kind: 'sparc-pools', entries: 256 }, 5),
  'powerpc-pools blocks': blocks('blocks', 16),
  'powerpc-pools packed': blocks('packed', 1),
  'powerpc-pools wrap': refused,
};
