/**
 * Two tokens: every operation of the contract tried with the other's, with none and with one that is no good. A session of another
 * does not exist: the reply is that to an id that nobody has.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type ContractOperation, contractOperations } from '../../src/api/contract.ts';
import type { GuardedServer } from './guarded-server.ts';
import { startGuarded } from './guarded-server.ts';
import { bearer, upgradeAnswer } from './upgrades.ts';

/** What a valid request of each operation sends; nothing where it is not here. */
const BODIES: Readonly<Record<string, unknown>> = {
  createSession: { name: 'quux' },
  renameSession: { title: 'renamed' },
  advanceTime: { ns: 1000 },
  createTenant: { name: 'guest', kind: 'vm', memoryBytes: 1_048_576 },
  createDomain: { name: 'spare' },
  iommuMap: { iova: '0x10000000', physicalAddress: '0x1000', lengthBytes: 4096, access: 'rw' },
  iommuUnmap: { iova: '0x10000000', lengthBytes: 4096 },
  invalidateDomain: { scope: 'domain' },
  createDevice: { name: 'nic1', kind: 'nic' },
  attachDevice: { domain: 'shared' },
  accessMemory: { iova: '0x1000', lengthBytes: 64, access: 'read' },
  mapMemory: { kind: 'single', direction: 'to-device', physicalAddress: '0x200000', lengthBytes: 4096 },
  unmapRange: { iova: '0x1000', lengthBytes: 4096, direction: 'to-device' },
  syncMapping: { for: 'cpu' },
  createBuffer: { lengthBytes: 4096 },
  createWorkload: { kind: 'nic-rx', device: 'nic0' },
  startRun: { forNs: 1_000_000 },
  takeSnapshot: { title: 'kept' },
  createGrant: { principal: 'dave', scope: 'read' },
  createLink: {},
  createToken: { name: 'mine', scope: 'read' },
  rotateToken: {},
  createExperiment: {},
  applyOperations: [{ op: 'advance', ns: 1 }],
};
const QUERIES: Readonly<Record<string, string>> = {
  getPageTable: '?domain=shared&iova=0x1000',
  getSpacePage: '?domain=shared&iova=0x1000',
};
/** Of the names in paths, in the session that is tried; `token` is no part of a session. */
const NAMES: Record<string, string> = {
  file: 'dmesg',
  tenant: 'host',
  domain: 'shared',
  device: 'nic0',
  buffer: 'skb',
  mapping: 'map_1',
  workload: 'rx',
  run: 'run_1',
  snapshot: 'snap_0000000000000000',
  grant: 'gra_0000000000000000',
  link: 'lnk_0000000000000000',
  token: 'tok_0000000000000000',
  experiment: 'exp_00000000000000000000000000',
  trace: 'trc_00000000000000000000000000',
};
const SPEC = {
  name: 'quux',
  domains: [{ name: 'shared' }],
  tenants: [{ name: 'host', kind: 'host', memoryBytes: 1_073_741_824 }],
  devices: [{ name: 'nic0', kind: 'nic', domain: 'shared' }],
  workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic0' }],
};
const UNKNOWN = 'ses_00000000000000000000000000';

const methodOf = ({ method }: ContractOperation) => method.toUpperCase() as 'GET';
const ofSession = contractOperations.filter(({ path }) => path.includes('{session}'));
const isStream = ({ operationId }: ContractOperation) => operationId === 'openStream';
const closed = contractOperations.filter(
  ({ definition }) => !(Array.isArray(definition.security) && definition.security.length === 0),
);

function urlOf({ operationId, path }: ContractOperation, session: string): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => (name === 'session' ? session : NAMES[name]!));
  return filled + (QUERIES[operationId] ?? '');
}

interface Reply {
  status: number;
  body: unknown;
  headers: unknown;
}

