import assert from 'node:assert/strict';
import { test } from 'node:test';
import { event, metrics, notes, startStream } from './stream-server.ts';

const EVENTS = { type: 'subscribe', topics: ['events'] };

test('fromSequence is inclusive: what was missed follows, and then what is new, without a gap', async (context) => {
  const { connect, sessions } = await startStream(context);
  for (let i = 1; i <= 5; i++) sessions.emit('ses_1', event(i), metrics(i));
  const client = await connect();
  const { epoch, sequence } = await client.next();
  const answer = await client.ask({ ...EVENTS, epoch, fromSequence: 5 });
  assert.deepEqual([sequence, answer.sequence], [10, 5]);
  sessions.emit('ses_1', event(6));
  const messages = await client.settled();
  assert.deepEqual(notes(messages), [3, 4, 5, 6]);
  assert.equal(messages.length, 4);
});

test('fromSequence 0 and 1 are the beginning, one more than the newest is nothing, and more is an error', async (context) => {
  const { connect, sessions } = await startStream(context);
  sessions.emit('ses_1', event(1), event(2));
  for (const [fromSequence, expected] of [
    [0, [1, 2]],
    [1, [1, 2]],
    [3, []],
  ] as const) {
    const client = await connect();
    await client.ask({ ...EVENTS, fromSequence });
    assert.deepEqual(notes(await client.settled()), expected);
  }
  const client = await connect();
  const { problem } = await client.ask({ ...EVENTS, fromSequence: 4 });
  assert.deepEqual([problem.code, problem.path], ['invalid-message', '/fromSequence']);
  sessions.emit('ses_1', event(3));
  assert.deepEqual(await client.settled(), []);
});

test('what has left the history by number is named by a gap, and the rest follows', async (context) => {
  const { connect, sessions } = await startStream(context, { limits: { historyFrames: 4 } });
  for (let i = 1; i <= 10; i++) sessions.emit('ses_1', event(i));
  const client = await connect();
  const answer = await client.ask({ ...EVENTS, fromSequence: 3 });
  assert.equal(answer.sequence, 7);
  const messages = await client.settled();
  assert.deepEqual(messages[0], { type: 'gap', epoch: 'epo_ses_1_1', from: 3, to: 6, reason: 'evicted' });
  assert.deepEqual(notes(messages), [7, 8, 9, 10]);
});

test('the history forgets by age, by bytes, and by the bytes of all sessions together', async (context) => {
  let nowMs = 0;
  const limits = { historyMs: 1000, historyBytes: 10_000, totalHistoryBytes: 15_000 };
  const { connect, sessions, hub } = await startStream(context, { nowMs: () => nowMs, limits });
  const gapOf = async (id: string) => {
    const client = await connect(`/v1/sessions/${id}/stream`);
    await client.ask({ ...EVENTS, fromSequence: 1 });
    return (await client.settled()).find(({ type }) => type === 'gap');
  };
  sessions.emit('ses_1', event(1));
  nowMs = 1001;
  sessions.emit('ses_1', event(2));
  assert.deepEqual([(await gapOf('ses_1')).from, (await gapOf('ses_1')).to], [1, 1]);
  nowMs = 5000;
  for (let i = 0; i < 20; i++) sessions.emit('ses_1', event(i, 900));
  assert.ok(hub.status().historyBytes <= 10_000);
  assert.equal((await gapOf('ses_1')).reason, 'evicted');
  sessions.create('ses_2');
  for (let i = 0; i < 6; i++) sessions.emit('ses_2', event(i, 900));
  assert.ok(hub.status().historyBytes <= 15_000 && hub.status().historyBytes > 10_000);
  assert.equal(await gapOf('ses_2'), undefined, 'the fuller history gives way');
  nowMs = 7000;
  sessions.emit('ses_1', event('last'));
  sessions.emit('ses_2', event('last'));
  assert.ok(hub.status().historyBytes < 1000);
});

test('another epoch is a gap, and then comes what there is of the current one', async (context) => {
  const { connect, sessions } = await startStream(context);
  sessions.emit('ses_1', event(1), event(2));
  const client = await connect();
  await client.ask({ ...EVENTS, epoch: 'epo_before_the_restart', fromSequence: 900 });
  const messages = await client.settled();
  const { epoch, from, to, reason } = messages[0];
  assert.deepEqual([epoch, from, to, reason], ['epo_before_the_restart', 900, null, 'other-epoch']);
  assert.deepEqual(notes(messages), [1, 2]);
});

test('a topic that is resumed does not repeat the others', async (context) => {
  const { connect, sessions } = await startStream(context);
  const client = await connect();
  await client.ask(EVENTS);
  sessions.emit('ses_1', event(1), metrics(1), event(2));
  assert.deepEqual(notes(await client.settled()), [1, 2]);
  await client.ask({ type: 'subscribe', topics: ['metrics'], fromSequence: 1 });
  sessions.emit('ses_1', event(3));
  const messages = await client.settled();
  assert.deepEqual(
    messages.map(({ sequence }) => sequence),
    [2, 4],
  );
});

test('thousands of missed frames come in order and complete, with new ones behind them', async (context) => {
  const { connect, sessions } = await startStream(context);
  for (let i = 1; i <= 3000; i++) sessions.emit('ses_1', event(i, 200));
  const client = await connect();
  await client.ask({ ...EVENTS, fromSequence: 1 });
  for (let i = 3001; i <= 3010; i++) sessions.emit('ses_1', event(i));
  for (let i = 1; i <= 3010; i++) assert.equal((await client.nextOf('events')).sequence, i);
});

test('a reset starts a new epoch, told to every client, and counting starts again', async (context) => {
  const { connect, sessions } = await startStream(context);
  const [listener, bystander] = [await connect(), await connect()];
  await listener.ask(EVENTS);
  sessions.emit('ses_1', event('old'));
  sessions.reset('ses_1', 'epo_2');
  sessions.emit('ses_1', event('new'));
  const [old, change, fresh, ...rest] = await listener.settled();
  assert.deepEqual(change, { type: 'epoch', epoch: 'epo_2', previous: 'epo_ses_1_1', sequence: 0 });
  assert.deepEqual(notes([old, fresh]), ['old', 'new']);
  assert.deepEqual([fresh.epoch, fresh.sequence, rest.length], ['epo_2', 1, 0]);
  assert.equal((await bystander.nextOf('epoch')).epoch, 'epo_2');
  const back = await connect();
  await back.ask({ ...EVENTS, epoch: 'epo_ses_1_1', fromSequence: 2 });
  const messages = await back.settled();
  assert.deepEqual([messages[0].reason, notes(messages)], ['other-epoch', ['new']]);
});

test('a frame larger than a frame may be is replaced by a gap', async (context) => {
  const { connect, sessions } = await startStream(context, { limits: { frameBytes: 1000 } });
  const client = await connect();
  await client.ask(EVENTS);
  sessions.emit('ses_1', event('small'), event('large', 2000), event('small again'));
  const [, gap, ...rest] = await client.settled();
  assert.deepEqual([gap.from, gap.to, gap.reason, gap.dropped], [2, 2, 'too-large', { events: 1 }]);
  assert.deepEqual(notes(rest), ['small again']);
});
