import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LONG_NS } from './fake-simulator.ts';
import { accepted, hostFor, refusal, runEnd, until } from './hosts.ts';

const long = { op: 'advance', ns: LONG_NS } as const;

test('operations apply in order of arrival', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const replies = await Promise.all(
    Array.from({ length: 200 }, (_, i) => accepted(host.apply('s', { op: 'advance', ns: i }))),
  );
  assert.deepEqual(
    replies.map((reply) => reply.timeNs),
    Array.from({ length: 200 }, (_, i) => (i * (i + 1)) / 2),
  );
});

test('while a long operation goes on, reads are served and later mutations wait in order', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { suspensions: 40, resumeMs: 2 } }));
  await accepted(host.create({ name: 'other' }));
  const order: string[] = [];
  const note = (what: string) => (reply: { ok: boolean }) => order.push(`${what} ${reply.ok}`);
  const waiting = [
    host.apply('s', long).then(note('long')),
    host.apply('s', { op: 'advance', ns: 1 }).then(note('short')),
    host.startRun('s', { operations: 1e9 }).then(note('run')),
    host.apply('s', { op: 'advance', ns: 2 }).then(note('refused')),
  ];
  const during = await accepted(host.get('s'));
  assert.equal(during.digest, null, 'in the middle of an operation there is no digest');
  assert.equal(during.operations, 0);
  assert.equal((await accepted(host.read('s', { read: 'metrics' }))).timeNs, 0);
  await accepted(host.apply('other', { op: 'advance', ns: 1 }));
  assert.deepEqual(order, [], 'all this happened before the long one ended');
  await Promise.all(waiting);
  assert.deepEqual(order, ['long true', 'short true', 'run true', 'refused false']);
});

test('too many mutations behind a long one are refused as session-busy, and one given up on is withdrawn', async (t) => {
  const host = await hostFor(t, { limits: { queuedWrites: 2, callTimeoutMs: 300 } });
  await accepted(host.create({ name: 's', fake: { suspensions: 1000, resumeMs: 2 } }));
  const calls = [long, { op: 'advance', ns: 1 } as const, { op: 'advance', ns: 2 } as const].map((operation) =>
    host.apply('s', operation),
  );
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 3 })), 'session-busy');
  for (const call of calls) assert.equal(await refusal(call), 'timeout');
  await until('the long operation ended', async () => (await accepted(host.get('s'))).operations > 0);
  const { operations, timeNs } = await accepted(host.get('s'));
  assert.deepEqual([operations, timeNs], [1, LONG_NS], 'only the one that had begun was carried out');
});

test('an active run refuses every mutation as run-active and changes nothing by it', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { eventUs: 50 } }));
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
  await accepted(host.startRun('s', { operations: 1e9 }));
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'run-active');
  assert.equal(await refusal(host.startRun('s', { operations: 1 })), 'run-active');
  assert.equal(await refusal(host.reset('s')), 'run-active');
  const running = await accepted(host.get('s'));
  assert.deepEqual(
    [running.state, running.digest, running.activeRun, running.operations],
    ['running', null, 'run_1', 1],
  );
  await accepted(host.deleteRun('s', 'run_1'));
  const idle = await accepted(host.get('s'));
  assert.deepEqual([idle.state, idle.activeRun], ['idle', null]);
  assert.match(idle.digest!, /^[0-9a-f]{64}$/);
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
});

test('a read waits for a few slices of the runs that compute on its worker, and not for their end', async (t) => {
  const host = await hostFor(t);
  for (let i = 0; i < 5; i++) await accepted(host.create({ name: `s${i}`, fake: { eventUs: 20 } }));
  for (let i = 0; i < 4; i++) await accepted(host.startRun(`s${i}`, { operations: 1e9 }));
  const begun = performance.now();
  for (let i = 0; i < 100; i++) {
    const reply = await (i % 2 === 0 ? host.read(`s${i % 4}`, { read: 'metrics' }) : host.get('s4'));
    assert.ok(reply.ok);
  }
  const wallMs = performance.now() - begun;
  const runs = await Promise.all([0, 1, 2, 3].map((i) => accepted(host.getRun(`s${i}`, 'run_1'))));
  const computedMs = runs.map((run) => (run.result!.wallSeconds as number) * 1000);
  const totalMs = computedMs.reduce((sum, ms) => sum + ms, 0);
  assert.ok(totalMs / 100 < 50, `${totalMs / 100} ms were computed for each read, and a slice is 5`);
  // Nine tenths with both cores to itself; a run that makes way on a busy machine does so for others, too.
  assert.ok(totalMs > wallMs / 6, `the runs got ${totalMs} ms of ${wallMs} ms: reads do not starve them`);
  assert.ok(Math.min(...computedMs) > totalMs / 8, `and they share it: ${computedMs}`);
});

test('a run that is sliced ends where its stop rule says, with the computing time of its slices', async (t) => {
  const host = await hostFor(t, { sliceMs: 1 });
  await accepted(host.create({ name: 's', fake: { eventUs: 100 } }));
  const begin = performance.now();
  await accepted(host.startRun('s', { operations: 500 }));
  const run = await runEnd(host, 's', 'run_1');
  const wall = (performance.now() - begin) / 1000;
  assert.equal(run.state, 'finished');
  assert.deepEqual([run.result!.operations, run.timeNs, run.progress], [500, 500, 1]);
  const wallSeconds = run.result!.wallSeconds as number;
  assert.ok(wallSeconds >= 0.05 && wallSeconds <= wall, `${wallSeconds} s of ${wall} s`);
  assert.equal(run.result!.realTimeFactor, 500e-6 / wallSeconds);
});
