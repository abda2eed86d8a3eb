/**
 * What every IOVA allocator must do, whatever its algorithm: checks that return complaints, so that a broken allocator can be
 * expected to raise one.
 *
 * Only the interface is used. Where the algorithms differ on purpose (rounding up, the first and the last page of the
 * space) the check accepts each of them.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { type AllocatorEntry, type IovaAllocator, NO_PFN, RANGE, SUSPENDED } from '../../src/core/os/iova/allocator.ts';
import type { DigestSink } from '../../src/core/sim/digest-sink.ts';

export type Create = () => IovaAllocator;

/** What an allocator says of itself that the checks rely on. */
export type Traits = Pick<
  AllocatorEntry,
  'aligned' | 'longestPages' | 'refusesExactHoles' | 'pagesTaken' | 'freedTogether' | 'defaults'
>;

export interface Check {
  title: string;
  /** @returns one line per violation; empty when all is well */
  complaints(create: Create, traits: Traits): string[];
}

/** A 48-bit domain whose first device can address all of it: the space every check asks for. */
export const SPACE = { lastPfn: 2 ** 36 - 1, maskLastPfn: 2 ** 36 - 1 };

const LAST_24BIT = 0xfff;
const LAST_32BIT = 0xfffff;
const LAST_39BIT = 2 ** 27 - 1;
const MSI = { first: 0xfee00, last: 0xfeeff };
/** Enough to see what is wrong. */
const COMPLAINTS_LAST = 5;

interface Piece {
  first: number;
  last: number;
}

const hex = (pfn: number) => pfn.toString(16);
const text = (pieces: Piece[]) => pieces.map(({ first, last }) => `${hex(first)}-${hex(last)}`).join(' ');
const meets = (a: Piece, b: Piece) => a.first <= b.last && b.first <= a.last;

function nextPowerOfTwo(pages: number): number {
  let size = 1;
  while (size < pages) size *= 2;
  return size;
}

/** The union of pieces, rising, with touching ones joined; page 0 is left out: some allocators count it as reserved. */
function union(pieces: Piece[]): Piece[] {
  const joined: Piece[] = [];
  for (const { first, last } of pieces.toSorted((a, b) => a.first - b.first)) {
    const top = joined.at(-1);
    if (top !== undefined && first <= top.last + 1) top.last = Math.max(top.last, last);
    else if (last > 0) joined.push({ first: Math.max(first, 1), last });
  }
  return joined;
}

/** `pieces` without the pages of `hole`. */
function without(pieces: Piece[], hole: Piece): Piece[] {
  return pieces.flatMap((piece) =>
    [
      { first: piece.first, last: Math.min(piece.last, hole.first - 1) },
      { first: Math.max(piece.first, hole.last + 1), last: piece.last },
    ].filter((rest) => rest.first <= rest.last),
  );
}

function random(seed: number): (from: number, to: number) => number {
  const generator = xoroshiro128plus(seed);
  return (from, to) => uniformInt(generator, from, to);
}

/** The digest as text: everything that was fed in, in order. */
export function digestOf(allocator: IovaAllocator): string {
  const parts: string[] = [];
  const sink: DigestSink = {
    number: (value) => void parts.push(`n${Object.is(value, -0) ? '-0' : value}`),
    column: ({ buffer, byteOffset, BYTES_PER_ELEMENT: bytes }, count) =>
      void parts.push(`c${count}:${Buffer.from(buffer, byteOffset, count * bytes).toString('latin1')}`),
    text: (value) => void parts.push(JSON.stringify(value)),
  };
  allocator.digest(sink);
  return parts.join(' ');
}

/** One attempt to its end, however often the budget suspends it. */
export function allocate(allocator: IovaAllocator, pages: number, limitPfn: number): number {
  for (;;) {
    const pfn = allocator.allocate(pages, limitPfn);
    if (pfn !== SUSPENDED) return pfn;
  }
}

/** What was handed out and reserved, kept apart from the allocator. */
class Shadow {
  readonly live: { pfn: number; pages: number }[] = [];
  reserved: Piece[] = [];
  readonly complaints: string[] = [];
  private readonly allocator: IovaAllocator;
  private readonly traits: Traits;

