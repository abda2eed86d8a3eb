/** Why the host did not do what was asked. Status and title of each `code` are the edge's (`src/api/errors.ts`). */
import type { OperationProblem, Outcome } from '../core/operations.ts';
import type { HostProblem, Pause, Reply } from './host.ts';
import type { BoundName, HeldName, Reached } from './session-bounds.ts';

export function refuse(problem: HostProblem): { ok: false; problem: HostProblem } {
  return { ok: false, problem };
}

export function sessionNotFound(session: string): HostProblem {
  return { code: 'unknown-session', detail: `There is no session "${session}".` };
}

export function experimentNotFound(experiment: string): HostProblem {
  return { code: 'unknown-experiment', detail: `There is no experiment "${experiment}".` };
}

export function runNotFound(run: string): HostProblem {
  return { code: 'unknown-run', detail: `The session has no record of a run "${run}".` };
}

export function snapshotNotFound(snapshot: string): HostProblem {
  return { code: 'unknown-snapshot', detail: `There is no snapshot "${snapshot}".` };
}

export function runActive(run: string): HostProblem {
  return {
    code: 'run-active',
    detail: `Run ${run} is active. Until it ends, or is cancelled with DELETE, nothing may change the session.`,
    retryable: true,
  };
}

export function sessionFailed(detail: string): HostProblem {
  return { code: 'session-failed', detail };
}

/** The worker of a session that is in its journal died; what was not acknowledged may or may not be there. */
export function workerDied(reason: string): HostProblem {
  return {
    code: 'session-recovering',
    detail: `The worker of this session died (${reason}). The session comes back as its journal has it; read it to see whether this request was carried out.`,
    retryable: true,
  };
}

export function sessionRecovering(session: string): HostProblem {
  return {
    code: 'session-recovering',
    detail: `Session "${session}" is being brought back from its journal, and that takes longer than a request may wait.`,
    retryable: true,
  };
}

export function storageUnavailable(reason: string): HostProblem {
  return {
    code: 'storage-unavailable',
    detail: `Nothing can be written (${reason}), so nothing may be changed. What was acknowledged is safe, and can be read.`,
    retryable: true,
  };
}

/** Suggested to who has reached a number that falls only by somebody's doing. */
export const QUOTA_RETRY_SECONDS = 30;

export function tooMuchStored(limit: number, used: number): HostProblem {
  return {
    code: 'too-much-stored',
    detail: `The sessions of this owner take ${used} bytes of the server's disk, and ${limit} is the limit. Delete or reset one.`,
    retryable: true,
    quota: { name: 'stored-bytes', limit, used, retryAfterSeconds: QUOTA_RETRY_SECONDS },
  };
}

const BOUND_CODES = {
  frames: ['too-many-frames', 'page frames in use'],
  mappings: ['too-many-mappings', 'live mappings'],
  'session-memory-bytes': ['too-much-memory', "bytes of the server's memory"],
} as const;

/** What a run came to. */
const BOUND_WORDS: Record<BoundName, string> = {
  frames: BOUND_CODES.frames[1],
  mappings: BOUND_CODES.mappings[1],
  'session-memory-bytes': BOUND_CODES['session-memory-bytes'][1],
  'run-events': 'events',
};

/** An operation that would take a session beyond a bound of its own. */
export function overBound({ name, limit, used }: Reached<HeldName>): HostProblem {
  const [code, what] = BOUND_CODES[name];
  return {
    code,
    detail: `The session has ${used} ${what}, and ${limit} is the limit: what was asked for would take it beyond.`,
    retryable: true,
    quota: { name, limit, used, retryAfterSeconds: QUOTA_RETRY_SECONDS },
  };
}

/** A session that has computed as much as it may for now, or whose run has gone beyond a bound. */
export function sessionPaused({ name, limit, used, resumesAtMs }: Pause, nowMs: number): HostProblem {
  const bound = name in BOUND_WORDS ? BOUND_WORDS[name as BoundName] : null;
  const whose = name === 'compute-seconds' ? 'The sessions of its owner have' : 'It has';
  const reason =
    bound === null
      ? `${whose} computed for ${used} s lately, and ${limit} s an hour is the limit; it goes on by itself.`
      : `Its run has come to ${used} ${bound}, and ${limit} is the limit. Cancel the run, or reset or delete the session.`;
  const waitMs = resumesAtMs === null ? QUOTA_RETRY_SECONDS * 1000 : resumesAtMs - nowMs;
  return {
    code: 'session-paused',
    detail: `The session is paused. ${reason}`,
    retryable: true,
    quota: { name, limit, used, retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) },
  };
}

export function noWorker(): HostProblem {
  return { code: 'overloaded', detail: 'No session worker is up.', retryable: true };
}

export function overloaded(reason: string): HostProblem {
  return { code: 'overloaded', detail: `It could not be looked at (${reason}).`, retryable: true };
}

export function sessionBusy(detail: string): HostProblem {
  return { code: 'session-busy', detail, retryable: true };
}

export function shuttingDown(): HostProblem {
  return { code: 'shutting-down', detail: 'The server is shutting down and takes no new work.', retryable: true };
}

export function nameTaken(name: string, what = 'session'): HostProblem {
  return { code: 'name-taken', detail: `Another ${what} is named "${name}".`, path: '/name' };
}

export function nameHasIdForm(name: string, what = 'session'): HostProblem {
  return {
    code: 'invalid-name',
    detail: `"${name}" has the form of ${what === 'session' ? 'a' : 'an'} ${what} id.`,
    path: '/name',
  };
}

export function invalidCursor(cursor: string): HostProblem {
  return { code: 'invalid-cursor', detail: `"${cursor.slice(0, 64)}" is not a cursor of this list.` };
}

/** A bug of ours that touched no session. */
export function internal(error: unknown): HostProblem {
  return { code: 'internal', detail: `Internal error: ${messageOf(error)}` };
}

/** The first of what is wrong in one sentence, and all of it as a list. */
export function notAsContracted(errors: { path: string; message: string }[]): HostProblem {
  const first = errors[0]!;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return { code: 'invalid-body', detail: `${first.path}: ${first.message}${more}`, errors };
}

/** What `resolveSpec` and `createSimulator` throw for a spec they cannot build; known by its shape, as it crosses modules. */
interface SpecErrorShape {
  problems: { path: string; message: string }[];
}

export function specProblem(error: unknown): HostProblem | null {
  const problems = (error as Partial<SpecErrorShape> | null)?.problems;
  if (!(error instanceof Error) || !Array.isArray(problems)) return null;
  const first = problems[0];
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return {
    code: 'invalid-spec',
    detail: first === undefined ? error.message : `${first.path || '/'}: ${first.message}${more}`,
    errors: problems.map(({ path, message }) => ({ path, message })),
  };
}

export function fromOperation(problem: OperationProblem): HostProblem {
  const { code, detail, path, quota } = problem as HostProblem;
  return { code, detail, ...(path === undefined ? {} : { path }), ...(quota === undefined ? {} : { quota }) };
}

export function replyOf(outcome: Outcome): Reply<unknown> {
  return outcome.status === 'ok' ? { ok: true, value: outcome.result } : refuse(fromOperation(outcome.problem));
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export type Answer = (reply: Reply<unknown>) => void;
