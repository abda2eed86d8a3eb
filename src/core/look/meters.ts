/**
 * What a scrape is made of: the metrics document, histograms with bounds that never change, and figures by device, domain, CPU and
 * workload. Nothing of it is in frames, which go out ten times a second.
 *
 * A session may have a thousand devices, and Prometheus keeps a series for each value of a label: beyond MOST_OF_A_KIND of a kind there
 * is one entry more with the sum of the rest.
 */
import { reasonText } from '../hardware/fault.ts';
import type { WalkCacheLevel } from '../hardware/walk-cache.ts';
import { DURATION_BOUNDS_PS, type DurationHistogram } from '../meter/durations.ts';
import type { Histogram } from '../meter/histogram.ts';
import { rowNames } from '../meter/work.ts';
import type { Domain } from '../os/domain.ts';
import type { Simulator } from '../simulator.ts';
import { SESSION } from '../truth/exposure.ts';
import { verdictNames } from '../truth/oracle.ts';
import { sessionMetrics } from './metrics.ts';

type Document = Record<string, unknown>;

const MOST_OF_A_KIND = 64;
const REST = 'other';
/** The gaps of a space with more ranges are not looked at: a scrape must not hold a session up. */
const MOST_RANGES = 65_536;
/** Highest nanoseconds of each bucket of a window's length: 1, 2 and 5 of each decade from 100 ns to 100 s. */
const WINDOW_BOUNDS_NS = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10]
  .flatMap((ns) => [ns, 2 * ns, 5 * ns])
  .concat(1e11);

/** Seconds, rising; counts of what is at most as much, cumulated; the count of all and their sum; of durations the shortest and the longest. */
interface Buckets {
  bounds: number[];
  cumulated: number[];
  count: number;
  sum: number;
  least?: number;
  most?: number;
}

function cumulate(counts: Iterable<number>): number[] {
  let seen = 0;
  return Array.from(counts, (count) => (seen += count));
}

function durationBuckets(simulator: Simulator, { counts, sum, least, most }: DurationHistogram): Buckets {
  const cumulated = cumulate(counts);
  const count = cumulated.pop()!;
  return {
    bounds: DURATION_BOUNDS_PS.map((ps) => ps / 1e12),
    cumulated,
    count,
    sum: simulator.work.toPs(sum) / 1e12,
    ...(count > 0 && { least: simulator.work.toPs(least) / 1e12, most: simulator.work.toPs(most) / 1e12 }),
  };
}

/**
 * Of a log-linear histogram of nanoseconds. A bucket of it that lies across a bound counts as beyond the bound, so that a count may
 * leave out what is at most 1/32 below the bound; it never has too much.
 */
function windowBuckets(histogram: Histogram): Buckets {
  const counts = WINDOW_BOUNDS_NS.map(() => 0);
  let at = 0;
  for (const { to, count } of histogram.buckets()) {
    while (at < counts.length && to - 1 > WINDOW_BOUNDS_NS[at]!) at++;
    if (at === counts.length) break;
    counts[at]! += count;
  }
  return {
    bounds: WINDOW_BOUNDS_NS.map((ns) => ns / 1e9),
    cumulated: cumulate(counts),
    count: histogram.count,
    sum: histogram.sum / 1e9,
  };
}

/** The first ones each by itself, the rest summed up: `numbers` of each, under the label `other`. */
function bounded<Thing>(
  things: Iterable<Thing>,
  labelsOf: (thing: Thing) => Record<string, string>,
  numbersOf: (thing: Thing) => Record<string, number | null>,
): Document[] {
  const out: Document[] = [];
  let rest: Document | null = null;
  for (const thing of things) {
    if (out.length < MOST_OF_A_KIND) {
      out.push({ ...labelsOf(thing), ...numbersOf(thing) });
      continue;
    }
    rest ??= Object.fromEntries(Object.keys(labelsOf(thing)).map((label) => [label, REST]));
    for (const [name, value] of Object.entries(numbersOf(thing)))
      if (value !== null) rest[name] = ((rest[name] as number | undefined) ?? 0) + value;
  }
  return rest === null ? out : [...out, rest];
}

function domainNumbers(domain: Domain): Record<string, number | null> {
  const { allocator } = domain;
  if (allocator === null) return {};
  return {
    cachedRanges: allocator.cachedRanges ?? null,
    depotMagazines: allocator.depotMagazines ?? null,
    nodes: nodesOf(allocator.inspect()),
    largestFreeBytes: largestFreeBytes(domain),
  };
}

