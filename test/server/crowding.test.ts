/** How many connections one address may have. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import fastify from 'fastify';
import { limitConnections } from '../../src/server/connections.ts';
import { Crowding, exemptFrom } from '../../src/server/crowding.ts';

test('each address, and of IPv6 each network of 64 bits, has so many; one that ends makes room', () => {
  const crowding = new Crowding(2, exemptFrom([]));
  const first = crowding.enter('192.0.2.1');
  assert.ok(first !== null);
  assert.ok(crowding.enter('::ffff:192.0.2.1') !== null, 'the same one, on a socket of both families');
  assert.equal(crowding.enter('192.0.2.1'), null);
  assert.ok(crowding.enter('192.0.2.2') !== null);
  first();
  assert.ok(crowding.enter('192.0.2.1') !== null);
  for (const address of ['2001:db8::1', '2001:db8::ffff:1']) assert.ok(crowding.enter(address) !== null);
  assert.equal(crowding.enter('2001:db8:0:0:1::1'), null);
  assert.ok(crowding.enter('2001:db8:0:1::1') !== null);
});

test('what has left is forgotten', () => {
  const crowding = new Crowding(5, () => false);
  const left = Array.from({ length: 100 }, (_, i) => crowding.enter(`192.0.2.${i}`));
  assert.equal(crowding.size, 100);
  for (const leave of left) leave!();
  assert.equal(crowding.size, 0);
});

test('this machine and trusted proxies are not counted, and with 0 nobody is', () => {
  const exempt = exemptFrom(['10.0.0.0/8', '2001:db8:1::/48', '192.0.2.7']);
  for (const address of [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '::ffff:127.0.0.1',
    '10.1.2.3',
    '::ffff:10.1.2.3',
    '192.0.2.7',
  ])
    assert.ok(exempt(address), address);
  assert.ok(exempt('2001:db8:1:2::3'));
  for (const address of ['192.0.2.8', '11.0.0.1', '2001:db8:2::1', '']) assert.ok(!exempt(address), address);
  const [proxied, unlimited] = [new Crowding(1, exempt), new Crowding(0, () => false)];
  for (let i = 0; i < 3; i++) {
    assert.ok(proxied.enter('10.1.2.3') !== null);
    assert.ok(unlimited.enter('192.0.2.1') !== null);
  }
});

test('a connection too many is ended and counted, and the others are answered', async (t) => {
  const app = fastify();
  const crowding = new Crowding(2, () => false);
  const figures = limitConnections(app, { connections: 100, crowding, stallMs: 60_000 });
  app.get('/', () => 'here');
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const open = async (): Promise<[string, () => Promise<unknown>]> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const data = once(socket, 'data').then(([bytes]) => String(bytes));
    const text = await Promise.race([data.catch(() => ''), once(socket, 'close').then(() => '')]);
    return [
      text,
      () => {
        const closed = once(socket, 'close');
        socket.destroy();
        return closed;
      },
    ];
  };
  const [[one, leave], [two]] = [await open(), await open()];
  for (const text of [one, two]) assert.match(text, /^HTTP\/1\.1 200 [\s\S]*here$/);
  assert.equal((await open())[0], '');
  assert.deepEqual(figures, { open: 2, refused: 1, stalled: 0 });
  await leave();
  while (figures.open > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match((await open())[0], /^HTTP\/1\.1 200 /);
});
