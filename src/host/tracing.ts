/** What parts of the server tell of how long they took, to whoever wants traces. Where nobody does, it costs a call that does nothing. */

export type Attributes = Record<string, string | number | boolean>;

/** Something that has begun. */
export interface Span {
  /** As the header `traceparent` has it. */
  readonly context: string;
  /** @param code of the problem that it ended with, or null */
  end(code: string | null): void;
}

/** Something that is over, measured where no span could be made: in a worker. */
export interface PastSpan {
  name: string;
  attributes: Attributes;
  /** `traceparent` of what it is a part of. */
  parent?: string;
  /** Of what it came out of, and is no part of; null: of nothing that was traced. */
  link?: string | null;
  /** Milliseconds since 1970, with fractions. */
  fromMs: number;
  toMs: number;
  code: string | null;
}

export interface Tracing {
  /** `traceparent` of what is going on, or null when that is not traced. */
  current(): string | null;
  /** A part of what is going on; null when that is not traced. */
  begin(name: string, attributes: Attributes): Span | null;
  /** Something by itself that came out of what has this `traceparent`, or out of nothing that was traced. */
  beginApart(name: string, link: string | null, attributes: Attributes): Span | null;
  past(span: PastSpan): void;
}

export const UNTRACED: Tracing = { current: () => null, begin: () => null, beginApart: () => null, past() {} };

/** Milliseconds since 1970, with fractions; the same in all threads. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}
