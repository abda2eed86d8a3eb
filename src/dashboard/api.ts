/**
 * Asking the server. Types are those of the contract (`src/api/contract-types.ts`); paths are relative to the page, so that a base path
 * needs no setting.
 *
 *     const page = await api.get<SessionPage>('/v1/sessions', { state: 'running' });
 *     await api.post<Run>(sessionPath(id, 'runs'), { forNs: 1_000_000 });
 *
 * What the server refuses is thrown as an `ApiProblem` with the problem document; `problemOf(error)` makes one of anything thrown.
 * A 401 also asks for a token (`token.ts`).
 */
import type { Problem } from '../api/contract-types.ts';
import { token, tokenWanted } from './token.ts';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Codes that are the page's own, for what came from no server of ours, or from none. */
const UNKNOWN = 'unknown';
const NO_REPLY = 'no-reply';

export class ApiProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

/** Of this server: what all its paths begin with, without the slash at the end. */
export const root = new URL('.', document.baseURI).href.replace(/\/$/, '');

/** `/v1/sessions/{session}/...`, each part encoded. */
export function sessionPath(session: string, ...parts: string[]): string {
  return ['/v1/sessions', ...[session, ...parts].map(encodeURIComponent)].join('/');
}

export const api = {
  get: <T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> =>
    json<T>('GET', path, { query, ...(signal && { signal }) }),
  post: <T>(path: string, body?: unknown, query: Query = {}): Promise<T> => json<T>('POST', path, { body, query }),
  put: <T>(path: string, body?: unknown): Promise<T> => json<T>('PUT', path, { body }),
  patch: <T>(path: string, body: unknown): Promise<T> => json<T>('PATCH', path, { body }),
  delete: <T>(path: string, query: Query = {}): Promise<T> => json<T>('DELETE', path, { query }),
  /** The reply itself: for what is no JSON, or is to be kept as a file. */
  fetch: ask,
};

interface Asked {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

async function json<T>(method: string, path: string, asked: Asked): Promise<T> {
  return (await (await ask(method, path, asked)).json()) as T;
}

async function ask(
  method: string,
  path: string,
  { query = {}, body, signal, headers = {} }: Asked = {},
): Promise<Response> {
  const url = new URL(root + path);
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
  const reply = await fetch(url, {
    method,
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token.value === '' ? {} : { authorization: `Bearer ${token.value}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (reply.ok) return reply;
  const problem = await problemIn(reply);
  if (problem.code === 'unauthenticated') tokenWanted.value = problem.detail;
  throw new ApiProblem(problem);
}

async function problemIn(reply: Response): Promise<Problem> {
  const title = `${reply.status} ${reply.statusText}`;
  const unknown = {
    type: 'about:blank',
    title,
    status: reply.status,
    detail: title,
    code: UNKNOWN,
    retryable: false,
  };
  try {
    return { ...unknown, ...((await reply.json()) as Problem) };
  } catch {
    return unknown;
  }
}

/** Of anything thrown: no connection is one as well. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiProblem) return error.problem;
  const own = { type: 'about:blank', status: 0, code: NO_REPLY };
  // What `fetch` throws.
  if (error instanceof TypeError)
    return { ...own, title: 'No reply', detail: 'The server cannot be reached.', retryable: true };
  return { ...own, title: 'That did not work', detail: (error as Error)?.message ?? String(error), retryable: false };
}

/** Saves what a path answers as a file of that name. */
export async function download(path: string, fileName: string, query: Query = {}): Promise<void> {
  const reply = await ask('GET', path, { query });
  const url = URL.createObjectURL(await reply.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  URL.revokeObjectURL(url);
}
