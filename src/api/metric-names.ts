/**
 * The names of a session's metrics, and what each vendor's tools call what they count: one table, of which the text forms of
 * `GET .../metrics`, `?names=` and docs/metrics.md are made.
 *
 * Ours follow what people correlate with: the Intel IOMMU PMU (`iotlb_lookup`, `ctxt_cache_hit`), the kernel's `dma` and `iova`
 * counters, Prometheus' base units. A name says whether it counts hits or misses and of which level: one column of PCM is "L1 miss" on
 * one generation of processors and "512G cache hit" on the next, and conclusions drawn over both have the wrong sign.
 *
 * Sources of the vendors' names: Linux `drivers/iommu/intel/perfmon.c`, `arch/x86/events/amd/iommu.c`,
 * `drivers/perf/arm_smmuv3_pmu.c`; RISC-V IOMMU specification, hardware performance monitor; Intel's uncore events for Ice Lake servers
 * and the columns of `pcm-iio`.
 */

/** Where a sample comes from: a dotted path into the `meters` reading. */
export interface Sample {
  from: string;
  labels?: Readonly<Record<string, string>>;
  /** Divides the value: nanoseconds to seconds. */
  divisor?: number;
  /** A part, a member of `has`, without which there is no such sample. */
  needs?: string;
}

/** A sample for each element of a list: `labels` are members of the element. */
export interface Listed {
  each: string;
  /** Label -> member; the same name where it is not said. */
  labels: readonly string[];
  /** Path into the element. */
  from: string;
  needs?: string;
}

export interface Family {
  /** Without `_total`, `_info`, `_bucket`. */
  name: string;
  type: 'counter' | 'gauge' | 'histogram' | 'summary' | 'info';
  /** The end of its name, where it has one. */
  unit?: 'seconds' | 'bytes' | 'ratio' | 'cycles' | 'byte_seconds' | 'page_seconds';
  help: string;
  /** Whether it is counted by the chip, and so has the label `unit`. */
  chip?: true;
  /** Where the kernel shows the same. */
  kernel?: string;
  samples: readonly (Sample | Listed)[];
}

type Extras = Omit<Partial<Family>, 'name' | 'type' | 'help' | 'samples'> & Omit<Sample, 'from'>;

/** A family of one sample. */
function one(name: string, type: Family['type'], from: string, help: string, extras: Extras = {}): Family {
  const { labels, divisor, needs, ...more } = extras;
  const sample: Sample = {
    from,
    ...(labels && { labels }),
    ...(divisor && { divisor }),
    ...(needs && { needs }),
  };
  return { name, type, help, ...more, samples: [sample] };
}

const chip = { chip: true } as const;
const translating = { chip: true, needs: 'translation' } as const;
const seconds = { unit: 'seconds' } as const;
const bytes = { unit: 'bytes' } as const;

/** The document lists walk caches from the leaf tables upwards; how many there are depends on the levels of the table. */
const LEVELS = ['2m', '1g', '512g', '256t'];
function walkCache(what: 'lookups' | 'hits'): Sample[] {
  return [
    ['walkCaches', '1'],
    ['secondStageWalkCaches', '2'],
  ].flatMap(([list, stage]) =>
    LEVELS.map((level, i) => ({
      from: `${list}.${i}.${what}`,
      labels: { level, stage: stage as string },
      needs: 'translation',
    })),
  );
}

const PAGES = { '4KiB': '4k', '2MiB': '2m', '1GiB': '1g' };
const OWNERS = {
  stale: 'freed',
  'stale-reused': 'reused_same',
  'stale-cross-tenant': 'reused_other_vm',
  misdirected: 'remapped',
};

