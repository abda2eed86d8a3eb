import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { CLOSE } from '../../src/stream/close-codes.ts';
import { Client, event, notes, startStream } from './stream-server.ts';

test('the deletion of a session closes its streams with 4500, after its last frames, and no others', async (context) => {
  const { connect, sessions } = await startStream(context);
  sessions.create('ses_2');
  const [client, other] = [await connect(), await connect('/v1/sessions/ses_2/stream')];
  await client.ask({ type: 'subscribe', topics: ['events'] });
  sessions.emit('ses_1', event('last'));
  sessions.delete('ses_1');
  assert.deepEqual(await client.closed, { code: 4500, reason: 'the session was deleted' });
  assert.deepEqual(notes(client.inbox), ['last']);
  assert.equal((await other.ask({ type: 'ping' })).type, 'pong');
});

test('a session that fails closes its streams with 4502, after its last frames; a new one is refused until a reset', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['events'] });
  sessions.emit('ses_1', event('last'));
  sessions.fail('ses_1');
  assert.deepEqual(await client.closed, { code: 4502, reason: 'the session failed' });
  assert.deepEqual(notes(client.inbox), ['last']);
  await assert.rejects(connect(), /500/);
  sessions.reset('ses_1', 'epo_ses_1_2');
  assert.equal((await (await connect()).next()).epoch, 'epo_ses_1_2');
});

test('a session of the same id created again starts without the frames of the deleted one', async (context) => {
  const { connect, sessions, hub } = await startStream(context);
  sessions.emit('ses_1', event('old'));
  sessions.delete('ses_1');
  assert.equal(hub.status().historyBytes, 0);
  sessions.create('ses_1');
  assert.equal((await (await connect()).next()).sequence, 0);
});

test('a server that shuts down says so and closes with 1001, and is then down', async (context) => {
  const { connect, app, hub } = await startStream(context);
  const clients = [await connect(), await connect()];
  const startedMs = performance.now();
  await app.close();
  for (const client of clients) {
    assert.equal((await client.closed).code, 1001);
    assert.equal(client.inbox.at(-1).type, 'shutdown');
  }
  assert.ok(performance.now() - startedMs < 250, 'clients that answer are not waited for');
  assert.equal(hub.status().sockets, 0);
});

test('a client that does not answer the close is not waited for longer than the limit', async (context) => {
  const { connect, app } = await startStream(context, { limits: { closeMs: 100 } });
  const client = await connect();
  client.stall();
  const startedMs = performance.now();
  await app.close();
  assert.ok(performance.now() - startedMs < 1000);
  client.recover();
  await client.closed;
});

test('the server pings; who answers stays, who does not is cut with 4001 after two', async (context) => {
  const { connect, port } = await startStream(context, { limits: { heartbeatMs: 60 } });
  const alive = await connect();
  let pings = 0;
  const url = `ws://127.0.0.1:${port}/v1/sessions/lab/stream`;
  const mute = await Client.open(new WebSocket(url, { autoPong: false }));
  mute.socket.on('ping', () => pings++);
  assert.equal((await mute.closed).code, 4001);
  assert.equal(pings, 2);
  await delay(100);
  assert.equal((await alive.ask({ type: 'ping' })).type, 'pong');
});

test('a ping of the client is answered, its payload with it', async (context) => {
  const { connect } = await startStream(context);
  const { socket } = await connect();
  const payload = new Promise((resolve) => socket.once('pong', (data) => resolve(data.toString())));
  socket.ping('are you there');
  assert.equal(await payload, 'are you there');
});

test('what is not UTF-8 closes the connection with 1007 and leaves the server as it was', async (context) => {
  const { connect, hub } = await startStream(context);
  const client = await connect();
  client.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
  assert.equal((await client.closed).code, 1007);
  while (hub.status().sockets > 0) await delay(5);
  assert.equal((await (await connect()).next()).type, 'hello');
});

test('the documentation has every close code, with its reason', () => {
  const page = readFileSync(new URL('../../docs/stream.md', import.meta.url), 'utf8');
  for (const { code, reason } of Object.values(CLOSE)) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${code} |`));
    assert.ok(row, `no row for ${code}`);
    if (code >= 4000) assert.ok(row.includes(reason), row);
  }
});
