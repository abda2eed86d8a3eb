import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type BySeed, differenceOf, QUANTILE_BUCKET } from '../../../src/lab/compare/difference.ts';
import { criticalValue } from '../../../src/lab/compare/student.ts';

const bySeed = (values: number[], first = 1): BySeed => new Map(values.map((value, i) => [first + i, value]));

/** P(|T| > t) of Student's distribution: the density in steps, after t = tan(x), so that infinity is a step away too. */
function outside(t: number, degrees: number): number {
  const density = (value: number) => (1 + value ** 2 / degrees) ** (-(degrees + 1) / 2);
  const area = (from: number, to: number) => {
    const steps = 20_000;
    let sum = 0;
    for (let i = 0; i < steps; i++) {
      const x = from + ((to - from) * (i + 0.5)) / steps;
      sum += (density(Math.tan(x)) / Math.cos(x) ** 2) * ((to - from) / steps);
    }
    return sum;
  };
  return area(Math.atan(t), Math.PI / 2) / area(0, Math.PI / 2);
}

/** Means and variances the long way. */
function model(a: BySeed, b: BySeed): { low: number; high: number } {
  const seeds = [...a.keys()].filter((seed) => b.has(seed));
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = (values: number[]) => {
    const pairs = values.flatMap((x) => values.map((y) => (x - y) ** 2));
    return pairs.reduce((sum, value) => sum + value, 0) / 2 / values.length / (values.length - 1);
  };
  if (seeds.length > 1) {
    const logs = seeds.map((seed) => Math.log(a.get(seed)!) - Math.log(b.get(seed)!));
    const half = criticalValue(logs.length - 1) * Math.sqrt(variance(logs) / logs.length);
    return { low: Math.exp(mean(logs) - half), high: Math.exp(mean(logs) + half) };
  }
  const [x, y] = [[...a.values()].map(Math.log), [...b.values()].map(Math.log)];
  const [vx, vy] = [variance(x) / x.length, variance(y) / y.length];
  const degrees = (vx + vy) ** 2 / (vx ** 2 / (x.length - 1) + vy ** 2 / (y.length - 1));
  const half = vx + vy === 0 ? 0 : criticalValue(degrees) * Math.sqrt(vx + vy);
  return { low: Math.exp(mean(x) - mean(y) - half), high: Math.exp(mean(x) - mean(y) + half) };
}

const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual / expected - 1) < 1e-7, `${actual} is not ${expected}`);

