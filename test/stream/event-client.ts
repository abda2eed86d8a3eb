/** A client of the stream's server-sent events, which keeps what it is sent and checks each message against the contract. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { assertFitsContract, type Message } from './stream-server.ts';

export interface Received {
  id: string | null;
  message: Message;
}

export class EventClient {
  readonly reply: IncomingMessage;
  /** Everything received and not yet taken by `next`. */
  readonly inbox: Received[] = [];
  /** Of the last event that had one, as a browser keeps it. */
  lastId: string | null = null;
  comments = 0;
  retryMs: number | null = null;
  /** Whether the body came to its end, or was cut. */
  readonly ended: Promise<'whole' | 'cut'>;
  private over = false;
  private text = '';
  private wake: (() => void) | null = null;

  private constructor(reply: IncomingMessage) {
    this.reply = reply;
    reply.setEncoding('utf8').on('data', (text: string) => this.take(text));
    reply.on('error', () => {});
    this.ended = new Promise((resolve) => {
      reply.once('close', () => {
        this.over = true;
        resolve(reply.complete ? 'whole' : 'cut');
        this.wake?.();
      });
    });
  }

  /** @throws when the answer is another one, with it as the message */
  static async open(port: number, path: string, headers: Record<string, string> = {}): Promise<EventClient> {
    const asked = request({
      port,
      host: '127.0.0.1',
      path,
      headers: { accept: 'text/event-stream', connection: 'keep-alive', ...headers },
      agent: false,
    }).end();
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', resolve);
      asked.once('error', reject);
    });
    asked.on('error', () => {});
    if (reply.statusCode === 200) {
      assert.equal(reply.headers['content-type'], 'text/event-stream');
      return new EventClient(reply);
    }
    let body = '';
    for await (const chunk of reply) body += chunk;
    throw new Error(`${reply.statusCode} ${body}`);
  }

  private take(text: string): void {
    this.text += text;
    for (;;) {
      const end = this.text.indexOf('\n\n');
      if (end < 0) return;
      this.takeBlock(this.text.slice(0, end));
      this.text = this.text.slice(end + 2);
    }
  }

  private takeBlock(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const [, name, value] = /^([a-z]*):(?: (.*))?$/s.exec(line) ?? [];
      assert.ok(name !== undefined && !fields.has(name), `a line of an event: ${JSON.stringify(line)}`);
      if (name === '') this.comments++;
      else fields.set(name, value ?? '');
    }
    const retry = fields.get('retry');
    if (retry !== undefined) this.retryMs = Number(retry);
    const data = fields.get('data');
    if (data === undefined) return;
    const message: Message = JSON.parse(data);
    assertFitsContract(message);
    assert.equal(fields.get('event'), message.type);
    const id = fields.get('id') ?? null;
    if (id !== null) this.lastId = id;
    this.inbox.push({ id, message });
    this.wake?.();
  }

  /** The next event, or undefined when the body has ended. */
  async next(): Promise<Received | undefined> {
    while (this.inbox.length === 0 && !this.over) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.inbox.shift();
  }

  /** Skips to the next message of a type. */
  async nextOf(type: string): Promise<Received> {
    for (;;) {
      const received = await this.next();
      assert.ok(received, `the body ended before a message of type ${type}`);
      if (received.message.type === type) return received;
    }
  }

  /** All up to the end of the body. */
  async rest(): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const received = await this.next();
      if (received === undefined) return messages;
      messages.push(received.message);
    }
  }

  stall(): void {
    this.reply.socket.pause();
  }
  recover(): void {
    this.reply.socket.resume();
  }

  /** Goes away without a word. */
  cut(): void {
    this.reply.socket.destroy();
  }
}
