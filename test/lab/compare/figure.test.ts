import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { figureOf, valuesOutside } from '../../../src/lab/compare/figure.ts';

/** Pascal's triangle in doubles: P(at most k of n coins). */
function tail(n: number, k: number): number {
  let row = [1];
  for (let i = 0; i < n; i++) row = [...row, 0].map((value, j) => (value + (row[j - 1] ?? 0)) / 2);
  return row.slice(0, k + 1).reduce((sum, value) => sum + value, 0);
}

describe('a figure over seeds', () => {
  it('has the middle value and, up to five seeds, the least and the greatest', () => {
    assert.deepEqual(figureOf([3]), { median: 3, low: 3, high: 3 });
    assert.deepEqual(figureOf([9, 1, 5]), { median: 5, low: 1, high: 9 });
    assert.deepEqual(figureOf([4, 1, 2, 3]), { median: 2.5, low: 1, high: 4 });
    assert.deepEqual(figureOf([5, 4, 3, 2, 1]), { median: 3, low: 1, high: 5 });
  });

  it('is null without a value, and of those that have one', () => {
    assert.equal(figureOf([]), null);
    assert.equal(figureOf([null, null]), null);
    assert.deepEqual(figureOf([null, 0, 2]), { median: 1, low: 0, high: 2 });
  });

  it('leaves out as many values as 2.5 per cent on each side allow, and not one more', () => {
    for (let n = 6; n <= 60; n++) {
      const outside = valuesOutside(n);
      assert.ok(tail(n, outside) <= 0.025, `${n}: ${outside}`);
      assert.ok(tail(n, outside + 1) > 0.025, `${n}: ${outside}`);
    }
    assert.equal(valuesOutside(2000), 955);
  });

  it('does not depend on the order of the seeds, and its interval holds the median', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: 0, max: 1e12 }), { minLength: 1, maxLength: 40 }),
        (values) => {
          const figure = figureOf(values)!;
          assert.deepEqual(figureOf([...values].reverse()), figure);
          assert.ok(figure.low <= figure.median && figure.median <= figure.high);
          const below = values.filter((value) => value < figure.low).length;
          assert.ok(below <= (values.length <= 5 ? 0 : valuesOutside(values.length)));
        },
      ),
    );
  });
});
