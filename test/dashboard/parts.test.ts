/** What charts and tables are made of: points, stacks, powers of ten, units. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytes, count, duration, figure, instant, roundDuration, share, withUnit } from '../../src/dashboard/format.ts';
import { type Bucket, decades } from '../../src/dashboard/parts/decades.ts';
import { SeriesBuffer, stack, summaryOf } from '../../src/dashboard/parts/series-buffer.ts';

describe('the points of a chart', () => {
  it('are the newest ones, as a plain list keeps them', () => {
    const step = fc.record({ dx: fc.integer({ min: -2, max: 9 }), y: fc.double({ noNaN: true }), clear: fc.nat(40) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { maxLength: 80 }), (capacity, steps) => {
        const buffer = new SeriesBuffer(2, capacity);
        let plain: [x: number, y: number][] = [];
        let x = 0;
        for (const { dx, y, clear } of steps) {
          x += dx;
          if (clear === 0) {
            buffer.clear();
            plain = [];
          }
          const last = plain.at(-1);
          if (last !== undefined && x === last[0]) plain.pop();
          else if (last !== undefined && x < last[0]) plain = [];
          plain.push([x, y]);
          plain = plain.slice(-capacity);
          buffer.add(x, [y, -y]);
          assert.deepEqual(
            [...buffer.x()],
            plain.map(([at]) => at),
          );
          assert.deepEqual(
            [...buffer.y(0)],
            plain.map(([, value]) => value),
          );
          assert.equal(buffer.y(1).length, plain.length);
        }
      }),
    );
  });

  it('that are missing count for nothing, in sums as in stacks', () => {
    const buffer = new SeriesBuffer(2, 8);
    assert.deepEqual(summaryOf(buffer, 0), { now: Number.NaN, mean: Number.NaN, max: Number.NaN });
    buffer.add(1, [3, 1]);
    buffer.add(2, [Number.NaN, 5]);
    buffer.add(3, [1]);
    assert.deepEqual(summaryOf(buffer, 0), { now: 1, mean: 2, max: 3 });
    const into = [new Float64Array(8), new Float64Array(8)];
    assert.deepEqual(
      stack(buffer, into).map((column) => [...column]),
      [
        [3, 0, 1],
        [4, 5, 1],
      ],
    );
  });
});

describe('buckets by powers of ten', () => {
  it('lose nothing, and leave out no power between two others', () => {
    const bucket = fc.record({ from: fc.integer({ min: 0, max: 2 ** 40 }), count: fc.integer({ min: 1, max: 999 }) });
    fc.assert(
      fc.property(fc.array(bucket), fc.array(bucket), (one, other) => {
        const kinds = [one, other].map((list) => list.map((each): Bucket => ({ ...each, to: each.from + 1 })));
        const rows = decades(kinds);
        for (const kind of [0, 1])
          assert.equal(
            rows.reduce((sum, { counts }) => sum + counts[kind]!, 0),
            kinds[kind]!.reduce((sum, each) => sum + each.count, 0),
          );
        for (const [i, row] of rows.entries()) if (i > 0) assert.equal(row.from, rows[i - 1]!.to);
        for (const { from, count: many } of kinds.flat())
          assert.ok(rows.some((row) => from >= row.from && from < row.to && row.counts.some((each) => each >= many)));
      }),
    );
  });
});

describe('numbers', () => {
  it('have three figures and the unit that fits', () => {
    const narrow = '\u202f';
    assert.deepEqual([0, 0.0123, 0.5, 9.693, 96.93, 969.3, 9693, 1234567].map(figure), [
      '0',
      '0.0123',
      '0.50',
      '9.69',
      '96.9',
      '969',
      '9,693',
      '1,234,567',
    ]);
    assert.deepEqual(
      [999.4, 306_419, 20e6, 1.5e9].map((ns) => duration(ns)),
      [`999${narrow}ns`, `306${narrow}µs`, `20.0${narrow}ms`, `1.50${narrow}s`],
    );
    assert.equal(roundDuration(20e6), `20${narrow}ms`);
    assert.equal(roundDuration(100e6), `100${narrow}ms`);
    assert.equal(bytes(16 * 2 ** 30), `16${narrow}GiB`);
    assert.equal(bytes(1536), `1.50${narrow}KiB`);
    assert.equal(share(0.9675), `96.8${narrow}%`);
    assert.equal(withUnit(9.693, 'Gb/s'), `9.69${narrow}Gb/s`);
    assert.equal(instant('2026-11-27T14:26:31.977Z'), '2026-11-27 14:26:31');
  });

  it('that are not there are a dash, whatever the unit', () => {
    for (const missing of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY])
      for (const text of [
        figure(missing),
        count(missing),
        duration(missing),
        bytes(missing),
        share(missing),
        withUnit(missing, 'Gb/s'),
      ])
        assert.equal(text, '–');
  });
});
