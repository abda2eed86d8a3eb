/** Tokens, grants, links, tickets and the audit log over HTTP. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contractOperations } from '../../src/api/contract.ts';
import { type Call, type GuardedServer, startGuarded } from './guarded-server.ts';

async function withAdmin(context: Parameters<typeof startGuarded>[0]): Promise<GuardedServer & { admin: Call }> {
  const server = await startGuarded(context);
  return { ...server, admin: server.as(server.token({ name: 'root', scope: 'admin' }).text) };
}

test('without tokens everybody is `local`, may do all with sessions, and can make no token', async (context) => {
  const server = await startGuarded(context);
  const anybody = server.as(null);
  const { body: me } = await anybody('GET', '/v1/whoami');
  assert.deepEqual([me.kind, me.principal, me.scope], ['local', 'local', 'write']);
  const { status, body } = await anybody('POST', '/v1/sessions', { name: 'lab' });
  assert.deepEqual([status, body.owner], [201, 'local']);
  const refused = await anybody('POST', '/v1/tokens', { name: 'mine', scope: 'admin' });
  assert.deepEqual([refused.status, refused.body.code], [403, 'insufficient-scope']);
  assert.match(refused.body.detail, /command line/);
  // A client that always sends its token is not turned away.
  assert.equal((await server.as('whatever')('GET', '/v1/sessions/lab')).status, 200);
});

test('from the first token on all need one, also when the last has ended', async (context) => {
  const server = await startGuarded(context);
  await server.as(null)('POST', '/v1/sessions', { name: 'before' });
  const { record, text } = server.token({ name: 'ci', expiresInSeconds: 60 });
  assert.equal((await server.as(null)('GET', '/v1/sessions')).status, 401);
  assert.deepEqual((await server.as(text)('GET', '/v1/sessions')).body.items, [], 'what was there is of `local`');
  const local = server.as(server.token({ name: 'heir', principal: 'local', expiresInSeconds: 60 }).text);
  assert.equal((await local('GET', '/v1/sessions/before')).status, 200);
  server.later(61_000);
  assert.equal((await server.as(text)('GET', '/v1/sessions')).status, 401);
  assert.equal((await server.as(null)('GET', '/v1/sessions')).status, 401);
  server.store.revokeToken(record, Date.now());
  assert.equal((await server.as(null)('GET', '/v1/sessions')).status, 401);
});

test('a path that there is not is a 404 only to who has a token, and a wrong method a 405', async (context) => {
  const server = await startGuarded(context);
  const own = server.as(server.token({ name: 'alice', scope: 'read' }).text);
  assert.equal((await server.as(null)('GET', '/v1/nothing')).status, 401);
  assert.equal((await own('GET', '/v1/nothing')).body.code, 'not-found');
  assert.equal((await own('DELETE', '/v1/whoami')).body.code, 'method-not-allowed');
  assert.equal((await server.as(null)('GET', '/metrics')).status, 401);
  assert.equal((await own('GET', '/metrics')).status, 200);
  const head = await server.app.inject({ method: 'HEAD', url: '/v1/sessions', headers: { host: 'localhost' } });
  assert.equal(head.statusCode, 401);
});

test('`required` asks for a token where there is none yet', async (context) => {
  const server = await startGuarded(context, { settings: { required: true } });
  assert.equal((await server.as(null)('GET', '/v1')).status, 401);
  assert.equal((await server.as(null)('GET', '/healthz')).status, 200);
});

test('an admin makes, lists, reads, rotates and revokes tokens, and each works from one request to the next', async (context) => {
  const { admin, as, later } = await withAdmin(context);
  const made = await admin('POST', '/v1/tokens', {
    name: 'nightly build',
    principal: 'ci',
    scope: 'write',
    expiresInSeconds: 3600,
    limits: { sessions: 2 },
  });
  assert.equal(made.status, 201);
  assert.equal(made.headers['cache-control'], 'no-store');
  assert.equal(made.headers.location, `/v1/tokens/${made.body.id}`);
  const { token, id } = made.body;
  const { body: me } = await as(token)('GET', '/v1/whoami');
  assert.deepEqual([me.principal, me.credential, me.name, me.limits.sessions], ['ci', id, 'nightly build', 2]);

  const read = await admin('GET', `/v1/tokens/${id}`);
  assert.equal(read.body.state, 'active');
  assert.notEqual(read.body.lastUsedAt, null);
  assert.equal(JSON.stringify((await admin('GET', '/v1/tokens')).body).includes(token), false);

  later(600_000);
  const next = await admin('POST', `/v1/tokens/${id}/rotate`, { overlapSeconds: 60 });
  assert.equal(next.status, 201);
  assert.deepEqual([next.body.principal, next.body.scope, next.body.replaces], ['ci', 'write', id]);
  assert.deepEqual(next.body.limits, { sessions: 2 });
  assert.equal(Date.parse(next.body.expiresAt) - Date.parse(next.body.createdAt), 3_600_000, 'as long as the old one');
  assert.equal((await as(token)('GET', '/v1')).status, 200, 'both for a while');
  assert.equal((await as(next.body.token)('GET', '/v1')).status, 200);
  later(61_000);
  assert.match((await as(token)('GET', '/v1')).body.detail, /has expired/);
  assert.equal((await as(next.body.token)('GET', '/v1')).status, 200);

  assert.equal((await admin('DELETE', `/v1/tokens/${next.body.id}`)).status, 200);
  const after = await as(next.body.token)('GET', '/v1');
  assert.deepEqual([after.status, after.body.detail], [401, 'The token was revoked.']);
  assert.equal((await admin('DELETE', `/v1/tokens/${next.body.id}`)).status, 200, 'once more is no error');
  assert.equal((await admin('POST', `/v1/tokens/${next.body.id}/rotate`)).body.code, 'token-ended');
  const states = (await admin('GET', '/v1/tokens')).body.items.map(({ state }: { state: string }) => state);
  assert.deepEqual(states, ['active', 'expired', 'revoked']);
  assert.equal((await admin('GET', '/v1/tokens/tok_none')).body.code, 'unknown-token');
});

test('lists of tokens come in pages', async (context) => {
  const { admin, token } = await withAdmin(context);
  for (let i = 0; i < 4; i++) token({ name: `t${i}` });
  const names: string[] = [];
  let url = '/v1/tokens?limit=2';
  for (;;) {
    const { body, headers } = await admin('GET', url);
    names.push(...body.items.map(({ name }: { name: string }) => name));
    if (body.nextCursor === undefined) break;
    assert.match(String(headers.link), /rel="next"/);
    url = `/v1/tokens?limit=2&cursor=${body.nextCursor}`;
  }
  assert.deepEqual(names.sort(), ['root', 't0', 't1', 't2', 't3']);
  assert.equal((await admin('GET', '/v1/tokens?cursor=xyz')).body.code, 'invalid-cursor');
});

test('what does not fit is refused by the name of its member, and makes nothing', async (context) => {
  const { admin } = await withAdmin(context);
  const { body: session } = await admin('POST', '/v1/sessions', { name: 'lab' });
  const wrong: [string, unknown, string][] = [
    ['/v1/tokens', { name: 'x' }, '/scope'],
    ['/v1/tokens', { scope: 'read' }, '/name'],
    ['/v1/tokens', { name: 'x', scope: 'root' }, '/scope'],
    ['/v1/tokens', { name: '\n', scope: 'read' }, '/name'],
    ['/v1/tokens', { name: 'x', scope: 'read', principal: '7up' }, '/principal'],
    ['/v1/tokens', { name: 'x', scope: 'read', expiresInSeconds: 0 }, '/expiresInSeconds'],
    ['/v1/tokens', { name: 'x', scope: 'read', expires: '30d' }, '/expires'],
    ['/v1/tokens', { name: 'x', scope: 'read', limits: { session: 1 } }, '/limits/session'],
    ['/v1/tokens', { name: 'x', scope: 'read', limits: { streams: -1 } }, '/limits/streams'],
    [`/v1/sessions/${session.id}/grants`, { principal: 'bob' }, '/scope'],
    [`/v1/sessions/${session.id}/grants`, { principal: 'bob', scope: 'admin' }, '/scope'],
    [`/v1/sessions/${session.id}/grants`, { principal: 'root', scope: 'read' }, '/principal'],
    [`/v1/sessions/${session.id}/links`, { expiresInSeconds: 1e12 }, '/expiresInSeconds'],
  ];
  for (const [url, body, path] of wrong) {
    const reply = await admin('POST', url, body);
    assert.equal(reply.status, 400, `${url} ${JSON.stringify(body)}`);
    assert.ok(
      reply.body.errors.some((error: { path: string }) => error.path === path),
      JSON.stringify(reply.body),
    );
  }
  assert.equal((await admin('GET', '/v1/tokens')).body.items.length, 1);
  assert.deepEqual((await admin('GET', `/v1/sessions/${session.id}/grants`)).body.items, []);
});

test('a grant opens a session by its id, for reading or for writing, until it is deleted', async (context) => {
  const server = await startGuarded(context);
  const [alice, bob] = [server.as(server.token({ name: 'alice' }).text), server.as(server.token({ name: 'bob' }).text)];
  const { id } = (await alice('POST', '/v1/sessions', { name: 'lab' })).body;
  const at = `/v1/sessions/${id}`;
  assert.equal((await bob('GET', at)).status, 404);
  const grant = await alice('POST', `${at}/grants`, { principal: 'bob', scope: 'read' });
  assert.deepEqual([grant.status, grant.headers.location], [201, `${at}/grants/${grant.body.id}`]);

  assert.equal((await bob('GET', at)).body.owner, 'alice');
  assert.equal((await bob('GET', '/v1/sessions')).body.items.length, 1);
  assert.equal((await bob('GET', '/v1/sessions/lab')).status, 404, 'the name is of its owner');
  assert.deepEqual((await bob('POST', `${at}/advance`, { ns: 1 })).body.code, 'not-permitted');
  assert.equal((await bob('GET', `${at}/grants`)).body.code, 'not-permitted');

  const wider = await alice('POST', `${at}/grants`, { principal: 'bob', scope: 'write' });
  assert.deepEqual([wider.status, wider.body.id, wider.body.scope], [200, grant.body.id, 'write']);
  assert.equal((await bob('POST', `${at}/advance`, { ns: 1 })).status, 200);
  assert.equal((await bob('POST', `${at}/ops`, [{ op: 'advance', ns: 1 }])).body[0].ok, true);
  for (const [method, url, body] of [
    ['DELETE', at, undefined],
    ['PATCH', at, { name: 'mine' }],
    ['POST', `${at}/grants`, { principal: 'eve', scope: 'read' }],
    ['POST', `${at}/links`, undefined],
    ['DELETE', `${at}/grants/${grant.body.id}`, undefined],
  ] as const)
    assert.equal((await bob(method, url, body)).body.code, 'not-permitted', `${method} ${url}`);

  const reader = server.as(server.token({ name: 'look', principal: 'bob', scope: 'read' }).text);
  assert.equal((await reader('POST', `${at}/advance`, { ns: 1 })).body.code, 'insufficient-scope');
  assert.equal((await reader('GET', at)).status, 200);

  const { items } = (await alice('GET', `${at}/grants`)).body;
  assert.deepEqual(items, [wider.body]);
  assert.equal((await alice('DELETE', `${at}/grants/${grant.body.id}`)).status, 200);
  assert.equal((await alice('DELETE', `${at}/grants/${grant.body.id}`)).body.code, 'unknown-grant');
  assert.equal((await bob('GET', at)).body.code, 'unknown-session');
});

test('a link reads its session and no other, changes nothing, and ends when it is deleted or expires', async (context) => {
  const server = await startGuarded(context);
  const alice = server.as(server.token({ name: 'alice' }).text);
  const { id } = (await alice('POST', '/v1/sessions', { name: 'shown' })).body;
  const other = (await alice('POST', '/v1/sessions', { name: 'hidden' })).body.id;
  const at = `/v1/sessions/${id}`;
  const made = await alice('POST', `${at}/links`, { expiresInSeconds: 60, title: 'for the review' });
  assert.deepEqual([made.status, made.headers['cache-control']], [201, 'no-store']);
  const guest = server.as(made.body.link);

  const { body: seen } = await guest('GET', at);
  assert.deepEqual([seen.id, 'owner' in seen], [id, false]);
  assert.equal((await guest('GET', '/v1/sessions/shown')).status, 200);
  assert.equal((await guest('GET', `${at}/metrics`)).status, 200);
  assert.deepEqual((await guest('GET', '/v1/whoami')).body.session, id);
  assert.equal((await guest('GET', `/v1/sessions/${other}`)).body.code, 'unknown-session');
  assert.equal((await guest('GET', '/v1/sessions/hidden')).body.code, 'unknown-session');
  assert.deepEqual(
    (await guest('GET', '/v1/sessions')).body.items.map((item: { id: string }) => item.id),
    [id],
  );
  assert.equal((await guest('POST', `${at}/advance`, { ns: 1 })).body.code, 'insufficient-scope');
  assert.equal((await guest('GET', `${at}/links`)).body.code, 'not-permitted');

  const { items } = (await alice('GET', `${at}/links`)).body;
  assert.deepEqual(
    [items.length, items[0].title, JSON.stringify(items).includes(made.body.link)],
    [1, 'for the review', false],
  );
  const second = (await alice('POST', `${at}/links`)).body;
  assert.equal(Date.parse(second.expiresAt) - Date.parse(second.createdAt), 7 * 86_400_000);
  assert.equal((await alice('DELETE', `/v1/sessions/${other}/links/${second.id}`)).body.code, 'unknown-link');
  assert.equal((await alice('DELETE', `${at}/links/${second.id}`)).status, 200);
  assert.equal((await server.as(second.link)('GET', at)).status, 401);
  server.later(61_000);
  assert.match((await guest('GET', at)).body.detail, /link has expired/);
});

test('what was shared of a session is forgotten with it', async (context) => {
  const server = await startGuarded(context);
  const alice = server.as(server.token({ name: 'alice' }).text);
  const { id } = (await alice('POST', '/v1/sessions')).body;
  await alice('POST', `/v1/sessions/${id}/grants`, { principal: 'bob', scope: 'read' });
  const { link } = (await alice('POST', `/v1/sessions/${id}/links`)).body;
  await alice('DELETE', `/v1/sessions/${id}`);
  assert.deepEqual([server.store.grantsOf(id), server.store.linksOf(id)], [[], []]);
  assert.equal((await server.as(link)('GET', '/v1')).status, 401);
});

test('a retry of what shows a secret is told that it was done, and shows no secret', async (context) => {
  const { admin } = await withAdmin(context);
  const key = { 'idempotency-key': 'once' };
  assert.equal((await admin('POST', '/v1/tokens', { name: 'x', scope: 'read' }, key)).status, 201);
  const again = await admin('POST', '/v1/tokens', { name: 'x', scope: 'read' }, key);
  assert.deepEqual([again.status, again.body.code], [409, 'idempotency-reply-dropped']);
  assert.equal((await admin('GET', '/v1/tokens')).body.items.length, 2);
});

test('an admin reads who did what, newest first and in pages; secrets are not in it', async (context) => {
  const server = await withAdmin(context);
  const { admin } = server;
  const { record, text } = server.token({ name: 'alice' });
  const { id } = (await server.as(text)('POST', '/v1/sessions', { name: 'lab' }, { 'x-request-id': 'req-1' })).body;
  await server.as(text)('GET', `/v1/sessions/${id}`);
  await server.as(text)('GET', '/v1/audit');
  await server.as('rubbish')('GET', '/v1/sessions');
  await server.as(text)('GET', '/v1/sessions/others');
  await server.as(text)('DELETE', `/v1/sessions/${text}`);
  const made = (await admin('POST', '/v1/tokens', { name: 'x', scope: 'read' })).body;
  await admin('DELETE', `/v1/tokens/${made.id}`);

  const { items } = (await admin('GET', '/v1/audit')).body;
  const short = items.map(({ principal, action, status, code }: Record<string, unknown>) => [
    principal,
    action,
    status,
    code,
  ]);
  assert.deepEqual(short, [
    ['root', 'revokeToken', 200, undefined],
    ['root', 'createToken', 201, undefined],
    ['alice', 'deleteSession', 404, 'unknown-session'],
    ['alice', 'getSession', 404, 'unknown-session'],
    [null, 'listSessions', 401, 'unauthenticated'],
    ['alice', 'getAudit', 403, 'insufficient-scope'],
    ['alice', 'createSession', 201, undefined],
  ]);
  const first = items.at(-1);
  assert.deepEqual(
    [first.credential, first.created, first.requestId, first.address],
    [record.id, `/v1/sessions/${id}`, 'req-1', '127.0.0.1'],
  );
  assert.equal(items[0].target, made.id);
  const all = JSON.stringify(items);
  for (const secret of [text, made.token]) assert.equal(all.includes(secret), false);

  const pages: unknown[] = [];
  let url = '/v1/audit?limit=4';
  for (;;) {
    const { body } = await admin('GET', url);
    pages.push(...body.items);
    if (body.nextCursor === undefined) break;
    url = `/v1/audit?limit=4&cursor=${body.nextCursor}`;
  }
  assert.deepEqual(pages, items);
  assert.equal((await admin('GET', '/v1/audit?cursor=AAAA')).body.code, 'invalid-cursor');
});

test('the operations of access that the contract has are those tried here', () => {
  const operations = contractOperations.filter(({ definition }) => (definition.tags as string[]).includes('access'));
  // The ticket is in test/access/streams.test.ts.
  assert.deepEqual(operations.map(({ operationId }) => operationId).sort(), [
    ...[
      'createGrant',
      'createLink',
      'createTicket',
      'createToken',
      'deleteGrant',
      'deleteLink',
      'getAudit',
      'getToken',
    ],
    ...['listGrants', 'listLinks', 'listTokens', 'revokeToken', 'rotateToken', 'whoAmI'],
  ]);
});
