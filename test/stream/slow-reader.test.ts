import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { STREAM_LIMITS } from '../../src/stream/limits.ts';
import { type Client, event, type Message, metrics, type StreamServer, startStream } from './stream-server.ts';

const BOTH = { type: 'subscribe', topics: ['events', 'metrics'], everyMs: 10 };

/** The network itself takes some megabytes before a server can tell that nobody reads; this is 24 MB. */
const FLOOD_FRAMES = 1200;
const FRAME_BYTES = 20_000;

/** The most that has waited in any of the server's sockets whenever this was asked. */
function watchSockets(app: FastifyInstance): () => number {
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket) => sockets.add(socket));
  let most = 0;
  return () => {
    for (const { writableLength } of sockets) most = Math.max(most, writableLength);
    return most;
  };
}

/** Emits events and, after every tenth, metrics; other work gets its turn meanwhile. */
async function flood({ sessions }: StreamServer, each: () => void): Promise<void> {
  for (let i = 1; i <= FLOOD_FRAMES; i++) {
    each();
    sessions.emit('ses_1', event(i, FRAME_BYTES));
    if (i % 10 === 0) sessions.emit('ses_1', metrics(i));
    if (i % 20 === 0) await delay(1);
  }
}

/** Everything up to the last metrics of the flood. */
async function untilLast(client: Client): Promise<Message[]> {
  const messages: Message[] = [];
  for (;;) {
    const message = await client.next();
    assert.ok(message, 'the connection ended');
    messages.push(message);
    if (message.type === 'metrics' && message.data.operations === FLOOD_FRAMES) return messages;
  }
}

function sum(gaps: readonly Message[], topic: string): number {
  return gaps.reduce((total, { dropped }) => total + (dropped[topic] ?? 0), 0);
}

test('a client that stops reading costs little, holds up nobody, and afterwards is told what it missed', async (context) => {
  let nowMs = 0;
  const limits = { stallMs: 1e9, heartbeatMs: 1e9, historyMs: 1e9, historyBytes: 12e6 };
  const server = await startStream(context, { nowMs: () => nowMs, limits });
  const mostWaiting = watchSockets(server.app);
  const [slow, quick] = [await server.connect(), await server.connect()];
  await slow.ask(BOTH);
  await quick.ask({ type: 'subscribe', topics: ['events'] });
  slow.stall();
  await flood(server, () => {
    nowMs += 100;
    mostWaiting();
  });
  const { bufferedBytes } = STREAM_LIMITS;
  assert.ok(mostWaiting() > bufferedBytes / 2, 'the slow client was never slow');
  assert.ok(mostWaiting() < bufferedBytes + 2 * FRAME_BYTES);
  for (let i = 1; i <= FLOOD_FRAMES; i++) assert.equal((await quick.nextOf('events')).data.items[0].note, i);

  slow.recover();
  const messages = await untilLast(slow);
  const gaps = messages.filter(({ type }) => type === 'gap');
  const received = (topic: string) => messages.filter(({ type }) => type === topic);
  assert.ok(sum(gaps, 'events') > 0 && sum(gaps, 'metrics') > 0);
  assert.deepEqual([...new Set(gaps.map(({ reason }) => reason))], ['slow-reader']);
  assert.equal(received('events').length + sum(gaps, 'events'), FLOOD_FRAMES);
  assert.equal(received('metrics').length + sum(gaps, 'metrics'), FLOOD_FRAMES / 10);

  // Every sequence of the events is either here or inside a gap that names events.
  const here = new Set(received('events').map(({ sequence }) => sequence));
  const eventGaps = gaps.filter(({ dropped }) => dropped.events !== undefined);
  for (let i = 1; i <= FLOOD_FRAMES; i++) {
    const sequence = i + Math.floor((i - 1) / 10);
    const inGap = eventGaps.some(({ from, to }) => from <= sequence && sequence <= to);
    assert.notEqual(here.has(sequence), inGap, `event ${sequence}`);
  }
  const order = messages.filter(({ sequence }) => sequence !== undefined).map(({ sequence }) => sequence);
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  const { coalesced, lost } = server.hub.status();
  assert.equal(coalesced + lost, sum(gaps, 'events') + sum(gaps, 'metrics'));
});

