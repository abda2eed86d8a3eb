import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { buildApp } from '../../src/server/app.ts';
import { IdempotencyKeys } from '../../src/server/idempotency-keys.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

async function withApp(play: (app: FastifyInstance, host: FakeHost) => Promise<void>): Promise<void> {
  const host = fakeHost();
  await host.create({ name: 'one' });
  const app = await buildApp({ config: { host: '127.0.0.1', allowedHosts: [] }, host, lifecycle: { closing: false } });
  try {
    await play(app, host);
  } finally {
    await app.close();
  }
}

function post(app: FastifyInstance, url: string, key: string, body: unknown): Promise<LightMyRequestResponse> {
  const headers = { host: 'localhost', 'content-type': 'application/json', 'idempotency-key': key };
  return app.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) });
}

test('a retry gets the first reply, word for word, and changes nothing', () =>
  withApp(async (app, host) => {
    const first = await post(app, '/v1/sessions', 'k1', { name: 'two' });
    const retry = await post(app, '/v1/sessions', 'k1', { name: 'two' });
    assert.equal(first.statusCode, 201);
    assert.equal(retry.statusCode, 201);
    assert.equal(retry.body, first.body);
    assert.equal(retry.headers.location, first.headers.location);
    assert.equal(retry.headers['content-type'], first.headers['content-type']);
    assert.deepEqual(
      [first.headers['idempotency-replayed'], retry.headers['idempotency-replayed']],
      [undefined, 'true'],
    );
    assert.equal(host.created, 2);
  }));

test('where there is nothing, whatever comes under a key is 404', () =>
  withApp(async (app) => {
    const payload = '['.repeat(100_000) + ']'.repeat(100_000);
    const headers = { host: 'localhost', 'content-type': 'application/json', 'idempotency-key': 'k1' };
    for (let i = 0; i < 2; i++) {
      const reply = await app.inject({ method: 'POST', url: '/v1/elsewhere', headers, payload });
      assert.deepEqual([reply.statusCode, reply.json().code], [404, 'not-found']);
    }
  }));

test('the same key with another body, or on another path, is 422', () =>
  withApp(async (app, host) => {
    await post(app, '/v1/sessions/one/advance', 'k1', { ns: 5 });
    for (const [url, body] of [
      ['/v1/sessions/one/advance', { ns: 6 }],
      ['/v1/sessions/two/advance', { ns: 5 }],
    ] as const) {
      const reply = await post(app, url, 'k1', body);
      assert.deepEqual([reply.statusCode, reply.json().code], [422, 'idempotency-mismatch']);
    }
    assert.equal(host.applied, 1);
  }));

test('a retry while the first request is in flight is 409, and gets the reply afterwards', () =>
  withApp(async (app, host) => {
    let open = (): void => {};
    host.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = post(app, '/v1/sessions/one/advance', 'k1', { ns: 5 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const early = await post(app, '/v1/sessions/one/advance', 'k1', { ns: 5 });
    open();
    assert.equal((await first).statusCode, 200);
    const late = await post(app, '/v1/sessions/one/advance', 'k1', { ns: 5 });
    assert.deepEqual(
      [early.statusCode, early.json().code, early.json().retryable],
      [409, 'idempotency-in-flight', true],
    );
    assert.equal(late.headers['idempotency-replayed'], 'true');
    assert.equal(host.applied, 1);
  }));

test('a refused request leaves its key free, because it changed nothing', () =>
  withApp(async (app, host) => {
    assert.equal((await post(app, '/v1/sessions/later/advance', 'k1', { ns: 5 })).statusCode, 404);
    await host.create({ name: 'later' });
    const second = await post(app, '/v1/sessions/later/advance', 'k1', { ns: 5 });
    assert.deepEqual([second.statusCode, second.headers['idempotency-replayed']], [200, undefined]);
    assert.equal((await post(app, '/v1/sessions/one/advance', 'k2', { ns: 'five' })).statusCode, 400);
    assert.equal((await post(app, '/v1/sessions/one/advance', 'k2', { ns: 5 })).statusCode, 200);
  }));

test('a key is 1 to 255 visible ASCII characters', () =>
  withApp(async (app) => {
    for (const key of ['a b', 'x'.repeat(256), 'é', '']) {
      const reply = await post(app, '/v1/sessions/one/advance', key, { ns: 5 });
      assert.equal(reply.statusCode, 400, key);
      assert.match(reply.json().code, /^invalid-(idempotency-key|header)$/);
    }
    assert.equal((await post(app, '/v1/sessions/one/advance', 'x'.repeat(255), { ns: 5 })).statusCode, 200);
  }));

function ended(keys: IdempotencyKeys, key: string, body = 'ok'): void {
  const record = keys.claim(key, 'f');
  record.inFlight = false;
  if (keys.reserve(record, body.length)) record.reply = { status: 200, headers: {}, body };
}

test('of too many keys the oldest that has ended is forgotten, and none that is in flight', () => {
  const keys = new IdempotencyKeys({ keys: 3 });
  keys.claim('flying', 'f');
  ended(keys, 'a');
  ended(keys, 'b');
  ended(keys, 'c');
  assert.throws(() => keys.claim('flying', 'f'), /has not been answered/);
  assert.equal(keys.claim('b', 'f').reply?.body, 'ok');
  assert.equal(keys.claim('a', 'f').reply, null);
});

test("keys are each principal's own: the same key, as many as anyone has, and room from its own replies first", () => {
  const keys = new IdempotencyKeys({ keys: 2, bytes: 10 });
  const reply = (subject: string, key: string, body: string): void => {
    const record = keys.claim(key, `of ${subject}`, subject);
    record.inFlight = false;
    if (keys.reserve(record, body.length)) record.reply = { status: 200, headers: {}, body };
  };
  reply('bob', 'same', 'bob');
  reply('alice', 'same', 'al');
  reply('alice', 'b', 'b');
  reply('alice', 'c', 'c');
  assert.equal(keys.claim('same', 'of bob', 'bob').reply?.body, 'bob', 'whatever alice does');
  reply('alice', 'large', 'x'.repeat(7));
  assert.equal(keys.claim('same', 'of bob', 'bob').reply?.body, 'bob');
  assert.throws(() => keys.claim('c', 'of alice', 'alice'), /was not kept/);
  assert.equal(keys.claim('same', 'of alice', 'alice').reply, null, 'her oldest was forgotten for her third');
});

test('a key is kept for its time and no longer', () => {
  let nowMs = 0;
  const keys = new IdempotencyKeys({ keptMs: 1000 }, () => nowMs);
  ended(keys, 'a');
  nowMs = 999;
  assert.equal(keys.claim('a', 'f').reply?.body, 'ok');
  nowMs = 1000;
  assert.equal(keys.claim('a', 'f').reply, null);
});

test('a reply that there was no room to keep makes a retry a refusal, never a second execution', () => {
  const keys = new IdempotencyKeys({ bytes: 10, bytesOfKey: 8 });
  ended(keys, 'large', 'x'.repeat(9));
  assert.throws(() => keys.claim('large', 'f'), /was not kept/);
  ended(keys, 'old', 'x'.repeat(6));
  ended(keys, 'new', 'x'.repeat(6));
  assert.throws(() => keys.claim('old', 'f'), /was not kept/);
  assert.equal(keys.claim('new', 'f').reply?.body, 'xxxxxx');
});
