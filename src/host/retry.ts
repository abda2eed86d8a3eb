/**
 * The `Idempotency-Key` of the request that is being answered, for the host to keep with what the request changes: so that a retry is
 * recognised after a restart, too. It travels beside the calls, not through every one of them.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** A key, and what stands for the request that first used it. */
export interface KeyMark {
  key: string;
  print: string;
}

export interface Retry extends KeyMark {
  /** Set by the host when the reply is that of an earlier request. */
  replayed: boolean;
}

const current = new AsyncLocalStorage<Retry>();

export function underRetry<T>(retry: Retry, then: () => T): T {
  return current.run(retry, then);
}

export function currentRetry(): Retry | null {
  return current.getStore() ?? null;
}

/** What of it goes along with a change. */
export function markOf(retry: Retry | null): KeyMark | null {
  return retry === null ? null : { key: retry.key, print: retry.print };
}
