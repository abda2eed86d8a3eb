/** `GET .../metrics` and a run's result: the same members, of the session's life and of the run. */
import { assumptionsOfHardware, assumptionsOfTraffic } from '../apply/cost.ts';
import type { Workload } from '../devices/workload.ts';
import type { WalkCacheLevel } from '../hardware/walk-cache.ts';
import { Histogram } from '../meter/histogram.ts';
import { newRows } from '../meter/work.ts';
import type { Run } from '../run.ts';
import type { Simulator } from '../simulator.ts';
import { type ExposureFigures, SESSION } from '../truth/exposure.ts';
import { VERDICT, verdictNames } from '../truth/oracle.ts';
import { meanBreakdown } from './breakdown.ts';
import { countersOf } from './counters.ts';
import { lockDocuments, lockSums } from './locks.ts';

type Document = Record<string, unknown>;

function verdictCounts(verdicts: Float64Array, before?: Float64Array): Document {
  const out: Document = {};
  verdictNames.forEach((name, i) => {
    out[name] = verdicts[i]! - (before?.[i] ?? 0);
  });
  return out;
}

function staleOf(
  verdicts: Float64Array,
  before?: Float64Array,
): { staleAccesses: number; crossTenantAccesses: number } {
  const of = (verdict: number) => verdicts[verdict]! - (before?.[verdict] ?? 0);
  return {
    staleAccesses: of(VERDICT.stale) + of(VERDICT.staleReused) + of(VERDICT.misdirected) + of(VERDICT.staleCrossTenant),
    crossTenantAccesses: of(VERDICT.staleCrossTenant),
  };
}

/** Four buckets to the octave: metrics go out ten times a second, a run's result once. */
const TOGETHER = 8;

function windowDocument(figures: ExposureFigures): Document {
  return {
    pageSeconds: Number(figures.pagePs) / 1e12,
    byteSeconds: Number(figures.bytePs) / 1e12,
    currentPages: figures.currentPages,
    peakPages: figures.peakPages,
    longestWindowNs: figures.longestPs / 1000,
    windows: figures.windows,
    quantilesNs: figures.histogram.quantiles(),
    histogram: figures.histogram.buckets(TOGETHER),
  };
}

const iotlbCounts = (lookups: number, hits: number) => ({ lookups, hits, misses: lookups - hits });

/** Of all device TLBs there ever were. */
export function deviceTlbTotals({ everyDevice }: Simulator): { used: boolean; lookups: number; hits: number } {
  const totals = { used: false, lookups: 0, hits: 0 };
  for (const { deviceTlb } of everyDevice) {
    if (deviceTlb === null) continue;
    totals.used = true;
    totals.lookups += deviceTlb.lookups;
    totals.hits += deviceTlb.hits;
  }
  return totals;
}

function deviceTlbCounts(simulator: Simulator, lookupsBefore: number, hitsBefore: number): Document {
  const { used, lookups, hits } = deviceTlbTotals(simulator);
  return used ? { deviceTlb: iotlbCounts(lookups - lookupsBefore, hits - hitsBefore) } : {};
}

const detectabilityOf = (attempts: number, detected: number) => (attempts === 0 ? null : detected / attempts);

function workloadMetrics(simulator: Simulator, workload: Workload, elapsed: number): Document {
  const { now } = simulator.clock;
  const { exposure } = simulator;
  const perSecond = elapsed > 0 ? workload.operations / elapsed : 0;
  return {
    id: workload.id,
    ...(workload.name !== null && { name: workload.name }),
    kind: workload.kind,
    operations: workload.operations,
    ...(workload.hasThroughput && { throughputGbps: elapsed > 0 ? (workload.bytes * 8) / elapsed / 1e9 : 0 }),
    ...(workload.kind === 'block' && { iops: perSecond }),
    latencyNs: workload.latency.quantiles(),
    cpuUtilisation: Array.from(workload.busyPs, (busy, cpu) =>
      utilisation(busy - workload.leftPs(cpu, simulator.clock.now), elapsed),
    ),
    cyclesPerOperation: workload.operations === 0 ? null : workload.milliCycles / 1000 / workload.operations,
    breakdown: {
      map: meanBreakdown(workload.mapRows, workload.mapCalls),
      unmap: meanBreakdown(workload.unmapRows, workload.unmapCalls),
    },
    counts: {
      maps: workload.mapCalls,
      unmaps: workload.unmapCalls,
      mapFailures: workload.mapFailures,
      offered: workload.offered,
      dropped: workload.dropped,
      ...workload.reportCounts(),
    },
    ...workload.report(now, elapsed * 1e12),
    iotlb: iotlbCounts(workload.lookups, workload.hits),
    exposure: {
      potential: windowDocument(exposure.figures('potential', workload.index, now)),
      actual: windowDocument(exposure.figures('actual', workload.index, now)),
      ...staleOf(workload.verdicts),
      attemptsAfterUnmap: workload.attempts,
      detectability: detectabilityOf(workload.attempts, workload.detected),
    },
    verdicts: verdictCounts(workload.verdicts),
  };
}

