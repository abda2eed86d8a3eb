/** `npm run prove -- conformance`: the whole matrix of allocators, policies, modes and CPUs; CI runs a covering set of it. */
import { allCombinations, nameOf } from './conformance/combinations.ts';
import { conform } from './conformance/conform.ts';

export interface ConformanceProof {
  combinations: number;
  refused: number;
  complaints: string[];
  maps: number;
  failures: number;
  misuse: number;
  packets: number;
}

/**
 * @param from number of the first combination, to go on where a proof was broken off
 * @param restores whether each history is also played by simulations that are restored one from the other
 */
export function proveConformance(
  options: { operations: number; seed: number; from: number; restores?: boolean },
  progress: (done: number, all: number, name: string) => void = () => {},
): ConformanceProof {
  const proof: ConformanceProof = {
    combinations: 0,
    refused: 0,
    complaints: [],
    maps: 0,
    failures: 0,
    misuse: 0,
    packets: 0,
  };
  const all = allCombinations();
  for (let at = options.from; at < all.length; at++) {
    const combination = all[at]!;
    const found = conform(combination, options.seed, options.operations, options.restores);
    proof.combinations++;
    if (found.refused) proof.refused++;
    proof.complaints.push(...found.complaints);
    proof.maps += found.maps;
    proof.failures += found.failures;
    proof.misuse += found.misuse;
    proof.packets += found.packets;
    progress(at + 1, all.length, nameOf(combination));
  }
  return proof;
}
