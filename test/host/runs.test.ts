import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepted, hostFor, refusal, runEnd, until } from './hosts.ts';

test('a run is answered at once and shows its progress and a partial result', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { eventUs: 100 } }));
  const started = await accepted(host.startRun('s', { operations: 3000 }));
  assert.equal(started.id, 'run_1');
  assert.equal(started.state, 'running');
  assert.deepEqual(started.request, { operations: 3000 });
  let partial = started;
  await until('some progress', async () => {
    partial = await accepted(host.getRun('s', 'run_1'));
    return partial.progress! > 0;
  });
  assert.equal(partial.state, 'running');
  assert.ok(partial.progress! < 1);
  assert.equal(partial.result!.operations, partial.progress! * 3000);
  assert.ok((partial.result!.wallSeconds as number) > 0);
  assert.equal(host.status().activeRuns, 1);
  assert.equal((await runEnd(host, 's', 'run_1')).state, 'finished');
  assert.equal(host.status().activeRuns, 0);
});

test('cancelling ends a run at a slice boundary and answers the time reached; a second delete removes the record', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { eventUs: 50 } }));
  await accepted(host.startRun('s', { until: { metric: 'x', above: 1 } }));
  await until('events', async () => (await accepted(host.getRun('s', 'run_1'))).timeNs > 0);
  const cancelled = await accepted(host.deleteRun('s', 'run_1'));
  assert.equal(cancelled.state, 'cancelled');
  assert.ok(cancelled.timeNs > 0);
  assert.equal(cancelled.progress, null);
  assert.equal(cancelled.result!.operations, cancelled.timeNs, 'the result is of the same moment');
  assert.equal((await accepted(host.get('s'))).timeNs, cancelled.timeNs, 'the session stands there');
  assert.deepEqual(await accepted(host.getRun('s', 'run_1')), cancelled);
  assert.deepEqual(await accepted(host.deleteRun('s', 'run_1')), cancelled);
  assert.equal(await refusal(host.getRun('s', 'run_1')), 'unknown-run');
});

test('a run that the simulator refuses leaves no record', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  await accepted(host.apply('s', { op: 'advance', ns: 10 }));
  const refused = await host.startRun('s', { untilNs: 5 });
  assert.ok(!refused.ok);
  assert.deepEqual([refused.problem.code, refused.problem.path], ['horizon', '/untilNs']);
  assert.deepEqual((await accepted(host.listRuns('s', {}))).items, []);
});

test('only so many ended runs are remembered, and they are listed in pages', async (t) => {
  const host = await hostFor(t, { limits: { runRecords: 5 } });
  await accepted(host.create({ name: 's' }));
  for (let i = 1; i <= 8; i++) {
    await accepted(host.startRun('s', { operations: i }));
    await runEnd(host, 's', `run_${i}`);
  }
  const first = await accepted(host.listRuns('s', { limit: 3 }));
  const second = await accepted(host.listRuns('s', { limit: 3, cursor: first.nextCursor! }));
  assert.deepEqual(
    [...first.items, ...second.items].map((run) => run.id),
    ['run_4', 'run_5', 'run_6', 'run_7', 'run_8'],
  );
  assert.equal(second.nextCursor, undefined);
  assert.equal(await refusal(host.getRun('s', 'run_3')), 'unknown-run');
  assert.equal(await refusal(host.listRuns('s', { cursor: '!' })), 'invalid-cursor');
});
