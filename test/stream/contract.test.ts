/**
 * `asyncapi.yaml` against real traffic: a whole server on the core, every message of every channel provoked, each checked by a
 * validator that is not the server's. What the contract has and nobody has seen, sent or received, fails the last test.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { decode, encode } from 'cbor2';
import { WebSocket } from 'ws';
import { streamContract, streamSchema } from '../../src/stream/contract.ts';
import { type GuardedServer, startGuarded } from '../access/guarded-server.ts';
import { until } from '../host/hosts.ts';
import { EventClient } from './event-client.ts';
import { type Message, schemasOf } from './stream-server.ts';

/** The channels of the contract by the way in which they are spoken. */
const CHANNELS = { text: 'stream', binary: 'binaryStream', events: 'eventStream' } as const;
type Way = keyof typeof CHANNELS;

interface Operation {
  action: 'send' | 'receive';
  channel: { $ref: string };
  messages: { $ref: string }[];
}

const operations = Object.values((streamContract as unknown as { operations: Record<string, Operation> }).operations);
const ajv = new Ajv2020({ strict: false, allErrors: true, discriminator: true, logger: false, validateFormats: false });
const validators = new Map<string, ValidateFunction>();

/** `text send metrics`, of all that the contract says is said. */
function declared(): string[] {
  return operations.flatMap(({ action, channel, messages }) => {
    const way = (Object.keys(CHANNELS) as Way[]).find((key) => channel.$ref === `#/channels/${CHANNELS[key]}`);
    assert.ok(way, `no test speaks ${channel.$ref}`);
    return messages.map(({ $ref }) => `${way} ${action} ${$ref.split('/').at(-1)}`);
  });
}

const seen = new Map<string, number>();

/** @param action as the server sees it */
function check(way: Way, action: 'send' | 'receive', message: Message): void {
  const key = `${way} ${action} ${message.type}`;
  const schema = schemasOf(CHANNELS[way]).get(message.type);
  assert.ok(schema, `the contract has no ${key}`);
  let validate = validators.get(schema);
  if (validate === undefined) validators.set(schema, (validate = ajv.compile(streamSchema(schema))));
  assert.ok(validate(message), `${key}: ${JSON.stringify(validate.errors)}\n${JSON.stringify(message).slice(0, 2000)}`);
  seen.set(key, (seen.get(key) ?? 0) + 1);
}

/** A client whose every message, either way, is checked. */
interface Listener {
  received: Message[];
  close(): void;
}

interface Speaker extends Listener {
  say(message: Message): void;
  closed: Promise<number>;
}

