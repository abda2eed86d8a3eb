/**
 * A reason in the form in which it leaves the server: RFC 9457, `application/problem+json`. The same document stands in a reply
 * body, in a line of `ops` and in a message of the stream.
 */
import { catalogueEntry } from './errors.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export interface Violation {
  /** JSON Pointer into the body; `?name` for a query parameter. */
  path: string;
  message: string;
}

/** What the parts behind the edge say; `HostProblem` and `OperationProblem` both fit. */
export interface Reason {
  code: string;
  detail: string;
  path?: string;
  errors?: readonly Violation[];
  retryable?: boolean;
  /** A number that was reached. */
  quota?: { name: string; limit: number; used?: number; retryAfterSeconds?: number };
}

export interface ProblemDocument {
  /** A relative reference, `/problems/<code>`: identifies the problem, does not have to resolve. */
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  retryable: boolean;
  instance?: string;
  path?: string;
  errors?: Violation[];
  quota?: { name: string; limit: number; used?: number };
}

/** A reason on its way to the error handler. */
export class ProblemError extends Error {
  override name = 'ProblemError';
  readonly reason: Reason;
  /** Headers of the reply, such as `Allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(reason: Reason, headers: Record<string, string> = {}) {
    super(reason.detail);
    this.reason = reason;
    this.headers = headers;
  }
}

/**
 * The document of a reason.
 *
 * What is unknown is 404 where the request is addressed to it, and 400 where its body merely mentions it; the second has a pointer
 * to the member, which is how the two are told apart.
 *
 * @param instance path of the request; absent in lines of `ops` and messages of the stream
 */
export function problemDocument(reason: Reason, instance?: string): ProblemDocument {
  const entry = catalogueEntry(reason.code);
  const { path } = reason;
  const document: ProblemDocument = {
    type: `/problems/${reason.code}`,
    title: entry.title,
    status: entry.status === 404 && path !== undefined ? 400 : entry.status,
    detail: reason.detail,
    code: reason.code,
    retryable: reason.retryable ?? entry.retryable,
  };
  if (instance !== undefined) document.instance = instance;
  if (path !== undefined) document.path = path;
  if (reason.errors !== undefined && reason.errors.length > 0) document.errors = [...reason.errors];
  else if (path !== undefined) document.errors = [{ path, message: reason.detail }];
  if (reason.quota !== undefined) {
    const { retryAfterSeconds: _, ...quota } = reason.quota;
    document.quota = quota;
  }
  return document;
}

/** Members of an operation or a reading that did not come from the request's body. */
export interface MemberOrigins {
  path?: readonly string[];
  query?: readonly string[];
}

/**
 * The same reason as the client can read it: a pointer to a member that came from the path says nothing to a client that sent no
 * such member, one to a member from the query names the parameter, `?cpu`.
 */
export function atOrigin(reason: Reason, { path = [], query = [] }: MemberOrigins): Reason {
  const member = reason.path?.split('/')[1];
  if (member === undefined) return reason;
  const { path: _path, errors: _errors, ...rest } = reason;
  if (path.includes(member)) return rest;
  return query.includes(member) ? { ...rest, path: `?${member}` } : reason;
}
