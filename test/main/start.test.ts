import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { withServers } from './server-process.ts';

const MINIMAL = ['--workers', '1'];

test('a start prints the address it has and a curl that works, on stdout, and ends cleanly on SIGTERM', () =>
  withServers(async (start, folder) => {
    const data = join(folder, 'not', 'there', 'yet');
    const server = start(['--port', '0', '--data', data, ...MINIMAL]);
    const address = await server.address();
    assert.match(address, /^http:\/\/127\.0\.0\.1:[1-9][0-9]*$/);
    const curl = server.stdout.split('\n').find((line) => line.includes('curl')) as string;
    const session = JSON.parse(execFileSync('sh', ['-c', curl], { encoding: 'utf8' }));
    assert.equal(session.name, 'first');
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    assert.ok(existsSync(join(data, 'server.json')));

    server.child.kill('SIGTERM');
    assert.equal(await server.ended(), 0);
    assert.equal(existsSync(join(data, 'server.json')), false);
    const lines = server.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const request = lines.find(({ msg, path }) => msg === 'request' && path === '/v1/sessions');
    assert.deepEqual([request.method, request.route, request.status], ['POST', '/v1/sessions', 201]);
    assert.equal(typeof request.ms, 'number');
    assert.match(request.requestId, /^[0-9a-f-]{36}$/);
  }));

test('a signal that arrives twice is one signal, and a run in progress does not keep the server', () =>
  withServers(async (start, folder) => {
    const server = start(['--port', '0', '--data', folder, ...MINIMAL]);
    const address = await server.address();
    const post = (path: string, body: object): Promise<Response> =>
      fetch(address + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    await post('/v1/sessions', { preset: 'thread-2008', name: 'long' });
    const run = await post('/v1/sessions/long/runs', { forNs: 3_600_000_000_000 });
    assert.equal(run.status, 202, await run.text());
    server.child.kill('SIGTERM');
    setTimeout(() => server.child.kill('SIGTERM'), 5);
    assert.equal(await server.ended(), 0);
  }));

test('a port that is taken is named in one line, with what to do', () =>
  withServers(async (start, folder) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const server = start(['--port', String(port), '--data', folder, ...MINIMAL]);
    assert.equal(await server.ended(), 1);
    other.close();
    assert.equal(server.stdout, '');
    const [line, ...more] = server.stderr.trim().split('\n');
    assert.match(String(line), new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken .*--port`));
    assert.deepEqual(more, []);
  }));

test('a second server on the same data folder is refused, and is told who holds it', () =>
  withServers(async (start, folder) => {
    const first = start(['--port', '0', '--data', folder, ...MINIMAL]);
    const address = await first.address();
    const second = start(['--port', '0', '--data', folder, ...MINIMAL]);
    assert.equal(await second.ended(), 1);
    for (const part of [folder, address, `process ${first.child.pid}`, '--data'])
      assert.ok(second.stderr.includes(part), part);
    assert.equal((await fetch(`${address}/healthz`)).status, 200);
  }));

test('the folder of a server that was killed is taken over', () =>
  withServers(async (start, folder) => {
    const first = start(['--port', '0', '--data', folder, ...MINIMAL]);
    await first.address();
    await first.stop();
    assert.ok(existsSync(join(folder, 'server.json')), 'the killed server left its note');
    // As after the process id was given to somebody else.
    writeFileSync(join(folder, 'server.json'), JSON.stringify({ pid: process.pid, address: 'http://127.0.0.1:1' }));
    const second = start(['--port', '0', '--data', folder, ...MINIMAL]);
    assert.match(await second.address(), /^http/);
  }));

test('what is wrong with the settings is all said at once, by name and place, and nothing is started', () =>
  withServers(async (start, folder) => {
    const file = join(folder, 'settings.yaml');
    writeFileSync(file, 'workers: many\ndatta: /x\n');
    const server = start(['--prot', '1', '--port', '70000', '--config', file, '--data', join(folder, 'data')], {
      IOMMU_LAB_LOG_LEVEL: 'loud',
    });
    assert.equal(await server.ended(), 1);
    assert.match(server.stderr, /Unknown flag '--prot' \(did you mean --port\?\)/);
    assert.match(server.stderr, /--port is "70000"; allowed is a whole number from 0 to 65535/);
    assert.match(server.stderr, /IOMMU_LAB_LOG_LEVEL is "loud"; allowed is trace/);
    assert.match(server.stderr, /"workers" in \S+settings\.yaml is "many"/);
    assert.match(server.stderr, /"datta" in \S+settings\.yaml is not a setting/);
    assert.doesNotMatch(server.stderr, /^ +at /m);
    assert.equal(existsSync(join(folder, 'data')), false);
  }));

test('an address that others can reach is refused unless it is meant', () =>
  withServers(async (start, folder) => {
    const refused = start(['--host', '0.0.0.0', '--port', '0', '--data', folder, ...MINIMAL]);
    assert.equal(await refused.ended(), 1);
    assert.match(refused.stderr, /--host is "0\.0\.0\.0".*other machines.*--insecure/);
    const meant = start(['--host', '0.0.0.0', '--insecure', '--port', '0', '--data', folder, ...MINIMAL]);
    assert.match(await meant.address(), /^http:\/\/127\.0\.0\.1:/);
  }));
