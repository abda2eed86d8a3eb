/** Traces are their owner's: for others there are none, an admin may list and delete them, and only so many bytes of them are kept. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type ContractOperation, contractOperations } from '../../src/api/contract.ts';
import type { TraceArchive } from '../../src/trace/archive/archive.ts';
import { ended, newFolder, openArchive } from '../trace/archive/archives.ts';
import { type GuardedServer, startGuarded } from './guarded-server.ts';

const UNKNOWN = `trc_${'0'.repeat(26)}`;
const ofTrace = contractOperations.filter(({ path }) => path.includes('{trace}'));
const LINE =
  '  nic-7  [000] ..... 1.000001: dma_map_phys: 0000:17:00.0 dir=TO_DEVICE dma_addr=fffff000 size=64 phys_addr=1000 attrs=\n';
const HEADERS: Record<string, Record<string, string>> = {
  appendTrace: { 'content-type': 'application/partial-upload', 'upload-offset': '0', 'upload-complete': '?1' },
};
const BODIES: Record<string, string> = { appendTrace: LINE };
const PLAIN = { 'content-type': 'text/plain' };

describe('with tokens', () => {
  const ends: (() => unknown)[] = [];
  const ending = { after: (end: () => unknown) => ends.unshift(end) };
  after(async () => {
    for (const end of ends) await end();
  });
  let archive: TraceArchive;
  let server: GuardedServer;
  const texts: Record<string, string> = {};
  let id = '';

  const as = (name: string) => server.as(texts[name] ?? null);
  const urlOf = ({ path }: ContractOperation, trace: string) => path.replace('{trace}', trace);
  const ask = (name: string, operation: ContractOperation, trace: string) =>
    as(name)(
      operation.method.toUpperCase() as 'GET',
      urlOf(operation, trace),
      BODIES[operation.operationId],
      HEADERS[operation.operationId],
    );

  test('one has a trace', async () => {
    archive = openArchive(ending, newFolder(ending));
    const settings = { limits: { traces: 2, requestsPerSecond: 0 } };
    server = await startGuarded(ending, { traces: archive, settings });
    for (const [name, principal, scope] of [
      ['alice', 'alice', 'write'],
      ['reader', 'alice', 'read'],
      ['bob', 'bob', 'write'],
      ['admin', 'root', 'admin'],
    ] as const)
      texts[name] = server.token({ name, principal, scope }).text;
    texts.small = server.token({ name: 'small', principal: 'carol', scope: 'write', limits: { traceBytes: 100 } }).text;
    const made = await as('alice')('POST', '/v1/traces?format=ftrace&name=mine', LINE.repeat(3), PLAIN);
    assert.deepEqual([made.status, made.body.owner], [201, 'alice']);
    id = made.body.id;
    await ended(archive, id);
    const session = await as('alice')('POST', '/v1/sessions', {});
    texts.link = (await as('alice')('POST', `/v1/sessions/${session.body.id}/links`)).body.link;
    assert.equal(ofTrace.length, 6);
  });

  for (const operation of ofTrace) {
    test(`${operation.operationId} on one of another is the reply for an id that nobody has`, async () => {
      for (const name of ['bob', 'link']) {
        if (name === 'link' && operation.method !== 'get') continue;
        const said = async (trace: string) => {
          const { status, body } = await ask(name, operation, trace);
          return { status, body: JSON.parse(JSON.stringify(body).replaceAll(trace, '<id>')) };
        };
        const foreign = await said(id);
        assert.deepEqual([foreign.status, foreign.body.code], [404, 'unknown-trace'], name);
        assert.deepEqual(foreign, await said(UNKNOWN));
        assert.deepEqual(foreign, await said('mine'));
      }
      assert.equal(archive.ownerOf(id), 'alice');
    });

    test(`${operation.operationId} by its owner is not refused, but for what a token may only read`, async () => {
      const reply = await ask('reader', operation, 'mine');
      assert.equal(reply.status, operation.method === 'get' ? 200 : 403, JSON.stringify(reply.body));
    });
  }

  test('nobody is let in without a token', async () => {
    for (const operation of contractOperations.filter(({ path }) => path.startsWith('/v1/traces')))
      assert.equal((await ask('nobody', operation, id)).status, 401);
  });

  test('lists and names tell of own ones only; an admin sees all, and may delete them but not look inside', async () => {
    const idsOf = async (name: string) =>
      (await as(name)('GET', '/v1/traces')).body.items.map((each: { id: string }) => each.id);
    assert.deepEqual([await idsOf('alice'), await idsOf('bob'), await idsOf('link')], [[id], [], []]);
    assert.deepEqual(await idsOf('admin'), [id]);
    const same = await as('bob')('POST', '/v1/traces?format=ftrace&name=mine', LINE, PLAIN);
    assert.equal(same.status, 201, 'a name that another has is free');
    assert.equal((await as('bob')('GET', '/v1/traces/mine')).body.id, same.body.id);
    const inside = await as('admin')('GET', `/v1/traces/${id}/events`);
    assert.deepEqual([inside.status, inside.body.code], [403, 'not-permitted']);
    assert.equal((await as('admin')('GET', `/v1/traces/${id}`)).status, 200);
    assert.equal((await as('admin')('DELETE', `/v1/traces/${same.body.id}`)).status, 200);
  });

  test('cursors do not count those of others', async () => {
    await as('alice')('POST', '/v1/traces?format=ftrace&name=second', LINE, PLAIN);
    const { nextCursor } = (await as('alice')('GET', '/v1/traces?limit=1')).body;
    assert.doesNotMatch(Buffer.from(nextCursor, 'base64url').toString('latin1'), /after/);
    const plain = Buffer.from('after:1').toString('base64url');
    assert.equal((await as('alice')('GET', `/v1/traces?cursor=${plain}`)).body.code, 'invalid-cursor');
  });

  test('only so many are kept, and so many bytes, and each is told how many', async () => {
    const over = await as('alice')('POST', '/v1/traces?format=ftrace', LINE, PLAIN);
    assert.deepEqual([over.status, over.body.code], [429, 'too-many-traces']);
    assert.deepEqual(over.body.quota, { name: 'traces', limit: 2, used: 2 });
    assert.ok(over.headers['retry-after']);
    const { used, limits } = (await as('alice')('GET', '/v1/whoami')).body;
    assert.equal(used.traces, 2);
    assert.ok(used.traceBytes > 0 && limits.traceBytes > used.traceBytes);
    assert.equal((await as('alice')('DELETE', '/v1/traces/second')).status, 200);
    assert.equal((await as('alice')('POST', '/v1/traces?format=ftrace', LINE, PLAIN)).status, 201);
    const large = await as('small')('POST', '/v1/traces?format=ftrace', LINE, PLAIN);
    assert.deepEqual([large.status, large.body.code], [429, 'too-much-stored']);
    assert.deepEqual(large.body.quota, { name: 'trace-bytes', limit: 100, used: 0 });
    assert.deepEqual((await as('small')('GET', '/v1/traces')).body.items, []);
  });

  test('an Idempotency-Key of another is no key', async () => {
    const key = { ...PLAIN, 'idempotency-key': 'same-key' };
    const bobs = await as('bob')('POST', '/v1/traces?format=ftrace', LINE, key);
    const admins = await as('admin')('POST', '/v1/traces?format=ftrace', LINE, key);
    assert.notEqual(bobs.body.id, admins.body.id);
    assert.equal(admins.headers['idempotency-replayed'], undefined);
  });

  test('what changes something, and who tried what there is not, is on record', async () => {
    const { items } = (await as('admin')('GET', '/v1/audit?limit=1000')).body;
    const has = (action: string, status: number) =>
      assert.ok(
        items.some((each: { action: string; status: number }) => each.action === action && each.status === status),
        `${action} ${status}`,
      );
    has('createTrace', 201);
    has('createTrace', 429);
    has('appendTrace', 403);
    has('deleteTrace', 200);
    has('deleteTrace', 403);
    has('getTrace', 404);
  });
});
