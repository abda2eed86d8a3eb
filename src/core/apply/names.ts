/** Names: unique among siblings, never of the form of an id. */
import type { Outcome } from '../operations.ts';
import { refuse } from '../outcome.ts';

const ID_FORM = /^(ses|ten|dom|dev|buf|map|wl|run)_[0-9a-z_]*$/;

/** The refusal of a name, or null when it can be taken. */
export function refuseName(name: string | undefined, siblings: { hasName(name: string): boolean }): Outcome | null {
  if (name === undefined) return null;
  if (ID_FORM.test(name)) return refuse('invalid-name', `"${name}" has the form of an id`, '/name');
  if (siblings.hasName(name)) return refuse('name-taken', `the name "${name}" is taken`, '/name');
  return null;
}
