/** What is kept of tokens, and what is not. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { newCredential, parseCredential, sameHash, withoutSecrets } from '../../src/access/secrets.ts';
import { AccessStore, folderHasTokens, openAccessStore } from '../../src/access/store.ts';
import { MOST_TOKENS, makeToken, principalOf, rotateToken } from '../../src/access/tokens.ts';
import { startGuarded, temporaryFolder } from './guarded-server.ts';

test('a credential has 256 random bits, its kind in front, and an id that is no part of the secret', () => {
  for (const [kind, prefix, idPrefix] of [
    ['token', 'ilt', 'tok'],
    ['link', 'ill', 'lnk'],
    ['ticket', 'ilw', 'tkt'],
  ] as const) {
    const { id, text, hash } = newCredential(kind);
    const [, mark, name, secret] = /^(\w{3})_(\w{16})_([\w-]{43})$/.exec(text)!;
    assert.deepEqual([mark, id], [prefix, `${idPrefix}_${name}`]);
    assert.equal(Buffer.from(secret!, 'base64url').length, 32);
    assert.deepEqual(parseCredential(text), { kind, id, hash });
    assert.equal(Buffer.from(hash).toString('hex'), crypto.createHash('sha256').update(text).digest('hex'));
  }
  assert.notEqual(newCredential('token').text, newCredential('token').text);
  for (const text of ['', 'ilt_', `ilx_${'0'.repeat(16)}_${'A'.repeat(43)}`, `ilt_${'0'.repeat(16)}_${'A'.repeat(44)}`])
    assert.equal(parseCredential(text), null, text);
});

test('secrets are taken out of any text, and their ids stay', () => {
  const { text } = newCredential('token');
  const cleaned = withoutSecrets(`GET /v1?ticket=${text}&x=1 and "${text}"`);
  assert.equal(cleaned.includes(text.slice(21)), false);
  assert.equal(cleaned, `GET /v1?ticket=${text.slice(0, 20)}_[redacted]&x=1 and "${text.slice(0, 20)}_[redacted]"`);
  assert.equal(withoutSecrets('nothing in it, while until'), 'nothing in it, while until');
});

test('hashes are compared in constant time, once for each try, whether the id is known or not', async (context) => {
  const server = await startGuarded(context);
  const { text } = server.token({ name: 'alice' });
  const compared: number[] = [];
  const original = crypto.timingSafeEqual;
  context.after(() => {
    crypto.timingSafeEqual = original;
    syncBuiltinESMExports();
  });
  crypto.timingSafeEqual = (a, b) => {
    compared.push(a.byteLength, b.byteLength);
    return original(a, b);
  };
  syncBuiltinESMExports();
  const wrongSecret = `${text.slice(0, -4)}AAAA`;
  const unknownId = `ilt_${'0'.repeat(16)}_${'A'.repeat(43)}`;
  const replies: unknown[] = [];
  for (const tried of [text, wrongSecret, unknownId]) {
    const { status, body } = await server.as(tried)('GET', '/v1');
    replies.push([status, body.detail]);
    assert.deepEqual(compared.splice(0), [32, 32], tried);
  }
  assert.deepEqual(replies, [
    [200, undefined],
    [401, 'There is no such token.'],
    [401, 'There is no such token.'],
  ]);
  assert.equal(sameHash(new Uint8Array(32), new Uint8Array(31)), false);
});

test('no file of the data folder has a secret in it', async (context) => {
  const server = await startGuarded(context);
  const alice = server.token({ name: 'alice' }).text;
  const admin = server.as(server.token({ name: 'root', scope: 'admin' }).text);
  const { id } = (await server.as(alice)('POST', '/v1/sessions')).body;
  const secrets = [
    alice,
    (await server.as(alice)('POST', `/v1/sessions/${id}/links`)).body.link,
    (await server.as(alice)('POST', '/v1/ws-tickets')).body.ticket,
    (await admin('POST', '/v1/tokens', { name: 'x', scope: 'read' })).body.token,
  ];
  // Where a token has no business to be, too.
  await server.as(alice)('DELETE', `/v1/sessions/${alice}`);
  server.access.audit!.flush();
  server.store.saveUses();
  const names = readdirSync(server.folder);
  assert.ok(names.includes('access.sqlite') && names.includes('audit-1.jsonl'), String(names));
  for (const name of names) {
    const bytes = readFileSync(join(server.folder, name));
    for (const secret of secrets) {
      const random = secret.slice(21);
      assert.equal(bytes.includes(random), false, name);
      assert.equal(bytes.includes(Buffer.from(random, 'base64url')), false, name);
    }
    assert.equal(statSync(join(server.folder, name)).mode & 0o077, 0, `${name} is for its owner alone`);
  }
});

test('tokens, grants and links outlast the process, with their last use', (context) => {
  const folder = temporaryFolder(context);
  const store = openAccessStore(folder);
  const { record } = makeToken(store, { name: 'ci', scope: 'admin', limits: { runs: 3 }, expiresInSeconds: 60 }, 1000)!;
  store.putGrant({ id: 'gra_1', session: 'ses_1', principal: 'bob', scope: 'read', createdMs: 2, createdBy: 'ci' });
  const { id, hash } = newCredential('link');
  const link = { id, hash, session: 'ses_1', title: null, createdMs: 3, expiresMs: 4, createdBy: 'ci' };
  store.addLink(link);
  store.noteUse(record.id, 5000);
  store.saveUses();
  const key = store.key('cursors', () => crypto.randomBytes(16));
  store.close();
  const again = openAccessStore(folder);
  const plain = <T extends { hash: Uint8Array }>(kept: T) => ({
    ...kept,
    hash: Buffer.from(kept.hash).toString('hex'),
  });
  assert.deepEqual(plain(again.token(record.id)!), plain({ ...record, lastUsedMs: 5000 }));
  assert.equal(again.grant('ses_1', 'bob')?.scope, 'read');
  assert.deepEqual(plain(again.link(id)!), plain(link));
  assert.deepEqual(Buffer.from(again.key('cursors', () => crypto.randomBytes(16))), Buffer.from(key));
  again.close();
});

test('what another process writes is taken in, and what is only looked at is not read anew', (context) => {
  const folder = temporaryFolder(context);
  const [server, beside] = [openAccessStore(folder), openAccessStore(folder)];
  assert.equal(server.hasTokens, false);
  const { record } = makeToken(beside, { name: 'first', scope: 'read' }, 0)!;
  assert.equal(server.refresh(1_000), true);
  assert.equal(server.hasTokens, true);
  assert.equal(server.refresh(2_000), false);
  beside.revokeToken(record, 7);
  assert.equal(server.refresh(2_100), false, 'not before it is time');
  assert.equal(server.refresh(2_250), true);
  assert.equal(server.token(record.id)?.revokedMs, 7);
  // A token that was made is asked for to the end, whatever becomes of the file.
  beside.forgetTokens(1_000);
  server.refresh(3_000);
  assert.deepEqual([server.tokens(), server.hasTokens], [[], true]);
  server.close();
  beside.close();
});

test('a file that cannot be read breaks nothing open: what was known stays', async (context) => {
  const server = await startGuarded(context);
  const { text } = server.token({ name: 'alice' });
  const beside = new DatabaseSync(join(server.folder, 'access.sqlite'));
  beside.exec('DROP TABLE tokens');
  beside.close();
  server.later(1_000);
  assert.equal((await server.as(text)('GET', '/v1')).status, 200);
  assert.equal((await server.as(null)('GET', '/v1')).status, 401);
});

test('a file of a later version, or none of ours, is refused by name', (context) => {
  const folder = temporaryFolder(context);
  openAccessStore(folder).close();
  const database = new DatabaseSync(join(folder, 'access.sqlite'));
  database.exec('PRAGMA user_version = 9');
  database.close();
  assert.throws(() => openAccessStore(folder), /access\.sqlite cannot be used: it is of version 9/);
  const other = join(folder, 'other');
  mkdirSync(other);
  assert.equal(folderHasTokens(other), false);
  writeFileSync(
    join(other, 'access.sqlite'),
    'this is a text and no database, and it is longer than a header of one hundred bytes is, so that it is read',
  );
  assert.throws(() => folderHasTokens(other), /access\.sqlite cannot be used/);
  chmodSync(join(other, 'access.sqlite'), 0o600);
});

test('of too many tokens those that ended long ago are forgotten, and none that lives', () => {
  const store = new AccessStore(':memory:');
  const day = 86_400_000;
  const { record: lives } = makeToken(store, { name: 'lives', scope: 'read' }, 0)!;
  for (let i = 1; i < MOST_TOKENS; i++) makeToken(store, { name: 'short', scope: 'read', expiresInSeconds: 1 }, 0);
  assert.equal(makeToken(store, { name: 'more', scope: 'read' }, 80 * day), null);
  assert.ok(makeToken(store, { name: 'more', scope: 'read' }, 91 * day));
  assert.deepEqual(
    store.tokens().map(({ name }) => name),
    ['lives', 'more'],
  );
  assert.equal(rotateToken(store, lives, {}, 91 * day)!.record.expiresMs, null);
  store.close();
});

test('a name that cannot be a principal is made one', () => {
  assert.deepEqual(
    ['ci', 'laptop of Alice', '7', 'a/b:c'].map((name) => principalOf({ name })),
    ['ci', 'laptop-of-Alice', 't7', 'a-b-c'],
  );
});

/** From here on the file refuses what another connection says that it should, as a disk does that is full. */
function refuseTo(folder: string, ...writes: string[]): void {
  const other = new DatabaseSync(join(folder, 'access.sqlite'));
  for (const [i, write] of writes.entries())
    other.exec(`CREATE TRIGGER full${i} BEFORE ${write} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`);
  other.close();
}