export const FAMILIES: readonly Family[] = [
  {
    name: 'iommu_session',
    type: 'info',
    help: 'What the session is, in labels.',
    samples: [
      { each: 'session', labels: ['name', 'mode', 'allocator', 'invalidation', 'profile', 'seed'], from: 'one' },
    ],
  },
  one('iommu_session_awake', 'gauge', 'awake', '1, or 0 while it rests, when all else is left out.'),
  one('iommu_sim_time_seconds', 'gauge', 'timeNs', 'Simulated time.', { ...seconds, divisor: 1e9 }),
  {
    name: 'iommu_sim_operations',
    type: 'counter',
    help: 'Packets and I/Os completed in the run, which starts from 0 with the next one.',
    samples: [{ each: 'trafficOf', labels: ['workload', 'kind', 'device'], from: 'operations' }],
  },
  {
    name: 'iommu_sim_data_bytes',
    type: 'counter',
    ...bytes,
    help: 'Bytes moved in the run, by workloads that move data at a rate.',
    samples: [{ each: 'trafficOf', labels: ['workload', 'kind', 'device'], from: 'bytes' }],
  },
  {
    name: 'iommu_sim_cpu_busy_seconds',
    type: 'counter',
    ...seconds,
    help: 'Simulated time that each CPU has worked.',
    samples: [{ each: 'cpus', labels: ['cpu'], from: 'busySeconds' }],
  },
  {
    name: 'iommu_sim_dma_cycles',
    type: 'counter',
    unit: 'cycles',
    help: 'Cycles of maps and unmaps in the run, by what they went into.',
    samples: [{ each: 'cycles', labels: ['op', 'component'], from: 'cycles' }],
  },
  {
    name: 'iommu_sim_lock_acquisitions',
    type: 'counter',
    help: 'Times that each kind of lock was taken.',
    samples: [{ each: 'lockSums', labels: ['lock'], from: 'acquisitions' }],
  },
  {
    name: 'iommu_sim_lock_wait_seconds',
    type: 'counter',
    ...seconds,
    help: 'Simulated time that CPUs waited for each kind of lock.',
    samples: [{ each: 'lockSums', labels: ['lock'], from: 'waitSeconds' }],
  },

  // ---------------------------------------------------------------------------------------------------- the chip
  {
    name: 'iommu_requests',
    type: 'counter',
    help: 'Device requests, one for each 4 KiB-aligned piece of an access; those of type ats ask for a translation alone.',
    ...chip,
    samples: [
      { from: 'requests.untranslated', labels: { type: 'untranslated' } },
      { from: 'requests.translated', labels: { type: 'translated' } },
      { from: 'requests.ats', labels: { type: 'ats' } },
    ],
  },
  one('iommu_iotlb_lookups', 'counter', 'iotlb.lookups', 'IOTLB look-ups.', translating),
  {
    name: 'iommu_iotlb_hits',
    type: 'counter',
    help: 'IOTLB hits, by page size.',
    ...chip,
    samples: Object.entries(PAGES).map(([size, page]) => ({
      from: `iotlb.hitsByPageSize.${size}`,
      labels: { page },
      needs: 'translation',
    })),
  },
  one('iommu_iotlb_misses', 'counter', 'iotlb.misses', 'IOTLB misses.', translating),
  {
    name: 'iommu_walk_cache_lookups',
    type: 'counter',
    help: 'Walk cache look-ups, by what one entry of the level spans.',
    ...chip,
    samples: walkCache('lookups'),
  },
  {
    name: 'iommu_walk_cache_hits',
    type: 'counter',
    help: 'Walk cache hits, by what one entry of the level spans.',
    ...chip,
    samples: walkCache('hits'),
  },
  one('iommu_context_cache_lookups', 'counter', 'counters.contextLookups', 'Context cache look-ups.', chip),
  one('iommu_context_cache_hits', 'counter', 'counters.contextHits', 'Context cache hits.', chip),
  one('iommu_page_walks', 'counter', 'counters.walks', 'Page-table walks; through two stages one walk is of both.', {
    ...translating,
    labels: { stage: '1' },
  }),
  one('iommu_walk_memory_reads', 'counter', 'counters.memoryReferences', 'Table entries read by walks.', translating),
  {
    name: 'iommu_device_tlb_lookups',
    type: 'counter',
    help: 'Look-ups of the TLB of a device.',
    samples: [{ each: 'devices', labels: ['device'], from: 'deviceTlbLookups' }],
  },
  {
    name: 'iommu_device_tlb_hits',
    type: 'counter',
    help: 'Hits of the TLB of a device.',
    samples: [{ each: 'devices', labels: ['device'], from: 'deviceTlbHits' }],
  },
  {
    name: 'iommu_invalidations',
    type: 'counter',
    help: 'Invalidation commands, by what they are for and what they cover.',
    ...chip,
    samples: [
      { from: 'counters.invalidationsGlobal', labels: { kind: 'iotlb', granularity: 'global' }, needs: 'translation' },
      { from: 'counters.invalidationsDomain', labels: { kind: 'iotlb', granularity: 'domain' }, needs: 'translation' },
      { from: 'counters.invalidationsRange', labels: { kind: 'iotlb', granularity: 'page' }, needs: 'translation' },
      {
        from: 'counters.deviceTlbInvalidations',
        labels: { kind: 'devtlb', granularity: 'page' },
        needs: 'deviceTlb',
      },
      { from: 'counters.contextInvalidations', labels: { kind: 'context', granularity: 'device' } },
      { from: 'counters.waitDescriptors', labels: { kind: 'wait', granularity: 'none' }, needs: 'queue' },
    ],
  },
  one(
    'iommu_invalidation_duration_seconds',
    'histogram',
    'histograms.invalidation',
    'From asking for room in the queue until the wait is seen complete, by submission.',
    { ...translating, ...seconds, kernel: '`dmar_perf_latency`, inv_iotlb and inv_devtlb' },
  ),
  one(
    'iommu_invalidation_queue_wait_seconds',
    'summary',
    'invalidationQueueWait',
    'Waits of submissions for the hardware to be done with those before, or for room in the ring.',
    { chip: true, ...seconds, needs: 'queue' },
  ),
  {
    name: 'iommu_faults',
    type: 'counter',
    help: 'Blocked accesses, by reason; those that found the fault log full too.',
    ...chip,
    kernel: 'the fault reason of `DMAR:` lines; AMD-Vi `IO_PAGE_FAULT`',
    samples: [{ each: 'faultReasons', labels: ['reason', 'code', 'access'], from: 'count' }],
  },
  one('iommu_vm_exits', 'counter', 'counters.vmExits', 'Exits of guests to their hypervisor.', { needs: 'guest' }),

  // -------------------------------------------------------------------------------------------------- the kernel
  {
    name: 'iommu_device',
    type: 'info',
    help: 'Each device: its address on the bus, its name, its domain.',
    samples: [{ each: 'devices', labels: ['device', 'bdf', 'name', 'kind', 'domain'], from: 'one' }],
  },
  {
    name: 'dma_map_calls',
    type: 'counter',
    help: 'Calls of the DMA API that map, failed ones too.',
    kernel: 'tracepoints `dma:dma_map_phys`, `dma_map_sg`, `dma_alloc`',
    samples: [
      { from: 'counters.mapSingleCalls', labels: { op: 'map_single' } },
      { from: 'counters.mapPageCalls', labels: { op: 'map_page' } },
      { from: 'counters.mapSgCalls', labels: { op: 'map_sg' } },
      { from: 'counters.mapCoherentCalls', labels: { op: 'alloc' } },
    ],
  },
  one('dma_unmap_calls', 'counter', 'counters.unmapCalls', 'Calls of the DMA API that unmap.', {
    kernel: 'tracepoints `dma:dma_unmap_phys`, `dma_unmap_sg`, `dma_free`',
  }),
  one('dma_map_duration_seconds', 'histogram', 'histograms.map', 'Simulated time of calls that map.', seconds),
  one('dma_unmap_duration_seconds', 'histogram', 'histograms.unmap', 'Simulated time of calls that unmap.', seconds),
  one('dma_map_errors', 'counter', 'counters.mapFailures', 'Calls that failed to map: no address, frame or slot.', {
    labels: { errno: 'ENOMEM' },
  }),
  one('dma_mapped_bytes', 'gauge', 'counters.mappedBytes', 'Bytes mapped now.', bytes),
  {
    name: 'dma_live_mappings',
    type: 'gauge',
    help: 'Live mappings, by device.',
    samples: [{ each: 'devices', labels: ['device'], from: 'liveMappings' }],
  },
  one('dma_live_mappings_peak', 'gauge', 'counters.liveMappingsPeak', 'Most live mappings at a time so far.'),
  one('iova_alloc_failures', 'counter', 'counters.allocationFailures', 'Attempts to allocate an IOVA that failed.'),
  {
    name: 'iova_cache_hits',
    type: 'counter',
    help: 'IOVA allocations that a cache of freed ranges served; by order where the cache counts so, pages as a power of two.',
    samples: [
      { each: 'cacheOrders', labels: ['order'], from: 'hits', needs: 'depot' },
      { from: 'counters.cacheHits', labels: { order: 'any' }, needs: 'plainCache' },
    ],
  },
  {
    name: 'iova_cache_misses',
    type: 'counter',
    help: 'IOVA allocations that the cache could not serve.',
    samples: [
      { each: 'cacheOrders', labels: ['order'], from: 'misses', needs: 'depot' },
      { from: 'counters.cacheMisses', labels: { order: 'any' }, needs: 'plainCache' },
    ],
  },
  one('iova_cache_bypasses', 'counter', 'counters.cacheBypasses', 'IOVA allocations too long for the cache.', {
    needs: 'depot',
  }),
  {
    name: 'iova_cached_ranges',
    type: 'gauge',
    help: 'Freed IOVA ranges that caches keep.',
    samples: [{ each: 'domains', labels: ['domain'], from: 'cachedRanges' }],
  },
  {
    name: 'iova_depot_magazines',
    type: 'gauge',
    help: 'Full magazines in depots.',
    samples: [{ each: 'domains', labels: ['domain'], from: 'depotMagazines' }],
  },
  {
    name: 'iova_rbtree_nodes',
    type: 'gauge',
    help: 'Nodes of the red-black tree of ranges, those of reserved and of cached ones too.',
    samples: [{ each: 'domains', labels: ['domain'], from: 'nodes' }],
  },
  {
    name: 'iova_largest_free_bytes',
    type: 'gauge',
    ...bytes,
    help: 'Longest free stretch of IOVA space; absent of a space with more than 65,536 ranges.',
    samples: [{ each: 'domains', labels: ['domain'], from: 'largestFreeBytes' }],
  },
  one('iommu_flush_queue_entries', 'gauge', 'counters.flushQueueEntries', 'Unmapped ranges that wait for a flush.', {
    needs: 'waiting',
  }),
  {
    name: 'iommu_flush_queue_flushes',
    type: 'counter',
    help: 'Flushes of unmapped ranges, by what caused them.',
    samples: [
      { from: 'counters.flushesTimer', labels: { trigger: 'timeout' }, needs: 'timeout' },
      { from: 'counters.flushesFull', labels: { trigger: 'full' }, needs: 'full' },
      { from: 'counters.flushesWrap', labels: { trigger: 'wrap' }, needs: 'wrap' },
      { from: 'counters.flushesBatch', labels: { trigger: 'batch' }, needs: 'batch' },
      { from: 'counters.flushesExplicit', labels: { trigger: 'explicit' }, needs: 'explicit' },
    ],
  },
  one('swiotlb_slots', 'gauge', 'counters.bounceSlots', 'Slots of 2 KiB of the bounce pool.', {
    needs: 'pool',
    kernel: '`swiotlb/io_tlb_nslabs`',
  }),
  one('swiotlb_used_slots', 'gauge', 'counters.bounceUsedSlots', 'Slots of the bounce pool in use.', {
    needs: 'pool',
    kernel: '`swiotlb/io_tlb_used`',
  }),
  one('swiotlb_used_slots_peak', 'gauge', 'counters.bounceUsedSlotsPeak', 'Most slots in use so far.', {
    needs: 'pool',
    kernel: '`swiotlb/io_tlb_used_hiwater`',
  }),
  one('swiotlb_bounced_bytes', 'counter', 'counters.bytesCopied', 'Bytes copied for devices that see copies.', {
    ...bytes,
    needs: 'pool',
  }),
  one('swiotlb_failures', 'counter', 'counters.bounceFailures', 'Mappings that the bounce pool had no room for.', {
    needs: 'pool',
  }),
  one('dma_shadow_buffer_bytes', 'gauge', 'counters.shadowBytes', 'Memory of shadow buffers.', {
    ...bytes,
    needs: 'shadow',
  }),

  // ------------------------------------------------------------------------------------------------------- truth
  one('iommu_stale_mappings', 'gauge', 'exposure.actual.currentPages', 'Unmapped pages that are still translated.', {
    needs: 'translation',
  }),
  one('iommu_stale_bytes', 'gauge', 'staleBytes', 'Unmapped bytes that are still translated.', {
    ...bytes,
    needs: 'translation',
  }),
  one(
    'iommu_stale_byte_seconds',
    'counter',
    'exposure.actual.byteSeconds',
    'Unmapped bytes times how long they stayed translated.',
    { unit: 'byte_seconds', needs: 'translation' },
  ),
  one(
    'iommu_stale_page_seconds',
    'counter',
    'exposure.actual.pageSeconds',
    'Unmapped pages times how long they stayed translated.',
    { unit: 'page_seconds', needs: 'translation' },
  ),
  one(
    'iommu_stale_window_seconds',
    'histogram',
    'histograms.staleWindow',
    'How long unmapped pages stayed translated, of windows that have closed.',
    { ...seconds, needs: 'translation' },
  ),
  {
    name: 'iommu_stale_accesses',
    type: 'counter',
    help: 'Accesses through stale translations, by who owns the memory now; remapped: the address leads elsewhere by now.',
    samples: Object.entries(OWNERS).flatMap(([verdict, owner]) =>
      ['read', 'write'].map((access) => ({
        from: `staleAccesses.${verdict}.${access}`,
        labels: { access, owner },
        needs: 'translation',
      })),
    ),
  },
];

