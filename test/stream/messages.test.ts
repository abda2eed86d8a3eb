import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validators } from '../../src/api/validator.ts';
import { streamContract, streamSchema } from '../../src/stream/contract.ts';
import { TOPICS } from '../../src/stream/topics.ts';
import { event, metrics, notes, startStream } from './stream-server.ts';

test('the server greets first, with the epoch, the newest sequence, the topics and the limits', async (context) => {
  const { connect, sessions } = await startStream(context);
  sessions.emit('ses_1', event('a'), event('b'));
  const hello = await (await connect()).next();
  assert.deepEqual([hello.type, hello.epoch, hello.sequence], ['hello', 'epo_ses_1_1', 2]);
  assert.deepEqual(hello.topics, ['metrics', 'events', 'faults', 'verdicts', 'runs']);
  assert.equal(hello.limits.historyFrames, 10_000);
});

test('a subscriber gets the frames of its topics from the next one on, and no others', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  sessions.emit('ses_1', event('before'));
  const answer = await client.ask({ type: 'subscribe', topics: ['events', 'runs'] });
  assert.deepEqual(answer, {
    type: 'subscribed',
    epoch: 'epo_ses_1_1',
    topics: ['events', 'runs'],
    everyMs: 100,
    sequence: 2,
    active: ['events', 'runs'],
  });
  sessions.emit('ses_1', metrics(1), event('after'));
  const frame = await client.next();
  assert.deepEqual([frame.type, frame.epoch, frame.sequence], ['events', 'epo_ses_1_1', 3]);
  assert.equal(frame.data.items[0].note, 'after');
  assert.deepEqual(await client.settled(), []);
});

test('the sequence counts the frames of the session, whoever listens', async (context) => {
  const { connect, sessions } = await startStream(context);
  sessions.create('ses_2');
  const [one, two] = [await connect(), await connect()];
  await one.ask({ type: 'subscribe', topics: ['events'] });
  await two.ask({ type: 'subscribe', topics: ['metrics'] });
  sessions.emit('ses_1', event('a'));
  sessions.emit('ses_2', event('elsewhere'));
  sessions.emit('ses_1', metrics(1), event('b'));
  assert.deepEqual(
    (await one.settled()).map(({ sequence }) => sequence),
    [1, 3],
  );
  assert.deepEqual(
    (await two.settled()).map(({ sequence }) => sequence),
    [2],
  );
});

test('topics are added by one subscription after another and taken away by name or all at once', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['events'] });
  assert.deepEqual((await client.ask({ type: 'subscribe', topics: ['metrics'] })).active, ['metrics', 'events']);
  const left = await client.ask({ type: 'unsubscribe', topics: ['events'] });
  assert.deepEqual([left.topics, left.active], [['events'], ['metrics']]);
  sessions.emit('ses_1', event('unheard'), metrics(1));
  assert.deepEqual(
    (await client.settled()).map(({ type }) => type),
    ['metrics'],
  );
  assert.deepEqual((await client.ask({ type: 'unsubscribe' })).active, []);
  sessions.emit('ses_1', event('unheard'), metrics(2));
  assert.deepEqual(await client.settled(), []);
});

test('a ping is answered with where the session stands', async (context) => {
  const { connect, sessions } = await startStream(context);
  const frame = event('a');
  sessions.emit('ses_1', frame);
  const pong = await (await connect()).ask({ type: 'ping' });
  assert.deepEqual(pong, { type: 'pong', epoch: 'epo_ses_1_1', sequence: 1, timeNs: frame.timeNs });
});

test('metrics are thinned to everyMs, and the newest always arrives', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['metrics'], everyMs: 60 });
  sessions.emit('ses_1', metrics(1), metrics(2));
  sessions.emit('ses_1', metrics(3));
  const first = await client.next();
  const startedMs = performance.now();
  const last = await client.next();
  assert.deepEqual([first.data.operations, last.data.operations], [1, 3]);
  assert.ok(performance.now() - startedMs >= 30, 'the second came too soon');
  assert.deepEqual(await client.settled(), []);
});

test('thinning is by recording time, so a rhythm of 100 ms is kept whole at everyMs 100 and halved at 200', async (context) => {
  let nowMs = 1000;
  const { connect, sessions } = await startStream(context, { nowMs: () => nowMs });
  const [whole, half] = [await connect(), await connect()];
  await whole.ask({ type: 'subscribe', topics: ['metrics'] });
  await half.ask({ type: 'subscribe', topics: ['metrics'], everyMs: 200 });
  // As a timer that is late by up to 15 ms would.
  for (const [i, lateMs] of [0, 15, 3, 12, 0, 9, 1, 14, 2, 7].entries()) {
    nowMs = 1000 + i * 100 + lateMs;
    sessions.emit('ses_1', metrics(i));
  }
  const got = async (client: typeof whole) => (await client.settled()).map(({ data }) => data.operations);
  assert.deepEqual(await got(whole), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(await got(half), [0, 2, 4, 6, 8]);
});

test('frames keep their order: held metrics go before what was recorded after them', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['metrics', 'events'], everyMs: 60_000 });
  sessions.emit('ses_1', metrics(1), metrics(2));
  sessions.emit('ses_1', event('later'));
  assert.deepEqual(
    (await client.settled()).map(({ sequence }) => sequence),
    [1, 2, 3],
  );
});

