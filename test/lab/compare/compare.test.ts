import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compareExperiment } from '../../../src/lab/compare/compare.ts';
import { memberAt } from '../../../src/lab/compare/sample.ts';
import type { Arm, Plain } from '../../../src/lab/experiment.ts';
import { experimentOf, finished, madeUpRun, runSpec } from '../small-lab.ts';

const KIND = 'policy.invalidation.kind';
const nic: Plain = {
  machine: { cpus: 2 },
  devices: [{ name: 'nic0', kind: 'nic' }],
  workloads: [
    { name: 'rx', kind: 'nic-rx', device: 'nic0', gbps: 10, cpus: [0] },
    {
      name: 'probe',
      kind: 'hostile',
      device: 'nic0',
      target: 'nic0',
      select: 'random-unmapped',
      access: 'write',
      accessesPerUs: 1,
    },
  ],
};
const policies = ['strict', 'deferred-2008', 'never'].map((kind) => ({ label: kind, set: { [KIND]: kind } }));
const until = { operations: 3000 };

describe('an experiment compared', () => {
  const data = experimentOf({ base: nic, arms: policies, until, seeds: [1, 2, 3], control: true });
  const results = compareExperiment(data);
  const arm = (id: string) => results.arms.find((each) => each.id === id)!;
  const compared = (a: string, b: string, metric: string) =>
    results.comparisons.find((each) => each.a === a && each.b === b && each.metric === metric)!;

  it('has every number of a run where the run has it', () => {
    const [strict, deferred] = [arm('arm-1'), arm('arm-2')];
    const runs = data.rows.filter((row) => row.arm === 'arm-2').map(({ outcome }) => outcome?.ok && outcome.result);
    const median = (path: string) => runs.map((run) => Number(memberAt(run, path))).sort((a, b) => a - b)[1];
    assert.equal(deferred.throughputGbps!.median, median('throughputGbps'));
    assert.equal(deferred.cyclesPerOperation!.median, median('cyclesPerOperation'));
    assert.equal(deferred.latencyNs.p99!.median, median('latencyNs.p99'));
    assert.equal(deferred.exposure.pageSeconds!.median, median('exposure.potential.pageSeconds'));
    assert.equal(deferred.exposure.actualPageSeconds!.median, median('exposure.actual.pageSeconds'));
    assert.equal(deferred.exposure.detectability!.median, median('exposure.detectability'));
    assert.equal(deferred.cpuUtilisation!.median, (median('cpuUtilisation.0')! + median('cpuUtilisation.1')!) / 2);
    assert.equal(strict.exposure.pageSeconds!.high, 0);
    assert.equal(deferred.iops, undefined);
    assert.deepEqual(deferred.seeds, [1, 2, 3]);
    assert.deepEqual([results.state, results.complete, results.failures], ['finished', true, []]);
    assert.deepEqual([strict.profile, strict.unprotected], ['riommu15-mlx', false]);
    assert.ok(strict.assumptions.includes('invalidationHardware'));
  });

  it('has null, never 0, for what there is none of', () => {
    const probe = arm('arm-2').workloads[1]!;
    assert.deepEqual([probe.name, probe.kind], ['probe', 'hostile']);
    assert.equal(probe.cyclesPerOperation, null);
    assert.equal(probe.latencyNs.p99, null);
    assert.equal(probe.throughputGbps, undefined);
    assert.equal(arm('arm-2').workloads[0]!.exposure.hostileYield, null);
    assert.ok(probe.exposure.hostileYield!.median > 0);
    assert.equal(arm('arm-1').exposure.hostileYield!.median, 0);
  });

  it('splits the cycles of an operation by row without losing any', () => {
    for (const { cycles, cyclesPerOperation } of results.arms) {
      const sum = Object.values(cycles).reduce((all, figure) => all + figure!.median, 0);
      assert.ok(Math.abs(sum - cyclesPerOperation!.median) < 0.01, `${sum} of ${cyclesPerOperation!.median}`);
    }
    const perCall = data.rows[0]!.outcome?.ok
      ? (memberAt(data.rows[0]!.outcome.result, 'breakdown.unmap') as Plain)
      : {};
    // Two mappings a packet under this profile.
    assert.ok(Math.abs(arm('arm-1').cycles.invalidation!.median / (Number(perCall.invalidation) * 2) - 1) < 1e-3);
    assert.ok(arm('control').cycles.driver!.median > 0);
  });

  it('counts each window once, whatever the buckets', () => {
    const { windowsNs } = arm('arm-2');
    const counted = windowsNs.reduce((sum, { count }) => sum + count, 0);
    const closed = data.rows
      .filter((row) => row.arm === 'arm-2')
      .reduce((sum, { outcome }) => sum + Number(memberAt(outcome, 'result.exposure.potential.quantilesNs.count')), 0);
    assert.equal(counted, closed);
    for (const [i, { from, to }] of windowsNs.entries()) {
      assert.ok(to > from && to - from <= Math.max(1, from / 8));
      assert.ok(i === 0 || windowsNs[i - 1]!.to <= from);
    }
    assert.deepEqual(arm('arm-1').windowsNs, []);
  });

  it('compares each arm with its control and each pair that one knob separates', () => {
    const pairs = [...new Set(results.comparisons.map(({ a, b }) => `${a} ${b}`))];
    assert.deepEqual(pairs, [
      'arm-1 arm-2',
      'arm-1 arm-3',
      'arm-1 control',
      'arm-2 arm-3',
      'arm-2 control',
      'arm-3 control',
    ]);
    const dearer = compared('arm-1', 'arm-2', 'cyclesPerOperation');
    assert.equal(dearer.verdict, 'higher');
    const ratio = arm('arm-1').cyclesPerOperation!.median / arm('arm-2').cyclesPerOperation!.median;
    assert.ok(Math.abs(dearer.ratio! / ratio - 1) < 0.01);
    assert.ok(dearer.low! <= dearer.ratio! && dearer.ratio! <= dearer.high!);
    assert.equal(compared('arm-1', 'arm-2', 'exposure.pageSeconds').verdict, 'lower');
    assert.equal(compared('arm-1', 'arm-2', 'exposure.staleAccesses').verdict, 'lower');
    assert.equal(compared('arm-1', 'arm-2', 'iops'), undefined);
  });

  it('puts arms on the frontier or below it, and a control on neither', () => {
    assert.deepEqual(results.frontier, ['arm-1', 'arm-2', 'arm-3']);
    assert.deepEqual(results.dominated, []);
    assert.ok(arm('control').unprotected);
    assert.deepEqual(results.knobs[0], { a: 'arm-1', b: 'arm-2', path: KIND, from: 'strict', to: 'deferred-2008' });
    const open = experimentOf({
      base: nic,
      arms: [...policies, { set: { 'policy.mode': 'passthrough' } }],
      until,
      seeds: [1],
    });
    const { frontier, dominated } = compareExperiment(open);
    assert.ok(![...frontier, ...dominated].includes('arm-4'));
  });

  it('gives for each arm what runs it alone to the same figures', () => {
    for (const { rerun, throughputGbps, exposure } of results.arms) {
      assert.equal(rerun.control, false);
      assert.deepEqual(rerun.seeds, [1, 2, 3]);
      const again = experimentOf({ base: rerun.base!, arms: [{ set: {} }], until: rerun.until!, seeds: rerun.seeds! });
      const [alone] = compareExperiment(again).arms;
      assert.deepEqual([alone!.throughputGbps, alone!.exposure], [throughputGbps, exposure]);
    }
  });

  it('is the same for the same data, in whatever order rows came', () => {
    const shuffled = { ...data, rows: [...data.rows].reverse() };
    assert.equal(JSON.stringify(compareExperiment(shuffled)), JSON.stringify(results));
  });
});

