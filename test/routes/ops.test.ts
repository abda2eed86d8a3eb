/** The plumbing of `ops`: bytes go through as they come, whichever type they have, and a broken reply is a broken connection. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, it } from 'node:test';
import { startRoutes } from './server.ts';

let routes: Awaited<ReturnType<typeof startRoutes>>;
let port: number;

before(async () => {
  routes = await startRoutes();
  await routes.app.listen({ host: '127.0.0.1', port: 0 });
  port = (routes.app.server.address() as AddressInfo).port;
});
after(() => routes.app.close());
beforeEach(() => routes.host.forget());

const OPS = '/v1/sessions/lab/ops';
const LINES = '{"op":"advance","ns":1}\n{"op":"advance","ns":2}\n';

function send(type: string, payload: string, query = '') {
  return routes.inject({ method: 'POST', url: OPS + query, payload, headers: { 'content-type': type } });
}

for (const type of ['application/x-ndjson', 'application/jsonl', 'application/x-ndjson; charset=utf-8']) {
  it(`${type} is answered line by line in the same type`, async () => {
    const reply = await send(type, LINES);
    assert.equal(reply.statusCode, 200);
    assert.equal(reply.headers['content-type'], type.split(';')[0]);
    const lines = reply.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ line, result }) => [line, result.ns]),
      [
        [1, 1],
        [2, 2],
      ],
    );
    assert.equal(routes.host.opsOptions?.format, 'ndjson');
  });
}

it('application/json is an array both ways', async () => {
  const reply = await send('application/json', '[{"op":"advance","ns":1}]');
  assert.equal(reply.statusCode, 200);
  assert.deepEqual(reply.json(), [{ line: 1, op: 'advance', ok: true, result: { op: 'advance', ns: 1 } }]);
  assert.equal(routes.host.opsOptions?.format, 'array');
});

it('stops at the first error unless asked to continue', async () => {
  await send('application/jsonl', LINES);
  assert.equal(routes.host.opsOptions?.onError, 'stop');
  await send('application/jsonl', LINES, '?onError=continue');
  assert.equal(routes.host.opsOptions?.onError, 'continue');
});

it('other types, and none, are 415', async () => {
  assert.equal((await send('text/plain', LINES)).statusCode, 415);
  assert.equal((await routes.inject({ method: 'POST', url: OPS })).json().code, 'unsupported-media-type');
});

it('a session that is not there is 404 before anything is read', async () => {
  const reply = await routes.inject({
    method: 'POST',
    url: '/v1/sessions/ses_9/ops',
    payload: LINES,
    headers: { 'content-type': 'application/jsonl' },
  });
  assert.deepEqual([reply.statusCode, reply.json().code], [404, 'unknown-session']);
});

it('a body larger than the limit of JSON bodies goes through', async () => {
  const count = 5000;
  const reply = await send('application/jsonl', '{"op":"advance","ns":1}\n'.repeat(count));
  assert.equal(reply.body.trimEnd().split('\n').length, count);
});

it('answers a line while the next has not been sent yet', async () => {
  const request = httpRequest({ port, path: OPS, method: 'POST', headers: { 'content-type': 'application/x-ndjson' } });
  const replied = new Promise<string>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      response.on('data', (first: Buffer) => {
        resolve(first.toString());
        response.resume();
      });
    });
  });
  request.write('{"op":"advance","ns":1}\n');
  assert.equal(JSON.parse(await replied).line, 1);
  request.end();
});

it('a reply cut short is an aborted connection', async () => {
  routes.host.cutShort = true;
  const response = await fetch(`http://127.0.0.1:${port}${OPS}`, {
    method: 'POST',
    body: LINES,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  assert.equal(response.status, 200);
  await assert.rejects(response.text(), TypeError);
});

it('tells the host when the client goes away', async () => {
  const request = httpRequest({ port, path: OPS, method: 'POST', headers: { 'content-type': 'application/x-ndjson' } });
  request.on('error', () => {});
  const answered = new Promise((resolve) =>
    request.on('response', (response) => response.on('error', () => {}).once('data', resolve)),
  );
  request.write('{"op":"advance","ns":1}\n');
  await answered;
  const signal = routes.host.opsOptions?.signal as AbortSignal;
  assert.equal(signal.aborted, false);
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  request.destroy();
  await aborted;
});