/** Names that others have and no model here, and why. */
export const ABSENT: Readonly<Record<string, string>> = {
  iommu_pasid_cache_lookups_total: 'no device sends a PASID',
  iommu_pasid_cache_hits_total: 'no device sends a PASID',
  iommu_page_walks_in_flight:
    'a walk is over when the access is; how many walkers are busy is a figure of a run (`engine`)',
  iommu_page_requests_total: 'devices do not ask for pages that are not there',
  iommu_ats_blocked_total: 'the switch that blocks ATS is on the context entry, and devices behind it do not ask',
  iommu_invalidation_queue_depth:
    'submissions are waited for before a call returns: whoever looks finds the ring empty',
  dma_entry_limit: 'there is no VFIO with a limit of entries',
};

export const VENDORS = ['intel', 'amd', 'arm', 'riscv', 'pcm'] as const;
export type Vendor = (typeof VENDORS)[number];

export interface VendorCounter {
  /** As `perf stat -e` or the vendor's tool has it. */
  event: string;
  /** What it is made of: selectors of our samples, `-` before what is subtracted, `@` before a path of the document. */
  terms: readonly string[];
  /** A part that the counter is of: without it there is none. */
  needs?: string;
  /** Where it is not quite the same. */
  note?: string;
}

export interface VendorNames {
  /** What the tool is. */
  tool: string;
  /** Before each name. */
  prefix: string;
  /** The label `unit`. */
  unit: string;
  counters: readonly VendorCounter[];
}

