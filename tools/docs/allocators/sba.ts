/** The resource maps of PA-RISC and Itanium: words of 64 pages. */
import type { Step } from '../curl.ts';
import { dma, look, map, operations, session, unmap } from './one-device.ts';

const ROOM = { entries: true, livePages: true } as const;

/** Single pages in two of four words, and requests of more than half a word. */
const scattered: Step[] = [
  session('words', { allocator: { kind: 'sba-parisc', entries: 256 }, invalidation: 'strict' }),
  operations('words', [
    map(),
    map({ pages: 64, as: 'a' }),
    map(),
    unmap('a'),
    map({ pages: 33 }),
    map({ pages: 33 }),
    map({ pages: 33 }),
  ]),
  look('words', ROOM),
  operations('words', [map({ pages: 32 })]),
];

const longest: Step[] = [
  session('longest', { allocator: { kind: 'sba-parisc' }, invalidation: 'strict' }),
  operations('longest', [map({ pages: 64 }), map({ pages: 65 })]),
];

const rounded: Step[] = [
  session('rounds', { allocator: { kind: 'sba-ia64', entries: 256 }, invalidation: 'strict' }),
  operations('rounds', [map({ pages: 33 }), map({ pages: 33 }), map({ pages: 33 })]),
  look('rounds', ROOM),
  operations('rounds', [map({ pages: 32 }), map({ pages: 32 })]),
];

const unaligned: Step[] = [
  session('purge', { allocator: { kind: 'sba-ia64' }, invalidation: 'strict' }),
  operations('purge', [map({ pages: 65, as: 'a' }), unmap('a')]),
  {
    curl: 'curl -s localhost:8080/v1/sessions/purge/metrics',
    show: { counts: { invalidationsRange: true, amplifiedPages: true } },
  },
];

/** Nothing is left but what unmaps hold back. */
const drained: Step[] = [
  session('drain', { allocator: { kind: 'sba-ia64', entries: 256 }, invalidation: { kind: 'delayed', form: 'ia64' } }),
  operations('drain', [
    map({ pages: 64, as: 'a' }),
    map({ pages: 64, as: 'b' }),
    unmap('a'),
    unmap('b'),
    map({ pages: 64 }),
  ]),
  { curl: 'curl -s localhost:8080/v1/sessions/drain/metrics', show: { counts: { entriesFlushed: true } } },
];

/** A single page is the first free one of its word, so it comes back at once. */
const atOnce: Step[] = [
  session('at-once', { allocator: { kind: 'sba-ia64' }, invalidation: 'wrap' }),
  operations('at-once', [
    map({ as: 'old' }),
    dma('old'),
    unmap('old'),
    map({ physicalAddress: '0x200000', as: 'heir' }),
    dma('heir'),
  ]),
];

export const sbaScenes: Record<string, Step[]> = {
  'sba-parisc words': scattered,
  'sba-parisc longest': longest,
  'sba-ia64 rounding': rounded,
  'sba-ia64 purge': unaligned,
  'sba-ia64 drain': drained,
  'sba-ia64 at once': atOnce,
};
