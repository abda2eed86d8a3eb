/** One combination through all it must stand: refused with a reason, or a history that keeps every invariant and one digest. */
import { SpecError } from '../../../src/core/resolve-spec.ts';
import type { Simulator } from '../../../src/core/simulator.ts';
import { restore } from '../../../src/core/state/restore.ts';
import { type Combination, impossible, nameOf } from './combinations.ts';
import { type History, play } from './history.ts';

export interface Conformed {
  refused: boolean;
  /** Of the plain history; empty where it is refused. */
  digest: string;
  complaints: string[];
  maps: number;
  failures: number;
  misuse: number;
  packets: number;
}

const CHANCES = [1, 2, 3, 10];

/** Calls from one restored simulation to the next. */
const RENEW_EVERY = 37;

/** Now and then the simulation that is restored from the image of the one there was. */
function renewing(complain: (line: string) => void): (simulator: Simulator) => Simulator {
  let calls = 0;
  return (simulator) => {
    if (++calls % RENEW_EVERY !== 0) return simulator;
    const image = simulator.save();
    const restored = restore(simulator.spec, image);
    const again = restored.save();
    if (again.length !== image.length || again.some((byte, i) => byte !== image[i])) complain('another image');
    return restored;
  };
}

/**
 * @param operations of each history: one plain, one again in slices, and one for each failure
 * @param restores whether it is also played by simulations that are restored one from the other
 */
export function conform(combination: Combination, seed: number, operations: number, restores = false): Conformed {
  const found: Conformed = { refused: false, digest: '', complaints: [], maps: 0, failures: 0, misuse: 0, packets: 0 };
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
    found.digest = whole.digest;
    const sliced = attempt('in slices', { searchBudget: 3 }, 1);
    if (whole.digest !== sliced.digest) complain('in slices')('another digest');
    if (restores) {
      const renewed = attempt('restored', { searchBudget: 3, renew: renewing(complain('restored')) }, 50);
      if (renewed.digest !== whole.digest || renewed.outcomes !== whole.outcomes)
        complain('restored')('another history');
    }
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
