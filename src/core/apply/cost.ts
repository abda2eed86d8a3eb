/**
 * What an operation cost, as replies have it: decimal cycles with three places, rows that sum to the total exactly.
 *
 * Most operations of a session cost what one shortly before cost, to the row. Replies then share one breakdown, frozen: making
 * and writing out nine members for each was a fifth of the time of an `ops` line (`bench/service.bench.ts`).
 */
import { assumptionsOf, type CostProfile, type StepName } from '../meter/cost-profile.ts';
import { INVALIDATION_STEP, rowNames, type Work } from '../meter/work.ts';
import type { Simulator } from '../simulator.ts';

export interface Cost {
  readonly costCycles: number;
  readonly breakdown: Readonly<Record<string, number>>;
}

/** Costs remembered; a power of two. */
const SLOTS = 64;

interface Allocator {
  used: boolean;
  steps: readonly string[];
}

/** What replies say of costs again and again. Holds nothing that acts: a session without it answers the same. */
export class CostReplies {
  /** [slot * rows + row]: milli-cycles of the cost in that slot. */
  private readonly rows = new Float64Array(SLOTS * rowNames.length);
  private readonly costs: (Cost | null)[] = new Array<Cost | null>(SLOTS).fill(null);
  /** Assumed steps that this session's allocator takes, where a call clears one PTE, and where several. None without translation. */
  readonly ofOnePage: readonly string[];
  private readonly assumed: readonly StepName[];
  readonly ofSeveralPages: readonly string[];

  constructor(profile: CostProfile, overrides: Record<string, number>, allocator: Allocator) {
    this.assumed = assumptionsOf(profile, overrides);
    const assumed = allocator.used ? this.assumed : [];
    const may = (step: string, several: boolean): boolean =>
      allocator.steps.includes(step) || (step === 'unmapFurtherPte' && several);
    this.ofOnePage = Object.freeze(assumed.filter((step) => may(step, false)));
    this.ofSeveralPages = Object.freeze(assumed.filter((step) => may(step, true)));
  }

  isAssumed(step: string): boolean {
    return (this.assumed as readonly string[]).includes(step);
  }

  of({ rows }: Work): Cost {
    const count = rowNames.length;
    let total = 0;
    let weighted = 0;
    for (let row = 0; row < count; row++) {
      total += rows[row]!;
      weighted += rows[row]! * (row + 1);
    }
    // Costs are multiples of small round numbers, so the low bits of a sum alone would fall into few slots.
    const slot = (weighted % 8191) & (SLOTS - 1);
    const known = this.costs[slot];
    const base = slot * count;
    if (known) {
      let row = 0;
      while (row < count && this.rows[base + row] === rows[row]) row++;
      if (row === count) return known;
    }
    const breakdown: Record<string, number> = {};
    for (let row = 0; row < count; row++) {
      this.rows[base + row] = rows[row]!;
      breakdown[rowNames[row]!] = rows[row]! / 1000;
    }
    const cost = { costCycles: total / 1000, breakdown: Object.freeze(breakdown) };
    this.costs[slot] = cost;
    return cost;
  }
}

/** Cost of the operation that ends now. */
export function costOf(simulator: Simulator): Cost {
  return simulator.costReplies.of(simulator.work);
}

/**
 * Assumed steps that this session's allocator takes: they show in every reply that used them.
 * @param multiplePages whether several PTEs were cleared by one call
 */
export function assumptions(simulator: Simulator, multiplePages: boolean): readonly string[] {
  const { costReplies } = simulator;
  const ofAllocator = multiplePages ? costReplies.ofSeveralPages : costReplies.ofOnePage;
  const more = invalidationAssumptions(simulator);
  return more.length === 0 ? ofAllocator : [...ofAllocator, ...more];
}

const none: readonly string[] = Object.freeze([]);

/** Assumed steps that the invalidations of this operation took. */
export function invalidationAssumptions({ work, costReplies }: Simulator): readonly string[] {
  const { invalidationSteps } = work;
  if (invalidationSteps === 0) return none;
  const taken: string[] = [];
  for (const [step, bit] of Object.entries(INVALIDATION_STEP))
    if ((invalidationSteps & bit) !== 0 && costReplies.isAssumed(step)) taken.push(step);
  return taken;
}
