/**
 * What the client takes from its surroundings, which Node, browsers and others all have. Said here in the few members that are used,
 * so that the package needs the types of none of them, and a program with the types of any can use it.
 */

export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface ReaderLike {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

export interface ResponseLike {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): ReaderLike } | null;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
}

export interface RequestLike {
  method: string;
  headers: Record<string, string>;
  body?: unknown;
  signal: AbortSignalLike;
  /** Where the body is a stream: Node asks for it. */
  duplex?: 'half';
  redirect?: 'follow' | 'manual' | 'error';
}

/** Given a `RequestLike`. As a method, since only of methods TypeScript takes one whose arguments are narrower; `fetch` itself is one. */
export type FetchLike = { fetch(url: string, init: object): Promise<ResponseLike> }['fetch'];

export interface WebSocketLike {
  binaryType: string;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

interface StreamController {
  enqueue(chunk: Uint8Array): void;
  close(): void;
  error(reason: unknown): void;
}

interface Globals {
  fetch: FetchLike;
  WebSocket?: WebSocketClass;
  AbortController: new () => { readonly signal: AbortSignalLike; abort(reason?: unknown): void };
  ReadableStream: new (
    source: {
      pull(controller: StreamController): void | Promise<void>;
      cancel(): void | Promise<void>;
    },
    strategy: { highWaterMark: number },
  ) => unknown;
  TextEncoder: new () => { encode(text: string): Uint8Array };
  TextDecoder: new (
    label?: string,
    options?: { fatal?: boolean },
  ) => { decode(bytes?: Uint8Array, options?: { stream?: boolean }): string };
  URL: new (text: string, base?: string) => { href: string; protocol: string; search: string; hash: string };
  URLSearchParams: new () => { append(name: string, value: string): void; toString(): string };
  crypto: { getRandomValues(bytes: Uint8Array): Uint8Array };
  btoa(binary: string): string;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  performance: { now(): number };
  location?: { origin: string };
  document?: unknown;
  WorkerGlobalScope?: unknown;
  process?: { versions?: { node?: string } };
}

export const platform = globalThis as unknown as Globals;

/** Browsers read no reply before a body that is a stream has ended, and take such a body over HTTP/2 alone. */
export const isBrowser = (): boolean =>
  platform.process?.versions?.node === undefined &&
  (platform.document !== undefined || platform.WorkerGlobalScope !== undefined);

/** `randomUUID` would be shorter; pages that came over plain HTTP from another machine do not have it. */
export function randomKey(): string {
  const bytes = platform.crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Rejects with the signal's reason when it is aborted meanwhile. */
export function wait(ms: number, signal?: AbortSignalLike): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = (): void => {
      platform.clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = platform.setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop);
  });
}

/** Doubles with each try up to `mostMs`; random over its upper half, so that clients cut off together do not come back together. */
export function backoffMs(attempt: number, firstMs: number, mostMs: number): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return whole / 2 + (Math.random() * whole) / 2;
}
