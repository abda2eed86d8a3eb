/** Who owns a session, and what that means for names and lists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepted, hostFor, refusal } from './hosts.ts';

test('a session keeps the owner it was made for, and belongs to `local` without one', async (context) => {
  const host = await hostFor(context);
  const own = await accepted(host.create({}, 'alice'));
  const local = await accepted(host.create({}));
  assert.deepEqual([own.owner, local.owner], ['alice', 'local']);
  assert.deepEqual([host.ownerOf(own.id), host.ownerOf('ses_none')], ['alice', null]);
  assert.deepEqual([host.countOf('alice'), host.countOf('bob')], [1, 0]);
});

test('names are unique within an owner, and lead only to sessions of that owner', async (context) => {
  const host = await hostFor(context);
  const [a, b] = [
    await accepted(host.create({ name: 'lab' }, 'alice')),
    await accepted(host.create({ name: 'lab' }, 'bob')),
  ];
  assert.equal(await refusal(host.create({ name: 'lab' }, 'bob')), 'name-taken');
  assert.equal(await refusal(host.validate({ name: 'lab' }, 'bob')), 'name-taken');
  assert.equal((await host.validate({ name: 'lab' }, 'carol')).ok, true);
  assert.deepEqual([host.resolve('lab', 'alice'), host.resolve('lab', 'bob'), host.resolve('lab')], [a.id, b.id, null]);
  assert.equal(host.resolve(a.id, 'bob'), a.id, 'an id is an id, whoever asks');
  await accepted(host.rename(a.id, { name: 'bench' }));
  await accepted(host.create({ name: 'lab' }, 'alice'));
  await accepted(host.delete(b.id));
  await accepted(host.create({ name: 'lab' }, 'bob'));
});

test('a list has what it is told to show, page by page', async (context) => {
  const host = await hostFor(context);
  for (let i = 0; i < 6; i++) await accepted(host.create({ title: String(i) }, i % 2 === 0 ? 'alice' : 'bob'));
  const titles: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = cursor === undefined ? { limit: 2 } : { limit: 2, cursor };
    const { items, nextCursor } = await accepted(host.list(page, (session) => host.ownerOf(session) === 'alice'));
    titles.push(items.map(({ title }) => title));
    cursor = nextCursor;
  } while (cursor !== undefined);
  assert.deepEqual(titles, [['0', '2'], ['4']]);
});
