/**
 * The published shapes, as `docs/fidelity.md` reports them: those that appear, and by name those that do not, so that either change is
 * noticed. The page is compared with the same runs.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import { missingKinds } from '../../../src/lab/repro/arm.ts';
import { reproductions } from '../../../src/lab/repro/index.ts';
import type { RowResult } from '../../../src/lab/repro/rows.ts';
import { fidelityParts, resultsOf } from '../../../tools/docs/fidelity.ts';
import { freshen } from '../../../tools/docs/pages.ts';
import { closeScenes } from '../../../tools/thread-2008/parts.ts';

after(closeScenes);

for (const reproduction of Object.values(reproductions)) {
  const { id, rows, arms, misses = [] } = reproduction;
  describe(id, () => {
    test('what can be run appears, but for what is known not to', () => {
      const expected = misses.flatMap((miss) => miss.rows);
      for (const what of expected)
        assert.ok(
          rows.some((row) => row.what === what),
          `no row is called ${what}`,
        );
      for (const { row, status, passed, simulated, remark } of resultsOf(reproduction)) {
        if (status === 'not simulated') {
          assert.match(remark, /^there is no .+ yet$/, row.what);
          assert.deepEqual([simulated.length, passed], [0, null]);
          continue;
        }
        assert.ok(simulated.length > 0 && simulated.every(Number.isFinite), row.what);
        const judged = !('accept' in row && 'report' in row.accept);
        const wanted = judged ? (expected.includes(row.what) ? 'does not appear' : 'appears') : 'reported';
        assert.equal(status, wanted, `${row.target} ${row.what}: ${simulated.join(', ')} ${remark}`);
      }
    });

    test('its data are complete: targets, sources, names without doubles, arms that can be made', () => {
      const names = rows.map(({ target, what }) => `${target} ${what}`);
      // The trace of B3 names C again after each operation.
      if (id !== 'eiovar15') assert.equal(new Set(names).size, names.length);
      for (const { target, what, published, calibrated } of rows) {
        assert.match(target, /^(B\d+|S\d|T\d|1\.\d+|2008)$/, what);
        assert.ok(published.where.length > 3 && typeof calibrated === 'boolean', what);
      }
      for (const { why } of misses) assert.ok(why.length > 40, why);
      for (const [name, { spec }] of Object.entries(arms))
        if (missingKinds(spec).length === 0) assert.doesNotThrow(() => resolveSpec(spec), name);
    });
  });
}

function rowOf(id: string, what: string): RowResult {
  const found = resultsOf(reproductions[id]!).find(({ row }) => row.what === what);
  assert.ok(found, `no row is called ${what}`);
  return found;
}
const value = (id: string, what: string): number => rowOf(id, what).simulated[0]!;

describe('the shapes in words', () => {
  test('B1: strict costs nearly ten packets without IOMMU, deferring half of that', () => {
    const strict = value('riommu15', 'strict: cycles of a packet, over those without IOMMU');
    const defer = value('riommu15', 'defer: cycles of a packet, over those without IOMMU');
    assert.ok(strict > 9 && strict < 10.6, `${strict}`);
    assert.ok(strict / defer > 1.8 && strict / defer < 2.2, `${strict / defer}`);
  });

  test('B2: under strict two rings make each other search tens to hundreds of nodes, deferred ones an order less', () => {
    for (const nic of ['mlx', 'brcm']) {
      const [strict, defer] = rowOf('eiovar15', `${nic}: mean search, strict above deferred`).simulated as [
        number,
        number,
      ];
      assert.ok(strict > 50 && strict < 2000, `${nic} ${strict}`);
      assert.ok(strict / defer > 5, `${nic} ${strict / defer}`);
    }
  });

  test('B3: one free of the other ring sends the next allocation there, and the one after it all the way back', () => {
    const rows = resultsOf(reproductions.eiovar15!).filter(({ row }) => row.target === 'B3');
    assert.equal(rows.length, 15);
    for (const { row, simulated, relativeError } of rows) assert.equal(relativeError, 0, `${row.what} ${simulated}`);
  });

  test('B4: the long search of a cycle grows as the ring does: twice the ring, twice the search', () => {
    const { simulated } = rowOf(
      'eiovar15',
      'longest allocation of a ring cycle after one swap, cycles, against ring size 256 to 4096',
    );
    for (let i = 1; i < simulated.length; i++) {
      const ratio = simulated[i]! / simulated[i - 1]!;
      assert.ok(ratio > 1.9 && ratio < 2.1, `${simulated}`);
    }
  });

  test('S2: a disk slower than the invalidations shows no mode', () => {
    for (const what of ['a drive of 210 k I/Os a second: strict over off', 'the same: deferred over off'])
      assert.ok(Math.abs(value('skl26-nvme', what) - 1) < 0.01);
  });

  test('S3: deferring costs next to nothing in throughput, strict most of it', () => {
    assert.ok(value('skl26-nvme', '4 KiB, CPUs enough: deferred over passthrough') > 0.97);
    assert.ok(value('skl26-nvme', '4 KiB, CPUs enough: strict over passthrough') < 0.5);
  });

  test('S7: strict exposes nothing; deferred windows shrink with the rate and never pass ten milliseconds', () => {
    assert.equal(value('deferred-windows', 'strict: page-seconds of exposure'), 0);
    const windows = ['1 k/s', '10 k/s', '100 k/s', '812 k/s'].map((rate) =>
      value('deferred-windows', `deferred, ${rate}: longest window`),
    );
    // The timer's own flush takes a moment.
    assert.ok(windows[0]! < 10_010 && windows[1]! < 10_010, `${windows}`);
    assert.ok(windows[2]! < windows[1]! / 3 && windows[3]! < windows[2]! / 7, `${windows}`);
  });

  test('T2: what one unit can do binds 4 KiB reads, and nothing from 16 KiB on, where misses are more', () => {
    const over = ['4 KiB', '16 KiB', '64 KiB', '256 KiB', '1 MiB'].map((size) =>
      value('skl26-nvme', `${size}: I/Os a second, strict over off`),
    );
    assert.ok(over[0]! < 0.5 && over.slice(1).every((ratio) => ratio > 0.95), `${over}`);
    const misses =
      'IOTLB misses a second under strict, 16 KiB over 4 KiB: the cost is that of an operation, not of a miss';
    assert.ok(value('skl26-nvme', misses) > 1.5);
  });

  test('S4: behind one queue the threads share a rate, with a queue each they have it all', () => {
    const [t16, t32, t64] = rowOf('invalidation-queue', 'map and unmap pairs a second, 16 to 64 threads, million')
      .simulated as [number, number, number];
    assert.ok(Math.abs(t16 / t64 - 1) < 0.01 && Math.abs(t32 / t64 - 1) < 0.01, `${[t16, t32, t64]}`);
    const one = value('invalidation-queue', 'pairs a second of a CPU, one queue: 64 threads over one');
    const each = value('invalidation-queue', 'the same with a queue a CPU');
    assert.ok(each / one > 10, `${each} ${one}`);
  });

  test('S4: waiting doubles with the threads once the queue is the limit', () => {
    const [, t16, t32, t64] = rowOf(
      'invalidation-queue',
      'an invalidation with its waiting, 1 to 64 threads, us',
    ).simulated;
    assert.ok(Math.abs(t32! / t16! / 2 - 1) < 0.1 && Math.abs(t64! / t32! / 2 - 1) < 0.1, `${[t16, t32, t64]}`);
  });

  test('B12: one walker makes 1 / (l0 + M lm) of M reads', () => {
    for (const [flows, reads] of [
      [5, 1.76],
      [10, 2.31],
      [20, 3.57],
      [40, 4.35],
    ] as const) {
      const rate = value('fands24', `${flows} flows, ${reads} table reads a page: throughput`);
      assert.ok(Math.abs(rate / ((4096 * 8) / (65 + reads * 197)) - 1) < 0.005, `${flows} ${rate}`);
    }
  });

  test('B13: the upper walk caches miss only where unmaps empty them', () => {
    assert.ok(rowOf('fands24', 'misses of levels 1 and 2 a page, with A: none').simulated.every((miss) => miss === 0));
    assert.ok(
      rowOf('fands24', 'misses of levels 1 and 2 a page, without A: some').simulated.every((miss) => miss > 0.02),
    );
  });

  test('B14: two halves of a page miss once, until they are apart', () => {
    const half = value('farshin23', 'MTU 1500, two buffers a page: misses a MiB');
    assert.ok(Math.abs(half / (2 ** 20 / 1500 / 2) - 1) < 0.01, `${half}`);
    assert.ok(value('farshin23', 'MTU 1500, two buffers a page: shuffled over in order') > 1.1);
  });

  test('B17: a fixed depot never comes to rest under a deferred policy, does under strict', () => {
    const share = value(
      'iova-ageing',
      'one size, deferred, fixed depot: share of allocations that the caches do not serve, in steady state',
    );
    const [strict] = rowOf('iova-ageing', 'the same, strict; deferred with the trimmed depot').simulated;
    assert.ok(share > 0.1 && strict! < 0.001, `${share} ${strict}`);
  });

  test('B6: under LRU a ring that does not fit misses each time, under random replacement part of the time', () => {
    const lru = [64, 128].map((pages) => value('wiosca10', `copies of 1 KiB from ${pages} pages: penalty`));
    const random = rowOf(
      'wiosca10',
      'copies of 1 KiB from 32, 64, 128 pages if the IOTLB replaced at random: penalty',
    ).simulated;
    assert.equal(lru[0], lru[1]);
    assert.ok(random[1]! < lru[0]! && random[1]! > random[0]! * 3, `${random} ${lru}`);
  });

  test('1.3: an exit for each map leaves a tenth of the line, a core that polls several times as much', () => {
    const [exit, sidecore, metal] = rowOf(
      'viommu11',
      'share of the line, deferred: trap and emulate, sidecore, bare metal',
    ).simulated as [number, number, number];
    assert.ok(exit < 0.15 && sidecore > 2.5 * exit && metal > 1.5 * sidecore, `${exit} ${sidecore} ${metal}`);
  });

  test('2008: batching recovers part of the loss, not all of it', () => {
    const [row] = resultsOf(reproductions['intel-iommu-2008']!);
    assert.ok(row!.simulated[0]! > 0 && row!.simulated[0]! < 1, `${row!.simulated}`);
  });
});

test('the page is what `npm run docs` writes, and has every part', async () => {
  const { stale, parts } = await freshen('docs/fidelity.md');
  assert.deepEqual(stale, []);
  assert.deepEqual([...parts].sort(), Object.keys(fidelityParts).sort());
});