  constructor(allocator: IovaAllocator, traits: Traits) {
    this.allocator = allocator;
    this.traits = traits;
    // Some platforms keep pages back from the beginning.
    this.reserved = listing(allocator).reserved;
  }

  complain(line: string): void {
    if (this.complaints.length < COMPLAINTS_LAST) this.complaints.push(line);
  }

  allocate(pages: number, limitPfn: number): number {
    const pfn = allocate(this.allocator, pages, limitPfn);
    if (pfn === NO_PFN) return pfn;
    const piece = { first: pfn, last: pfn + pages - 1 };
    const what = `${pages} pages below ${hex(limitPfn)} gave ${text([piece])}`;
    if (!Number.isSafeInteger(pfn) || pfn < 1) this.complain(`${what}: no page number from 1 up`);
    if (piece.last > limitPfn) this.complain(`${what}: above the limit`);
    if (this.traits.aligned && pfn % nextPowerOfTwo(pages) !== 0) this.complain(`${what}: not aligned`);
    for (const other of this.live) {
      if (meets(piece, { first: other.pfn, last: other.pfn + other.pages - 1 })) {
        this.complain(`${what}: overlaps the live range at ${hex(other.pfn)}`);
      }
    }
    for (const other of this.reserved) {
      if (meets(piece, other)) this.complain(`${what}: overlaps the reserved ${text([other])}`);
    }
    this.live.push({ pfn, pages });
    return pfn;
  }

  freeAt(index: number): void {
    const [range] = this.live.splice(index, 1);
    this.allocator.free(range!.pfn, range!.pages);
  }

  reserve(first: number, last: number): void {
    this.allocator.reserve(first, last);
    this.reserved = union([...this.reserved, { first, last }]);
  }

  unreserve(first: number, last: number): void {
    this.allocator.unreserve(first, last);
    this.reserved = without(this.reserved, { first, last });
  }

  /** Pages that the allocator must show as allocated: as the kind says; else as asked for, or rounded up when its `livePages` says so. */
  allocated(): Piece[] {
    const { pagesTaken, defaults } = this.traits;
    const taken = this.live.map(({ pfn, pages }) => ({
      first: pfn,
      last: pfn + (pagesTaken?.(pages, defaults) ?? 0) - 1,
    }));
    const exact = this.live.map(({ pfn, pages }) => ({ first: pfn, last: pfn + pages - 1 }));
    const rounded = this.live.map(({ pfn, pages }) => ({ first: pfn, last: pfn + nextPowerOfTwo(pages) - 1 }));
    const count = (pieces: Piece[]) => pieces.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    if (pagesTaken !== undefined) {
      if (this.allocator.livePages !== count(taken))
        this.complain(`livePages ${this.allocator.livePages}, taken ${count(taken)}`);
      return union(taken);
    }
    if (this.allocator.livePages === count(exact)) return union(exact);
    if (this.allocator.livePages !== count(rounded)) {
      this.complain(`livePages ${this.allocator.livePages}, handed out ${count(exact)}, rounded ${count(rounded)}`);
    }
    return union(rounded);
  }

