/**
 * What an operation cost, as replies have it: decimal cycles with three places, rows that sum to the total exactly.
 *
 * Most operations of a session cost what one shortly before cost, to the row. Replies then share one breakdown, frozen: making
 * and writing out nine members for each was a fifth of the time of an `ops` line (`bench/service.bench.ts`).
 */
import { assumptionsOf, type CostProfile, type StepName } from '../meter/cost-profile.ts';
import { callTakes, type StepTaker, stepsOfTraffic } from '../meter/steps-taken.ts';
import { INVALIDATION_STEP, rowNames, type Work } from '../meter/work.ts';
import type { Simulator } from '../simulator.ts';

export interface Cost {
  readonly costCycles: number;
  readonly breakdown: Readonly<Record<string, number>>;
}

/** Costs remembered; a power of two. */
const SLOTS = 64;

/** What guests have in the place of an invalidation. */
const EXITS: readonly string[] = ['vmExit', 'sidecoreCall', 'hostRequest'];

/** What replies say of costs again and again. Holds nothing that acts: a session without it answers the same. */
export class CostReplies {
  /** [slot * rows + row]: milli-cycles of the cost in that slot. */
  private readonly rows = new Float64Array(SLOTS * rowNames.length);
  private readonly costs: (Cost | null)[] = new Array<Cost | null>(SLOTS).fill(null);
  /** Assumed steps that this session's allocator takes, where a call clears one PTE, and where several. None without translation. */
  ofOnePage: readonly string[];
  ofSeveralPages: readonly string[];

  /** All steps without a citation that this machine may take at all. */
  private readonly assumed: readonly string[];

  constructor(profile: CostProfile, overrides: Record<string, number>, taker: StepTaker) {
    this.assumed = assumptionsOf(profile, overrides).filter(
      (step) => (step !== 'coherentWalkSaving' || taker.coherent) && !taker.spares.includes(step),
    );
    const taken = this.assumed.filter((step) => callTakes(step, taker));
    this.ofOnePage = Object.freeze(taken.filter((step) => step !== 'unmapFurtherPte'));
    this.ofSeveralPages = Object.freeze(taken);
  }

  /** From now on calls may take these steps as well. */
  also(steps: readonly string[]): void {
    const taken = this.assumed.filter((step) => steps.includes(step));
    this.ofOnePage = Object.freeze([...new Set([...this.ofOnePage, ...taken])]);
    this.ofSeveralPages = Object.freeze([...new Set([...this.ofSeveralPages, ...taken])]);
  }

  /** Those that a run's workloads took, beside those of their calls. */
  ofTraffic(workloads: Iterable<{ kind: string }>, taxed: boolean, walks: boolean): string[] {
    const steps = stepsOfTraffic(workloads, taxed, walks);
    return this.assumed.filter((step) => steps.has(step));
  }

  /** Those among the steps that an operation of another kind takes, as a member for its reply; nothing when there is none. */
  among(...steps: string[]): { assumptions?: string[] } {
    const exits = steps.includes('invalidation') ? EXITS : [];
    const assumptions = this.assumed.filter(
      (step) => steps.includes(step) || (exits.includes(step) && this.ofSeveralPages.includes(step)),
    );
    return assumptions.length > 0 ? { assumptions } : {};
  }

  of({ ownRows: rows }: Work): Cost {
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
  const { costReplies, work } = simulator;
  const ofCall = multiplePages ? costReplies.ofSeveralPages : costReplies.ofOnePage;
  if (work.invalidationSteps === 0) return ofCall;
  return [...ofCall, ...(costReplies.among(...invalidationSteps(work)).assumptions ?? [])];
}

const none: readonly string[] = Object.freeze([]);

/** Steps beside `invalidation` that the invalidations of this operation took. */
export function invalidationSteps({ invalidationSteps: taken }: Work): readonly string[] {
  if (taken === 0) return none;
  const steps = Object.entries(INVALIDATION_STEP);
  return steps.filter(([, bit]) => (taken & bit) !== 0).map(([step]) => step);
}

/** The same of a run or a session: its calls' and its workloads'. */
export function assumptionsOfTraffic(simulator: Simulator): string[] {
  const { costReplies, mapper, workloads, modeEntry } = simulator;
  const ofTraffic = costReplies.ofTraffic(workloads.all(), modeEntry.taxed, modeEntry.kind !== 'passthrough');
  return [...assumptions(simulator, mapper.clearedSeveral), ...ofTraffic];
}

/** Assumed steps of the profile that invalidations, device TLBs and lock hand-offs have taken so far. */
export function assumptionsOfHardware(simulator: Simulator): StepName[] {
  const { counters, flush, profile, spec } = simulator;
  const used: Partial<Record<StepName, boolean>> = {
    invalidationSubmit: flush.met,
    invalidationHardware: flush.met,
    invalidationDescriptor: flush.batched,
    deviceTlbInvalidation: counters.deviceTlbInvalidations > 0,
    translationRequest: counters.translationRequests > 0,
    lockHandoff: simulator.locks().some(({ waits }) => waits > 0),
  };
  return assumptionsOf(profile, spec.costs.overrides).filter((step) => used[step] === true);
}
