/**
 * Requests over `fetch`: address, token, timeouts, problems as errors, and trying again what may be tried again.
 *
 * What may be: a refusal with 429 or 503, as the server has then done nothing, whatever the method. After a lost connection or a 502 or
 * 504 nobody knows what was done, so only reads, and POSTs with an `Idempotency-Key`, which every POST of this client has. A PUT or
 * DELETE is then for the caller to decide: attaching twice, or cancelling a run and removing its record, is not what was asked for.
 */
import type { AllOptions, Call } from './call.ts';
import { ConnectionError, IommuLabError, problemOf } from './errors.ts';
import {
  type AbortSignalLike,
  backoffMs,
  type FetchLike,
  isBrowser,
  platform,
  type RequestLike,
  type ResponseLike,
  randomKey,
  wait,
} from './platform.ts';

export interface TransportSettings {
  /** Where the server is, its base path included. */
  url: string;
  token: string | (() => string | Promise<string>) | undefined;
  fetch: FetchLike | undefined;
  timeoutMs: number;
  retries: number;
  headers: Record<string, string>;
}

const FIRST_WAIT_MS = 200;
const MOST_WAIT_MS = 10_000;
/** A server that asks for more patience than this is not waited for. */
const MOST_RETRY_AFTER_MS = 30_000;

/** A reply that has begun; `close` once it is read, or not wanted. */
export interface Opened {
  response: ResponseLike;
  /** Ends the timeout for this attempt: what follows takes as long as it takes. */
  unhurried(): void;
  close(): void;
  /** Ends the request, whatever of its body is still to be sent. */
  abort(): void;
  /** What an error while reading means. */
  failure(error: unknown): unknown;
}

export class Transport {
  readonly base: string;
  private readonly settings: TransportSettings;

  constructor(settings: TransportSettings) {
    this.settings = settings;
    const url = new platform.URL(settings.url);
    url.search = '';
    url.hash = '';
    this.base = url.href.replace(/\/+$/, '');
  }

  get retries(): number {
    return this.settings.retries;
  }

  async token(): Promise<string | undefined> {
    const { token } = this.settings;
    return typeof token === 'function' ? token() : token;
  }

  /** The address of a call, with what of its options belongs into the query. */
  address({ path, query = [] }: Call, options: AllOptions = {}): string {
    const search = new platform.URLSearchParams();
    for (const name of query) if (options[name] !== undefined) search.append(name, String(options[name]));
    const text = search.toString();
    return this.base + path + (text === '' ? '' : `?${text}`);
  }

  /** A request, tried again where that is safe, and its reply read whole. */
  async exchange<T>(call: Call, options: AllOptions, read: (response: ResponseLike) => Promise<T>): Promise<T> {
    return this.persist(call, options, async (key) => {
      const opened = await this.open(call, options, key);
      try {
        return await read(opened.response);
      } catch (error) {
        throw opened.failure(error);
      } finally {
        opened.close();
      }
    });
  }

  /** The key that a call is made with, if any. */
  keyOf({ keyed }: Call, { idempotencyKey }: AllOptions): string | undefined {
    if (keyed !== true || idempotencyKey === false) return undefined;
    return idempotencyKey ?? randomKey();
  }

  /** Tries until it works or must not be tried again. */
  async persist<T>(call: Call, options: AllOptions, attempt: (key: string | undefined) => Promise<T>): Promise<T> {
    const { signal, retries = this.settings.retries } = options;
    const key = this.keyOf(call, options);
    const repeatable = call.method === 'GET' || call.method === 'HEAD' || key !== undefined;
    const sendable = !isStream(call.body);
    for (let tried = 0; ; tried++) {
      try {
        return await attempt(key);
      } catch (error) {
        if (tried >= retries || !sendable || !mayTryAgain(error, repeatable)) throw error;
        const asked = error instanceof IommuLabError ? error.retryAfterMs : undefined;
        if (asked !== undefined && asked > MOST_RETRY_AFTER_MS) throw error;
        await wait(Math.max(asked ?? 0, backoffMs(tried, FIRST_WAIT_MS, MOST_WAIT_MS)), signal);
      }
    }
  }

