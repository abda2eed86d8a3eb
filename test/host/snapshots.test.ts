/** Snapshots: what goes on from one, here or elsewhere, is as the session was. */
import assert from 'node:assert/strict';
import { cpSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import type { Operation } from '../../src/core/operations.ts';
import type { SessionHost } from '../../src/host/host.ts';
import { JournalDatabase } from '../../src/host/journal/database.ts';
import { type Retry, underRetry } from '../../src/host/retry.ts';
import { accepted, bodyOf, refusal, runEnd, textOf, until } from './hosts.ts';
import { crashed, folderFor, hostOn, toFormat1 } from './journal/folders.ts';

const SPEC = { preset: 'thread-2008' };

async function work(host: SessionHost, session: string, seed = 0): Promise<void> {
  const { id } = await accepted(host.apply(session, { op: 'buffer', lengthBytes: 65_536 }));
  const map = { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', lengthBytes: 1500 } as const;
  const mapped = await accepted(host.apply(session, { ...map, buffer: id as string, offsetBytes: 64 + seed }));
  await accepted(host.startRun(session, { operations: 300 }));
  const { items } = await accepted(host.listRuns(session, { limit: 1000 }));
  await runEnd(host, session, items.at(-1)!.id);
  await accepted(host.apply(session, { op: 'unmap', mapping: mapped.id as string }));
}

/** So that all is done again. */
function withoutImages(folder: string): void {
  const database = new DatabaseSync(join(folder, 'sessions.sqlite'));
  database.exec('DELETE FROM images; UPDATE life SET open = 0');
  database.close();
}

const advance: Operation = { op: 'advance', ns: 12_345 };

async function stateOf(host: SessionHost, session: string): Promise<unknown> {
  const { digest, timePs, operations, activeRun, spec } = await accepted(host.get(session));
  const { name: _name, title: _title, ...rest } = spec;
  const metrics = await accepted(host.read(session, { read: 'metrics' }));
  const { items } = await accepted(host.listRuns(session, {}));
  const runs = items.map(({ id, state, timeNs, request }) => ({ id, state, timeNs, request }));
  return JSON.parse(JSON.stringify({ digest, timePs, operations, activeRun, rest, metrics, runs }));
}

async function fileOf(host: SessionHost, session: string, id: string, state = true): Promise<Record<string, unknown>> {
  return JSON.parse(await textOf(await accepted(host.downloadSnapshot(session, id, state))));
}

describe('a fork', () => {
  test('is as the session was, and each goes its own way', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's', title: 'source' }));
    await work(host, 's');
    const before = await stateOf(host, 's');
    const kept = await accepted(host.takeSnapshot('s', { title: 'here' }));
    assert.equal(kept.digest, (before as { digest: string }).digest);
    assert.equal(kept.title, 'here');
    await work(host, 's', 8);
    const after = await stateOf(host, 's');

    const fork = await accepted(host.create({ fromSnapshot: kept.id, name: 'f', title: 'forked' }));
    assert.equal(fork.state, 'idle');
    assert.deepEqual([fork.name, fork.title], ['f', 'forked']);
    assert.deepEqual(await stateOf(host, 'f'), before);
    await work(host, 'f', 8);
    assert.deepEqual(await stateOf(host, 'f'), after, 'the same operations lead to the same state');
    await accepted(host.apply('f', advance));
    assert.deepEqual(await stateOf(host, 's'), after);
  });

  test('survives a crash, its source, and the image that both shared', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    await work(host, 's');
    const { id } = await accepted(host.takeSnapshot('s', {}));
    await accepted(host.create({ fromSnapshot: id, name: 'f' }));
    await work(host, 'f', 4);
    // A fork of a fork, from records of both.
    const second = await accepted(host.takeSnapshot('f', {}));
    await accepted(host.create({ fromSnapshot: second.id, name: 'g' }));
    await work(host, 'g', 16);
    const states = [await stateOf(host, 'f'), await stateOf(host, 'g')];
    await accepted(host.delete('s'));
    assert.equal(await refusal(host.create({ fromSnapshot: id })), 'unknown-snapshot');
    const copy = crashed(t, folder);
    withoutImages(copy);
    const again = await hostOn(t, copy);
    assert.deepEqual([await stateOf(again, 'f'), await stateOf(again, 'g')], states);
    await accepted(again.delete('f'));
    assert.deepEqual(await stateOf(again, 'g'), states[1]);
    await accepted(again.delete('g'));
    await again.close();
    const left = new DatabaseSync(join(copy, 'sessions.sqlite'));
    for (const table of ['sessions', 'heads', 'entries', 'forks', 'images', 'snapshots', 'blobs'])
      assert.equal(left.prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n, 0, table);
    left.close();
  });

  test('of a session in which nothing was done is a new one, and of one that was reset is what came before', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    const empty = await accepted(host.takeSnapshot('s', {}));
    const atFirst = await stateOf(host, 's');
    await work(host, 's');
    const full = await accepted(host.takeSnapshot('s', {}));
    const worked = await stateOf(host, 's');
    await accepted(host.reset('s'));
    await accepted(host.apply('s', advance));
    const later = await accepted(host.takeSnapshot('s', {}));
    const advanced = await stateOf(host, 's');
    const forks = [empty, full, later];
    for (const [i, { id }] of forks.entries()) await accepted(host.create({ fromSnapshot: id, name: `f${i}` }));
    await accepted(host.apply('f2', advance));
    const more = await stateOf(host, 'f2');
    await accepted(host.delete('s'));
    const copy = crashed(t, folder);
    withoutImages(copy);
    const again = await hostOn(t, copy);
    assert.deepEqual(await stateOf(again, 'f0'), atFirst);
    assert.deepEqual(await stateOf(again, 'f1'), worked);
    assert.deepEqual(await stateOf(again, 'f2'), more);
    assert.notDeepEqual(more, advanced);
  });

  test('of a session with an active run goes on with it and comes to the same end', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's' }));
    await accepted(host.startRun('s', { operations: 60_000 }));
    await until('the run has begun', async () => (await accepted(host.get('s'))).timeNs > 0);
    const kept = await accepted(host.takeSnapshot('s', {}));
    assert.equal(kept.activeRun, 'run_1');
    const fork = await accepted(host.create({ fromSnapshot: kept.id, name: 'f' }));
    assert.equal(fork.state, 'running');
    for (const session of ['f', 's'])
      await until('the run has ended', async () => (await accepted(host.get(session))).state === 'idle', 60_000);
    assert.deepEqual(await stateOf(host, 'f'), await stateOf(host, 's'));
    const { items } = await accepted(host.listRuns('f', {}));
    assert.equal(items[0]!.state, 'finished');
  });

  test('does not answer for its source under an Idempotency-Key', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    const under = <T>(print: string, ask: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) =>
        underRetry({ key: 'k', print, replayed: false }, () => ask().then(resolve, reject)),
      );
    await accepted(under('of s', () => host.apply('s', advance)));
    const { id } = await accepted(host.takeSnapshot('s', {}));
    await accepted(host.create({ fromSnapshot: id, name: 'f' }));
    for (const images of [true, false]) {
      const copy = crashed(t, folder);
      if (!images) withoutImages(copy);
      const again = await hostOn(t, copy);
      await accepted(under('of f', () => again.apply('f', advance)));
      assert.equal((await accepted(again.get('f'))).operations, 2);
    }
  });

  test('takes a name and a title and nothing else, and no name that is taken', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's' }));
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const beside = await host.create({ fromSnapshot: id, seed: 3 });
    assert.ok(!beside.ok);
    assert.deepEqual([beside.problem.code, beside.problem.path], ['invalid-body', '/seed']);
    assert.equal(await refusal(host.create({ fromSnapshot: id, name: 's' })), 'name-taken');
    const unknown = await host.create({ fromSnapshot: 'snap_none', name: 'free' });
    assert.ok(!unknown.ok);
    assert.deepEqual([unknown.problem.code, unknown.problem.path], ['unknown-snapshot', '/fromSnapshot']);
    await accepted(host.create({ name: 'free' }));
    const checked = await accepted(host.validate({ fromSnapshot: id, name: 'new' }));
    assert.deepEqual(checked.machine, (await accepted(host.get('s'))).spec.machine);
    assert.equal((await accepted(host.list({}))).items.length, 2);
  });
});

