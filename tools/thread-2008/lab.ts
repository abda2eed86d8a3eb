/** Runs of the preset in process: the same core, spec and result as a session over HTTP has. */
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import type { SimulatorApi } from '../../src/core/simulator-api.ts';

export interface Windows {
  pageSeconds: number;
  peakPages: number;
  longestWindowNs: number;
  windows: number;
}

export interface Metered {
  operations: number;
  cyclesPerOperation: number;
  breakdown: { map: Record<string, number>; unmap: Record<string, number> };
  exposure: {
    potential: Windows;
    actual: Windows;
    staleAccesses: number;
    attemptsAfterUnmap: number;
    detectability: number | null;
  };
  verdicts: Record<string, number>;
}

export interface WorkloadResult extends Metered {
  name: string;
  throughputGbps: number;
  iops: number;
  cpuUtilisation: number[];
  counts: { maps: number; unmaps: number; offered: number; dropped: number };
}

export interface RunResult extends Metered {
  simulatedSeconds: number;
  cpuUtilisation: number[];
  counts: Record<string, number>;
  workloads: WorkloadResult[];
}

export type Spec = Record<string, unknown>;

const EVENTS_PER_STEP = 10_000;

/** Runs a spec's workloads for some simulated time. */
export function run(spec: Spec, forNs: number): RunResult {
  const simulator = createSimulator(resolveSpec(spec));
  expectOk(simulator.startRun({ forNs }));
  while (!simulator.stepRun(EVENTS_PER_STEP));
  return simulator.runResult() as unknown as RunResult;
}

/** A machine driven by operations alone, each of which must succeed. */
export function machine(spec: Spec): { do(operation: Operation): Record<string, unknown>; simulator: SimulatorApi } {
  const simulator = createSimulator(resolveSpec(spec));
  return { simulator, do: (operation) => expectOk(simulator.apply(operation)) };
}

function expectOk(outcome: ReturnType<SimulatorApi['apply']>): Record<string, unknown> {
  if (outcome === null || outcome.status !== 'ok') throw new Error(`not carried out: ${JSON.stringify(outcome)}`);
  return outcome.result;
}

export function workload(result: RunResult, name: string): WorkloadResult {
  const found = result.workloads.find((each) => each.name === name);
  if (found === undefined) throw new Error(`the run had no workload "${name}"`);
  return found;
}

export function counters(simulator: SimulatorApi): Record<string, number> {
  const outcome = simulator.read({ read: 'metrics' });
  return expectOk(outcome).counts as Record<string, number>;
}