  /** Compares counts, the listing and `overlaps` with what is known. */
  compare(): void {
    const { allocator } = this;
    if (allocator.liveRanges !== this.live.length) {
      this.complain(`liveRanges ${allocator.liveRanges}, handed out ${this.live.length}`);
    }
    const listed = listing(allocator);
    for (const line of listed.complaints) this.complain(line);
    const allocated = this.allocated();
    if (text(listed.allocated) !== text(allocated)) {
      this.complain(`listed as allocated ${text(listed.allocated)}, is ${text(allocated)}`);
    }
    if (text(listed.reserved) !== text(this.reserved)) {
      this.complain(`listed as reserved ${text(listed.reserved)}, is ${text(this.reserved)}`);
    }
    // What a cache keeps belongs to nobody, and yet is not free.
    for (const piece of listed.cached) {
      if ([...allocated, ...this.reserved].some((other) => meets(piece, other))) {
        this.complain(`listed as cached ${text([piece])}, which is taken`);
      }
    }
    if ((allocator.cachedRanges ?? 0) !== listed.cachedRanges) {
      this.complain(`cachedRanges ${allocator.cachedRanges}, listed ${listed.cachedRanges}`);
    }
    const taken = union([...allocated, ...this.reserved, ...listed.cached]);
    for (const { first, last } of taken) {
      // Just inside and just outside of each end, and across it.
      for (const query of [
        { first, last: first },
        { first: last, last },
        { first: first - 1, last: first - 1 },
        { first: last + 1, last: last + 1 },
        { first: first - 1, last: first },
        { first: first - 2, last: last + 2 },
      ]) {
        if (query.first < 1) continue;
        const expected = taken.some((piece) => meets(piece, query));
        if (allocator.overlaps(query.first, query.last) !== expected) {
          this.complain(`overlaps(${text([query])}) is not ${expected}`);
        }
      }
    }
  }
}

/** What `forEachRange` shows, as unions of pages. */
function listing(allocator: IovaAllocator): {
  allocated: Piece[];
  reserved: Piece[];
  cached: Piece[];
  cachedRanges: number;
  complaints: string[];
} {
  const ofState: Piece[][] = [[], [], []];
  const complaints: string[] = [];
  let above = 0;
  allocator.forEachRange((first, last, state) => {
    if (first < above || last < first) complaints.push(`listed ${hex(first)}-${hex(last)} out of order`);
    above = last + 1;
    ofState[state]!.push({ first, last });
  }, Infinity);
  const [allocated, reserved, cached] = [RANGE.allocated, RANGE.reserved, RANGE.cached].map((state) => ofState[state]!);
  const limit = Math.min(2, ofState.flat().length);
  let visits = 0;
  allocator.forEachRange(() => visits++, limit);
  if (visits !== limit) complaints.push(`asked for ${limit} ranges, got ${visits}`);
  // From a page in the middle on: the same, but for what ends below it; and no further than the caller wants.
  const all = ofState.flat().sort((a, b) => a.first - b.first);
  if (all.length > 0) {
    const { first: from } = all[all.length >> 1]!;
    const expected = all.filter(({ last }) => last >= from).map(({ last }) => last);
    const found: number[] = [];
    allocator.forEachRange((_first, last) => last < from || found.push(last), Infinity, from);
    if (found.join() !== expected.join()) complaints.push(`from ${hex(from)} on it lists other ranges`);
    visits = 0;
    allocator.forEachRange(() => ++visits < limit, Infinity);
    if (visits !== limit) complaints.push(`told to stop after ${limit} ranges, it went on to ${visits}`);
  }
  return {
    allocated: union(allocated!),
    reserved: union(reserved!),
    cached: union(cached!),
    cachedRanges: cached!.length,
    complaints,
  };
}

/** An allocator with all but `pages` pages from `first` on taken away below 4 GiB. */
function cornered(
  create: Create,
  traits: Traits,
  first: number,
  pages: number,
): { allocator: IovaAllocator; shadow: Shadow } {
  const allocator = create();
  const shadow = new Shadow(allocator, traits);
  shadow.reserve(1, first - 1);
  shadow.reserve(first + pages, LAST_32BIT);
  return { allocator, shadow };
}

