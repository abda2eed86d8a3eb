/**
 * Server-sent events under a subscriber: the body of a reply that goes on.
 *
 * Source: HTML, section 9.2; RFC 9112 for the body, in chunks that Node makes. A client only listens, so nobody answers a heartbeat,
 * and one that is gone without a word is noticed by the network, or because nothing is taken any more.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { CloseCause } from './close-codes.ts';
import { type Frame, type History, jsonOf } from './history.ts';
import type { ServerMessage } from './messages.ts';
import type { Transport, TransportListener } from './transport.ts';
import { payloadLength } from './websocket-frame.ts';

export const EVENT_STREAM = 'text/event-stream';

/** Before a browser comes back. */
const RETRY_MS = 2_000;

export const EVENT_STREAM_HEADERS: Readonly<OutgoingHttpHeaders> = {
  'content-type': EVENT_STREAM,
  // Nobody on the way may keep it or change its form.
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
};

export class EventTransport implements Transport {
  private readonly reply: ServerResponse;
  private readonly closeMs: number;
  private closeTimer: NodeJS.Timeout | undefined;

  /** @param reply its head is written */
  constructor(reply: ServerResponse, closeMs: number) {
    this.reply = reply;
    this.closeMs = closeMs;
    reply.write(`retry: ${RETRY_MS}\n\n`);
  }

  listen(listener: TransportListener): void {
    this.reply.once('close', () => {
      clearTimeout(this.closeTimer);
      listener.gone();
    });
  }

  waitingBytes(): number {
    return this.reply.writableLength;
  }

  cork(): void {
    // The reply gathers what is written for one chunk, the socket the parts of the chunk.
    this.reply.socket?.cork();
    this.reply.cork();
  }

  uncork(): void {
    this.reply.uncork();
    this.reply.socket?.uncork();
  }

  frameBytes(frame: Frame): number {
    return payloadLength(frame.text);
  }

  sendFrame(frame: Frame, history: History, taken?: () => void): void {
    const { reply } = this;
    this.cork();
    reply.write(history.eventHeadOf(frame), 'latin1');
    reply.write(jsonOf(frame));
    reply.write('\n\n', 'latin1', taken);
    this.uncork();
  }

  say(message: ServerMessage, place: string | null): void {
    const id = place === null ? '' : `id: ${place}\n`;
    this.reply.write(`${id}event: ${message.type}\ndata: ${JSON.stringify(message)}\n\n`);
  }

  /** Nobody pings here. */
  pong(): void {}

  beat(): boolean {
    // What waits is a sign of life as it is.
    if (this.waitingBytes() === 0) this.reply.write(':\n\n');
    return false;
  }

  close({ code, reason }: CloseCause): void {
    this.say({ type: 'end', code, reason }, null);
    this.reply.end();
    this.closeTimer = setTimeout(() => this.reply.destroy(), this.closeMs);
    this.closeTimer.unref();
  }
}
