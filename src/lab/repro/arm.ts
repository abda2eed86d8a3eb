/** Runs one arm of a reproduction in process, on the core alone: the same spec, run and result as a session over HTTP has. */

import { workloads } from '../../core/devices/index.ts';
import { createSimulator, resolveSpec, SpecError } from '../../core/index.ts';
import { profiles, stepNames } from '../../core/meter/cost-profile.ts';
import type { Operation, Outcome, RunRequest } from '../../core/operations.ts';
import { policies } from '../../core/os/invalidation/index.ts';
import { allocators } from '../../core/os/iova/index.ts';
import { modes } from '../../core/os/mode/index.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import { LabelTable } from '../../host/labels.ts';
import type { JobOutcome, Plain } from '../experiment.ts';
import type { Arm, Reproduction, RunArm, ScriptArm, Spec } from './reproduction.ts';

const EVENTS_PER_STEP = 100_000;
const LABEL_BYTES = 64 * 1024 * 1024;

interface Kind {
  schema: Plain;
}

/** Kinds, members and steps that a spec names and this version does not have, in words; empty when it can be run. */
export function missingKinds(spec: Spec): string[] {
  const policy = (spec.policy ?? {}) as { mode?: string; allocator?: Plain; invalidation?: Plain };
  const costs = (spec.costs ?? {}) as { profile?: string; overrides?: Plain };
  const missing: string[] = [];
  const want = (what: string, wanted: Plain | undefined, known: Record<string, Kind>) => {
    if (wanted === undefined) return;
    const entry = known[wanted.kind as string];
    if (entry === undefined) {
      missing.push(`${what} ${wanted.kind}`);
      return;
    }
    const members = Object.keys((entry.schema.properties ?? {}) as Plain);
    for (const member of Object.keys(wanted))
      if (!members.includes(member)) missing.push(`${member} of ${what} ${wanted.kind}`);
  };
  if (policy.mode !== undefined && !(policy.mode in modes)) missing.push(`mode ${policy.mode}`);
  want('allocator', policy.allocator, allocators);
  want('policy', policy.invalidation, policies);
  for (const workload of (spec.workloads ?? []) as Plain[]) want('workload', workload, workloads);
  if (costs.profile !== undefined && !(costs.profile in profiles)) missing.push(`profile ${costs.profile}`);
  for (const step of Object.keys(costs.overrides ?? {}))
    if (!(stepNames as string[]).includes(step)) missing.push(`step ${step}`);
  return missing;
}

/** A simulated kernel that did not do what an arm asks of it. */
export class NotCarriedOut extends Error {}

function expectOk(outcome: Outcome): Plain {
  if (outcome.status !== 'ok') throw new NotCarriedOut(`not carried out: ${JSON.stringify(outcome.problem)}`);
  return outcome.result;
}

/** Lookups and hits of each walk cache since the session began, by the level of the tables that it points to: 1 are leaf tables. */
function walkCachesOf(simulator: SimulatorApi): Record<string, { lookups: number; hits: number }> {
  const { walkCaches } = expectOk(simulator.read({ read: 'metrics' })) as {
    walkCaches: { tableLevel: number; lookups: number; hits: number }[];
  };
  return Object.fromEntries(walkCaches.map(({ tableLevel, lookups, hits }) => [tableLevel, { lookups, hits }]));
}

function carryOut(simulator: SimulatorApi, request: RunRequest): void {
  expectOk(simulator.startRun(request));
  while (!simulator.stepRun(EVENTS_PER_STEP));
}

interface Ran {
  simulator: SimulatorApi;
  result: Plain;
}

/** The result of the last run, with `walkCaches.<level>` of that run beside it. */
function runTraffic({ spec, before = [], run }: RunArm): Ran {
  const simulator = createSimulator(resolveSpec(spec));
  for (const request of before) carryOut(simulator, request);
  const start = walkCachesOf(simulator);
  carryOut(simulator, run);
  const walkCaches = Object.fromEntries(
    Object.entries(walkCachesOf(simulator)).map(([level, now]) => {
      const [lookups, hits] = [now.lookups - start[level]!.lookups, now.hits - start[level]!.hits];
      return [level, { lookups, hits, misses: lookups - hits }];
    }),
  );
  return { simulator, result: { ...simulator.runResult(), walkCaches } };
}

interface Phase {
  maps: number;
  iovaAlloc: { mean: number; longest: number; searches: number };
}

/** An allocation that looked at more than this many cycles' worth of nodes was a search. */
const SEARCH_CYCLES = 1000;

function apply(simulator: SimulatorApi, operation: Operation): Plain {
  let outcome = simulator.apply(operation);
  while (outcome === null) outcome = simulator.resume();
  return expectOk(outcome);
}

function runScript({ spec, script }: ScriptArm): Ran {
  const simulator = createSimulator(resolveSpec(spec));
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
    const result = apply(simulator, operation as Operation);
    if (step.as !== undefined) {
      labels.define(step.as, result, JSON.stringify(result));
      results[step.as] = result;
    }
    if (phase === null || operation.op !== 'map') continue;
    const { iovaAlloc } = result.breakdown as Record<string, number>;
    phase.iovaAlloc.mean = (phase.iovaAlloc.mean * phase.maps + iovaAlloc!) / (phase.maps + 1);
    phase.iovaAlloc.longest = Math.max(phase.iovaAlloc.longest, iovaAlloc!);
    if (iovaAlloc! > SEARCH_CYCLES) phase.iovaAlloc.searches++;
    phase.maps++;
  }
  return { simulator, result: results };
}

/**
 * @param overrides costs below what the arm states itself: one end of an assumption's range (`sensitivityOf`)
 * @returns with `result`: of the last run, the contract's `RunResult` with `walkCaches` beside; of a script, what its steps were told
 * @throws NotCarriedOut, and what a spec that cannot be made throws
 */
export function runArm(arm: Arm, overrides: Record<string, number> = {}): JobOutcome & { ok: true } {
  const costs = (arm.spec.costs ?? {}) as { overrides?: Record<string, number> };
  // What an arm states itself is a component of the publication, and not what is varied.
  const spec = { ...arm.spec, costs: { ...costs, overrides: { ...overrides, ...costs.overrides } } };
  const { simulator, result } = 'script' in arm ? runScript({ ...arm, spec }) : runTraffic({ ...arm, spec });
  return { ok: true, result, digest: simulator.digest(), timeNs: simulator.timeNs };
}

/** An arm as the job of an experiment: what this version cannot do is an outcome too. */
export function armOutcome({ id, arms }: Reproduction, name: string): JobOutcome {
  const arm = arms[name];
  if (arm === undefined) return { ok: false, code: 'unknown-arm', detail: `${id} has no arm "${name}"` };
  const missing = missingKinds(arm.spec);
  if (missing.length > 0)
    return { ok: false, code: 'unknown-kind', detail: `there is no ${missing.join(', no ')} yet` };
  try {
    return runArm(arm);
  } catch (error) {
    if (error instanceof NotCarriedOut || error instanceof SpecError)
      return { ok: false, code: 'not-carried-out', detail: error.message };
    throw error;
  }
}
