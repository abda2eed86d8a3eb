/** Stretches of time in which something is taken, against a list that is scanned from end to end. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BusyTimes } from '../../../src/core/sim/busy-times.ts';
import { Digest } from '../../../src/core/sim/digest.ts';
import { Dice } from '../build.ts';

/** Every stretch that was ever taken. */
class NaiveTimes {
  readonly taken: [number, number][] = [];

  private free(at: number, length: number): boolean {
    return this.taken.every(([from, until]) =>
      length === 0 ? at < from || at >= until : at + length <= from || at >= until,
    );
  }

  /** The moment itself or the end of a stretch after it: nothing else can be the first. */
  fit(at: number, length: number): number {
    const candidates = [at, ...this.taken.map(([, until]) => until).filter((until) => until > at)];
    return candidates.sort((a, b) => a - b).find((each) => this.free(each, length))!;
  }
}

const digestOf = (times: BusyTimes): string => {
  const sink = new Digest();
  times.digest(sink);
  return sink.hex();
};

describe('busy times', () => {
  test('the first gap that is long enough, as a scan of all stretches has it', () => {
    for (const seed of [1, 2, 3]) {
      const dice = new Dice(seed);
      const times = new BusyTimes();
      const naive = new NaiveTimes();
      let now = 0;
      for (let i = 0; i < 400; i++) {
        // In whole nanoseconds, as a shorter gap is none. Most ask for the present, some for a moment further on.
        now += 1000 * dice.below(40);
        const at = now + (dice.chance(3) ? 1000 * dice.below(300) : 0);
        const length = 1000 * dice.below(30);
        assert.equal(times.freeFrom(at), naive.fit(at, 0), `free from ${at}`);
        const from = times.fit(at, length);
        if (length > 0) assert.equal(from, naive.fit(at, length), `${length} from ${at}`);
        times.take(from, length, now);
        if (length > 0) naive.taken.push([from, from + length]);
      }
    }
  });

  test('who asks for an earlier moment gets the gap before, if it is long enough', () => {
    const times = new BusyTimes();
    times.take(times.fit(100_000, 20_000), 20_000, 0);
    assert.equal(times.fit(10_000, 90_000), 10_000);
    assert.equal(times.fit(10_000, 91_000), 120_000);
    assert.equal(times.freeFrom(99_999), 99_999);
    assert.equal(times.freeFrom(100_000), 120_000);
    assert.equal(times.freeFrom(119_999), 120_000);
  });

  test('what lies before the present is forgotten, what lies ahead of it is not, however much', () => {
    for (const ahead of [1, 20, 500]) {
      const times = new BusyTimes();
      for (let i = 0; i < 5000; i++) {
        times.take(i * 10_000, 5000, (i - ahead) * 10_000);
        for (let each = Math.max(0, i - ahead); each <= i; each += Math.ceil(ahead / 5))
          assert.equal(times.freeFrom(each * 10_000 + 1), each * 10_000 + 5000);
      }
    }
    const endless = new BusyTimes();
    for (let i = 0; i < 20_000; i++) endless.take(i * 10_000, 5000, 0);
    for (let i = 18_000; i < 20_000; i++) assert.equal(endless.freeFrom(i * 10_000 + 1), i * 10_000 + 5000);
  });

  test('a rebase moves all of it, and the digest tells two apart', () => {
    const times = new BusyTimes();
    const moved = new BusyTimes();
    assert.equal(digestOf(times), digestOf(moved));
    for (let i = 1; i < 5; i++) {
      times.take(i * 10_000, 5000, 0);
      moved.take(1e9 + i * 10_000, 5000, 0);
    }
    assert.notEqual(digestOf(times), digestOf(moved));
    moved.rebase(1e9);
    assert.equal(digestOf(times), digestOf(moved));
    assert.equal(moved.freeFrom(20_000), 25_000);
  });
});
