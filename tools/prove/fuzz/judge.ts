/** What a reply may be: what the contract lists, and of the failures of a server only those that are documented. */
import assert from 'node:assert/strict';
import { contractSchema } from '../../../src/api/contract.ts';
import { ERRORS } from '../../../src/api/errors.ts';
import { Validators } from '../../../src/api/validator.ts';
import { checkReply } from '../../../test/contract/conformance.ts';
import type { Reply } from './connection.ts';
import type { FuzzRequest } from './requests.ts';

/** The server is well and cannot just now. Neither the end of the server nor a disk that is full belongs here. */
const PASSING = new Set(['overloaded', 'session-busy', 'session-recovering']);
const PROBLEM = 'application/problem+json';
/** Made while they are sent: whoever deletes the session meanwhile, or its token, ends them in the middle. */
const STREAMED = new Set(['applyOperations', 'exportHistory', 'downloadSnapshot']);

const problemFits = new Validators(false).compile(contractSchema('Problem'));

/** @returns what is wrong with the reply; null: nothing */
export function complaintOf(request: FuzzRequest, reply: Reply): string | null {
  const { operation, method, target, exact } = request;
  const isOps = operation.operationId === 'applyOperations';
  if (reply.cut) return STREAMED.has(operation.operationId) ? null : 'the reply was cut short';
  if (reply.long) return reply.status === 200 && STREAMED.has(operation.operationId) ? null : 'the reply has no end';
  const isHead = method === 'HEAD';
  const failure = failureOf(reply, exact ? Object.keys(operation.definition.responses as object) : [], isHead);
  if (failure !== null) return failure;
  if (!exact) return rubbishComplaintOf(reply, isHead);
  try {
    checkReply({
      method,
      url: target,
      status: reply.status,
      contentType: reply.headers['content-type'] ?? null,
      body: reply.body,
      headers: reply.headers,
    });
  } catch (error) {
    if (!(error instanceof assert.AssertionError)) return `${reply.status}: ${String(error)}`;
    return `${reply.status}: ${error.message.slice(0, 2_000)}`;
  }
  return isOps && reply.status === 200 ? linesComplaintOf(reply) : null;
}

/** Of a reply to what may have been no request: HTTP, no failure, and a problem where it refuses. */
export function rubbishComplaintOf(reply: Reply, isHead = false): string | null {
  const failure = failureOf(reply, [], isHead);
  if (failure !== null) return failure;
  if (reply.status < 400 || reply.cut || reply.long || isHead) return null;
  const type = reply.headers['content-type']?.split(';', 1)[0];
  if (type !== PROBLEM) {
    // Of a request to HEAD that was not known to be one.
    return reply.body === '' ? null : `${reply.status} as ${type}`;
  }
  const problem = parsed(reply.body) as { status?: unknown } | undefined;
  const violations = problem === undefined ? 'no JSON' : problemFits(problem);
  if (violations !== null) return `${reply.status}: ${JSON.stringify(violations)}`;
  return problem?.status === reply.status ? null : `${reply.status}, but its problem has another status`;
}

/** @param listed statuses that the contract lists for the operation */
function failureOf(reply: Reply, listed: readonly string[], isHead: boolean): string | null {
  if (reply.status < 500) return null;
  // It has no body to say which; the server's log is judged as well, and has an error for what is not passing.
  if (isHead && reply.status === 503 && reply.body === '') return null;
  const { code } = (parsed(reply.body) ?? {}) as { code?: string };
  if (reply.status === 503 && PASSING.has(code ?? '')) return null;
  if (reply.status === 507 && listed.includes('507') && ERRORS[code ?? '']?.status === 507) return null;
  return `${reply.status} ${code ?? ''}`;
}

/** Each line was checked against its schema already. */
function linesComplaintOf(reply: Reply): string | null {
  const whole = /^application\/json(;|$)/.test(reply.headers['content-type'] ?? '')
    ? (parsed(reply.body) as unknown[])
    : reply.body.split('\n').flatMap((line) => (line === '' ? [] : [parsed(line)]));
  for (const line of whole as { problem?: { status: number; code: string } }[]) {
    const { problem } = line;
    if (problem === undefined || problem.status < 500 || problem.status === 507) continue;
    if (problem.status !== 503 || !PASSING.has(problem.code)) return `a line with ${problem.status} ${problem.code}`;
  }
  return null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