const randomHistory: Check = {
  title: 'a random history hands out only what is free, addressable and aligned, and shows all of it',
  complaints(create, traits) {
    const allocator = create();
    const shadow = new Shadow(allocator, traits);
    const pick = random(11);
    shadow.reserve(MSI.first, MSI.last);
    // The first complaint ends it: what comes after would be trouble of its own.
    for (let step = 1; step <= 4000 && shadow.complaints.length === 0; step++) {
      const chance = pick(0, 99);
      if (chance < 52) {
        const limits = [LAST_24BIT, LAST_32BIT, LAST_32BIT, LAST_39BIT, SPACE.lastPfn];
        shadow.allocate(pick(1, pick(0, 9) === 0 ? 600 : 20), limits[pick(0, 4)]!);
      } else if (chance < 96) {
        if (shadow.live.length > 0) shadow.freeAt(pick(0, shadow.live.length - 1));
      } else {
        const first = pick(1, 0x1200);
        const piece = { first, last: first + pick(0, 40) };
        const taken = [...shadow.allocated(), ...listing(allocator).cached];
        if (!taken.some((other) => meets(other, piece))) shadow.reserve(piece.first, piece.last);
        const merged = shadow.reserved[pick(0, shadow.reserved.length - 1)]!;
        if (merged.last < MSI.first && pick(0, 1) === 1) {
          const low = pick(merged.first, merged.last);
          shadow.unreserve(low, pick(low, merged.last));
        }
      }
      if (step % 50 === 0) shadow.compare();
    }
    return shadow.complaints;
  },
};

const drain: Check = {
  title: 'after everything is freed nothing is lost: the largest range can be had again',
  complaints(create, traits) {
    const fresh = () => {
      const allocator = create();
      allocator.reserve(MSI.first, MSI.last);
      return allocator;
    };
    let largest = 2 ** 20;
    while (largest > 1 && allocate(fresh(), largest, LAST_32BIT) === NO_PFN) largest /= 2;
    if (largest < Math.min(2 ** 18, traits.longestPages))
      return [`a fresh space below 4 GiB gives no more than ${largest} pages at once`];
    return [1, 2, 3].flatMap((seed) => {
      const allocator = fresh();
      const shadow = new Shadow(allocator, traits);
      shadow.reserved = union([...shadow.reserved, MSI]);
      const pick = random(seed);
      for (let step = 0; step < 1500; step++) {
        if (pick(0, 2) > 0) shadow.allocate(pick(1, Math.min(1000, traits.longestPages)), LAST_32BIT);
        else if (shadow.live.length > 0) shadow.freeAt(pick(0, shadow.live.length - 1));
      }
      if (shadow.live.length < 100) shadow.complain('the history filled nothing');
      while (shadow.live.length > 0) shadow.freeAt(pick(0, shadow.live.length - 1));
      shadow.compare();
      if (allocate(allocator, largest, LAST_32BIT) === NO_PFN) shadow.complain(`${largest} pages no longer fit`);
      return shadow.complaints;
    });
  },
};

const exhaustion: Check = {
  title: 'a full space refuses, a free makes room again, and holes apart do not add up',
  complaints(create, traits) {
    const { allocator, shadow } = cornered(create, traits, 0x8000, 64);
    let taken = 0;
    while (shadow.allocate(1, LAST_32BIT) !== NO_PFN && taken <= 64) taken++;
    if (taken !== 64) shadow.complain(`64 pages free, ${taken} handed out`);
    shadow.compare();
    const together = (traits.freedTogether ?? 1) > 1;
    if (together) {
      shadow.freeAt(0);
      if (shadow.allocate(1, LAST_32BIT) !== NO_PFN) shadow.complain('a page came back before the others of its chunk');
      while (shadow.live.length > 0) shadow.freeAt(0);
      while (shadow.allocate(1, LAST_32BIT) !== NO_PFN && shadow.live.length <= 64);
      if (shadow.live.length !== 64) shadow.complain(`64 pages freed, ${shadow.live.length} handed out again`);
    }
    for (const index of together ? [] : [0, 63, 30, 5]) {
      if (shadow.live[index] === undefined) continue;
      const { pfn } = shadow.live[index];
      shadow.freeAt(index);
      const again = shadow.allocate(1, LAST_32BIT);
      if (again !== pfn) shadow.complain(`${hex(pfn)} is the only free page, got ${hex(again)}`);
    }
    while (shadow.live.length > 0) shadow.freeAt(0);
    for (let count = 0; count < 16; count++) shadow.allocate(4, LAST_32BIT);
    // Without alignment the cursor may cut a range of 4 in two; the last of 16 holes is an exact one.
    if (shadow.live.length < (traits.aligned && !traits.refusesExactHoles ? 16 : 15))
      shadow.complain(`64 pages free, ${shadow.live.length} times 4 handed out`);
    const odd = shadow.live.toSorted((a, b) => a.pfn - b.pfn).filter((_, nth) => nth % 2 === 1);
    for (const range of odd) shadow.freeAt(shadow.live.indexOf(range));
    if (shadow.allocate(8, LAST_32BIT) !== NO_PFN) shadow.complain('8 pages out of holes of 4');
    const fits = shadow.allocate(4, LAST_32BIT) !== NO_PFN;
    if (fits && traits.refusesExactHoles) shadow.complain('4 pages in a hole of 4, which it says it refuses');
    if (!fits && !traits.refusesExactHoles) shadow.complain('4 pages do not fit a hole of 4');
    if (allocator.allocate(2 ** 20, LAST_32BIT) !== NO_PFN) shadow.complain('2^20 pages out of a full space');
    shadow.compare();
    return shadow.complaints;
  },
};

