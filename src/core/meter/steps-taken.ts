/**
 * Which steps of a profile a session's calls may take: replies name the assumptions among them. An allocator says itself which are its
 * own (`costSteps`); those of every session are here.
 */

/** What of a session decides it. */
export interface StepTaker {
  /** Whether mappings get an address and PTEs at all. */
  translates: boolean;
  /** Of its allocator, and whatever else has steps of its own. */
  steps: readonly string[];
  /** Of those that every session takes, the ones that its mode has no use for. */
  spares: readonly string[];
  /** Whether unmapped ranges wait in a queue. */
  deferred: boolean;
  coherent: boolean;
}

type Taken = (taker: StepTaker) => boolean;

const always: Taken = () => true;

const COMMON: Record<string, Taken> = {
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
};

/** Whether a call of the DMA API or on a domain may take a step. */
export function callTakes(step: string, taker: StepTaker): boolean {
  if (taker.spares.includes(step)) return false;
  return taker.steps.includes(step) || (taker.translates && (COMMON[step]?.(taker) ?? false));
}

/** Steps of the chip and of CPUs that meet: taken only by machines that have them, which know it themselves. */
const HARDWARE = [
  'invalidationSubmit',
  'invalidationHardware',
  'invalidationDescriptor',
  'deviceTlbInvalidation',
  'translationRequest',
  'lockHandoff',
];

const TRAFFIC = ['packet', 'packetTax', 'io', 'tableRead'];

/**
 * Steps that a run's workloads take beside those of their calls.
 * @param taxed whether a packet pays for an IOMMU mode being on; @param walks whether devices' accesses are translated
 */
export function stepsOfTraffic(workloads: Iterable<{ kind: string }>, taxed: boolean, walks: boolean): Set<string> {
  const steps = new Set<string>();
  for (const { kind } of workloads) {
    if (kind === 'nic-rx' || kind === 'nic-tx') {
      steps.add('packet');
      if (taxed) steps.add('packetTax');
    }
    if (kind === 'block') steps.add('io');
    if (walks) steps.add('tableRead');
  }
  return steps;
}

/** Those that no allocator has: for the test that no step is forgotten. */
export const stepsOfNoAllocator: readonly string[] = [...Object.keys(COMMON), ...HARDWARE, ...TRAFFIC];
