/** Experiments are their owner's: for others there are none, an admin may list and end them, and only so many are active at a time. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type ContractOperation, contractOperations } from '../../src/api/contract.ts';
import { createLaboratory } from '../../src/lab/local-laboratory.ts';
import { PuppetRunner, small } from '../lab/experiments.ts';
import { type GuardedServer, startGuarded } from './guarded-server.ts';

const UNKNOWN = `exp_${'0'.repeat(26)}`;
const ofExperiment = contractOperations.filter(({ path }) => path.includes('{experiment}'));
const one = { ...small, vary: {}, control: false, seeds: [1], name: 'mine' };

describe('with tokens', () => {
  const ends: (() => unknown)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });
  const laboratory = createLaboratory({ runner: new PuppetRunner(1) });
  ends.push(() => laboratory.close());
  let server: GuardedServer;
  const texts: Record<string, string> = {};
  let id = '';

  const as = (name: string) => server.as(texts[name] ?? null);
  const urlOf = ({ path }: ContractOperation, experiment: string) => path.replace('{experiment}', experiment);
  const methodOf = ({ method }: ContractOperation) => method.toUpperCase() as 'GET';

  test('one has an experiment', async () => {
    const settings = { limits: { experiments: 2, requestsPerSecond: 0 } };
    server = await startGuarded({ after: (end) => ends.unshift(end) }, { laboratory, settings });
    for (const [name, principal, scope] of [
      ['alice', 'alice', 'write'],
      ['reader', 'alice', 'read'],
      ['bob', 'bob', 'write'],
      ['admin', 'root', 'admin'],
    ] as const)
      texts[name] = server.token({ name, principal, scope }).text;
    const made = await as('alice')('POST', '/v1/experiments', one);
    assert.deepEqual([made.status, made.body.owner], [201, 'alice']);
    id = made.body.id;
    const session = await as('alice')('POST', '/v1/sessions', {});
    texts.link = (await as('alice')('POST', `/v1/sessions/${session.body.id}/links`)).body.link;
    assert.equal(ofExperiment.length, 4);
  });

  for (const operation of ofExperiment) {
    test(`${operation.operationId} on one of another is the reply for an id that nobody has`, async () => {
      for (const name of ['bob', 'link']) {
        if (name === 'link' && operation.method !== 'get') continue;
        const said = async (experiment: string) => {
          const { status, body } = await as(name)(methodOf(operation), urlOf(operation, experiment));
          return { status, body: JSON.parse(JSON.stringify(body).replaceAll(experiment, '<id>')) };
        };
        const foreign = await said(id);
        assert.deepEqual([foreign.status, foreign.body.code], [404, 'unknown-experiment'], name);
        assert.deepEqual(foreign, await said(UNKNOWN));
        assert.deepEqual(foreign, await said('mine'));
      }
      assert.equal(laboratory.ownerOf(id), 'alice');
    });

    test(`${operation.operationId} by its owner is not refused, but for what a token may only read`, async () => {
      const reply = await as('reader')(methodOf(operation), urlOf(operation, 'mine'));
      const expected = operation.method === 'get' ? 200 : 403;
      assert.equal(reply.status, expected, JSON.stringify(reply.body));
    });
  }

  test('nobody is let in without a token', async () => {
    for (const operation of contractOperations.filter(({ path }) => path.startsWith('/v1/experiments')))
      assert.equal((await server.as(null)(methodOf(operation), urlOf(operation, id), {})).status, 401);
  });

  test('lists and names tell of own ones only; an admin sees all, and may end them but not look inside', async () => {
    const idsOf = async (name: string) =>
      (await as(name)('GET', '/v1/experiments')).body.items.map((each: { id: string }) => each.id);
    assert.deepEqual([await idsOf('alice'), await idsOf('bob'), await idsOf('link')], [[id], [], []]);
    assert.deepEqual(await idsOf('admin'), [id]);
    const same = await as('bob')('POST', '/v1/experiments', one);
    assert.equal(same.status, 201, 'a name that another has is free');
    assert.equal((await as('bob')('GET', '/v1/experiments/mine')).body.id, same.body.id);
    for (const path of ['results', 'report']) {
      const reply = await as('admin')('GET', `/v1/experiments/${id}/${path}`);
      assert.deepEqual([reply.status, reply.body.code], [403, 'not-permitted']);
    }
    assert.equal((await as('admin')('GET', `/v1/experiments/${id}`)).status, 200);
    const removed = await as('admin')('DELETE', `/v1/experiments/${same.body.id}`);
    assert.equal(removed.body.state, 'cancelled');
  });

  test('cursors do not count those of others', async () => {
    await as('alice')('POST', '/v1/experiments', { ...one, name: 'second' });
    const { nextCursor } = (await as('alice')('GET', '/v1/experiments?limit=1')).body;
    assert.doesNotMatch(Buffer.from(nextCursor, 'base64url').toString('latin1'), /after/);
    const plain = Buffer.from('after:1').toString('base64url');
    assert.equal((await as('alice')('GET', `/v1/experiments?cursor=${plain}`)).body.code, 'invalid-cursor');
  });

  test('only so many are active at a time, and each is told how many', async () => {
    const over = await as('alice')('POST', '/v1/experiments', { ...one, name: 'third' });
    assert.deepEqual([over.status, over.body.code], [429, 'too-many-experiments']);
    assert.deepEqual(over.body.quota, { name: 'experiments', limit: 2, used: 2 });
    assert.ok(over.headers['retry-after']);
    assert.equal((await as('alice')('GET', '/v1/whoami')).body.used.experiments, 2);
    assert.equal((await as('alice')('DELETE', '/v1/experiments/second')).status, 200);
    assert.equal((await as('alice')('POST', '/v1/experiments', { ...one, name: 'third' })).status, 201);
  });

  test('what changes something, and who tried what there is not, is on record', async () => {
    const { items } = (await as('admin')('GET', '/v1/audit?limit=1000')).body;
    const has = (action: string, status: number) =>
      assert.ok(
        items.some((each: { action: string; status: number }) => each.action === action && each.status === status),
        `${action} ${status}`,
      );
    has('createExperiment', 201);
    has('createExperiment', 429);
    has('deleteExperiment', 200);
    has('deleteExperiment', 403);
    has('getExperiment', 404);
  });
});
