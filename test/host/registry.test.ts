import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionDocument } from '../../src/host/host.ts';
import { accepted, hostFor, Recorder, refusal, runEnd } from './hosts.ts';

test('a session has a sortable id, its resolved spec and a digest', async (t) => {
  const host = await hostFor(t);
  const first = await accepted(host.create({ name: 'one', title: 'First' }));
  await new Promise((resolve) => setTimeout(resolve, 2));
  const second = await accepted(host.create({}));
  assert.match(first.id, /^ses_[0-9a-z]{26}$/);
  assert.ok(first.id < second.id, `${first.id} sorts before ${second.id}`);
  assert.equal(first.state, 'idle');
  assert.equal(first.name, 'one');
  assert.equal(first.title, 'First');
  assert.equal(first.spec.seed, 1, 'defaults are filled in');
  assert.match(first.digest!, /^[0-9a-f]{64}$/);
  assert.equal('name' in second, false);
  assert.ok(Math.abs(Date.parse(first.createdAt) - Date.now()) < 60_000);
});

test('a spec that cannot be resolved or built names each place, and leaves no session behind', async (t) => {
  const host = await hostFor(t);
  for (const seed of [-1, 13]) {
    for (const reply of [await host.create({ name: 'x', seed }), await host.validate({ name: 'x', seed })]) {
      assert.ok(!reply.ok);
      assert.equal(reply.problem.code, 'invalid-spec');
      assert.equal(reply.problem.errors![0]!.path, '/seed');
    }
  }
  assert.equal(host.status().sessions, 0);
  assert.equal(host.resolve('x'), null);
  await accepted(host.create({ name: 'x' }));
});

test('validating answers the resolved spec and creates nothing', async (t) => {
  const host = await hostFor(t);
  const spec = await accepted(host.validate({ name: 'v' }));
  assert.equal(spec.seed, 1);
  assert.equal(host.status().sessions, 0);
});

test('names are unique, usable as ids, and free again after a rename or a delete', async (t) => {
  const host = await hostFor(t);
  const both = await Promise.all([host.create({ name: 'twin' }), host.create({ name: 'twin' })]);
  assert.deepEqual(
    both.map((reply) => reply.ok),
    [true, false],
    'two at once: one gets the name',
  );
  const { id } = await accepted(host.get('twin'));
  assert.equal(host.resolve('twin'), id);
  assert.equal(await refusal(host.create({ name: 'twin' })), 'name-taken');
  assert.equal(await refusal(host.validate({ name: 'twin' })), 'name-taken');
  const other = await accepted(host.create({ name: 'other' }));
  assert.equal(await refusal(host.rename('other', { name: 'twin' })), 'name-taken');
  assert.equal(await refusal(host.create({ name: `ses_${'0'.repeat(26)}` })), 'invalid-name');

  const renamed = await accepted(host.rename(other.id, { name: 'third', title: 'Third' }));
  assert.deepEqual([renamed.name, renamed.title, renamed.spec.name], ['third', 'Third', 'third']);
  assert.equal(host.resolve('other'), null);
  await accepted(host.rename('third', { name: 'third' }));
  await accepted(host.delete('third'));
  await accepted(host.create({ name: 'other' }));
  await accepted(host.create({ name: 'third' }));
});

test('lists come in pages in order of creation, and a delete in between skips nothing', async (t) => {
  const host = await hostFor(t, { workers: 2 });
  for (let i = 0; i < 7; i++) await accepted(host.create({ name: `s${i}` }));
  const names: (string | undefined)[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = await accepted(host.list(cursor === undefined ? { limit: 3 } : { limit: 3, cursor }));
    names.push(...page.items.map((item: SessionDocument) => item.name));
    cursor = page.nextCursor;
    if (++pages === 1) await accepted(host.delete('s2'));
  } while (cursor !== undefined);
  assert.deepEqual(names, ['s0', 's1', 's2', 's3', 's4', 's5', 's6']);
  assert.equal(pages, 3);
  assert.equal(await refusal(host.list({ cursor: 'nonsense' })), 'invalid-cursor');
  const exact = await accepted(host.list({ limit: 6 }));
  assert.equal(exact.nextCursor, undefined, 'a full last page has no next one');
});

