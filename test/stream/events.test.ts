/** Server-sent events: the same stream for who cannot speak WebSocket. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { STREAM_LIMITS } from '../../src/stream/limits.ts';
import { EventClient, type Received } from './event-client.ts';
import { event, type Message, metrics, notes, type StreamServer, startStream } from './stream-server.ts';

const STREAM = '/v1/sessions/ses_1/stream';

function listen({ port }: StreamServer, query = '', headers: Record<string, string> = {}): Promise<EventClient> {
  return EventClient.open(port, `${STREAM}${query}`, headers);
}

/** Up to an event with this note. */
async function until(client: EventClient, note: string): Promise<Received[]> {
  const all: Received[] = [];
  for (;;) {
    const received = await client.next();
    assert.ok(received, 'the body ended');
    all.push(received);
    if (notes([received.message])[0] === note) return all;
  }
}

const messagesOf = (received: readonly Received[]): Message[] => received.map(({ message }) => message);

test('events begin with the greeting and the answer to the query, then come the frames of its topics', async (context) => {
  const server = await startStream(context);
  const { sessions } = server;
  sessions.emit('ses_1', event('before'));
  const client = await listen(server, '?topics=events,runs&everyMs=500');
  const { headers } = client.reply;
  assert.deepEqual(
    [headers['cache-control'], headers['x-accel-buffering'], headers['content-encoding'], headers.connection],
    ['no-store, no-transform', 'no', undefined, 'keep-alive'],
  );
  const [hello, subscribed] = [await client.next(), await client.next()];
  assert.deepEqual([hello!.message.type, hello!.message.sequence, client.retryMs], ['hello', 1, 2000]);
  const { type, topics, everyMs, sequence } = subscribed!.message;
  assert.deepEqual([type, topics, everyMs, sequence], ['subscribed', ['events', 'runs'], 500, 2]);
  sessions.emit('ses_1', metrics(1), event('after'));
  const frame = await client.next();
  assert.deepEqual([frame!.id, frame!.message.sequence], ['epo_ses_1_1:3', 3]);
});

test('without a query all topics are subscribed to', async (context) => {
  const server = await startStream(context);
  const client = await listen(server);
  const { message } = await client.nextOf('subscribed');
  assert.deepEqual([message.active, message.everyMs], [['metrics', 'events', 'faults', 'verdicts', 'runs'], 100]);
});

test('only who names the type gets events; a wildcard, as of curl, is still 426', async (context) => {
  const server = await startStream(context);
  for (const accept of ['*/*', 'text/*', 'application/json', 'text/event-stream;q=0']) {
    await assert.rejects(listen(server, '', { accept }), /^Error: 426 .*upgrade-required/, accept);
  }
  await listen(server, '', { accept: 'application/json, text/event-stream;q=0.5' });
});

test('a HEAD request is answered with the head alone and opens nothing', async (context) => {
  const server = await startStream(context);
  const answer = await fetch(`http://127.0.0.1:${server.port}${STREAM}`, {
    method: 'HEAD',
    headers: { accept: 'text/event-stream' },
  });
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'text/event-stream']);
  assert.equal(server.hub.status().sockets, 0);
});

test('a query that does not fit is refused by name, before anything is sent', async (context) => {
  const server = await startStream(context);
  const cases: [string, RegExp][] = [
    ['?topics=metric', /invalid-query.*\?topics\/0.*did you mean `metrics`/],
    ['?topics=', /\?topics\/0 must be one of/],
    ['?topics=metrics,metrics', /\?topics/],
    ['?topics=metrics&topics=runs', /\?topics stands there more than once/],
    ['?everyMs=5', /\?everyMs must be >= 10/],
    ['?everyMs=ten', /\?everyMs must be integer/],
    ['?everyMS=50', /unknown query parameter `everyMS`, did you mean `everyMs`/],
    ['?fromSequence=-1', /\?fromSequence/],
    ['?fromSequence=2', /\?fromSequence.*the next frame of the epoch is number 1/],
    ['?epoch=', /\?epoch/],
  ];
  for (const [query, why] of cases) {
    await assert.rejects(
      listen(server, query),
      (error: Error) => error.message.startsWith('400') && why.test(error.message),
      query,
    );
  }
  for (const id of ['nonsense', 'epo_ses_1_1:', ':1', 'a:b:1', `epo_ses_1_1:${2 ** 53}`, 'epo_ses_1_1:1']) {
    await assert.rejects(
      listen(server, '', { 'last-event-id': id }),
      (error: Error) => /^400 .*invalid-header.*Last-Event-ID/.test(error.message),
      id,
    );
  }
  await assert.rejects(EventClient.open(server.port, '/v1/sessions/nobody/stream'), /^Error: 404/);
  assert.equal(server.hub.status().sockets, 0);
});

