/** Runs one arm of a reproduction at one go, on the core alone: the same spec, run and result as a session over HTTP has. */

import { workloads } from '../../core/devices/index.ts';
import { createSimulator, resolveSpec } from '../../core/index.ts';
import { profiles, stepNames } from '../../core/meter/cost-profile.ts';
import { policies } from '../../core/os/invalidation/index.ts';
import { allocators } from '../../core/os/iova/index.ts';
import { modes } from '../../core/os/mode/index.ts';
import type { JobOutcome, Plain } from '../experiment.ts';
import type { Arm, Spec } from './reproduction.ts';
import { type Pace, scriptSteps, trafficSteps } from './steps.ts';

const EVENTS_PER_STEP = 100_000;

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

/** However long it takes. */
const AT_ONE_GO: Pace = {
  build: (spec) => createSimulator(resolveSpec(spec)),
  run(simulator) {
    while (!simulator.stepRun(EVENTS_PER_STEP));
    return true;
  },
  worked: () => false,
  leave: () => {},
};

/**
 * @param overrides costs below what the arm states itself: one end of an assumption's range (`sensitivityOf`)
 * @throws where the simulated kernel does not do what the arm asks of it
 */
export function runArm(arm: Arm, overrides: Record<string, number> = {}): JobOutcome & { ok: true } {
  const costs = (arm.spec.costs ?? {}) as { overrides?: Record<string, number> };
  // What an arm states itself is a component of the publication, and not what is varied.
  const spec = { ...arm.spec, costs: { ...costs, overrides: { ...overrides, ...costs.overrides } } };
  const steps = 'script' in arm ? scriptSteps({ ...arm, spec }, AT_ONE_GO) : trafficSteps({ ...arm, spec }, AT_ONE_GO);
  for (;;) {
    const { done, value } = steps.next();
    if (!done) continue;
    const { result, simulator } = value;
    return { ok: true, result, digest: simulator.digest(), timeNs: simulator.timeNs };
  }
}
