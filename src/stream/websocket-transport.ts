/** A WebSocket under a subscriber. Its messages are JSON in text, or CBOR in binary, as was agreed on in the handshake. */
import type { Socket } from 'node:net';
import type { WebSocket } from '@fastify/websocket';
import { encodeCbor } from './cbor.ts';
import type { CloseCause } from './close-codes.ts';
import type { Frame, History } from './history.ts';
import type { ServerMessage } from './messages.ts';
import type { Transport, TransportListener } from './transport.ts';
import { BINARY_SUBPROTOCOL } from './websocket.ts';
import { payloadLength } from './websocket-frame.ts';

const AS_TEXT = { binary: false } as const;
const AS_BINARY = { binary: true } as const;

export class WebSocketTransport implements Transport {
  private readonly socket: WebSocket;
  /** The connection under it. */
  private readonly wire: Socket;
  private readonly closeMs: number;
  private readonly binary: boolean;
  private closeTimer: NodeJS.Timeout | undefined;

  constructor(socket: WebSocket, wire: Socket, closeMs: number) {
    this.socket = socket;
    this.wire = wire;
    this.closeMs = closeMs;
    this.binary = socket.protocol === BINARY_SUBPROTOCOL;
  }

  listen(listener: TransportListener): void {
    const { socket, binary } = this;
    socket.on('message', (data, isBinary) => {
      listener.message(data as Buffer, isBinary ? (binary ? 'cbor' : 'unexpected') : 'json');
    });
    socket.on('ping', (data) => listener.ping(data));
    socket.on('pong', () => listener.alive());
    socket.once('close', () => {
      clearTimeout(this.closeTimer);
      listener.gone();
    });
  }

  /** Nothing waits in the WebSocket itself: it compresses nothing. */
  waitingBytes(): number {
    return this.wire.writableLength;
  }

  cork(): void {
    this.wire.cork();
  }

  uncork(): void {
    this.wire.uncork();
  }

  frameBytes(frame: Frame, history: History): number {
    return payloadLength(this.binary ? history.binaryOf(frame) : frame.text);
  }

  /** Past the WebSocket, which would make a head for each client. */
  sendFrame(frame: Frame, history: History, taken?: () => void): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    this.wire.write(this.binary ? history.binaryOf(frame) : frame.text, taken);
  }

  say(message: ServerMessage): void {
    if (this.binary) this.socket.send(encodeCbor(message), AS_BINARY);
    else this.socket.send(JSON.stringify(message), AS_TEXT);
  }

  pong(data: Buffer): void {
    this.socket.pong(data);
  }

  beat(): boolean {
    this.socket.ping();
    return true;
  }

  close({ code, reason }: CloseCause): void {
    this.socket.close(code, reason);
    this.closeTimer = setTimeout(() => this.socket.terminate(), this.closeMs);
    this.closeTimer.unref();
  }
}
