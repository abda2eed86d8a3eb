/**
 * A session's metrics as text: OpenMetrics 1.0, or the Prometheus text format 0.0.4, which names counters and ends differently.
 *
 * Names follow what people correlate with: the Intel IOMMU PMU (`iotlb_lookup`, `ctxt_cache_hit`), the kernel's `dma` and `iova`
 * counters, Prometheus' base units. Times are simulated. What the simulated model does not have is absent, never 0.
 */

export const OPENMETRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
export const PROMETHEUS_TEXT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  /** Dotted path into the metrics document. */
  from: string;
  labels?: Labels;
  /** Divides the value: nanoseconds to seconds. */
  divisor?: number;
}

interface Family {
  /** Without `_total`. */
  name: string;
  type: 'counter' | 'gauge';
  help: string;
  samples: readonly Sample[];
}

function one(name: string, type: Family['type'], from: string, help: string, divisor = 1): Family {
  return { name, type, help, samples: [{ from, divisor }] };
}

const BY_SPAN = ', by what one entry of the level spans.';

/** The document lists walk caches from the leaf tables upwards; how many there are depends on the levels of the table. */
function walkCache(what: 'lookups' | 'hits'): Sample[] {
  return ['2m', '1g', '512g', '256t'].map((level, i) => ({ from: `walkCaches.${i}.${what}`, labels: { level } }));
}

const FAMILIES: readonly Family[] = [
  one('iommu_sim_time_seconds', 'gauge', 'timeNs', 'Simulated time.', 1e9),
  one('iommu_sim_operations', 'counter', 'operations', 'Completed packets and I/Os.'),
  {
    name: 'iommu_requests',
    type: 'counter',
    help: 'Device requests that reached the IOMMU, one for each 4 KiB-aligned piece of an access.',
    samples: [{ from: 'counters.dmaPieces', labels: { type: 'untranslated' } }],
  },
  one('iommu_iotlb_lookups', 'counter', 'iotlb.lookups', 'IOTLB look-ups.'),
  {
    name: 'iommu_iotlb_hits',
    type: 'counter',
    help: 'IOTLB hits, by page size.',
    samples: [
      { from: 'iotlb.hitsByPageSize.4KiB', labels: { page: '4k' } },
      { from: 'iotlb.hitsByPageSize.2MiB', labels: { page: '2m' } },
      { from: 'iotlb.hitsByPageSize.1GiB', labels: { page: '1g' } },
    ],
  },
  one('iommu_iotlb_misses', 'counter', 'iotlb.misses', 'IOTLB misses.'),
  {
    name: 'iommu_walk_cache_lookups',
    type: 'counter',
    help: `Walk cache look-ups${BY_SPAN}`,
    samples: walkCache('lookups'),
  },
  { name: 'iommu_walk_cache_hits', type: 'counter', help: `Walk cache hits${BY_SPAN}`, samples: walkCache('hits') },
  one('iommu_context_cache_lookups', 'counter', 'counters.contextLookups', 'Context cache look-ups.'),
  one('iommu_context_cache_hits', 'counter', 'counters.contextHits', 'Context cache hits.'),
  one('iommu_page_walks', 'counter', 'counters.walks', 'Page-table walks.'),
  one('iommu_walk_memory_reads', 'counter', 'counters.memoryReferences', 'Page-table entries read by walks.'),
  {
    name: 'iommu_invalidations',
    type: 'counter',
    help: 'Invalidations, by what they cover.',
    samples: [
      { from: 'counters.invalidationsGlobal', labels: { kind: 'iotlb', granularity: 'global' } },
      { from: 'counters.invalidationsDomain', labels: { kind: 'iotlb', granularity: 'domain' } },
      { from: 'counters.invalidationsRange', labels: { kind: 'iotlb', granularity: 'page' } },
      { from: 'counters.contextInvalidations', labels: { kind: 'context', granularity: 'device' } },
      { from: 'counters.waitDescriptors', labels: { kind: 'wait', granularity: 'none' } },
    ],
  },
  one('iommu_faults', 'counter', 'counters.faults', 'Blocked accesses.'),
  {
    name: 'dma_map_calls',
    type: 'counter',
    help: 'Calls of the DMA API that map.',
    samples: [
      { from: 'counters.mapSingleCalls', labels: { op: 'map_single' } },
      { from: 'counters.mapPageCalls', labels: { op: 'map_page' } },
      { from: 'counters.mapSgCalls', labels: { op: 'map_sg' } },
      { from: 'counters.mapCoherentCalls', labels: { op: 'alloc' } },
    ],
  },
  one('dma_unmap_calls', 'counter', 'counters.unmapCalls', 'Calls of the DMA API that unmap.'),
  one('dma_map_errors', 'counter', 'counters.mapFailures', 'Calls of the DMA API that failed to map.'),
  one('dma_mapped_bytes', 'gauge', 'counters.mappedBytes', 'Bytes mapped now.'),
  one('dma_live_mappings', 'gauge', 'counters.liveMappings', 'Live mappings.'),
  one('dma_live_mappings_peak', 'gauge', 'counters.liveMappingsPeak', 'Most live mappings so far.'),
  one('iova_alloc_failures', 'counter', 'counters.allocationFailures', 'Attempts to allocate an IOVA that failed.'),
  one('iova_cache_hits', 'counter', 'counters.cacheHits', 'IOVA allocations served by a cache of freed ranges.'),
  one('iova_cache_misses', 'counter', 'counters.cacheMisses', 'IOVA allocations that the cache could not serve.'),
  one('iova_cache_bypasses', 'counter', 'counters.cacheBypasses', 'IOVA allocations too long for the cache.'),
  one('iova_cached_ranges', 'gauge', 'counters.cachedRanges', 'Freed IOVA ranges that caches keep.'),
  one('iova_depot_magazines', 'gauge', 'counters.depotMagazines', 'Full magazines in depots.'),
  one('iommu_flush_queue_entries', 'gauge', 'counters.flushQueueEntries', 'Unmapped ranges waiting for a flush.'),
  {
    name: 'iommu_flush_queue_flushes',
    type: 'counter',
    help: 'Flushes of unmapped ranges, by what caused them.',
    samples: [
      { from: 'counters.flushesTimer', labels: { trigger: 'timeout' } },
      { from: 'counters.flushesFull', labels: { trigger: 'full' } },
      { from: 'counters.flushesWrap', labels: { trigger: 'wrap' } },
      { from: 'counters.flushesBatch', labels: { trigger: 'batch' } },
      { from: 'counters.flushesExplicit', labels: { trigger: 'explicit' } },
    ],
  },
  one('swiotlb_bounced_bytes', 'counter', 'counters.bytesCopied', 'Bytes copied for devices that see copies.'),
  one('swiotlb_failures', 'counter', 'counters.bounceFailures', 'Mappings that the bounce pool had no room for.'),
  one('swiotlb_slots', 'gauge', 'counters.bounceSlots', 'Slots of 2 KiB of the bounce pool.'),
  one('swiotlb_used_slots', 'gauge', 'counters.bounceUsedSlots', 'Slots of the bounce pool in use.'),
  one('swiotlb_used_slots_peak', 'gauge', 'counters.bounceUsedSlotsPeak', 'Most slots in use so far.'),
  one('iommu_vm_exits', 'counter', 'counters.vmExits', 'Exits of guests to their hypervisor.'),
  one('iommu_stale_mappings', 'gauge', 'exposure.actual.currentPages', 'Unmapped pages that are still translated.'),
  one(
    'iommu_stale_byte_seconds',
    'counter',
    'exposure.actual.byteSeconds',
    'Unmapped bytes times how long they stayed translated.',
  ),
  one(
    'iommu_stale_page_seconds',
    'counter',
    'exposure.actual.pageSeconds',
    'Unmapped pages times how long they stayed translated.',
  ),
  {
    name: 'iommu_stale_accesses',
    type: 'counter',
    help: 'Accesses through stale translations, by who owns the memory now.',
    samples: [
      { from: 'verdicts.stale', labels: { owner: 'freed' } },
      { from: 'verdicts.stale-reused', labels: { owner: 'reused_same' } },
      { from: 'verdicts.stale-cross-tenant', labels: { owner: 'reused_other_vm' } },
    ],
  },
];