  /** One attempt, up to where the reply begins. Refusals are thrown. */
  async open(call: Call, options: AllOptions, key: string | undefined): Promise<Opened> {
    const { signal, timeoutMs = this.settings.timeoutMs } = options;
    const name = `${call.method} ${call.path}`;
    signal?.aborted && raise(signal.reason);
    const patience = new Patience(signal, timeoutMs);
    const failure = (reason: 'unreachable' | 'cut') => (error: unknown) => {
      if (signal?.aborted) return signal.reason;
      if (error instanceof IommuLabError || error instanceof ConnectionError) return error;
      return new ConnectionError(patience.isOver ? 'timeout' : reason, name, error);
    };
    try {
      const request = await this.request(call, options, key, patience.signal);
      const fetch = this.settings.fetch ?? platform.fetch;
      const response = await fetch(this.address(call, options), request);
      if (!response.ok) throw await refusal(response, name);
      return {
        response,
        unhurried: () => patience.endless(),
        close: () => patience.end(),
        abort: () => patience.abort(),
        failure: failure('cut'),
      };
    } catch (error) {
      patience.end();
      throw failure('unreachable')(error);
    }
  }

  private async request(
    { method, body, bodyType, accept = 'application/json' }: Call,
    options: AllOptions,
    key: string | undefined,
    signal: AbortSignalLike,
  ): Promise<RequestLike> {
    const headers: Record<string, string> = { accept: options.accept ?? accept, ...this.settings.headers };
    const token = await this.token();
    if (token !== undefined) headers.authorization = `Bearer ${token}`;
    if (key !== undefined) headers['idempotency-key'] = key;
    const request: RequestLike = { method, headers, signal };
    if (body !== undefined) {
      headers['content-type'] = options.contentType ?? bodyType ?? 'application/json';
      request.body = bodyType === undefined ? JSON.stringify(body) : body;
      if (isStream(body)) {
        request.body = isBrowser() ? await gathered(body) : streamOf(body);
        request.duplex = 'half';
      }
    }
    Object.assign(headers, options.headers);
    return request;
  }
}

/** How long an attempt may take, and the caller's own wish to end it, as one signal. */
class Patience {
  readonly signal: AbortSignalLike;
  isOver = false;
  private readonly controller = new platform.AbortController();
  private readonly outer: AbortSignalLike | undefined;
  private readonly timer: unknown;
  private readonly follow = (): void => this.controller.abort(this.outer?.reason);

  constructor(outer: AbortSignalLike | undefined, timeoutMs: number) {
    this.signal = this.controller.signal;
    this.outer = outer;
    outer?.addEventListener('abort', this.follow);
    if (timeoutMs < 2 ** 31)
      this.timer = platform.setTimeout(() => {
        this.isOver = true;
        this.controller.abort(new Error(`no answer within ${timeoutMs} ms`));
      }, timeoutMs);
  }

  abort(): void {
    this.controller.abort(new Error('no longer wanted'));
  }

  endless(): void {
    platform.clearTimeout(this.timer);
  }

  end(): void {
    this.endless();
    this.outer?.removeEventListener('abort', this.follow);
  }
}

function raise(reason: unknown): never {
  throw reason;
}

function mayTryAgain(error: unknown, repeatable: boolean): boolean {
  if (error instanceof ConnectionError) return repeatable;
  if (!(error instanceof IommuLabError)) return false;
  if (error.code === 'idempotency-in-flight') return true;
  if (error.status === 429 || error.status === 503) return error.retryable;
  return repeatable && (error.status === 502 || error.status === 504);
}

async function refusal(response: ResponseLike, name: string): Promise<IommuLabError> {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const problem = problemOf(response.status, await response.text().catch(() => ''));
  return new IommuLabError(problem, name, Number.isFinite(seconds) ? seconds * 1000 : undefined);
}

export function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}

async function gathered(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.byteLength;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** Pulled from only as the connection takes it. */
export function streamOf(chunks: AsyncIterable<Uint8Array>): unknown {
  const iterator = chunks[Symbol.asyncIterator]();
  return new platform.ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
