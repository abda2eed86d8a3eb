/**
 * Cost profiles: what each counted step takes, as data with a citation per number (`profiles/*.json`).
 *
 * Inside the simulation costs are whole milli-cycles; an operation's picoseconds are rounded half up once, from their sum.
 */
import brcm from './profiles/riommu15-brcm.json' with { type: 'json' };
import mlx from './profiles/riommu15-mlx.json' with { type: 'json' };

export interface ProfileStep {
  cycles: number;
  /** Where the number is from, or `assumption`. */
  source: string;
  range?: number[];
  why?: string;
}

export type StepName = keyof (typeof mlx)['steps'];

export interface CostProfile {
  kind: string;
  title: string;
  source: string;
  notMeasuredFor: string;
  clockGhz: number;
  linkGbps: number;
  mappingsPerPacket: number;
  steps: Record<StepName, ProfileStep>;
}

export const profiles: Record<string, CostProfile> = { [mlx.kind]: mlx, [brcm.kind]: brcm };

export const stepNames = Object.keys(mlx.steps) as StepName[];

/** Milli-cycles of every step, after overrides. */
export type Costs = Record<StepName, number>;

export function costsOf(profile: CostProfile, overrides: Record<string, number>): Costs {
  // A copy, not an object filled by computed keys: V8 makes a hash table of that after twelve, and a packet reads ten costs. The copy
  // took a packet from 1,000 to 800 ns.
  const costs = { ...profile.steps } as Record<StepName, unknown> as Costs;
  for (const step of stepNames) costs[step] = Math.round((overrides[step] ?? profile.steps[step].cycles) * 1000);
  return costs;
}

/** Steps whose number has no citation and was not overridden: they show as such in every reply that used them. */
export function assumptionsOf(profile: CostProfile, overrides: Record<string, number>): StepName[] {
  return stepNames.filter((step) => profile.steps[step].source === 'assumption' && !(step in overrides));
}
