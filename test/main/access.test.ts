/** The server as a process: tokens by the command line, a bind that others can reach, and logs without secrets. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { withServers } from './server-process.ts';

const MINIMAL = ['--workers', '1', '--port', '0'];

test('the first token by the command line lets a server be reached by others, and is good after a restart', () =>
  withServers(async (start, folder) => {
    const data = ['--data', join(folder, 'data')];
    const refused = start(['--host', '0.0.0.0', ...data, ...MINIMAL]);
    assert.equal(await refused.ended(), 1);
    assert.match(refused.stderr, /other machines.*make a token first \(token create .*--insecure/);

    const made = start(['token', 'create', '--name', 'ci', '--expires', '30d', ...data]);
    assert.equal(await made.ended(), 0);
    const text = made.stdout.trim();
    assert.match(text, /^ilt_/);

    for (const round of [1, 2]) {
      const server = start(['--host', '0.0.0.0', ...data, ...MINIMAL]);
      const address = await server.address();
      assert.match(server.stdout, /Requests need a token/);
      const ask = (headers: Record<string, string>, path = '/v1/sessions') => fetch(address + path, { headers });
      assert.equal((await ask({})).status, 401, `round ${round}`);
      assert.equal((await ask({ authorization: `Bearer ${text}` })).status, 200);
      assert.equal((await ask({}, '/readyz')).status, 200);
      server.child.kill('SIGTERM');
      assert.equal(await server.ended(), 0);
    }
    const listed = start(['token', 'list', '--json', ...data]);
    await listed.ended();
    assert.notEqual(JSON.parse(listed.stdout)[0].lastUsedAt, null, 'its last use outlasts the server');
  }));

test('no secret gets into the log, wherever a client puts it', () =>
  withServers(async (start, folder) => {
    const data = ['--data', folder];
    const made = start(['token', 'create', '--name', 'ci', '--scope', 'admin', ...data]);
    await made.ended();
    const text = made.stdout.trim();
    const server = start([...data, ...MINIMAL, '--log-level', 'trace']);
    const address = await server.address();
    const headers = { authorization: `Bearer ${text}` };
    await fetch(`${address}/v1/sessions/${text}?token=${text}`, { headers });
    await fetch(`${address}/v1/sessions`, { headers: { authorization: text } });
    const post = async (path: string) =>
      (await (await fetch(address + path, { method: 'POST', headers })).json()) as Record<string, string>;
    const { id } = await post('/v1/sessions');
    const { ticket = '' } = await post('/v1/ws-tickets');
    const socket = new WebSocket(`${address.replace('http', 'ws')}/v1/sessions/${id}/stream?ticket=${ticket}`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.terminate();
    server.child.kill('SIGTERM');
    await server.ended();
    const log = server.stderr + server.stdout;
    assert.ok(log.includes('[redacted]'), 'the requests are in the log');
    assert.match(log, /"principal":"ci","credential":"tok_/);
    for (const secret of [text, ticket]) assert.equal(log.includes(secret.slice(21)), false);
  }));

test('--auth required asks for a token before there is one, and then others may reach the server', () =>
  withServers(async (start, folder) => {
    const server = start(['--host', '0.0.0.0', '--auth', 'required', '--data', folder, ...MINIMAL]);
    assert.equal((await fetch(`${await server.address()}/v1`)).status, 401);
    const wrong = start(['--auth', 'never', '--max-sessions', '-1', '--data', folder, ...MINIMAL]);
    assert.equal(await wrong.ended(), 1);
    assert.match(wrong.stderr, /--auth is "never"; allowed is auto or required/);
    assert.match(wrong.stderr, /--max-sessions is "-1"/);
  }));
