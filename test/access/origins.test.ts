/** What a line of the log says of where it comes from, on a server that traces nothing itself. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { buildApp } from '../../src/server/app.ts';
import { fakeHost } from '../server/fake-host.ts';

type Line = Record<string, unknown>;

const lines: Line[] = [];
const logger = pino(
  { base: null },
  new Writable({
    write(bytes, _encoding, done) {
      for (const line of String(bytes).trim().split('\n')) lines.push(JSON.parse(line));
      done();
    },
  }),
);
let app: FastifyInstance;
before(async () => {
  const host = fakeHost();
  await host.create({ name: 'one' });
  app = await buildApp({
    config: { host: '127.0.0.1', allowedHosts: [] },
    host,
    lifecycle: { closing: false },
    logger,
  });
});
after(() => app.close());

async function lineOf(method: 'GET' | 'POST', url: string, headers: Record<string, string> = {}): Promise<Line> {
  lines.length = 0;
  await app.inject({
    method,
    url,
    headers: { host: 'localhost', ...headers },
    ...(method === 'POST' ? { payload: {} } : {}),
  });
  const found = lines.filter(({ msg }) => msg === 'request');
  assert.equal(found.length, 1);
  return found[0]!;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

test('a session is named by its id, whatever the request called it, and one that there is not by none', async () => {
  assert.equal((await lineOf('GET', '/v1/sessions/one')).session, 'ses_1');
  assert.equal((await lineOf('GET', '/v1/sessions/ses_1')).session, 'ses_1');
  for (const url of ['/v1/sessions/nobody', '/v1/catalog', '/nothing'])
    assert.equal('session' in (await lineOf('GET', url)), false, url);
});

test('one that the request made is named, too', async () => {
  assert.equal((await lineOf('POST', '/v1/sessions')).session, 'ses_2');
});

test('a trace is that of the client, if its traceparent is one', async () => {
  for (const header of [`00-${TRACE}-${SPAN}-00`, `00-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-01-what-comes-later`])
    assert.equal((await lineOf('GET', '/v1', { traceparent: header })).traceId, TRACE, header);
  for (const header of [
    '',
    TRACE,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
  ])
    assert.equal('traceId' in (await lineOf('GET', '/v1', { traceparent: header })), false, header);
});

test('nobody is named where nobody is asked for', async () => {
  const line = await lineOf('GET', '/v1/sessions/one', { 'x-request-id': 'mine' });
  assert.deepEqual([line.requestId, 'principal' in line], ['mine', false]);
});