/** Nodes of the red-black tree of an allocator that has one, those of reserved ranges and of cached ones among them. */
function nodesOf(inside: Record<string, unknown>): number | null {
  const { reservedRanges, liveRanges, tree = inside.kind, cachedRanges = 0 } = inside;
  if (typeof reservedRanges !== 'number' || !/^(rbtree|eiovar)/.test(String(tree))) return null;
  return reservedRanges + Number(liveRanges) + Number(cachedRanges);
}

function largestFreeBytes({ allocator, lastPage }: Domain): number | null {
  let ranges = 0;
  let end = 1;
  let largest = 0;
  allocator!.forEachRange((first, last) => {
    ranges++;
    if (first - end > largest) largest = first - end;
    end = last + 1;
  }, MOST_RANGES);
  return ranges >= MOST_RANGES ? null : Math.max(largest, lastPage + 1 - end) * 4096;
}

/** By size of a cached range, over all domains. */
function cacheOrders(simulator: Simulator): Document[] {
  const hits: number[] = [];
  const misses: number[] = [];
  for (const { allocator } of simulator.domainNames.all()) {
    const classes = allocator?.inspect().classes;
    if (!Array.isArray(classes)) continue;
    for (const [order, part] of (classes as { hits?: number; misses?: number }[]).entries()) {
      if (part.hits === undefined || part.misses === undefined) continue;
      hits[order] = (hits[order] ?? 0) + part.hits;
      misses[order] = (misses[order] ?? 0) + part.misses;
    }
  }
  return hits.map((count, order) => ({ order: String(order), hits: count, misses: misses[order]! }));
}

function cycles(simulator: Simulator): Document[] {
  const out: Document[] = [];
  for (const [op, rowsOf] of [
    ['map', 'mapRows'],
    ['unmap', 'unmapRows'],
  ] as const) {
    const sums = rowNames.map(() => 0);
    for (const workload of simulator.workloads.all())
      for (const [row, value] of workload[rowsOf].entries()) sums[row]! += value;
    for (const [row, component] of rowNames.entries()) out.push({ op, component, cycles: sums[row]! / 1000 });
  }
  return out;
}

export function sessionMeters(simulator: Simulator): Document {
  const { exposure, oracle, counters, faults, work, clock, cpuBusyPs, nested } = simulator;
  const { durations } = work;
  const actual = exposure.figures('actual', SESSION, clock.now);
  const metrics = sessionMetrics(simulator);
  return {
    ...metrics,
    histograms: {
      invalidation: durationBuckets(simulator, durations.invalidation),
      map: durationBuckets(simulator, durations.map),
      unmap: durationBuckets(simulator, durations.unmap),
      staleWindow: windowBuckets(actual.histogram),
    },
    ...walkCacheSums(simulator),
    requests: requestsOf(simulator),
    invalidationQueueWait: {
      count: counters.invalidationBacklogWaits + counters.invalidationRoomWaits,
      sum: counters.invalidationBacklogPs / 1e12,
    },
    has: partsOf(simulator, metrics.counters as Record<string, number>),
    faultReasons: faults.byReason(nested !== null).map(({ code, write, count }) => ({
      reason: reasonText[code]!.name,
      code: `0x${code.toString(16).padStart(2, '0')}`,
      access: write ? 'write' : 'read',
      count,
    })),
    staleBytes: actual.currentBytes,
    staleAccesses: Object.fromEntries(
      verdictNames.map((name, verdict) => [
        name,
        { read: oracle.verdicts[verdict]! - oracle.writes[verdict]!, write: oracle.writes[verdict]! },
      ]),
    ),
    devices: bounded(
      simulator.devices.all(),
      ({ id, bdf, name, kind, domain }) => ({ device: id, bdf, name: name ?? '', kind, domain: domain?.id ?? '' }),
      ({ liveMappings, deviceTlb }) => ({
        one: 1,
        liveMappings,
        deviceTlbLookups: deviceTlb?.lookups ?? null,
        deviceTlbHits: deviceTlb?.hits ?? null,
      }),
    ),
    domains: bounded(simulator.domainNames.all(), ({ id }) => ({ domain: id }), domainNumbers),
    cacheOrders: cacheOrders(simulator),
    cpus: bounded(
      cpuBusyPs.keys(),
      (cpu) => ({ cpu: String(cpu) }),
      (cpu) => ({ busySeconds: simulator.workedPs(cpu) / 1e12 }),
    ),
    cycles: cycles(simulator),
    trafficOf: bounded(
      simulator.workloads.all(),
      ({ id, kind, device }) => ({ workload: id, kind, device: device.id }),
      ({ operations, bytes, hasThroughput }) => ({ operations, bytes: hasThroughput ? bytes : null }),
    ),
    lockSums: lockSumsOf(metrics.locks as LockDocument[]),
  };
}

