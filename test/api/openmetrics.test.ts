/**
 * A session's metrics as text, read by a parser of their own, of machines that have between them all that the model has.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ABSENT, FAMILIES, VENDOR_NAMES, VENDORS, vendorMetric } from '../../src/api/metric-names.ts';
import { exposition, vendorExposition } from '../../src/api/openmetrics.ts';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { SimulatorApi } from '../../src/core/simulator-api.ts';
import { type ReadFamily, readOpenMetrics } from '../oracles/openmetrics.ts';

const RX = { name: 'rx', kind: 'nic-rx', device: 'nic', gbps: 10 };
const VM = { name: 'vm', kind: 'vm', memoryBytes: 2 ** 28 };
const NIC = { name: 'nic', kind: 'nic' };

/** Machines that differ in what they have. */
const MACHINES: Readonly<Record<string, Record<string, unknown>>> = {
  strict: {
    devices: [NIC],
    workloads: [RX],
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
  },
  lazy: {
    iommu: { levels: 5 },
    machine: { cpus: 2 },
    devices: [NIC],
    workloads: [{ ...RX, cpus: [0, 1] }],
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } },
  },
  wrap: { devices: [NIC], workloads: [RX], policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'wrap' } } },
  eiovar: { devices: [NIC], workloads: [RX], policy: { allocator: { kind: 'eiovar' } } },
  delayed: {
    devices: [NIC],
    workloads: [RX],
    policy: { allocator: { kind: 'sba-parisc' }, invalidation: { kind: 'delayed' } },
  },
  ats: { devices: [{ ...NIC, deviceTlb: {} }], workloads: [RX] },
  register: { iommu: { invalidation: { interface: 'register' } }, devices: [NIC], workloads: [RX] },
  passthrough: { policy: { mode: 'passthrough' }, devices: [NIC], workloads: [RX] },
  bounce: { policy: { mode: 'bounce' }, devices: [NIC], workloads: [RX] },
  shadow: { policy: { mode: 'shadow' }, devices: [NIC], workloads: [RX] },
  emulated: { policy: { mode: 'emulated' }, tenants: [VM], devices: [NIC], workloads: [RX] },
  nested: { policy: { mode: 'nested' }, tenants: [VM], devices: [NIC], workloads: [RX] },
};

function metersOf(simulator: SimulatorApi): Record<string, unknown> {
  const outcome = simulator.read({ read: 'meters' });
  assert.equal(outcome.status, 'ok');
  return outcome.status === 'ok'
    ? { awake: 1, session: [{ one: 1, seed: 1, mode: 'translate' }], ...outcome.result }
    : {};
}

function run(spec: Record<string, unknown>): SimulatorApi {
  const simulator = createSimulator(resolveSpec(spec));
  const started = simulator.startRun({ forNs: 3_000_000 });
  assert.equal(started.status, 'ok', JSON.stringify(started));
  while (!simulator.stepRun(10_000));
  return simulator;
}

const meters = new Map<string, Record<string, unknown>>();
for (const [name, spec] of Object.entries(MACHINES)) meters.set(name, metersOf(run(spec)));

const read = (machine: string): Map<string, ReadFamily> =>
  readOpenMetrics(exposition(meters.get(machine)!, 'ses_1', true));
const readAs = (machine: string, vendor: (typeof VENDORS)[number]): Map<string, ReadFamily> =>
  readOpenMetrics(vendorExposition(meters.get(machine)!, 'ses_1', vendor, true));

/** The sum of all samples that have these labels; null when there are none. */
function sumOf(families: Map<string, ReadFamily>, name: string, labels: Record<string, string> = {}): number | null {
  const found = (families.get(name)?.samples ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value),
  );
  return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
}

