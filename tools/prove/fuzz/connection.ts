/**
 * A connection that sends what it is told, well-formed or not, several requests at once, and reads replies. HTTP clients refuse to send
 * most of what is sent here.
 */
import { connect, type Socket } from 'node:net';

export interface Reply {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
  /** The connection ended in the middle of it. */
  cut: boolean;
  /** It went on and on, as the history of a long run does, and nobody read its end; `body` is its beginning. */
  long: boolean;
}

/** So much of one reply is read. */
const LONGEST_BYTES = 64 * 2 ** 20;

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** Takes replies out of bytes. */
export class ReplyReader {
  private bytes: Buffer = Buffer.alloc(0);
  private head: { status: number; headers: Record<string, string> } | null = null;
  private chunks: Buffer[] = [];
  private chunkBytes = 0;
  private readonly isHead: () => boolean;
  private readonly take: (reply: Reply) => void;

  /** @param isHead whether the reply that begins is one to HEAD, and so without a body */
  constructor(isHead: () => boolean, take: (reply: Reply) => void) {
    this.isHead = isHead;
    this.take = take;
  }

  /** Whether a reply has begun and not ended. */
  get within(): boolean {
    return this.head !== null || this.bytes.length > 0;
  }

  /** @throws when it is no HTTP */
  feed(bytes: Buffer): void {
    this.bytes = this.bytes.length === 0 ? bytes : Buffer.concat([this.bytes, bytes]);
    while (this.step());
  }

  /** The connection has ended. */
  end(): void {
    if (this.head === null) return;
    const { headers } = this.head;
    const whole = headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
    if (this.bytes.length > 0 && whole) this.chunks.push(this.bytes);
    this.finish(!whole);
  }

  /** What came after a reply that was no HTTP any more, as after a 101. */
  rest(): Buffer {
    return this.bytes;
  }

  private step(): boolean {
    if (this.head === null) return this.readHead();
    const { headers } = this.head;
    if (headers['transfer-encoding'] !== undefined) return this.readChunk();
    const length = Number(headers['content-length']);
    if (headers['content-length'] === undefined || this.bytes.length < length) return false;
    this.chunks.push(this.bytes.subarray(0, length));
    this.bytes = this.bytes.subarray(length);
    this.finish(false);
    return true;
  }

  private readHead(): boolean {
    const end = this.bytes.indexOf(HEAD_END);
    if (end < 0) return false;
    const lines = this.bytes.toString('latin1', 0, end).split('\r\n');
    const match = /^HTTP\/1\.1 ([1-5][0-9][0-9]) /.exec(`${lines[0]} `);
    if (match === null) throw new Error(`no reply of HTTP/1.1: ${JSON.stringify(lines[0])}`);
    const status = Number(match[1]);
    const headers: Record<string, string> = {};
    for (const line of lines.slice(1)) {
      const colon = line.indexOf(':');
      if (colon <= 0 || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(line.slice(0, colon)))
        throw new Error(`no header of HTTP/1.1: ${JSON.stringify(line)}`);
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    if (status < 200 && status !== 101) {
      // Interim, such as 100 Continue: the reply follows.
      this.bytes = this.bytes.subarray(end + 4);
      return true;
    }
    this.bytes = this.bytes.subarray(end + 4);
    this.head = { status, headers };
    if (status === 101 || status === 204 || status === 304 || this.isHead()) {
      this.finish(false);
      return status !== 101;
    }
    return true;
  }

  private readChunk(): boolean {
    const line = this.bytes.indexOf(LINE_END);
    if (line < 0) return false;
    const size = Number.parseInt(this.bytes.toString('latin1', 0, line), 16);
    if (!Number.isSafeInteger(size)) throw new Error('a chunk of no size');
    const end = line + 2 + size;
    if (this.bytes.length < end + 2) return false;
    if (size > 0) this.chunks.push(this.bytes.subarray(line + 2, end));
    this.chunkBytes += size;
    this.bytes = this.bytes.subarray(end + 2);
    if (size === 0) this.finish(false);
    else if (this.chunkBytes > LONGEST_BYTES) {
      this.finish(false, true);
      return false;
    }
    return true;
  }

  private finish(cut: boolean, long = false): void {
    const { status, headers } = this.head!;
    const body = Buffer.concat(this.chunks).toString('utf8');
    this.head = null;
    this.chunks = [];
    this.chunkBytes = 0;
    this.take({ status, headers, body, cut, long });
  }
}

interface Waiting {
  bytes: Buffer;
  isHead: boolean;
  resolve: (reply: Reply | null) => void;
}

/** One connection, used for many requests. */
export class Connection {
  private readonly socket: Socket;
  private readonly waiting: Waiting[] = [];
  private readonly reader: ReplyReader;
  open = true;
  /** What of a reply made no sense. */
  trouble: Error | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new ReplyReader(
      () => this.waiting[0]?.isHead === true,
      (reply) => {
        const first = this.waiting.shift();
        if (first === undefined)
          this.fail(new Error(`a reply that nobody asked for: ${JSON.stringify(reply).slice(0, 500)}`));
        else first.resolve(reply);
        if (reply.long) this.destroy();
        if (reply.headers.connection === 'close' || reply.long) this.open = false;
      },
    );
    socket.on('data', (bytes: Buffer) => {
      try {
        this.reader.feed(bytes);
      } catch (error) {
        this.fail(error as Error);
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.open = false;
      this.reader.end();
      for (const { resolve } of this.waiting.splice(0)) resolve(null);
    });
  }

  static async to(port: number): Promise<Connection> {
    return new Connection(await connected(port));
  }

  private fail(error: Error): void {
    this.trouble = error;
    this.socket.destroy();
  }

  /** @returns null when the connection ended before there was a reply; whoever is not the first in line may ask again */
  send(bytes: Buffer, isHead: boolean): Promise<Reply | null> {
    return new Promise((resolve) => {
      this.waiting.push({ bytes, isHead, resolve });
      this.socket.write(bytes);
    });
  }

  /** The request that is to be answered next: the one that holds up those behind it. */
  get first(): Buffer | null {
    return this.waiting[0]?.bytes ?? null;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  socket.once('error', reject);
  await promise;
  socket.off('error', reject);
  // With half-open sockets nobody else does.
  socket.once('end', () => socket.end());
  return socket;
}
