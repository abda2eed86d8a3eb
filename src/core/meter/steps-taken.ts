/**
 * Which steps of a profile a session's calls may take: replies name the assumptions among them. A step that is not listed here would
 * be named in every reply, and a test says so.
 */

/** What of a session decides it. */
export interface StepTaker {
  /** Whether mappings get an address and PTEs at all. */
  translates: boolean;
  searches: 'tree' | 'bitmap';
  /** Whether unmapped ranges wait in a queue. */
  deferred: boolean;
  coherent: boolean;
}

type Taken = (taker: StepTaker) => boolean;

const always: Taken = () => true;
const tree: Taken = ({ searches }) => searches === 'tree';
const bitmap: Taken = ({ searches }) => searches === 'bitmap';
const never: Taken = () => false;

const TAKEN: Record<string, Taken> = {
  treeAllocFixed: tree,
  treeAllocNode: tree,
  treeFind: tree,
  treeFree: tree,
  bitmapAllocFixed: bitmap,
  bitmapAllocWord: bitmap,
  bitmapFind: bitmap,
  bitmapFree: bitmap,
  mapFirstPte: always,
  mapFurtherPte: always,
  unmapFirstPte: always,
  unmapFurtherPte: always,
  coherentWalkSaving: ({ coherent }) => coherent,
  mapOther: always,
  unmapOther: ({ deferred }) => !deferred,
  unmapOtherDeferred: ({ deferred }) => deferred,
  unmapQueue: ({ deferred }) => deferred,
  invalidation: always,
  // Of packets, I/Os and accesses, not of calls: see `stepsOfTraffic`.
  packet: never,
  packetTax: never,
  io: never,
  tableRead: never,
  // Of allocators with a cache in front, and of guests: none of those that there are.
  cacheAlloc: never,
  cacheFree: never,
  vmExit: never,
};

/** Whether a call of the DMA API or on a domain may take a step. */
export function callTakes(step: string, taker: StepTaker): boolean {
  return taker.translates && (TAKEN[step] ?? always)(taker);
}

/** Steps that a run's workloads take beside those of their calls. */
export function stepsOfTraffic(workloads: Iterable<{ kind: string }>, translates: boolean): Set<string> {
  const steps = new Set<string>();
  for (const { kind } of workloads) {
    if (kind === 'nic-rx' || kind === 'nic-tx') steps.add('packet');
    if (kind === 'block') steps.add('io');
    if (translates) {
      if (steps.has('packet')) steps.add('packetTax');
      steps.add('tableRead');
    }
  }
  return steps;
}

/** For the test that no step is forgotten. */
export const listedSteps: readonly string[] = Object.keys(TAKEN);