test('held metrics are left out when newer ones are on their way', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['metrics', 'events'], everyMs: 60_000 });
  sessions.emit('ses_1', metrics(1), metrics(2));
  sessions.emit('ses_1', event('later'), metrics(3));
  assert.deepEqual(
    (await client.settled()).map(({ sequence }) => sequence),
    [1, 3],
  );
});

test('metrics that keep coming early are thinned to the rate asked for', async (context) => {
  let nowMs = 1000;
  const { connect, sessions } = await startStream(context, { nowMs: () => nowMs });
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['metrics'], everyMs: 100 });
  for (let i = 0; i < 50; i++, nowMs += 80) sessions.emit('ses_1', metrics(i));
  const { length } = await client.settled();
  assert.ok(length >= 36 && length <= 42, `${length} in 4 s`);
});

test('a message that is none gets an error that names the place and the reason, and changes nothing', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask({ type: 'subscribe', topics: ['events'] });
  const cases: [unknown, string | undefined, RegExp][] = [
    ['{"type":', undefined, /not JSON/],
    ['[1]', '', /must be object/],
    [{ type: 'subscrib', topics: ['events'] }, '/type', /did you mean `subscribe`/],
    [{ topics: ['events'] }, '/type', /is required/],
    [{ type: 'subscribe', topics: ['metric'] }, '/topics/0', /did you mean `metrics`/],
    [{ type: 'subscribe', topics: [] }, '/topics', /fewer than 1/],
    [{ type: 'subscribe', topics: ['metrics'], everyMs: 5 }, '/everyMs', />= 10/],
    [{ type: 'subscribe', topics: ['metrics'], everyMS: 50 }, '/everyMS', /unknown member `everyMS`.*`everyMs`/],
    [{ type: 'subscribe', topics: ['metrics'], fromSequence: '1' }, '/fromSequence', /must be integer/],
    [{ type: 'ping', id: 1 }, '/id', /unknown member `id`/],
  ];
  for (const [message, path, reason] of cases) {
    const { type, problem } = await client.ask(message);
    assert.deepEqual([type, problem.code, problem.status, problem.path], ['error', 'invalid-message', 400, path]);
    assert.match(problem.detail, reason);
  }
  sessions.emit('ses_1', metrics(1), event('still'));
  assert.deepEqual(notes(await client.settled()), ['still']);
});

test('a binary message is refused', async (context) => {
  const { connect } = await startStream(context);
  const client = await connect();
  client.socket.send(Buffer.from('{"type":"ping"}'));
  assert.match((await client.nextOf('error')).problem.detail, /binary/);
});

test('too many messages that are none close the connection with 4501', async (context) => {
  const { connect } = await startStream(context, { limits: { badMessagesPerMinute: 3 } });
  const client = await connect();
  for (let i = 0; i < 4; i++) client.send('nonsense');
  assert.equal((await client.closed).code, 4501);
  assert.equal(client.inbox.filter(({ type }) => type === 'error').length, 4);
});

test('too many messages or pings close the connection with 4002', async (context) => {
  const { connect } = await startStream(context, { limits: { messageBurst: 5 } });
  const [talker, pinger] = [await connect(), await connect()];
  for (let i = 0; i < 8; i++) talker.send({ type: 'ping' });
  for (let i = 0; i < 8; i++) pinger.socket.ping();
  for (const client of [talker, pinger]) {
    assert.equal((await client.closed).code, 4002);
    assert.equal(client.inbox.at(-1).problem.code, 'too-many-requests');
  }
});

test('a message beyond 64 KiB closes the connection with 1009, one of 64 KiB does not', async (context) => {
  const { connect } = await startStream(context);
  const client = await connect();
  const ping = JSON.stringify({ type: 'ping' });
  assert.equal((await client.ask(ping.padEnd(65_536))).type, 'pong');
  client.send(ping.padEnd(65_537));
  assert.equal((await client.closed).code, 1009);
});

test('the WebSocket that comes with Node understands the stream', async (context) => {
  const { port, sessions } = await startStream(context);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/sessions/lab/stream`, 'iommu-lab.v1');
  const types: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = reject;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      types.push(message.type);
      if (message.type === 'hello') socket.send(JSON.stringify({ type: 'subscribe', topics: ['events'] }));
      if (message.type === 'subscribed') sessions.emit('ses_1', event('a'));
      if (message.type === 'events') resolve();
    };
  });
  assert.deepEqual([socket.protocol, types], ['iommu-lab.v1', ['hello', 'subscribed', 'events']]);
  socket.close();
});

test('the topics and every example of the contract fit its own schemas', () => {
  assert.deepEqual(streamSchema('Topic').enum, TOPICS);
  const schemas = new Validators(false);
  let examples = 0;
  for (const [name, message] of Object.entries(streamContract.components.messages)) {
    const reference = String(message.payload.$ref).split('/').at(-1) as string;
    const validate = schemas.compile(streamSchema(reference));
    for (const { payload } of message.examples ?? []) {
      assert.equal(validate(payload), null, name);
      examples++;
    }
  }
  assert.ok(examples >= 4);
});