describe('as OpenMetrics', () => {
  for (const name of Object.keys(MACHINES))
    it(`${name} is what the specification says, under our names and each vendor's`, () => {
      for (const family of read(name).values()) {
        assert.ok(family.samples.length > 0, family.name);
        for (const { labels } of family.samples) assert.equal(labels.get('session'), 'ses_1');
      }
      for (const vendor of VENDORS) assert.ok(readAs(name, vendor).size > 0, vendor);
    });

  it('is refused by the reader when something is wrong with it', () => {
    const text = exposition(meters.get('strict')!, 'ses_1', true);
    for (const [wrong, right] of [
      [/# EOF\n/, ''],
      [/# TYPE iommu_iotlb_lookups counter/, '# TYPE iommu_iotlb_lookups gauge'],
      [/# UNIT iommu_sim_time_seconds seconds/, '# UNIT iommu_sim_time_seconds bytes'],
      [/le="\+Inf"\} (\d+)/, 'le="+Inf"} 1$1'],
      [/le="1e-07"/, 'le="1.0"'],
      [/session="ses_1"/, 'session="ses_1'],
      [/(iommu_iotlb_lookups_total\S*) \d+/, '$1 -1'],
      [/(iommu_iotlb_lookups_total\S* \d+)/, '$1\n$1'],
    ] as const)
      assert.throws(() => readOpenMetrics(text.replace(wrong, right)), `${wrong}`);
  });
});

describe('every name', () => {
  it('of ours occurs for some machine', () => {
    const seen = new Map<string, Set<string>>();
    for (const machine of meters.keys())
      for (const { name, samples } of read(machine).values()) {
        const labels = seen.get(name) ?? new Set();
        seen.set(name, labels);
        for (const sample of samples) for (const label of sample.labels.keys()) labels.add(label);
      }
    assert.deepEqual([...seen.keys()].sort(), FAMILIES.map(({ name }) => name).sort());
    for (const { name, samples } of FAMILIES)
      for (const sample of samples) {
        const wanted = 'each' in sample ? sample.labels : Object.keys(sample.labels ?? {});
        for (const label of wanted)
          if (name !== 'iommu_session') assert.ok(seen.get(name)!.has(label), `${name} ${label}`);
      }
  });

  for (const vendor of VENDORS)
    it(`of ${vendor} occurs for some machine, and is one of its own`, () => {
      const names = VENDOR_NAMES[vendor];
      const seen = new Set([...meters.keys()].flatMap((machine) => [...readAs(machine, vendor).keys()]));
      const expected = names.counters.map((counter) => vendorMetric(names, counter));
      assert.equal(new Set(expected).size, expected.length);
      assert.deepEqual([...seen].sort(), expected.sort());
    });

  it('of the list of names to copy is one of ours, or said to be absent and why', () => {
    // The rows of the list, in its order.
    const names = `iommu_requests_total iommu_iotlb_lookups_total iommu_iotlb_hits_total iommu_iotlb_misses_total
      iommu_walk_cache_lookups_total iommu_walk_cache_hits_total iommu_context_cache_lookups_total iommu_context_cache_hits_total
      iommu_pasid_cache_lookups_total iommu_pasid_cache_hits_total iommu_page_walks_total iommu_walk_memory_reads_total
      iommu_page_walks_in_flight iommu_page_requests_total iommu_ats_blocked_total iommu_invalidations_total
      iommu_invalidation_duration_seconds iommu_invalidation_queue_wait_seconds iommu_invalidation_queue_depth iommu_faults_total
      dma_map_calls_total dma_unmap_calls_total dma_map_duration_seconds dma_unmap_duration_seconds dma_map_errors_total
      dma_mapped_bytes dma_live_mappings dma_live_mappings_peak dma_entry_limit iova_cache_hits_total iova_cache_misses_total
      iova_depot_magazines iova_rbtree_nodes iova_alloc_failures_total iova_largest_free_bytes iommu_flush_queue_entries
      iommu_flush_queue_flushes_total swiotlb_slots swiotlb_used_slots swiotlb_used_slots_peak swiotlb_bounced_bytes_total
      swiotlb_failures_total iommu_stale_mappings iommu_stale_bytes iommu_stale_byte_seconds_total iommu_stale_window_seconds
      iommu_stale_accesses_total`.split(/\s+/);
    const ours = new Set(FAMILIES.map(({ name, type }) => (type === 'counter' ? `${name}_total` : name)));
    for (const name of names) assert.ok(ours.has(name) !== name in ABSENT, name);
    for (const name of Object.keys(ABSENT)) assert.ok(names.includes(name), name);
  });

  it('says hit or miss, and which level, wherever a cache is counted', () => {
    for (const { name, samples } of FAMILIES) {
      if (!/^iommu_(iotlb|walk_cache|context_cache|device_tlb)_/.test(name)) continue;
      assert.match(name, /_(lookups|hits|misses)$/);
      if (name.includes('walk_cache'))
        for (const sample of samples)
          assert.deepEqual(Object.keys('labels' in sample ? sample.labels! : {}), ['level', 'stage']);
    }
  });
});

describe('what a model lacks is absent, not 0', () => {
  const absent: readonly [string, string, Record<string, string>?][] = [
    ['passthrough', 'iommu_iotlb_lookups'],
    ['passthrough', 'iommu_stale_mappings'],
    ['passthrough', 'iommu_invalidation_duration_seconds'],
    ['strict', 'iommu_flush_queue_entries'],
    ['strict', 'swiotlb_slots'],
    ['strict', 'iommu_vm_exits'],
    ['strict', 'iommu_requests', { type: 'ats' }],
    ['strict', 'iommu_walk_cache_hits', { level: '256t' }],
    ['strict', 'iommu_walk_cache_hits', { stage: '2' }],
    ['lazy', 'iova_cache_hits'],
    ['lazy', 'iommu_flush_queue_flushes', { trigger: 'wrap' }],
    ['register', 'iommu_invalidation_queue_wait_seconds'],
    ['register', 'iommu_invalidations', { kind: 'wait' }],
    ['eiovar', 'iova_depot_magazines'],
  ];
  for (const [machine, name, labels] of absent)
    it(`${name}${labels ? JSON.stringify(labels) : ''} of ${machine}`, () => {
      assert.equal(sumOf(read(machine), name, labels), null);
    });

  it('and what has not happened yet is 0', () => {
    const quiet = metersOf(createSimulator(resolveSpec(MACHINES.lazy!)));
    const families = readOpenMetrics(exposition(quiet, 'ses_1', true));
    for (const name of ['iommu_iotlb_lookups', 'iommu_faults', 'iommu_flush_queue_flushes', 'iommu_stale_accesses'])
      assert.equal(sumOf(families, name), 0, name);
    assert.equal(sumOf(families, 'dma_map_duration_seconds'), 0);
  });

  it('nor is there a counter that a vendor lacks, or that this mode cannot move', () => {
    assert.equal(readAs('strict', 'intel').has('dmar_iotlb_miss'), false);
    assert.equal(readAs('strict', 'arm').has('smmuv3_pmcg_tlb_hit'), false);
    assert.equal(readAs('strict', 'intel').has('dmar_fs_nonleaf_hit'), false);
    assert.equal(readAs('strict', 'amd').has('amd_iommu_mem_pass_untrans'), false);
    assert.equal(readAs('passthrough', 'amd').has('amd_iommu_mem_trans_total'), false);
    assert.equal(readAs('passthrough', 'pcm').has('unc_iio_iommu0_misses'), false);
  });
});

describe('values', () => {
  it('of caches add up, in each mode that translates', () => {
    for (const machine of meters.keys()) {
      const families = read(machine);
      const lookups = sumOf(families, 'iommu_iotlb_lookups');
      if (lookups === null) continue;
      assert.equal(sumOf(families, 'iommu_iotlb_hits')! + sumOf(families, 'iommu_iotlb_misses')!, lookups, machine);
      assert.ok(sumOf(families, 'iommu_walk_cache_hits')! <= sumOf(families, 'iommu_walk_cache_lookups')!);
    }
  });

  it('of histograms are those of the calls that the counters count', () => {
    for (const machine of meters.keys()) {
      const families = read(machine);
      const countOf = (name: string) =>
        families.get(name)?.samples.find((sample) => sample.name === `${name}_count`)?.value ?? null;
      assert.equal(countOf('dma_map_duration_seconds'), sumOf(families, 'dma_map_calls'), machine);
      assert.equal(countOf('dma_unmap_duration_seconds'), sumOf(families, 'dma_unmap_calls'), machine);
      const bounds = (families.get('iommu_invalidation_duration_seconds')?.samples ?? []).map(({ labels }) =>
        labels.get('le'),
      );
      if (bounds.length === 0) continue;
      for (const le of ['1e-07', '1e-06', '1e-05', '0.0001', '0.001', '0.01', '+Inf'])
        assert.ok(bounds.includes(le), le);
    }
  });

  it("of strict invalidations: one submission an unmap, each as long as the profile's, and the sum of all", () => {
    const families = read('strict');
    const samples = families.get('iommu_invalidation_duration_seconds')!.samples;
    const of = (end: string) => samples.find(({ name }) => name.endsWith(end))!.value;
    assert.equal(of('_count'), sumOf(families, 'iommu_invalidations', { kind: 'wait' }));
    const mean = of('_sum') / of('_count');
    const first = samples.find(({ name, value }) => name.endsWith('_bucket') && value === of('_count'))!;
    const bounds = samples.flatMap(({ labels }) => (labels.has('le') ? [Number(labels.get('le'))] : []));
    const le = Number(first.labels.get('le'));
    const below = bounds[bounds.indexOf(le) - 1] ?? 0;
    assert.ok(mean > below && mean <= le, `${mean} in (${below}, ${le}]`);
  });

  it("under a vendor's name are ours, summed as its tools sum them", () => {
    for (const machine of ['strict', 'lazy', 'ats', 'nested']) {
      const ours = read(machine);
      const intel = readAs(machine, 'intel');
      const amd = readAs(machine, 'amd');
      const pcm = readAs(machine, 'pcm');
      assert.equal(sumOf(intel, 'dmar_iotlb_lookup'), sumOf(ours, 'iommu_iotlb_lookups'));
      assert.equal(
        sumOf(intel, 'dmar_iotlb_lookup')! - sumOf(intel, 'dmar_iotlb_hit')!,
        sumOf(readAs(machine, 'arm'), 'smmuv3_pmcg_tlb_miss'),
      );
      assert.equal(
        sumOf(amd, 'amd_iommu_mem_iommu_tlb_pte_hit')! + sumOf(amd, 'amd_iommu_mem_iommu_tlb_pte_mis')!,
        sumOf(pcm, 'unc_iio_iommu0_first_lookups'),
      );
      assert.equal(sumOf(pcm, 'unc_iio_iommu1_pwc_2m_hits'), sumOf(ours, 'iommu_walk_cache_hits', { level: '2m' }));
      assert.equal(
        sumOf(intel, 'dmar_ss_nonleaf_hit')! + (sumOf(intel, 'dmar_fs_nonleaf_hit') ?? 0),
        sumOf(ours, 'iommu_walk_cache_hits'),
      );
      const [{ labels }] = intel.get('dmar_iotlb_lookup')!.samples as [ReadFamily['samples'][0]];
      assert.deepEqual([labels.get('event'), labels.get('unit')], ['dmar0/iotlb_lookup/', 'dmar0']);
    }
  });

  it('of a thousand devices are a series each for 64, and one for the rest together', () => {
    const devices = Array.from({ length: 200 }, (_, i) => ({ name: `nic${i}`, kind: 'nic' }));
    const simulator = createSimulator(resolveSpec({ devices }));
    for (const i of [0, 150, 151])
      simulator.apply({
        op: 'map',
        device: `nic${i}`,
        kind: 'single',
        direction: 'to-device',
        physicalAddress: '0x200000',
        lengthBytes: 64,
      } as never);
    const families = readOpenMetrics(exposition(metersOf(simulator), 'ses_1', true));
    assert.equal(families.get('dma_live_mappings')!.samples.length, 65);
    assert.equal(sumOf(families, 'dma_live_mappings', { device: 'other' }), 2);
    assert.equal(sumOf(families, 'dma_live_mappings'), 3);
  });

  it('leave no trace in the digest, however often they are read', () => {
    const one = run(MACHINES.lazy!);
    const before = one.digest();
    metersOf(one);
    assert.equal(one.digest(), before);
  });
});
