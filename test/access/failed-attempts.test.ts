import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailedAttempts, networkOf } from '../../src/access/failed-attempts.ts';
import { startGuarded } from './guarded-server.ts';
import { UPGRADE } from './upgrades.ts';

const WRONG = `ilt_${'0'.repeat(16)}_${'0'.repeat(43)}`;

test('so many failures of an address are answered, then as many as are refilled', () => {
  const failures = new FailedAttempts(60);
  for (let i = 0; i < 60; i++) assert.equal(failures.count('192.0.2.1', 1_000), null);
  assert.deepEqual(failures.count('192.0.2.1', 1_000), { retryAfterSeconds: 1, recorded: true });
  assert.deepEqual(failures.count('192.0.2.1', 1_500), { retryAfterSeconds: 1, recorded: false });
  assert.equal(failures.count('192.0.2.1', 2_000), null, 'a second later there is one');
  assert.deepEqual(failures.count('192.0.2.1', 2_000)?.recorded, false);
  assert.equal(failures.count('192.0.2.2', 2_000), null, 'another address has its own');
  const later = failures.count('192.0.2.1', 61_000);
  assert.equal(later, null);
});

test('a flood is on record once a minute', () => {
  const failures = new FailedAttempts(1);
  let recorded = 0;
  for (let ms = 0; ms < 300_000; ms += 100) if (failures.count('192.0.2.1', ms)?.recorded) recorded++;
  assert.equal(recorded, 5);
});

test('without a limit nothing is counted', () => {
  const failures = new FailedAttempts(0);
  for (let i = 0; i < 1_000; i++) assert.equal(failures.count('192.0.2.1', 0), null);
  assert.equal(failures.size, 0);
});

test('however many addresses there are, so many are remembered, and the one that fails now is among them', () => {
  const failures = new FailedAttempts(1, 100);
  failures.count('attacker', 0);
  for (let i = 0; i < 10_000; i++) {
    failures.count(`10.0.${i >> 8}.${i & 255}`, 0);
    if (i % 50 === 0) assert.notEqual(failures.count('attacker', 0), null, 'who goes on failing is not forgotten');
    assert.ok(failures.size <= 100);
  }
  failures.dropFull(200_000);
  assert.equal(failures.size, 0, 'who stopped is');
});

test('an address of IPv6 counts with the others of its network, and IPv4 stays what it is', () => {
  const same = ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:0:0:0:9', '2001:db8:1:2::'];
  for (const address of same) assert.equal(networkOf(address), '2001:db8:1:2::/64', address);
  assert.equal(networkOf('2001:db8:1:3::1'), '2001:db8:1:3::/64');
  assert.equal(networkOf('::1'), '0:0:0:0::/64');
  assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  assert.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(networkOf('192.0.2.1'), '192.0.2.1');
  assert.equal(networkOf(''), '');
});

test('a flood of wrong tokens is told to wait, and a right one from the same address is let in', async (t) => {
  const server = await startGuarded(t, { settings: { failedAuthPerMinute: 3 }, clockStands: true });
  const alice = server.token({ name: 'alice' });
  const [wrong, none, right] = [server.as(WRONG), server.as(null), server.as(alice.text)];
  const first = [
    await wrong('GET', '/v1/sessions'),
    await none('GET', '/v1/whoami'),
    await wrong('POST', '/v1/nowhere', {}),
  ];
  assert.deepEqual(
    first.map(({ status }) => status),
    [401, 401, 401],
  );
  for (const [ask, url] of [
    [wrong, '/v1/sessions'],
    [none, '/v1/sessions'],
    [wrong, '/v1/nowhere'],
  ] as const) {
    const { status, headers, body } = await ask('GET', url);
    assert.deepEqual([status, body.code], [429, 'too-many-requests']);
    assert.deepEqual(body.quota, { name: 'failed-auth-per-minute', limit: 3 });
    assert.equal(headers['retry-after'], '20');
  }
  for (let i = 0; i < 20; i++) assert.equal((await right('GET', '/v1/whoami')).status, 200);
  // What is open to all is asked of nobody's account.
  assert.equal((await none('GET', '/healthz')).status, 200);
  server.later(20_000);
  assert.deepEqual([(await wrong('GET', '/v1')).status, (await wrong('GET', '/v1')).status], [401, 429]);
});

test('upgrades count, too, and another address does not', async (t) => {
  const server = await startGuarded(t, { settings: { failedAuthPerMinute: 1 }, clockStands: true });
  server.token({ name: 'alice' });
  const upgrade = async (remoteAddress: string): Promise<number> => {
    const headers = { host: 'localhost', ...UPGRADE, 'sec-websocket-protocol': 'iommu-lab.v1, bearer.d3Jvbmc' };
    return (await server.app.inject({ url: '/v1/sessions/x/stream', remoteAddress, headers })).statusCode;
  };
  assert.deepEqual(
    [await upgrade('192.0.2.1'), await upgrade('192.0.2.1'), await upgrade('192.0.2.2')],
    [401, 429, 401],
  );
});

test('the flood leaves two lines in the record, not one for each request', async (t) => {
  const server = await startGuarded(t, { settings: { failedAuthPerMinute: 1 }, clockStands: true });
  const admin = server.token({ name: 'root', scope: 'admin' });
  for (let i = 0; i < 50; i++) await server.as(WRONG)('POST', '/v1/sessions', {});
  let items: { status: number; address: string }[] = [];
  // Lines are written some milliseconds after the reply.
  while (items.length < 2) items = (await server.as(admin.text)('GET', '/v1/audit')).body.items;
  assert.deepEqual(
    items.map(({ status }) => status),
    [429, 401],
  );
});

test('a scope that is too small is no failure to say who asks', async (t) => {
  const server = await startGuarded(t, { settings: { failedAuthPerMinute: 1 }, clockStands: true });
  const reader = server.as(server.token({ name: 'reader', scope: 'read' }).text);
  for (let i = 0; i < 5; i++) assert.equal((await reader('POST', '/v1/sessions', {})).status, 403);
});