/** Sums over workloads that make sense as sums. */
function totals(simulator: Simulator, elapsed: number, timerRows?: Float64Array): Document {
  const latency = new Histogram();
  const mapRows = newRows();
  const unmapRows = newRows();
  let operations = 0;
  let bits = 0;
  let ios = 0;
  let milliCycles = 0;
  let mapCalls = 0;
  let unmapCalls = 0;
  for (const workload of simulator.workloads.all()) {
    operations += workload.operations;
    if (workload.hasThroughput) bits += workload.bytes * 8;
    if (workload.kind === 'block') ios += workload.operations;
    milliCycles += workload.milliCycles;
    mapCalls += workload.mapCalls;
    unmapCalls += workload.unmapCalls;
    latency.merge(workload.latency);
    for (let row = 0; row < mapRows.length; row++) {
      mapRows[row]! += workload.mapRows[row]!;
      unmapRows[row]! += workload.unmapRows[row]!;
    }
  }
  return {
    operations,
    throughputGbps: elapsed > 0 ? bits / elapsed / 1e9 : 0,
    iops: elapsed > 0 ? ios / elapsed : 0,
    latencyNs: latency.quantiles(),
    cyclesPerOperation: operations === 0 ? null : milliCycles / 1000 / operations,
    breakdown: { map: meanBreakdown(mapRows, mapCalls), unmap: meanBreakdown(unmapRows, unmapCalls, timerRows) },
  };
}

/** Share of the time; above 1 by rounding alone. */
function utilisation(busyPs: number, seconds: number): number {
  return seconds > 0 ? Math.min(1, busyPs / 1e12 / seconds) : 0;
}

/** Of a run, up to now or its end. */
export function runMetrics(simulator: Simulator, run: Run): Document {
  const { clock, exposure, oracle, iotlb, counters } = simulator;
  const { now } = clock;
  const { baseline } = run;
  const elapsed = run.elapsedSeconds();
  const workloads = [...simulator.workloads.all()];
  const kind = (which: 'potential' | 'actual', pagePs: bigint, bytePs: bigint): Document => {
    const all = exposure.figures(which, SESSION, now);
    const histogram = new Histogram();
    let longest = 0;
    let windows = 0;
    for (const workload of workloads) {
      const part = exposure.figures(which, workload.index, now);
      histogram.merge(part.histogram);
      windows += part.windows;
      longest = Math.max(longest, part.longestPs);
    }
    return {
      pageSeconds: Number(all.pagePs - pagePs) / 1e12,
      byteSeconds: Number(all.bytePs - bytePs) / 1e12,
      currentPages: all.currentPages,
      peakPages: all.peakPagesSinceMark,
      longestWindowNs: longest / 1000,
      windows,
      quantilesNs: histogram.quantiles(),
      histogram: histogram.buckets(),
    };
  };
  const counted: Record<string, number> = {};
  for (const [name, value] of Object.entries(countersOf(simulator))) counted[name] = value - baseline.counters[name]!;
  return {
    simulatedSeconds: elapsed,
    ...totals(simulator, elapsed, run.timerRows),
    cpuUtilisation: Array.from(baseline.cpuBusyPs, (before, cpu) =>
      utilisation(simulator.workedPs(cpu) - before, elapsed),
    ),
    counts: counted,
    gauges: gaugesOf(simulator),
    iotlb: iotlbCounts(iotlb.lookups - baseline.lookups, iotlb.hits - baseline.hits),
    ...deviceTlbCounts(simulator, baseline.deviceLookups, baseline.deviceHits),
    locks: lockSums(simulator.work, simulator.locks(), baseline.locks),
    exposure: {
      potential: kind('potential', baseline.potentialPagePs, baseline.potentialBytePs),
      actual: kind('actual', baseline.actualPagePs, baseline.actualBytePs),
      ...staleOf(oracle.verdicts, baseline.verdicts),
      attemptsAfterUnmap: counters.attemptsAfterUnmap - baseline.attempts,
      detectability: detectabilityOf(
        counters.attemptsAfterUnmap - baseline.attempts,
        counters.attemptsDetected - baseline.detected,
      ),
      residualByteSeconds: Math.max(0, Number(oracle.residual.exactAt(now) - baseline.residualBytePs) / 1e12),
    },
    verdicts: verdictCounts(oracle.verdicts, baseline.verdicts),
    assumptions: [...assumptionsOfTraffic(simulator), ...assumptionsOfHardware(simulator)],
    workloads: workloads.map((workload) => ({
      ...workloadMetrics(simulator, workload, elapsed),
      latencyHistogram: workload.latency.buckets(),
    })),
  };
}

