import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepted, hostFor, Recorder, runEnd, until } from './hosts.ts';

test('an operation is followed by what happened and by the metrics after it', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  const { id } = await accepted(host.create({ name: 's' }));
  await accepted(host.apply('s', { op: 'advance', ns: 9 }));
  await accepted(host.apply('s', { op: 'dma', device: 'd', iova: 4096, lengthBytes: 1, access: 'read' }));
  await until('the verdict', () => recorder.of('verdicts').length === 1);
  assert.deepEqual(recorder.of('verdicts'), [{ items: [{ timeNs: 9, iova: '4096', verdict: 'stale' }], dropped: 0 }]);
  await until('the metrics', () => recorder.of('metrics').some((metrics) => metrics.operations === 2));
  for (const { session, epoch, frame } of recorder.heard) {
    assert.deepEqual([session, epoch], [id, host.epochOf('s')]);
    assert.equal(typeof frame.data, 'string');
  }
});

test('a session in which nothing changes posts nothing', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's' }));
  await until('the first metrics', () => recorder.of('metrics').length === 1);
  for (let i = 0; i < 10; i++) {
    await accepted(host.read('s', { read: 'metrics' }));
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  assert.equal(recorder.heard.length, 1);
});

test('a run that makes a million events posts a few bounded frames and counts what was dropped', async (t) => {
  const host = await hostFor(t, { limits: { frameEveryMs: 50 } });
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's', fake: { eventUs: 0 } }));
  const begin = performance.now();
  await accepted(host.startRun('s', { operations: 1_000_000 }));
  const run = await runEnd(host, 's', 'run_1');
  await until('the last frames', () => recorder.of('runs').at(-1)?.state === 'finished');
  const rhythms = (performance.now() - begin) / 50;
  assert.equal(run.state, 'finished');

  const states = recorder.of('runs').map((frame) => frame.state);
  assert.equal(states[0], 'running');
  assert.equal(states.filter((state) => state === 'finished').length, 1);
  const { progress, result } = recorder.of('runs').at(-1) as { progress: number; result: { operations: number } };
  assert.deepEqual([progress, result.operations], [1, 1_000_000]);

  const batches = recorder.of('verdicts') as { items: unknown[] }[];
  // One more at the start of the run, one at its end, and one for the metrics of the new session.
  assert.ok(batches.length <= rhythms + 3, `${batches.length} frames in ${rhythms} rhythms`);
  assert.ok(batches.every(({ items }) => items.length <= 256));
  await until('all is told', () => {
    const told = (recorder.of('verdicts') as { items: unknown[] }[]).reduce((sum, { items }) => sum + items.length, 0);
    const dropped = (recorder.of('events') as { dropped: number }[]).reduce((sum, frame) => sum + frame.dropped, 0);
    return told + dropped === 1_000_000;
  });
});

test('frames after a reset belong to the new epoch', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's' }));
  const before = host.epochOf('s')!;
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
  await until('metrics', () => recorder.of('metrics').some((metrics) => metrics.operations === 1));
  await accepted(host.reset('s'));
  const after = host.epochOf('s')!;
  await until('metrics', () => recorder.heard.some(({ epoch }) => epoch === after));
  const [first] = recorder.heard.filter(({ epoch }) => epoch === after);
  assert.equal(JSON.parse(first!.frame.data).operations, 0);
  const last = recorder.heard.findLastIndex(({ epoch }) => epoch === before);
  assert.ok(last < recorder.heard.findIndex(({ epoch }) => epoch === after));
});

test('a listener that throws disturbs neither the host nor the others', async (t) => {
  const host = await hostFor(t);
  const thrower = (): never => {
    throw new Error('listener');
  };
  host.listen({ frames: thrower, epoch: thrower, failed: thrower, deleted: thrower });
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's' }));
  await accepted(host.delete('s'));
  assert.equal(recorder.gone.length, 1);
});
