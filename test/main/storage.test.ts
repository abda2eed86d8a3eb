/** Data that cannot be read or written: a clear word, nothing lost, nothing half done. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withServers } from './server-process.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

async function ask(
  address: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const reply = await fetch(address + path, {
    method,
    ...(body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) }),
  });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

test('a full disk: changes are refused and say why, reads go on, what was acknowledged is there once there is room', () =>
  withServers(async (start, folder) => {
    const flags = ['--port', '0', '--data', join(folder, 'data'), '--log-level', 'error'];
    // No file may grow beyond 3 MiB; that the process is told so by a signal, too, is of no use here.
    const server = start(flags, {}, "trap '' XFSZ; ulimit -f 3072;");
    const address = await server.address();
    for (const name of ['s', 't']) assert.equal((await ask(address, 'POST', '/v1/sessions', { name })).status, 201);
    const long = Array.from({ length: 400 }, (_, i) => ({ physicalAddress: 4096 * (i + 1), lengthBytes: 4096 }));
    await ask(address, 'POST', '/v1/sessions/s/devices', { name: 'nic0', kind: 'nic' });
    const before = (await ask(address, 'GET', '/v1/sessions/t')).body;
    let acknowledged = 1;
    let refused: Awaited<ReturnType<typeof ask>> | null = null;
    while (refused === null) {
      const reply = await ask(address, 'POST', '/v1/sessions/s/devices/nic0/mappings', {
        kind: 'sg',
        direction: 'to-device',
        segments: long,
      });
      if (reply.status === 201) acknowledged++;
      else refused = reply;
      assert.ok(acknowledged < 2000, 'the disk is never full');
    }
    assert.equal(refused.status, 503);
    assert.equal(refused.body.retryable, true);
    // The worker is had anew, and its sessions from the journal.
    let reply = await ask(address, 'POST', '/v1/sessions/t/advance', { ns: 1 });
    assert.equal(reply.status, 503);
    assert.equal(reply.body.code, 'storage-unavailable');
    assert.match(String(reply.body.detail), /full|write|I\/O/i);
    reply = await ask(address, 'GET', '/v1/sessions/s');
    assert.equal(reply.body.operations, acknowledged, 'reads go on, and the refused one did not happen');
    assert.deepEqual((await ask(address, 'GET', '/v1/sessions/t')).body, before);
    const ready = await fetch(`${address}/readyz`);
    assert.deepEqual([ready.status, ((await ready.json()) as { status: string }).status], [503, 'storage-unavailable']);
    server.child.kill('SIGKILL');
    await server.ended();

    const again = start(flags);
    const place = await again.address();
    assert.equal((await ask(place, 'GET', '/v1/sessions/s')).body.operations, acknowledged);
    assert.equal((await ask(place, 'POST', '/v1/sessions/t/advance', { ns: 1 })).status, 200);
  }));

test('a journal of something else, or one that is damaged, is refused with its file and a way out', () =>
  withServers(async (start, folder) => {
    const path = join(folder, 'sessions.sqlite');
    writeFileSync(path, 'SQLite format 3\0'.padEnd(8192, 'x'));
    const server = start(['--port', '0', '--data', folder]);
    assert.equal(await server.ended(), 1);
    assert.match(server.stderr, /sessions\.sqlite .*Restore the folder from a copy, or start with --data/);
    assert.doesNotMatch(server.stderr, /at .*\.ts:/, 'no stack trace');
    assert.match(readFileSync(path, 'latin1'), /^SQLite format 3/, 'nothing was done to it');
  }));