/** Bits of a small generator: chance for tests that need much of it. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x = (x + Math.imul(x ^ (x >>> 7), x | 61)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random: () => number) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

describe('critical values', () => {
  it('leave 0.5 per cent of the distribution outside', () => {
    for (const degrees of [1, 2, 3, 4, 5, 7, 9, 12, 15, 20, 25, 30, 40, 60, 120, 1000])
      assert.ok(Math.abs(outside(criticalValue(degrees), degrees) - 0.005) < 2e-6, String(degrees));
  });

  it('are those of the next lower row in between', () => {
    assert.equal(criticalValue(2.9), criticalValue(2));
    assert.equal(criticalValue(39), criticalValue(30));
    assert.equal(criticalValue(59.5), criticalValue(40));
    assert.equal(criticalValue(1e9), criticalValue(1000));
  });
});

describe('the difference of two arms', () => {
  it('is the interval of the model, paired by seed', () => {
    const values = fc.array(
      fc.tuple(fc.double({ min: 1, max: 1e6, noNaN: true }), fc.double({ min: 1, max: 1e6, noNaN: true })),
      {
        minLength: 2,
        maxLength: 12,
      },
    );
    fc.assert(
      fc.property(values, (pairs) => {
        const [a, b] = [bySeed(pairs.map(([x]) => x)), bySeed(pairs.map(([, y]) => y))];
        const { low, high } = model(a, b);
        const seen = differenceOf(a, b)!;
        if (high < 1e300 && low > 1e-300) {
          close(seen.low!, low);
          close(seen.high!, high);
        }
        assert.equal(seen.seeds, pairs.length);
        assert.equal(seen.verdict, seen.low! > 1 ? 'higher' : seen.high! < 1 ? 'lower' : 'no difference seen');
      }),
    );
  });

  it('is the interval of the model where no seed is shared', () => {
    const sample = fc.array(fc.double({ min: 1, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(sample, sample, (x, y) => {
        const [a, b] = [bySeed(x), bySeed(y, 100)];
        const { low, high } = model(a, b);
        const seen = differenceOf(a, b)!;
        if (high < 1e300 && low > 1e-300) {
          close(seen.low!, low);
          close(seen.high!, high);
        }
      }),
    );
  });

  it('is the other way round from the other side', () => {
    const value = fc.oneof(fc.constant(0), fc.double({ min: 1, max: 1e6, noNaN: true }));
    const opposite = { higher: 'lower', lower: 'higher', 'no difference seen': 'no difference seen' };
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 8 }), (pairs) => {
        const [a, b] = [bySeed(pairs.map(([x]) => x)), bySeed(pairs.map(([, y]) => y))];
        const [there, back] = [differenceOf(a, b)!, differenceOf(b, a)!];
        assert.equal(opposite[there.verdict], back.verdict);
        // Two pairs that have little in common have an interval that no double holds.
        if (there.low !== null && there.low > 1e-300 && back.high! < 1e300) close(there.low * back.high!, 1);
      }),
    );
  });

  it('is none between equal arms, whatever their figures', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 8 }), (values) => {
        assert.equal(differenceOf(bySeed(values), bySeed(values))!.verdict, 'no difference seen');
        assert.equal(differenceOf(bySeed(values), bySeed(values))!.oneSeed, undefined);
      }),
    );
  });

  it('is found however small where chance has no part', () => {
    const seen = differenceOf(bySeed([1.001, 1.001, 1.001]), bySeed([1, 1, 1]))!;
    assert.deepEqual(seen, { ratio: 1.001, low: 1.001, high: 1.001, verdict: 'higher', seeds: 3 });
  });

  it('is seen by pairs where the seeds spread more than the arms differ', () => {
    const seeds = [100, 140, 90, 120];
    const dearer = [105.1, 147, 94.4, 126.1];
    assert.equal(differenceOf(bySeed(dearer), bySeed(seeds))!.verdict, 'higher');
    assert.equal(differenceOf(bySeed(dearer), bySeed(seeds, 50))!.verdict, 'no difference seen');
  });

  it('has no verdict about seeds with one of them', () => {
    assert.deepEqual(differenceOf(bySeed([2]), bySeed([1])), {
      ratio: 2,
      low: null,
      high: null,
      verdict: 'higher',
      seeds: 1,
      oneSeed: true,
    });
    assert.deepEqual(differenceOf(bySeed([2]), bySeed([2])), {
      ratio: 1,
      low: null,
      high: null,
      verdict: 'no difference seen',
      seeds: 1,
    });
    assert.equal(differenceOf(bySeed([5]), bySeed([1, 2, 3], 7))!.oneSeed, true);
  });

  it('has no ratio to nothing, and a verdict all the same', () => {
    const none = bySeed([0, 0, 0]);
    assert.deepEqual(differenceOf(bySeed([3, 1, 2]), none), {
      ratio: null,
      low: null,
      high: null,
      verdict: 'higher',
      seeds: 3,
    });
    assert.deepEqual(differenceOf(none, bySeed([3, 1, 2])), {
      ratio: 0,
      low: null,
      high: null,
      verdict: 'lower',
      seeds: 3,
    });
    assert.equal(differenceOf(none, none)!.verdict, 'no difference seen');
    assert.equal(differenceOf(bySeed([3, 0, 2]), none)!.verdict, 'no difference seen');
    assert.equal(differenceOf(bySeed([1, 2]), bySeed([0, 0]))!.verdict, 'no difference seen');
    assert.equal(differenceOf(bySeed([0]), bySeed([4]))!.verdict, 'lower');
  });

  it('is not seen between neighbouring buckets of a histogram', () => {
    const [low, next, second] = [1048576, 1081344, 1114112];
    const three = (value: number) => bySeed([value, value, value]);
    assert.equal(differenceOf(three(next), three(low), QUANTILE_BUCKET)!.verdict, 'no difference seen');
    assert.equal(differenceOf(three(second), three(low), QUANTILE_BUCKET)!.verdict, 'higher');
    assert.equal(differenceOf(bySeed([next]), bySeed([low]), QUANTILE_BUCKET)!.verdict, 'no difference seen');
    assert.equal(differenceOf(bySeed([second]), bySeed([low]), QUANTILE_BUCKET)!.oneSeed, true);
  });

  it('is null where an arm has no figure', () => {
    assert.equal(differenceOf(new Map(), bySeed([1])), null);
  });

  for (const seeds of [2, 3, 5, 10])
    it(`is seen in fewer than 1 of 100 pairs that do not differ, and 5 per cent are found, with ${seeds} seeds each`, () => {
      const random = dice(seeds);
      const spread = seeds === 2 ? 0.0002 : 0.003;
      const sample = (middle: number) =>
        Array.from({ length: seeds }, () => middle * Math.exp(spread * normal(random)));
      let [wrong, found] = [0, 0];
      const trials = 2000;
      for (let trial = 0; trial < trials; trial++) {
        const [a, b, dearer] = [bySeed(sample(100)), bySeed(sample(100), 50), bySeed(sample(105), 50)];
        if (differenceOf(a, b)!.verdict !== 'no difference seen') wrong++;
        if (differenceOf(dearer, a)!.verdict === 'higher') found++;
      }
      assert.ok(wrong < trials / 100, `${wrong} of ${trials} wrong`);
      assert.ok(found > trials * 0.9, `${found} of ${trials} found`);
    });
});
