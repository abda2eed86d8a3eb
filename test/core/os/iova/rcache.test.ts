/**
 * The magazines step by step, worked by hand from the rules in the head of `rcache.ts`, which are those of Linux
 * `drivers/iommu/iova.c`.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type IovaAllocator, NO_PFN, RANGE, SUSPENDED } from '../../../../src/core/os/iova/allocator.ts';
import { AllocatorCall, NO_LOCK, STEP } from '../../../../src/core/os/iova/call.ts';
import { rcache } from '../../../../src/core/os/iova/rcache.ts';
import { digestOf } from '../../../conformance/allocator.ts';

const LAST_32BIT = 0xfffff;
const LAST_48BIT = 2 ** 36 - 1;

interface Made {
  allocator: IovaAllocator;
  call: AllocatorCall;
  /** Classes whose worker was armed and has not run. */
  armed: number[];
}

function create(parameters: Record<string, unknown> = {}, cpus = 1): Made {
  const call = new AllocatorCall();
  const armed: number[] = [];
  const allocator = rcache.create({
    lastPfn: LAST_48BIT,
    maskLastPfn: LAST_48BIT,
    parameters: { ...rcache.defaults, ...parameters },
    call,
    cpus,
    arm: (delayPs, token) => {
      assert.equal(delayPs, 1e11, '100 ms');
      armed.push(token);
    },
    onWrap: null,
  });
  return { allocator, call, armed };
}

/** Single pages straight from the tree. */
const singles = (allocator: IovaAllocator, count: number, limit = LAST_32BIT): number[] =>
  Array.from({ length: count }, () => allocator.allocate(1, limit));

const stepNames = Object.keys(STEP);
/** Steps of the last call as text: name, lock, times. */
function steps(call: AllocatorCall): string[] {
  return Array.from(
    { length: call.count },
    (_, i) => `${stepNames[call.stepAt(i)]} ${call.lockAt(i)} ${call.timesAt(i)}`,
  );
}

function cachedRanges(allocator: IovaAllocator): number[] {
  const found: number[] = [];
  allocator.forEachRange((first, _last, state) => {
    if (state === RANGE.cached) found.push(first);
  }, Infinity);
  return found;
}

describe('size classes', () => {
  test('fewer than 32 pages are rounded up, 32 and more are as they are, 33 and more bypass the cache', () => {
    const { allocator, call } = create();
    const pfns = [1, 3, 5, 17, 32, 33].map((pages) => allocator.allocate(pages, LAST_32BIT));
    assert.deepEqual(
      pfns.map((pfn) => pfn.toString(16)),
      ['fffff', 'ffff8', 'ffff0', 'fffc0', 'fffa0', 'fff40'],
    );
    assert.equal(allocator.livePages, 1 + 4 + 8 + 32 + 32 + 33);
    assert.equal(call.counters.cacheBypasses, 1);
    allocator.free(pfns[5]!, 33);
    assert.equal(allocator.cachedRanges, 0);
    assert.ok(!allocator.overlaps(pfns[5]!, pfns[5]! + 32));
    allocator.free(pfns[3]!, 17);
    assert.equal(allocator.cachedPages, 32);
    assert.ok(allocator.overlaps(pfns[3]! + 31, pfns[3]! + 31), 'the tree knows nothing of the free');
    // Freed as 17, taken as 32: the same class.
    assert.equal(allocator.allocate(32, LAST_32BIT), pfns[3]);
  });

  test('with maxOrder 7 fewer than 64 are rounded and 64 is still cached', () => {
    const { allocator, call } = create({ maxOrder: 7 });
    const pfn = allocator.allocate(33, LAST_32BIT);
    assert.equal(allocator.livePages, 64);
    allocator.free(pfn, 33);
    assert.equal(allocator.allocate(64, LAST_32BIT), pfn);
    assert.equal(allocator.ownHits! + call.counters.cacheHits, 1);
    allocator.allocate(65, LAST_32BIT);
    assert.equal(allocator.livePages, 64 + 65);
    assert.equal(call.counters.cacheBypasses, 1);
  });
});

