/** What a chart draws: where its grid stands, and which of its points make the line. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { onAxis, ticks, timeOnAxis } from '../../src/dashboard/parts/axis.ts';
import { eachDrawn } from '../../src/dashboard/parts/thinning.ts';

describe('the grid of a chart', () => {
  it('stands at round values, as many as there is room for', () => {
    assert.deepEqual(ticks(0, 9.7, 6), [0, 2, 4, 6, 8]);
    assert.deepEqual(ticks(0, 1, 4), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(ticks(3.1, 10.6, 4), [4, 6, 8, 10]);
    assert.deepEqual(
      ticks(0, 800_000, 10),
      [0, 1, 2, 3, 4, 5, 6, 7, 8].map((each) => each * 100_000),
    );
  });

  it('has nothing to say of no range', () => {
    for (const [low, high] of [
      [1, 1],
      [2, 1],
      [0, Number.NaN],
      [0, Number.POSITIVE_INFINITY],
    ] as const)
      assert.deepEqual(ticks(low, high, 5), []);
  });

  it('stays within the bounds, evenly, with room for each, and is never left almost empty', () => {
    const bound = fc.double({ min: -1e9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(
        bound,
        fc.double({ min: 1e-6, max: 1e12, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        (low, length, most) => {
          const found = ticks(low, low + length, most);
          const slack = length * 1e-6 + Math.abs(low) * 1e-9;
          assert.ok(found.length <= most + 1, `${found.length} of ${most}`);
          assert.ok(found.length >= Math.floor(most / 2.5), `${found.length} of ${most}`);
          for (const [i, at] of found.entries()) {
            assert.ok(at >= low - slack && at <= low + length + slack, `${at}`);
            if (i > 0) assert.ok(at - (found[i - 1] as number) >= length / most - slack);
          }
        },
      ),
    );
  });

  it('is written in the unit of the chart, without zeros that say nothing', () => {
    const plain = (text: string) => text.replaceAll('\u202f', ' ');
    assert.deepEqual(
      [onAxis(50, '%'), onAxis(2.5, 'Gb/s'), onAxis(700_000, '/s'), onAxis(3e6, ''), onAxis(4096, 'bytes')].map(plain),
      ['50 %', '2.5', '700 k', '3 M', '4 KiB'],
    );
    assert.deepEqual([timeOnAxis(2.5), timeOnAxis(0.0002)].map(plain), ['2.5 s', '200 µs']);
  });
});

describe('the points of a line', () => {
  const drawn = (ys: number[], perColumn: number): number[] => {
    const xs = Float64Array.from(ys, (_, i) => i);
    const found: number[] = [];
    eachDrawn(
      xs,
      Float64Array.from(ys),
      (x) => Math.floor(x / perColumn),
      (place) => found.push(place),
    );
    return found;
  };

  it('are all drawn where each has a column of pixels', () => {
    assert.deepEqual(drawn([3, 1, 2, Number.NaN, 5], 1), [0, 1, 2, 3, 4]);
  });

  it('are the first, lowest, highest and last of each column, in their order', () => {
    assert.deepEqual(drawn([5, 9, 1, 4, 4, 4, 4, 4], 8), [0, 1, 2, 7]);
    assert.deepEqual(drawn([1, 2, 3, 4], 4), [0, 3]);
    assert.deepEqual(drawn([2, Number.NaN, 2, 1, 2], 5), [0, 1, 2, 3, 4]);
  });

  it('cover the same pixels as all of them would', () => {
    const value = fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: 0, max: 50 }) },
      { weight: 1, arbitrary: fc.constant(Number.NaN) },
    );
    fc.assert(
      fc.property(fc.array(value, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (ys, perColumn) => {
        const kept = drawn(ys, perColumn);
        assert.deepEqual(
          kept,
          [...new Set(kept)].sort((a, b) => a - b),
        );
        // Column by column and piece by piece: from where to where it reaches, where it comes in, where it goes out.
        const extent = (places: number[]) => {
          const pieces = new Map<string, number[]>();
          let piece = 0;
          for (const [i, y] of ys.entries()) {
            if (Number.isNaN(y)) piece++;
            else if (places.includes(i)) {
              const key = `${piece} ${Math.floor(i / perColumn)}`;
              pieces.set(key, [...(pieces.get(key) ?? []), y]);
            }
          }
          return [...pieces].map(([key, all]) => [key, Math.min(...all), Math.max(...all), all[0], all.at(-1)]);
        };
        assert.deepEqual(extent(kept), extent(ys.map((_, i) => i)));
      }),
    );
  });
});
