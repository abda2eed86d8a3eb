/** A scrape that is only to watch: it neither wakes a session nor keeps one awake. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accepted, FAKE, hostFor, refusal, until } from './hosts.ts';
import { folderFor } from './journal/folders.ts';

test('a session that rests stays at rest, and is woken by one that asks for it', async (t) => {
  const journal = { path: folderFor(t).concat('/sessions.sqlite'), sync: 'never' as const };
  const host = await hostFor(t, { journal, simulatorModule: FAKE, limits: { idleMs: 1 } });
  const { id } = await accepted(host.create({ name: 's', seed: 3 }));
  await until('it rests', () => host.status().awake === 0);
  assert.deepEqual(host.idsOf({ awake: true, limit: 10 }), []);
  assert.deepEqual(host.idsOf({ awake: false, limit: 10 }), [id]);
  const { meters, name, spec } = await accepted(host.scrape(id, false));
  assert.deepEqual([meters, name, spec.seed, host.status().awake], [null, 's', 3, 0]);
  const woken = await accepted(host.scrape('s', true));
  assert.equal(woken.meters!.operations, 0);
});

test('one that is scraped all the time comes to rest all the same', async (t) => {
  const journal = { path: folderFor(t).concat('/sessions.sqlite'), sync: 'never' as const };
  const host = await hostFor(t, { journal, simulatorModule: FAKE, limits: { idleMs: 300 } });
  const { id } = await accepted(host.create({}));
  let awake = 0;
  await until('it rests', async () => {
    if ((await accepted(host.scrape(id, false))).meters !== null) awake++;
    return host.status().awake === 0;
  });
  assert.ok(awake > 0);
});

test('sessions are named oldest first, by name and state, as many as are asked for', async (t) => {
  const host = await hostFor(t);
  const ids: string[] = [];
  for (const name of ['lab-1', 'lab-2', 'other']) ids.push((await accepted(host.create({ name }))).id);
  assert.deepEqual(host.idsOf({ awake: true, limit: 10 }), ids);
  assert.deepEqual(host.idsOf({ awake: true, limit: 2 }), ids.slice(0, 2));
  assert.deepEqual(host.idsOf({ awake: true, limit: 10, filter: { name: 'lab-*' } }), ids.slice(0, 2));
  assert.deepEqual(host.idsOf({ awake: true, limit: 10, filter: { state: 'running' } }), []);
  assert.deepEqual(
    host.idsOf({ awake: true, limit: 1 }, (id) => id !== ids[0]),
    [ids[1]],
  );
  assert.equal(await refusal(host.scrape('nobody', false)), 'unknown-session');
});