test('who comes back with the last id gets what it missed, each frame once', async (context) => {
  const server = await startStream(context);
  const { sessions } = server;
  const all: Message[] = [];
  let lastId: string | null = null;
  let made = 0;
  for (let visit = 0; visit < 4; visit++) {
    const headers: Record<string, string> = lastId === null ? {} : { 'last-event-id': lastId };
    const client = await listen(server, '?topics=events', headers);
    await client.nextOf('subscribed');
    for (let i = 0; i < 5; i++) sessions.emit('ses_1', event(`note ${made++}`), metrics(made));
    // The third of five: what has come since may or may not have been read before the cut.
    const received = await until(client, `note ${made - 3}`);
    all.push(...messagesOf(received));
    lastId = received.at(-1)!.id;
    client.cut();
    sessions.emit('ses_1', event(`note ${made++}`));
  }
  const last = await listen(server, '?topics=events', { 'last-event-id': lastId! });
  all.push(...messagesOf(await until(last, `note ${made - 1}`)));
  assert.deepEqual(
    notes(all),
    Array.from({ length: made }, (_, i) => `note ${i}`),
  );
  assert.ok(!all.some(({ type }) => type === 'gap'));
});

test('who was cut off before the first frame misses nothing either', async (context) => {
  const server = await startStream(context);
  const { sessions } = server;
  sessions.emit('ses_1', event('old'));
  const client = await listen(server, '?topics=events');
  await client.nextOf('subscribed');
  assert.equal(client.lastId, 'epo_ses_1_1:1');
  client.cut();
  sessions.emit('ses_1', event('missed'));
  const back = await listen(server, '?topics=events', { 'last-event-id': client.lastId! });
  assert.deepEqual(notes(messagesOf(await until(back, 'missed'))), ['missed']);
});

test('the id has the say over where to begin, not the query that a browser repeats', async (context) => {
  const server = await startStream(context);
  for (let i = 1; i <= 4; i++) server.sessions.emit('ses_1', event(String(i)));
  const query = '?topics=events&fromSequence=1&epoch=epo_ses_1_1';
  const client = await listen(server, query);
  assert.deepEqual(notes(messagesOf(await until(client, '4'))), ['1', '2', '3', '4']);
  const back = await listen(server, query, { 'last-event-id': 'epo_ses_1_1:3' });
  assert.deepEqual(notes(messagesOf(await until(back, '4'))), ['4']);
});

test('what has left the history, and another epoch, are gaps, after which the id is right again', async (context) => {
  const server = await startStream(context, { limits: { historyFrames: 4 } });
  const { sessions } = server;
  for (let i = 1; i <= 10; i++) sessions.emit('ses_1', event(String(i)));
  const evicted = await listen(server, '?topics=events', { 'last-event-id': 'epo_ses_1_1:2' });
  const gap = await evicted.nextOf('gap');
  assert.deepEqual([gap.message.from, gap.message.to, gap.message.reason, gap.id], [3, 6, 'evicted', 'epo_ses_1_1:6']);
  assert.deepEqual(notes(messagesOf(await until(evicted, '10'))), ['7', '8', '9', '10']);

  const other = await listen(server, '?topics=events', { 'last-event-id': 'epo_gone:70' });
  const first = await other.nextOf('gap');
  assert.deepEqual([first.message.epoch, first.message.from, first.message.reason], ['epo_gone', 71, 'other-epoch']);
  assert.equal(first.id, 'epo_ses_1_1:0');
  assert.equal((await other.nextOf('gap')).id, 'epo_ses_1_1:6');

  sessions.reset('ses_1', 'epo_2');
  sessions.emit('ses_1', event('fresh'));
  const change = await other.nextOf('epoch');
  assert.deepEqual([change.message.previous, change.id], ['epo_ses_1_1', 'epo_2:0']);
  assert.equal((await other.nextOf('events')).id, 'epo_2:1');
});