test('new sessions go to the worker with the fewest, the first of equals', async (t) => {
  const host = await hostFor(t, { workers: 2 });
  const worker = async (name: string) => (await accepted(host.read(name, { read: 'metrics' }))).thread;
  for (const name of ['a', 'b', 'c']) await accepted(host.create({ name }));
  assert.notEqual(await worker('a'), await worker('b'));
  assert.equal(await worker('a'), await worker('c'));
  await accepted(host.delete('a'));
  await accepted(host.delete('c'));
  await accepted(host.create({ name: 'd' }));
  assert.notEqual(await worker('d'), await worker('b'));
});

test('there is a limit of sessions, and a deleted one makes room', async (t) => {
  const host = await hostFor(t, { limits: { sessions: 2 } });
  const three = await Promise.all([host.create({ name: 'a' }), host.create({}), host.create({})]);
  assert.deepEqual(
    three.map((reply) => (reply.ok ? 'ok' : reply.problem.code)),
    ['ok', 'ok', 'too-many-sessions'],
  );
  await accepted(host.delete('a'));
  await accepted(host.create({}));
});

test('reset gives a fresh session under a new epoch, with no runs', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  const fresh = await accepted(host.create({ name: 's' }));
  const epoch = host.epochOf('s');
  await accepted(host.apply('s', { op: 'advance', ns: 7 }));
  await accepted(host.startRun('s', { operations: 1 }));
  await runEnd(host, 's', 'run_1');
  const used = await accepted(host.get('s'));
  assert.notEqual(used.digest, fresh.digest);
  assert.deepEqual([used.operations, used.timeNs, used.timePs], [1, 8, '8000']);

  const again = await accepted(host.reset('s'));
  assert.deepEqual({ ...again, createdAt: '' }, { ...fresh, createdAt: '' });
  assert.notEqual(host.epochOf('s'), epoch);
  assert.deepEqual(recorder.epochs, [epoch, host.epochOf('s')]);
  assert.deepEqual((await accepted(host.listRuns('s', {}))).items, []);
});

test('what does not exist is said so, by every call', async (t) => {
  const host = await hostFor(t);
  const calls = [
    host.get('no'),
    host.rename('no', { title: 'x' }),
    host.delete('no'),
    host.reset('no'),
    host.apply('no', { op: 'advance', ns: 1 }),
    host.read('no', { read: 'metrics' }),
    host.startRun('no', { operations: 1 }),
    host.listRuns('no', {}),
    host.getRun('no', 'run_1'),
    host.deleteRun('no', 'run_1'),
  ];
  for (const call of calls) assert.equal(await refusal(call), 'unknown-session');
  assert.equal(host.resolve('no'), null);
  assert.equal(host.epochOf('no'), null);
  await accepted(host.create({ name: 'yes' }));
  assert.equal(await refusal(host.getRun('yes', 'run_1')), 'unknown-run');
  assert.equal(await refusal(host.deleteRun('yes', 'nonsense')), 'unknown-run');
});

test('a deleted session is gone at once, and its listeners hear of it', async (t) => {
  const host = await hostFor(t);
  const recorder = new Recorder();
  host.listen(recorder);
  const { id } = await accepted(host.create({ name: 's', fake: { eventUs: 100 } }));
  await accepted(host.startRun('s', { operations: 1e9 }));
  const deleted = host.delete('s');
  assert.equal(await refusal(host.get('s')), 'unknown-session');
  assert.deepEqual(await accepted(deleted), { id });
  assert.deepEqual(recorder.gone, [id]);
  assert.equal(host.status().activeRuns, 0);
});
