/** The host as one principal sees it. A session that is hidden takes the same steps as one that there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessControl } from '../../src/access/control.ts';
import { makeToken } from '../../src/access/tokens.ts';
import type { OpsOptions, Reply, SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { bodyOf, FAKE, refusal } from '../host/hosts.ts';

type Calls = string[];

/** The same host, and which of its methods were called. */
function watched(host: SessionHost): { host: SessionHost; calls: Calls } {
  const calls: Calls = [];
  const proxy = new Proxy(host, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...parameters: unknown[]) => {
        calls.push(String(name));
        return value.apply(target, parameters);
      };
    },
  });
  return { host: proxy, calls };
}

const OPTIONS: OpsOptions = { onError: 'stop', format: 'ndjson' };

/** Everything that can be asked of one session. */
const QUESTIONS: Readonly<Record<string, (view: SessionHost, session: string) => Promise<Reply<unknown>>>> = {
  get: (view, session) => view.get(session),
  rename: (view, session) => view.rename(session, { title: 'mine' }),
  delete: (view, session) => view.delete(session),
  reset: (view, session) => view.reset(session),
  apply: (view, session) => view.apply(session, { op: 'advance', ns: 1 }),
  read: (view, session) => view.read(session, { read: 'metrics' }),
  scrape: (view, session) => view.scrape(session, true),
  startRun: (view, session) => view.startRun(session, { forNs: 1 }),
  listRuns: (view, session) => view.listRuns(session, {}),
  getRun: (view, session) => view.getRun(session, 'run_1'),
  deleteRun: (view, session) => view.deleteRun(session, 'run_1'),
  takeSnapshot: (view, session) => view.takeSnapshot(session, {}),
  listSnapshots: (view, session) => view.listSnapshots(session, {}),
  downloadSnapshot: (view, session) => view.downloadSnapshot(session, 'snap_1', true),
  deleteSnapshot: (view, session) => view.deleteSnapshot(session, 'snap_1'),
  ops: (view, session) => view.ops(session, bodyOf('{"op":"advance","ns":1}\n'), OPTIONS),
};

test('a session of another and one that there is not: the same words, by the same steps, and no worker is asked', async (context) => {
  const real = await createHost({ workers: 1, simulatorModule: FAKE });
  context.after(() => real.close());
  const { host, calls } = watched(real);
  const access = new AccessControl({ host });
  context.after(() => access.close());
  const viewFor = (name: string): SessionHost => {
    const { text } = makeToken(access.store, { name, scope: 'write' }, Date.now())!;
    return access.viewOf(access.identify(() => text));
  };
  const [alice, bob] = [viewFor('alice'), viewFor('bob')];
  const made = await alice.create({ name: 'lab' });
  assert.ok(made.ok);
  const { id } = made.value;
  const before = await real.get(id);
  const unknown = `ses_${'0'.repeat(26)}`;
  for (const [name, ask] of Object.entries(QUESTIONS)) {
    const told = async (session: string): Promise<unknown> => {
      calls.length = 0;
      const reply = await ask(bob, session);
      assert.ok(!reply.ok, name);
      return { calls: [...calls], problem: JSON.parse(JSON.stringify(reply.problem).replaceAll(session, '<session>')) };
    };
    const hidden = await told(id);
    assert.deepEqual(hidden, await told(unknown), name);
    assert.deepEqual(hidden, await told('lab'), name);
    assert.deepEqual((hidden as { calls: Calls }).calls, ['resolve', 'ownerOf'], name);
  }
  assert.deepEqual([bob.resolve(id), bob.resolve('lab'), bob.ownerOf(id), bob.epochOf(id)], [null, null, null, null]);
  assert.deepEqual([alice.resolve('lab'), alice.ownerOf(id), bob.countOf('alice')], [id, 'alice', 0]);
  assert.deepEqual(await real.get(id), before);
});

test('a view has nothing of the whole: neither frames, nor figures, nor the end of the host', async (context) => {
  const host = await createHost({ workers: 1, simulatorModule: FAKE, limits: { sessions: 2 } });
  context.after(() => host.close());
  const access = new AccessControl({ host });
  context.after(() => access.close());
  const { text } = makeToken(access.store, { name: 'alice', scope: 'write' }, Date.now())!;
  const view = access.viewOf(access.identify(() => text));
  assert.throws(() => view.status());
  assert.throws(() => view.listen({ frames() {}, epoch() {}, failed() {}, deleted() {} }));
  assert.throws(() => view.close());
  await host.create({}, 'bob');
  await host.create({}, 'bob');
  const full = await view.create({});
  assert.ok(!full.ok);
  assert.equal(full.problem.code, 'too-many-sessions');
  assert.doesNotMatch(full.problem.detail, /[0-9]/, 'how many others have is not told');
  assert.equal(await refusal(view.get('ses_1')), 'unknown-session');
});
