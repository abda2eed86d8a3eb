/**
 * The published shapes, as `docs/fidelity.md` reports them: those that appear, and by name those that do not, so that either change is
 * noticed. The page is compared with the same runs.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import { reproductions } from '../../../src/lab/repro/index.ts';
import { missingKinds, type RowResult } from '../../../src/lab/repro/run.ts';
import { fidelityParts, resultsOf } from '../../../tools/docs/fidelity.ts';
import { freshen } from '../../../tools/docs/pages.ts';
import { closeScenes } from '../../../tools/thread-2008/parts.ts';

after(closeScenes);

/** Rows that do not appear, when their kinds are there to run them. */
const DO_NOT_APPEAR: Record<string, string[]> = {
  // The published rows scatter by more than a quarter around any line.
  eiovar15: [
    'mlx defer Memcached: 33 nodes, cycles of the allocation',
    'brcm defer Apache 1 KB: 9 nodes, cycles of the allocation',
  ],
  // What table 1 calls "other" is in the 820 cycles of figure 7 as well: both are counted.
  riommu15: ['defer+: cycles of a packet, over those without IOMMU'],
  // A lock that an operation takes near its end keeps others out from its start: decision 4.
  'skl26-nvme': [
    '4 KiB: I/Os a second, strict over off',
    '16 KiB: I/Os a second, strict over off',
    '64 KiB: I/Os a second, strict over off',
    '4 KiB: CPU time of an I/O, strict',
    '16 KiB: CPU time of an I/O, strict',
    '64 KiB: CPU time of an I/O, strict',
  ],
  // The few misses of that window overlap here, and did not there.
  pciebench18: ['pipelined reads of 64 bytes, 512 KiB'],
  // One time of a miss for three sizes of copies: 290 ns are 57 % of a short one, and 47 % were read off the figure.
  wiosca10: ['copies of 1 KiB from 256 pages: penalty'],
};

for (const reproduction of Object.values(reproductions)) {
  const { id, rows, arms } = reproduction;
  describe(id, () => {
    test('what can be run appears, but for what is known not to', () => {
      const expected = DO_NOT_APPEAR[id] ?? [];
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
        assert.match(target, /^(B\d+|S\d|2008)$/, what);
        assert.ok(published.where.length > 3 && typeof calibrated === 'boolean', what);
      }
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
