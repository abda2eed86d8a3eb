import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_PFN } from '../../../src/core/os/iova/allocator.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { Bitmap, NOT_FOUND } from '../../../src/core/sim/bitmap.ts';

function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

/** The search bit by bit; every bit looked at is noted, and the words are counted from those notes. */
function naiveArea(bits: boolean[], size: number, from: number, count: number, align: number) {
  const looked = new Set<number>();
  const isSet = (index: number) => {
    looked.add(Math.floor(index / 64));
    return bits[index];
  };
  let start = from;
  for (;;) {
    while (start < size && isSet(start)) start++;
    let index = start;
    while (index % align !== 0) index++;
    if (index + count > size) return { index: NOT_FOUND, words: looked.size };
    let obstacle = index;
    while (obstacle < index + count && !isSet(obstacle)) obstacle++;
    if (obstacle === index + count) return { index, words: looked.size };
    start = obstacle + 1;
  }
}

describe('the bitmap', () => {
  it('finds the same areas as a bit by bit search and counts the same words', () => {
    const random = numbers(1);
    let found = 0;
    let missed = 0;
    for (let round = 0; round < 400; round++) {
      const length = 1 + random(700);
      const bitmap = new Bitmap(length);
      const bits: boolean[] = new Array(length).fill(false);
      // From nearly empty to nearly full.
      const fills = random(60);
      for (let i = 0; i < fills; i++) {
        const from = random(length);
        const count = 1 + random(Math.min(random(4) === 0 ? 150 : 20, length - from));
        const on = random(4) !== 0;
        if (on) bitmap.set(from, count);
        else bitmap.clear(from, count);
        bits.fill(on, from, from + count);
      }
      for (let i = 0; i < length; i++) assert.equal(bitmap.isSet(i, 1), bits[i]);
      const highest = bits.lastIndexOf(true);
      assert.equal(bitmap.wordsInUse(), highest < 0 ? 0 : Math.floor(highest / 32) + 1);
      for (let i = 0; i < 40; i++) {
        const size = random(4) === 0 ? random(length + 1) : length;
        const from = random(length + 10);
        const count = random(3) === 0 ? 1 : 1 + random(130);
        const align = random(8) === 0 ? 1 : 2 ** Math.ceil(Math.log2(count));
        const expected = naiveArea(bits, size, from, count, align);
        const before = bitmap.wordsScanned;
        const index = bitmap.findArea(size, from, count, align - 1);
        assert.deepEqual({ index, words: bitmap.wordsScanned - before }, expected);
        if (index === NOT_FOUND) missed++;
        else found++;
      }
    }
    assert.ok(found > 1_000 && missed > 1_000, `${found} found, ${missed} missed`);
  });

  it('looks up the next set and the next clear bit, and whole runs', () => {
    const bitmap = new Bitmap(200);
    bitmap.set(31, 34);
    assert.equal(bitmap.nextSet(0, 200), 31);
    assert.equal(bitmap.nextSet(0, 31), 31, 'none below the end: the end');
    assert.equal(bitmap.nextZero(31, 200), 65);
    assert.equal(bitmap.nextZero(40, 60), 60);
    assert.equal(bitmap.nextSet(65, 200), 200);
    assert.equal(bitmap.isSet(31, 34), true);
    assert.equal(bitmap.isSet(31, 35), false);
    assert.equal(bitmap.isSet(30, 34), false);
    assert.equal(bitmap.isSet(2 ** 7 - 1, 1), false);
  });
});