test('metrics pile up to one while a client does not read, and no event in the history is lost', async (context) => {
  let nowMs = 0;
  const limits = { stallMs: 1e9, heartbeatMs: 1e9, historyMs: 1e9, historyBytes: 1e9 };
  const server = await startStream(context, { nowMs: () => nowMs, limits });
  const slow = await server.connect();
  await slow.ask(BOTH);
  slow.stall();
  await flood(server, () => {
    nowMs += 100;
  });
  slow.recover();
  const messages = await untilLast(slow);
  assert.equal(messages.filter(({ type }) => type === 'events').length, FLOOD_FRAMES);
  const gap = messages.at(-2);
  assert.deepEqual([gap.type, Object.keys(gap.dropped)], ['gap', ['metrics']]);
  assert.ok(gap.dropped.metrics > 10);
});

test('a reset while a client does not read is told with what it missed of the old epoch', async (context) => {
  let nowMs = 0;
  const limits = { stallMs: 1e9, heartbeatMs: 1e9, historyMs: 1e9 };
  const server = await startStream(context, { nowMs: () => nowMs, limits });
  const slow = await server.connect();
  await slow.ask(BOTH);
  slow.stall();
  await flood(server, () => {
    nowMs += 100;
  });
  server.sessions.reset('ses_1', 'epo_2');
  server.sessions.emit('ses_1', metrics(FLOOD_FRAMES));
  slow.recover();
  const messages = await untilLast(slow);
  const [gap, change, frame] = messages.slice(-3);
  const last = FLOOD_FRAMES + FLOOD_FRAMES / 10;
  assert.deepEqual([gap.type, gap.reason, gap.epoch, gap.to], ['gap', 'reset', 'epo_ses_1_1', last]);
  const lastSequence = messages.filter(({ sequence, epoch }) => sequence > 0 && epoch !== 'epo_2').at(-1).sequence;
  assert.ok(gap.from <= lastSequence + 1 && gap.from > 1);
  assert.deepEqual([change.type, change.epoch, frame.epoch, frame.sequence], ['epoch', 'epo_2', 'epo_2', 1]);
});

test('a client that does not read for too long is cut with 4000, or without a word when it never reads again', async (context) => {
  const server = await startStream(context, { limits: { stallMs: 100, closeMs: 400 } });
  const [late, gone] = [await server.connect(), await server.connect()];
  for (const client of [late, gone]) {
    await client.ask(BOTH);
    client.stall();
  }
  await flood(server, () => {});
  await delay(150);
  late.recover();
  assert.equal((await late.closed).code, 4000);
  while (server.hub.status().sockets > 0) await delay(20);
  gone.recover();
  assert.equal((await gone.closed).code, 1006);
});

test('a client that asks and asks and never reads is cut', async (context) => {
  const limits = { bufferedBytes: 30_000, frameBytes: 21_000, messageBurst: 1e6, closeMs: 50 };
  const server = await startStream(context, { limits });
  const mostWaiting = watchSockets(server.app);
  const client = await server.connect();
  await client.ask(BOTH);
  client.stall();
  await flood(server, () => {});
  const deadlineMs = performance.now() + 5000;
  while (server.hub.status().sockets > 0 && performance.now() < deadlineMs) {
    for (let i = 0; i < 100; i++) client.send({ type: 'ping' });
    await delay(5);
    assert.ok(mostWaiting() < 30_000 + 21_000 + 16_384 + 1000);
  }
  assert.equal(server.hub.status().sockets, 0);
  client.recover();
});
