import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Config, readConfig } from '../../src/config.ts';

function config(flags: string[], environment: Record<string, string> = {}): Config {
  const reading = readConfig(flags, environment);
  assert.equal(reading.kind, 'config', JSON.stringify(reading));
  return (reading as { config: Config }).config;
}

function problems(flags: string[], environment: Record<string, string> = {}): string[] {
  const reading = readConfig(flags, environment);
  assert.equal(reading.kind, 'problems', JSON.stringify(reading));
  return (reading as { problems: string[] }).problems;
}

test('without settings the server is on loopback port 8080 and keeps its data in the state folder', () => {
  const { host, port, data, insecure } = config([], { XDG_STATE_HOME: '/state' });
  assert.deepEqual([host, port, data, insecure], ['127.0.0.1', 8080, '/state/iommu-lab', false]);
  assert.match(config([], { XDG_STATE_HOME: 'relative' }).data, /\.local\/state\/iommu-lab$/);
});

test('a flag wins over a variable, that over the file, that over the default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-test-'));
  const file = join(folder, 'settings.json');
  writeFileSync(
    file,
    JSON.stringify({ port: 1, workers: 1, logLevel: 'error', allowedHost: ['a.example'], insecure: true }),
  );
  try {
    const read = config(['--port', '3', '--config', file], {
      IOMMU_LAB_PORT: '2',
      IOMMU_LAB_WORKERS: '2',
      IOMMU_LAB_HOST: '',
    });
    assert.deepEqual(
      [read.port, read.workers, read.logLevel, read.allowedHosts, read.insecure, read.host],
      [3, 2, 'error', ['a.example'], true, '127.0.0.1'],
    );
    assert.equal(config([], { IOMMU_LAB_CONFIG: file }).port, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('host names may be repeated and separated by commas', () => {
  assert.deepEqual(config(['--allowed-host', 'A.example, b.example', '--allowed-host=c']).allowedHosts, [
    'a.example',
    'b.example',
    'c',
  ]);
  assert.match(String(problems(['--allowed-host', 'http://a.example'])), /--allowed-host is .*allowed is host names/);
});

test('every unknown flag is named, with the nearest one that exists, beside all else that is wrong', () => {
  assert.deepEqual(problems(['--prot=1', '--kafka', 'x', '--workers', '0']), [
    "Unknown flag '--prot' (did you mean --port?).",
    "Unknown flag '--kafka'.",
    '--workers is "0"; allowed is a whole number from 1 to 256.',
  ]);
  assert.match(String(problems(['8080'])), /"8080" is not understood/);
  assert.match(String(problems(['--port'])), /--port.*argument missing/);
});

test('a number is a number from end to end', () => {
  for (const port of ['', '-1', '1e3', '80.5', '0x50', ' 80', '65536', 'http'])
    assert.match(String(problems(['--port', port])), /--port is/);
  assert.equal(config(['--port', '65535']).port, 65_535);
});

test('other machines are let in only on purpose, wherever the address was set', () => {
  assert.match(
    String(problems([], { IOMMU_LAB_HOST: '192.168.1.5' })),
    /IOMMU_LAB_HOST is "192\.168\.1\.5".*--insecure/,
  );
  assert.equal(config(['--host', '::', '--insecure']).host, '::');
  for (const host of ['localhost', '127.0.0.2', '[::1]']) assert.ok(config(['--host', host]));
});

test('a variable that is no setting is warned of, since others set such variables too', () => {
  const reading = readConfig([], { IOMMU_LAB_SERVICE_HOST: '10.0.0.1' });
  assert.equal(reading.kind, 'config');
  assert.match(String((reading as { warnings: string[] }).warnings), /IOMMU_LAB_SERVICE_HOST is not a setting/);
});

test('what stands at the edge is off unless it is asked for', () => {
  const { tlsCert, tlsKey, trustProxy, basePath, corsOrigins, failedAuthPerMinute, maxConnections } = config([]);
  assert.equal(config([]).maxConnectionsPerAddress, 4_000);
  assert.deepEqual([tlsCert, tlsKey, trustProxy, basePath, corsOrigins], [null, null, [], '', []]);
  assert.deepEqual([failedAuthPerMinute, maxConnections], [60, 12_000]);
});

test('a certificate is checked with all else, and lets no other machine in by itself', () => {
  const flags = ['--tls-cert', '/nowhere/cert', '--tls-key', '/nowhere/key', '--host', '0.0.0.0', '--port', 'x'];
  const told = problems(flags);
  assert.equal(told.length, 4);
  assert.match(
    told.join('\n'),
    /--port is "x"[\s\S]*--insecure[\s\S]*\/nowhere\/cert cannot[\s\S]*\/nowhere\/key cannot/,
  );
  assert.match(String(problems([], { IOMMU_LAB_TLS_KEY: 'key.pem' })), /^IOMMU_LAB_TLS_KEY is given without the cert/);
  const read = {
    ok: true as const,
    cert: Buffer.alloc(0),
    key: Buffer.alloc(0),
    expiresMs: 0,
    warnings: ['It expired.'],
  };
  const reading = readConfig(['--tls-cert', '/c', '--tls-key', '/k'], {}, undefined, () => read);
  assert.deepEqual(reading.kind === 'config' && [reading.config.tlsCert, reading.warnings], ['/c', ['It expired.']]);
});

test('proxies are addresses and networks, and never everybody', () => {
  assert.deepEqual(config(['--trust-proxy', '10.0.0.0/8, 192.0.2.1', '--trust-proxy=FD00::/8']).trustProxy, [
    '10.0.0.0/8',
    '192.0.2.1',
    'fd00::/8',
  ]);
  for (const bad of [
    'true',
    '1',
    '*',
    'proxy.example',
    '10.0.0.0/0',
    '::/0',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '',
  ])
    assert.match(String(problems(['--trust-proxy', bad])), /--trust-proxy is .*addresses and networks/, bad);
});

test('a base path is written in one way only', () => {
  for (const [given, read] of [
    ['/lab', '/lab'],
    ['/lab/', '/lab'],
    ['/a/b-c.d_e~f', '/a/b-c.d_e~f'],
    ['/', ''],
  ] as const)
    assert.equal(config(['--base-path', given]).basePath, read);
  for (const bad of [
    'lab',
    '//lab',
    '/lab//x',
    '/la b',
    '/../x',
    '/./x',
    '/%6cab',
    '/lab?x',
    '/lab#x',
    '/läb',
    'http://x/lab',
  ])
    assert.match(String(problems(['--base-path', bad])), /--base-path is .*a path such as \/lab/, bad);
});

test('origins are named in full, as browsers write them', () => {
  const read = config([
    '--cors-origin',
    'HTTPS://App.example.org:443/, http://[::1]:3000',
    '--cors-origin',
    'tauri://localhost',
  ]);
  assert.deepEqual(read.corsOrigins, ['https://app.example.org', 'http://[::1]:3000', 'tauri://localhost']);
  for (const bad of [
    '*',
    'null',
    'https://*.example.org',
    'app.example.org',
    'https://a.example/path',
    'https://u@a.example',
    'https://',
    '',
  ])
    assert.match(String(problems(['--cors-origin', bad])), /--cors-origin is .*each named in full/, bad);
});

test('the address of Redis is checked as a whole and shown to nobody, as it may hold a password', () => {
  assert.equal(config([]).redis, null);
  const address = 'rediss://lab:p%40ss@redis.example:6380/2';
  assert.equal(config([], { IOMMU_LAB_REDIS_URL: address }).redis, address);
  assert.equal(config(['--redis', 'redis://[::1]']).redis, 'redis://[::1]');
  const wrong = ['http://u:secret@h', 'redis://:secret@h/x', 'redis://:secret@h?a=1', 'redis://:%zzsecret@h', 'secret'];
  for (const given of wrong) {
    const told = String(problems([], { IOMMU_LAB_REDIS_URL: given }));
    assert.match(told, /^IOMMU_LAB_REDIS_URL is not usable; allowed is redis:/);
    assert.doesNotMatch(told, /secret/);
  }
  assert.match(String(problems(['--redis', 'x'])), /^--redis is not usable/);
});
