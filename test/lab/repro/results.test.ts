/** Rows of a reproduction from the outcomes of its jobs: the same as from a run at one go, and in words what is not there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExperimentData, JobOutcome } from '../../../src/lab/experiment.ts';
import { runJob } from '../../../src/lab/job.ts';
import { planExperiment } from '../../../src/lab/plan.ts';
import { reproductions } from '../../../src/lab/repro/index.ts';
import { reproductionPresets } from '../../../src/lab/repro/presets.ts';
import { reproductionOf, reproductionResults, rowText } from '../../../src/lab/repro/results.ts';
import { reproduce } from '../../../src/lab/repro/run.ts';

function outcomesOf(id: string): Record<string, JobOutcome> {
  const planned = planExperiment({ preset: `repro/${id}` });
  assert.ok(planned.ok);
  const { arms, jobs } = planned.value;
  // As they are kept: text.
  return Object.fromEntries(arms.map(({ label }, i) => [label, JSON.parse(JSON.stringify(runJob(jobs[i]!)))]));
}

describe('rows from outcomes', () => {
  // Runs, scripts, both.
  for (const id of ['intel-iommu-2008', 'uiuc25', 'viommu11'])
    test(`of ${id} are those of a run at one go`, () => {
      const { title, citation, rows } = reproductionResults(id, outcomesOf(id));
      assert.deepEqual(rows, reproduce(reproductions[id]!).map(rowText));
      assert.deepEqual([title, citation], [reproductions[id]!.title, reproductions[id]!.citation]);
      assert.ok(rows.length > 0 && rows.every(({ status }) => status !== 'not simulated'));
    });

  test('what has no outcome yet, or failed, is not simulated, and the row says why', () => {
    const arms = Object.keys(reproductions['intel-iommu-2008']!.arms);
    for (const row of reproductionResults('intel-iommu-2008', {}).rows) {
      assert.deepEqual([row.status, row.simulated, row.relativeError], ['not simulated', '-', null]);
      assert.match(row.remark, /has no result/);
    }
    const failed = Object.fromEntries(
      arms.map((arm) => [arm, { ok: false, code: 'x', detail: 'it fell over' } as const]),
    );
    for (const { status, remark } of reproductionResults('intel-iommu-2008', failed).rows) {
      assert.equal(status, 'not simulated');
      assert.match(remark, /it fell over/);
    }
    assert.throws(() => reproductionResults('nobody', {}), /no reproduction is called nobody/);
  });

  test('a run’s outcome is the contract’s, workloads in a list', () => {
    const outcome = runJob({ kind: 'reproduction', reproduction: 'uiuc25', arm: '8 cores' });
    assert.ok(outcome.ok && Array.isArray(outcome.result.workloads) && outcome.result.exposure);
  });
});

test('an experiment of a publication has the table as far as it has come, another has none', () => {
  const planned = planExperiment({ preset: 'repro/uiuc25' });
  assert.ok(planned.ok);
  const { request, arms, rows, jobs } = planned.value;
  const data = (some: typeof rows) => ({ document: { request, arms }, rows: some }) as unknown as ExperimentData;
  const begun = reproductionOf(data(rows)).reproduction!.rows;
  assert.ok(begun.length > 0 && begun.every(({ status }) => status === 'not simulated'));
  const ended = reproductionOf(data(rows.map((row, i) => ({ ...row, outcome: runJob(jobs[i]!) }))));
  assert.deepEqual(ended.reproduction, reproductionResults('uiuc25', outcomesOf('uiuc25')));
  const other = {
    document: { request: { ...request, preset: 'thread-2008' }, arms },
    rows,
  } as unknown as ExperimentData;
  assert.deepEqual(reproductionOf(other), {});
});

test('each reproduction is a preset', () => {
  assert.deepEqual(
    reproductionPresets.map(({ kind }) => kind),
    Object.keys(reproductions).map((id) => `repro/${id}`),
  );
});
