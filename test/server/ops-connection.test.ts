/** A connection outlives an `ops` request that is refused before all of its body was read. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { buildApp } from '../../src/server/app.ts';

const LINE = '{"op":"advance","ns":1}';
const LINES = `${LINE}\n`.repeat(100_000);
const ARRAY = `[${`${LINE},`.repeat(500_000)}${LINE}]`;

let host: SessionHost;
let app: FastifyInstance;
before(async () => {
  host = await createHost({ workers: 1 });
  await host.create({ name: 'one' });
  app = await buildApp({ config: { host: '127.0.0.1', allowedHosts: [] }, host, lifecycle: { closing: false } });
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(async () => {
  await app.close();
  await host.close();
});

/** @returns statuses of the request and of one that follows on its connection */
function statuses(session: string, type: string, body: string, key: string): Promise<string[]> {
  const { port } = app.server.address() as { port: number };
  const head = [
    `POST /v1/sessions/${session}/ops HTTP/1.1`,
    'host: localhost',
    `content-type: ${type}`,
    `content-length: ${body.length}`,
    ...(key === '' ? [] : [`idempotency-key: ${key}`]),
  ];
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let replies = '';
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      replies += bytes;
      const found = [...replies.matchAll(/HTTP\/1\.1 ([0-9]+)/g)].map(([, status]) => status!);
      if (found.length < 2) return;
      socket.destroy();
      resolve(found);
    });
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}GET /v1 HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  });
}

for (const [what, session, type, body, expected] of [
  ['a session that is not there', 'two', 'application/x-ndjson', LINES, '404'],
  ['an array that is too large', 'one', 'application/json', ARRAY, '413'],
  ['a first line that fails', 'one', 'application/x-ndjson', `{"op":"none"}\n${LINES}`, '200'],
  ['a type that is none of ops', 'one', 'text/plain', LINES, '415'],
] as const)
  for (const key of ['', what.replaceAll(' ', '-')])
    test(`${what}, ${key === '' ? 'without' : 'with'} a key`, { timeout: 20_000 }, async () => {
      assert.deepEqual(await statuses(session, type, body, key), [expected, '200']);
    });
