/** Lists narrowed by filters, beside a slow list of all that is narrowed afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { contractText } from '../../src/api/contract.ts';
import type { SessionDocument, SessionHost } from '../../src/host/host.ts';
import type { SessionFilter } from '../../src/host/session-filter.ts';
import { accepted, hostFor, runEnd } from './hosts.ts';

/** All pages of a list, with so many items each. */
async function paged(host: SessionHost, limit: number, filter: SessionFilter): Promise<SessionDocument[]> {
  const items: SessionDocument[] = [];
  let cursor: string | undefined;
  do {
    const page = await accepted(host.list({ limit, filter, ...(cursor === undefined ? {} : { cursor }) }));
    assert.ok(page.items.length <= limit);
    assert.ok(page.nextCursor === undefined || page.items.length > 0, 'no page is empty but the last');
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

type Kinds = { mode: string; allocator: { kind: string }; invalidation: { kind: string } };
const kindsOf = (document: SessionDocument): Kinds => document.spec.policy as Kinds;

test('each filter and any two of them give what a look at all gives, in order, whatever the size of the page', async (t) => {
  const host = await hostFor(t, {});
  const policies = ['rbtree', 'bitmap'].flatMap((allocator) =>
    ['strict', 'wrap'].map((invalidation) => ({
      mode: invalidation === 'wrap' ? 'bounce' : 'translate',
      allocator: { kind: allocator },
      invalidation: { kind: invalidation },
    })),
  );
  for (let i = 0; i < 24; i++) {
    const name = i % 5 === 0 ? {} : { name: `${i % 2 === 0 ? 'lab' : 'lab-nic'}${i}` };
    await accepted(host.create({ ...name, policy: policies[i % 4] }));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const all = (await accepted(host.list({ limit: 1000 }))).items;
  for (const i of [1, 2, 13]) await accepted(host.startRun(all[i]!.id, { operations: 1e12 }));
  const running = new Set([1, 2, 13].map((i) => all[i]!.id));
  const middle = all[11]!.createdAt;
  const slow: [SessionFilter, (document: SessionDocument) => boolean][] = [
    [{ name: 'lab12' }, ({ name }) => name === 'lab12'],
    [{ name: 'lab-nic*' }, ({ name }) => /^lab-nic/.test(name ?? '')],
    [{ name: 'nothing*' }, () => false],
    [{ state: 'running' }, ({ id }) => running.has(id)],
    [{ state: 'idle' }, ({ id }) => !running.has(id)],
    [{ state: 'failed' }, () => false],
    [{ mode: 'bounce' }, (document) => kindsOf(document).mode === 'bounce'],
    [{ allocator: 'bitmap' }, (document) => kindsOf(document).allocator.kind === 'bitmap'],
    [{ invalidation: 'strict' }, (document) => kindsOf(document).invalidation.kind === 'strict'],
    [{ createdAfter: middle }, ({ createdAt }) => createdAt > middle],
    [{ createdBefore: middle }, ({ createdAt }) => createdAt < middle],
  ];
  for (const [i, [one, fits]] of slow.entries())
    for (const [other, fitsToo] of slow.slice(i)) {
      // Two of one name: the second one counts.
      const filter = { ...one, ...other };
      const both = Object.keys(filter).length === 2;
      const expected = all.filter((document) => fitsToo(document) && (!both || fits(document)));
      for (const limit of one === other ? [1, 3, 1000] : [5])
        assert.deepEqual(
          (await paged(host, limit, filter)).map(({ id }) => id),
          expected.map(({ id }) => id),
          JSON.stringify([filter, limit]),
        );
    }
});

test('a page goes on where the one before ended, though sessions before it went and others came', async (t) => {
  const host = await hostFor(t, {});
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push((await accepted(host.create({ name: `s${i}` }))).id);
  await accepted(host.create({ name: 'other' }));
  const first = await accepted(host.list({ limit: 3, filter: { name: 's*' } }));
  for (const id of [ids[0]!, ids[2]!, ids[3]!]) await accepted(host.delete(id));
  await accepted(host.create({ name: 's9' }));
  const rest = await accepted(host.list({ limit: 9, filter: { name: 's*' }, cursor: first.nextCursor! }));
  assert.deepEqual(
    rest.items.map(({ name }) => name),
    ['s4', 's5', 's9'],
  );
});

test('runs are listed by their state, page by page', async (t) => {
  const host = await hostFor(t, {});
  await accepted(host.create({ name: 's' }));
  for (let i = 0; i < 5; i++) {
    const { id } = await accepted(host.startRun('s', { operations: i % 2 === 0 ? 1 : 1e12 }));
    if (i % 2 === 1) await accepted(host.deleteRun('s', id));
    else await runEnd(host, 's', id);
  }
  const first = await accepted(host.listRuns('s', { limit: 2, state: 'finished' }));
  const second = await accepted(host.listRuns('s', { limit: 2, state: 'finished', cursor: first.nextCursor! }));
  assert.deepEqual(
    [first, second].map(({ items }) => items.map(({ id }) => id)),
    [['run_1', 'run_3'], ['run_5']],
  );
  assert.equal(second.nextCursor, undefined);
  assert.deepEqual((await accepted(host.listRuns('s', { state: 'cancelled' }))).items.length, 2);
  assert.deepEqual((await accepted(host.listRuns('s', { state: 'running' }))).items, []);
});

test('the contract knows the same kinds for a filter as for a spec', () => {
  // biome-ignore lint/suspicious/noExplicitAny: a document taken apart
  const { paths, components } = parse(contractText) as any;
  const filter = (name: string): string[] =>
    paths['/v1/sessions'].get.parameters.find((parameter: { name?: string }) => parameter.name === name).schema.enum;
  const { PolicyInput, AllocatorInput, InvalidationInput } = components.schemas;
  assert.deepEqual(filter('mode'), PolicyInput.properties.mode.enum);
  assert.deepEqual(filter('allocator'), AllocatorInput.properties.kind.enum);
  // The others are words for these, and resolved.
  const words = ['DMA', 'DMA-FQ', 'identity', 'auto'];
  assert.deepEqual([...filter('invalidation'), ...words], InvalidationInput.properties.kind.enum);
});