/** Look-ups and hits of all levels of each stage there is; the only one of a chip in legacy mode is called the second. */
function walkCacheSums({ nested, walkCaches, modeEntry }: Simulator): Document {
  const sum = (levels: readonly WalkCacheLevel[], what: 'lookups' | 'hits') =>
    levels.reduce((total, level) => total + level[what], 0);
  if (modeEntry.kind === 'passthrough') return {};
  const second = nested?.secondCaches ?? walkCaches;
  return {
    secondStageLookups: sum(second, 'lookups'),
    secondStageHits: sum(second, 'hits'),
    ...(nested !== null && {
      firstStageLookups: sum(walkCaches, 'lookups'),
      firstStageHits: sum(walkCaches, 'hits'),
    }),
  };
}

/** What flushes of unmapped ranges may be caused by, under each policy that has some wait. */
const TRIGGERS: Readonly<Record<string, readonly string[]>> = {
  'flush-queue': ['timeout', 'full', 'explicit'],
  'deferred-2008': ['timeout', 'full', 'explicit'],
  wrap: ['wrap', 'explicit'],
  delayed: ['batch', 'explicit'],
};
const VIRTUAL = ['emulated', 'paravirtual', 'nested'];

/** Which parts this machine has: what it lacks is not counted as 0, it is not counted. */
function partsOf(simulator: Simulator, gauges: Record<string, number>): Record<string, boolean> {
  const { modeEntry, unit, policyEntry, domainNames } = simulator;
  const allocators = [...domainNames.all()].flatMap(({ allocator }) => (allocator === null ? [] : [allocator]));
  const triggers = TRIGGERS[policyEntry.kind] ?? [];
  return {
    translation: modeEntry.kind !== 'passthrough',
    queue: !unit.register,
    depot: allocators.some(({ depotMagazines }) => depotMagazines !== undefined),
    plainCache: allocators.some(
      ({ cachedRanges, depotMagazines }) => cachedRanges !== undefined && depotMagazines === undefined,
    ),
    waiting: triggers.length > 0,
    ...Object.fromEntries(
      ['timeout', 'full', 'wrap', 'batch', 'explicit'].map((name) => [name, triggers.includes(name)]),
    ),
    pool: gauges.bounceSlots !== undefined,
    shadow: gauges.shadowBytes !== undefined,
    guest: VIRTUAL.includes(modeEntry.kind),
    deviceTlb: simulator.everyDevice.some(({ deviceTlb }) => deviceTlb !== null),
  };
}

/** What reached the IOMMU, as the bus tells them apart. */
function requestsOf(simulator: Simulator): Document {
  const { counters, modeEntry, everyDevice } = simulator;
  let translated = 0;
  let ats = false;
  for (const { deviceTlb } of everyDevice)
    if (deviceTlb !== null) {
      ats = true;
      translated += deviceTlb.lookups;
    }
  const untranslated = counters.dmaPieces - translated;
  return {
    untranslated,
    ...(modeEntry.kind === 'passthrough' ? { passed: untranslated } : { remapped: untranslated }),
    ...(ats && { translated, ats: counters.translationRequests }),
    all: counters.dmaPieces + (ats ? counters.translationRequests : 0),
  };
}

interface LockDocument {
  name: string;
  acquisitions: number;
  waits: number;
  waitNs: number;
}

/** Of locks of one name together; a queue for each CPU has a lock for each, and they are one kind. */
function lockSumsOf(locks: readonly LockDocument[]): Document[] {
  const byName = new Map<string, LockDocument>();
  for (const { name, acquisitions, waits, waitNs } of locks) {
    const kind = name.replace(/-\d+$/, '');
    const sum = byName.get(kind) ?? { name: kind, acquisitions: 0, waits: 0, waitNs: 0 };
    byName.set(kind, {
      name: kind,
      acquisitions: sum.acquisitions + acquisitions,
      waits: sum.waits + waits,
      waitNs: sum.waitNs + waitNs,
    });
  }
  return bounded(
    byName.values(),
    ({ name }) => ({ lock: name }),
    ({ acquisitions, waits, waitNs }) => ({ acquisitions, waits, waitSeconds: waitNs / 1e9 }),
  );
}
