/**
 * A client that notes which frames came when, and does no more with them, so that one thread keeps up with what a server sends to a
 * thousand. RFC 6455: frames of a server are not masked, and these are not in parts; pings are answered.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { sharedClockMs } from './questions.ts';

const HEAD_END = '\r\n\r\n';
/** RFC 6455's own example; the server's answer to it is not looked at. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** Of a longer message only the beginning is kept: what it is, and its number. */
const KEPT_BYTES = 4096;
const PLACE = /^\{"type":"(\w+)","epoch":"[^"]*","sequence":(\d+),"timeNs":/;

const CLOSE = 8;
const PING = 9;
const PONG = 10;

export interface ToldGap {
  from: number | null;
  to: number | null;
  dropped?: Record<string, number>;
}

export class Listener {
  /** Of the metrics, in the order in which they came; and when. */
  sequences: number[] = [];
  atMs: number[] = [];
  readonly gaps: ToldGap[] = [];
  /** Where it was told that its frames begin. */
  from: number | null = null;
  /** Of the connection, when the server ended it. */
  closeCode: number | null = null;
  private readonly socket: Socket;
  /** Bytes of the frame in progress that are still to come. */
  private left = 0;
  private opcode = 0;
  private payloadLength = 0;
  private readonly kept = Buffer.allocUnsafe(KEPT_BYTES);
  private keptBytes = 0;
  /** Of a header that a chunk cut in two. */
  private cut: Buffer | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
  }

  static async open(port: number, path: string): Promise<Listener> {
    const socket = connect(port, '127.0.0.1');
    const listener = new Listener(socket);
    const head = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${KEY}`,
    ];
    socket.write(`${head.join('\r\n')}${HEAD_END}`);
    let got = Buffer.alloc(0);
    while (!got.includes(HEAD_END)) got = Buffer.concat([got, (await once(socket, 'data'))[0] as Buffer]);
    if (!got.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(got.toString());
    socket.on('data', (chunk: Buffer) => listener.take(chunk));
    listener.take(got.subarray(got.indexOf(HEAD_END) + HEAD_END.length));
    return listener;
  }

  /** Sends a text message of at most 125 bytes, masked with zeros. */
  say(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    this.socket.write(Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), text]));
  }

  /** What came so far. */
  forget(): void {
    this.sequences = [];
    this.atMs = [];
    this.gaps.length = 0;
  }

  stall(): void {
    this.socket.pause();
  }

  close(): void {
    this.socket.destroy();
  }

  /** Bytes as the network brought them. */
  take(chunk: Buffer): void {
    const bytes = this.cut === null ? chunk : Buffer.concat([this.cut, chunk]);
    this.cut = null;
    let at = 0;
    for (;;) {
      if (this.left > 0) {
        const step = Math.min(this.left, bytes.length - at);
        const room = Math.min(step, KEPT_BYTES - this.keptBytes);
        bytes.copy(this.kept, this.keptBytes, at, at + room);
        this.keptBytes += room;
        at += step;
        this.left -= step;
        if (this.left > 0) return;
        this.ended();
      }
      const begun = this.begin(bytes, at);
      if (begun === 0) break;
      at += begun;
    }
    if (at < bytes.length) this.cut = bytes.subarray(at);
  }

  /** @returns bytes of the header, 0 when it is not all there */
  private begin(bytes: Buffer, at: number): number {
    const there = bytes.length - at;
    if (there < 2) return 0;
    const short = bytes[at + 1]! & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (there < head) return 0;
    this.opcode = bytes[at]! & 15;
    this.payloadLength =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    this.left = this.payloadLength;
    this.keptBytes = 0;
    if (this.left === 0) this.ended();
    return head;
  }

  private ended(): void {
    const { opcode, kept, keptBytes } = this;
    if (opcode === PING) {
      this.socket.write(
        Buffer.concat([Buffer.of(0x80 | PONG, 0x80 | keptBytes, 0, 0, 0, 0), kept.subarray(0, keptBytes)]),
      );
    } else if (opcode === CLOSE) {
      this.closeCode = keptBytes >= 2 ? kept.readUInt16BE(0) : 1005;
    } else if (opcode !== PONG) {
      this.noteMessage(kept.toString('latin1', 0, Math.min(keptBytes, 256)));
    }
  }

  private noteMessage(start: string): void {
    const [, type, sequence] = PLACE.exec(start) ?? [];
    if (type === 'metrics') {
      this.sequences.push(Number(sequence));
      this.atMs.push(sharedClockMs());
    } else if (type === undefined) {
      const message = JSON.parse(this.kept.toString('utf8', 0, this.payloadLength));
      if (message.type === 'gap') this.gaps.push(message);
      else if (message.type === 'subscribed') this.from = message.sequence;
    }
  }
}
