/**
 * A client that counts frames and does nothing else with them, so that the one thread of the client keeps up with what a server
 * sends to a thousand of them. RFC 6455: the handshake by hand, frames of a server are not masked and here not fragmented.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
/** RFC 6455's own example; the server's answer to it is not looked at. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export class FrameCounter {
  frames = 0;
  private readonly socket: Socket;
  private readonly counted: () => void;
  /** Bytes of the frame in progress that are still to come. */
  private left = 0;
  /** Of a header that a chunk cut in two. */
  private cut: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, counted: () => void) {
    this.socket = socket;
    this.counted = counted;
  }

  /** @param counted called after each chunk that ended a frame */
  static async open(port: number, path: string, counted: () => void, subprotocol?: string): Promise<FrameCounter> {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const head = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${KEY}`,
      ...(subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    ];
    socket.write(`${head.join('\r\n')}${HEAD_END}`);
    let got = Buffer.alloc(0);
    while (!got.includes(HEAD_END)) got = Buffer.concat([got, (await once(socket, 'data'))[0] as Buffer]);
    if (!got.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(got.toString());
    const counter = new FrameCounter(socket, counted);
    socket.on('data', (chunk: Buffer) => counter.take(chunk));
    counter.take(got.subarray(got.indexOf(HEAD_END) + HEAD_END.length));
    return counter;
  }

  /** Sends a text message of at most 125 bytes, masked with zeros. */
  say(message: object): void {
    const text = Buffer.from(JSON.stringify(message));
    this.socket.write(Buffer.concat([Buffer.of(0x81, 0x80 | text.length, 0, 0, 0, 0), text]));
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    const bytes = this.cut.length > 0 ? Buffer.concat([this.cut, chunk]) : chunk;
    const before = this.frames;
    let at = 0;
    for (;;) {
      const step = Math.min(this.left, bytes.length - at);
      at += step;
      this.left -= step;
      if (this.left > 0 || bytes.length - at < 2) break;
      const short = bytes[at + 1]! & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (bytes.length - at < head) break;
      this.left =
        short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
      at += head;
      this.frames++;
    }
    this.cut = bytes.subarray(at);
    if (this.frames !== before) this.counted();
  }
}
