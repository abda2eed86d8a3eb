/** What charts show, counted from two looks at a session: against the session itself, run in pieces. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Metrics, Run } from '../../src/api/contract-types.ts';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import { type Interval, Rates, ROWS, runStartOf } from '../../src/dashboard/live/rates.ts';

const close = (actual: number, expected: number, within: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= within, `${what}: ${actual} instead of ${expected}`);

describe('rates of a session, looked at now and then in two runs', () => {
  const spec = resolveSpec({ preset: 'thread-2008' });
  const session = createSimulator(spec);
  const rates = new Rates(spec.machine.cpus, spec.machine.cpuGhz);
  const look = (): Metrics => {
    const outcome = session.read({ read: 'metrics' });
    assert.equal(outcome.status, 'ok');
    return (outcome as { result: unknown }).result as Metrics;
  };
  const intervals: Interval[] = [];
  const totals: { bits: number; operations: number; cycles: number }[] = [];
  for (const forNs of [3_000_000, 5_000_000]) {
    const startNs = session.timeNs;
    const note = () => {
      const interval = rates.take(look(), startNs);
      if (interval !== null) intervals.push(interval);
    };
    assert.equal(session.startRun({ forNs }).status, 'ok');
    note();
    while (!session.stepRun(700)) note();
    note();
    const { throughputGbps = 0, operations = 0, breakdown, workloads = [] } = look();
    const calls = (name: string) =>
      workloads.reduce((sum, { counts }) => sum + (counts as Record<string, number>)[name]!, 0);
    const rows = breakdown as unknown as Record<'map' | 'unmap', Record<string, number>>;
    const sum = (of: Record<string, number>) => Object.values(of).reduce((all, each) => all + each, 0);
    const cycles = sum(rows.map) * calls('maps') + sum(rows.unmap) * calls('unmaps');
    totals.push({ bits: throughputGbps * forNs, operations, cycles });
  }
  const last = look();
  const integral = (of: (interval: Interval) => number) =>
    intervals.reduce((sum, each) => sum + of(each) * each.lengthNs, 0);
  const all = (of: readonly number[]) => of.reduce((sum, each) => sum + (Number.isNaN(each) ? 0 : each), 0);
  const total = (of: 'bits' | 'operations' | 'cycles') => totals.reduce((sum, each) => sum + each[of], 0);
  const near = (actual: number, expected: number, what: string) => close(actual / expected, 1, 1e-6, what);

  it('cover all of the time, in more than a few pieces', () => {
    assert.ok(intervals.length > 20);
    assert.equal(
      intervals.reduce((sum, { lengthNs }) => sum + lengthNs, 0),
      last.timeNs,
    );
  });

  it('add up to the bits, operations, cycles, faults and flushes that the session counted', () => {
    near(
      integral(({ throughputGbps }) => all(throughputGbps)),
      total('bits'),
      'bits',
    );
    near(integral(({ operationsPerSecond }) => all(operationsPerSecond)) / 1e9, total('operations'), 'operations');
    const cpuNs = integral(({ cpuPercent }) => all(cpuPercent.slice(0, ROWS.length)) / 100) * spec.machine.cpus;
    near(cpuNs * spec.machine.cpuGhz, total('cycles'), 'cycles');
    const verdicts = last.verdicts as Record<string, number>;
    near(integral(({ verdictsPerSecond }) => all(verdictsPerSecond)) / 1e9, all(Object.values(verdicts)), 'verdicts');
    const counters = last.counters as Record<string, number>;
    near(
      integral(({ invalidationsPerSecond }) => all(invalidationsPerSecond)) / 1e9,
      counters.invalidationsGlobal!,
      'flushes',
    );
  });

  it('add up to the time that the CPUs were busy', () => {
    const busyNs = all(last.cpuUtilisation ?? []) * (last.timeNs ?? 0);
    const shownNs = integral(({ cpuPercent }) => all(cpuPercent) / 100) * spec.machine.cpus;
    // Work is counted when it is done, and time as it goes by: they differ by what is under way.
    close(shownNs / busyNs, 1, 0.01, 'busy');
  });
});

const BASE: Metrics = {
  timeNs: 1_000_000,
  cpuUtilisation: [0.5, 0],
  workloads: [
    { id: 'wl_0', throughputGbps: 8, operations: 600, counts: { maps: 600, unmaps: 600 } },
    { id: 'wl_1', operations: 10, counts: { maps: 10, unmaps: 10 } },
  ],
  breakdown: { map: { pageTable: 500 }, unmap: { pageTable: 300, lockWait: 10 } } as never,
  iotlb: { lookups: 100, hits: 40 },
  counters: { memoryReferences: 120, invalidationsGlobal: 4 },
  locks: [{ name: 'l', acquisitions: 9, waits: 1, waitNs: 1_000, waitCycles: 3_100 }],
  verdicts: { ok: 90, fault: 10 },
};

/** The same some time later. */
const LATER: Metrics = {
  ...BASE,
  timeNs: 2_000_000,
  cpuUtilisation: [0.75, 0],
  workloads: [
    { id: 'wl_0', throughputGbps: 9, operations: 1_400, counts: { maps: 1_400, unmaps: 1_400 } },
    { id: 'wl_1', operations: 30, counts: { maps: 30, unmaps: 30 } },
  ],
  iotlb: { lookups: 300, hits: 140 },
  counters: { memoryReferences: 420, invalidationsGlobal: 9 },
  locks: [{ name: 'l', acquisitions: 19, waits: 3, waitNs: 21_000, waitCycles: 65_100 }],
  verdicts: { ok: 270, fault: 30 },
};

