/** Reproductions as experiments that are kept ready: an arm of the publication is an arm, and its job one of kind `reproduction`. */

import { resolveSpec } from '../../core/index.ts';
import type { Arm, Job, JobOutcome } from '../experiment.ts';
import { armOutcome, missingKinds } from './arm.ts';
import { reproductions } from './index.ts';

export interface ReproductionPreset {
  /** `repro/<id>`, as in `preset` of a request. */
  kind: string;
  title: string;
  source: string;
  /** Of the reproduction, without `repro/`. */
  reproduction: string;
  /** Names of the arms, in order; `Arm.label` of the experiment. */
  arms: string[];
}

export const reproductionPresets: ReproductionPreset[] = Object.values(reproductions).map((each) => ({
  kind: `repro/${each.id}`,
  title: each.title,
  source: each.citation,
  reproduction: each.id,
  arms: Object.keys(each.arms),
}));

/** Arms and jobs of a reproduction, one beside the other; a publication has no control but those among its own arms. */
export function reproductionPlan({ reproduction, arms }: ReproductionPreset): { arm: Arm; job: Job }[] {
  return arms.map((name, i) => ({
    arm: {
      id: `arm-${i + 1}`,
      label: name,
      control: false,
      controlId: null,
      varied: { arm: name },
      spec: reproductions[reproduction]!.arms[name]!.spec,
    },
    job: { kind: 'reproduction', reproduction, arm: name },
  }));
}

/** Carries out the job of an arm. Never rejects for what this version cannot do: that is an outcome. */
export function runReproductionJob({ reproduction, arm }: Extract<Job, { kind: 'reproduction' }>): JobOutcome {
  const known = reproductions[reproduction];
  if (known === undefined)
    return { ok: false, code: 'unknown-reproduction', detail: `no reproduction is called ${reproduction}` };
  return armOutcome(known, arm);
}

/** What must be the same for an outcome to be the same: spec and runs, or the steps of a script. For the key of a job. */
export function reproductionContent({ reproduction, arm }: Extract<Job, { kind: 'reproduction' }>): unknown {
  const known = reproductions[reproduction]?.arms[arm];
  if (known === undefined) return null;
  const spec = missingKinds(known.spec).length === 0 ? resolveSpec(known.spec) : known.spec;
  if ('script' in known) return { spec, script: [...known.script()] };
  return { spec, before: known.before ?? [], run: known.run };
}