describe('get and put', () => {
  test('hits and misses are counted by class: at once, from elsewhere, on every CPU', () => {
    const { allocator, call } = create({}, 2);
    const counts = () => (allocator.inspect().classes as { hits: number; misses: number }[])[0]!;
    const [high, low] = singles(allocator, 2) as [number, number];
    assert.deepEqual([counts().hits, counts().misses], [0, 2]);
    allocator.free(low, 1);
    allocator.free(high, 1);
    // The newest is beyond the limit, so the one below it comes by the scan; the other comes at once.
    assert.equal(allocator.allocate(1, high - 1), low);
    assert.equal(allocator.allocate(1, LAST_32BIT), high);
    assert.deepEqual([counts().hits, counts().misses], [2, 2]);
    call.cpu = 1;
    allocator.free(high, 1);
    assert.equal(allocator.allocate(1, LAST_32BIT), high);
    assert.deepEqual([counts().hits, counts().misses, allocator.ownHits, call.counters.cacheHits], [3, 2, 2, 1]);
  });

  test('the newest range first', () => {
    const { allocator } = create();
    const [a, b, c] = singles(allocator, 3) as [number, number, number];
    for (const pfn of [b, a, c]) allocator.free(pfn, 1);
    assert.deepEqual(singles(allocator, 3), [c, a, b]);
  });

  test('a full loaded magazine changes places with prev, then goes to the depot; empty ones come back in that order', () => {
    const { allocator, armed, call } = create({ magazineEntries: 2 });
    const [a, b, c, d, e] = singles(allocator, 5) as [number, number, number, number, number];
    for (const pfn of [a, b, c, d]) allocator.free(pfn, 1);
    assert.deepEqual(allocator.inspect().magazines, [{ cpu: 0, pages: 1, loaded: 2, prev: 2 }]);
    assert.equal(allocator.depotMagazines, 0);
    allocator.free(e, 1);
    assert.deepEqual(allocator.inspect().magazines, [{ cpu: 0, pages: 1, loaded: 1, prev: 2 }]);
    assert.equal(allocator.depotMagazines, 1);
    assert.deepEqual(armed, [0]);
    // [e] loaded, [a b] prev, [c d] in the depot.
    assert.deepEqual(singles(allocator, 3), [e, b, a]);
    assert.equal(call.counters.depotGets, 0);
    assert.deepEqual(singles(allocator, 2), [d, c]);
    assert.equal(call.counters.depotGets, 1);
    assert.deepEqual([allocator.ownHits! + call.counters.cacheHits, call.counters.cacheMisses], [5, 5]);
  });

  test('the scan from the top takes what the limit allows, and the last one fills the hole', () => {
    const { allocator } = create();
    const [low, lower] = singles(allocator, 2) as [number, number];
    const high = singles(allocator, 2, LAST_48BIT);
    for (const pfn of [low, high[0]!, lower, high[1]!]) allocator.free(pfn, 1);
    assert.equal(allocator.allocate(1, LAST_32BIT), lower);
    // Now low, high 0, high 1: the top went where `lower` was.
    assert.deepEqual(singles(allocator, 2, LAST_48BIT), [high[1], high[0]]);
    assert.equal(allocator.allocate(1, LAST_32BIT), low);
  });

  test('a range that ends exactly at the limit qualifies, one page less does not', () => {
    const { allocator } = create();
    const pfn = allocator.allocate(4, LAST_32BIT);
    allocator.free(pfn, 4);
    const other = allocator.allocate(3, pfn + 2);
    assert.ok(other !== pfn && other !== NO_PFN);
    assert.equal(allocator.allocate(3, pfn + 3), pfn);
  });

  test('when the loaded magazine has nothing suitable, neither prev nor the depot is asked', () => {
    const { allocator, call } = create({ magazineEntries: 1 });
    const [low, lower] = singles(allocator, 2) as [number, number];
    const [high] = singles(allocator, 1, LAST_48BIT);
    // Lower to the depot, low in prev, high loaded.
    for (const pfn of [low, lower, high!]) allocator.free(pfn, 1);
    assert.equal(allocator.depotMagazines, 1);
    const { cacheMisses } = call.counters;
    const pfn = allocator.allocate(1, LAST_32BIT);
    assert.ok(![low, lower, high].includes(pfn));
    assert.equal(call.counters.cacheMisses, cacheMisses + 1);
    assert.equal(allocator.cachedRanges, 3);
  });

  test('each CPU has magazines of its own, and the depot is shared', () => {
    const { allocator, call } = create({ magazineEntries: 1 }, 2);
    const [a, b, c] = singles(allocator, 3) as [number, number, number];
    call.cpu = 1;
    for (const pfn of [a, b, c]) allocator.free(pfn, 1);
    // CPU 1 has c loaded and a in prev; b is in the depot.
    call.cpu = 0;
    assert.equal(allocator.allocate(1, LAST_32BIT), b);
    const fresh = allocator.allocate(1, LAST_32BIT);
    assert.ok(![a, b, c].includes(fresh), 'what CPU 1 holds is out of reach');
    call.cpu = 1;
    assert.deepEqual(singles(allocator, 2), [c, a]);
  });
});

