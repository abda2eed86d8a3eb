/** Where each arm stands: on the frontier, dominated, a control; in words. */
import type { ArmResult, ExperimentResults } from '../compare/results.ts';
import { listed } from './words.ts';

/** Dominated by many: the first of them. */
const NAMED = 2;

export interface PlaceWords {
  place: string;
  /** By which it is dominated; empty otherwise. */
  by: string;
}

export function placeOf(arm: ArmResult, { frontiers, arms }: ExperimentResults): PlaceWords {
  if (arm.control) return { place: 'control: no protection', by: '' };
  if (arm.unprotected) return { place: 'no protection', by: '' };
  for (const { frontier, dominated } of frontiers) {
    if (frontier.includes(arm.id)) return { place: 'frontier', by: '' };
    const beaten = dominated.find((each) => each.arm === arm.id);
    if (beaten === undefined) continue;
    const labels = beaten.by.map((id) => arms.find((each) => each.id === id)!.label);
    const more = labels.length - NAMED;
    return { place: 'dominated', by: `by ${listed(more > 0 ? [...labels.slice(0, NAMED), `${more} more`] : labels)}` };
  }
  return { place: 'no figures', by: '' };
}
