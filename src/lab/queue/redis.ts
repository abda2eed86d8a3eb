/**
 * The way to Redis (or Valkey): its address, which may hold a password and is never shown with it, and connections that come back by
 * themselves. ioredis and BullMQ are loaded when the first connection is made, and by nothing else.
 */
import type { Redis } from 'ioredis';
import type { HostLogger } from '../../host/logger.ts';
import { BOUNDS } from './bounds.ts';

export interface RedisAddress {
  options: {
    host: string;
    port: number;
    db: number;
    username?: string;
    password?: string;
    tls?: { servername: string };
  };
  /** For people: without user and password. */
  shown: string;
}

/** `redis://[[user]:password@]host[:port][/database]`, `rediss://` for TLS. Null for anything else. */
export function redisAddress(text: unknown): RedisAddress | null {
  if (typeof text !== 'string' || !URL.canParse(text)) return null;
  const url = new URL(text);
  const tls = url.protocol === 'rediss:';
  if ((!tls && url.protocol !== 'redis:') || url.hostname === '' || url.search !== '' || url.hash !== '') return null;
  const database = /^\/?([0-9]{0,4})$/.exec(url.pathname)?.[1];
  if (database === undefined) return null;
  const [username, password] = [decoded(url.username), decoded(url.password)];
  if (username === null || password === null) return null;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? 6379 : Number(url.port);
  return {
    options: {
      host,
      port,
      db: Number(database),
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      ...(tls ? { tls: { servername: host } } : {}),
    },
    shown: `${url.protocol}//${url.hostname}:${port}${database === '' ? '' : `/${database}`}`,
  };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Commands wait while there is no connection, and one is tried for without end: BullMQ asks for both. */
export async function connect({ options }: RedisAddress, name: string): Promise<Redis> {
  const { Redis: Client } = await import('ioredis');
  return new Client({
    ...options,
    connectionName: name,
    maxRetriesPerRequest: null,
    enableOfflineQueue: true,
    connectTimeout: 10_000,
    keepAlive: 10_000,
    socketTimeout: BOUNDS.silenceMs,
    retryStrategy: (times: number) => Math.min(100 * 2 ** Math.min(times, 6), 3_000) * (0.5 + Math.random() / 2),
  });
}

/**
 * Resolves once commands are carried out. BullMQ gives up for good when its first ones are refused, as while a password is wrong.
 *
 * @returns false when `signal` came before
 */
export async function answers(client: Redis, troubles: Troubles, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await Promise.race([client.info('server'), aborted(signal)]);
      if (!signal.aborted) return true;
    } catch (error) {
      troubles.tell(error);
      await pause(1_000, signal);
    }
  }
  return false;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Ends at `signal`, too; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}

/** Until `work` is done, well or not, or so much time has gone by. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  const end = () => done.abort();
  work.then(end, end);
  await pause(ms, done.signal);
}

/** A sentence for each kind of trouble, not for each try: a Redis that is away fails many times a second. */
export class Troubles {
  /** What is wrong now; '' when nothing is known to be. */
  latest = '';
  private readonly logger: HostLogger;
  private readonly what: string;
  private readonly toldAt = new Map<string, number>();

  constructor(logger: HostLogger, what: string) {
    this.logger = logger;
    this.what = what;
  }

  tell(error: unknown): void {
    const message = describe(error);
    this.latest = message;
    const now = performance.now();
    if (now - (this.toldAt.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    // Messages may name jobs.
    if (this.toldAt.size > 100) this.toldAt.clear();
    this.toldAt.set(message, now);
    this.logger.warn({ reason: message }, this.what);
  }

  over(): void {
    this.latest = '';
  }
}

const REPEAT_MS = 30_000;

/** Messages of ioredis name host and port and never the password; the text of a command's arguments is left out. */
function describe(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.slice(0, 200);
}
