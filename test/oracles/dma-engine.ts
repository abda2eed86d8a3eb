/**
 * A device with limits as a queueing network, told in the plainest way: lists of who waits where, and a clock that goes from one
 * moment at which something happens to the next. All times are whole picoseconds as BigInt.
 */

export interface Asked {
  write: boolean;
  bytes: number;
  /** ps for which the access needs a walker; 0 none. */
  heldPs: number;
}
export interface Network {
  outstanding: number;
  /** Infinity: any number. */
  walkers: number;
  readLatencyPs: number;
  writeLatencyPs: number;
  /** ps of so many bytes on the bus. */
  busPs(bytes: number): number;
}
export interface Landed {
  issuedPs: number;
  landedPs: number;
}

interface Job extends Asked {
  number: number;
  issued: bigint;
}
type Place = 'bus' | 'walk' | 'latency';
const ROUTE: Record<'read' | 'write', Place[]> = {
  read: ['walk', 'latency', 'bus'],
  write: ['bus', 'walk', 'latency'],
};

/**
 * @param arrivals ps at which each access is there to be issued; absent: a closed loop, each as soon as a slot is free
 * @returns when each access was issued and landed
 */
export function playNetwork(network: Network, accesses: Asked[], arrivals?: number[]): Landed[] {
  const results: Landed[] = accesses.map(() => ({ issuedPs: -1, landedPs: -1 }));
  const waiting: Record<'bus' | 'walk', { job: Job; stage: number }[]> = { bus: [], walk: [] };
  /** Who is being served, and until when. */
  let served: { job: Job; stage: number; place: Place; until: bigint }[] = [];
  let next = 0;
  let inFlight = 0;
  let now = 0n;

  const servers: Record<'bus' | 'walk', number> = { bus: 1, walk: network.walkers };
  const needs = (job: Job, place: Place): bigint => {
    if (place === 'bus') return BigInt(network.busPs(job.bytes));
    if (place === 'walk') return BigInt(job.heldPs);
    return BigInt(job.write ? network.writeLatencyPs : network.readLatencyPs);
  };
  const enter = (job: Job, stage: number): void => {
    const route = ROUTE[job.write ? 'write' : 'read'];
    if (stage === route.length) {
      results[job.number]!.landedPs = Number(now);
      inFlight--;
      return;
    }
    const place = route[stage]!;
    const need = needs(job, place);
    if (need === 0n) enter(job, stage + 1);
    else if (place === 'latency') served.push({ job, stage, place, until: now + need });
    else {
      waiting[place].push({ job, stage });
      admit(place);
    }
  };
  const admit = (place: 'bus' | 'walk'): void => {
    while (waiting[place].length > 0 && served.filter((each) => each.place === place).length < servers[place]) {
      const { job, stage } = waiting[place].shift()!;
      served.push({ job, stage, place, until: now + needs(job, place) });
    }
  };
  const issueAll = (): void => {
    while (next < accesses.length && inFlight < network.outstanding) {
      if (arrivals !== undefined && BigInt(arrivals[next]!) > now) return;
      inFlight++;
      results[next]!.issuedPs = Number(now);
      const job = { ...accesses[next]!, number: next, issued: now };
      next++;
      enter(job, 0);
    }
  };

  issueAll();
  while (served.length > 0 || next < accesses.length) {
    let moment = served.reduce<bigint | null>((min, { until }) => (min === null || until < min ? until : min), null);
    if (arrivals !== undefined && next < accesses.length && inFlight < network.outstanding) {
      const arrival = BigInt(arrivals[next]!);
      if (moment === null || arrival < moment) moment = arrival;
    }
    now = moment!;
    // In the order in which they were issued: ties are broken alike everywhere.
    const done = served.filter(({ until }) => until === now).sort((a, b) => a.job.number - b.job.number);
    served = served.filter(({ until }) => until !== now);
    for (const place of ['bus', 'walk'] as const) admit(place);
    for (const { job, stage } of done) enter(job, stage + 1);
    for (const place of ['bus', 'walk'] as const) admit(place);
    issueAll();
  }
  return results;
}
