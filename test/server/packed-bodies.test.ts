import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { constants, createGzip, gzipSync } from 'node:zlib';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { UnpackedBody } from '../../routes/packed-bodies.ts';
import { PackedLines } from '../../routes/packed-lines.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { ProblemError } from '../../src/api/problem.ts';
import type { OpsOptions } from '../../src/host/host.ts';
import { buildApp } from '../../src/server/app.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';

let app: FastifyInstance;
let host: FakeHost;
let port: number;

before(async () => {
  host = fakeHost();
  await host.create({ name: 'one' });
  const config = { host: '127.0.0.1', allowedHosts: [] };
  app = await buildApp({ config, host, lifecycle: { closing: false }, limits: { bodyMs: 300 } });
  await app.listen({ host: '127.0.0.1', port: 0 });
  port = (app.server.address() as { port: number }).port;
});
after(() => app.close());

const MIB = 1_048_576;
/** Members of gzip may follow each other, so a large bomb is one small one many times. */
function bomb(mebibytes: number, content: Buffer = Buffer.alloc(16 * MIB)): Buffer {
  return Buffer.concat(new Array<Buffer>(mebibytes / 16).fill(gzipSync(content, { level: 9 })));
}

function post(
  url: string,
  payload: Buffer | Readable,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  const type = url.includes('/ops') ? 'application/x-ndjson' : 'application/json';
  return app.inject({
    method: 'POST',
    url,
    payload,
    headers: { host: 'localhost', 'content-type': type, 'content-encoding': 'gzip', ...headers },
  });
}

const codeOf = (reply: LightMyRequestResponse): [number, unknown] => [reply.statusCode, reply.json().code];
const linesOf = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