describe('the bitmap allocator', () => {
  const LAST_PFN = 2 ** 36 - 1;
  /** The smallest aperture: 256 entries, of which entry 0 and the last are never handed out. */
  function small(onWrap: (() => void) | null = null) {
    return allocators.bitmap.create({
      lastPfn: LAST_PFN,
      maskLastPfn: LAST_PFN,
      parameters: { kind: 'bitmap', apertureBytes: 2 ** 20 },
      onWrap,
    });
  }
  function ranges(allocator: ReturnType<typeof small>, limit = 100): [number, number, string][] {
    const found: [number, number, string][] = [];
    allocator.forEachRange((first, last, reserved) => found.push([first, last, reserved ? 'reserved' : 'live']), limit);
    return found;
  }

  it('moves its cursor behind each allocation and not at a free', () => {
    const allocator = small();
    assert.deepEqual(
      [1, 3, 1].map((pages) => allocator.allocate(pages, LAST_PFN)),
      [1, 4, 7],
    );
    allocator.free(4, 3);
    assert.equal(allocator.inspect().cursorPfn, 8);
    assert.equal(allocator.allocate(1, LAST_PFN), 8);
    assert.equal(allocator.lastWordsScanned, 1);
  });

  it('never hands out page 0 or the last entry, and announces the wrap before it searches from 0', () => {
    const wraps: number[] = [];
    const allocator = small(() => wraps.push(allocator.liveRanges));
    for (let pfn = 1; pfn <= 254; pfn++) assert.equal(allocator.allocate(1, LAST_PFN), pfn);
    assert.deepEqual(wraps, []);
    assert.equal(allocator.allocate(1, LAST_PFN), NO_PFN);
    assert.deepEqual(wraps, [254], 'a failing attempt has wrapped too');
    assert.equal(allocator.lastWordsScanned, 4);
    allocator.free(9, 1);
    assert.equal(allocator.allocate(1, LAST_PFN), 9);
    assert.equal(wraps.length, 2);
    assert.equal(allocator.inspect().cursorPfn, 10);
  });

  it('is as small as aperture, domain width and mask allow, and obeys a lower limit', () => {
    const narrow = (lastPfn: number, maskLastPfn: number) =>
      allocators.bitmap.create({ lastPfn, maskLastPfn, parameters: { apertureBytes: 2 ** 32 }, onWrap: null });
    assert.equal(narrow(LAST_PFN, LAST_PFN).inspect().entries, 2 ** 20);
    assert.equal(narrow(2 ** 18 - 1, LAST_PFN).inspect().entries, 2 ** 18);
    assert.equal(narrow(LAST_PFN, 2 ** 12 - 1).inspect().entries, 2 ** 12);
    const allocator = small();
    for (let pfn = 1; pfn <= 14; pfn++) assert.equal(allocator.allocate(1, 15), pfn);
    assert.equal(allocator.allocate(1, 15), NO_PFN, 'the last slot of the lower limit is not used either');
    assert.equal(allocator.allocate(1, 16), 15);
  });

  it('tells reservations from allocations, also beyond the aperture, and returns them exactly', () => {
    const allocator = small();
    allocator.reserve(4, 7);
    allocator.reserve(6, 9);
    allocator.reserve(250, 300);
    allocator.reserve(2 ** 35, 2 ** 35 + 3);
    assert.deepEqual(
      [1, 1, 2].map((pages) => allocator.allocate(pages, LAST_PFN)),
      [1, 2, 10],
    );
    assert.deepEqual(ranges(allocator), [
      [1, 2, 'live'],
      [4, 9, 'reserved'],
      [10, 11, 'live'],
      [250, 300, 'reserved'],
      [2 ** 35, 2 ** 35 + 3, 'reserved'],
    ]);
    assert.deepEqual(ranges(allocator, 2).length, 2);
    assert.equal(allocator.overlaps(12, 249), false);
    assert.equal(allocator.overlaps(11, 249), true);
    assert.equal(allocator.overlaps(301, 2 ** 35), true);
    assert.equal(allocator.overlaps(0, 0), false, 'page 0 is out of circulation, not taken');
    allocator.unreserve(5, 280);
    allocator.unreserve(2 ** 35 + 1, 2 ** 35 + 1);
    assert.deepEqual(ranges(allocator), [
      [1, 2, 'live'],
      [4, 4, 'reserved'],
      [10, 11, 'live'],
      [281, 300, 'reserved'],
      [2 ** 35, 2 ** 35, 'reserved'],
      [2 ** 35 + 2, 2 ** 35 + 3, 'reserved'],
    ]);
    assert.throws(() => allocator.free(5, 1), /not handed out/);
  });

  it('keeps page 0 back after it was reserved and returned', () => {
    const allocator = small();
    allocator.reserve(0, 3);
    assert.deepEqual(ranges(allocator), [[0, 3, 'reserved']]);
    allocator.unreserve(0, 3);
    assert.deepEqual(ranges(allocator), []);
    assert.equal(allocator.allocate(1, LAST_PFN), 1);
  });
});
