/** Experiments that replay a recording: the policies are varied, and each arm makes the same calls. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runJob } from '../../src/lab/job.ts';
import { planExperiment } from '../../src/lab/plan.ts';
import { recordingOf, recordingsOf } from '../../src/trace/memory-recording.ts';

const { recording } = recordingOf(readFileSync(new URL('../trace/recordings/ath12k.txt', import.meta.url), 'utf8'));
const recordings = recordingsOf(recording);
const INPUT = {
  base: {
    policy: { allocator: { kind: 'rcache' } },
    devices: [{ name: 'wifi', kind: 'replay' }],
    workloads: [
      {
        kind: 'replay',
        device: 'wifi',
        trace: 'ath12k',
        recording: recording.digest,
        accesses: [{ rule: 'every-page', order: 'descending' }],
      },
    ],
  },
  vary: { 'policy.invalidation.kind': ['strict', 'flush-queue'] },
  until: { ns: 400e9 },
  seeds: [1],
  control: false,
};

describe('an experiment on a recording', () => {
  test('sets what each policy would have done side by side', () => {
    const planned = planExperiment(INPUT as never, { recordings });
    assert.ok(planned.ok, JSON.stringify(planned));
    const verdicts = planned.value.jobs.map((job) => {
      const outcome = runJob(job, { recordings });
      assert.ok(outcome.ok, JSON.stringify(outcome));
      const { fault, stale } = (outcome.result as { verdicts: Record<string, number> }).verdicts;
      return [fault, stale];
    });
    assert.deepEqual(verdicts, [
      [1, 0],
      [0, 1],
    ]);
  });

  test('varies recordings by their digests; another name for the same digest is refused by its place', () => {
    const text = readFileSync(new URL('../trace/recordings/vfio-guest.txt', import.meta.url), 'utf8');
    const other = recordingOf(text).recording;
    const both = { recordings: recordingsOf(recording, other) };
    const varied = { ...INPUT, vary: { 'workloads.0.recording': [recording.digest, other.digest] } };
    const planned = planExperiment(varied as never, both);
    assert.ok(planned.ok, JSON.stringify(planned));
    assert.equal(new Set(planned.value.jobs.map((job) => JSON.stringify(runJob(job, both)))).size, 2);
    const named = planExperiment({ ...INPUT, vary: { 'workloads.0.trace': ['ath12k', 'vfio'] } } as never, both);
    assert.ok(!named.ok);
    const [problem, ...more] = named.problem.errors!;
    assert.deepEqual([problem!.path, more], ['/vary/workloads.0.trace/1', []]);
    assert.match(problem!.message, /names another trace than the base, .* vary that/);
  });

  test('is refused where the recording is not here', () => {
    const planned = planExperiment(INPUT as never);
    assert.equal(planned.ok, false);
    assert.match(JSON.stringify(planned), /the recording with the digest [0-9a-f]{64} is not here/);
  });
});
