/** Runs an arm of a reproduction, on the core alone, in slices: between two of them it may be left, as long as one likes. */
import type { Operation, Outcome, RunRequest } from '../../core/operations.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import { LabelTable } from '../../host/labels.ts';
import type { RunArm, ScriptArm } from './reproduction.ts';

type Plain = Record<string, unknown>;

/** How long a slice is, and what an arm may take. */
export interface Pace {
  build(spec: Plain): SimulatorApi;
  /** Carries a run on for a slice. @returns whether it has ended */
  run(simulator: SimulatorApi): boolean;
  /** After an operation. @returns whether it is time to yield */
  worked(simulator: SimulatorApi): boolean;
  /** Before a slice is left. */
  leave(): void;
}

export interface ArmResult {
  result: Plain;
  simulator: SimulatorApi;
}

const LABEL_BYTES = 64 * 1024 * 1024;

function expectOk(outcome: Outcome): Plain {
  if (outcome.status !== 'ok') throw new Error(`not carried out: ${JSON.stringify(outcome.problem)}`);
  return outcome.result;
}

/** Lookups and hits of each walk cache since the session began, by the level of the tables that it points to: 1 are leaf tables. */
function walkCachesOf(simulator: SimulatorApi): Record<string, { lookups: number; hits: number }> {
  const { walkCaches } = expectOk(simulator.read({ read: 'metrics' })) as {
    walkCaches: { tableLevel: number; lookups: number; hits: number }[];
  };
  return Object.fromEntries(walkCaches.map(({ tableLevel, lookups, hits }) => [tableLevel, { lookups, hits }]));
}

function* carryOut(simulator: SimulatorApi, request: RunRequest, pace: Pace): Generator<void> {
  expectOk(simulator.startRun(request));
  while (!pace.run(simulator)) {
    pace.leave();
    yield;
  }
}

/** The result of the last run, with `walkCaches.<level>` of that run beside it. */
export function* trafficSteps({ spec, before = [], run }: RunArm, pace: Pace): Generator<void, ArmResult> {
  const simulator = pace.build(spec);
  for (const request of before) yield* carryOut(simulator, request, pace);
  const start = walkCachesOf(simulator);
  yield* carryOut(simulator, run, pace);
  const walkCaches = Object.fromEntries(
    Object.entries(walkCachesOf(simulator)).map(([level, now]) => {
      const [lookups, hits] = [now.lookups - start[level]!.lookups, now.hits - start[level]!.hits];
      return [level, { lookups, hits, misses: lookups - hits }];
    }),
  );
  return { result: { ...simulator.runResult(), walkCaches }, simulator };
}

interface Phase {
  maps: number;
  iovaAlloc: { mean: number; longest: number; searches: number };
}

/** An allocation that looked at more than this many cycles' worth of nodes was a search. */
const SEARCH_CYCLES = 1000;

function* apply(simulator: SimulatorApi, operation: Operation, pace: Pace): Generator<void, Plain> {
  let outcome = simulator.apply(operation);
  while (outcome === null) {
    if (pace.worked(simulator)) {
      pace.leave();
      yield;
    }
    outcome = simulator.resume();
  }
  return expectOk(outcome);
}

export function* scriptSteps({ spec, script }: ScriptArm, pace: Pace): Generator<void, ArmResult> {
  const simulator = pace.build(spec);
  const labels = new LabelTable(LABEL_BYTES);
  const results: Plain = {};
  let phase: Phase | null = null;
  for (const step of script()) {
    if ('phase' in step) {
      phase = { maps: 0, iovaAlloc: { mean: 0, longest: 0, searches: 0 } };
      results[step.phase] = phase;
      continue;
    }
    if ('read' in step) {
      results[step.as] = expectOk(simulator.read(step.read));
      continue;
    }
    const operation = { ...step.do };
    labels.resolve(operation);
    const result = yield* apply(simulator, operation as Operation, pace);
    if (step.as !== undefined) {
      labels.define(step.as, result, JSON.stringify(result));
      results[step.as] = result;
    }
    if (phase !== null && operation.op === 'map') {
      const { iovaAlloc } = result.breakdown as Record<string, number>;
      phase.iovaAlloc.mean = (phase.iovaAlloc.mean * phase.maps + iovaAlloc!) / (phase.maps + 1);
      phase.iovaAlloc.longest = Math.max(phase.iovaAlloc.longest, iovaAlloc!);
      if (iovaAlloc! > SEARCH_CYCLES) phase.iovaAlloc.searches++;
      phase.maps++;
    }
    if (pace.worked(simulator)) {
      pace.leave();
      yield;
    }
  }
  return { result: results, simulator };
}
