/**
 * Cost profiles: what each counted step takes, as data with a citation per number (`profiles/*.json`, one per publication).
 *
 * Inside the simulation costs are whole milli-cycles; an operation's picoseconds are rounded half up once, from their sum.
 */
import { type CostProfile, type ProfileFile, resolveProfiles } from './profile-file.ts';
import fands24 from './profiles/fands24-clx.json' with { type: 'json' };
import farshin23 from './profiles/farshin23-icx.json' with { type: 'json' };
import hypertrio20 from './profiles/hypertrio20-sim.json' with { type: 'json' };
import npf17 from './profiles/npf17-connectib.json' with { type: 'json' };
import pciebench18Hsw from './profiles/pciebench18-hsw.json' with { type: 'json' };
import pciebench18Hsw2637 from './profiles/pciebench18-hsw2637.json' with { type: 'json' };
import pciebench18Snb from './profiles/pciebench18-snb.json' with { type: 'json' };
import brcm from './profiles/riommu15-brcm.json' with { type: 'json' };
import mlx from './profiles/riommu15-mlx.json' with { type: 'json' };
import skl26 from './profiles/skl26-nvme.json' with { type: 'json' };
import uiuc25 from './profiles/uiuc25-nested.json' with { type: 'json' };
import viommu11 from './profiles/viommu11-x5570.json' with { type: 'json' };
import wiosca10 from './profiles/wiosca10-ioat.json' with { type: 'json' };

export type { CostProfile, Figure, FigureGroup, ProfileStep } from './profile-file.ts';
export { hardwareOf, isFigure, numberOf } from './profile-file.ts';

/** The steps are those that `riommu15-mlx` has: all others inherit from it, by one or more generations. */
export type StepName = keyof (typeof mlx)['steps'];

export const stepNames = Object.keys(mlx.steps) as StepName[];

export const profiles: Record<string, CostProfile> = resolveProfiles([
  mlx,
  brcm,
  viommu11,
  wiosca10,
  pciebench18Hsw,
  pciebench18Hsw2637,
  pciebench18Snb,
  fands24,
  farshin23,
  uiuc25,
  npf17,
  hypertrio20,
  skl26,
] satisfies ProfileFile[]);

/** Milli-cycles of every step, after overrides. */
export type Costs = Record<StepName, number>;

export function costsOf(profile: CostProfile, overrides: Record<string, number>): Costs {
  // A copy, not an object filled by computed keys: V8 makes a hash table of that after twelve, and a packet reads ten costs. The copy
  // took a packet from 1,000 to 800 ns. It is a copy of the parsed file and not of `profile.steps`, so that the costs of every profile
  // have one shape, which those who read them meet alone.
  const costs = { ...mlx.steps } as Record<StepName, unknown> as Costs;
  for (const step of stepNames) costs[step] = Math.round((overrides[step] ?? profile.steps[step]!.cycles) * 1000);
  return costs;
}

/** Steps whose number has no citation and was not overridden: they show as such in every reply that used them. */
export function assumptionsOf(profile: CostProfile, overrides: Record<string, number>): StepName[] {
  return stepNames.filter((step) => profile.steps[step]!.source === 'assumption' && !(step in overrides));
}

/** One assumption at either end of its range, everything else as it was: `costs.overrides` of two sessions to compare. */
export interface Sensitivity {
  step: StepName;
  low: Record<string, number>;
  high: Record<string, number>;
}

/** Every assumption of a profile that is not overridden, at both ends of its range. */
export function sensitivityOf(profile: CostProfile, overrides: Record<string, number> = {}): Sensitivity[] {
  return assumptionsOf(profile, overrides).map((step) => {
    const [low, high] = profile.steps[step]!.range as [number, number];
    return { step, low: { ...overrides, [step]: low }, high: { ...overrides, [step]: high } };
  });
}
