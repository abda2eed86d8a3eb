/** The proof of subscribers is seen to see: what is missing, twice, out of order or cut in pieces by the network. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { continuityOf } from '../../tools/prove/subscribers/continuity.ts';
import { Listener } from '../../tools/prove/subscribers/listener.ts';

const RECORDED = [2, 5, 9, 12];

test('all frames, or a gap in the place of each, are no complaint', () => {
  const all = continuityOf(RECORDED, RECORDED, [], 'metrics');
  assert.deepEqual([all.received, all.inGaps, all.complaints], [4, 0, []]);
  const gap = { from: 3, to: 9, dropped: { metrics: 2 } };
  const some = continuityOf(RECORDED, [2, 12], [gap], 'metrics');
  assert.deepEqual([some.received, some.inGaps, some.complaints], [2, 2, []]);
  assert.deepEqual(continuityOf(RECORDED, [12], [{ from: 1, to: 11 }], 'metrics').complaints, [], 'of unknown number');
});

test('what is missing in silence, told of another topic, counted wrong, repeated or made up is complained of', () => {
  const cases: [number[], Parameters<typeof continuityOf>[2], RegExp][] = [
    [[2, 5, 12], [], /1 frames are missing without a gap, the first is 9/],
    [[2, 5, 12], [{ from: 9, to: 9, dropped: { events: 1 } }], /without a gap/],
    [[2, 5, 12], [{ from: 6, to: 8, dropped: { metrics: 1 } }], /without a gap/],
    [[2, 5, 12], [{ from: 9, to: 9, dropped: { metrics: 2 } }], /count 2 frames, and 1 are missing/],
    [[2, 5, 9, 12], [{ from: 9, to: 9, dropped: { metrics: 1 } }], /count 1 frames, and 0 are missing/],
    [[2, 5, 5, 9, 12], [], /frame 5 came after 5/],
    [[2, 9, 5, 12], [], /frame 5 came after 9/],
    [[2, 5, 9, 12, 13], [], /frame 13 was never recorded/],
  ];
  for (const [received, gaps, why] of cases) {
    const { complaints } = continuityOf(RECORDED, received, gaps, 'metrics');
    assert.equal(complaints.length, 1, `${received}: ${complaints}`);
    assert.match(complaints[0]!, why);
  }
});

test('a listener notes frames of all lengths, wherever the network cuts them, and answers pings', async (context) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  context.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const opening = Listener.open(port, '/');
  const [socket] = await once(server, 'connection');
  const listener = await opening;
  context.after(() => listener.close());
  const frame = (sequence: number, padBytes: number, type = 'metrics'): string =>
    `{"type":"${type}","epoch":"e","sequence":${sequence},"timeNs":0,"data":{"pad":"${'x'.repeat(padBytes)}"}}`;
  const pong = once(socket, 'pong');
  socket.send('{"type":"subscribed","sequence":7}');
  socket.ping('there?');
  for (const [i, padBytes] of [0, 60, 4096, 30_000, 70_000, 200_000].entries()) socket.send(frame(i + 1, padBytes));
  socket.send(frame(7, 10, 'events'));
  socket.send('{"type":"gap","epoch":"e","from":7,"to":7,"reason":"slow-reader","dropped":{"metrics":1}}');
  socket.close(4500);
  assert.equal(String((await pong)[0]), 'there?');
  while (listener.closeCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(listener.sequences, [1, 2, 3, 4, 5, 6]);
  assert.equal(listener.atMs.length, 6);
  assert.deepEqual([listener.from, listener.gaps.length, listener.closeCode], [7, 1, 4500]);
});

test('bytes one by one are read as those in one piece', async (context) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  context.after(() => server.close());
  await once(server, 'listening');
  const listener = await Listener.open((server.address() as { port: number }).port, '/');
  context.after(() => listener.close());
  const text = (sequence: number, padBytes: number): Buffer => {
    const payload = Buffer.from(
      `{"type":"metrics","epoch":"e","sequence":${sequence},"timeNs":0,"data":"${'x'.repeat(padBytes)}"}`,
    );
    const head = payload.length < 126 ? Buffer.of(0x81, payload.length) : Buffer.of(0x81, 126, 0, 0);
    if (payload.length >= 126) head.writeUInt16BE(payload.length, 2);
    return Buffer.concat([head, payload]);
  };
  const bytes = Buffer.concat([text(1, 0), text(2, 5000), text(3, 100)]);
  for (const byte of bytes) listener.take(Buffer.of(byte));
  assert.deepEqual(listener.sequences, [1, 2, 3]);
  for (let at = 0; at < bytes.length; at += 777) listener.take(bytes.subarray(at, at + 777));
  assert.deepEqual(listener.sequences, [1, 2, 3, 1, 2, 3]);
});