const nthChance: Check = {
  title: 'running out at the first, second or third chance changes nothing that can be seen',
  complaints(create, traits) {
    return [0, 1, 2, 3].flatMap((chances) => {
      const allocator = create();
      const shadow = new Shadow(allocator, traits);
      if (chances === 0) {
        shadow.reserve(1, LAST_32BIT);
      } else {
        shadow.reserve(1, 0x8fff);
        shadow.reserve(0x9000 + chances, LAST_32BIT);
      }
      for (let count = 0; count < chances; count++) {
        if (shadow.allocate(1, LAST_32BIT) === NO_PFN) shadow.complain(`refused with ${chances - count} pages free`);
      }
      for (let attempt = 0; attempt < 2; attempt++) {
        if (shadow.allocate(1, LAST_32BIT) !== NO_PFN) shadow.complain(`a page beyond the last of ${chances}`);
        shadow.compare();
      }
      if (chances > 0) {
        shadow.freeAt(0);
        if (shadow.allocate(1, LAST_32BIT) === NO_PFN) shadow.complain('refused after a free');
        shadow.compare();
      }
      return shadow.complaints;
    });
  },
};

const reservations: Check = {
  title: 'reserved ranges merge, part of one can be given back, and what is given back can be allocated',
  complaints(create, traits) {
    const allocator = create();
    const shadow = new Shadow(allocator, traits);
    shadow.reserve(0x100, 0x1ff);
    shadow.reserve(0x180, 0x27f);
    shadow.reserve(0x80, 0x120);
    shadow.reserve(0x90, 0xa0);
    shadow.reserve(0x300, 0x3ff);
    shadow.reserve(0x70, 0x410);
    shadow.compare();
    shadow.unreserve(0x1f0, 0x210);
    shadow.unreserve(0x70, 0x7f);
    shadow.unreserve(0x400, 0x410);
    shadow.compare();
    // Above what a bitmap of 4 GiB covers: known all the same, for the sake of `overlaps`.
    shadow.reserve(0x1000000, 0x10000ff);
    shadow.reserve(LAST_32BIT - 3, LAST_32BIT + 4);
    shadow.compare();
    shadow.unreserve(0x1000010, 0x100001f);
    shadow.unreserve(LAST_32BIT, LAST_32BIT + 1);
    shadow.compare();

    const full = create();
    const inFull = new Shadow(full, traits);
    inFull.reserve(1, LAST_32BIT);
    if (inFull.allocate(4, LAST_32BIT) !== NO_PFN) inFull.complain('4 pages out of a space reserved as a whole');
    for (const first of [0x9000, 0x9100, 0x8000]) {
      // An exact hole, or with what is kept to align in it.
      const spare = traits.refusesExactHoles ? 3 : 0;
      inFull.unreserve(first, first + 3 + spare);
      const pfn = inFull.allocate(4, LAST_32BIT);
      if (pfn !== first) inFull.complain(`gave back ${hex(first)}, then got ${hex(pfn)}`);
      for (let page = 0; page < spare; page++) inFull.allocate(1, LAST_32BIT);
      if (inFull.allocate(1, LAST_32BIT) !== NO_PFN) inFull.complain('more than was given back');
    }
    inFull.compare();
    return [...shadow.complaints, ...inFull.complaints];
  },
};

