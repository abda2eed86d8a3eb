/**
 * The request that is being answered, as log lines and spans tell of it. It travels beside the calls, as `retry.ts` does, and along with
 * those to a worker whose own lines have to name it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { HostLogger } from './logger.ts';

export interface Origin {
  requestId: string;
  /** Null: it came without a token. */
  principal: string | null;
  /** 32 hex digits; null: the request belongs to no trace. */
  traceId: string | null;
  /** Id of the session that the request is about, once that is known. */
  session: string | null;
  /** Index of the worker that was asked last. */
  worker: number | null;
}

const current = new AsyncLocalStorage<Origin>();

export function underOrigin<T>(origin: Origin, then: () => T): T {
  return current.run(origin, then);
}

/** For what goes on when the request is over: a timer that it set would take it for its own. */
export function underNoOrigin<T>(then: () => T): T {
  return current.exit(then);
}

export function currentOrigin(): Origin | null {
  return current.getStore() ?? null;
}

/** What goes into a line that says itself which request it is of: what is known, and nothing for what is not. */
export function aboutOf(origin: Origin | null): Partial<Record<keyof Origin, string | number>> {
  if (origin === null) return {};
  const { principal, traceId, session, worker } = origin;
  return {
    ...(principal !== null && { principal }),
    ...(traceId !== null && { traceId }),
    ...(session !== null && { session }),
    ...(worker !== null && { worker }),
  };
}

/** As `aboutOf`, and which request. */
export function fieldsOf(origin: Origin | null): Partial<Record<keyof Origin, string | number>> {
  return origin === null ? {} : { requestId: origin.requestId, ...aboutOf(origin) };
}

/** The same log, whose lines say which request they come from; what a line says itself comes first. */
export function withOrigin(logger: HostLogger): HostLogger {
  const said = (fields: object): object => {
    const origin = currentOrigin();
    return origin === null ? fields : { ...fieldsOf(origin), ...fields };
  };
  return {
    info: (fields, message) => logger.info(said(fields), message),
    warn: (fields, message) => logger.warn(said(fields), message),
    error: (fields, message) => logger.error(said(fields), message),
  };
}
