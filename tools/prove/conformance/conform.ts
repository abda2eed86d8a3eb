/** One combination through all it must stand: refused with a reason, or a history that keeps every invariant and one digest. */
import { SpecError } from '../../../src/core/resolve-spec.ts';
import { type Combination, impossible, nameOf } from './combinations.ts';
import { type History, play } from './history.ts';

export interface Conformed {
  refused: boolean;
  complaints: string[];
  maps: number;
  failures: number;
  misuse: number;
  packets: number;
}

const CHANCES = [1, 2, 3, 10];

/** @param operations of each history: one plain, one again in slices, and one for each failure */
export function conform(combination: Combination, seed: number, operations: number): Conformed {
  const found: Conformed = { refused: false, complaints: [], maps: 0, failures: 0, misuse: 0, packets: 0 };
  const complain = (what: string) => (line: string) =>
    found.complaints.push(`${nameOf(combination)}, ${what}: ${line}`);
  const reason = impossible(combination);
  const attempt = (what: string, history: Partial<History>, slice?: number) => {
    const played = play({ combination, seed, operations, ...history }, slice);
    played.complaints.forEach(complain(what));
    found.maps += played.maps;
    found.failures += played.failures;
    found.misuse += played.misuse;
    found.packets += played.packets;
    return played;
  };
  try {
    const whole = attempt('plain', {});
    if (reason !== null) complain('plain')('it was not refused');
    const sliced = attempt('in slices', { searchBudget: 3 }, 1);
    if (whole.digest !== sliced.digest) complain('in slices')('another digest');
    for (const at of CHANCES)
      for (const what of ['address', 'frame'] as const)
        attempt(`${what} ${at} fails`, { failure: { of: what, at }, operations: Math.min(operations, 40 + at * 4) });
  } catch (error) {
    if (error instanceof SpecError) {
      found.refused = true;
      if (reason === null) complain('refused')(error.message);
      else if (!reason.test(error.message)) complain('refused')(`for another reason: ${error.message}`);
    } else complain('broken')(`${error instanceof Error ? error.stack : error}`);
  }
  return found;
}