test('metrics are thinned as over a WebSocket', async (context) => {
  let nowMs = 1000;
  const server = await startStream(context, { nowMs: () => nowMs });
  const client = await listen(server, '?topics=metrics,events&everyMs=200');
  await client.nextOf('subscribed');
  for (let i = 0; i < 10; i++, nowMs += 100) server.sessions.emit('ses_1', metrics(i));
  server.sessions.emit('ses_1', event('end'));
  const got = messagesOf(await until(client, 'end')).filter(({ type }) => type === 'metrics');
  assert.deepEqual(
    got.map(({ data }) => data.operations),
    [0, 2, 4, 6, 8, 9],
  );
});

test('a comment comes when there is nothing else to say', async (context) => {
  const server = await startStream(context, { limits: { heartbeatMs: 40 } });
  const client = await listen(server);
  await delay(300);
  assert.ok(client.comments >= 3, `${client.comments}`);
  server.sessions.emit('ses_1', event('still'));
  await until(client, 'still');
});

const FLOOD_FRAMES = 1200;
const FRAME_BYTES = 20_000;

test('a reader that stops costs little, holds up nobody, and is told what it missed', async (context) => {
  let nowMs = 0;
  const limits = { stallMs: 1e9, heartbeatMs: 1e9, historyMs: 1e9, historyBytes: 12e6 };
  const server = await startStream(context, { nowMs: () => nowMs, limits });
  const { sessions } = server;
  const replies: ServerResponse[] = [];
  server.app.server.on('request', (_request, reply) => replies.push(reply));
  const slow = await listen(server, '?topics=events,metrics&everyMs=10');
  const quick = await server.connect();
  await quick.ask({ type: 'subscribe', topics: ['events'] });
  await slow.nextOf('subscribed');
  slow.stall();
  let mostWaiting = 0;
  for (let i = 1; i <= FLOOD_FRAMES; i++) {
    nowMs += 100;
    sessions.emit('ses_1', event(i, FRAME_BYTES));
    if (i % 10 === 0) sessions.emit('ses_1', metrics(i));
    if (i % 20 === 0) await delay(1);
    for (const reply of replies) mostWaiting = Math.max(mostWaiting, reply.writableLength);
  }
  const { bufferedBytes } = STREAM_LIMITS;
  assert.ok(mostWaiting > bufferedBytes / 2, 'the slow client was never slow');
  assert.ok(mostWaiting < bufferedBytes + 2 * FRAME_BYTES);
  for (let i = 1; i <= FLOOD_FRAMES; i++) assert.equal((await quick.nextOf('events')).sequence > 0, true);

  slow.recover();
  const here = new Set<number>();
  const gaps: Message[] = [];
  for (let seen = 0; seen !== FLOOD_FRAMES; ) {
    const { message } = (await slow.next())!;
    if (message.type === 'gap') gaps.push(message);
    if (message.type === 'events') here.add(message.sequence);
    if (message.type === 'metrics') seen = message.data.operations;
  }
  assert.ok(gaps.some(({ dropped }) => dropped.events > 0) && gaps.some(({ dropped }) => dropped.metrics > 0));
  for (let i = 1; i <= FLOOD_FRAMES; i++) {
    const sequence = i + Math.floor((i - 1) / 10);
    const inGap = gaps.some(({ from, to, dropped }) => dropped.events > 0 && from <= sequence && sequence <= to);
    assert.notEqual(here.has(sequence), inGap, `event ${sequence}`);
  }
});

