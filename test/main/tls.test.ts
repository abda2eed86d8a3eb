/** A server of its own with a certificate: what its start says, and what its signals do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { certificate } from '../server/certificates.ts';
import { withServers } from './server-process.ts';

/** Name of the certificate that a new connection gets, and the reply's status. */
async function ask(address: string, path: string): Promise<[name: string, status: number]> {
  const asked = request(`${address}${path}`, { rejectUnauthorized: false, agent: false }).end();
  const [reply] = await once(asked, 'response');
  const name = String((reply.socket as TLSSocket).getPeerCertificate().subject.CN);
  reply.resume();
  await once(reply, 'end');
  return [name, reply.statusCode];
}

test('a server with a certificate says https, takes up a new one at SIGHUP, and ends at SIGTERM', () =>
  withServers(async (start, folder) => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const write = ({ cert: text, key: secret }: { cert: string; key: string }): void => {
      writeFileSync(cert, text);
      writeFileSync(key, secret);
    };
    write(certificate('first'));
    const data = join(folder, 'data');
    const flags = ['--port', '0', '--data', data, '--tls-cert', cert, '--tls-key', key, '--base-path', '/lab'];
    const server = start(flags);
    const address = await server.address();
    assert.match(address, /^https:\/\/127\.0\.0\.1:\d+\/lab$/);
    assert.match(server.stdout, new RegExp(`curl -s ${address}/v1/sessions `));
    assert.equal(JSON.parse(readFileSync(join(data, 'server.json'), 'utf8')).address, address);
    assert.deepEqual(await ask(address, '/healthz'), ['first', 200]);

    write(certificate('second'));
    server.child.kill('SIGHUP');
    while ((await ask(address, '/healthz'))[0] !== 'second');

    server.child.kill('SIGTERM');
    assert.equal(await server.ended(), 0);
  }));

test('a certificate without its key, and files that are none, keep the server from starting', () =>
  withServers(async (start, folder) => {
    const alone = start(['--data', folder, '--tls-cert', join(folder, 'none.pem')]);
    const none = start(['--data', folder, '--tls-cert', '/nowhere', '--tls-key', '/nowhere', '--workers', '0']);
    assert.deepEqual([await alone.ended(), await none.ended()], [1, 1]);
    assert.match(alone.stderr, /--tls-cert is given without the key of the certificate, --tls-key <file>/);
    assert.match(none.stderr, /--workers is "0"[\s\S]*\/nowhere cannot be read/);
  }));

test('without a certificate SIGHUP ends the server, as when its terminal is closed', () =>
  withServers(async (start, folder) => {
    const server = start(['--port', '0', '--data', folder]);
    await server.address();
    server.child.kill('SIGHUP');
    assert.equal(await server.ended(), 0);
  }));

test('the health check of the image asks where the server is, by HTTPS and below its base path, too', () =>
  withServers(async (start, folder) => {
    const { cert, key } = certificate('lab.example.org');
    writeFileSync(join(folder, 'cert.pem'), cert);
    writeFileSync(join(folder, 'key.pem'), key);
    const tls = ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')];
    for (const [i, more] of [[], [...tls, '--base-path', '/lab']].entries()) {
      const data = join(folder, String(i));
      await start(['--port', '0', '--data', data, '--workers', '1', ...more]).address();
      const { stdout, status } = await healthCheck(data);
      assert.match(stdout, /^200 \{"ready":true,"status":"ready","recovering":0,.*\}\n$/, String(more));
      assert.equal(status, 0);
    }
  }));

async function healthCheck(data: string): Promise<{ stdout: string; status: number }> {
  const child = spawn(process.execPath, ['docker/healthcheck.mjs'], { env: { ...process.env, IOMMU_LAB_DATA: data } });
  let stdout = '';
  child.stdout.on('data', (bytes) => (stdout += bytes));
  const [status] = await once(child, 'close');
  return { stdout, status };
}
