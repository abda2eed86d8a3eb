/** Log-linear buckets: edges by definition, quantiles against sorted arrays. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bucketLow, bucketOf, Histogram } from '../../../src/core/meter/histogram.ts';
import { Dice } from '../build.ts';

/** Lowest value that shares a bucket with `value`, by the definition: 32 buckets to a power of two from 64 on. */
function lowEdge(value: bigint): bigint {
  if (value < 64n) return value;
  const width = 1n << BigInt(value.toString(2).length - 6);
  return (value / width) * width;
}

function values(): number[] {
  const out: number[] = [];
  for (let i = 0; i < 300; i++) out.push(i);
  for (let bits = 6; bits <= 53; bits++)
    for (const delta of [-1, 0, 1]) if (2 ** bits + delta <= Number.MAX_SAFE_INTEGER) out.push(2 ** bits + delta);
  const dice = new Dice(2);
  for (let i = 0; i < 20_000; i++) out.push(Math.floor(2 ** dice.below(53) * (1 + dice.below(1e6) / 1e6)));
  return out.filter((value) => value <= Number.MAX_SAFE_INTEGER);
}

describe('histogram', () => {
  test('every value lies in the bucket whose low edge the definition gives', () => {
    for (const value of values()) assert.equal(BigInt(bucketLow(bucketOf(value))), lowEdge(BigInt(value)), `${value}`);
  });

  test('buckets join without gap or overlap up to 2^53 - 1', () => {
    const last = bucketOf(Number.MAX_SAFE_INTEGER);
    for (let bucket = 0; bucket <= last; bucket++) {
      assert.equal(bucketOf(bucketLow(bucket)), bucket);
      const next = bucketLow(bucket + 1);
      assert.ok(next > bucketLow(bucket));
      assert.equal(bucketOf(next - 1), bucket);
    }
  });

  test('a bucket is at most a 32nd of its value wide', () => {
    for (let bucket = 64; bucket < bucketOf(2 ** 52); bucket++)
      assert.ok((bucketLow(bucket + 1) - bucketLow(bucket)) * 32 <= bucketLow(bucket));
  });

  test('quantiles are the low edge of the bucket of the value of that rank in the sorted array', () => {
    const dice = new Dice(4);
    for (let round = 0; round < 50; round++) {
      const histogram = new Histogram();
      const recorded: number[] = [];
      for (let i = 0; i < 1 + dice.below(500); i++) {
        const value = dice.below(10 ** (1 + dice.below(9)));
        histogram.record(value);
        recorded.push(value);
      }
      recorded.sort((a, b) => a - b);
      for (const fraction of [0.5, 0.9, 0.99, 0.999]) {
        const exact = recorded[Math.max(1, Math.ceil(fraction * recorded.length)) - 1]!;
        const expected = Math.max(Number(lowEdge(BigInt(exact))), recorded[0]!);
        assert.equal(histogram.quantile(fraction), expected);
      }
      const { count, min, max, mean } = histogram.quantiles();
      assert.deepEqual([count, min, max], [recorded.length, recorded[0], recorded.at(-1)]);
      assert.ok(Math.abs(mean - recorded.reduce((sum, value) => sum + value, 0) / count) < 1e-6 * (mean + 1));
      assert.equal(histogram.quantile(1), recorded.at(-1));
      const seen = histogram.buckets();
      assert.equal(
        seen.reduce((sum, bucket) => sum + bucket.count, 0),
        count,
      );
      for (const { from, to, count: inside } of seen)
        assert.equal(recorded.filter((value) => value >= from && value < to).length, inside);
    }
  });

  test('merging two gives the same as recording into one', () => {
    const dice = new Dice(6);
    const [a, b, both] = [new Histogram(), new Histogram(), new Histogram()];
    for (let i = 0; i < 1000; i++) {
      const value = dice.below(1e7);
      (i % 3 === 0 ? a : b).record(value);
      both.record(value);
    }
    a.merge(b);
    assert.deepEqual(a.quantiles(), both.quantiles());
    assert.deepEqual(a.buckets(), both.buckets());
  });

  test('an empty one answers zeros', () => {
    assert.deepEqual(new Histogram().quantiles(), {
      count: 0,
      min: 0,
      mean: 0,
      p50: 0,
      p90: 0,
      p99: 0,
      p999: 0,
      max: 0,
    });
    assert.deepEqual(new Histogram().buckets(), []);
  });
});
