/**
 * Every allocator x policy x mode x number of CPUs, which of them cannot be, and a covering set: each pair of two of the four once.
 */
import { catalog } from '../../../src/core/catalog.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';

export interface Combination {
  allocator: string;
  invalidation: string;
  mode: string;
  cpus: number;
}

export const CPUS = [1, 2, 4, 16, 64];

const modes = (catalog().modes as { kind: string }[]).map(({ kind }) => kind);

export const nameOf = ({ allocator, invalidation, mode, cpus }: Combination): string =>
  `${mode}, ${allocator}, ${invalidation}, ${cpus} CPU${cpus === 1 ? '' : 's'}`;

const POSTS_TO_REGISTERS = new Set(['delayed']);
const GUESTS_WITH_A_POLICY = new Set(['emulated', 'paravirtual', 'nested']);

/** Why a combination cannot be, by the rules as the docs state them; null when it can. */
export function impossible({ allocator, invalidation, mode }: Combination): RegExp | null {
  if (POSTS_TO_REGISTERS.has(invalidation) && GUESTS_WITH_A_POLICY.has(mode)) return /posts its purges/;
  if (policies[invalidation]!.needsCircular && !allocators[allocator]!.circular) return /cursor wraps/;
  return null;
}

export function allCombinations(): Combination[] {
  const all: Combination[] = [];
  for (const mode of modes)
    for (const allocator of Object.keys(allocators))
      for (const invalidation of Object.keys(policies))
        for (const cpus of CPUS) all.push({ allocator, invalidation, mode, cpus });
  return all;
}

/** The full matrix thinned out, first come first served, until no pair of values would be new. */
export function coveringSet(): Combination[] {
  const seen = new Set<string>();
  // In an order that lets each combination bring several new pairs: neighbours differ in all four.
  const all = allCombinations();
  const stride = 7919;
  const chosen: Combination[] = [];
  for (let i = 0; i < all.length; i++) {
    const combination = all[(i * stride) % all.length]!;
    if (impossible(combination) !== null) continue;
    const { allocator, invalidation, mode, cpus } = combination;
    const pairs = [
      `${allocator} ${invalidation}`,
      `${allocator} ${mode}`,
      `${allocator} ${cpus}`,
      `${invalidation} ${mode}`,
      `${invalidation} ${cpus}`,
      `${mode} ${cpus}`,
    ];
    if (pairs.every((pair) => seen.has(pair))) continue;
    for (const pair of pairs) seen.add(pair);
    chosen.push(combination);
  }
  return chosen;
}
