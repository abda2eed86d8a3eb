/** The runner of reproductions: what it measures, how it judges, what it says of kinds that are not there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { missingKinds } from '../../../src/lab/repro/arm.ts';
import type { Accept, Measure, Reproduction, Row, ScriptStep, Spec } from '../../../src/lab/repro/reproduction.ts';
import { line } from '../../../src/lab/repro/rows.ts';
import { reproduce } from '../../../src/lab/repro/run.ts';

const spec: Spec = {
  policy: { allocator: { kind: 'rbtree-2008' }, invalidation: { kind: 'strict' } },
  devices: [{ name: 'n', kind: 'custom' }],
};

const map = (frame: number, as: string): ScriptStep => ({
  do: {
    op: 'map',
    device: 'n',
    kind: 'page',
    direction: 'from-device',
    physicalAddress: frame * 4096,
    lengthBytes: 4096,
  },
  as,
});

function* twoMaps(): Generator<ScriptStep> {
  yield { phase: 'first' };
  yield map(1, 'a');
  yield { phase: 'second' };
  yield map(2, 'b');
  yield { do: { op: 'unmap', mapping: '$a' }, as: 'freed' };
  yield { read: { read: 'metrics' }, as: 'metrics' };
}

const number = (simulated: Measure, published: number, accept: Accept): Row => ({
  target: 'B0',
  what: 'a number',
  published: { value: published, tag: 'sourced', where: 'nowhere' },
  simulated,
  accept,
  calibrated: false,
});
const shape = (row: Row extends infer R ? (R extends { shape: infer S } ? S : never) : never): Row => ({
  target: 'B0',
  what: 'a shape',
  published: { text: 'so', tag: 'sourced', where: 'nowhere' },
  shape: row,
  calibrated: false,
});

const one = (row: Row, overrides: Record<string, number> = {}, arms?: Reproduction['arms']) => {
  const texts = { id: 'x', title: 'x', citation: 'x', setup: 'x' };
  return reproduce({ ...texts, arms: arms ?? { two: { spec, script: twoMaps } }, rows: [row] }, overrides)[0]!;
};
const constant = (value: number): Measure => ({ shifted: [{ scaled: [maps, 0] }, value] });
const maps: Measure = { arm: 'two', metric: 'first.maps' };

describe('measures', () => {
  test('results of operations by their name, addresses as numbers, phases, and what a look inside says', () => {
    const of = (metric: string) => one(number({ arm: 'two', metric }, 1, { report: true })).simulated[0];
    assert.equal(of('a.iova'), 0xfffff000);
    assert.equal(of('freed.breakdown.invalidation'), 2127);
    assert.equal(of('first.maps'), 1);
    assert.equal(of('second.iovaAlloc.longest'), 379);
    assert.equal(of('second.iovaAlloc.searches'), 0);
    assert.equal(of('metrics.counters.liveMappings'), 1);
  });

  test('ratio, difference, scaled, shifted', () => {
    const of = (measure: Measure) => one(number(measure, 1, { report: true })).simulated[0];
    assert.equal(of({ ratio: [constant(6), constant(4)] }), 1.5);
    assert.equal(of({ difference: [constant(6), constant(4)] }), 2);
    assert.equal(of({ scaled: [constant(6), 0.5] }), 3);
    assert.equal(of({ shifted: [constant(6), -1] }), 5);
  });

  test('a run’s workloads by their names, after the runs before', () => {
    const traffic = {
      spec: {
        machine: { cpus: 1 },
        devices: [{ name: 'n', kind: 'nic' }],
        workloads: [{ name: 'rx', kind: 'nic-rx', device: 'n' }],
      },
      before: [{ operations: 100 }],
      run: { operations: 50 },
    };
    const row = number({ arm: 'rx', metric: 'workloads.rx.operations' }, 50, { exactly: true });
    assert.equal(one(row, {}, { rx: traffic }).passed, true);
  });

  test('walk caches of the measured run alone, by the level of the tables that they lead to', () => {
    const reads = (before: number) => ({
      spec: {
        machine: { cpus: 1 },
        iommu: { iotlb: { entries: 1, ways: 0 } },
        devices: [{ name: 'n', kind: 'custom' }],
        workloads: [
          {
            name: 'w',
            kind: 'dma-window',
            device: 'n',
            windowBytes: 2 ** 20,
            strideBytes: 4096,
            pattern: 'sequential',
          },
        ],
      },
      before: [{ operations: before }],
      run: { operations: 100 },
    });
    const of = (before: number, metric: string) =>
      one(number({ arm: 'w', metric }, 1, { report: true }), {}, { w: reads(before) }).simulated[0];
    // Access on their way at the end of a run are looked up in it.
    assert.ok(Math.abs(of(10, 'walkCaches.1.lookups')! - 100) <= 1);
    assert.ok(Math.abs(of(500, 'walkCaches.1.lookups')! - 100) <= 1);
    assert.equal(of(10, 'walkCaches.1.misses'), 0);
    assert.equal(of(10, 'walkCaches.3.lookups'), 0);
  });

  test('what is not there is an error and not a zero', () => {
    assert.throws(
      () => one(number({ arm: 'two', metric: 'first.nonsense' }, 1, { report: true })),
      /no number at first.nonsense/,
    );
    assert.throws(() => one(number({ arm: 'three', metric: 'x' }, 1, { report: true })), /no arm is named "three"/);
  });

  test('an operation that fails stops the arm', () => {
    function* wrong(): Generator<ScriptStep> {
      yield { do: { op: 'unmap', mapping: 'map_9_9' } };
    }
    assert.throws(
      () => one(number({ arm: 'two', metric: 'x' }, 1, { report: true }), {}, { two: { spec, script: wrong } }),
      /not carried out/,
    );
  });
});

describe('verdicts', () => {
  test('on numbers', () => {
    const judge = (value: number, published: number, accept: Accept) =>
      one(number(constant(value), published, accept)).passed;
    assert.deepEqual([judge(107, 100, { within: 0.08 }), judge(109, 100, { within: 0.08 })], [true, false]);
    assert.deepEqual([judge(93, 100, { within: 0.08 }), judge(91, 100, { within: 0.08 })], [true, false]);
    assert.deepEqual([judge(0.1, 0, { withinAbsolute: 0.2 }), judge(0.3, 0, { withinAbsolute: 0.2 })], [true, false]);
    assert.deepEqual([judge(2, 9, { between: [2, 4] }), judge(5, 9, { between: [2, 4] })], [true, false]);
    assert.deepEqual([judge(9, 9, { exactly: true }), judge(9.001, 9, { exactly: true })], [true, false]);
    assert.equal(judge(1, 100, { report: true }), null);
  });

  test('on shapes', () => {
    const judge = (row: Parameters<typeof shape>[0]) => one(shape(row)).passed;
    const of = [1, 2, 3].map(constant);
    assert.deepEqual(
      [
        judge({ order: 'ascending', of }),
        judge({ order: 'descending', of }),
        judge({ order: 'ascending', of: [of[0]!, of[0]!] }),
      ],
      [true, false, false],
    );
    assert.deepEqual([judge({ allAbove: 0.5, of }), judge({ allAbove: 1, of })], [true, false]);
    assert.deepEqual([judge({ allBelow: 3.5, of }), judge({ allBelow: 3, of })], [true, false]);
    const straight = { line: { x: [1, 2, 3], y: of }, r2Above: 0.98 };
    assert.deepEqual([judge(straight), judge({ ...straight, slopeAbove: 1 })], [true, false]);
    assert.equal(judge({ line: { x: [1, 2, 3], y: [of[0]!, of[2]!, of[0]!] }, r2Above: 0.98 }), false);
  });

  test('the relative error is that of the number; a published zero has none', () => {
    assert.equal(one(number(constant(3), 2, { report: true })).relativeError, 0.5);
    assert.equal(one(number(constant(3), 0, { report: true })).relativeError, null);
  });

  test('a least-squares line', () => {
    assert.deepEqual(line([0, 1, 2], [1, 3, 5]), { slope: 2, r2: 1 });
    assert.equal(line([0, 1, 2], [4, 4, 4]).r2, 0, 'what does not rise explains nothing');
  });
});

describe('kinds that are not there', () => {
  test('are named, whatever they are, and nothing is run', () => {
    const future = {
      policy: { allocator: { kind: 'teleport' }, invalidation: { kind: 'someday' } },
      workloads: [{ kind: 'telepathy' }],
      costs: { profile: 'crystal', overrides: { hop: 1 } },
    };
    assert.deepEqual(missingKinds(future), [
      'allocator teleport',
      'policy someday',
      'workload telepathy',
      'profile crystal',
      'step hop',
    ]);
    assert.deepEqual(missingKinds({ workloads: [{ kind: 'block', device: 'n', wings: 2 }] }), [
      'wings of workload block',
    ]);
    assert.deepEqual(missingKinds({ policy: { invalidation: { kind: 'strict', lazily: true } } }), [
      'lazily of policy strict',
    ]);
    assert.deepEqual(missingKinds({ policy: { mode: 'astral' } }), ['mode astral']);
    assert.deepEqual(missingKinds({ policy: { mode: 'passthrough' } }), []);
    assert.deepEqual(missingKinds(spec), []);
    const arms = { two: { spec: future, script: twoMaps } };
    const row = one(number({ ratio: [maps, maps] }, 1, { exactly: true }), {}, arms);
    assert.deepEqual([row.status, row.passed, row.simulated.length], ['not simulated', null, 0]);
    assert.match(row.remark, /^there is no allocator teleport, no policy someday, no workload telepathy/);
  });
});

test('costs of all arms can be varied, except those that an arm states itself', () => {
  const cost = number({ arm: 'two', metric: 'freed.breakdown.invalidation' }, 1, { report: true });
  assert.equal(one(cost, { invalidation: 5 }).simulated[0], 5);
  const stated = { two: { spec: { ...spec, costs: { overrides: { invalidation: 7 } } }, script: twoMaps } };
  assert.equal(one(cost, { invalidation: 5 }, stated).simulated[0], 7);
});