/** Paths into the metrics document that the text forms read. */
export const metricSources: readonly string[] = FAMILIES.flatMap(({ samples }) => samples.map(({ from }) => from));

/**
 * The text of a metrics document.
 *
 * @param metrics as `GET .../metrics` answers it; members may be absent
 * @param session the `session` label of every sample
 * @param openMetrics OpenMetrics 1.0, else Prometheus text 0.0.4
 */
export function exposition(metrics: Record<string, unknown>, session: string, openMetrics: boolean): string {
  const lines: string[] = [];
  for (const { name, type, help, samples } of FAMILIES) {
    const sampleName = type === 'counter' ? `${name}_total` : name;
    const present = samples.flatMap(({ from, labels, divisor = 1 }) => {
      const value = numberAt(metrics, from);
      return value === null ? [] : [`${sampleName}${labelText({ session, ...labels })} ${value / divisor}`];
    });
    if (present.length === 0) continue;
    const family = openMetrics ? name : sampleName;
    lines.push(`# HELP ${family} ${help}`, `# TYPE ${family} ${type}`, ...present);
  }
  lines.push(...windows(metrics, session));
  if (openMetrics) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

/** Lengths of the closed windows as a histogram; bounds are the upper ends of the buckets that have something in them. */
function windows(metrics: Record<string, unknown>, session: string): string[] {
  const histogram = at(metrics, 'exposure.actual.histogram');
  const buckets = Array.isArray(histogram)
    ? histogram
    : (histogram as { buckets?: unknown } | null | undefined)?.buckets;
  if (!Array.isArray(buckets)) return [];
  const name = 'iommu_stale_window_seconds';
  const lines = [`# HELP ${name} How long unmapped pages stayed translated.`, `# TYPE ${name} histogram`];
  let seen = 0;
  for (const { to, count } of buckets as { to: number; count: number }[]) {
    seen += count;
    lines.push(`${name}_bucket${labelText({ session, le: String(to / 1e9) })} ${seen}`);
  }
  lines.push(`${name}_bucket${labelText({ session, le: '+Inf' })} ${seen}`);
  const sum = numberAt(metrics, 'exposure.actual.histogram.sum');
  if (sum !== null) lines.push(`${name}_sum${labelText({ session })} ${sum / 1e9}`);
  lines.push(`${name}_count${labelText({ session })} ${seen}`);
  return lines;
}

function at(document: unknown, path: string): unknown {
  let here = document;
  for (const step of path.split('.')) here = (here as Record<string, unknown> | null | undefined)?.[step];
  return here;
}

function numberAt(document: unknown, path: string): number | null {
  const value = at(document, path);
  return typeof value === 'number' ? value : null;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/["\\\n]/g, (c) => `\\${c === '\n' ? 'n' : c}`)}"`,
  );
  return `{${pairs.join(',')}}`;
}
