/** Why the archive did not do what was asked. Status and title of each `code` are the edge's (`src/api/errors.ts`). */
import type { HostProblem } from '../../host/host.ts';
import type { FormatEntry } from '../formats/format.ts';
import { formats } from '../formats/index.ts';
import { checkOptions } from '../formats/options.ts';
import { ImportError } from '../import-error.ts';
import type { TraceInput, TraceProblem, TraceState } from '../trace.ts';
import type { BodyEnd } from './body.ts';

export function traceNotFound(trace: string): HostProblem {
  return { code: 'unknown-trace', detail: `There is no trace "${trace}".` };
}

export function notReady(trace: string, state: TraceState): HostProblem {
  const detail = `Trace ${trace} is ${state}: its events are there once it is ready.`;
  return { code: 'trace-not-ready', detail, retryable: state !== 'failed' };
}

export function keyUsedOtherwise(): HostProblem {
  const detail = 'This Idempotency-Key was first used with another request. Use a new key for a new one.';
  return { code: 'idempotency-mismatch', detail };
}

/** @param sessions ids, at least one */
export function inUse(sessions: readonly string[]): HostProblem {
  const one = sessions.length === 1;
  const some = `${sessions.slice(0, 10).join(', ')}${sessions.length > 10 ? ', ...' : ''}`;
  const replay = one ? 'A session replays' : `${sessions.length} sessions replay`;
  return { code: 'trace-in-use', detail: `${replay} the trace: ${some}. Delete ${one ? 'it' : 'them'} first.` };
}

export function uploadEnded(problem: TraceProblem | null): HostProblem {
  const why = problem === null ? 'it has failed' : problem.detail;
  return { code: 'trace-failed', detail: `No more of the recording is taken, since it cannot be read: ${why}` };
}

export function tooLarge(uploadBytes: number): HostProblem {
  return {
    code: 'recording-too-large',
    detail: `The recording has more than ${uploadBytes} bytes, the most that one may have.`,
  };
}

export function inconsistent(detail: string): HostProblem {
  return { code: 'inconsistent-upload-length', detail };
}

/** Of a body that did not come whole. */
export function bodyProblem(how: BodyEnd, idleMs: number): HostProblem | null {
  switch (how) {
    case 'whole':
      return null;
    case 'broken':
      return { code: 'aborted', detail: 'The connection broke before the body was at its end. What came is kept.' };
    case 'idle':
      return {
        code: 'idle-timeout',
        detail: `Nothing came for ${idleMs / 1000} s. What came is kept: ask for the offset, and go on there.`,
      };
    case 'stopped':
      return {
        code: 'upload-superseded',
        detail:
          'The upload ended here: another request goes on with it, or the trace is gone, has failed, or the server ends.',
        retryable: true,
      };
  }
}

/** Of what is asked for, before a byte of it is taken. */
export function optionsProblem(format: string, options: TraceInput['options']): HostProblem | null {
  const kinds = Object.keys(formats);
  if (format !== 'auto' && !kinds.includes(format))
    return {
      code: 'invalid-query',
      detail: `There is no format "${format}"; there are auto, ${kinds.join(', ')}.`,
      path: '/format',
    };
  try {
    checkOptions(format === 'auto' ? null : (formats[format] as FormatEntry), options);
    return null;
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    return { code: 'invalid-query', detail: error.message, path: '/options' };
  }
}
