/** What an experiment of a question answers goes with its results, into every form that is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExperimentData, ExperimentInput } from '../../../src/lab/experiment.ts';
import { runJob } from '../../../src/lab/job.ts';
import { planExperiment } from '../../../src/lab/plan.ts';
import { renderExperiment } from '../../../src/lab/render.ts';
import { resultsOf } from '../../../src/lab/results.ts';

const preset = 'questions/iommu-pt';

function carriedOut(input: ExperimentInput): ExperimentData {
  const planned = planExperiment(input);
  assert.ok(planned.ok, JSON.stringify(planned));
  const { request, arms, rows, jobs } = planned.value;
  const total = rows.length;
  return {
    document: {
      id: 'exp_1',
      state: 'finished',
      createdAt: '2026-01-02T03:04:05.000Z',
      endedAt: '2026-01-02T03:04:06.000Z',
      coreVersion: '1',
      request,
      jobs: { total, finished: total, failed: 0, cached: 0 },
      progress: 1,
      arms,
    },
    rows: rows.map((row, i) => ({ ...row, state: 'finished', outcome: runJob(jobs[i]!) })),
  };
}

test('an answer is in the results, in the report and in the summary', async () => {
  const data = carriedOut({ preset, seeds: [1] });
  const { answer } = resultsOf(data);
  assert.ok(answer !== undefined);
  assert.ok(answer.sentences.some((sentence) => /^A packet takes [\d,]+ cycles under iommu=pt/.test(sentence)));
  assert.equal(answer.rows.length, data.document.arms.length);
  const [sentence] = answer.sentences;
  for (const form of ['json', 'html', 'markdown'] as const) {
    const text = String(await renderExperiment(data, form)).replaceAll('\\', '');
    assert.ok(text.includes(sentence!.split(',')[0]!), form);
  }
});

test('with jobs that have no result, or arms of its own, an experiment answers nothing', () => {
  const data = carriedOut({ preset, seeds: [1] });
  const [first, ...others] = data.rows;
  assert.equal(
    resultsOf({ ...data, rows: [{ ...first!, state: 'queued', outcome: null }, ...others] }).answer,
    undefined,
  );
  const own = carriedOut({
    preset,
    seeds: [1],
    arms: [{ label: 'mine', set: { 'policy.invalidation.kind': 'never' } }],
  });
  assert.equal(resultsOf(own).answer, undefined);
});
