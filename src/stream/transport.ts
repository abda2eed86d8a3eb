/** What carries messages to one client, and, if it can, from it: what to say, and when, is the subscriber's business. */
import type { CloseCause } from './close-codes.ts';
import type { Frame, History } from './history.ts';
import type { ServerMessage } from './messages.ts';

/** What comes from the client. */
export interface TransportListener {
  /** One whole message; text is known to be UTF-8. */
  message(data: Buffer, form: MessageForm): void;
  ping(data: Buffer): void;
  /** It was heard of otherwise. */
  alive(): void;
  /** The connection has ended; nothing follows. */
  gone(): void;
}

/** `unexpected`: binary, where text was agreed on. */
export type MessageForm = 'json' | 'cbor' | 'unexpected';

export interface Transport {
  /** Once, and before the turn of the event loop ends: what came with the request would be missed. */
  listen(listener: TransportListener): void;
  /** Written and not taken by the network. */
  waitingBytes(): number;
  /** What is written from here on leaves in one call of the operating system, */
  cork(): void;
  /** which is now. */
  uncork(): void;
  /** @returns bytes of the message, heads of the transport not counted */
  frameBytes(frame: Frame, history: History): number;
  /** @param taken called when the network has taken it, or never will */
  sendFrame(frame: Frame, history: History, taken?: () => void): void;
  /** @param place what a client goes on after that has had this message and nothing since, or null when that has not changed */
  say(message: ServerMessage, place: string | null): void;
  pong(data: Buffer): void;
  /** A sign of life. @returns whether the client has to answer it */
  beat(): boolean;
  /** Says why, waits a little for the client to agree, and drops the connection. */
  close(cause: CloseCause): void;
}

export function placeOf(epoch: string, sequence: number): string {
  return `${epoch}:${sequence}`;
}