/** What allocators with a cache keep, over all domains. */
function caches(simulator: Simulator): { cachedRanges: number; cachedPages: number; depotMagazines: number } {
  const sum = { cachedRanges: 0, cachedPages: 0, depotMagazines: 0 };
  for (const { allocator } of simulator.domainNames.all()) {
    sum.cachedRanges += allocator?.cachedRanges ?? 0;
    sum.cachedPages += allocator?.cachedPages ?? 0;
    sum.depotMagazines += allocator?.depotMagazines ?? 0;
  }
  return sum;
}

/** What is there now, and high-water marks since the session began. */
function gaugesOf(simulator: Simulator): Record<string, number> {
  const { mappings, memory, policy, iotlb, faults, oracle, dma, hypervisor } = simulator;
  return {
    liveMappings: mappings.count,
    liveMappingsPeak: mappings.countPeak,
    mappedBytes: mappings.bytes,
    framesInUse: memory.framesInUse,
    framesInUsePeak: memory.framesInUsePeak,
    tablePages: simulator.tables.tables,
    flushQueueEntries: policy.queued,
    ...caches(simulator),
    iotlbEvictions: iotlb.evictions,
    faultLogDropped: faults.dropped,
    residualBytes: oracle.residual.current,
    domains: simulator.domainNames.size,
    devices: simulator.devices.size,
    ...dma.mode?.gauges(),
    ...hypervisor?.gauges(),
    ...dma.partial?.pool.gauges(),
  };
}

/** Of the session since it began; the workloads' parts are those of the active or last run. */
export function sessionMetrics(simulator: Simulator): Document {
  const { clock, exposure, oracle, iotlb, counters, cpuBusyPs, run, work } = simulator;
  const counted = countersOf(simulator);
  const { now } = clock;
  const seconds = clock.baseNs / 1e9 + now / 1e12;
  const runSeconds = run === null ? 0 : run.elapsedSeconds();
  const countsOf = (levels: readonly WalkCacheLevel[]): Document[] =>
    levels.map(({ tableLevel, lookups, hits }) => ({ tableLevel, lookups, hits }));
  return {
    timeNs: clock.timeNs,
    timePs: clock.timePs,
    ...totals(simulator, runSeconds, run?.timerRows),
    cpuUtilisation: Array.from(cpuBusyPs, (_, cpu) => utilisation(simulator.workedPs(cpu), seconds)),
    counts: counted,
    counters: { ...counted, ...gaugesOf(simulator) },
    locks: lockDocuments(work, simulator.locks()),
    iotlb: {
      ...iotlbCounts(iotlb.lookups, iotlb.hits),
      hitsByPageSize: { '4KiB': iotlb.hitsOfSize[0], '2MiB': iotlb.hitsOfSize[1], '1GiB': iotlb.hitsOfSize[2] },
    },
    ...deviceTlbCounts(simulator, 0, 0),
    walkCaches: countsOf(simulator.walkCaches),
    ...(simulator.nested !== null && { secondStageWalkCaches: countsOf(simulator.nested.secondCaches) }),
    exposure: {
      potential: windowDocument(exposure.figures('potential', SESSION, now)),
      actual: windowDocument(exposure.figures('actual', SESSION, now)),
      ...staleOf(oracle.verdicts),
      attemptsAfterUnmap: counters.attemptsAfterUnmap,
      detectability: detectabilityOf(counters.attemptsAfterUnmap, counters.attemptsDetected),
      residualByteSeconds: Math.max(0, oracle.residual.secondsAt(now)),
    },
    verdicts: verdictCounts(oracle.verdicts),
    assumptions: [...assumptionsOfTraffic(simulator), ...assumptionsOfHardware(simulator)],
    workloads: [...simulator.workloads.all()].map((workload) => workloadMetrics(simulator, workload, runSeconds)),
  };
}
