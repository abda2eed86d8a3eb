/** One request, as the generated methods describe it, and what a caller may say of any. */
import type { AbortSignalLike } from './platform.ts';

/** A body that is no JSON; a stream of chunks is sent as it comes, and cannot be sent twice. */
export type Upload = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface CallOptions {
  /** Gives up; the promise is rejected with the signal's reason. What the server has begun is not undone. */
  signal?: AbortSignalLike;
  /** For the whole of one attempt; streams: until the reply begins. In place of the client's own. */
  timeoutMs?: number;
  /** How often to try again what may be tried again. In place of the client's own. */
  retries?: number;
  /** Of a POST: sent in place of a random one. `false` sends none, and the request is then not tried again once it was sent. */
  idempotencyKey?: string | false;
  /** Further headers. */
  headers?: Record<string, string>;
}

export interface Call {
  method: string;
  /** Below the client's address, its parameters encoded. */
  path: string;
  /** Names of options that belong into the query. */
  query?: readonly string[];
  /** Takes an `Idempotency-Key`. */
  keyed?: true;
  body?: unknown;
  /** Type of a body that is no JSON. */
  bodyType?: string;
  accept?: string;
  /** Member of a page that holds its items. */
  items?: string;
}

/** The generated methods add these to their options where they apply. */
export interface AllOptions extends CallOptions {
  accept?: string;
  contentType?: string;
  [query: string]: unknown;
}
