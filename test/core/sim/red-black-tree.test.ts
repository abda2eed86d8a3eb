import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type IovaAllocator, NO_PFN, SUSPENDED } from '../../../src/core/os/iova/allocator.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { NONE, RedBlackTree } from '../../../src/core/sim/red-black-tree.ts';

interface Range {
  first: number;
  last: number;
  reserved: number;
}

/** A generator of its own, so that a failure is found again by its seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

function upwards(tree: RedBlackTree): Range[] {
  const ranges: Range[] = [];
  for (let node = tree.next[NONE]; node !== NONE; node = tree.next[node]) {
    ranges.push({ first: tree.first[node], last: tree.last[node], reserved: tree.reserved[node] });
  }
  return ranges;
}

function downwards(tree: RedBlackTree): Range[] {
  const ranges: Range[] = [];
  for (let node = tree.prev[NONE]; node !== NONE; node = tree.prev[node]) {
    ranges.push({ first: tree.first[node], last: tree.last[node], reserved: tree.reserved[node] });
  }
  return ranges;
}

function reservedPages(tree: RedBlackTree): Set<number> {
  const pages = new Set<number>();
  for (const range of upwards(tree)) {
    for (let pfn = range.first; pfn <= range.last; pfn++) {
      assert.ok(!pages.has(pfn), `page ${pfn} lies in two ranges`);
      pages.add(pfn);
    }
  }
  return pages;
}

describe('the red-black tree of ranges', () => {
  for (const seed of [1, 2, 3]) {
    it(`agrees with a sorted array after every one of 6,000 random operations (seed ${seed})`, () => {
      const random = numbers(seed);
      const tree = new RedBlackTree();
      // Beyond 2^32, so that anything cut to 32 bits shows.
      const base = 2 ** 44;
      let model: Range[] = [];
      const handles = new Map<number, number>();
      let peak = 0;
      for (let step = 0; step < 6_000; step++) {
        // Grows to some 600 ranges and shrinks again, twice.
        const growing = (step % 3_000) / 3_000 < 0.5;
        if (random(10) < (growing ? 7 : 3)) {
          const first = base + random(4_000) * 4;
          const last = first + random(6);
          const free = model.every((range) => range.last < first || range.first > last);
          assert.equal(tree.overlaps(first, last), !free);
          if (free) {
            handles.set(first, tree.insert(first, last, step & 1));
            model.push({ first, last, reserved: step & 1 });
            model.sort((a, b) => a.first - b.first);
          }
        } else if (model.length > 0) {
          const gone = model[random(model.length)];
          assert.equal(tree.find(gone.last), handles.get(gone.first), 'a handle moved to another range');
          tree.erase(handles.get(gone.first) as number);
          handles.delete(gone.first);
          model = model.filter((range) => range !== gone);
        }
        peak = Math.max(peak, model.length);
        assert.equal(tree.defect(), null);
        assert.equal(tree.count, model.length);
        const pfn = base + random(16_000);
        const holder = model.find((range) => range.first <= pfn && pfn <= range.last);
        const above = model.find((range) => range.last >= pfn);
        assert.equal(tree.find(pfn), holder === undefined ? NONE : handles.get(holder.first));
        assert.equal(tree.findAtOrAbove(pfn), above === undefined ? NONE : handles.get(above.first));
        if (step % 50 === 0) {
          assert.deepEqual(upwards(tree), model);
          assert.deepEqual(downwards(tree), model.toReversed());
        }
      }
      assert.ok(peak > 300, `only ${peak} ranges at a time`);
      for (const handle of handles.values()) tree.erase(handle);
      assert.deepEqual(upwards(tree), []);
      assert.equal(tree.defect(), null);
    });
  }

  it('hands out erased handles again, newest first', () => {
    const tree = new RedBlackTree();
    const [a, b, c] = [10, 20, 30].map((pfn) => tree.insert(pfn, pfn, 0));
    tree.erase(a);
    tree.erase(c);
    assert.deepEqual([tree.insert(50, 50, 0), tree.insert(60, 60, 0)], [c, a]);
    assert.equal(tree.find(20), b);
  });

  it('notices a broken colour, a broken thread and a range out of order', () => {
    const broken = (spoil: (tree: RedBlackTree) => void) => {
      const tree = new RedBlackTree();
      for (let pfn = 0; pfn < 20; pfn++) tree.insert(pfn * 2, pfn * 2, 0);
      assert.equal(tree.defect(), null);
      spoil(tree);
      return tree.defect();
    };
    // Four words a node, of which the last is its colour.
    const links = (tree: RedBlackTree) => (tree as unknown as { links: Int32Array }).links;
    assert.match(broken((tree) => (links(tree)[tree.find(0) * 4 + 3] ^= 1)) ?? '', /black depth|red/);
    assert.match(broken((tree) => (tree.next[tree.find(8)] = tree.find(20))) ?? '', /threaded/);
    assert.match(broken((tree) => (tree.last[tree.find(8)] = 10)) ?? '', /order/);
  });

  it('merges overlapping reservations as the kernel does and leaves touching ones apart', () => {
    const tree = new RedBlackTree();
    tree.reserve(10, 20);
    tree.reserve(12, 18);
    assert.deepEqual(upwards(tree), [{ first: 10, last: 20, reserved: 1 }]);
    tree.reserve(5, 25);
    assert.deepEqual(
      upwards(tree).map((range) => [range.first, range.last]),
      [
        [5, 20],
        [21, 25],
      ],
    );
    tree.reserve(30, 32);
    tree.reserve(24, 40);
    assert.deepEqual(
      upwards(tree).map((range) => [range.first, range.last]),
      [
        [5, 20],
        [21, 25],
        [26, 32],
        [33, 40],
      ],
    );
    assert.equal(tree.defect(), null);
  });

  it('refuses to reserve what is allocated', () => {
    const tree = new RedBlackTree();
    tree.insert(7, 7, 0);
    assert.throws(() => tree.reserve(5, 9), /7, which is allocated/);
  });

  it('reserves and returns exactly the pages asked for, whatever was merged before', () => {
    const random = numbers(7);
    const tree = new RedBlackTree();
    const taken = new Set<number>();
    const allocated = tree.insert(150, 159, 0);
    for (let pfn = 150; pfn < 160; pfn++) taken.add(pfn);
    for (let step = 0; step < 3_000; step++) {
      const first = random(300);
      const last = first + random(40);
      const crossesAllocation = first <= 159 && last >= 150;
      if (random(2) === 0) {
        if (crossesAllocation) continue;
        tree.reserve(first, last);
        for (let pfn = first; pfn <= last; pfn++) taken.add(pfn);
      } else {
        for (let node = NONE; (node = tree.cutReserved(first, last)) !== NONE; ) {
          assert.ok(tree.first[node] >= first && tree.last[node] <= last);
          tree.erase(node);
        }
        for (let pfn = first; pfn <= last; pfn++) if (pfn < 150 || pfn > 159) taken.delete(pfn);
      }
      assert.equal(tree.defect(), null);
      assert.deepEqual(reservedPages(tree), new Set([...taken].sort((a, b) => a - b)));
    }
    assert.equal(tree.find(155), allocated);
  });
});

describe('a search that suspends', () => {
  const LAST_32BIT_PFN = 0xfffff;
  const LAST_48BIT_PFN = 2 ** 36 - 1;

  function create(kind: string): IovaAllocator {
    const entry = allocators[kind];
    return entry.create({
      lastPfn: LAST_48BIT_PFN,
      maskLastPfn: LAST_48BIT_PFN,
      parameters: entry.defaults,
      onWrap: null,
    });
  }

  function state(allocator: IovaAllocator): (number | string)[] {
    const values: (number | string)[] = [];
    allocator.digest({
      number: (value) => values.push(value),
      column: (column, count) => values.push(...column.subarray(0, count)),
      text: (value) => values.push(value),
    });
    return values;
  }

  for (const kind of ['rbtree-2008', 'rbtree']) {
    for (const budget of [1, 2, 7, 64]) {
      it(`ends where an unsuspended one does: ${kind}, ${budget} steps at a time`, () => {
        const random = numbers(budget);
        const whole = create(kind);
        const sliced = create(kind);
        sliced.budget = budget;
        // Below this little is left, so that long walks, second looks and failures happen.
        for (const allocator of [whole, sliced]) {
          allocator.reserve(0xfee00, 0xfeeff);
          allocator.reserve(1, 0xff000);
        }
        const live: { pfn: number; pages: number }[] = [];
        let suspensions = 0;
        let failures = 0;
        for (let step = 0; step < 4_000; step++) {
          if (random(3) !== 0 || live.length === 0) {
            const pages = random(4) === 0 ? 1 + random(200) : 1 + random(4);
            const limit = [LAST_32BIT_PFN, LAST_32BIT_PFN, 0xff8ff, LAST_48BIT_PFN][random(4)];
            const pfn = whole.allocate(pages, limit);
            let slices = 0;
            let last = 0;
            let slicedPfn: number;
            while ((slicedPfn = sliced.allocate(pages, limit)) === SUSPENDED) {
              assert.equal(sliced.lastNodesVisited - last, budget, 'a slice is as long as its budget');
              last = sliced.lastNodesVisited;
              slices++;
            }
            suspensions += slices;
            assert.equal(slicedPfn, pfn);
            assert.equal(sliced.lastNodesVisited, whole.lastNodesVisited);
            assert.equal(slices, Math.floor(whole.lastNodesVisited / budget));
            if (pfn === NO_PFN) failures++;
            else live.push({ pfn, pages });
          } else {
            const [gone] = live.splice(random(live.length), 1);
            whole.free(gone.pfn, gone.pages);
            sliced.free(gone.pfn, gone.pages);
          }
          assert.equal(sliced.nodesVisited, whole.nodesVisited);
        }
        assert.deepEqual(state(sliced), state(whole));
        assert.ok(suspensions > 100, `only ${suspensions} suspensions`);
        assert.ok(failures > 10, `only ${failures} failures`);
      });
    }

    it(`refuses other arguments and changes until it has ended: ${kind}`, () => {
      const allocator = create(kind);
      // One free page amid taken ones: too small for two, so the search has to pass what lies below.
      const [, hole, taken] = [1, 1, 1, 1].map((pages) => allocator.allocate(pages, LAST_32BIT_PFN));
      allocator.free(hole, 1);
      allocator.budget = 1;
      assert.equal(allocator.allocate(2, LAST_32BIT_PFN), SUSPENDED);
      assert.throws(() => allocator.allocate(1, LAST_32BIT_PFN), /other arguments/);
      assert.throws(() => allocator.free(taken, 1));
      assert.throws(() => allocator.reserve(1, 2), /middle of a search/);
      assert.throws(() => allocator.unreserve(1, 2), /middle of a search/);
    });
  }
});
