/** What can go wrong: the server refuses, with a problem document; or it is not reached, or cut off. */
import type { ProblemCode } from './generated/problem-codes.ts';
import type { Problem } from './generated/types.ts';

/** The server's refusal. `code` is stable and what programs act on; `message` is for people. */
export class IommuLabError extends Error {
  override readonly name = 'IommuLabError';
  readonly status: number;
  readonly code: ProblemCode;
  /** JSON Pointer of the member that is wrong, of the first where there are more; when there is one. */
  readonly path: string | undefined;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** The whole document (RFC 9457), with every place that does not fit in `errors`. */
  readonly problem: Problem;
  /** When the server says to come back. */
  readonly retryAfterMs: number | undefined;
  /** `POST /v1/sessions`. */
  readonly request: string;

  constructor(problem: Problem, request: string, retryAfterMs?: number) {
    const path = problem.path ?? problem.errors?.[0]?.path;
    const place = path === undefined || path === '' || problem.detail.includes(path) ? '' : ` (at ${path})`;
    super(`${request}: ${problem.status} ${problem.code}: ${problem.detail}${place}`);
    this.status = problem.status;
    this.code = problem.code;
    this.path = path;
    this.retryable = problem.retryable;
    this.problem = problem;
    this.request = request;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No reply: `unreachable`, nobody answered; `timeout`, not in time; `cut`, the reply broke off; the reason is in `cause`. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly reason: 'unreachable' | 'timeout' | 'cut';
  readonly request: string;

  constructor(reason: 'unreachable' | 'timeout' | 'cut', request: string, cause?: unknown) {
    super(`${request}: ${WORDS[reason]}${causeText(cause)}`, { cause });
    this.reason = reason;
    this.request = request;
  }
}

const WORDS = {
  unreachable: 'the server cannot be reached',
  timeout: 'no answer in time',
  cut: 'the reply broke off',
};

function causeText(cause: unknown): string {
  const inner = (cause as { cause?: { code?: unknown; message?: unknown } } | undefined)?.cause;
  const text = inner?.code ?? inner?.message ?? (cause as Error | undefined)?.message;
  return text === undefined || text === '' ? '' : ` (${String(text)})`;
}

/** A reply that is no problem document, as of a proxy in between, told as one. */
export function problemOf(status: number, text: string): Problem {
  try {
    const value = JSON.parse(text) as Problem | null;
    if (typeof value?.code === 'string' && typeof value.status === 'number') return value;
  } catch {
    // Said below.
  }
  return {
    type: 'about:blank',
    title: 'The reply is not one of iommu-lab',
    status,
    detail: text.slice(0, 500) || 'It has no body.',
    code: `http-${status}`,
    retryable: status === 429 || status === 502 || status === 503 || status === 504,
  };
}