/** Half the space below 4 GiB: fits there only while the interrupt window is not reserved. */
const HALF = 2 ** 19;
const ACTIONS = ['page', 'half', 'high page', 'free lowest', 'free highest', 'window'] as const;

/** Every sequence of up to `stepsLast` actions. */
function histories(stepsLast: number): (typeof ACTIONS)[number][][] {
  if (stepsLast === 0) return [[]];
  const shorter = histories(stepsLast - 1);
  const longest = shorter.filter((history) => history.length === stepsLast - 1);
  return [...shorter, ...longest.flatMap((history) => ACTIONS.map((action) => [...history, action]))];
}

/** Carries a history out; actions that have nothing to act on do nothing. */
function follow(allocator: IovaAllocator, history: (typeof ACTIONS)[number][]): void {
  const live: { pfn: number; pages: number }[] = [];
  let reserved = false;
  for (const action of history) {
    if (action === 'window') {
      if (reserved) allocator.unreserve(MSI.first, MSI.last);
      else if (!allocator.overlaps(MSI.first, MSI.last)) allocator.reserve(MSI.first, MSI.last);
      else continue;
      reserved = !reserved;
    } else if (action === 'free lowest' || action === 'free highest') {
      live.sort((a, b) => a.pfn - b.pfn);
      const range = action === 'free lowest' ? live.shift() : live.pop();
      if (range !== undefined) allocator.free(range.pfn, range.pages);
    } else {
      const pages = action === 'half' ? HALF : 1;
      const pfn = allocate(allocator, pages, action === 'high page' ? SPACE.lastPfn : LAST_32BIT);
      if (pfn !== NO_PFN) live.push({ pfn, pages });
    }
  }
}

/** What an allocator does from here on, as text. */
function future(allocator: IovaAllocator): string {
  const words: string[] = [];
  const probe = (pages: number, limit: number) => {
    const pfn = allocate(allocator, pages, limit);
    words.push(`${hex(pfn)}/${allocator.lastNodesVisited}/${allocator.lastWordsScanned}`);
    return pfn;
  };
  probe(HALF, LAST_32BIT);
  const one = probe(1, LAST_32BIT);
  probe(1, SPACE.lastPfn);
  // A limit so low that a cursor has to wrap.
  probe(1, 3);
  if (one !== NO_PFN) allocator.free(one, 1);
  probe(3, LAST_32BIT);
  probe(2 ** 18, LAST_32BIT);
  return words.join(' ');
}

const digest: Check = {
  title:
    'the digest is the same for the same history, another after a change, and holds all that the future depends on',
  complaints(create) {
    const complaints: string[] = [];
    const [a, b] = [create(), create()];
    const seen = new Set<string>([digestOf(a)]);
    const changes: [string, (allocator: IovaAllocator) => void][] = [
      ['reserving', (allocator) => allocator.reserve(MSI.first, MSI.last)],
      ['allocating', (allocator) => void allocate(allocator, 1, LAST_32BIT)],
      ['allocating more', (allocator) => void allocate(allocator, 8, LAST_32BIT)],
      ['allocating above 4 GiB', (allocator) => void allocate(allocator, 2, SPACE.lastPfn)],
      ['unreserving a part', (allocator) => allocator.unreserve(MSI.first + 1, MSI.first + 2)],
    ];
    for (const [what, change] of changes) {
      change(a);
      if (seen.has(digestOf(a))) complaints.push(`${what} leaves the digest as it was`);
      change(b);
      if (digestOf(a) !== digestOf(b)) complaints.push(`${what} twice gives two digests`);
      seen.add(digestOf(a));
    }
    const before = digestOf(a);
    a.overlaps(0, LAST_32BIT);
    a.forEachRange(() => {}, Infinity);
    const shown = a.inspect();
    if (JSON.stringify(JSON.parse(JSON.stringify(shown))) !== JSON.stringify(shown)) {
      complaints.push('inspect() shows what JSON cannot hold');
    }
    if (Object.values(shown).some((value) => typeof value === 'number' && !Number.isFinite(value))) {
      complaints.push('inspect() shows a number that JSON cannot hold');
    }
    if (digestOf(a) !== before) complaints.push('looking inside leaves a trace');

    const futures = new Map<string, { future: string; history: string }>();
    for (const history of histories(4)) {
      const allocator = create();
      follow(allocator, history);
      const key = digestOf(allocator);
      const found = future(allocator);
      const known = futures.get(key);
      if (known === undefined) futures.set(key, { future: found, history: history.join(', ') });
      else if (known.future !== found && complaints.length < COMPLAINTS_LAST) {
        complaints.push(
          `one digest, two futures: after (${known.history}) ${known.future}; after (${history}) ${found}`,
        );
      }
    }
    return complaints;
  },
};