/** What varies by chance or by count, and the names that the client itself sent, are taken out. */
async function replyTo(
  server: GuardedServer,
  text: string | null,
  operation: ContractOperation,
  session: string,
): Promise<Reply> {
  const url = urlOf(operation, session);
  const answer = isStream(operation)
    ? await upgradeAnswer(server.port, url, text === null ? {} : bearer(text))
    : await server.as(text)(methodOf(operation), url, BODIES[operation.operationId]);
  const { date: _date, 'x-request-id': _id, ratelimit: _rate, 'content-length': _length, ...headers } = answer.headers;
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? null).replaceAll(session, '<session>'));
  return { status: answer.status, body: plain(answer.body), headers: plain(headers) };
}

const codeOf = ({ body }: Reply) => (body as { code?: string } | null)?.code;

describe('with two tokens', () => {
  let server: GuardedServer;
  let id: string;
  const tokens: Record<'alice' | 'reader' | 'bob' | 'admin' | 'expired' | 'otherLink', string> = {} as never;

  const ends: (() => unknown)[] = [];
  after(async () => {
    for (const end of ends) await end();
  });

  test('there is a session of one, with something of everything in it', async () => {
    server = await startGuarded({ after: (end) => ends.push(end) }, { settings: { limits: { requestsPerSecond: 0 } } });
    for (const [name, principal, scope] of [
      ['alice', 'alice', 'write'],
      ['reader', 'alice', 'read'],
      ['bob', 'bob', 'write'],
      ['admin', 'root', 'admin'],
    ] as const)
      tokens[name] = server.token({ name, principal, scope }).text;
    tokens.expired = server.token({ name: 'old', principal: 'alice', expiresInSeconds: 1 }).text;
    server.later(2_000);
    const alice = server.as(tokens.alice);
    const made = await alice('POST', '/v1/sessions', SPEC);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    id = made.body.id;
    assert.equal(made.body.owner, 'alice');
    const at = `/v1/sessions/${id}`;
    assert.equal((await alice('POST', `${at}/buffers`, { name: 'skb', lengthBytes: 4096 })).status, 201);
    assert.equal((await alice('POST', `${at}/runs`, { forNs: 1_000_000 })).status, 202);
    const kept = await alice('POST', `${at}/snapshots`, { title: 'kept' });
    assert.equal(kept.status, 201);
    NAMES.snapshot = kept.body.id;
    const bobs = await server.as(tokens.bob)('POST', '/v1/sessions', { name: 'own' });
    tokens.otherLink = (await server.as(tokens.bob)('POST', `/v1/sessions/${bobs.body.id}/links`)).body.link;
  });

  test('what is open to all is health, the pages and the contract, and nothing else', () => {
    const open = contractOperations.filter((operation) => !closed.includes(operation)).map(({ path }) => path);
    assert.deepEqual(open.sort(), ['/', '/docs', '/guide', '/healthz', '/openapi.yaml', '/readyz']);
  });

  for (const operation of closed) {
    test(`${operation.operationId} without a token, with a made-up one, or with one that has expired is 401`, async () => {
      const madeUp = `ilt_0000000000000000_${'A'.repeat(43)}`;
      for (const text of [null, 'nonsense', madeUp, tokens.expired]) {
        const reply = await replyTo(server, text, operation, id);
        assert.deepEqual([reply.status, codeOf(reply)], [401, 'unauthenticated'], String(text));
        assert.match(String((reply.headers as Record<string, unknown>)['www-authenticate']), /^Bearer realm=/);
        // Nor does it matter whether there is such a session.
        assert.deepEqual(await replyTo(server, text, operation, UNKNOWN), reply);
      }
    });
  }

  for (const operation of ofSession) {
    test(`${operation.operationId} on a session of another is the reply for an id that nobody has`, async () => {
      const before = await server.host.get(id);
      for (const text of [tokens.bob, tokens.otherLink]) {
        const [foreign, unknown, byName] = [
          await replyTo(server, text, operation, id),
          await replyTo(server, text, operation, UNKNOWN),
          await replyTo(server, text, operation, 'quux'),
        ];
        const mayAsk = text === tokens.bob || operation.method === 'get';
        assert.deepEqual(
          [foreign.status, codeOf(foreign)],
          mayAsk ? [404, 'unknown-session'] : [403, 'insufficient-scope'],
        );
        assert.deepEqual(foreign, unknown);
        assert.deepEqual(byName, unknown);
      }
      assert.deepEqual(await server.host.get(id), before, 'and nothing in it has moved');
    });
  }

  for (const operation of ofSession.filter(({ method }) => method !== 'get')) {
    test(`${operation.operationId} with a token of the owner that may only read is 403 and names the scope`, async () => {
      const reply = await replyTo(server, tokens.reader, operation, id);
      assert.deepEqual([reply.status, codeOf(reply)], [403, 'insufficient-scope']);
      assert.match(String((reply.headers as Record<string, unknown>)['www-authenticate']), /scope="write"/);
    });
  }

  for (const operation of ofSession.filter(
    ({ operationId }) => !['getSession', 'deleteSession'].includes(operationId),
  )) {
    test(`${operation.operationId} by an admin, who is no owner, is refused, but for no lack of the session`, async () => {
      const reply = await replyTo(server, tokens.admin, operation, id);
      assert.deepEqual([reply.status, codeOf(reply)], [403, 'not-permitted']);
    });
  }

  test('operations for admins are 403 for all others, and name the scope', async () => {
    const forAdmins = closed.filter(
      ({ definition }) => JSON.stringify(definition.security) === '[{"token":["admin"]}]',
    );
    assert.equal(forAdmins.length, 6);
    for (const operation of forAdmins) {
      for (const text of [tokens.alice, tokens.reader, tokens.otherLink]) {
        const reply = await replyTo(server, text, operation, id);
        assert.deepEqual([reply.status, codeOf(reply)], [403, 'insufficient-scope'], operation.operationId);
        assert.match(String((reply.headers as Record<string, unknown>)['www-authenticate']), /scope="admin"/);
      }
    }
  });

  test('lists and names tell of own sessions only, and an admin sees all', async () => {
    const idsOf = async (text: string) =>
      (await server.as(text)('GET', '/v1/sessions')).body.items.map((session: { id: string }) => session.id);
    const [alices, bobs, links, all] = [
      await idsOf(tokens.alice),
      await idsOf(tokens.bob),
      await idsOf(tokens.otherLink),
      await idsOf(tokens.admin),
    ];
    assert.deepEqual(alices, [id]);
    assert.equal(bobs.length, 1);
    assert.deepEqual(links, bobs);
    assert.deepEqual(all, [id, ...bobs]);
    const targetsOf = async (text: string) =>
      (await server.as(text)('GET', '/v1/prometheus/targets')).body.map(
        ({ labels }: { labels: { instance: string } }) => labels.instance,
      );
    assert.deepEqual(
      [await targetsOf(tokens.reader), await targetsOf(tokens.bob), await targetsOf(tokens.otherLink)],
      [[id], bobs, bobs],
    );
    assert.deepEqual(await targetsOf(tokens.admin), [], 'who may see a session and not look into it cannot scrape it');
    const same = await server.as(tokens.bob)('POST', '/v1/sessions', { name: 'quux' });
    assert.equal(same.status, 201, 'a name that another has is free');
    assert.notEqual(same.body.id, id);
    assert.equal((await server.as(tokens.bob)('POST', '/v1/sessions?validateOnly=true', { name: 'quux' })).status, 409);
    assert.equal((await server.as(tokens.bob)('GET', '/v1/sessions/quux')).body.id, same.body.id);
    await server.as(tokens.bob)('DELETE', '/v1/sessions/quux');
  });

  test('cursors of lists do not count the sessions of others', async () => {
    const bob = server.as(tokens.bob);
    await bob('POST', '/v1/sessions', { title: 'second' });
    const { nextCursor } = (await bob('GET', '/v1/sessions?limit=1')).body;
    assert.doesNotMatch(Buffer.from(nextCursor, 'base64url').toString('latin1'), /after|:[0-9]+$/);
    assert.equal((await bob('GET', `/v1/sessions?limit=1&cursor=${nextCursor}`)).body.items[0].title, 'second');
    const plain = Buffer.from('after:1').toString('base64url');
    assert.equal((await bob('GET', `/v1/sessions?cursor=${plain}`)).body.code, 'invalid-cursor');
  });

  test('a snapshot of another cannot be forked, in the words for one that there is not; a document is whose it is', async () => {
    const snapshot = NAMES.snapshot!;
    const fork = (text: string, from: unknown) =>
      server.as(text)('POST', '/v1/sessions', { fromSnapshot: from, name: 'forked' });
    for (const text of [tokens.bob, tokens.admin]) {
      const [foreign, unknown] = [await fork(text, snapshot), await fork(text, 'snap_0000000000000000')];
      const plain = (value: unknown, named: string) => JSON.stringify(value).replaceAll(named, '<snapshot>');
      assert.deepEqual([foreign.status, foreign.body.code], [400, 'unknown-snapshot']);
      assert.equal(plain(foreign.body, snapshot), plain(unknown.body, 'snap_0000000000000000'));
    }
    assert.equal((await fork(tokens.reader, snapshot)).status, 403);
    const own = await fork(tokens.alice, snapshot);
    assert.deepEqual([own.status, own.body.owner], [201, 'alice']);
    const file = (await server.as(tokens.reader)('GET', `/v1/sessions/${id}/snapshots/${snapshot}`)).body;
    const bobs = await fork(tokens.bob, file);
    assert.deepEqual([bobs.status, bobs.body.owner, bobs.body.digest], [201, 'bob', own.body.digest]);
    for (const [text, made] of [
      [tokens.alice, own],
      [tokens.bob, bobs],
    ] as const)
      assert.equal((await server.as(text)('DELETE', `/v1/sessions/${made.body.id}`)).status, 200);
    await server.as(tokens.alice)('POST', `/v1/sessions/${id}/grants`, { principal: 'bob', scope: 'read' });
    const granted = await fork(tokens.bob, snapshot);
    assert.deepEqual([granted.status, granted.body.owner], [201, 'bob']);
    const [grant] = (await server.as(tokens.alice)('GET', `/v1/sessions/${id}/grants`)).body.items;
    await server.as(tokens.alice)('DELETE', `/v1/sessions/${id}/grants/${grant.id}`);
    await server.as(tokens.bob)('DELETE', `/v1/sessions/${granted.body.id}`);
  });

  test('an Idempotency-Key of another is no key', async () => {
    const key = { 'idempotency-key': 'same-key' };
    const first = await server.as(tokens.alice)('POST', '/v1/sessions', { title: 'keyed' }, key);
    const other = await server.as(tokens.bob)('POST', '/v1/sessions', { title: 'keyed' }, key);
    assert.notEqual(other.body.id, first.body.id);
    assert.equal(other.headers['idempotency-replayed'], undefined);
    const again = await server.as(tokens.alice)('POST', '/v1/sessions', { title: 'keyed' }, key);
    assert.deepEqual([again.body.id, again.headers['idempotency-replayed']], [first.body.id, 'true']);
  });

  test('every request that was tried is a good one: the owner gets none of these refusals', async () => {
    const order = [
      ...ofSession.filter(({ method }) => method !== 'delete'),
      ...ofSession.filter(({ method }) => method === 'delete').reverse(),
    ];
    for (const operation of order) {
      const reply = await replyTo(server, tokens.alice, operation, id);
      assert.ok(![401, 403].includes(reply.status), `${operation.operationId} ${JSON.stringify(reply.body)}`);
      assert.notEqual(codeOf(reply), 'unknown-session', operation.operationId);
      assert.ok(
        !String(codeOf(reply)).startsWith('invalid-'),
        `${operation.operationId} ${JSON.stringify(reply.body)}`,
      );
    }
    assert.equal(server.host.resolve(id), null, 'the last one deleted it');
  });
});
