/** Sums and integrals that stay exact beyond 2^53, against BigInt. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Digest } from '../../../src/core/sim/digest.ts';
import { ExactSum } from '../../../src/core/sim/exact-sum.ts';
import { Integral } from '../../../src/core/sim/integral.ts';
import { Dice } from '../build.ts';

describe('exact sum', () => {
  test('100,000 values of both signs and every size add up as BigInts do', () => {
    const sum = new ExactSum();
    const dice = new Dice(3);
    let expected = 0n;
    for (let i = 0; i < 100_000; i++) {
      const magnitude = Math.floor(2 ** dice.below(52) * (1 + dice.below(1000) / 1000));
      const value = (dice.chance(3) ? -1 : 1) * Math.min(magnitude, 2 ** 52 - 1);
      sum.add(value);
      expected += BigInt(value);
      if (i % 1000 === 0) assert.equal(sum.toBigInt(), expected);
    }
    assert.equal(sum.toBigInt(), expected);
    assert.ok(expected > 2n ** 60n);
  });

  test('what was carried when does not show in the digest', () => {
    const digestOf = (values: number[]) => {
      const sum = new ExactSum();
      for (const value of values) sum.add(value);
      const sink = new Digest();
      sum.digest(sink);
      return sink.hex();
    };
    const big = 2 ** 51;
    assert.equal(digestOf([big, -3, big, -big]), digestOf([-3, big]));
    assert.notEqual(digestOf([big, -3]), digestOf([big, -2]));
  });
});

describe('integral', () => {
  /** Level at each moment by summing the changes up to it: no running state at all. */
  function naive(changes: { delta: number; at: bigint }[], until: bigint): bigint {
    let area = 0n;
    for (const { delta, at } of changes) area += BigInt(delta) * (until - at);
    return area;
  }

  test('changes booked out of order, rebased in between, integrate exactly', () => {
    const integral = new Integral();
    const dice = new Dice(11);
    const changes: { delta: number; at: bigint }[] = [];
    let base = 0n;
    let now = 0;
    let level = 0;
    let peak = 0;
    for (let step = 0; step < 50_000; step++) {
      now += dice.below(1e9);
      // An operation ends ahead of the events of other CPUs: its change is booked at a later time than the next one's.
      const at = now + (dice.chance(4) ? dice.below(5e8) : 0);
      const delta = level > 0 && dice.chance(2) ? -dice.below(level + 1) : dice.below(1e6);
      integral.change(delta, at);
      changes.push({ delta, at: base + BigInt(at) });
      level += delta;
      peak = Math.max(peak, level);
      if (now > 2 ** 51) {
        integral.rebase(now);
        base += BigInt(now);
        now = 0;
      }
      if (step % 5000 === 0) assert.equal(integral.exactAt(now), naive(changes, base + BigInt(now)));
    }
    assert.equal(integral.exactAt(now), naive(changes, base + BigInt(now)));
    assert.equal(integral.current, level);
    assert.equal(integral.peak, peak);
  });

  test('a level and an interval too large for one double product stay exact', () => {
    const integral = new Integral();
    integral.change(2 ** 40 + 1, 3);
    integral.change(-1, 2 ** 50 + 7);
    assert.equal(
      integral.exactAt(2 ** 51),
      (2n ** 40n + 1n) * (2n ** 50n + 4n) + 2n ** 40n * (2n ** 51n - 2n ** 50n - 7n),
    );
  });

  test('restart forgets the past and keeps the level', () => {
    const integral = new Integral();
    integral.change(10, 0);
    integral.change(-6, 100);
    integral.restart(200);
    assert.equal(integral.exactAt(200), 0n);
    assert.equal(integral.peak, 4);
    assert.equal(integral.exactAt(1_000_000_000_200), 4n * 1_000_000_000_000n);
    assert.equal(integral.secondsAt(1_000_000_000_200), 4);
  });
});