describe('the depot', () => {
  test('trimmed: a worker waits once, frees the newest magazine of more than there are CPUs, and goes on', () => {
    const { allocator, armed, call } = create({ magazineEntries: 1 });
    const [a, b, c, d] = singles(allocator, 4) as [number, number, number, number];
    for (const pfn of [a, b, c, d]) allocator.free(pfn, 1);
    assert.equal(allocator.depotMagazines, 2);
    assert.deepEqual(armed, [0], 'not armed again while it waits');
    armed.length = 0;
    call.count = 0;
    allocator.timer!(0);
    assert.deepEqual(armed, [0]);
    assert.deepEqual(steps(call), ['depotMove 1 1', 'treeRemove 0 1']);
    assert.ok(!allocator.overlaps(c, c), 'the newest in the depot');
    assert.deepEqual(cachedRanges(allocator), [d, b, a]);
    armed.length = 0;
    allocator.timer!(0);
    assert.deepEqual(armed, [], 'one magazine for one CPU may stay');
    assert.equal(allocator.depotMagazines, 1);
    assert.equal(call.counters.depotFrees, 1);
  });

  test('each class has a worker of its own', () => {
    const { allocator, armed } = create({ magazineEntries: 1 });
    for (const pages of [1, 4]) {
      const pfns = Array.from({ length: 3 }, () => allocator.allocate(pages, LAST_32BIT));
      for (const pfn of pfns) allocator.free(pfn, pages);
    }
    assert.deepEqual(armed, [0, 2]);
  });

  test('fixed: what its places do not hold goes to the tree at once, and no worker is armed', () => {
    const { allocator, armed, call } = create({ magazineEntries: 1, depot: 'fixed', depotMax: 1 });
    const [a, b, c, d] = singles(allocator, 4) as [number, number, number, number];
    for (const pfn of [a, b, c]) allocator.free(pfn, 1);
    call.count = 0;
    allocator.free(d, 1);
    assert.deepEqual(steps(call), [`cacheFree ${NO_LOCK} 1`, 'depotMove 1 0', 'treeRemove 0 1']);
    assert.ok(!allocator.overlaps(c, c));
    assert.deepEqual(cachedRanges(allocator), [d, b, a]);
    assert.equal(allocator.depotMagazines, 1);
    assert.deepEqual([call.counters.depotPuts, call.counters.depotFrees], [1, 1]);
    assert.deepEqual(armed, []);
  });
});