test('a disk that is full is told as such, and nothing of a change is there, in the file or in memory', async (context) => {
  const server = await startGuarded(context);
  const admin = server.as(server.token({ name: 'root', scope: 'admin' }).text);
  const old = server.token({ name: 'ci' });
  const session = `/v1/sessions/${(await admin('POST', '/v1/sessions')).body.id}`;
  const grant = (await admin('POST', `${session}/grants`, { principal: 'bob', scope: 'read' })).body.id;
  const link = (await admin('POST', `${session}/links`)).body.id;
  refuseTo(
    server.folder,
    ...['INSERT ON grants', 'INSERT ON links', 'DELETE ON grants', 'DELETE ON links', 'UPDATE ON tokens'],
  );
  const seen = async (): Promise<unknown[]> => [
    (await admin('GET', '/v1/tokens')).body.items.map(({ lastUsedAt: _, ...token }: Record<string, unknown>) => token),
    (await admin('GET', `${session}/grants`)).body,
    (await admin('GET', `${session}/links`)).body,
  ];
  const before = await seen();
  for (const [method, path, body] of [
    ['POST', `${session}/grants`, { principal: 'carol', scope: 'write' }],
    ['POST', `${session}/grants`, { principal: 'bob', scope: 'write' }],
    ['DELETE', `${session}/grants/${grant}`, undefined],
    ['POST', `${session}/links`, undefined],
    ['DELETE', `${session}/links/${link}`, undefined],
    ['DELETE', `/v1/tokens/${old.record.id}`, undefined],
    // The new one could be written, but not the end of the old one.
    ['POST', `/v1/tokens/${old.record.id}/rotate`, { overlapSeconds: 60 }],
  ] as const) {
    const refused = await admin(method, path, body);
    assert.deepEqual([refused.status, refused.body.code], [503, 'storage-unavailable'], `${method} ${path}`);
    assert.deepEqual([refused.body.retryable, refused.body.token, refused.body.link], [true, undefined, undefined]);
    assert.match(refused.body.detail, /disk is full/);
  }
  assert.deepEqual(await seen(), before);
  assert.equal((await server.as(old.text)('GET', '/v1/whoami')).status, 200);
  const again = openAccessStore(server.folder);
  context.after(() => again.close());
  assert.deepEqual([again.tokenCount, again.grantsOf(session.slice(13)).length], [2, 1]);
  assert.equal(again.grant(session.slice(13), 'bob')?.scope, 'read');
});

test('where SQLite itself rolls back, as for want of pages, the reason is told and the next write finds the file as it was', (context) => {
  const folder = temporaryFolder(context);
  const store = openAccessStore(folder);
  context.after(() => store.close());
  const { database } = store as unknown as { database: DatabaseSync };
  const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number };
  const { record } = makeToken(store, { name: 'ci', scope: 'write' }, 0)!;
  database.exec(`PRAGMA max_page_count = ${pages}`);
  const long = { ...record, name: 'n'.repeat(64 * 1024) };
  assert.throws(() => store.replaceToken({ ...long, id: 'tok_2' }, record, 1000), /full.*Nothing|Nothing.*full/);
  assert.deepEqual([store.tokenCount, store.token(record.id)?.expiresMs], [1, null]);
  database.exec('PRAGMA max_page_count = 1000000');
  rotateToken(store, record, { overlapSeconds: 1 }, 0);
  assert.deepEqual([store.tokenCount, store.token(record.id)?.expiresMs], [2, 1000]);
});
