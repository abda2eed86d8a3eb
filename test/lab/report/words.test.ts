import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareExperiment } from '../../../src/lab/compare/compare.ts';
import type { ArmResult, Comparison } from '../../../src/lab/compare/results.ts';
import { figureText, number, percent, time } from '../../../src/lab/report/numbers.ts';
import { type Box, type Mark, placeLabels } from '../../../src/lab/report/plots/labels.ts';
import { inputOf, listed, pairsInWords, sentence } from '../../../src/lab/report/words.ts';
import { experimentOf, finished, madeUpRun } from '../small-lab.ts';

const figure = (median: number) => ({ median, low: median, high: median });
const arm = (id: string, label: string, staleAccesses = 0) =>
  ({ id, label, exposure: { staleAccesses: figure(staleAccesses) } }) as unknown as ArmResult;

function say(comparison: Partial<Comparison>, arms = [arm('a', 'strict'), arm('b', 'deferred-2008')]): string {
  const whole: Comparison = {
    a: 'a',
    b: 'b',
    metric: 'cyclesPerOperation',
    ratio: 1.9,
    low: 1.88,
    high: 1.93,
    verdict: 'higher',
    seeds: 3,
    ...comparison,
  };
  return sentence(whole, (id) => arms.find((each) => each.id === id)!);
}

describe('verdicts in words', () => {
  it('say how much more, with the interval and what it rests on', () => {
    assert.equal(say({}), 'strict costs 1.9 times the cycles of deferred-2008 (1.88 to 1.93 over 3 seeds)');
  });

  it('are told from the arm that has more', () => {
    const words = say({ ratio: 0.5, low: 0.48, high: 0.52, verdict: 'lower', metric: 'throughputGbps' });
    assert.equal(words, 'deferred-2008 carries 2 times the throughput of strict (1.92 to 2.08 over 3 seeds)');
  });

  it('are in per cent where little is between them, in as many digits as differ', () => {
    const words = say({ ratio: 1.05, low: 1.04911, high: 1.04952, metric: 'latencyNs.p99' });
    assert.equal(words, 'strict has 5 % more p99 latency than deferred-2008 (1.049 to 1.05 over 3 seeds)');
  });

  it('say that no difference was seen, in these words', () => {
    const words = say({ ratio: 1.001, low: 0.99, high: 1.01, verdict: 'no difference seen' });
    assert.equal(
      words,
      'no difference seen between strict and deferred-2008 in cycles per operation (0.99 to 1.01 over 3 seeds)',
    );
  });

  it('say so where there is one seed, or no spread', () => {
    assert.match(
      say({ low: null, high: null, seeds: 1, oneSeed: true }),
      /\(one seed: how far seeds spread is not known\)$/,
    );
    assert.match(say({ low: 1.9, high: 1.9 }), /\(the same with each of 3 seeds\)$/);
  });

  it('name amounts where there is no ratio', () => {
    const arms = [arm('a', 'strict', 0), arm('b', 'deferred-2008', 210)];
    const none = { metric: 'exposure.staleAccesses', low: null, high: null };
    const words = 'deferred-2008 lets through 210 stale accesses, against none with strict (over 3 seeds)';
    assert.equal(say({ ...none, ratio: 0, verdict: 'lower' }, arms), words);
    assert.equal(say({ ...none, a: 'b', b: 'a', ratio: null }, arms), words);
  });

  it('set no exposure against that of an arm without protection', () => {
    const arms = [{ label: 'strict', set: { 'policy.invalidation.kind': 'strict' } }];
    const data = experimentOf({ base: {}, arms, until: { operations: 1 }, seeds: [1, 2], control: true }, ({ id }) =>
      finished(madeUpRun({ cyclesPerOperation: id === 'control' ? 10 : 20 })),
    );
    const [pair] = pairsInWords(compareExperiment(data));
    assert.deepEqual([pair!.verdicts.length, pair!.alike], [1, ['throughput']]);
  });
});

