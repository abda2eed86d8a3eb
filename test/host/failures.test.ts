import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHost } from '../../src/host/session-host.ts';
import { LONG_NS } from './fake-simulator.ts';
import { accepted, bodyOf, hostFor, linesOf, Recorder, refusal, runEnd, textOf, until } from './hosts.ts';

const mapOn = (device: string) =>
  ({ op: 'map', device, kind: 'single', direction: 'to-device', lengthBytes: 1, physicalAddress: 0 }) as const;

test('an exception out of an operation sets that session aside, and no other', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  await accepted(host.create({ name: 'other' }));
  await accepted(host.apply('s', { op: 'advance', ns: 5 }));
  const failed = await host.apply('s', mapOn('bug'));
  assert.ok(!failed.ok);
  assert.equal(failed.problem.code, 'session-failed');
  assert.match(failed.problem.detail, /the tree lost its root/);

  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'session-failed');
  assert.equal(await refusal(host.read('s', { read: 'metrics' })), 'session-failed');
  assert.equal(await refusal(host.startRun('s', { operations: 1 })), 'session-failed');
  assert.equal(await refusal(host.reset('s')), 'session-failed');
  assert.equal(await refusal(host.ops('s', bodyOf('{}'), { onError: 'stop', format: 'ndjson' })), 'session-failed');
  const document = await accepted(host.get('s'));
  assert.deepEqual([document.state, document.digest, document.timeNs], ['failed', null, 5]);
  await accepted(host.apply('other', { op: 'advance', ns: 1 }));
  await accepted(host.delete('s'));
});

test('an exception out of a run fails the run and its session', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's' }));
  await accepted(host.startRun('s', { until: { metric: 'bug', above: 1 } }));
  const run = await runEnd(host, 's', 'run_1');
  assert.equal(run.state, 'failed');
  assert.equal(run.problem!.code, 'session-failed');
  assert.equal((await accepted(host.get('s'))).state, 'failed');
  assert.equal(host.status().activeRuns, 0);
  await until('the stream hears of it', () => recorder.of('runs').some((frame) => frame.state === 'failed'));
});

test('an exception in the middle of an ops request is the answer to its line', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const body = `${JSON.stringify({ op: 'advance', ns: 1 })}\n${JSON.stringify(mapOn('bug'))}\n{"op":"advance","ns":1}\n`;
  const lines = linesOf(
    await textOf(await accepted(host.ops('s', bodyOf(body), { onError: 'continue', format: 'ndjson' }))),
  );
  assert.deepEqual(
    lines.map((line) => line.problem?.code ?? 'ok'),
    ['ok', 'session-failed', 'session-failed'],
  );
});

test('a reading that throws fails that call only', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  assert.equal(await refusal(host.read('s', { read: 'device', id: 'bug' })), 'internal');
  await accepted(host.apply('s', { op: 'advance', ns: 1 }));
});

test('a worker that dies answers its calls, fails its sessions and is replaced', async (t) => {
  const host = await hostFor(t, { workers: 2 });
  const recorder = new Recorder();
  host.listen(recorder);
  const doomed = await accepted(host.create({ name: 'doomed', fake: { suspensions: 1e6 } }));
  await accepted(host.create({ name: 'safe' }));
  await accepted(host.create({ name: 'neighbour' }));
  let release = () => {};
  const endless = await accepted(
    host.ops(
      'neighbour',
      (async function* () {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        yield Buffer.from('\n');
      })(),
      { onError: 'stop', format: 'ndjson' },
    ),
  );
  const reading = textOf(endless);
  const pending = host.apply('doomed', { op: 'advance', ns: LONG_NS });
  const fatal = host.apply('neighbour', mapOn('crash'));
  assert.equal(await refusal(pending), 'session-failed');
  assert.equal(await refusal(fatal), 'session-failed');
  await assert.rejects(reading, /died/, 'a reply in progress is cut, not ended');
  release();

  const document = await accepted(host.get('doomed'));
  assert.deepEqual([document.state, document.name, document.digest], ['failed', 'doomed', null]);
  assert.ok(recorder.broken.includes(doomed.id));
  assert.equal(await refusal(host.apply('doomed', { op: 'advance', ns: 1 })), 'session-failed');
  assert.equal((await accepted(host.list({}))).items.length, 3);
  await accepted(host.apply('safe', { op: 'advance', ns: 1 }));
  assert.equal(host.status().workersAlive, 2);
  await accepted(host.delete('doomed'));
  await accepted(host.create({ name: 'doomed' }));
  await accepted(host.apply('doomed', { op: 'advance', ns: 1 }));
});

test('a host whose workers cannot start says why', async () => {
  await assert.rejects(createHost({ workers: 1, simulatorModule: 'file:///nowhere.ts' }), /did not start.*nowhere/s);
});

test('closing ends runs at a slice boundary, answers what waits and refuses what comes', async (t) => {
  const host = await hostFor(t, { workers: 1 });
  const recorder = new Recorder();
  host.listen(recorder);
  await accepted(host.create({ name: 's', fake: { eventUs: 50 } }));
  await accepted(host.create({ name: 'slow', fake: { suspensions: 1e6 } }));
  await accepted(host.startRun('s', { operations: 1e9 }));
  const pending = host.apply('slow', { op: 'advance', ns: LONG_NS });
  let release = () => {};
  const open = await accepted(
    host.ops(
      'slow',
      (async function* () {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        yield Buffer.from('\n');
      })(),
      { onError: 'stop', format: 'ndjson' },
    ),
  );
  const reading = assert.rejects(textOf(open), /shutting down/);
  const begin = performance.now();
  await host.close();
  assert.ok(performance.now() - begin < 5000);
  assert.equal(recorder.of('runs').at(-1)!.state, 'cancelled');
  assert.equal(await refusal(pending), 'shutting-down');
  await reading;
  release();
  assert.equal(await refusal(host.create({})), 'shutting-down');
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'shutting-down');
  assert.equal(host.status().ready, false);
});