describe('a snapshot', () => {
  test('waits behind an operation in progress and changes nothing', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    await work(host, 's');
    const before = await stateOf(host, 's');
    await accepted(host.takeSnapshot('s', {}));
    assert.deepEqual(await stateOf(host, 's'), before);
    const [, kept] = await Promise.all([host.apply('s', advance), accepted(host.takeSnapshot('s', {}))]);
    assert.equal(kept.digest, (await accepted(host.get('s'))).digest);
  });

  test('is listed in pages, deleted by id, and goes with its session', async (t) => {
    const host = await hostOn(t, folderFor(t), { limits: { snapshots: 3 } });
    await accepted(host.create({ ...SPEC, name: 's' }));
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await accepted(host.takeSnapshot('s', { title: `t${i}` }))).id);
    const full = await host.takeSnapshot('s', {});
    assert.ok(!full.ok);
    assert.deepEqual(full.problem.quota, { name: 'snapshots', limit: 3, used: 3 });
    const first = await accepted(host.listSnapshots('s', { limit: 2 }));
    assert.deepEqual(
      first.items.map(({ id }) => id),
      ids.slice(0, 2),
    );
    await accepted(host.deleteSnapshot('s', ids[0]!));
    const second = await accepted(host.listSnapshots('s', { limit: 2, cursor: first.nextCursor! }));
    assert.deepEqual(
      second.items.map(({ id }) => id),
      ids.slice(2),
    );
    assert.equal(second.nextCursor, undefined);
    assert.equal(await refusal(host.deleteSnapshot('s', ids[0]!)), 'unknown-snapshot');
    await accepted(host.create({ ...SPEC, name: 'other' }));
    assert.equal(await refusal(host.downloadSnapshot('other', ids[1]!, true)), 'unknown-snapshot');
    assert.equal(await refusal(host.deleteSnapshot('other', ids[1]!)), 'unknown-snapshot');
    await accepted(host.delete('s'));
    assert.equal(await host.findSnapshot(ids[1]!), null);
  });

  test('is taken once under an Idempotency-Key, also when the server ended in between', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    const retry = (): Retry => ({ key: 'k', print: 'p', replayed: false });
    const take = (on: SessionHost, by: Retry) =>
      new Promise<string>((resolve, reject) =>
        underRetry(by, () => accepted(on.takeSnapshot('s', {})).then(({ id }) => resolve(id), reject)),
      );
    const first = retry();
    const id = await take(host, first);
    assert.equal(first.replayed, false);
    const again = await hostOn(t, crashed(t, folder));
    const second = retry();
    assert.equal(await take(again, second), id);
    assert.equal(second.replayed, true);
    const other = { ...retry(), print: 'q' };
    await assert.rejects(take(again, other), /idempotency-mismatch/);
  });

  test('can be had of a session that rests, and lets it rest when it is only looked at', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder);
    await accepted(host.create({ ...SPEC, name: 's' }));
    await work(host, 's');
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const before = await stateOf(host, 's');
    await host.close();
    const again = await hostOn(t, folder);
    assert.equal((await accepted(again.listSnapshots('s', {}))).items.length, 1);
    await fileOf(again, 's', id);
    assert.equal((await accepted(again.get('s'))).state, 'hibernated');
    await accepted(again.create({ fromSnapshot: id, name: 'f' }));
    assert.deepEqual(await stateOf(again, 'f'), before);
    await accepted(again.takeSnapshot('s', {}));
  });
});

