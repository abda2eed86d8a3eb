/** What sessions may take over time: computing and bytes on the disk. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HostProblem, Reply, SessionHost } from '../../src/host/host.ts';
import { ComputeBucket, NO_QUOTAS, type OwnerQuotas } from '../../src/host/quotas.ts';
import { createHost, type HostOptions } from '../../src/host/session-host.ts';
import { LONG_NS } from './fake-simulator.ts';
import { accepted, bodyOf, FAKE, hostFor, linesOf, refusal, textOf, until } from './hosts.ts';
import { crashed, folderFor } from './journal/folders.ts';

const HOUR_MS = 3_600_000;

/** A wall clock that a test sets ahead. */
function clock(): { nowMs: () => number; later(ms: number): void } {
  let offset = 0;
  return {
    nowMs: () => Date.now() + offset,
    later: (ms) => {
      offset += ms;
    },
  };
}

async function hostOn(t: TestContext, folder: string, options: HostOptions = {}): Promise<SessionHost> {
  const journal = { path: join(folder, 'sessions.sqlite'), sync: 'commit' } as const;
  const host = await createHost({ workers: 1, simulatorModule: FAKE, journal, ...options });
  t.after(() => host.close());
  return host;
}

const quotasOf =
  (quotas: Partial<OwnerQuotas>, owner = 'local') =>
  (asked: string): OwnerQuotas => ({ ...NO_QUOTAS, ...(asked === owner ? quotas : {}) });

async function problemOf(reply: Promise<Reply<unknown>>): Promise<HostProblem> {
  const settled = await reply;
  assert.ok(!settled.ok, 'not refused');
  return settled.problem;
}

async function lines(host: SessionHost, session: string, text: string, onError: 'stop' | 'continue' = 'stop') {
  const replies = await accepted(host.ops(session, bodyOf(text), { onError, format: 'ndjson' }));
  return linesOf(await textOf(replies));
}

test('a bucket gives an hour of computing at once and its rate after that; what was taken too much is waited for', () => {
  const bucket = new ComputeBucket(0);
  bucket.setShare(3600);
  bucket.charge(3_599_999, 0);
  assert.equal(bucket.isDry(0), false);
  bucket.charge(501, 0);
  assert.equal(bucket.isDry(0), true);
  // At a second a second: 500 ms are owed, and a second has to be there.
  assert.deepEqual(bucket.hold('compute-seconds'), {
    name: 'compute-seconds',
    limit: 3600,
    used: 3601,
    resumesAtMs: 1500,
  });
  assert.equal(bucket.isDry(1499), true, 'it does not go on with the first drop');
  assert.equal(bucket.isDry(1500), false);
  assert.equal(bucket.isDry(1000), false, 'a clock that is set back takes nothing');
  bucket.charge(2000, 1500);
  assert.equal(bucket.isDry(1500), true);
  bucket.setShare(7200);
  assert.equal(bucket.isDry(1500), false, 'another share is another bound, and what was used stays used');
  assert.equal(bucket.isFull(1500), false);
  assert.equal(bucket.isFull(1500 + HOUR_MS), true);
});

test('a session that has computed for its share is paused: reads go on, changes are told until when, others notice nothing', async (t) => {
  const { nowMs, later } = clock();
  const host = await hostFor(t, { nowMs });
  host.govern(quotasOf({ sessionComputeSeconds: 1 }));
  await accepted(host.create({ name: 'runaway' }));
  await accepted(host.create({ name: 'other' }));
  const run = await accepted(host.startRun('runaway', { operations: 1e12 }));
  await until('it is paused', async () => (await accepted(host.get('runaway'))).paused !== undefined);
  const { state, paused, activeRun } = await accepted(host.get('runaway'));
  assert.deepEqual([state, activeRun], ['running', run.id]);
  assert.deepEqual(paused!.quota.name, 'session-compute-seconds');
  assert.ok(Date.parse(paused!.resumesAt!) > nowMs(), 'it is said when it goes on');
  // The last slice may still be on its way.
  const events = async (): Promise<number> =>
    Number(((await accepted(host.getRun('runaway', run.id))).result as { operations: number }).operations);
  let before = -1;
  await until('it stands', async () => before === (before = await events()));
  for (let i = 0; i < 3; i++) assert.equal(await events(), before);
  assert.equal((await accepted(host.read('runaway', { read: 'metrics' }))).operations, 0);
  for (const reply of [
    host.apply('runaway', { op: 'advance', ns: 1 }),
    host.startRun('runaway', { operations: 1 }),
    host.reset('runaway'),
    host.ops('runaway', bodyOf('{"op":"advance","ns":1}\n'), { onError: 'stop', format: 'ndjson' }),
  ]) {
    const problem = await problemOf(reply);
    assert.equal(problem.code, 'session-paused');
    assert.deepEqual(
      [problem.retryable, problem.quota!.name, problem.quota!.limit],
      [true, 'session-compute-seconds', 1],
    );
    assert.ok(problem.quota!.used! >= 1 && problem.quota!.retryAfterSeconds! > 60);
  }
  assert.equal(host.status().paused, 1);
  await accepted(host.apply('other', { op: 'advance', ns: 1 }));
  assert.equal((await accepted(host.get('other'))).paused, undefined);
  later(HOUR_MS);
  await until('it goes on by itself', async () => (await accepted(host.get('runaway'))).paused === undefined);
  await until('it computes', async () => (await events()) > before);
  await accepted(host.deleteRun('runaway', run.id));
  await accepted(host.apply('runaway', { op: 'advance', ns: 1 }));
});

