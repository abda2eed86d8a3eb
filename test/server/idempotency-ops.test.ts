import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { printOfLine } from '../../src/host/result-json.ts';
import { buildApp } from '../../src/server/app.ts';
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

const OPS = '/v1/sessions/one/ops';

function ops(app: FastifyInstance, lines: object[] | string, key = 'k', url = OPS): Promise<LightMyRequestResponse> {
  const payload = typeof lines === 'string' ? lines : lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const headers = { host: 'localhost', 'content-type': 'application/x-ndjson', 'idempotency-key': key };
  return app.inject({ method: 'POST', url, headers, payload });
}

const replies = (reply: LightMyRequestResponse): Record<string, unknown>[] =>
  reply.body
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const counts = (reply: LightMyRequestResponse): unknown[] =>
  replies(reply).map(({ result }) => (result as { count?: number } | undefined)?.count ?? null);

const A = { op: 'map', n: 1, as: 'a' };
const B = { op: 'map', n: 2 };
const C = { op: 'map', use: '$a' };

test('a retry of the same lines is answered from the record, byte for byte', () =>
  withApp(async (app, host) => {
    const first = await ops(app, [A, B, { op: 'exhaust' }]);
    const retry = await ops(app, [A, B, { op: 'exhaust' }]);
    assert.equal(retry.body, first.body);
    assert.equal(host.applied, 3);
    assert.deepEqual(
      [first.headers['idempotency-replayed'], retry.headers['idempotency-replayed']],
      [undefined, 'true'],
    );
  }));

test('a retry with more lines runs only these, with the labels and line numbers of the whole', () =>
  withApp(async (app, host) => {
    await ops(app, [A, B]);
    const retry = await ops(app, [A, B, C]);
    assert.deepEqual(counts(retry), [1, 2, 3]);
    assert.deepEqual(replies(retry)[2], { line: 3, op: 'map', ok: true, result: { count: 3, used: { count: 1 } } });
    assert.equal(host.applied, 3);
    assert.deepEqual(counts(await ops(app, [A, B, C])), [1, 2, 3]);
    assert.equal(host.applied, 3);
  }));

test('a refused last line is run again, since it changed nothing', () =>
  withApp(async (app, host) => {
    const first = await ops(app, [A, { op: 'refuse' }, B]);
    assert.equal(replies(first).length, 2);
    await ops(app, [A, { op: 'refuse' }, B]);
    assert.equal(host.opsBodies.length, 2);
    assert.match(
      String(host.opsBodies[1]),
      /^\{"op":"refuse"\}\n/,
      'the host gets what is left, and A is not among it',
    );
    assert.deepEqual(counts(await ops(app, [A, B])), [1, 2], 'another line in place of the refused one is no mismatch');
  }));

test('under onError=continue a refusal between applied lines is answered again', () =>
  withApp(async (app, host) => {
    const url = `${OPS}?onError=continue`;
    const first = await ops(app, [A, { op: 'refuse' }, B], 'k', url);
    const retry = await ops(app, [A, { op: 'refuse' }, B], 'k', url);
    assert.equal(retry.body, first.body);
    assert.equal(host.applied, 2);
  }));

test('another first line is 422, a later one a refused line, and neither runs anything', () =>
  withApp(async (app, host) => {
    await ops(app, [A, B]);
    const first = await ops(app, [B, A]);
    assert.deepEqual([first.statusCode, first.json().code], [422, 'idempotency-mismatch']);
    assert.equal(first.headers['idempotency-replayed'], undefined);
    const later = await ops(app, [A, C, B]);
    assert.equal(later.statusCode, 200);
    const [replayed, refusal, ...none] = replies(later);
    assert.deepEqual(replayed, { line: 1, op: 'map', ok: true, result: { count: 1 } });
    assert.deepEqual(
      [refusal?.line, refusal?.ok, (refusal?.problem as { code: string } | undefined)?.code],
      [2, false, 'idempotency-mismatch'],
    );
    assert.deepEqual(none, []);
    assert.equal(host.applied, 2);
    const elsewhere = await ops(app, [A, B], 'k', `${OPS}?onError=continue`);
    assert.equal(elsewhere.statusCode, 422);
  }));

test('blank lines count, and a last line needs no end', () =>
  withApp(async (app, host) => {
    const text = `\n${JSON.stringify(A)}\n  \r\n${JSON.stringify(B)}`;
    const first = await ops(app, text);
    assert.deepEqual(
      replies(first).map(({ line }) => line),
      [2, 4],
    );
    const retry = await ops(app, `${text}\n\n${JSON.stringify(C)}`);
    assert.deepEqual(
      replies(retry).map(({ line, ok }) => [line, ok]),
      [
        [2, true],
        [4, true],
        [6, true],
      ],
    );
    assert.equal(host.applied, 3);
  }));

test('an array is answered as one, and its retry too', () =>
  withApp(async (app, host) => {
    const array = (operations: object[]): Promise<LightMyRequestResponse> =>
      app.inject({
        method: 'POST',
        url: OPS,
        headers: { host: 'localhost', 'content-type': 'application/json', 'idempotency-key': 'k' },
        payload: JSON.stringify(operations),
      });
    const first = await array([A, B]);
    assert.deepEqual(first.json(), [
      { line: 1, op: 'map', ok: true, result: { count: 1 } },
      { line: 2, op: 'map', ok: true, result: { count: 2 } },
    ]);
    assert.equal((await array([A, B])).body, first.body);
    assert.equal((await array([A, B, C])).json().length, 3);
    assert.equal(host.applied, 3);
    assert.deepEqual((await array([])).json(), []);
  }));

