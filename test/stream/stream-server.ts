/** A real server with the stream and nothing else, its frames emitted by hand, and clients that keep what they are sent. */
import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import { WebSocket } from 'ws';
import { answerProblems } from '../../routes/problem-replies.ts';
import { registerStream } from '../../routes/stream.ts';
import { Validators } from '../../src/api/validator.ts';
import type { FrameListener, SessionFrame } from '../../src/host/host.ts';
import { decodeCbor } from '../../src/stream/cbor.ts';
import { streamContract, streamSchema } from '../../src/stream/contract.ts';
import { createStream, type StreamHub, type StreamOptions } from '../../src/stream/hub.ts';

/** The part of the host that the stream uses; sessions are what the test says. */
export class FakeSessions {
  /** Id to epoch. */
  readonly epochs = new Map<string, string>();
  readonly names = new Map<string, string>();
  private listener: FrameListener | undefined;

  resolve(session: string): string | null {
    const id = this.names.get(session) ?? session;
    return this.epochs.has(id) ? id : null;
  }
  epochOf(session: string): string | null {
    return this.epochs.get(session) ?? null;
  }
  listen(listener: FrameListener): void {
    this.listener = listener;
  }

  create(id: string, name?: string): void {
    this.epochs.set(id, `epo_${id}_1`);
    if (name !== undefined) this.names.set(name, id);
  }
  emit(id: string, ...frames: SessionFrame[]): void {
    this.listener!.frames(id, this.epochs.get(id)!, frames);
  }
  reset(id: string, epoch: string): void {
    this.epochs.set(id, epoch);
    this.listener!.epoch(id, epoch);
  }
  fail(id: string): void {
    this.listener!.failed(id);
  }
  delete(id: string): void {
    this.epochs.delete(id);
    this.listener!.deleted(id);
  }
}

let serial = 0;

/** @param note told apart in the frame's data; `padBytes` makes it heavier */
export function event(note: string | number, padBytes = 0): SessionFrame {
  const item = { timeNs: ++serial, type: 'test', note, pad: 'x'.repeat(padBytes) };
  return { type: 'events', timeNs: serial, data: JSON.stringify({ items: [item], dropped: 0 }) };
}

export function metrics(operations: number): SessionFrame {
  return { type: 'metrics', timeNs: ++serial, data: JSON.stringify({ timeNs: serial, operations }) };
}

export interface StreamServer {
  app: FastifyInstance;
  hub: StreamHub;
  sessions: FakeSessions;
  port: number;
  connect(path?: string, options?: { protocols?: string[]; headers?: Record<string, string> }): Promise<Client>;
}

/** Has a session `ses_1`, by name `lab`. */
export async function startStream(context: TestContext, options: StreamOptions = {}): Promise<StreamServer> {
  const sessions = new FakeSessions();
  sessions.create('ses_1', 'lab');
  const app = fastify({ forceCloseConnections: true });
  const hub = createStream(sessions, { ...options, limits: { closeMs: 300, ...options.limits } });
  await registerStream(app, hub);
  answerProblems(app);
  app.get('/v1/sessions', async () => ({ items: [] }));
  await app.listen({ port: 0, host: '127.0.0.1' });
  context.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  return {
    app,
    hub,
    sessions,
    port,
    connect: (path = '/v1/sessions/ses_1/stream', { protocols = [], headers = {} } = {}) =>
      Client.open(new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers })),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: messages are checked against the contract as they come in, then taken apart freely
export type Message = any;

interface ChannelMessages {
  messages: Record<string, { $ref?: string; payload?: { $ref: string } }>;
}

/** What a channel of the contract sends or takes, by `type`: the name of its schema. */
export function schemasOf(channel: string): Map<string, string> {
  const { messages } = (streamContract.channels as Record<string, ChannelMessages>)[channel]!;
  return new Map(
    Object.entries(messages).map(([type, message]) => {
      const payload = message.payload ?? streamContract.components.messages[type]!.payload;
      return [type, String(payload.$ref).split('/').at(-1)!];
    }),
  );
}

const validators = new Validators(false);
const byType = new Map(
  [...schemasOf('stream'), ...schemasOf('eventStream')].map(([type, schema]) => [
    type,
    validators.compile(streamSchema(schema)),
  ]),
);

/** Every message that any test sees fits `asyncapi.yaml`. */
export function assertFitsContract(message: Message): void {
  const validate = byType.get(message.type);
  assert.ok(validate, `the contract has no message of type ${message.type}`);
  assert.deepEqual(validate(message), null, JSON.stringify(message));
}

export class Client {
  readonly socket: WebSocket;
  /** Everything received and not yet taken by `next`. */
  readonly inbox: Message[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  private wake: (() => void) | null = null;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => {
      assert.equal(isBinary, socket.protocol === 'iommu-lab.v1.cbor');
      const message: Message = isBinary ? decodeCbor(data as Buffer) : JSON.parse(data.toString());
      assertFitsContract(message);
      this.inbox.push(message);
      this.wake?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.wake?.();
      });
    });
  }

  static async open(socket: WebSocket): Promise<Client> {
    const client = new Client(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next message, or undefined when the connection has ended. */
  async next(): Promise<Message> {
    while (this.inbox.length === 0 && this.socket.readyState !== WebSocket.CLOSED) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.inbox.shift();
  }

  /** Skips to the next message of a type. */
  async nextOf(type: string): Promise<Message> {
    for (;;) {
      const message = await this.next();
      assert.ok(message, `the connection ended before a message of type ${type}`);
      if (message.type === type) return message;
    }
  }

  /** Sends it and returns the answer, which is the next message but for frames. */
  async ask(message: unknown): Promise<Message> {
    this.send(message);
    for (;;) {
      const answer = await this.next();
      assert.ok(answer, 'the connection ended without an answer');
      if (['subscribed', 'unsubscribed', 'pong', 'error'].includes(answer.type)) return answer;
    }
  }

  /** Everything sent before now has arrived when a `pong` has. */
  async settled(): Promise<Message[]> {
    const before: Message[] = [];
    this.send({ type: 'ping' });
    for (;;) {
      const message = await this.next();
      assert.ok(message, 'the connection ended');
      if (message.type === 'pong') return before;
      before.push(message);
    }
  }

  /** Stops reading from the network, as a program that hangs does. */
  stall(): void {
    this.raw().pause();
  }
  recover(): void {
    this.raw().resume();
  }
  private raw(): Socket {
    return (this.socket as unknown as { _socket: Socket })._socket;
  }
}

export function notes(messages: readonly Message[]): unknown[] {
  return messages.filter(({ type }) => type === 'events').map(({ data }) => data.items[0].note);
}