const suspension: Check = {
  title: 'a small step budget suspends and resumes without a difference in results, counts or digest',
  complaints(create) {
    const complaints: string[] = [];
    for (const budget of [1, 3, 17]) {
      const [whole, sliced] = [create(), create()];
      sliced.budget = budget;
      // Pages in the way of ranges too long for a cache: tree searches that walk.
      for (let first = LAST_32BIT - 40; first > LAST_32BIT - 2000; first -= 40) {
        whole.reserve(first, first);
        sliced.reserve(first, first);
      }
      const pick = random(budget);
      const live: { pfn: number; pages: number }[] = [];
      const [wholeTotals, slicedTotals] = [
        { nodes: 0, words: 0 },
        { nodes: 0, words: 0 },
      ];
      for (let step = 0; step < 2000 && complaints.length < COMPLAINTS_LAST; step++) {
        const where = `budget ${budget}, step ${step}`;
        if (pick(0, 99) < 55 || live.length === 0) {
          const pages = pick(0, 7) === 0 ? pick(33, 60) : pick(1, 12);
          const limit = [LAST_24BIT, LAST_32BIT, SPACE.lastPfn][pick(0, 2)]!;
          const expected = whole.allocate(pages, limit);
          if (expected === SUSPENDED) complaints.push(`${where}: suspended without a budget`);
          let got: number;
          const nodesBefore = sliced.nodesVisited;
          do {
            const before = sliced.nodesVisited;
            got = sliced.allocate(pages, limit);
            const steps = sliced.nodesVisited - before;
            if (steps > budget) complaints.push(`${where}: ${steps} steps in one call`);
            const soFar = sliced.nodesVisited - nodesBefore;
            if (sliced.lastNodesVisited !== soFar) {
              complaints.push(`${where}: lastNodesVisited ${sliced.lastNodesVisited} after ${soFar} steps`);
            }
          } while (got === SUSPENDED && complaints.length < COMPLAINTS_LAST);
          if (got !== expected) complaints.push(`${where}: ${hex(got)} instead of ${hex(expected)}`);
          for (const [allocator, totals] of [[whole, wholeTotals] as const, [sliced, slicedTotals] as const]) {
            totals.nodes += allocator.lastNodesVisited;
            totals.words += allocator.lastWordsScanned;
            if (allocator.nodesVisited !== totals.nodes || allocator.wordsScanned !== totals.words) {
              complaints.push(`${where}: the counters are not the sum of the single attempts`);
            }
          }
          if (expected !== NO_PFN) live.push({ pfn: expected, pages });
        } else {
          const [range] = live.splice(pick(0, live.length - 1), 1);
          whole.free(range!.pfn, range!.pages);
          sliced.free(range!.pfn, range!.pages);
        }
        if (wholeTotals.nodes !== slicedTotals.nodes || wholeTotals.words !== slicedTotals.words) {
          complaints.push(`${where}: the counters differ`);
        }
      }
      if (digestOf(whole) !== digestOf(sliced)) complaints.push(`budget ${budget}: the digests differ`);
    }
    return complaints;
  },
};

export const allocatorChecks: Check[] = [randomHistory, drain, exhaustion, nthChance, reservations, digest, suspension];