describe('when the tree has nothing', () => {
  /** Four free pages, all of which CPU 1 holds: one in the depot, one in each magazine, one live. */
  function full(parameters: Record<string, unknown> = {}) {
    const made = create({ magazineEntries: 1, ...parameters }, 2);
    const { allocator, call } = made;
    allocator.reserve(1, 0x7fff);
    allocator.reserve(0x8004, LAST_48BIT);
    const pfns = singles(allocator, 4);
    call.cpu = 1;
    for (const pfn of pfns.slice(1)) allocator.free(pfn, 1);
    call.cpu = 0;
    return { ...made, pfns };
  }

  test('an attempt that is not the last one fails and leaves the caches alone', () => {
    const { allocator, call } = full();
    call.lastAttempt = false;
    assert.equal(allocator.allocate(2, LAST_32BIT), NO_PFN);
    assert.equal(allocator.cachedRanges, 3);
  });

  test('the last one empties every CPU and depot and searches once more', () => {
    const { allocator, call } = full();
    call.count = 0;
    assert.equal(allocator.allocate(2, LAST_32BIT), 0x8000);
    assert.equal(allocator.cachedRanges, 0);
    assert.equal(allocator.depotMagazines, 0);
    assert.equal(call.counters.cacheFlushes, 1);
    assert.deepEqual(steps(call), [
      // Nothing of two pages here; the depot's lock is taken to see that there is none either.
      `cacheAllocate ${NO_LOCK} 1`,
      'depotMove 2 0',
      // From 8000 to the reservation below; then, above 8000, over the reservation on top and 8003.
      'treeSearch 0 3',
      'depotMove 1 1',
      'depotMove 2 0',
      'depotMove 3 0',
      'depotMove 4 0',
      'depotMove 5 0',
      'depotMove 6 0',
      'treeRemove 0 3',
      `cacheFree ${NO_LOCK} 0`,
      // The frees have put the cached node at 8003, right above the hole.
      'treeSearch 0 0',
    ]);
  });

  test('it searches again even if there was nothing to give back', () => {
    const { allocator, call } = create();
    allocator.reserve(1, LAST_48BIT);
    assert.equal(allocator.allocate(1, LAST_32BIT), NO_PFN);
    assert.equal(call.counters.cacheFlushes, 1);
    assert.equal(steps(call).filter((step) => step.startsWith('treeSearch')).length, 2);
  });

  test('over the gap tree as well, where two pages want a gap of three', () => {
    const { allocator } = full({ tree: 'maple' });
    assert.equal(allocator.allocate(2, LAST_32BIT), 0x8000);
  });

  test('a search that is suspended on the way, before or after the flush, does it all once', () => {
    for (const budget of [1, 2]) {
      const whole = full();
      const sliced = full();
      sliced.allocator.budget = budget;
      const expected = whole.allocator.allocate(2, LAST_32BIT);
      let suspensions = 0;
      let pfn: number;
      while ((pfn = sliced.allocator.allocate(2, LAST_32BIT)) === SUSPENDED) suspensions++;
      assert.equal(pfn, expected);
      assert.ok(suspensions > 0);
      assert.equal(sliced.allocator.lastNodesVisited, whole.allocator.lastNodesVisited);
      assert.deepEqual({ ...sliced.call.counters }, { ...whole.call.counters });
      assert.equal(digestOf(sliced.allocator), digestOf(whole.allocator));
    }
  });
});

describe('the digest', () => {
  const history = (allocator: IovaAllocator, call: AllocatorCall, cpu: number, order: number[]) => {
    const pfns = singles(allocator, 3);
    call.cpu = cpu;
    for (const i of order) allocator.free(pfns[i]!, 1);
  };

  test('tells whose magazine a range lies in, where in it, and whether a worker waits', () => {
    const seen = new Set<string>();
    for (const [cpu, order] of [
      [0, [0, 1]],
      [1, [0, 1]],
      [0, [1, 0]],
    ] as const) {
      const { allocator, call } = create({}, 2);
      history(allocator, call, cpu, [...order]);
      seen.add(digestOf(allocator));
    }
    assert.equal(seen.size, 3);
    const { allocator, call } = create({ magazineEntries: 1 }, 2);
    history(allocator, call, 0, [0, 1, 2]);
    const waiting = digestOf(allocator);
    allocator.timer!(0);
    assert.notEqual(digestOf(allocator), waiting);
  });

  test('does not tell an empty magazine from one that was never used', () => {
    const [used, fresh] = [create(), create()];
    for (const { allocator } of [used, fresh]) singles(allocator, 1);
    const magazines = ({ allocator }: Made) => allocator.inspect().magazines;
    const pfn = LAST_32BIT;
    used.allocator.free(pfn, 1);
    used.allocator.allocate(1, LAST_32BIT);
    assert.deepEqual(magazines(used), magazines(fresh));
  });
});