test('a paused run can be cancelled, and the session deleted', async (t) => {
  const host = await hostFor(t, {});
  host.govern(quotasOf({ sessionComputeSeconds: 1 }));
  for (const name of ['a', 'b']) {
    await accepted(host.create({ name }));
    await accepted(host.startRun(name, { operations: 1e12 }));
  }
  await until('both are paused', () => host.status().paused === 2);
  assert.equal((await accepted(host.deleteRun('a', 'run_1'))).state, 'cancelled');
  assert.equal((await accepted(host.get('a'))).state, 'idle');
  assert.equal(await refusal(host.apply('a', { op: 'advance', ns: 1 })), 'session-paused', 'its time is still used up');
  await accepted(host.delete('b'));
});

test('a share of the owner is of all its sessions together, and of no one else', async (t) => {
  const { nowMs, later } = clock();
  const host = await hostFor(t, { nowMs });
  host.govern(quotasOf({ computeSeconds: 1 }, 'alice'));
  const ids: string[] = [];
  for (const owner of ['alice', 'alice', 'bob']) ids.push((await accepted(host.create({}, owner))).id);
  const [one, two, other] = ids as [string, string, string];
  for (const id of [one, other]) await accepted(host.startRun(id, { operations: 1e12 }));
  await until('all of alice are paused', () => host.status().paused === 2);
  assert.equal(await refusal(host.apply(two, { op: 'advance', ns: 1 })), 'session-paused');
  assert.equal((await accepted(host.get(other))).paused, undefined);
  // One that is made now is held, too: another session is no way around it.
  const { id } = await accepted(host.create({}, 'alice'));
  assert.equal(await refusal(host.apply(id, { op: 'advance', ns: 1 })), 'session-paused');
  later(HOUR_MS);
  await until('all go on', () => host.status().paused === 0);
  await accepted(host.apply(two, { op: 'advance', ns: 1 }));
});

test('a higher share lets a paused session go on at once', async (t) => {
  const host = await hostFor(t, {});
  host.govern(quotasOf({ sessionComputeSeconds: 1 }));
  await accepted(host.create({ name: 's' }));
  await accepted(host.startRun('s', { operations: 1e12 }));
  await until('it is paused', () => host.status().paused === 1);
  host.govern(quotasOf({ sessionComputeSeconds: 100 }));
  assert.equal(host.status().paused, 0);
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'run-active');
});

test('an operation that is under way ends, whatever it takes; the next one is refused', async (t) => {
  const host = await hostFor(t, {});
  host.govern(quotasOf({ sessionComputeSeconds: 1 }));
  await accepted(host.create({ name: 's', fake: { suspensions: 30, resumeMs: 50 } }));
  assert.equal((await accepted(host.apply('s', { op: 'advance', ns: LONG_NS }))).timeNs, LONG_NS);
  await until('it is paused', () => host.status().paused === 1);
  assert.equal(await refusal(host.apply('s', { op: 'advance', ns: 1 })), 'session-paused');
});

test('a pause ends an `ops` request at the next line, also with onError=continue, and a retry goes on from there', async (t) => {
  const { nowMs, later } = clock();
  const host = await hostFor(t, { nowMs });
  host.govern(quotasOf({ sessionComputeSeconds: 1 }));
  await accepted(host.create({ name: 's', fake: { suspensions: 10, resumeMs: 20 } }));
  const text = `{"op":"advance","ns":${LONG_NS}}\n`.repeat(100);
  const told = await lines(host, 's', text, 'continue');
  const { problem } = told.at(-1)!;
  assert.equal(problem!.code, 'session-paused');
  assert.equal(problem!.status, 429);
  assert.equal((problem as unknown as HostProblem).quota!.name, 'session-compute-seconds');
  assert.ok(told.length > 2 && told.length < 100, `${told.length} lines`);
  assert.ok(told.slice(0, -1).every(({ ok }) => ok));
  const { operations } = await accepted(host.get('s'));
  assert.equal(operations, told.length - 1, 'what was answered was done, and no more');
  later(HOUR_MS);
  await until('it goes on', () => host.status().paused === 0);
  assert.equal((await lines(host, 's', '{"op":"advance","ns":1}\n')).at(-1)!.ok, true);
});

