/** Durations in buckets, against a search from the first bound on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import { DURATION_BOUNDS_PS, DurationHistogram } from '../../../src/core/meter/durations.ts';
import type { Operation } from '../../../src/core/operations.ts';

/** Exact: milli-cycles at so many thousandths of a GHz as thousandths of a picosecond, in whole numbers. */
function bucketOf(milliCycles: bigint, milliGhz: bigint): number {
  const found = DURATION_BOUNDS_PS.findIndex((ps) => milliCycles * 1000n <= BigInt(ps) * milliGhz);
  return found < 0 ? DURATION_BOUNDS_PS.length : found;
}

describe('a histogram of durations', () => {
  for (const milliGhz of [1, 800, 2700, 3100, 10_000])
    it(`puts what is at a bound, below it and beyond it where an exact search puts it, at ${milliGhz / 1000} GHz`, () => {
      const tried = new Set([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 52]);
      for (const ps of DURATION_BOUNDS_PS) {
        const at = Math.floor((ps * milliGhz) / 1000);
        for (const value of [at - 1, at, at + 1, Math.floor(at / 2), at * 2]) if (value >= 0) tried.add(value);
      }
      for (let bit = 0; bit < 40; bit++) for (const value of [2 ** bit - 1, 2 ** bit, 2 ** bit + 1]) tried.add(value);
      const expected = new Array(DURATION_BOUNDS_PS.length + 1).fill(0);
      const histogram = new DurationHistogram(milliGhz);
      for (const value of tried) {
        expected[bucketOf(BigInt(value), BigInt(milliGhz))]++;
        histogram.record(value);
      }
      assert.deepEqual([...histogram.counts], expected);
      assert.equal(
        histogram.sum,
        [...tried].reduce((sum, value) => sum + value, 0),
      );
    });

  it('shares out what was done together, and keeps its sum', () => {
    const histogram = new DurationHistogram(1000);
    histogram.record(1_000_000_001, 4);
    assert.equal(histogram.sum, 1_000_000_001);
    // 250,000.25 cycles each are 250 us at 1 GHz, and a little.
    assert.deepEqual(DURATION_BOUNDS_PS[[...histogram.counts].indexOf(4)], 5e8);
  });

  it('has the bounds of dmar_perf_latency among its own', () => {
    for (const ps of [1e5, 1e6, 1e7, 1e8, 1e9, 1e10]) assert.ok(DURATION_BOUNDS_PS.includes(ps));
  });
});

const machine = { cpus: 1, cpuGhz: 3.1, memoryBytes: 2 ** 30 };
const map = {
  op: 'map',
  device: 'nic',
  kind: 'single',
  direction: 'to-device',
  physicalAddress: '0x200000',
  lengthBytes: 64,
};

function session(policy: Record<string, unknown>) {
  return createSimulator(
    resolveSpec({ machine, devices: [{ name: 'nic', kind: 'nic' }], policy } as Record<string, unknown>),
  );
}

const countOf = (counts: Float64Array) => counts.reduce((sum, count) => sum + count, 0);

interface Timed {
  work: { durations: Record<'map' | 'unmap' | 'invalidation', DurationHistogram> };
}

describe('what is timed', () => {
  it('is each map, unmap and invalidation, as long as its reply says that it took', () => {
    const simulator = session({ invalidation: { kind: 'strict' } });
    const { durations } = (simulator as unknown as Timed).work;
    let mapCycles = 0;
    let unmapCycles = 0;
    for (let i = 0; i < 5; i++) {
      const mapped = simulator.apply(map as unknown as Operation);
      assert.ok(mapped?.status === 'ok');
      mapCycles += (mapped.result as { costCycles: number }).costCycles;
      const unmapped = simulator.apply({ op: 'unmap', mapping: mapped.result.id } as unknown as Operation);
      assert.ok(unmapped?.status === 'ok');
      unmapCycles += (unmapped.result as { costCycles: number }).costCycles;
    }
    assert.deepEqual(
      [durations.map, durations.unmap, durations.invalidation].map(({ counts }) => countOf(counts)),
      [5, 5, 5],
    );
    assert.deepEqual([durations.map.sum / 1000, durations.unmap.sum / 1000], [mapCycles, unmapCycles]);
    assert.ok(durations.invalidation.sum < durations.unmap.sum);
  });

  it('is in no digest: two sessions that differ in it alone have the same one', () => {
    const one = session({ invalidation: { kind: 'strict' } });
    const other = session({ invalidation: { kind: 'strict' } });
    (other as unknown as Timed).work.durations.map.record(123_456);
    assert.equal(one.digest(), other.digest());
  });

  it('comes back with an image', async () => {
    const { restoreSimulator } = await import('../../../src/core/index.ts');
    const spec = resolveSpec({ machine, devices: [{ name: 'nic', kind: 'nic' }] } as Record<string, unknown>);
    const one = createSimulator(spec);
    one.apply(map as unknown as Operation);
    const other = restoreSimulator(spec, one.save());
    assert.deepEqual(other.read({ read: 'meters' }), one.read({ read: 'meters' }));
    assert.ok(countOf((other as unknown as Timed).work.durations.map.counts) === 1);
  });
});
