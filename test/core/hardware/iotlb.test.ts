/** The IOTLB against a list that is scanned for everything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Iotlb, NO_ENTRY } from '../../../src/core/hardware/iotlb.ts';
import { RandomStream } from '../../../src/core/sim/random.ts';
import type { Replacement } from '../../../src/core/spec.ts';
import { NaiveIotlb } from '../../oracles/iotlb.ts';
import { Dice } from '../build.ts';

const SPANS = [1, 512, 262_144];

/** Everything that is cached, by set and way. */
function contents(iotlb: Iotlb): string[] {
  const out: string[] = [];
  for (let entry = 0; entry < iotlb.entries; entry++)
    if (iotlb.valid(entry))
      out.push(
        [
          Math.floor(entry / iotlb.ways),
          entry % iotlb.ways,
          iotlb.domain[entry],
          iotlb.page[entry],
          SPANS[iotlb.size[entry]!],
          iotlb.frame[entry],
          iotlb.permission[entry],
        ].join(),
      );
  return out.sort();
}

function naiveContents(naive: NaiveIotlb): string[] {
  return naive.entries
    .map((leaf) =>
      [naive.setOf(leaf), leaf.way, leaf.domain, leaf.first, leaf.pages, leaf.frame, leaf.permission].join(),
    )
    .sort();
}

const shapes: [entries: number, ways: number, replacement: Replacement][] = [];
for (const replacement of ['lru', 'fifo', 'plru', 'random'] as const) {
  shapes.push([64, 4, replacement], [16, 0, replacement], [8, 1, replacement], [12, 2, replacement]);
  if (replacement !== 'plru') shapes.push([15, 3, replacement]);
}
shapes.push([64, 0, 'plru'], [128, 64, 'plru'], [1, 1, 'lru']);

describe('IOTLB', () => {
  for (const [entries, ways, replacement] of shapes)
    test(`${entries} entries, ${ways} ways, ${replacement}: hits, victims and what an invalidation leaves agree with a scan`, () => {
      const iotlb = new Iotlb(entries, ways, replacement, new RandomStream(8, 'iotlb'));
      const naive = new NaiveIotlb(entries, ways, replacement, new RandomStream(8, 'iotlb'));
      const dice = new Dice(entries * 10 + ways);
      let hits = 0;
      for (let step = 0; step < 6000; step++) {
        const domain = dice.below(3);
        // Some pages beyond 2^32, so that 32-bit arithmetic would show.
        const page = dice.below(entries * 2) + dice.pick([0, 0, 0, 512, 262_144, 2 ** 40]);
        // Rare enough that the caches fill up between two of them.
        if (dice.below(20 + entries * 2) > 1) {
          const permission = dice.pick([1, 2]);
          const expected = naive.lookup(domain, page, permission);
          const found = iotlb.lookup(domain, page, permission);
          assert.equal(found === NO_ENTRY, expected === null, `step ${step}`);
          if (expected) {
            hits++;
            assert.equal(iotlb.page[found], expected.first);
            assert.equal(iotlb.frame[found], expected.frame);
          } else {
            const size = dice.pick([0, 0, 0, 1, 2]);
            const pages = SPANS[size]!;
            const first = Math.floor(page / pages) * pages;
            const leaf = { domain, first, pages, frame: dice.below(1000) * pages, permission: dice.pick([1, 2, 3]) };
            iotlb.fill(domain, first, size, leaf.frame, leaf.permission);
            naive.fill(leaf);
          }
        } else {
          const first = dice.chance(3) ? 0 : page - dice.below(Math.min(page, 20) + 1);
          const last = dice.chance(3) ? Number.POSITIVE_INFINITY : page + dice.pick([0, 1, 7, 30, 600]);
          const scope = dice.chance(8) ? -1 : domain;
          iotlb.invalidate(scope, first, last);
          naive.invalidate(scope, first, last);
          for (let entry = 0; entry < iotlb.entries; entry++) {
            if (!iotlb.valid(entry) || (scope >= 0 && iotlb.domain[entry] !== scope)) continue;
            const span = SPANS[iotlb.size[entry]!]!;
            assert.ok(
              iotlb.page[entry]! > last || iotlb.page[entry]! + span <= first,
              `step ${step}: entry ${entry} is in scope`,
            );
          }
        }
        if (step % 50 === 0) assert.deepEqual(contents(iotlb), naiveContents(naive), `step ${step}`);
      }
      assert.deepEqual(contents(iotlb), naiveContents(naive));
      assert.equal(iotlb.hits, hits);
      if (entries > 1) assert.ok(hits > 50, `only ${hits} hits: the test shows little`);
      assert.ok(iotlb.evictions > 50);
    });

  test('probing neither counts nor ages', () => {
    const iotlb = new Iotlb(2, 2, 'lru', new RandomStream(1, 'iotlb'));
    iotlb.fill(0, 10, 0, 1, 3);
    iotlb.fill(0, 20, 0, 2, 3);
    for (let i = 0; i < 5; i++) assert.notEqual(iotlb.probe(0, 10), NO_ENTRY);
    assert.deepEqual([iotlb.lookups, iotlb.hits], [0, 0]);
    iotlb.fill(0, 30, 0, 3, 3);
    assert.equal(iotlb.probe(0, 10), NO_ENTRY, 'the entry probed last was still the oldest');
  });

  test('an entry without the permission asked for is a miss and is replaced in place', () => {
    const iotlb = new Iotlb(4, 4, 'lru', new RandomStream(1, 'iotlb'));
    const first = iotlb.fill(0, 10, 0, 1, 1);
    assert.equal(iotlb.lookup(0, 10, 2), NO_ENTRY);
    assert.equal(iotlb.fill(0, 10, 0, 1, 3), first);
    assert.equal(contents(iotlb).length, 1);
    assert.equal(iotlb.lookup(0, 10, 2), first);
    assert.deepEqual([iotlb.lookups, iotlb.hits], [2, 1]);
  });

  test('invalidating one page drops the superpage covering it, and only in its domain', () => {
    for (const [size, pages] of [
      [1, 512],
      [2, 262_144],
    ] as const) {
      const iotlb = new Iotlb(64, 4, 'lru', new RandomStream(1, 'iotlb'));
      iotlb.fill(0, 3 * pages, size, 0, 3);
      iotlb.fill(1, 3 * pages, size, 0, 3);
      assert.equal(iotlb.invalidate(0, 3 * pages - 1, 3 * pages - 1), 0);
      assert.equal(iotlb.invalidate(0, 4 * pages, 4 * pages), 0);
      assert.equal(iotlb.invalidate(0, 4 * pages - 1, 4 * pages - 1), 1);
      assert.equal(iotlb.probe(0, 3 * pages), NO_ENTRY);
      assert.notEqual(iotlb.probe(1, 4 * pages - 1), NO_ENTRY);
    }
  });
});