test('an array may be as long as one without a key', () =>
  withApp(async (app) => {
    const codeOf = async (payload: string) => {
      const headers = { host: 'localhost', 'content-type': 'application/json', 'idempotency-key': 'k' };
      const reply = await app.inject({ method: 'POST', url: OPS, headers, payload });
      return [reply.statusCode, (reply.json() as { code?: string }).code];
    };
    const { opsArrayBytes } = DEFAULT_LIMITS;
    assert.deepEqual(await codeOf(`[${' '.repeat(opsArrayBytes - 1)}]`), [413, 'body-too-large']);
    assert.deepEqual(await codeOf(`[${' '.repeat(opsArrayBytes - 2)}]`), [200, undefined]);
    assert.deepEqual(await codeOf(JSON.stringify(Array(10_001).fill(A))), [413, 'too-many-operations']);
  }));

test('an array with an operation that is nested deeply is refused', () =>
  withApp(async (app, host) => {
    const payload = `[{"op":"map","n":${'['.repeat(50_000)}${']'.repeat(50_000)}}]`;
    const headers = { host: 'localhost', 'content-type': 'application/json', 'idempotency-key': 'k' };
    const refused = await app.inject({ method: 'POST', url: OPS, headers, payload });
    assert.deepEqual([refused.statusCode, refused.json().code], [400, 'invalid-body']);
    assert.equal(host.applied, 0);
    const again = await app.inject({ method: 'POST', url: OPS, headers, payload: '[{"op":"map","n":1}]' });
    assert.equal(again.statusCode, 200);
  }));

test('a request that the host does not take leaves its key free', () =>
  withApp(async (app, host) => {
    const url = '/v1/sessions/later/ops';
    assert.equal((await ops(app, [A], 'k', url)).statusCode, 404);
    await host.create({ name: 'later' });
    assert.deepEqual(counts(await ops(app, [A], 'k', url)), [1]);
  }));

test('a client that goes away in the middle finds each whole line that it sent on record', () =>
  withApp(async (app, host) => {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': 'k' };
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: OPS, headers });
    request.on('error', () => {});
    const answered = new Promise<void>((resolve) =>
      request.on('response', (response) => response.once('data', () => resolve())),
    );
    request.write(`${JSON.stringify(A)}\n${JSON.stringify(B)}\n{"op":"ma`);
    await answered;
    request.destroy();
    let retry: LightMyRequestResponse;
    do {
      await new Promise((resolve) => setTimeout(resolve, 5));
      retry = await ops(app, [A, B, C]);
    } while (retry.statusCode === 409);
    assert.deepEqual(counts(retry), [1, 2, 3]);
    assert.equal(host.applied, 3);
    assert.equal(retry.headers['idempotency-replayed'], 'true');
  }));

test('a client that goes away before its array is whole is no failure of the server', async () => {
  const host = fakeHost();
  await host.create({ name: 'one' });
  const logged: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
  const config = { host: '127.0.0.1', allowedHosts: [] };
  const app = await buildApp({ config, host, lifecycle: { closing: false }, logger });
  try {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
    const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: OPS, headers });
    request.on('error', () => {});
    request.write('[{"op":"ma');
    await new Promise((resolve) => setTimeout(resolve, 50));
    request.destroy();
    // Until its key is free again: while it is not, this is another request with the same.
    let retry: LightMyRequestResponse;
    let tries = 0;
    do {
      await new Promise((resolve) => setTimeout(resolve, 5));
      retry = await ops(app, [A]);
    } while ([409, 422].includes(retry.statusCode) && ++tries < 1000);
    assert.equal(retry.statusCode, 200);
    assert.deepEqual(logged, []);
  } finally {
    await app.close();
  }
});

test('a retry of a reply that the host broke off goes on after what the host still knows', () =>
  withApp(async (app, host) => {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    const send = (last: object): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${OPS}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': 'k' },
        body: `\n${JSON.stringify(A)}\n${JSON.stringify(last)}\n`,
      });
    await assert.rejects(async () => (await send({ op: 'break' })).text());
    const reply = JSON.stringify({ line: 2, op: 'map', ok: true, result: { count: 1 } });
    host.told = { lines: [{ line: 2, print: printOfLine(JSON.stringify(A)), reply }], dropped: false };
    const retry = await send(C);
    assert.equal(retry.headers.get('idempotency-replayed'), 'true');
    const answered = (await retry.text())
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
    assert.deepEqual(answered, [
      JSON.parse(reply),
      { line: 3, op: 'map', ok: true, result: { count: 2, used: { count: 1 } } },
    ]);
    assert.equal(host.applied, 2);
  }));

test('where the host knows that it cannot tell any more, a retry is refused', () =>
  withApp(async (app, host) => {
    host.told = { lines: [], dropped: true };
    for (let i = 0; i < 2; i++) {
      const retry = await ops(app, [A]);
      assert.deepEqual([retry.statusCode, retry.json().code], [409, 'idempotency-reply-dropped']);
    }
    assert.equal(host.applied, 0);
  }));
