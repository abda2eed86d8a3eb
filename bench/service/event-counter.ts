/** As `FrameCounter`, of server-sent events: counts those that begin as the bench's frames do, and `hello` and `subscribed`. */
import { connect, type Socket } from 'node:net';

const BEGINS = ['hello', 'subscribed', 'events'].map((type) => Buffer.from(`\nevent: ${type}\ndata: `));
const LONGEST = Math.max(...BEGINS.map(({ length }) => length));

export class EventCounter {
  frames = 0;
  private readonly socket: Socket;
  private readonly counted: () => void;
  /** The end of the last chunk, in which an event may have begun. */
  private tail: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, counted: () => void) {
    this.socket = socket;
    this.counted = counted;
    socket.on('data', (chunk: Buffer) => this.take(chunk));
  }

  static open(port: number, path: string, counted: () => void): EventCounter {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n\r\n`);
    return new EventCounter(socket, counted);
  }

  /** Nothing can be said. */
  say(): void {}

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    const bytes = this.tail.length > 0 ? Buffer.concat([this.tail, chunk]) : chunk;
    const before = this.frames;
    let end = 0;
    for (const begin of BEGINS) {
      for (let at = bytes.indexOf(begin); at >= 0; at = bytes.indexOf(begin, at + begin.length)) {
        this.frames++;
        end = Math.max(end, at + begin.length);
      }
    }
    this.tail = bytes.subarray(Math.max(end, bytes.length - LONGEST + 1));
    if (this.frames !== before) this.counted();
  }
}
