import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GapTree, NO_GAP } from '../../../src/core/sim/gap-tree.ts';
import { NONE } from '../../../src/core/sim/red-black-tree.ts';

interface Range {
  first: number;
  last: number;
}

/** A generator of its own, so that a failure is found again by its seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}

function upwards(tree: GapTree): Range[] {
  const ranges: Range[] = [];
  for (let node = tree.next[NONE]!; node !== NONE; node = tree.next[node]!)
    ranges.push({ first: tree.first[node]!, last: tree.last[node]! });
  return ranges;
}

/** Lowest page of the range above the highest gap, by a look at every gap; Infinity above all ranges, NaN when there is none. */
function highestGap(ranges: Range[], pages: number, limit: number): number {
  let below = 0;
  let found = Number.NaN;
  for (const { first, last } of [...ranges, { first: Infinity, last: Infinity }]) {
    if (Math.min(first - 1, limit) - below >= pages) found = first;
    below = last;
  }
  return found;
}

describe('the tree of ranges that knows its gaps', () => {
  for (const seed of [1, 2, 3]) {
    it(`agrees with a sorted array after every one of 6,000 random operations (seed ${seed})`, () => {
      const random = numbers(seed);
      const tree = new GapTree();
      // Beyond 2^32, so that anything cut to 32 bits shows.
      const base = 2 ** 44;
      let model: Range[] = [];
      const handles = new Map<number, number>();
      let [peak, none, clipped] = [0, 0, 0];
      for (let step = 0; step < 6_000; step++) {
        const growing = (step % 3_000) / 3_000 < 0.5;
        if (random(10) < (growing ? 7 : 3)) {
          const first = base + random(4_000) * 4;
          const last = first + random(6);
          const free = model.every((range) => range.last < first || range.first > last);
          assert.equal(tree.overlaps(first, last), !free);
          if (free) {
            handles.set(first, tree.insertAfter(tree.prev[tree.findAtOrAbove(first)]!, first, last, 0));
            model.push({ first, last });
            model.sort((a, b) => a.first - b.first);
          }
        } else if (model.length > 0) {
          const gone = model[random(model.length)]!;
          assert.equal(tree.find(gone.last), handles.get(gone.first), 'a handle moved to another range');
          tree.erase(handles.get(gone.first)!);
          handles.delete(gone.first);
          model = model.filter((range) => range !== gone);
        }
        peak = Math.max(peak, model.length);
        assert.equal(tree.defect(), null);
        assert.equal(tree.count, model.length);
        const pages = 1 + random(random(4) === 0 ? 400 : 40);
        const limit = base - 30 + random(16_100);
        const expected = highestGap(model, pages, limit);
        const found = tree.highestGap(pages, limit);
        if (Number.isNaN(expected)) assert.equal(found, NO_GAP);
        else if (expected === Infinity) assert.equal(found, NONE);
        else assert.equal(found, handles.get(expected));
        // Below `base` lies a gap that everything fits: asked for more than that, it has to say no.
        if (tree.highestGap(2 ** 44 - 30 + pages, limit) === NO_GAP) none++;
        if (expected > limit + 1) clipped++;
        if (step % 50 === 0) assert.deepEqual(upwards(tree), model);
      }
      assert.ok(peak > 400 && none > 100 && clipped > 100, `${peak} ${none} ${clipped}`);
    });
  }

  it('finds the gaps above all ranges, below all of them and between, cut at the limit', () => {
    const tree = new GapTree();
    assert.equal(tree.highestGap(100, 100), NONE);
    assert.equal(tree.highestGap(101, 100), NO_GAP, 'page 0 is not free');
    const low = tree.insertAfter(NONE, 20, 29, 0);
    const high = tree.insertAfter(low, 50, 59, 0);
    assert.equal(tree.highestGap(10, 69), NONE);
    assert.equal(tree.highestGap(11, 69), high, '60 to 69 is ten pages');
    assert.equal(tree.highestGap(20, 69), high);
    assert.equal(tree.highestGap(21, 69), NO_GAP);
    assert.equal(tree.highestGap(19, 48), high, '30 to 48');
    assert.equal(tree.highestGap(20, 48), NO_GAP);
    assert.equal(tree.highestGap(19, 47), low, '1 to 19');
    assert.equal(tree.highestGap(1, 29), low);
    assert.equal(tree.highestGap(1, 0), NO_GAP);
    assert.equal(tree.defect(), null);
  });

  it('stays shallow when a million ranges come in order, as they do from the top down', () => {
    const tree = new GapTree();
    for (let i = 2 ** 20; i > 0; i--) tree.insertAfter(NONE, 2 * i, 2 * i, 0);
    const { depth, leaves } = shapeOf(tree);
    assert.equal(leaves, 2 ** 20);
    // Expected for random ranks: 1.39 log2 n on average, about 4.3 ln n at the deepest.
    assert.ok(depth < 64, `depth ${depth}`);
    assert.equal(tree.defect(), null);
  });

  it('notices a gap that is not what it should be', () => {
    const tree = new GapTree();
    const low = tree.insertAfter(NONE, 20, 29, 0);
    tree.insertAfter(low, 50, 59, 0);
    tree.last[low] = 30;
    assert.match(String(tree.defect()), /has another gap below it/);
  });
});

/** By the links that the tree keeps to itself. */
function shapeOf(tree: GapTree): { depth: number; leaves: number } {
  const { left, right, root } = tree as unknown as { left: Int32Array; right: Int32Array; root: number };
  let depth = 0;
  let leaves = 0;
  const stack: [number, number][] = [[root, 1]];
  for (let top: [number, number] | undefined; (top = stack.pop()) !== undefined; ) {
    const [node, level] = top;
    if (node === NONE) continue;
    leaves++;
    depth = Math.max(depth, level);
    stack.push([left[node]!, level + 1], [right[node]!, level + 1]);
  }
  return { depth, leaves };
}
