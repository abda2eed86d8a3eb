/** `Idempotency-Key` over HTTP across a crash: the whole server with its sessions, and another one on what it left. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { createHost } from '../../src/host/session-host.ts';
import { buildApp } from '../../src/server/app.ts';
import { crashed, folderFor } from '../host/journal/folders.ts';

async function appOn(t: TestContext, folder: string): Promise<FastifyInstance> {
  const host = await createHost({ workers: 1, journal: { path: join(folder, 's.sqlite'), sync: 'never' } });
  const app = await buildApp({ config: { host: '127.0.0.1', allowedHosts: [] }, host, lifecycle: { closing: false } });
  t.after(async () => {
    await app.close();
    await host.close();
  });
  return app;
}

function post(
  app: FastifyInstance,
  url: string,
  key: string,
  body: object[] | object,
): Promise<LightMyRequestResponse> {
  const lines = Array.isArray(body);
  const payload = lines ? body.map((line) => `${JSON.stringify(line)}\n`).join('\n') : JSON.stringify(body);
  const type = lines ? 'application/x-ndjson' : 'application/json';
  return app.inject({
    method: 'POST',
    url,
    payload,
    headers: { host: 'localhost', 'content-type': type, 'idempotency-key': key },
  });
}

const MAP = {
  op: 'map',
  device: 'nic0',
  kind: 'single',
  direction: 'from-device',
  physicalAddress: 4096,
  lengthBytes: 64,
};
const LINES = [
  { ...MAP, as: 'a' },
  { op: 'unmap', mapping: 'map_99' },
  { op: 'advance', ns: 5 },
  { ...MAP, device: 'nic9' },
];
const REST = [...LINES.slice(0, 3), { op: 'unmap', mapping: '$a' }, { op: 'advance', ns: 1 }];

test('replies after a restart are those of before, and nothing is done twice', async (t) => {
  const folder = folderFor(t);
  const app = await appOn(t, folder);
  const asks: [string, string, object][] = [
    ['/v1/sessions', 'create', { preset: 'thread-2008', name: 's' }],
    ['/v1/sessions/s/buffers', 'buffer', { lengthBytes: 4096 }],
    ['/v1/sessions/s/advance', 'advance', { ns: 10 }],
    ['/v1/sessions/s/ops?onError=continue', 'ops', LINES],
  ];
  const first = new Map<string, LightMyRequestResponse>();
  for (const [url, key, body] of asks) first.set(key, await post(app, url, key, body));
  const state = async (of: FastifyInstance) =>
    (await of.inject({ url: '/v1/sessions/s', headers: { host: 'localhost' } })).json() as Record<string, unknown>;
  const before = await state(app);
  const again = await appOn(t, crashed(t, folder));
  for (const [url, key, body] of asks) {
    const reply = await post(again, url, key, body);
    const { statusCode, headers } = first.get(key)!;
    assert.equal(reply.statusCode, statusCode, key);
    assert.equal(reply.headers['idempotency-replayed'], 'true', key);
    assert.equal(reply.headers.location, headers.location, key);
    if (key === 'create') assert.deepEqual(reply.json(), before);
    else assert.equal(reply.body, first.get(key)!.body, key);
    const other = await post(
      again,
      url,
      key,
      Array.isArray(body) ? [{ op: 'advance', ns: 77 }] : { ...body, seed: 9, ns: 77, lengthBytes: 8192 },
    );
    assert.ok(other.statusCode === 422 || other.statusCode === 400, `${key}: ${other.body}`);
  }
  assert.deepEqual(await state(again), before);
});

test('of an ops request, what was carried out is told again and the rest is run, with its labels', async (t) => {
  const folder = folderFor(t);
  const app = await appOn(t, folder);
  await post(app, '/v1/sessions', 'create', { preset: 'thread-2008', name: 's' });
  const url = '/v1/sessions/s/ops?onError=continue';
  const told = (await post(app, url, 'k', LINES)).body.split('\n').slice(0, 3);
  const again = await appOn(t, crashed(t, folder));
  const retry = await post(again, url, 'k', REST);
  const lines = retry.body.split('\n').slice(0, -1);
  assert.deepEqual(lines.slice(0, 3), told);
  assert.deepEqual(
    lines.slice(3).map((line) => [JSON.parse(line).line, JSON.parse(line).ok]),
    [
      [7, true],
      [9, true],
    ],
  );
  const twice = await post(again, url, 'k', REST);
  assert.equal(twice.body, retry.body);
});