describe('an experiment that is not all there', () => {
  const arms = [
    { label: 'first', set: {} },
    { label: 'second', set: { [KIND]: 'strict' } },
  ];
  const shape = { base: nic, arms, until, seeds: [1, 2] };

  it('is compared as far as it has come', () => {
    const data = experimentOf(shape, ({ id }, seed) =>
      id === 'arm-1' ? finished(madeUpRun({ throughputGbps: 8 + seed })) : null,
    );
    const { arms: results, comparisons, complete, state, frontier } = compareExperiment(data);
    assert.deepEqual([state, complete], ['running', false]);
    assert.deepEqual(results[0]!.throughputGbps, { median: 9.5, low: 9, high: 10 });
    assert.deepEqual(
      [results[1]!.throughputGbps, results[1]!.cyclesPerOperation, results[1]!.seeds],
      [undefined, null, []],
    );
    assert.deepEqual([comparisons, frontier], [[], ['arm-1']]);
  });

  it('takes rows that are missing for jobs that have no result', () => {
    const data = experimentOf(shape, () => finished(madeUpRun({})));
    assert.equal(compareExperiment(data).complete, true);
    assert.equal(compareExperiment({ ...data, rows: data.rows.slice(1) }).complete, false);
    assert.deepEqual(
      compareExperiment({ ...data, rows: [] }).arms.map(({ seeds }) => seeds),
      [[], []],
    );
  });

  it('names what failed and goes on with the rest', () => {
    const data = experimentOf(shape, ({ id }, seed) =>
      id === 'arm-2' && seed === 2
        ? { ok: false, code: 'iova-exhausted', detail: 'no IOVA left' }
        : finished(madeUpRun({ pageSeconds: id === 'arm-1' ? 1 : 0 })),
    );
    const { failures, complete, arms: results, comparisons } = compareExperiment(data);
    assert.deepEqual(failures, [{ arm: 'arm-2', seed: 2, code: 'iova-exhausted', detail: 'no IOVA left' }]);
    assert.equal(complete, false);
    assert.deepEqual(results[1]!.seeds, [1]);
    const lower = comparisons.find(({ metric }) => metric === 'exposure.pageSeconds')!;
    assert.deepEqual([lower.verdict, lower.ratio, lower.oneSeed], ['higher', null, true]);
  });

  it('has no figure from a script, whose results are of another shape', () => {
    const data = experimentOf(shape, () => finished({ a: { id: 'map_1', costCycles: 4 } }));
    const { arms: results, comparisons, frontier } = compareExperiment(data);
    assert.deepEqual(
      [results[0]!.operations, results[0]!.exposure.pageSeconds, comparisons, frontier],
      [null, null, [], []],
    );
  });

  it('holds arms of a reproduction against what was published, not against each other', () => {
    const data = experimentOf(shape, ({ id }) => finished(madeUpRun({ throughputGbps: id === 'arm-1' ? 5 : 9 })));
    data.document.request.preset = 'repro/riommu15';
    const { arms: results, comparisons, frontiers, frontier, knobs } = compareExperiment(data);
    assert.deepEqual([comparisons, frontiers, frontier, knobs], [[], [], [], []]);
    assert.deepEqual(results[0]!.rerun, { preset: 'repro/riommu15' });
    assert.equal(results[0]!.throughputGbps!.median, 5);
  });

  it('compares with a control wherever that stands, and though it is one of its own arms', () => {
    const data = experimentOf(shape, ({ id }) => finished(madeUpRun({ throughputGbps: id === 'arm-1' ? 5 : 9 })));
    const [own, other] = data.document.arms as [Arm, Arm];
    data.document.arms = [
      { ...own, control: true },
      { ...other, controlId: own.id },
    ];
    const { comparisons, frontier } = compareExperiment(data);
    assert.deepEqual([comparisons[0]!.a, comparisons[0]!.b, comparisons[0]!.verdict], ['arm-2', 'arm-1', 'higher']);
    assert.deepEqual(frontier, ['arm-2']);
  });

  it('has no rate where no packet came through', () => {
    const data = experimentOf(shape, () => finished(madeUpRun({ operations: 0, throughputGbps: 0 })));
    const [arm] = compareExperiment(data).arms;
    assert.deepEqual(
      [arm!.operations, arm!.throughputGbps, arm!.cyclesPerOperation],
      [{ median: 0, low: 0, high: 0 }, null, null],
    );
  });

  it('takes an operation more or less for chance, and three for a difference', () => {
    const verdictWith = (operations: number) => {
      const arms = ['strict', 'never'].map((kind) => ({ label: kind, set: { [KIND]: kind } }));
      const data = experimentOf({ base: nic, arms, until, seeds: [1, 2, 3] }, ({ id }) =>
        finished(madeUpRun(id === 'arm-1' ? {} : { operations, throughputGbps: operations / 100 })),
      );
      return compareExperiment(data).comparisons.find(({ metric }) => metric === 'throughputGbps')!.verdict;
    };
    assert.deepEqual([1001, 1003].map(verdictWith), ['no difference seen', 'lower']);
  });

  it('can be told of a spec that this version does not resolve', () => {
    const arms = [{ set: { 'policy.mode': 'of tomorrow' } }];
    const data = experimentOf({ base: nic, arms, until, seeds: [1] }, () => finished(madeUpRun({})));
    const { arms: results, frontier } = compareExperiment(data);
    assert.deepEqual([results[0]!.profile, results[0]!.unprotected, frontier], [null, false, ['arm-1']]);
  });
});