describe('a document', () => {
  test('gives the same session on another server, with its state and without', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's' }));
    await work(host, 's');
    await accepted(host.startRun('s', { operations: 1e12 }));
    await until('the run has begun', async () => (await accepted(host.get('s'))).timeNs > 0);
    await accepted(host.deleteRun('s', 'run_2'));
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const before = await stateOf(host, 's');
    const elsewhere = await hostOn(t, folderFor(t));
    for (const state of [true, false]) {
      const file = await fileOf(host, 's', id, state);
      assert.equal('state' in file, state);
      const made = await accepted(elsewhere.create({ fromSnapshot: file, name: `with-${state}` }));
      assert.deepEqual(await stateOf(elsewhere, made.id), before);
    }
    // And what came of a document is one that can be written again.
    const again = await accepted(elsewhere.takeSnapshot('with-false', {}));
    const file = await fileOf(elsewhere, 'with-false', again.id, false);
    assert.deepEqual(file.records, (await fileOf(host, 's', id, false)).records);
    assert.deepEqual(await stateOf(host, (await accepted(host.create({ fromSnapshot: file }))).id), before);
  });

  test('of a session in the middle of a run gives one that comes to the same end', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's' }));
    await accepted(host.startRun('s', { operations: 40_000, onRestart: 'interrupt' }));
    await until('the run has begun', async () => (await accepted(host.get('s'))).timeNs > 0);
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const file = await fileOf(host, 's', id, false);
    const elsewhere = await hostOn(t, folderFor(t));
    const { records } = file as { records: object[] };
    assert.deepEqual(Object.keys(records.at(-1)!), ['mark']);
    file.records = records.map((record) => ('run' in record ? { run: { operations: 40_000 } } : record));
    const made = await accepted(elsewhere.create({ fromSnapshot: file }));
    assert.equal(made.state, 'running');
    for (const [on, session] of [
      [elsewhere, made.id],
      [host, 's'],
    ] as const)
      await until('the run has ended', async () => (await accepted(on.get(session))).state === 'idle', 60_000);
    assert.equal((await accepted(elsewhere.get(made.id))).digest, (await accepted(host.get('s'))).digest);
  });

  test('tells nobody under which keys operations were asked for', async (t) => {
    const host = await hostOn(t, folderFor(t));
    await accepted(host.create({ ...SPEC, name: 's' }));
    await new Promise((resolve) =>
      underRetry({ key: 'hush', print: 'p', replayed: false }, () => host.apply('s', advance).then(resolve)),
    );
    const lines = await accepted(
      host.ops('s', bodyOf(JSON.stringify(advance)), { onError: 'stop', format: 'ndjson', key: 'hush too' }),
    );
    await textOf(lines);
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const file = await fileOf(host, 's', id);
    assert.deepEqual(file.records, [advance, advance]);
    assert.ok(!JSON.stringify(file).includes('hush'));
  });

  test('that was changed is refused where it was changed, or for what it leads to; nothing is created', async (t) => {
    const host = await hostOn(t, folderFor(t), { limits: { rehearsalMs: 300 } });
    await accepted(host.create({ ...SPEC, name: 's' }));
    await accepted(host.apply('s', advance));
    await work(host, 's');
    const { id } = await accepted(host.takeSnapshot('s', {}));
    const file = await fileOf(host, 's', id);
    const records = file.records as Record<string, unknown>[];
    const state = file.state as { seal: string; data: string };
    const refused = async (change: object): Promise<(string | undefined)[]> => {
      const reply = await host.create({ fromSnapshot: { ...file, state: undefined, ...change } });
      assert.ok(!reply.ok, JSON.stringify(change));
      assert.equal(reply.problem.code, 'invalid-snapshot');
      return [reply.problem.path, reply.problem.detail];
    };
    const [digestPath] = await refused({ digest: '0'.repeat(64) });
    assert.equal(digestPath, '/fromSnapshot/digest');
    assert.equal((await refused({ records: [{ op: 'advance', ns: 12_346 }, ...records.slice(1)] }))[0], digestPath);
    assert.equal((await refused({ coreVersion: '0' }))[0], '/fromSnapshot/coreVersion');
    for (const bad of [
      {},
      null,
      { op: 'advance' },
      { op: 'advance', ns: -1 },
      { op: 'explode' },
      { op: 'advance', ns: 1, as: 'x' },
      { run: {} },
      { end: 'finished', events: 1.5, computedMs: 0 },
      { end: 'won', events: 1, computedMs: 0 },
      { mark: -1 },
      { forget: 'run_1' },
      { key: 'k', print: 'p', at: 0 },
      { reset: true },
      { mark: 1, op: undefined, more: 1 },
    ])
      assert.equal((await refused({ records: [...records, bad] }))[0], `/fromSnapshot/records/${records.length}`);
    for (const [bad, reason] of [
      [{ op: 'free', buffer: 'buf_99' }, /refused/],
      [{ end: 'finished', events: 3, computedMs: 0 }, /a run ends that never began/],
    ] as const)
      assert.match((await refused({ records: [...records, bad] }))[1]!, reason);
    // One that never ends does not go on for ever.
    const endless = [{ run: { operations: 1e15 } }, { end: 'finished', events: 1, computedMs: 0 }];
    assert.match((await refused({ records: endless }))[1]!, /more than 0.3 s/);
    // A state that is not sealed as ours are is not looked at, whatever it holds; so is a bomb.
    const bent = Buffer.from(state.data, 'base64');
    bent[bent.length >> 1]! ^= 1;
    for (const other of [
      { ...state, seal: '0'.repeat(64) },
      { ...state, data: bent.toString('base64') },
      { ...state, data: 'AAAA' },
    ])
      await accepted(host.create({ fromSnapshot: { ...file, state: other } }));
    assert.equal((await refused({ state, records: [{ op: 'explode' }] }))[0], '/fromSnapshot/records/0');
    assert.equal((await accepted(host.list({}))).items.length, 4);
  });
});

