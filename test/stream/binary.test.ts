import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from 'cbor2';
import { History } from '../../src/stream/history.ts';
import { STREAM_LIMITS } from '../../src/stream/limits.ts';
import { type Client, event, metrics, notes, startStream } from './stream-server.ts';

const BINARY = { protocols: ['iommu-lab.v1.cbor'] };
const STREAM = '/v1/sessions/ses_1/stream';
const EVENTS = { type: 'subscribe', topics: ['events'] };

test('of the subprotocols offered the first that the server knows is answered', async (context) => {
  const { connect } = await startStream(context);
  const answered = async (protocols: string[]) => (await connect(STREAM, { protocols })).socket.protocol;
  assert.equal(await answered(['iommu-lab.v1.cbor']), 'iommu-lab.v1.cbor');
  assert.equal(await answered(['iommu-lab.v1', 'iommu-lab.v1.cbor']), 'iommu-lab.v1');
  assert.equal(await answered(['bearer.AAAA', 'iommu-lab.v1.cbor', 'iommu-lab.v1']), 'iommu-lab.v1.cbor');
  assert.equal(await answered(['iommu-lab.v2', 'iommu-lab.v1.cbor']), 'iommu-lab.v1.cbor');
  await assert.rejects(connect(STREAM, { protocols: ['iommu-lab.v1.msgpack'] }), /400/);
});

test('a binary stream says the same as one in text, in the same order', async (context) => {
  const { connect, sessions } = await startStream(context, { limits: { historyFrames: 5, frameBytes: 1000 } });
  const clients = [await connect(STREAM, BINARY), await connect()];
  for (const client of clients) await client.ask({ ...EVENTS, topics: ['events', 'metrics'] });
  sessions.emit('ses_1', event('a'), metrics(1), event('large', 2000), event('é'.repeat(300)));
  for (let i = 0; i < 5; i++) sessions.emit('ses_1', event(i), metrics(i));
  sessions.reset('ses_1', 'epo_2');
  sessions.emit('ses_1', event('fresh'));
  for (const client of clients) client.send({ ...EVENTS, epoch: 'epo_gone', fromSequence: 3 });
  for (const client of clients) client.send({ type: 'unsubscribe' });
  for (const client of clients) client.send({ type: 'nothing' });
  const [binary, text] = [await clients[0]!.settled(), await clients[1]!.settled()];
  assert.deepEqual(binary, text);
  assert.ok(binary.length > 15);
});

test('what comes is a CBOR map that another reader reads, in messages that are binary', async (context) => {
  const { port, sessions } = await startStream(context);
  const socket = new WebSocket(`ws://127.0.0.1:${port}${STREAM}`, 'iommu-lab.v1.cbor');
  socket.binaryType = 'arraybuffer';
  const types: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = reject;
    socket.onmessage = ({ data }) => {
      assert.ok(data instanceof ArrayBuffer);
      const message = decode(new Uint8Array(data)) as { type: string };
      types.push(message.type);
      if (message.type === 'hello') socket.send(encode(EVENTS));
      if (message.type === 'subscribed') sessions.emit('ses_1', event('a'));
      if (message.type === 'events') resolve();
    };
  });
  assert.deepEqual(types, ['hello', 'subscribed', 'events']);
  socket.close();
});

test('there a client may say what it has to say either way, and what is neither is refused', async (context) => {
  const { connect } = await startStream(context);
  const client = await connect(STREAM, BINARY);
  const say = async (bytes: Uint8Array) => {
    client.socket.send(bytes);
    return client.nextOf(bytes[0] === 0xa1 ? 'pong' : 'error');
  };
  await say(encode({ type: 'ping' }));
  assert.equal((await client.ask({ type: 'ping' })).type, 'pong');
  assert.match((await say(Buffer.from('{"type":"ping"}'))).problem.detail, /not CBOR/);
  assert.match((await say(encode(['ping']))).problem.detail, /must be object/);
  assert.match((await say(encode({ type: 'ping', at: new Date(0) }))).problem.detail, /tags/);
  const refused = await say(encode({ type: 'subscribe', topics: ['metric'] }));
  assert.deepEqual([refused.problem.code, refused.problem.path], ['invalid-message', '/topics/0']);
});

test('a frame is made binary once for all who want it, and not at all where nobody does', async (context) => {
  const { connect, sessions, hub } = await startStream(context);
  const bytesOfOne = async (note: string): Promise<number> => {
    const before = hub.status().historyBytes;
    sessions.emit('ses_1', event(note, 500));
    await Promise.all(clients.map((client) => client.settled()));
    return hub.status().historyBytes - before;
  };
  const clients: Client[] = [await connect()];
  await clients[0]!.ask(EVENTS);
  const asText = await bytesOfOne('text only');
  clients.push(await connect(STREAM, BINARY));
  assert.equal(await bytesOfOne('not subscribed'), asText + 5, 'the greeting is no reason to make frames');
  await clients[1]!.ask(EVENTS);
  const withOne = await bytesOfOne('one binary');
  assert.ok(withOne > asText * 1.5);
  for (let i = 0; i < 3; i++) {
    clients.push(await connect(STREAM, BINARY));
    await clients.at(-1)!.ask(EVENTS);
  }
  assert.equal(await bytesOfOne('4 of these'), withOne);
});

test('the binary form is kept with its frame, the same for all, and weighs until the frame goes', () => {
  const kept = { bytes: 0 };
  const history = new History('epo_1', { ...STREAM_LIMITS, historyFrames: 2 }, kept);
  for (let i = 1; i <= 2; i++) history.append(event(i), 0);
  const bare = kept.bytes;
  const first = history.at(1);
  const binary = history.binaryOf(first);
  assert.equal(history.binaryOf(first), binary);
  assert.equal(kept.bytes, bare + binary.length);
  history.append(event(3), 0);
  assert.equal(kept.bytes, history.at(2).text.length + history.at(3).text.length);
  // Of one that has gone it can still be made, and weighs nothing.
  const gone = history.at(2);
  history.append(event(4), 0);
  history.append(event(5), 0);
  const before = kept.bytes;
  assert.ok(history.binaryOf(gone).length > 0);
  assert.equal(kept.bytes, before);
  history.restart('epo_2');
  assert.deepEqual([history.bytes, kept.bytes], [0, 0]);
});

test('who resumes in binary gets what it missed, thousands of frames in order', async (context) => {
  const { connect, sessions } = await startStream(context);
  for (let i = 1; i <= 3000; i++) sessions.emit('ses_1', event(i, 200));
  const client = await connect(STREAM, BINARY);
  await client.ask({ ...EVENTS, fromSequence: 1 });
  sessions.emit('ses_1', event(3001));
  for (let i = 1; i <= 3001; i++) {
    const { sequence, data } = await client.nextOf('events');
    assert.deepEqual([sequence, data.items[0].note], [i, i]);
  }
  assert.deepEqual(notes(await client.settled()), []);
});

test('the bounds of the history hold for both forms together', async (context) => {
  const limits = { historyBytes: 20_000, totalHistoryBytes: 30_000 };
  const { connect, sessions, hub } = await startStream(context, { limits });
  sessions.create('ses_2');
  for (const id of ['ses_1', 'ses_2']) {
    const client = await connect(`/v1/sessions/${id}/stream`, BINARY);
    await client.ask(EVENTS);
    for (let i = 0; i < 40; i++) {
      sessions.emit(id, event(i, 900));
      await client.nextOf('events');
      assert.ok(hub.status().historyBytes <= 30_000 + 1000);
    }
  }
});