const LOOKUPS = 'iommu_walk_cache_lookups';
const HITS = 'iommu_walk_cache_hits';
const MANY_LEVELS = 'a look-up for each level that is asked, from the lowest up to the first hit';
const INVALIDATIONS = ['global', 'domain', 'page'].map((g) => `iommu_invalidations{kind="iotlb",granularity="${g}"}`);

function perf(
  pmu: string,
  counters: Record<string, readonly string[] | Omit<VendorCounter, 'event'>>,
): VendorCounter[] {
  return Object.entries(counters).map(([name, given]) => ({
    event: `${pmu}/${name}/`,
    ...(Array.isArray(given) ? { terms: given as string[] } : (given as Omit<VendorCounter, 'event'>)),
  }));
}

export const VENDOR_NAMES: Readonly<Record<Vendor, VendorNames>> = {
  intel: {
    tool: '`perf stat -e dmar0/.../`, Linux 6.3 and later',
    prefix: 'dmar_',
    unit: 'dmar0',
    counters: perf('dmar0', {
      iommu_requests: ['@requests.all'],
      iommu_mrds: ['iommu_walk_memory_reads'],
      ctxt_cache_lookup: ['iommu_context_cache_lookups'],
      ctxt_cache_hit: ['iommu_context_cache_hits'],
      ss_nonleaf_lookup: {
        terms: ['@secondStageLookups'],
        note: `one stage is the second (legacy mode); of two stages, the second; ${MANY_LEVELS}`,
      },
      ss_nonleaf_hit: { terms: ['@secondStageHits'], note: 'as its look-ups' },
      fs_nonleaf_lookup: { terms: ['@firstStageLookups'], note: `of two stages, the first; ${MANY_LEVELS}` },
      fs_nonleaf_hit: { terms: ['@firstStageHits'], note: 'as its look-ups' },
      iotlb_lookup: ['iommu_iotlb_lookups'],
      iotlb_hit: { terms: ['iommu_iotlb_hits'], note: 'there is no iotlb_miss: look-ups less hits' },
    }),
  },
  amd: {
    tool: '`perf stat -e amd_iommu_0/.../`',
    prefix: 'amd_iommu_',
    unit: 'amd_iommu_0',
    counters: perf('amd_iommu_0', {
      mem_pass_untrans: { terms: ['@requests.passed'], note: 'in passthrough alone' },
      mem_pass_pretrans: ['iommu_requests{type="translated"}'],
      mem_target_abort: ['iommu_faults'],
      mem_trans_total: { terms: ['@requests.remapped'], note: 'not in passthrough' },
      mem_iommu_tlb_pte_hit: ['iommu_iotlb_hits'],
      mem_iommu_tlb_pte_mis: ['iommu_iotlb_misses'],
      mem_iommu_tlb_pde_hit: { terms: [HITS], note: 'all levels and stages' },
      mem_iommu_tlb_pde_mis: { terms: [LOOKUPS, `-${HITS}`], note: MANY_LEVELS },
      mem_dte_hit: ['iommu_context_cache_hits'],
      mem_dte_mis: ['iommu_context_cache_lookups', '-iommu_context_cache_hits'],
      page_tbl_read_tot: ['iommu_walk_memory_reads'],
      cmd_processed: { terms: ['iommu_invalidations'], needs: 'queue', note: 'completion waits too' },
      cmd_processed_inv: {
        terms: ['iommu_invalidations', '-iommu_invalidations{kind="wait"}'],
        needs: 'queue',
      },
      tlb_inv: INVALIDATIONS,
    }),
  },
  arm: {
    tool: '`perf stat -e smmuv3_pmcg_.../.../`; the PMU is named by its page, here 0',
    prefix: 'smmuv3_pmcg_',
    unit: 'smmuv3_pmcg_0',
    counters: perf('smmuv3_pmcg_0', {
      transaction: ['@requests.all'],
      tlb_miss: ['iommu_iotlb_misses'],
      config_cache_miss: ['iommu_context_cache_lookups', '-iommu_context_cache_hits'],
      trans_table_walk_access: ['iommu_walk_memory_reads'],
      pcie_ats_trans_rq: ['iommu_requests{type="ats"}'],
      pcie_ats_trans_passed: ['iommu_requests{type="translated"}'],
    }),
  },
  riscv: {
    tool: 'event ids of the hardware performance monitor',
    prefix: 'riscv_iommu_',
    unit: 'iommu0',
    counters: [
      { event: '1 Untranslated requests', terms: ['iommu_requests{type="untranslated"}'] },
      { event: '2 Translated requests', terms: ['iommu_requests{type="translated"}'] },
      { event: '3 ATS Translation requests', terms: ['iommu_requests{type="ats"}'] },
      { event: '4 TLB miss', terms: ['iommu_iotlb_misses'] },
      {
        event: '5 Device Directory Walks',
        terms: ['iommu_context_cache_lookups', '-iommu_context_cache_hits'],
      },
      {
        event: '7 First-stage Page Table Walks',
        terms: ['iommu_page_walks{stage="1"}'],
        note: 'of two stages, those of the first, through the second',
      },
    ],
  },
  pcm: {
    tool: "Intel's uncore events (`perf stat -e`), and the columns of `pcm-iio`, Ice Lake and later",
    prefix: '',
    unit: 'iio0',
    counters: [
      { event: 'UNC_IIO_IOMMU0.FIRST_LOOKUPS', terms: ['iommu_iotlb_lookups'], note: 'IOTLB Lookup' },
      { event: 'UNC_IIO_IOMMU0.4K_HITS', terms: ['iommu_iotlb_hits{page="4k"}'] },
      { event: 'UNC_IIO_IOMMU0.2M_HITS', terms: ['iommu_iotlb_hits{page="2m"}'] },
      { event: 'UNC_IIO_IOMMU0.1G_HITS', terms: ['iommu_iotlb_hits{page="1g"}'] },
      { event: 'UNC_IIO_IOMMU0.MISSES', terms: ['iommu_iotlb_misses'], note: 'IOTLB Miss' },
      { event: 'UNC_IIO_IOMMU0.CTXT_CACHE_LOOKUPS', terms: ['iommu_context_cache_lookups'] },
      { event: 'UNC_IIO_IOMMU0.CTXT_CACHE_HITS', terms: ['iommu_context_cache_hits'], note: 'Ctxt Cache Hit' },
      { event: 'UNC_IIO_IOMMU1.PWT_CACHE_LOOKUPS', terms: [LOOKUPS], note: MANY_LEVELS },
      { event: 'UNC_IIO_IOMMU1.PWC_2M_HITS', terms: [`${HITS}{level="2m"}`], note: '2M Cache Hit' },
      { event: 'UNC_IIO_IOMMU1.PWC_1G_HITS', terms: [`${HITS}{level="1g"}`], note: '1G Cache Hit' },
      { event: 'UNC_IIO_IOMMU1.PWC_512G_HITS', terms: [`${HITS}{level="512g"}`], note: '512G Cache Hit' },
      { event: 'UNC_IIO_IOMMU1.NUM_MEM_ACCESSES', terms: ['iommu_walk_memory_reads'], note: 'IOMMU Mem Access' },
      { event: 'UNC_IIO_IOMMU3.NUM_INVAL_GBL', terms: [INVALIDATIONS[0]!] },
      { event: 'UNC_IIO_IOMMU3.NUM_INVAL_DOMAIN', terms: [INVALIDATIONS[1]!] },
      { event: 'UNC_IIO_IOMMU3.NUM_INVAL_PAGE', terms: [INVALIDATIONS[2]!] },
    ],
  },
};

/** The name of a metric that stands for a vendor's counter, without `_total`: `dmar_iotlb_lookup`, `unc_iio_iommu0_4k_hits`. */
export function vendorMetric({ prefix }: VendorNames, { event }: VendorCounter): string {
  const bare = /\/(\w+)\//.exec(event)?.[1] ?? event.replace(/^\d+ /, '');
  return prefix + bare.toLowerCase().replace(/[^a-z0-9]+/g, '_');
}
