/** An experiment's results in words and as places in a plot. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExperimentResults } from '../../src/api/contract-types.ts';
import { axisOf, frontierPlot, placeOn, standingOf } from '../../src/dashboard/experiments/frontier.ts';
import {
  figureAt,
  figureText,
  METRICS,
  sentenceOf,
  valueText,
  variedText,
  verdictsOf,
} from '../../src/dashboard/experiments/words.ts';
import { compareExperiment } from '../../src/lab/compare/compare.ts';
import { METRICS as COMPARED } from '../../src/lab/report/words.ts';
import { manyArms, policies } from '../lab/report/experiments.ts';

const results = compareExperiment(policies()) as unknown as ExperimentResults;
const labelOf = (id: string) => results.arms.find((arm) => arm.id === id)?.label ?? id;

describe('the frontier as a plot', () => {
  test('has every arm of the scene once, within the picture, numbered as in the table', () => {
    for (const each of [results, compareExperiment(manyArms()) as unknown as ExperimentResults]) {
      const plot = frontierPlot(each, 0)!;
      const ids = plot.points.map(({ arm }) => arm.id);
      assert.equal(new Set(ids).size, ids.length);
      for (const { arm, number, x, xLow, xHigh, y, yLow, yHigh } of plot.points) {
        assert.equal(each.arms[number - 1]!.id, arm.id);
        for (const place of [x, xLow, xHigh, y, yLow, yHigh]) assert.ok(place >= 0 && place <= 1);
        assert.ok(xLow <= x && x <= xHigh);
      }
      for (const id of [...each.frontier, ...each.dominated])
        if ((each.frontiers as { frontier: string[]; dominated: { arm: string }[] }[])[0]!.frontier.includes(id))
          assert.ok(ids.includes(id), id);
    }
  });

  test('says of each arm what the results say', () => {
    for (const arm of results.arms) {
      const { standing, by } = standingOf(arm, results);
      if (arm.control) assert.equal(standing, 'control');
      else if (results.dominated.includes(arm.id)) {
        assert.equal(standing, 'dominated');
        assert.ok(by.length > 0);
      } else if (results.frontier.includes(arm.id)) assert.equal(standing, 'frontier');
    }
  });

  test('gives what is never exposed, and what is without protection, lanes of their own', () => {
    for (const { arm, lane } of frontierPlot(results, 0)!.points) {
      if (arm.control || arm.unprotected === true) assert.equal(lane, 'unprotected');
      else assert.equal(lane, (figureAt(arm, 'exposure.pageSeconds')?.median ?? 0) > 0 ? 'axis' : 'none');
    }
  });

  test('has a logarithmic axis where a decade is spanned, and round ticks', () => {
    assert.deepEqual(axisOf(0.02, 30, true), {
      low: 0.01,
      high: 100,
      logarithmic: true,
      ticks: [0.01, 0.1, 1, 10, 100],
    });
    const plain = axisOf(0, 9.7, false);
    assert.deepEqual([plain.low, plain.logarithmic], [0, false]);
    assert.ok(plain.high >= 9.7 && plain.ticks.length >= 3 && plain.ticks.length <= 7);
    assert.equal(axisOf(2, 9, true).logarithmic, false);
    assert.equal(placeOn(axisOf(1, 100, true), 10), 0.5);
    assert.ok(axisOf(0, 0, false).high > 0);
  });

  test('is absent without arms', () => {
    assert.equal(frontierPlot({ ...results, arms: [], frontiers: [] }, 0), null);
  });
});

describe('verdicts in words', () => {
  const comparison = {
    a: 'x',
    b: 'y',
    metric: 'throughputGbps',
    ratio: 2,
    low: 1.9,
    high: 2.1,
    verdict: 'higher',
    seeds: 3,
  } as const;

  test('are told from the arm that has more', () => {
    assert.equal(
      sentenceOf(comparison, (id) => id),
      'x has 2.00 times the throughput of y, over 3 seeds.',
    );
    assert.equal(
      sentenceOf({ ...comparison, ratio: 0.5, verdict: 'lower' }, (id) => id),
      'y has 2.00 times the throughput of x, over 3 seeds.',
    );
    assert.match(
      sentenceOf({ ...comparison, ratio: 1.05 }, (id) => id),
      /^x has 5\.00\u202f% more than y/,
    );
    assert.match(
      sentenceOf({ ...comparison, oneSeed: true, seeds: 1 }, (id) => id),
      /one seed/,
    );
    assert.match(
      sentenceOf({ ...comparison, ratio: null, metric: 'exposure.pageSeconds' }, (id) => id),
      /^x has pages exposed and y has none/,
    );
    assert.match(
      sentenceOf({ ...comparison, verdict: 'no difference seen' }, (id) => id),
      /^No difference seen between x and y/,
    );
  });

  test('know every figure that is compared', () => {
    for (const metric of Object.keys(COMPARED)) assert.ok(metric in METRICS, metric);
  });

  test('of one arm name each other arm once, and keep exposure out of what is without protection', () => {
    const isUnprotected = (id: string) => results.arms.some((arm) => arm.id === id && arm.unprotected === true);
    for (const arm of results.arms) {
      const said = verdictsOf(arm.id, results.comparisons, labelOf, isUnprotected);
      assert.equal(new Set(said.map(({ other }) => other)).size, said.length);
      const all = said.flatMap(({ differences, alike }) => [...differences, ...alike]).join(' ');
      assert.ok(!/undefined|NaN|null/.test(all), all);
      if (isUnprotected(arm.id)) assert.ok(!/page-seconds|exposed|window/.test(all), all);
    }
  });

  test('go with figures and values as text', () => {
    assert.equal(figureText(null, 'iops'), '–');
    assert.equal(figureText({ median: 9.687, low: 9, high: 10 }, 'throughputGbps'), '9.69 Gb/s');
    assert.equal(valueText({ kind: 'rcache' }), 'rcache');
    assert.equal(valueText({ kind: 'rcache', depot: 'fixed' }), 'rcache {"depot":"fixed"}');
    assert.equal(
      variedText({ 'machine.cpus': 2, 'policy.mode': 'translate' }),
      'machine.cpus: 2, policy.mode: translate',
    );
  });
});