describe('between two frames of one run', () => {
  const rates = new Rates(2, 1);
  assert.equal(rates.take(BASE, 0), null);
  const interval = rates.take(LATER, 0)!;

  it('throughput is the bits of the time between, not the mean of the run', () => {
    // 8 Gb/s for 1 ms, 9 Gb/s for 2 ms: 18 - 8 = 10 million bits in the second millisecond.
    close(interval.throughputGbps[0]!, 10, 1e-9, 'rx');
    assert.ok(Number.isNaN(interval.throughputGbps[1]));
    close(interval.operationsPerSecond[0]!, 800_000, 1e-6, 'packets');
    close(interval.operationsPerSecond[1]!, 20_000, 1e-6, 'I/Os');
  });

  it('CPU time is that of the calls of the time between, and the rest of what was busy', () => {
    // 820 maps of 500 cycles and 820 unmaps of 300, at 1 GHz, in 2 CPUs of a millisecond.
    const pageTable = ROWS.indexOf('pageTable');
    close(interval.cpuPercent[pageTable]!, (820 * 800 * 100) / 2_000_000, 1e-9, 'page table');
    close(interval.cpuPercent[ROWS.indexOf('lockWait')]!, (820 * 10 * 100) / 2_000_000, 1e-9, 'lock wait');
    // Busy: 0.5 ms before, 1.5 ms after.
    const sum = interval.cpuPercent.reduce((all, each) => all + each, 0);
    close(sum, 50, 1e-9, 'all of it');
  });

  it('hits, table reads, waits, verdicts and invalidations are of the time between', () => {
    close(interval.hitPercent, 50, 1e-9, 'hits');
    close(interval.readsPerLookup, 1.5, 1e-9, 'reads');
    close(interval.lockPercent[0]!, 2, 1e-9, 'waits');
    assert.deepEqual(interval.verdictsPerSecond, [180_000, 20_000]);
    assert.deepEqual(interval.invalidationsPerSecond, [5_000, 0, 0]);
  });
});

describe('between two frames', () => {
  it('without simulated time between them there is nothing', () => {
    const rates = new Rates(2, 1);
    rates.take(BASE, 0);
    assert.equal(rates.take(BASE, 0), null);
    assert.equal(rates.take({ ...BASE, timeNs: 5 }, 0), null);
  });

  it('that are too near each other say nothing, and what happened goes with the next', () => {
    const rates = new Rates(2, 1);
    rates.take(BASE, 0);
    assert.equal(rates.take({ ...BASE, timeNs: 1_000_500, verdicts: { ok: 95, fault: 10 } }, 0, 1_000), null);
    assert.deepEqual(rates.take(LATER, 0, 1_000)!.verdictsPerSecond, [180_000, 20_000]);
  });

  it('of which the second belongs to a new run, what the run has is all of it, and none is negative', () => {
    const rates = new Rates(2, 1);
    rates.take(LATER, 0);
    const next: Metrics = {
      ...LATER,
      timeNs: 3_000_000,
      cpuUtilisation: [0.6, 0],
      workloads: [{ id: 'wl_0', throughputGbps: 4, operations: 200, counts: { maps: 200, unmaps: 200 } }],
    };
    const interval = rates.take(next, 2_000_000)!;
    close(interval.throughputGbps[0]!, 4, 1e-9, 'rx');
    close(interval.operationsPerSecond[0]!, 200_000, 1e-6, 'packets');
    for (const each of [...interval.cpuPercent, ...interval.verdictsPerSecond]) assert.ok(each >= 0);
  });

  it('of one run, whose beginning was told by its progress and by its result, it stays one run', () => {
    const rates = new Rates(2, 1);
    rates.take(BASE, 0);
    close(rates.take(LATER, 1)!.operationsPerSecond[0]!, 800_000, 1e-6, 'packets');
  });

  it('without a look-up there is no hit rate, instead of none', () => {
    const rates = new Rates(2, 1);
    rates.take(BASE, 0);
    const interval = rates.take({ ...LATER, iotlb: { lookups: 100, hits: 40 } }, 0)!;
    assert.ok(Number.isNaN(interval.hitPercent));
  });
});

describe('the beginning of a run', () => {
  const run = { id: 'run_1', state: 'running', request: {} } as const;

  it('is what its result says, or its first frame, and else is not known', () => {
    const ended: Run = {
      ...run,
      state: 'finished',
      timeNs: 190_000_000,
      progress: 1,
      result: { simulatedSeconds: 0.03 } as never,
    };
    assert.equal(runStartOf(ended), 160_000_000);
    assert.equal(runStartOf({ ...run, timeNs: 160_000_000, progress: 0, result: null }), 160_000_000);
    assert.equal(runStartOf({ ...run, timeNs: 170_000_000, progress: 0.3, result: null }), null);
    assert.equal(runStartOf({ ...run, timeNs: 170_000_000, progress: null, result: null }), null);
  });
});
