/** Experiments that are kept ready can all be planned; figures and answers say what they do not find. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runJob } from '../../../src/lab/job.ts';
import { planExperiment } from '../../../src/lab/plan.ts';
import { experimentPresets } from '../../../src/lab/presets.ts';
import { answerOf } from '../../../src/lab/questions/answer.ts';
import { generalPresets } from '../../../src/lab/questions/general.ts';
import { questions } from '../../../src/lab/questions/index.ts';
import { ArmFigures, figureOf } from '../../../src/lab/questions/question.ts';

function planOf(kind: string) {
  const planned = planExperiment({ preset: kind });
  assert.ok(planned.ok, planned.ok ? '' : `${kind}: ${JSON.stringify(planned.problem)}`);
  return planned.value;
}

describe('presets', () => {
  for (const [kind, { title, source }] of Object.entries(experimentPresets))
    test(`${kind} is planned without problems`, () => {
      const { arms, jobs } = planOf(kind);
      assert.ok(arms.length >= 2 && jobs.length >= arms.length);
      assert.equal(new Set(arms.map(({ label }) => label)).size, arms.length, 'labels are names');
      assert.ok(title.length > 10 && source.length > 10);
    });

  for (const { kind } of generalPresets)
    test(`${kind}: an arm of each label runs`, () => {
      const { rows, jobs } = planOf(kind);
      for (const [i, job] of jobs.entries())
        if (rows[i]!.seed === rows[0]!.seed) {
          assert.equal(job.kind, 'run');
          const outcome = runJob({ ...job, before: [], run: { operations: 500 } } as typeof job);
          assert.ok(outcome.ok, `${rows[i]!.arm} ${JSON.stringify(outcome)}`);
        }
    });
});

describe('figures', () => {
  const run = { iops: 3, counts: { a: 6, b: 0 }, workloads: [{ name: 'rx', operations: 5 }, { operations: 7 }] };

  test('are found by path, workloads by name or number; a share of nothing is none', () => {
    assert.equal(figureOf(run, 'iops'), 3);
    assert.equal(figureOf(run, 'workloads.rx.operations'), 5);
    assert.equal(figureOf(run, 'workloads.1.operations'), 7);
    assert.equal(figureOf(run, { ratio: ['counts.a', 'iops'] }), 2);
    assert.equal(figureOf(run, { ratio: ['counts.a', 'counts.b'] }), 0);
  });

  test('that are not there are an error and not a zero', () => {
    for (const path of ['nothing', 'counts.c', 'workloads.tx.operations', 'counts'])
      assert.throws(() => figureOf(run, path), /there is no number at/, path);
  });

  test('of several seeds are the median', () => {
    const of = (...values: number[]) =>
      new ArmFigures([{ label: 'x', results: values.map((iops) => ({ iops })) }]).of('x', 'iops', 10);
    assert.deepEqual([of(5), of(1, 9, 4), of(1, 2)], [50, 40, 15]);
    assert.throws(
      () => new ArmFigures([{ label: 'x', results: [] }]).of('y', 'iops'),
      /no arm is labelled "y"; there are x/,
    );
  });

  test('an answer needs all of its results', () => {
    const question = questions.find(({ kind }) => kind === 'questions/neighbours')!;
    const { arms, rows } = planOf(question.kind);
    assert.throws(
      () =>
        answerOf(
          question,
          arms,
          rows,
          rows.map(() => null),
        ),
      /no result/,
    );
    const failed = rows.map(() => ({ ok: false, code: 'x', detail: 'it fell over' }) as const);
    assert.throws(() => answerOf(question, arms, rows, failed), /seed 1: it fell over/);
  });
});
