/**
 * Replays name a recording by its id or name, which is the business of whoever uploaded it; a session knows it by its content, which is the
 * same after a restart and in an export. So `recording` is filled in here, on the way in, by who may see the trace.
 */
import type { TraceView } from '../src/access/traces.ts';
import { ProblemError } from '../src/api/problem.ts';

type Body = Record<string, unknown>;

/** @param path of the workload in the body */
export function withRecording<T extends Body>(workload: T, path: string, traces: () => TraceView): T {
  // A digest says which one it is, wherever it came from: an export knows no ids of this server.
  if (workload.kind !== 'replay' || workload.recording !== undefined) return workload;
  const found = traces().tapeOf(workload.trace as string);
  if (found.ok) return { ...workload, recording: found.value.digest };
  throw new ProblemError({ ...found.problem, path: `${path}/trace` });
}

/** Of everything in a spec. */
export function withRecordings<T extends Body>(spec: T, path: string, traces: () => TraceView): T {
  const { workloads } = spec;
  if (!Array.isArray(workloads)) return spec;
  return {
    ...spec,
    workloads: workloads.map((workload: Body, i) => withRecording(workload, `${path}/workloads/${i}`, traces)),
  };
}