test('a JSON body in gzip is the same body, with and without a length', async () => {
  const body = gzipSync('{"name": "packed"}');
  assert.equal((await post('/v1/sessions', body)).statusCode, 201);
  assert.equal((await post('/v1/sessions', gzipSync('{}'), { 'content-encoding': 'X-GZip' })).statusCode, 201);
  assert.equal((await post('/v1/sessions', Buffer.from('{}'), { 'content-encoding': 'identity' })).statusCode, 201);
  const chunked = await fetch(`http://127.0.0.1:${port}/v1/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: Readable.toWeb(Readable.from([body.subarray(0, 9), body.subarray(9)])) as ReadableStream,
    duplex: 'half',
  } as RequestInit);
  assert.deepEqual([chunked.status, ((await chunked.json()) as { code: string }).code], [409, 'name-taken']);
});

test('a body that is no gzip, of a request that is refused before anybody reads it, harms nobody', async () => {
  const errors: unknown[] = [];
  const note = (error: unknown): void => void errors.push(error);
  process.on('uncaughtExceptionMonitor', note);
  const body = Buffer.from('neither gzip nor anything else');
  const send = (method: string, path: string, type: string) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { 'content-type': type, 'content-encoding': 'gzip' },
      body,
    });
  for (const [method, path, type, status] of [
    ['POST', '/v1/sessions/nobody/ops', 'application/x-ndjson', 404],
    ['POST', '/v1/sessions/one/ops', 'text/plain', 415],
    ['POST', '/v1/sessions', 'text/plain', 415],
    ['POST', '/v1/nothing', 'application/json', 400],
    ['DELETE', '/v1/sessions/nobody', 'application/json', 400],
    ['PUT', '/v1/sessions', 'application/json', 400],
  ] as const) {
    const reply = await send(method, path, type);
    assert.equal(reply.status, status, `${method} ${path}: ${await reply.text()}`);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('uncaughtExceptionMonitor', note);
  assert.deepEqual(errors, []);
});

test('other encodings are refused, with the one that is not', async () => {
  for (const encoding of ['br', 'deflate', 'zstd', 'gzip, gzip', 'nonsense']) {
    for (const url of ['/v1/sessions', '/v1/sessions/one/ops']) {
      const reply = await post(url, gzipSync('{}'), { 'content-encoding': encoding });
      assert.deepEqual(codeOf(reply), [415, 'unsupported-media-type'], encoding);
      assert.equal(reply.headers['accept-encoding'], 'gzip');
    }
  }
});

test('a request without a body needs no encoding', async () => {
  const headers = { host: 'localhost', 'content-encoding': 'br' };
  assert.equal((await app.inject({ url: '/v1/sessions', headers })).statusCode, 200);
});

test('what is not gzip, or ends in the middle, is a bad request', async () => {
  const good = gzipSync('{"name": "cut"}');
  const flipped = Buffer.from(good);
  flipped[flipped.length - 6]! ^= 1;
  for (const body of [Buffer.from('{"name": "cut"}'), good.subarray(0, -3), good.subarray(0, 5), flipped]) {
    const reply = await post('/v1/sessions', body);
    assert.deepEqual(codeOf(reply), [400, 'bad-request']);
    assert.match(reply.json().detail, /^The body is not gzip/);
  }
});

test('a bomb is cut at the limit, which the problem names, and its connection ends', async () => {
  const body = bomb(1_024);
  assert.ok(body.length < 2 * MIB);
  // In pieces, so that its packed length alone does not refuse it.
  const pieces = Readable.from([body.subarray(0, 50_000), body.subarray(50_000)]);
  const reply = await post('/v1/sessions', pieces, { 'transfer-encoding': 'chunked' });
  assert.deepEqual(codeOf(reply), [413, 'body-too-large']);
  assert.match(reply.json().detail, /more than 16777216 bytes when unpacked/);

  const head = `POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n`;
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`${head}content-length: ${MIB}\r\n\r\n`);
  // Most of it is not sent yet when the reply comes.
  socket.write(body.subarray(0, 50_000));
  let text = '';
  for await (const bytes of socket) text += bytes;
  assert.match(text, /^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*when unpacked/);
});

test('of a bomb no more is unpacked than the limit and a block', async () => {
  const packed = Readable.from([bomb(64)]);
  const body = new UnpackedBody(packed, MIB);
  let bytes = 0;
  await assert.rejects(async () => {
    for await (const chunk of body) bytes += chunk.length;
  }, ProblemError);
  assert.ok(bytes <= MIB, `${bytes}`);
  assert.equal(body.failure?.reason.code, 'body-too-large');
});

test('a packed body that never completes is ended as any other', async () => {
  const head =
    'POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n';
  const socket = connect(port, '127.0.0.1');
  socket.write(`${head}content-length: 99\r\n\r\n`);
  socket.write(gzipSync('{"name": "slow"}').subarray(0, 12));
  const [reply] = await once(socket, 'data');
  socket.destroy();
  assert.match(String(reply), /^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
});

test('lines of `ops` in gzip are applied as they are unpacked, and answered while others are still to come', async () => {
  const headers = { host: 'localhost', 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  const asked = request({ port, method: 'POST', path: '/v1/sessions/one/ops', headers });
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
  gzip.pipe(asked);
  gzip.write('{"op":"count"}\n');
  const [reply] = await once(asked, 'response');
  const answers = reply[Symbol.asyncIterator]();
  assert.match(String((await answers.next()).value), /^\{"line":1,/);
  gzip.end('{"op":"count"}\n{"op":"count"}');
  let rest = '';
  for (let next = await answers.next(); !next.done; next = await answers.next()) rest += next.value;
  assert.deepEqual(
    linesOf(rest).map(({ line, ok }) => [line, ok]),
    [
      [2, true],
      [3, true],
    ],
  );
});

test('a packed array of operations is one, and half of one is none', async () => {
  const array = gzipSync(JSON.stringify([{ op: 'count' }]));
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'array' };
  const whole = await post('/v1/sessions/one/ops', array, headers);
  assert.deepEqual([whole.statusCode, whole.json().length], [200, 1]);
  const { applied } = host;
  // All of the array is there; what is missing is the check sum behind it.
  const cut = await post('/v1/sessions/one/ops', array.subarray(0, -2), { ...headers, 'idempotency-key': 'other' });
  assert.deepEqual(codeOf(cut), [400, 'bad-request']);
  assert.equal(host.applied, applied);
});

const COUNT = '{"op":"count"}\n';

test('lines before the damage are applied and answered, and one more line says what happened', async () => {
  const headers = { host: 'localhost', 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  const asked = request({ port, method: 'POST', path: '/v1/sessions/one/ops', headers });
  asked.write(gzipSync(COUNT.repeat(3)));
  const [reply] = await once(asked, 'response');
  asked.end('no member of gzip');
  let text = '';
  for await (const bytes of reply) text += bytes;
  const answers = linesOf(text);
  assert.deepEqual(
    answers.map(({ line, ok }) => [line, ok]),
    [
      [1, true],
      [2, true],
      [3, true],
      [4, false],
    ],
  );
  const { op, problem } = answers[3] as { op: null; problem: { status: number; code: string } };
  assert.deepEqual([op, problem.status, problem.code], [null, 400, 'bad-request']);
});

test('where no line was answered the request itself is refused', async () => {
  const reply = await post('/v1/sessions/one/ops', Buffer.from(COUNT));
  assert.deepEqual(codeOf(reply), [400, 'bad-request']);
});

test('a retry with a key may be packed or not', async () => {
  const { applied } = host;
  const headers = { 'idempotency-key': 'packed' };
  const first = await post('/v1/sessions/one/ops', gzipSync(COUNT.repeat(2)), headers);
  const again = await post('/v1/sessions/one/ops', Buffer.from(COUNT.repeat(3)), {
    ...headers,
    'content-encoding': 'identity',
  });
  const third = await post('/v1/sessions/one/ops', gzipSync(COUNT.repeat(3)), headers);
  assert.equal(host.applied, applied + 3);
  assert.ok(again.body.startsWith(first.body));
  assert.equal(third.body, again.body);
});

const options = (more: Partial<OpsOptions> = {}): OpsOptions => ({ onError: 'stop', format: 'ndjson', ...more });

/** What a host does with a packed body of `text`, of which `limit` bytes may be unpacked. */
async function applied(text: string, limit: number, more: Partial<OpsOptions> = {}): Promise<string> {
  const lines = new PackedLines(new UnpackedBody(Readable.from([gzipSync(text)]), limit), options(more));
  const answers = await host.ops('one', lines.requests(), options(more));
  assert.ok(answers.ok);
  let reply = '';
  for await (const bytes of await lines.replies(answers.value)) reply += bytes;
  return reply;
}

test('what is too large when unpacked is cut at a whole line, and the problem names the limit', async () => {
  const seen = host.opsBodies.length;
  const text = COUNT.repeat(6_000);
  const answers = linesOf(await applied(text, 70_000));
  const body = host.opsBodies[seen] as string;
  assert.ok(body.length <= 70_000 && body.endsWith('\n') && body.length > 0);
  const lines = body.length / COUNT.length;
  const last = answers.at(-1) as { line: number; problem: { status: number; code: string; detail: string } };
  assert.deepEqual([answers.length, last.line], [lines + 1, lines + 1]);
  assert.deepEqual([last.problem.status, last.problem.code], [413, 'body-too-large']);
  assert.match(last.problem.detail, /70000 bytes/);
});

test('half a line is never applied, whatever the limit cuts', async () => {
  for (let limit = 1; limit < 3 * COUNT.length; limit++) {
    const seen = host.opsBodies.length;
    // A block is all that there is: nothing before it was answered, and the request is refused.
    await assert.rejects(applied(COUNT.repeat(3), limit), ProblemError);
    assert.equal(host.opsBodies[seen], '');
  }
});

test('after a line that was refused and is the last one, nothing is said of the rest', async () => {
  const body = new UnpackedBody(Readable.from([gzipSync(COUNT.repeat(9_000))]), 70_000);
  const replies = async (onError: OpsOptions['onError'], text: string): Promise<unknown[]> => {
    const lines = new PackedLines(body, options({ onError }));
    // As a host does that has stopped: it reads on and throws away, and the failure comes then.
    for await (const _ of lines.requests());
    let all = '';
    const answers = (async function* () {
      for (const part of text.match(/.{1,7}\n?/g) as string[]) yield Buffer.from(part);
    })();
    for await (const bytes of await lines.replies(answers)) all += bytes;
    return linesOf(all).map(({ ok }) => ok);
  };
  const refused = '{"line":1,"ok":true}\n{"line":2,"ok":false}\n';
  assert.deepEqual(await replies('stop', refused), [true, false]);
  assert.notEqual(body.failure, null);
  assert.deepEqual(await replies('continue', refused), [true, false, false]);
  assert.deepEqual(await replies('stop', '{"line":1,"ok":true}\n'), [true, false]);
});

test('a client that goes away in the middle leaves nothing behind', async () => {
  const headers = { host: 'localhost', 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  const seen = host.opsBodies.length;
  const asked = request({ port, method: 'POST', path: '/v1/sessions/one/ops', headers });
  asked.on('error', () => {});
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
  gzip.pipe(asked);
  gzip.write(COUNT);
  const [reply] = await once(asked, 'response');
  reply.on('error', () => {});
  asked.destroy();
  assert.equal(host.opsBodies[seen], COUNT);
  assert.equal((await app.inject({ url: '/healthz', headers: { host: 'localhost' } })).statusCode, 200);
});

test('`GET /v1` lists the limit', () => assert.equal(LIMITS.opsUnpackedBytes, 256 * MIB));