test('the state of a document is taken where its seal is ours, and nothing is done again', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder, { limits: { rehearsalMs: -1 } });
  await accepted(host.create({ ...SPEC, name: 's' }));
  await work(host, 's');
  const before = await stateOf(host, 's');
  const { id } = await accepted(host.takeSnapshot('s', {}));
  const file = await fileOf(host, 's', id);
  const { id: made } = await accepted(host.create({ fromSnapshot: file }));
  assert.deepEqual(await stateOf(host, made), before);
  assert.equal(await refusal(host.create({ fromSnapshot: { ...file, state: undefined } })), 'invalid-snapshot');
  // Another server with the same key.
  const other = folderFor(t);
  cpSync(join(folder, 'snapshot.key'), join(other, 'snapshot.key'));
  const elsewhere = await hostOn(t, other, { limits: { rehearsalMs: -1 } });
  assert.deepEqual(await stateOf(elsewhere, (await accepted(elsewhere.create({ fromSnapshot: file }))).id), before);
  assert.equal(statSync(join(folder, 'snapshot.key')).mode & 0o777, 0o600);
});

describe('a journal', () => {
  test('of format 1 is read, and has snapshots from then on', async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, { limits: { replayMs: 0 } });
    await accepted(host.create({ ...SPEC, name: 's' }));
    await work(host, 's');
    const before = await stateOf(host, 's');
    await host.close();
    const path = join(folder, 'sessions.sqlite');
    toFormat1(path);
    rmSync(join(folder, 'snapshot.key'));
    const again = await hostOn(t, folder);
    assert.deepEqual(await stateOf(again, 's'), before);
    const { id } = await accepted(again.takeSnapshot('s', {}));
    await accepted(again.create({ fromSnapshot: id, name: 'f' }));
    assert.deepEqual(await stateOf(again, 'f'), before);
    await again.close();
    const database = new JournalDatabase(path, 'commit');
    assert.equal(database.image(database.sessions()[0]!.number) !== null, true);
    database.close();
  });
});