describe('two arms that are equal in all but their name', () => {
  const window = (readLatencyNs: number): Plain => ({
    devices: [{ name: 'copy0', kind: 'nic' }],
    workloads: [
      {
        name: 'copy',
        kind: 'dma-window',
        device: 'copy0',
        windowBytes: 1048576,
        accessBytes: 64,
        pattern: 'random',
        missNs: 230,
        readLatencyNs,
      },
    ],
  });
  const until = { operations: 400 };
  const arms = [
    { label: 'a', set: {} },
    { label: 'b', set: {} },
  ];

  it('do not differ, bit by bit, with the same seeds', () => {
    const data = experimentOf({ base: window(500), arms, until, seeds: [1, 2, 3] });
    const digests = (arm: string) =>
      data.rows.filter((row) => row.arm === arm).map(({ outcome }) => outcome?.ok && outcome.digest);
    assert.deepEqual(digests('arm-1'), digests('arm-2'));
    for (const { verdict, ratio, oneSeed } of compareExperiment(data).comparisons)
      assert.deepEqual([verdict, ratio === null || ratio === 1, oneSeed], ['no difference seen', true, undefined]);
  });

  /** Comparisons of two arms with seeds of their own. */
  const apart = (trial: number, seedsEach: number, latencies: [number, number]) => {
    const data = experimentOf({ base: window(500), arms, until, seeds: [] });
    for (const [place, arm] of ['arm-1', 'arm-2'].entries())
      for (let i = 0; i < seedsEach; i++) {
        const seed = 1 + (trial * 2 + place) * seedsEach + i;
        const outcome = runSpec(window(latencies[place]!), until, seed);
        data.rows.push({ arm, seed, key: '', state: 'finished', outcome });
      }
    return compareExperiment(data).comparisons;
  };

  it('are seen to differ in no figure in at least 95 of 100 trials with seeds of their own', () => {
    let alike = 0;
    for (let trial = 0; trial < 100; trial++) {
      const comparisons = apart(trial, 3, [500, 500]);
      assert.ok(comparisons.some(({ ratio }) => ratio !== null && ratio !== 1));
      if (comparisons.every(({ verdict }) => verdict === 'no difference seen')) alike++;
    }
    assert.ok(alike >= 95, `${alike} of 100`);
  });

  it('would be told from one that is 5 per cent slower', () => {
    for (let trial = 0; trial < 20; trial++) {
      const throughput = apart(trial, 4, [500, 536]).find(({ metric }) => metric === 'throughputGbps')!;
      assert.ok(1.03 < throughput.ratio! && throughput.ratio! < 1.07, String(throughput.ratio));
      assert.equal(throughput.verdict, 'higher');
    }
  });
});
