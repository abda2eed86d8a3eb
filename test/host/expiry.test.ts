/** Sessions that end at an instant of their own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { accepted, bodyOf, FAKE, hostFor, Recorder, refusal, until } from './hosts.ts';
import { crashed, folderFor } from './journal/folders.ts';

const soon = (ms: number): string => new Date(Date.now() + ms).toISOString();

async function hostOn(t: TestContext, folder: string): Promise<SessionHost> {
  const journal = { path: join(folder, 'sessions.sqlite'), sync: 'commit' } as const;
  const host = await createHost({ workers: 1, simulatorModule: FAKE, journal });
  t.after(() => host.close());
  return host;
}

test('a session is deleted when its instant comes, in the middle of a run, too, and its listeners are told once', async (t) => {
  const host = await hostFor(t, {});
  const recorder = new Recorder();
  host.listen(recorder);
  const { id, expiresAt } = await accepted(host.create({ name: 's', expiresAt: soon(300) }));
  assert.match(expiresAt!, /^\d{4}-.*Z$/);
  await accepted(host.startRun('s', { operations: 1e12 }));
  await until('it is gone', () => recorder.gone.length > 0);
  assert.deepEqual(recorder.gone, [id]);
  assert.ok(Date.now() >= Date.parse(expiresAt!), 'not before its instant');
  assert.equal(await refusal(host.get(id)), 'unknown-session');
  await accepted(host.create({ name: 's' }));
});

test('the instant is in the document, can be moved and taken back, and has no part in the simulation', async (t) => {
  const host = await hostFor(t, {});
  const plain = await accepted(host.create({ name: 'plain' }));
  assert.equal('expiresAt' in plain, false);
  const { digest, spec } = await accepted(host.create({ name: 's', expiresAt: '2999-01-01T00:00:00+02:00' }));
  assert.deepEqual([digest, 'expiresAt' in spec], [plain.digest, false]);
  assert.equal((await accepted(host.get('s'))).expiresAt, '2998-12-31T22:00:00.000Z');
  assert.equal((await accepted(host.rename('s', { title: 't' }))).expiresAt, '2998-12-31T22:00:00.000Z');
  assert.equal('expiresAt' in (await accepted(host.rename('s', { expiresAt: null }))), false);
  await accepted(host.rename('s', { expiresAt: soon(400) }));
  await accepted(host.rename('s', { expiresAt: soon(60_000) }));
  await accepted(host.rename('plain', { expiresAt: soon(200) }));
  await until('one is gone', () => host.status().sessions === 1);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal((await accepted(host.get('s'))).name, 's', 'what was put off stays');
});

test('an instant that has passed, or that there is not, is refused by its place, and nothing is changed', async (t) => {
  const host = await hostFor(t, {});
  await accepted(host.create({ name: 's', expiresAt: soon(60_000) }));
  const before = await accepted(host.get('s'));
  for (const expiresAt of [soon(-1), '1999-01-01T00:00:00Z', '2030-12-31T23:59:60Z'])
    for (const reply of [
      await host.create({ name: 'x', expiresAt }),
      await host.validate({ name: 'x', expiresAt }),
      await host.rename('s', { name: 'x', expiresAt }),
    ]) {
      assert.ok(!reply.ok);
      assert.deepEqual([reply.problem.code, reply.problem.path], ['invalid-body', '/expiresAt']);
    }
  assert.deepEqual(await accepted(host.get('s')), before);
  assert.equal(host.status().sessions, 1);
});

test('what fell due while the server was down is gone when it is there again; the rest keeps its instant', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  await accepted(host.create({ name: 'short', expiresAt: soon(500) }));
  await accepted(host.create({ name: 'put-off', expiresAt: soon(500) }));
  await accepted(host.create({ name: 'long', expiresAt: '2999-01-01T00:00:00Z' }));
  await accepted(host.rename('put-off', { expiresAt: soon(3_600_000) }));
  await accepted(host.startRun('short', { operations: 1e12 }));
  const copy = crashed(t, folder);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const again = await hostOn(t, copy);
  const { items } = await accepted(again.list({}));
  assert.deepEqual(
    items.map(({ name, expiresAt }) => [name, expiresAt!.slice(0, 4) === '2999']),
    [
      ['put-off', false],
      ['long', true],
    ],
  );
  assert.equal(again.resolve('short'), null);
});

test('what cannot be deleted, because nothing can be written, is tried again until it can', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  await accepted(host.create({ name: 's', expiresAt: soon(300) }));
  const other = new DatabaseSync(join(folder, 'sessions.sqlite'));
  t.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  await until('that is noticed', () => host.status().storageTrouble !== null);
  assert.equal((await accepted(host.get('s'))).name, 's', 'what is not deleted is there');
  other.exec('ROLLBACK');
  await until('it is gone', () => host.status().sessions === 0);
});

test('an `ops` request of a session that expires ends, and what it had applied is gone with it', async (t) => {
  const host = await hostFor(t, {});
  await accepted(host.create({ name: 's', expiresAt: soon(300) }));
  let ended = false;
  async function* endless(): AsyncGenerator<Uint8Array> {
    while (!ended) {
      yield* bodyOf('{"op":"advance","ns":1}\n');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  const replies = await accepted(host.ops('s', endless(), { onError: 'stop', format: 'ndjson' }));
  let last = '';
  for await (const bytes of replies) last = Buffer.from(bytes).toString().trimEnd().split('\n').at(-1)!;
  ended = true;
  assert.equal(JSON.parse(last).problem.code, 'unknown-session');
});