test('a reader that does not read for too long is cut', async (context) => {
  const server = await startStream(context, { limits: { stallMs: 100, closeMs: 100 } });
  const client = await listen(server, '?topics=events');
  await client.nextOf('subscribed');
  client.stall();
  for (let i = 1; i <= FLOOD_FRAMES; i++) {
    server.sessions.emit('ses_1', event(i, FRAME_BYTES));
    if (i % 20 === 0) await delay(1);
  }
  while (server.hub.status().sockets > 0) await delay(20);
  client.recover();
  await client.ended;
});

test('the last event says why, and then the body ends', async (context) => {
  const server = await startStream(context);
  const { sessions } = server;
  sessions.create('ses_2');
  sessions.create('ses_3');
  const ends: [string, () => void, number][] = [
    ['ses_1', () => sessions.delete('ses_1'), 4500],
    ['ses_2', () => sessions.fail('ses_2'), 4502],
    ['ses_3', () => void server.hub.close(), 1001],
  ];
  for (const [id, end, code] of ends) {
    const client = await EventClient.open(server.port, `/v1/sessions/${id}/stream?topics=events`);
    await client.nextOf('subscribed');
    sessions.emit(id, event('last'));
    end();
    const messages = await client.rest();
    assert.deepEqual(notes(messages), ['last'], id);
    assert.deepEqual([messages.at(-1).type, messages.at(-1).code], ['end', code]);
    if (code === 1001) assert.equal(messages.at(-2).type, 'shutdown');
    assert.equal(await client.ended, 'whole');
  }
  await assert.rejects(EventClient.open(server.port, '/v1/sessions/ses_2/stream'), /^Error: 50[03]/);
});

test('the connection outlives the events: the next request on it is answered', async (context) => {
  const server = await startStream(context);
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`GET ${STREAM} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes('event: subscribed') && !text.includes('event: end')) server.sessions.delete('ses_1');
    if (text.endsWith('\r\n0\r\n\r\n')) socket.write('GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n');
    if (text.includes('{"items":[]}')) break;
  }
  assert.match(text, /event: end\ndata: \{"type":"end","code":4500,.*\}\n\n\r\n0\r\n\r\nHTTP\/1\.1 200 OK/s);
});

test('a server that shuts down does not wait for a reader that never reads', async (context) => {
  const server = await startStream(context, { limits: { closeMs: 100 } });
  const client = await listen(server, '?topics=events');
  await client.nextOf('subscribed');
  client.stall();
  for (let i = 1; i <= 400; i++) {
    server.sessions.emit('ses_1', event(i, FRAME_BYTES));
    if (i % 20 === 0) await delay(1);
  }
  await server.app.close();
  assert.equal(server.hub.status().sockets, 0);
  client.recover();
  await client.ended;
});

test('event streams and WebSockets share the numbers of sockets that there may be', async (context) => {
  const server = await startStream(context, { limits: { socketsPerSession: 2 } });
  const first = await listen(server);
  await server.connect(STREAM);
  await assert.rejects(listen(server), /^Error: 503 .*overloaded/);
  await assert.rejects(server.connect(STREAM), /503/);
  first.cut();
  while (server.hub.status().sockets > 1) await delay(5);
  await listen(server);
});

test('a client of HTTP/1.0, as some proxies are, gets the events without chunks', async (context) => {
  const server = await startStream(context);
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`GET ${STREAM}?topics=events HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes('event: subscribed') && !text.includes('note')) server.sessions.emit('ses_1', event('here'));
    if (text.includes('"here"')) break;
  }
  assert.match(text, /\n\nid: epo_ses_1_1:1\nevent: events\ndata: \{"type":"events".*"here".*\}\n\n/s);
  assert.doesNotMatch(text, /transfer-encoding/i);
});
