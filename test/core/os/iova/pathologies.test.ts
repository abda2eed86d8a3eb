/**
 * What the trees are known for: searches that grow with the number of live mappings as soon as lifetimes are not first
 * in, first out. Shapes of the counted steps, no times.
 *
 * Source: Malka, Amit and Tsafrir, "Efficient Intra-Operating System Protection Against Harmful DMAs", FAST 2015.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { IovaAllocator } from '../../../../src/core/os/iova/allocator.ts';
import { allocators } from '../../../../src/core/os/iova/index.ts';

const LAST_32BIT = 0xfffff;
const SIZES = [256, 512, 1024, 2048, 4096];

function create(kind: string): IovaAllocator {
  const entry = allocators[kind]!;
  const space = { lastPfn: 2 ** 36 - 1, maskLastPfn: 2 ** 36 - 1 };
  return entry.create({ ...space, parameters: entry.defaults, onWrap: null });
}

/** Fills a space with single pages. */
function filled(kind: string, live: number): { allocator: IovaAllocator; pfns: number[] } {
  const allocator = create(kind);
  return { allocator, pfns: Array.from({ length: live }, () => allocator.allocate(1, LAST_32BIT)) };
}

interface PerAllocation {
  nodes: number;
  words: number;
}

/** Frees one page and allocates one, again and again; the mean work of an allocation. */
function churn(kind: string, live: number, next: (count: number, live: number) => number): PerAllocation {
  const { allocator, pfns } = filled(kind, live);
  const [nodesBefore, wordsBefore] = [allocator.nodesVisited, allocator.wordsScanned];
  const rounds = 4000;
  for (let count = 0; count < rounds; count++) {
    const index = next(count, live);
    allocator.free(pfns[index]!, 1);
    pfns[index] = allocator.allocate(1, LAST_32BIT);
  }
  return {
    nodes: (allocator.nodesVisited - nodesBefore) / rounds,
    words: (allocator.wordsScanned - wordsBefore) / rounds,
  };
}

const inTurn = (count: number, live: number) => count % live;

function atRandom(): (count: number, live: number) => number {
  const generator = xoroshiro128plus(15);
  return (_count, live) => uniformInt(generator, 0, live - 1);
}

/** Slope and squared correlation of the least-squares line. */
function line(xs: number[], ys: number[]): { slope: number; r2: number } {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(xs), mean(ys)];
  const product = (a: number[], b: number[], meanA: number, meanB: number) =>
    a.reduce((sum, value, index) => sum + (value - meanA) * (b[index]! - meanB), 0);
  const [xx, xy, yy] = [product(xs, xs, meanX, meanX), product(xs, ys, meanX, meanY), product(ys, ys, meanY, meanY)];
  return { slope: xy / xx, r2: (xy * xy) / (xx * yy) };
}

for (const kind of ['rbtree-2008', 'rbtree']) {
  describe(kind, () => {
    test('first in, first out: a free and an allocation need no walk, however many are live', () => {
      for (const live of SIZES) assert.ok(churn(kind, live, inTurn).nodes <= 1, `${live} live`);
    });

    test('in random order the walk grows in proportion to the live mappings', () => {
      const nodes = SIZES.map((live) => churn(kind, live, atRandom()).nodes);
      const { slope, r2 } = line(SIZES, nodes);
      assert.ok(r2 > 0.98, `r2 ${r2}: ${nodes}`);
      // A random free lands above or below the cached range alike; a good part of what is live lies in between.
      assert.ok(slope > 0.1 && slope < 1, `slope ${slope}: ${nodes}`);
    });

    test('one transmit free between two receive allocations costs a walk each ring cycle from then on', () => {
      const nodes = SIZES.map((ring) => longestWalks(kind, ring));
      for (const walks of nodes) {
        assert.ok(
          walks.cycles.every((longest) => longest > 0),
          `a cycle without a search: ${walks.cycles}`,
        );
      }
      const { slope, r2 } = line(
        SIZES,
        nodes.map(({ cycles }) => Math.max(...cycles)),
      );
      assert.ok(r2 > 0.98, `r2 ${r2}`);
      assert.ok(slope > 0.9, `slope ${slope}`);
      for (const { undisturbed } of nodes) assert.equal(undisturbed, 0);
    });
  });
}

/**
 * A receive ring below a transmit ring of the same size. One interference: receive frees, transmit frees, receive
 * allocates (and gets the transmit page). From then on only receive runs.
 *
 * @returns the longest search of the cycle before, and of each of three cycles after
 */
function longestWalks(kind: string, ring: number): { undisturbed: number; cycles: number[] } {
  const allocator = create(kind);
  const take = () => allocator.allocate(1, LAST_32BIT);
  const transmit = Array.from({ length: ring }, take);
  const receive = Array.from({ length: ring }, take);
  const cycle = () => {
    let longest = 0;
    for (let slot = 0; slot < ring; slot++) {
      allocator.free(receive[slot]!, 1);
      receive[slot] = take();
      longest = Math.max(longest, allocator.lastNodesVisited);
    }
    return longest;
  };
  const undisturbed = cycle();
  allocator.free(receive[0]!, 1);
  allocator.free(transmit[0]!, 1);
  receive[0] = take();
  return { undisturbed, cycles: [cycle(), cycle(), cycle()] };
}

describe('bitmap', () => {
  test('the words looked at stay the same from 256 to 4096 live mappings, in whatever order they end', () => {
    for (const next of [() => inTurn, atRandom]) {
      const words = SIZES.map((live) => churn('bitmap', live, next()).words);
      assert.ok(
        words.every((mean) => mean >= 1 && mean < 4),
        `${words}`,
      );
      assert.ok(Math.max(...words) < 1.5 * Math.min(...words), `${words}`);
    }
  });

  test('it takes no step in a tree', () => {
    assert.equal(churn('bitmap', 1024, atRandom()).nodes, 0);
  });
});
