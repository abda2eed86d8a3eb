/** Experiments from their creation to their end: in turn, cached by key, cancelled, and taken up again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, test } from 'node:test';
import { createLaboratory } from '../../src/lab/local-laboratory.ts';
import { ThreadPool } from '../../src/lab/pool.ts';
import { ExperimentStore, StoreError } from '../../src/lab/store.ts';
import { created, ended, fine, PuppetRunner, settled, small } from './experiments.ts';

const folder = mkdtempSync(join(tmpdir(), 'lab-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `${++files}.sqlite`);

const one = { ...small, control: false, seeds: [1] };

test('an experiment on threads finishes, and the same again is there at once', async () => {
  const laboratory = createLaboratory({ runner: new ThreadPool({ width: 2 }) });
  const document = await created(laboratory, small);
  assert.match(document.id, /^exp_[0-9a-z]{26}$/);
  assert.ok(['queued', 'running'].includes(document.state));
  const done = await ended(laboratory, document.id);
  assert.equal(done.state, 'finished');
  assert.deepEqual(done.jobs, { total: 6, finished: 6, failed: 0, cached: 0 });
  assert.equal(done.progress, 1);
  const again = await created(laboratory, { ...small, title: 'again' });
  assert.equal(again.state, 'finished');
  assert.equal(again.jobs.cached, 6);
  const [first, second] = await Promise.all([laboratory.data(document.id), laboratory.data(again.id)]);
  assert.ok(first.ok && second.ok);
  assert.deepEqual(first.value.rows, second.value.rows);
  const active = await created(laboratory, { ...small, name: 'active', seeds: [77] });
  const page = await laboratory.list({ limit: 9 });
  assert.ok(page.ok);
  for (const [i, whole] of [done, again, active].entries()) {
    const { request: _request, arms: _arms, ...summary } = whole;
    if (whole !== active) assert.deepEqual(page.value.items[i], summary);
    else assert.deepEqual(Object.keys(page.value.items[i]!).sort(), Object.keys(summary).sort());
  }
  assert.ok(first.value.rows.every(({ outcome }) => outcome?.ok));
  await laboratory.close();
});

test('experiments take turns, job by job', async () => {
  const runner = new PuppetRunner(2);
  const laboratory = createLaboratory({ runner });
  const a = await created(laboratory, { ...small, seeds: [1, 2, 3], control: false });
  const b = await created(laboratory, { ...small, seeds: [11, 12, 13], control: false });
  assert.equal(runner.begun.length, 2, 'no more than it takes on');
  const seeds = () => runner.begun.map(({ job }) => (job.kind === 'run' ? job.spec.seed : null));
  assert.deepEqual(seeds(), [1, 2]);
  for (let i = 0; i < 4; i++) {
    runner.begun[i]!.settle(fine(String(i)));
    await settled();
  }
  // The other one has its turn between any two of the first.
  assert.deepEqual(seeds().slice(2), [3, 11, 1, 12]);
  assert.deepEqual(
    [a, b].map(({ id }) => laboratory.ownerOf(id)),
    ['local', 'local'],
  );
  await laboratory.close();
  assert.ok(runner.closed);
});

test('rows of one key wait for one job, within an experiment and between two', async () => {
  const runner = new PuppetRunner(8);
  const laboratory = createLaboratory({ runner });
  const arms = [
    { label: 'one', set: { title: 'a' } },
    { label: 'other', set: { title: 'b' } },
  ];
  const twins = { ...one, vary: {}, arms };
  const [a, b] = [await created(laboratory, twins), await created(laboratory, twins)];
  assert.equal(runner.begun.length, 1);
  runner.begun[0]!.settle(fine('x'));
  for (const { id } of [a, b]) {
    const { jobs, state } = await ended(laboratory, id);
    assert.equal(state, 'finished');
    assert.equal(jobs.finished, 2);
  }
  const data = await laboratory.data(a.id);
  assert.ok(data.ok);
  assert.deepEqual(data.value.rows[0]!.outcome, data.value.rows[1]!.outcome);
  await laboratory.close();
});

test('a cancelled experiment withdraws what nobody else waits for, and keeps what it has', async () => {
  const runner = new PuppetRunner(2);
  const laboratory = createLaboratory({ runner });
  const mine = await created(laboratory, { ...small, control: false });
  const other = await created(laboratory, one);
  runner.begun[1]!.settle(fine('second'));
  await settled();
  const reply = await laboratory.delete(mine.id);
  assert.ok(reply.ok);
  assert.equal(reply.value.state, 'cancelled');
  assert.ok(reply.value.endedAt);
  const data = await laboratory.data(mine.id);
  assert.ok(data.ok);
  const states = data.value.rows.map(({ state }) => state);
  assert.equal(states.filter((state) => state === 'finished').length, 1);
  assert.equal(states.filter((state) => state === 'cancelled').length, 3);
  // The first job is of the other experiment, too.
  assert.equal(runner.begun[0]!.signal.aborted, false);
  runner.begun[0]!.settle(fine('first'));
  await settled();
  for (const { settle } of runner.begun.slice(2)) settle(fine('later'));
  assert.equal((await ended(laboratory, other.id)).state, 'finished');
  // One that has ended is removed.
  assert.ok((await laboratory.delete(mine.id)).ok);
  const gone = await laboratory.get(mine.id);
  assert.equal(gone.ok ? '' : gone.problem.code, 'unknown-experiment');
  await laboratory.close();
});

test('it has failed only when every job has', async () => {
  const runner = new PuppetRunner(9);
  const laboratory = createLaboratory({ runner });
  const failure = { ok: false, code: 'too-much-memory', detail: 'x' } as const;
  const a = await created(laboratory, { ...small, control: false });
  for (const [i, { settle }] of runner.begun.entries()) settle(i === 0 ? fine('a') : failure);
  const partly = await ended(laboratory, a.id);
  assert.deepEqual([partly.state, partly.jobs.failed, partly.progress], ['finished', 3, 1]);
  // What failed is tried again by who asks again, what did not is there.
  const before = runner.begun.length;
  const b = await created(laboratory, { ...small, seeds: [2], control: false });
  assert.equal(runner.begun.length, before + 2);
  for (const { settle } of runner.begun.slice(before)) settle(failure);
  const wholly = await ended(laboratory, b.id);
  assert.equal(wholly.state, 'failed');
  const data = await laboratory.data(b.id);
  assert.ok(data.ok);
  assert.deepEqual(data.value.rows[0]!.outcome, failure);
  await laboratory.close();
});

test('what was under way is done after a restart, and nothing that was done is done again', async () => {
  const path = newPath();
  const first = new PuppetRunner(2);
  const laboratory = createLaboratory({ path, runner: first });
  const { id } = await created(laboratory, { ...small, name: 'mine', control: false });
  first.begun[0]!.settle(fine('before'));
  await settled();
  await laboratory.close();
  const second = new PuppetRunner(9);
  const again = createLaboratory({ path, runner: second });
  assert.equal(again.resolve('mine'), id);
  const keys = second.begun.map(({ key }) => key);
  assert.equal(keys.length, 3);
  assert.ok(!keys.includes(first.begun[0]!.key));
  for (const { settle } of second.begun) settle(fine('after'));
  assert.equal((await ended(again, id)).state, 'finished');
  const data = await again.data(id);
  assert.ok(data.ok);
  assert.deepEqual(
    data.value.rows.map(({ outcome }) => outcome?.ok && outcome.digest),
    ['before', 'after', 'after', 'after'],
  );
  await again.close();
});

test('one of another core is not mixed with what this one computes', async () => {
  const path = newPath();
  const laboratory = createLaboratory({ path, runner: new PuppetRunner(0) });
  const { id } = await created(laboratory, one);
  await laboratory.close();
  const store = new ExperimentStore(path);
  const [facts] = store.facts();
  const { document } = store.document(1);
  const rows = store.rows(1);
  store.remove(1);
  store.add(facts!, { ...document, coreVersion: '0' }, rows);
  store.close();
  const runner = new PuppetRunner(9);
  const again = createLaboratory({ path, runner });
  assert.equal(runner.begun.length, 0);
  const data = await again.data(id);
  assert.ok(data.ok);
  assert.equal(data.value.document.state, 'failed');
  assert.match(JSON.stringify(data.value.rows[0]!.outcome), /core-changed/);
  await again.close();
});

test('a runner that cannot take a job gets it again', async () => {
  const runner = new PuppetRunner(1);
  let nowMs = 1_000_000;
  const laboratory = createLaboratory({ runner, nowMs: () => nowMs });
  const { id } = await created(laboratory, { ...one, vary: {} });
  runner.begun[0]!.reject(new Error('gone'));
  await settled();
  assert.equal(runner.begun.length, 1, 'not at once');
  nowMs += 2_000;
  // Whatever happens next makes it look.
  await created(laboratory, { ...one, vary: {}, seeds: [7] });
  assert.equal(runner.begun[1]!.key, runner.begun[0]!.key);
  runner.begun[1]!.settle(fine('x'));
  assert.equal((await ended(laboratory, id)).state, 'finished');
  await laboratory.close();
});

describe('names and lists', () => {
  test('a name is one of its owner, and has not the form of an id', async () => {
    const laboratory = createLaboratory({ runner: new PuppetRunner(0) });
    const refusal = async (name: string, owner: string) => {
      const reply = await laboratory.create({ ...one, name }, owner);
      return reply.ok ? null : reply.problem.code;
    };
    assert.equal(await refusal('x', 'ann'), null);
    assert.equal(await refusal('x', 'ann'), 'name-taken');
    assert.equal(await refusal('x', 'bob'), null);
    assert.equal(await refusal(`exp_${'0'.repeat(26)}`, 'ann'), 'invalid-name');
    assert.notEqual(laboratory.resolve('x', 'ann'), laboratory.resolve('x', 'bob'));
    assert.equal(laboratory.activeOf('ann'), 1);
    await laboratory.close();
  });

  test('a list is in the order of creation, in pages, of those that may be seen', async () => {
    const laboratory = createLaboratory({ runner: new PuppetRunner(0) });
    for (const [i, owner] of ['a', 'b', 'a', 'a'].entries())
      await created(laboratory, { ...one, name: `n${i}` }, owner);
    const sees = (owner: string) => owner === 'a';
    const page = await laboratory.list({ limit: 2 }, sees);
    assert.ok(page.ok);
    assert.deepEqual(
      page.value.items.map(({ name }) => name),
      ['n0', 'n2'],
    );
    const rest = await laboratory.list({ limit: 2, cursor: page.value.nextCursor! }, sees);
    assert.ok(rest.ok);
    assert.deepEqual(
      rest.value.items.map(({ name }) => name),
      ['n3'],
    );
    assert.equal(rest.value.nextCursor, undefined);
    const none = await laboratory.list({ limit: 2, state: 'finished' });
    assert.deepEqual(none.ok && none.value.items, []);
    const bad = await laboratory.list({ limit: 2, cursor: 'nonsense' });
    assert.equal(bad.ok ? '' : bad.problem.code, 'invalid-cursor');
    await laboratory.close();
  });

  test('what is refused leaves nothing behind, and `admit` has the last word', async () => {
    const laboratory = createLaboratory({ runner: new PuppetRunner(0) });
    const bad = await laboratory.create({ ...one, vary: { 'policy.invalidation.kind': ['no'] } }, 'a');
    assert.equal(bad.ok ? '' : bad.problem.code, 'invalid-experiment');
    const reply = await laboratory.create(one, 'a', () => ({ ok: false, problem: { code: 'x', detail: '' } }));
    assert.equal(reply.ok ? '' : reply.problem.code, 'x');
    const checked = await laboratory.validate(one, 'a');
    assert.ok(checked.ok && checked.value.arms.length === 2);
    const page = await laboratory.list({ limit: 9 });
    assert.deepEqual(page.ok && page.value.items, []);
    await laboratory.close();
  });
});

describe('the store', () => {
  const outcome = (text: string) => ({ ok: true, result: { text }, digest: 'd', timeNs: 1 }) as const;
  const noise = (seed: number) => Array.from({ length: 400 }, (_, i) => (i * 7919 * (seed + 1)) % 9973).join();

  test('outcomes that no experiment on record has a row for go first, those used longest ago before others', () => {
    const store = new ExperimentStore(null, 3_000);
    for (let i = 0; store.storedBytes < 2_200; i++) store.putOutcome(`k${i}`, outcome(noise(i)), 1_000 + i);
    assert.ok(store.has('k0', 5_000));
    for (let i = 10; i < 20; i++) store.putOutcome(`k${i}`, outcome(noise(i)), 2_000 + i);
    assert.ok(store.storedBytes <= 3_000);
    assert.notEqual(store.outcome('k0'), null, 'it was asked for lately');
    assert.equal(store.outcome('k1'), null);
    store.close();
  });

  test('outcomes of experiments on record stay; more experiments are refused until there is room', async () => {
    const store = new ExperimentStore(null, 100);
    const runner = new PuppetRunner(9);
    const laboratory = createLaboratory({ store, runner });
    const { id } = await created(laboratory, one);
    for (const [i, { settle }] of runner.begun.entries())
      settle({ ok: true, result: { noise: noise(i) }, digest: 'd', timeNs: 1 });
    await ended(laboratory, id);
    const refusal = await laboratory.create({ ...one, seeds: [5] }, 'local');
    assert.equal(refusal.ok ? '' : refusal.problem.code, 'too-much-stored');
    const data = await laboratory.data(id);
    assert.ok(data.ok && data.value.rows.every(({ outcome: kept }) => kept?.ok));
    await laboratory.delete(id);
    assert.ok((await laboratory.create({ ...one, seeds: [5] }, 'local')).ok);
    await laboratory.close();
  });

  test('a file of a later release, or of something else, is refused by its name', () => {
    const path = newPath();
    new ExperimentStore(path).close();
    const raw = new DatabaseSync(path);
    raw.exec('PRAGMA user_version = 99');
    raw.close();
    assert.throws(
      () => new ExperimentStore(path),
      (error) => error instanceof StoreError && /version 99/.test(error.message),
    );
    const other = newPath();
    const foreign = new DatabaseSync(other);
    foreign.exec('CREATE TABLE t (x)');
    foreign.close();
    assert.throws(
      () => new ExperimentStore(other),
      (error) => error instanceof StoreError && error.message.includes(other),
    );
  });
});
