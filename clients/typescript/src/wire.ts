/**
 * The three ways to a stream, made one: a WebSocket with text or binary messages, or server-sent events read from a `fetch`, which, unlike
 * an `EventSource`, can bring a token. Messages come out as objects; the end comes with a close code whichever way it was.
 */
import { decodeCbor } from './cbor.ts';
import { IommuLabError } from './errors.ts';
import type { Subscribe, Topic } from './generated/stream-messages.ts';
import { linesOf } from './lines.ts';
import { platform, type WebSocketClass } from './platform.ts';
import type { Transport } from './transport.ts';

export type Way = 'websocket' | 'binary' | 'events';

export interface Wish {
  session: string;
  topics: readonly Topic[] | undefined;
  everyMs: number | undefined;
  /** Go on behind this frame. */
  after: { epoch: string; sequence: number } | undefined;
}

export interface WireEvents {
  /** Anything at all has come, if only a sign of life. */
  heard(): void;
  message(message: unknown): void;
  /** Told once, and nothing after it. `error` where a refusal says more than the code; 1006 where there was no code. */
  ended(code: number, reason: string, error?: unknown): void;
}

export interface Wire {
  /** Asks for a sign of life; where that cannot be asked for, the server gives one by itself. */
  ping(): void;
  close(): void;
}

/** As of a connection that was cut. */
export const NO_CODE = 1006;
const PROTOCOL: Record<'websocket' | 'binary', string> = {
  websocket: 'iommu-lab.v1',
  binary: 'iommu-lab.v1.cbor',
};

const pathOf = ({ session }: Wish): string => `/v1/sessions/${encodeURIComponent(session)}/stream`;

const ALL_TOPICS: readonly Topic[] = ['metrics', 'events', 'faults', 'verdicts', 'runs'];

export function openSocket(
  transport: Transport,
  Class: WebSocketClass,
  way: 'websocket' | 'binary',
  wish: Wish,
  token: string | undefined,
  events: WireEvents,
): Wire {
  const { topics = ALL_TOPICS, everyMs, after } = wish;
  const protocols = [PROTOCOL[way]];
  if (token !== undefined) protocols.push(`bearer.${base64Url(token)}`);
  const socket = new Class(transport.base.replace(/^http/, 'ws') + pathOf(wish), protocols);
  socket.binaryType = 'arraybuffer';
  let isOver = false;
  const end = (code: number, reason: string, error?: unknown): void => {
    if (isOver) return;
    isOver = true;
    events.ended(code, reason, error);
  };
  socket.addEventListener('open', () => {
    const subscribe: Subscribe = { type: 'subscribe', topics: [...topics] };
    if (everyMs !== undefined) subscribe.everyMs = everyMs;
    if (after !== undefined) Object.assign(subscribe, { epoch: after.epoch, fromSequence: after.sequence + 1 });
    socket.send(JSON.stringify(subscribe));
  });
  socket.addEventListener('message', ({ data }) => {
    if (isOver) return;
    events.heard();
    let message: unknown;
    try {
      message = typeof data === 'string' ? JSON.parse(data) : decodeCbor(new Uint8Array(data as ArrayBuffer));
    } catch (error) {
      socket.close(1000);
      end(NO_CODE, 'a message could not be read', error);
      return;
    }
    events.message(message);
  });
  // What failed is said to no page; the close that follows has the code, if there is one.
  socket.addEventListener('error', () => undefined);
  socket.addEventListener('close', ({ code, reason }) => end(code, reason));
  return {
    ping: () => {
      // One that is still connecting refuses to send; its silence is noticed all the same.
      try {
        socket.send('{"type":"ping"}');
      } catch {}
    },
    close: () => {
      end(1000, 'closed by the client');
      socket.close(1000);
    },
  };
}

export function openEvents(transport: Transport, wish: Wish, events: WireEvents): Wire {
  const { topics, everyMs, after } = wish;
  const controller = new platform.AbortController();
  let isOver = false;
  const end = (code: number, reason: string, error?: unknown): void => {
    if (isOver) return;
    isOver = true;
    events.ended(code, reason, error);
    controller.abort(new Error(reason));
  };
  const read = async (): Promise<void> => {
    const query = {
      ...(topics === undefined ? {} : { topics: topics.join(',') }),
      ...(everyMs === undefined ? {} : { everyMs }),
      ...(after === undefined ? {} : { epoch: after.epoch, fromSequence: after.sequence + 1 }),
    };
    const call = { method: 'GET', path: pathOf(wish), query: Object.keys(query), accept: 'text/event-stream' };
    const opened = await transport.open(call, { ...query, signal: controller.signal }, undefined);
    opened.unhurried();
    const reader = opened.response.body?.getReader();
    if (reader === undefined) throw new Error('the reply has no body');
    try {
      for await (const data of dataOf(linesOf(reader, opened), events.heard)) {
        if (isOver) return;
        const message = JSON.parse(data) as { type?: string; code?: number; reason?: string };
        if (message.type === 'end') end(message.code ?? NO_CODE, message.reason ?? '');
        else events.message(message);
      }
      end(NO_CODE, 'the connection was cut');
    } finally {
      opened.close();
    }
  };
  read().catch((error: unknown) => end(NO_CODE, error instanceof Error ? error.message : String(error), error));
  return { ping: () => undefined, close: () => end(1000, 'closed by the client') };
}

/** The `data` of each event. Its name and id stand in it, too. */
async function* dataOf(lines: AsyncIterable<string>, heard: () => void): AsyncGenerator<string, void, undefined> {
  let data: string[] = [];
  for await (const each of lines) {
    heard();
    const line = each.endsWith('\r') ? each.slice(0, -1) : each;
    if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    else if (line === '' && data.length > 0) {
      yield data.join('\n');
      data = [];
    }
  }
}

/**
 * Why no WebSocket came about: that is told to no page and by no socket. The same path without an upgrade says 426 where an upgrade
 * would have been let in, and otherwise why not.
 */
export async function whyRefused(transport: Transport, wish: Wish): Promise<IommuLabError | undefined> {
  try {
    const opened = await transport.open({ method: 'GET', path: pathOf(wish) }, {}, undefined);
    opened.close();
  } catch (error) {
    if (error instanceof IommuLabError) return error;
  }
  return undefined;
}

function base64Url(text: string): string {
  const bytes = new platform.TextEncoder().encode(text);
  const binary = [...bytes].map((byte) => String.fromCharCode(byte)).join('');
  return platform.btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