async function speaker(port: number, session: string, way: 'text' | 'binary'): Promise<Speaker> {
  const url = `ws://127.0.0.1:${port}/v1/sessions/${session}/stream`;
  const socket = new WebSocket(url, way === 'binary' ? 'iommu-lab.v1.cbor' : 'iommu-lab.v1');
  const received: Message[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  socket.on('message', (data: Buffer, isBinary) => {
    assert.equal(isBinary, way === 'binary');
    const message = isBinary ? decode<Message>(data) : JSON.parse(data.toString());
    received.push(message);
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const say = (message: Message): void => {
    check(way, 'receive', message);
    socket.send(way === 'binary' ? encode(message) : JSON.stringify(message));
  };
  return { received, say, closed, close: () => socket.close() };
}

async function eventListener(port: number, session: string, query: string): Promise<Listener> {
  const client = await EventClient.open(port, `/v1/sessions/${session}/stream${query}`);
  const received: Message[] = [];
  void (async () => {
    for (;;) {
      const event = await client.next();
      if (event === undefined) return;
      received.push(event.message);
    }
  })();
  return { received, close: () => client.cut() };
}

/** What there is to check so far; the checks are made here, so that a failure is the test's. */
function checkAll(way: Way, { received }: Listener): void {
  for (const message of received.splice(0)) check(way, 'send', message);
}

const TOPICS = ['metrics', 'events', 'faults', 'verdicts', 'runs'];

describe('the contract of the stream', () => {
  let server: GuardedServer;
  let serial = 0;
  const ends: (() => unknown)[] = [];
  before(async () => {
    server = await startGuarded({ after: (end) => ends.push(end) });
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  /** A session in which everything happens that there are frames for: a device whose accesses miss, under deferred flushes. */
  async function busySession(): Promise<string> {
    const name = `busy-${++serial}`;
    const made = await server.as(null)('POST', '/v1/sessions', { preset: 'thread-2008', name });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id } = made.body;
    // An access that is no workload's has a verdict and a fault as well.
    const { items } = (await server.as(null)('GET', `/v1/sessions/${id}/devices`)).body;
    const access = { iova: '0x1000', lengthBytes: 64, access: 'read' };
    const { status } = await server.as(null)('POST', `/v1/sessions/${id}/devices/${items[0].id}/dma`, access);
    assert.equal(status, 200);
    return id;
  }

  async function run(session: string): Promise<void> {
    const started = await server.as(null)('POST', `/v1/sessions/${session}/runs`, { operations: 20_000 });
    assert.equal(started.status, 202, JSON.stringify(started.body));
  }

  const has = ({ received }: Listener, ...types: string[]): boolean =>
    types.every((type) => received.some((message) => message.type === type));

  for (const way of ['text', 'binary'] as const) {
    test(`${way}: frames of all topics, answers, gaps and a reset`, async () => {
      const session = await busySession();
      const client = await speaker(server.port, session, way);
      client.say({ type: 'subscribe', topics: TOPICS, everyMs: 10, fromSequence: 0 });
      client.say({ type: 'ping' });
      await run(session);
      await until('frames of all topics', () => has(client, 'subscribed', 'pong', ...TOPICS));
      client.say({ type: 'subscribe', topics: ['events'], epoch: 'gone', fromSequence: 5 });
      client.say({ type: 'unsubscribe', topics: ['verdicts'] });
      client.say({ type: 'unsubscribe' });
      // The contract has it, and still it cannot be done.
      client.say({ type: 'subscribe', topics: ['events'], fromSequence: 1e9 });
      await until('the answers', () => has(client, 'gap', 'unsubscribed', 'error'));
      await until('the end of the run', async () => {
        const { body } = await server.as(null)('GET', `/v1/sessions/${session}/runs/run_1`);
        return body.state === 'finished';
      });
      await server.as(null)('POST', `/v1/sessions/${session}/reset`);
      await until('the new epoch', () => has(client, 'epoch'));
      checkAll(way, client);
      await server.as(null)('DELETE', `/v1/sessions/${session}`);
      assert.equal(await client.closed, 4500);
      checkAll(way, client);
    });
  }

  test('events: frames of all topics, a gap, a reset and the end', async () => {
    const session = await busySession();
    const client = await eventListener(server.port, session, '?everyMs=10&fromSequence=3&epoch=gone');
    await run(session);
    await until('frames of all topics', () => has(client, 'hello', 'subscribed', 'gap', ...TOPICS));
    await until('the end of the run', async () => {
      const { body } = await server.as(null)('GET', `/v1/sessions/${session}/runs/run_1`);
      return body.state === 'finished';
    });
    await server.as(null)('POST', `/v1/sessions/${session}/reset`);
    await until('the new epoch', () => has(client, 'epoch'));
    await server.as(null)('DELETE', `/v1/sessions/${session}`);
    await until('the end', () => has(client, 'end'));
    checkAll('events', client);
  });

  test('a shutdown is told in every way', async () => {
    const session = await busySession();
    const clients: [Way, Listener][] = [
      ['text', await speaker(server.port, session, 'text')],
      ['binary', await speaker(server.port, session, 'binary')],
      ['events', await eventListener(server.port, session, '')],
    ];
    for (const [way, client] of clients) await until(`the greeting, ${way}`, () => has(client, 'hello'));
    await server.app.close();
    for (const [way, client] of clients) {
      await until(`the end, ${way}`, () => has(client, 'shutdown'));
      checkAll(way, client);
    }
  });

  test('no message of the contract is untested, in any way that it is said', () => {
    const missing = declared().filter((key) => !seen.has(key));
    assert.deepEqual(missing, []);
    assert.deepEqual(
      [...seen.keys()].filter((key) => !declared().includes(key)),
      [],
    );
    // And each channel says in its operations all that it has.
    for (const [way, channel] of Object.entries(CHANNELS)) {
      const said = declared().filter((key) => key.startsWith(`${way} `));
      assert.deepEqual(said.map((key) => key.split(' ')[2]).sort(), [...schemasOf(channel).keys()].sort());
    }
  });

  test('what does not fit is noticed: a frame with a member too many, of another type, or without its place', () => {
    const frame = { type: 'events', epoch: 'e', sequence: 1, timeNs: 0, data: { items: [], dropped: 0 } };
    check('text', 'send', frame);
    for (const bad of [
      { ...frame, extra: 1 },
      { ...frame, type: 'event' },
      { ...frame, sequence: 0 },
      { ...frame, data: { items: [{}], dropped: 0 } },
      { ...frame, epoch: undefined },
    ])
      assert.throws(() => check('text', 'send', bad));
    assert.throws(() => check('text', 'receive', { type: 'subscribe', topics: [] }));
    assert.throws(() => check('events', 'send', { type: 'pong', epoch: 'e', sequence: 0, timeNs: 0 }));
  });
});