describe('numbers in words', () => {
  it('have as many digits as mean something', () => {
    assert.deepEqual(
      [0, 1234567, 0.000123, 0.0000123, 12.345, 999.96, 1e15, -4.5].map((value) => number(value)),
      ['0', '1,230,000', '0.000123', '1.23e-5', '12.3', '1,000', '1e15', '-4.5'],
    );
    assert.deepEqual(
      [time(0), time(999), time(1500), time(2.5e6), time(3e9)],
      ['0', '999 ns', '1.5 µs', '2.5 ms', '3 s'],
    );
    assert.equal(percent(0.0123), '1.2 %');
  });

  it('are close to what they stand for', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-12, max: 1e18, noNaN: true }),
        fc.integer({ min: 2, max: 6 }),
        (value, digits) => {
          const read = Number(number(value, digits).replaceAll(',', ''));
          assert.ok(Math.abs(read / value - 1) <= 0.51 * 10 ** (1 - digits), `${value} as ${number(value, digits)}`);
        },
      ),
    );
  });

  it('have their spread in brackets where it shows', () => {
    assert.equal(figureText({ median: 2, low: 1, high: 3 }), '2 (1 to 3)');
    assert.equal(figureText({ median: 2, low: 1.9999, high: 2.0001 }), '2');
    assert.equal(figureText(null), '–');
  });

  it('are kept apart in a list where they have commas', () => {
    assert.deepEqual(
      [listed([]), listed(['a']), listed(['a', 'b', 'c']), listed(['a, b', 'c'])],
      ['', 'a', 'a, b and c', 'a, b; c'],
    );
  });
});

describe('the request of an experiment', () => {
  it('has nothing that was empty', () => {
    const data = experimentOf({ base: {}, arms: [{ set: {} }], until: { ns: 5 }, seeds: [1] }, () => null);
    assert.deepEqual(inputOf(data), { arms: [{ set: {} }], until: { ns: 5 }, seeds: [1], control: false });
  });
});

describe('names of points', () => {
  const within: Box = { left: 0, right: 800, top: 0, bottom: 300 };

  it('lie over no point and no other name, and inside, wherever the points are', () => {
    const mark = fc.record({
      x: fc.integer({ min: 10, max: 790 }),
      y: fc.integer({ min: 10, max: 290 }),
      name: fc.string({ minLength: 1, maxLength: 20 }),
      within: fc.constant(within),
    });
    fc.assert(
      fc.property(fc.array(mark, { maxLength: 14 }), (marks: Mark[]) => {
        const labels = placeLabels(marks);
        // The letters of the widest font that is thought of, from the side of the point on.
        const boxes = labels.flatMap((label, i) => {
          if (label === null) return [];
          const { x, y, name } = marks[i]!;
          const width = [...name].length * 8;
          const left = label.side === 'right' ? x + 10 : x - 10 - width;
          return [{ left, right: left + width, top: y + label.shift - 7, bottom: y + label.shift + 7 }];
        });
        const meet = (a: Box, b: Box) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        for (const [i, box] of boxes.entries()) {
          assert.ok(box.left >= 0 && box.right <= 800 && box.top >= 0 && box.bottom <= 300);
          assert.ok(boxes.slice(i + 1).every((other) => !meet(box, other)));
          assert.ok(marks.every(({ x, y }) => !meet(box, { left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 })));
        }
      }),
    );
  });

  it('stay beside their points where there is room', () => {
    const marks = [100, 300, 500].map((x) => ({ x, y: 150, name: 'strict', within }));
    assert.deepEqual(placeLabels(marks), Array(3).fill({ side: 'right', shift: 0 }));
    assert.deepEqual(placeLabels([{ x: 780, y: 150, name: 'strict', within }]), [{ side: 'left', shift: 0 }]);
    assert.deepEqual(placeLabels([{ x: 400, y: 150, name: 'x'.repeat(200), within }]), [null]);
  });
});
