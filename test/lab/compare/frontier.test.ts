import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type BySeed, differenceOf } from '../../../src/lab/compare/difference.ts';
import { type Candidate, frontiersOf, knobsOf, sceneOf } from '../../../src/lab/compare/frontier.ts';
import type { Plain } from '../../../src/lab/experiment.ts';

interface Point {
  throughputGbps?: number[];
  operationsPerSecond?: number[];
  cyclesPerOperation?: number[];
  pageSeconds: number[];
  staleAccesses?: number[];
  varied?: Plain;
  scene?: string;
}

const bySeed = (values: number[]): BySeed => new Map(values.map((value, seed) => [seed, value]));

function candidates(points: Point[]): Candidate[] {
  return points.map((point, i) => ({
    id: `arm-${i + 1}`,
    varied: point.varied ?? {},
    scene: point.scene ?? '',
    values: (metric) => {
      const { varied: _, scene: __, ...figures } = point;
      const known = { staleAccesses: point.pageSeconds.map(() => 0), ...figures } as Record<string, number[]>;
      return bySeed(known[metric.replace('exposure.', '')] ?? []);
    },
  }));
}

const frontierOf = (points: Point[]) => frontiersOf(candidates(points)).flatMap(({ frontier }) => frontier);

describe('the frontier of speed against exposure', () => {
  it('is, with exact figures, what is left when each arm is held against each other', () => {
    const point = fc.record({
      throughputGbps: fc.integer({ min: 1, max: 6 }),
      pageSeconds: fc.integer({ min: 0, max: 5 }),
      staleAccesses: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (points) => {
        const same =
          Math.max(...points.map((each) => each.throughputGbps)) ===
          Math.min(...points.map((each) => each.throughputGbps));
        const speed = (each: (typeof points)[0]) => (same ? 0 : each.throughputGbps);
        const exposure = (each: (typeof points)[0]) => each.pageSeconds * 10 + each.staleAccesses;
        const expected = points.flatMap((one, i) =>
          points.some(
            (other) =>
              speed(other) >= speed(one) &&
              exposure(other) <= exposure(one) &&
              (speed(other) > speed(one) || exposure(other) < exposure(one)),
          )
            ? []
            : `arm-${i + 1}`,
        );
        const three = (value: number) => [value, value, value];
        const given = points.map((each) => ({
          throughputGbps: three(each.throughputGbps),
          cyclesPerOperation: three(1000),
          pageSeconds: three(each.pageSeconds),
          staleAccesses: three(each.staleAccesses),
        }));
        assert.deepEqual(frontierOf(given), expected);
      }),
    );
  });

  it('with spread, leaves out just those that some other beats beyond it in one and does not lose to in the other', () => {
    const value = (max: number) => fc.array(fc.double({ min: 0.5, max, noNaN: true }), { minLength: 3, maxLength: 3 });
    const point = fc.record({ throughputGbps: value(100), pageSeconds: value(3) });
    fc.assert(
      fc.property(fc.array(point, { minLength: 2, maxLength: 9 }), (points) => {
        const seen = (i: number, j: number, name: 'throughputGbps' | 'pageSeconds') =>
          differenceOf(bySeed(points[i]![name]), bySeed(points[j]![name]))!.verdict;
        const beats = (i: number, j: number) => {
          const [speed, exposure] = [seen(i, j, 'throughputGbps'), seen(i, j, 'pageSeconds')];
          return (speed === 'higher' && exposure !== 'higher') || (exposure === 'lower' && speed !== 'lower');
        };
        const left = points.map((_, j) => !points.some((_, i) => beats(i, j)));
        const expected = left.some((is) => is) ? left : left.map(() => true);
        const middle = (each: (typeof points)[0]) => [...each.throughputGbps].sort((a, b) => a - b)[1]!;
        const middles = points.map(middle);
        fc.pre(Math.min(...middles) < Math.max(...middles) * 0.99);
        assert.deepEqual(
          frontierOf(points),
          expected.flatMap((is, i) => (is ? `arm-${i + 1}` : [])),
        );
      }),
    );
  });

  it('is never empty, however the spreads lie', () => {
    const value = fc.array(fc.double({ min: 1, max: 3, noNaN: true }), { minLength: 2, maxLength: 4 });
    const point = fc.record({ throughputGbps: value, pageSeconds: value });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 9 }), (points) => {
        const [group] = frontiersOf(candidates(points));
        assert.ok(group!.frontier.length > 0);
        const known = [...group!.frontier, ...group!.dominated.map(({ arm }) => arm)].sort();
        assert.deepEqual(known, points.map((_, i) => `arm-${i + 1}`).sort());
      }),
    );
  });

  it('counts cycles where all carry the same load', () => {
    const [group] = frontiersOf(
      candidates([
        { throughputGbps: [9.87, 9.87], cyclesPerOperation: [9000, 9000], pageSeconds: [0, 0] },
        { throughputGbps: [9.9, 9.9], cyclesPerOperation: [5000, 5000], pageSeconds: [4, 4] },
        { throughputGbps: [9.88, 9.88], cyclesPerOperation: [9500, 9500], pageSeconds: [5, 5] },
      ]),
    );
    assert.deepEqual(group, {
      scene: {},
      speed: 'cyclesPerOperation',
      better: 'lower',
      loadLimited: true,
      frontier: ['arm-1', 'arm-2'],
      dominated: [{ arm: 'arm-3', by: ['arm-1', 'arm-2'] }],
    });
  });

  it('counts operations of arms that have no other rate, and knows none of arms that were not measured', () => {
    const [group] = frontiersOf(
      candidates([
        { operationsPerSecond: [100], pageSeconds: [0] },
        { operationsPerSecond: [50], pageSeconds: [1] },
        { pageSeconds: [] },
        { pageSeconds: [0] },
      ]),
    );
    assert.equal(group!.speed, 'operationsPerSecond');
    assert.deepEqual([group!.frontier, group!.dominated], [['arm-1'], [{ arm: 'arm-2', by: ['arm-1'] }]]);
    assert.deepEqual(frontiersOf(candidates([{ pageSeconds: [] }])), []);
  });

  it('does not hold a machine against another', () => {
    const points = [
      { throughputGbps: [10], pageSeconds: [5], varied: { 'machine.cpus': 1 }, scene: 'one' },
      { throughputGbps: [40], pageSeconds: [1], varied: { 'machine.cpus': 4 }, scene: 'four' },
    ];
    assert.deepEqual(frontierOf(points), ['arm-1', 'arm-2']);
    assert.deepEqual(
      frontiersOf(candidates(points)).map(({ scene }) => scene),
      [{ 'machine.cpus': 1 }, { 'machine.cpus': 4 }],
    );
    const choices = { 'policy.mode': 'bounce', 'iommu.iotlb.entries': 8, kernelCommandLine: 'x', seed: 3 };
    assert.deepEqual(sceneOf({ ...choices, 'costs.profile': 'riommu15-brcm', policyless: 1 }), {
      'costs.profile': 'riommu15-brcm',
      policyless: 1,
    });
  });

  it('names the one knob between two of its arms', () => {
    const varied: Plain[] = [
      { 'policy.invalidation.kind': 'strict', 'policy.allocator.kind': 'rbtree' },
      { 'policy.invalidation.kind': 'deferred-2008', 'policy.allocator.kind': 'rbtree' },
      { 'policy.invalidation.kind': 'deferred-2008', 'policy.allocator.kind': 'bitmap' },
      { 'policy.invalidation.kind': 'strict' },
    ];
    const points = varied.map((each, i) => ({ throughputGbps: [i + 1], pageSeconds: [i + 1], varied: each }));
    const groups = frontiersOf(candidates(points));
    const variedOf = (arm: string) => varied[Number(arm.slice(4)) - 1]!;
    const kind = 'policy.invalidation.kind';
    const allocator = 'policy.allocator.kind';
    assert.deepEqual(
      knobsOf(groups, variedOf, (arm, path) => variedOf(arm)[path] ?? 'rbtree-2008'),
      [
        { a: 'arm-1', b: 'arm-2', path: kind, from: 'strict', to: 'deferred-2008' },
        { a: 'arm-1', b: 'arm-4', path: allocator, from: 'rbtree', to: 'rbtree-2008' },
        { a: 'arm-2', b: 'arm-3', path: allocator, from: 'rbtree', to: 'bitmap' },
      ],
    );
  });
});