test('a session that rests is held when it is woken', async (t) => {
  const host = await hostOn(t, folderFor(t), { limits: { idleMs: 1 } });
  host.govern(quotasOf({ computeSeconds: 1 }));
  await accepted(host.create({ name: 'resting' }));
  await until('it rests', () => host.status().awake === 0);
  await accepted(host.create({ name: 's' }));
  await accepted(host.startRun('s', { operations: 1e12 }));
  await until('the time is used up', async () => (await accepted(host.get('s'))).paused !== undefined);
  assert.equal(await refusal(host.apply('resting', { op: 'advance', ns: 1 })), 'session-paused');
  assert.equal((await accepted(host.read('resting', { read: 'metrics' }))).operations, 0);
});

test('what the disk keeps is counted for the owner, survives a crash, and is given back', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  const bytesOf = async (of: SessionHost, session: string): Promise<number> =>
    (await accepted(of.get(session))).storedBytes!;
  await accepted(host.create({ name: 'a' }));
  await accepted(host.create({ name: 'b' }));
  const fresh = await bytesOf(host, 'a');
  await lines(host, 'a', '{"op":"advance","ns":1}\n'.repeat(1000));
  const grown = await bytesOf(host, 'a');
  assert.ok(grown > fresh + 20_000, `${fresh} became ${grown}: it is there with the reply`);
  assert.equal(host.storedBytesOf('local'), grown + (await bytesOf(host, 'b')));
  assert.equal(host.status().storedBytes, host.storedBytesOf('local'));
  const again = await hostOn(t, crashed(t, folder));
  assert.equal(again.storedBytesOf('local'), host.storedBytesOf('local'));
  await accepted(host.reset('a'));
  assert.ok((await bytesOf(host, 'a')) < fresh + 1000);
  await accepted(host.delete('a'));
  assert.equal(host.storedBytesOf('local'), await bytesOf(host, 'b'));
  await accepted(host.delete('b'));
  assert.deepEqual([host.storedBytesOf('local'), host.status().storedBytes], [0, 0]);
});

test('beyond the stored bytes of its owner a session is read and not changed, until something is deleted or reset', async (t) => {
  const host = await hostOn(t, folderFor(t));
  const limit = 200_000;
  host.govern(quotasOf({ storedBytes: limit }, 'alice'));
  const { id } = await accepted(host.create({}, 'alice'));
  const { id: small } = await accepted(host.create({}, 'alice'));
  const told = await lines(host, id, '{"op":"advance","ns":1}\n'.repeat(20_000), 'continue');
  const { problem } = told.at(-1)!;
  assert.equal(problem!.code, 'too-much-stored');
  assert.ok(told.length < 20_000);
  const used = host.storedBytesOf('alice');
  assert.ok(used >= limit && used < 3 * limit, `${used} bytes`);
  for (const reply of [
    host.apply(small, { op: 'advance', ns: 1 }),
    host.startRun(id, { operations: 1 }),
    host.create({}, 'alice'),
  ]) {
    const refused = await problemOf(reply);
    assert.deepEqual(
      [refused.code, refused.quota!.name, refused.quota!.limit],
      ['too-much-stored', 'stored-bytes', limit],
    );
    assert.ok(refused.quota!.used! >= limit);
  }
  await accepted(host.read(small, { read: 'metrics' }));
  assert.equal((await accepted(host.get(id))).paused, undefined, 'nothing stands still for it');
  await accepted(host.create({}, 'bob'));
  await accepted(host.reset(id));
  await accepted(host.apply(small, { op: 'advance', ns: 1 }));
  await lines(host, id, '{"op":"advance","ns":1}\n'.repeat(20_000));
  assert.equal(await refusal(host.apply(small, { op: 'advance', ns: 1 })), 'too-much-stored');
  await accepted(host.delete(id));
  await accepted(host.apply(small, { op: 'advance', ns: 1 }));
});

test('a run goes on when no more may be stored: it leaves no more than marks', async (t) => {
  const host = await hostOn(t, folderFor(t));
  await accepted(host.create({ name: 's' }));
  await accepted(host.startRun('s', { operations: 300_000 }));
  host.govern(quotasOf({ storedBytes: 1 }));
  await until('it ends', async () => (await accepted(host.getRun('s', 'run_1'))).state === 'finished');
  await accepted(host.deleteRun('s', 'run_1'));
});
