/**
 * Lines that a tool has printed, each with where it stands in public, and lines made up from the formats, which are marked `synthetic`.
 * What an importer has to make of each is beside it: the fields that the line says, and no others.
 */

export interface Fixture {
  format: 'ftrace' | 'trace-cmd' | 'perf-script' | 'blkparse' | 'msr' | 'cloudphysics';
  source: string;
  synthetic?: true;
  line: string;
  /** The event and its segments, without `timeNs` and `line`; a string: why the line is skipped; null: understood, and no event. */
  becomes: readonly Record<string, unknown>[] | string | null;
  /** As printed: seconds and nanoseconds. */
  time?: readonly [number, number];
}

const ATH12K = 'linux-wireless, 2025-07-02, e008afed-819d-43eb-8895-2c7aaf24ec13@oss.qualcomm.com';
const VFIO = 'public notes on device assignment, qemu with VFIO, Linux 5.14 of CentOS Stream 9';
const SMMU = 'lore ef589be2578e45fea72e59811485c0aa, a proposed tracepoint';
const FORMATS = 'made from include/trace/events/{dma,iommu,swiotlb}.h';
const TRACE = '        worker-12      [003] .....    12.000001: ';
const C2 = '0000:c2:00.0';

const who = { cpu: 3, pid: 12 };
const synthetic = true as const;

/** A payload behind the same prefix, whose task, CPU and time are `who`. */
function made(payload: string, becomes: Fixture['becomes'], source = FORMATS): Fixture {
  return { format: 'ftrace', source, synthetic, line: TRACE + payload, becomes, time: [12, 1000] };
}
/** The same of a payload that somebody quoted without its prefix. */
function quoted(payload: string, becomes: Record<string, unknown>, source: string): Fixture {
  return { ...made(payload, [{ ...becomes, ...who }]), source: `${source}; the prefix is made` };
}

export const FIXTURES: readonly Fixture[] = [
  {
    format: 'ftrace',
    source: ATH12K,
    line: '(udev-worker)-532     [010] .....     4.878076: map: IOMMU: iova=0x00000000fe980000 - 0x00000000fea00000 paddr=0x000000010ec80000 size=524288',
    becomes: [
      { kind: 'iommuMap', cpu: 10, pid: 532, iova: '0xfe980000', physical: '0x10ec80000', lengthBytes: 524_288 },
    ],
    time: [4, 878_076_000],
  },
  {
    format: 'ftrace',
    source: ATH12K,
    line: '(udev-worker)-532     [010] .....     4.878079: dma_alloc: 0000:c2:00.0 dma_addr=fe980000 size=524288 virt_addr=000000006cadbcb1 flags=GFP_KERNEL attrs=',
    becomes: [{ kind: 'alloc', cpu: 10, pid: 532, device: C2, iova: '0xfe980000', lengthBytes: 524_288 }],
  },
  {
    format: 'ftrace',
    source: ATH12K,
    line: 'kworker/u64:0-12      [011] .....   327.747763: dma_free: 0000:c2:00.0 dma_addr=fe980000 size=524288 virt_addr=000000006cadbcb1 attrs=',
    becomes: [{ kind: 'free', cpu: 11, pid: 12, device: C2, iova: '0xfe980000', lengthBytes: 524_288 }],
  },
  {
    format: 'ftrace',
    source: ATH12K,
    line: 'kworker/u64:0-12      [011] .....   327.747766: unmap: IOMMU: iova=0x00000000fe980000 - 0x00000000fea00000 size=524288 unmapped_size=524288',
    becomes: [{ kind: 'iommuUnmap', cpu: 11, pid: 12, iova: '0xfe980000', lengthBytes: 524_288, detail: 524_288 }],
  },
  {
    format: 'ftrace',
    source: ATH12K,
    line: 'irq/26-AMD-Vi-154     [006] .....   327.753942: io_page_fault: IOMMU:ath12k_pci 0000:c2:00.0 iova=0x00000000fe980000 flags=0x0001',
    becomes: [{ kind: 'fault', cpu: 6, pid: 154, device: C2, iova: '0xfe980000', write: 1, detail: 1 }],
    time: [327, 753_942_000],
  },
  {
    format: 'ftrace',
    source: VFIO,
    line: 'qemu-kvm-4575    [008] .......   438.308514: map: IOMMU: iova=0x0000000000000000 - 0x00000000000c0000 paddr=0x00000001a6800000 size=786432',
    becomes: [{ kind: 'iommuMap', cpu: 8, pid: 4575, iova: '0x0', physical: '0x1a6800000', lengthBytes: 786_432 }],
  },
  {
    format: 'ftrace',
    source: VFIO,
    line: 'qemu-kvm-4575    [008] .......   438.308516: map: IOMMU: iova=0x00000000000c0000 - 0x00000000000c1000 paddr=0x00000001a68c0000 size=4096',
    becomes: [{ kind: 'iommuMap', cpu: 8, pid: 4575, iova: '0xc0000', physical: '0x1a68c0000', lengthBytes: 4096 }],
  },
  {
    format: 'ftrace',
    source: VFIO,
    line: 'qemu-kvm-4575    [008] .......   438.308535: map: IOMMU: iova=0x0000000000200000 - 0x0000000000400000 paddr=0x0000000197a00000 size=2097152',
    becomes: [
      { kind: 'iommuMap', cpu: 8, pid: 4575, iova: '0x200000', physical: '0x197a00000', lengthBytes: 2_097_152 },
    ],
  },
  {
    format: 'ftrace',
    source: VFIO,
    line: '        qemu-kvm-4575    [008] .......   438.308478: unmap: IOMMU: iova=0x0000000000000000 - 0x0000000000001000 size=4096 unmapped_size=4096',
    becomes: [{ kind: 'iommuUnmap', cpu: 8, pid: 4575, iova: '0x0', lengthBytes: 4096, detail: 4096 }],
  },
  {
    format: 'ftrace',
    source: VFIO,
    line: 'qemu-kvm-7254    [077] ....... 17317.899230: map: IOMMU: iova=0x0000000004400000 - 0x0000000004800000 paddr=0x00000008db400000 size=4194304',
    becomes: [
      { kind: 'iommuMap', cpu: 77, pid: 7254, iova: '0x4400000', physical: '0x8db400000', lengthBytes: 4_194_304 },
    ],
    time: [17_317, 899_230_000],
  },
  ...(
    [
      ['768083', 'exit'],
      ['768084', 'entry'],
      ['768165', 'entry'],
    ] as const
  ).map(
    ([micros, end]): Fixture => ({
      format: 'ftrace',
      source: SMMU,
      line: `<idle>-0     [058] ..s1 125444.${micros}: issue_cmdlist_${end}: arm-smmu-v3.2.auto cmd number=1 sync=1`,
      becomes: `the event issue_cmdlist_${end} is not understood`,
    }),
  ),
  {
    format: 'trace-cmd',
    source: 'lore 603D10B9',
    line: 'kworker/u28:3-1269  [000]   336.054743: bprint:               frwr_map: ib_dma_map_sg(30) returns 1',
    becomes: 'the event bprint is not understood',
  },
  {
    format: 'trace-cmd',
    source: 'lore 3568C74A; the task is made',
    line: '  cat-77    [001]  1072.028316: funcgraph_exit:       + 10.073 us  |  }',
    becomes: 'function_graph',
  },
  {
    format: 'perf-script',
    source: "Brendan Gregg's notes on perf",
    line: '     randread.pl  2522 [000]  6011.824759: block:block_rq_issue: 254,16 R 0 () 7322849 + 16 [randread.pl]',
    becomes: [
      {
        kind: 'ioStart',
        cpu: 0,
        pid: 2522,
        device: '254,16',
        lengthBytes: 8192,
        direction: 2,
        write: 1,
        detail: 7_322_849,
      },
    ],
    time: [6011, 824_759_000],
  },
  {
    format: 'perf-script',
    source: 'a newer kernel, with the priority; the prefix is made',
    line: ' graph_traverse_  2522/2523 [001]  6011.824760: block:block_rq_issue: 259,1 RA 131072 () 2209576568 + 256 0x2,0,4 [graph_traverse_]',
    becomes: [
      {
        kind: 'ioStart',
        cpu: 1,
        pid: 2523,
        device: '259,1',
        lengthBytes: 131_072,
        direction: 2,
        write: 1,
        detail: 2_209_576_568,
      },
    ],
  },
  {
    format: 'blkparse',
    source: 'yuanguohuo, public notes on blktrace',
    line: '  8,64  11     2956    33.791612977 90790  D  WS 7614368 + 8 [fio]',
    becomes: [
      {
        kind: 'ioStart',
        cpu: 11,
        pid: 90_790,
        device: '8,64',
        lengthBytes: 4096,
        direction: 1,
        write: 0,
        detail: 7_614_368,
      },
    ],
    time: [33, 791_612_977],
  },
  {
    format: 'blkparse',
    source: 'yuanguohuo, public notes on blktrace',
    line: '  8,64  11     2957    33.799933777     0  C  WS 7614368 + 8 [0]',
    becomes: [
      { kind: 'ioEnd', cpu: 11, pid: 0, device: '8,64', lengthBytes: 4096, direction: 1, write: 0, detail: 7_614_368 },
    ],
    time: [33, 799_933_777],
  },
  {
    format: 'msr',
    source: 'SNIA IOTTA, MSR Cambridge Traces',
    line: '128166372003061629,hm,0,Write,7014912,4096,26',
    becomes: [
      { kind: 'ioStart', device: 'hm,0', lengthBytes: 4096, direction: 1, write: 0, detail: 13_701 },
      { kind: 'ioEnd', device: 'hm,0', lengthBytes: 4096, direction: 1, write: 0, detail: 13_701, partner: 0 },
    ],
    time: [12_816_637_200, 306_162_900],
  },
  ...(
    [
      ['1,33898,2a,512,42932745', 512, 42_932_745],
      ['1,33898,2a,6656,40409911', 6656, 40_409_911],
      ['1,33899,2a,6144,31954535', 6144, 31_954_535],
      ['1,33899,2a,57344,6238199', 57_344, 6_238_199],
      ['1,33899,2a,4096,6160447', 4096, 6_160_447],
    ] as const
  ).map(
    ([line, lengthBytes, detail]): Fixture => ({
      format: 'cloudphysics',
      source: 'libCacheSim, data/trace.csv',
      line,
      becomes: [{ kind: 'ioStart', lengthBytes, direction: 1, write: 0, detail }],
    }),
  ),
  quoted(
    'qi_submit: iotlb_inv dmar1: 0x100e2 0x0 0x0 0x0',
    { kind: 'invalidate', domain: 1, detail: 2 },
    'Lu Baolu, 2021-01-14',
  ),
  quoted(
    'qi_submit: dev_tlb_inv dmar1: 0x1000000003 0x7ffffffffffff001 0x0 0x0',
    { kind: 'invalidateDevice', domain: 16, detail: 1 },
    'Lu Baolu, 2021-01-14',
  ),
  quoted(
    'qi_submit: iotlb_inv dmar2: 0x800f2 0xf9a00005 0x0 0x0',
    { kind: 'invalidate', domain: 8, detail: 3, iova: '0xf9a00000', lengthBytes: 131_072 },
    'lore 20210114090400.736104-1',
  ),
  quoted(
    'cache_tag_assign: dmar9/0000:00:01.0 type iotlb did 1 pasid 9 ref 1',
    { kind: 'cacheTag', device: '0000:00:01.0', domain: 1, detail: 1 },
    'Lu Baolu, 2024',
  ),
  quoted(
    'cache_tag_flush_all: dmar6/0000:8a:00.0 type iotlb did 7 pasid 0 ref 1',
    { kind: 'invalidate', device: '0000:8a:00.0', domain: 7, detail: 2 },
    'Lu Baolu, 2024',
  ),
  quoted(
    'cache_tag_flush_range: dmar1 0000:00:1b.0[0] type iotlb did 9 [0xeab00000-0xeab1afff] addr 0xeab00000 pages 0x20 mask 0x5',
    { kind: 'invalidate', device: '0000:00:1b.0', domain: 9, detail: 3, iova: '0xeab00000', lengthBytes: 131_072 },
    'Lu Baolu, 2024',
  ),

  // From here on nothing was printed by a kernel.
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' iperf3-2101 [003] ..... 12.000001: dma_map_phys: 0000:3b:00.0 dir=FROM_DEVICE dma_addr=fffff000 size=2048 phys_addr=1a2b3c000 attrs=',
    becomes: [
      {
        kind: 'map',
        cpu: 3,
        pid: 2101,
        device: '0000:3b:00.0',
        iova: '0xfffff000',
        physical: '0x1a2b3c000',
        lengthBytes: 2048,
        direction: 2,
      },
    ],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' iperf3-2101 [003] ..... 12.000009: dma_unmap_phys: 0000:3b:00.0 dir=FROM_DEVICE dma_addr=fffff000 size=2048 attrs=SKIP_CPU_SYNC',
    becomes: [
      { kind: 'unmap', cpu: 3, pid: 2101, device: '0000:3b:00.0', iova: '0xfffff000', lengthBytes: 2048, direction: 2 },
    ],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' fio-900 [001] ..... 12.1: dma_map_sg: 0000:01:00.0 dir=TO_DEVICE nents=2/2 ents=1/1 dma_addrs={0xffffc000} sizes={0x2000} phys_addrs={0x10000,0x54000} attrs=',
    becomes: [
      {
        kind: 'mapSg',
        cpu: 1,
        pid: 900,
        device: '0000:01:00.0',
        iova: '0xffffc000',
        physical: '0x10000',
        lengthBytes: 8192,
        direction: 1,
        detail: 2,
      },
      {
        kind: 'segment',
        cpu: 1,
        pid: 900,
        device: '0000:01:00.0',
        iova: '0xffffc000',
        lengthBytes: 8192,
        direction: 1,
      },
      { kind: 'segment', cpu: 1, pid: 900, device: '0000:01:00.0', physical: '0x10000', direction: 1 },
      { kind: 'segment', cpu: 1, pid: 900, device: '0000:01:00.0', physical: '0x54000', direction: 1 },
    ],
    time: [12, 100_000_000],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' fio-900 [001] ..... 12.2: dma_unmap_sg: 0000:01:00.0 dir=TO_DEVICE phys_addrs={0x10000,0x54000} attrs=',
    becomes: [
      { kind: 'unmapSg', cpu: 1, pid: 900, device: '0000:01:00.0', physical: '0x10000', direction: 1, detail: 2 },
      { kind: 'segment', cpu: 1, pid: 900, device: '0000:01:00.0', physical: '0x10000', direction: 1 },
      { kind: 'segment', cpu: 1, pid: 900, device: '0000:01:00.0', physical: '0x54000', direction: 1 },
    ],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' fio-900 [001] ..... 12.2: dma_sync_single_for_cpu: 0000:01:00.0 dir=FROM_DEVICE dma_addr=ffffc000 size=4096',
    becomes: [
      {
        kind: 'sync',
        cpu: 1,
        pid: 900,
        device: '0000:01:00.0',
        iova: '0xffffc000',
        lengthBytes: 4096,
        direction: 2,
        detail: 0,
      },
    ],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' swapper/0-1 [000] ..... 0.5: add_device_to_group: IOMMU: groupID=14 device=0000:01:00.0',
    becomes: [{ kind: 'group', cpu: 0, pid: 1, device: '0000:01:00.0', write: 1, detail: 14 }],
  },
  {
    format: 'ftrace',
    source: FORMATS,
    synthetic,
    line: ' swapper/0-1 [000] ..... 0.5: attach_device_to_domain: IOMMU: device=0000:01:00.0',
    becomes: [{ kind: 'attach', cpu: 0, pid: 1, device: '0000:01:00.0' }],
  },
  made('detach_device_from_domain: IOMMU: device=0000:01:00.0', [{ kind: 'detach', ...who, device: '0000:01:00.0' }]),
  made('remove_device_from_group: IOMMU: groupID=14 device=0000:01:00.0', [
    { kind: 'group', ...who, device: '0000:01:00.0', write: 0, detail: 14 },
  ]),
  made(
    'map: IOMMU: iova=0x0000000000001000 paddr=0x0000000000200000 size=8192',
    [{ kind: 'iommuMap', ...who, iova: '0x1000', physical: '0x200000', lengthBytes: 8192 }],
    'made from iommu.h before 5.17',
  ),
  made(
    'map: IOMMU: dev=0000:c2:00.0 iova=0x0000000000001000 paddr=0x0000000000200000 size=8192',
    [{ kind: 'iommuMap', ...who, device: C2, iova: '0x1000', physical: '0x200000', lengthBytes: 8192 }],
    'made from a proposal of 2021-02-09',
  ),
  made('map: IOMMU: iova=0xfffffffffffff000 - 0x0000000000000000 paddr=0x000ffffffffff000 size=4096', [
    { kind: 'iommuMap', ...who, iova: '0xfffffffffffff000', physical: '0xffffffffff000', lengthBytes: 4096 },
  ]),
  made(
    'unmap: IOMMU: iova=0x0000000000001000 size=8192 unmapped_size=4096',
    [{ kind: 'iommuUnmap', ...who, iova: '0x1000', lengthBytes: 8192, detail: 4096 }],
    'made from iommu.h before 5.17',
  ),
  made(
    'dma_map_page: 0000:c2:00.0 dir=BIDIRECTIONAL dma_addr=1ff0 size=32 phys_addr=1a2b3cff0 attrs=SKIP_CPU_SYNC|NO_WARN',
    [{ kind: 'map', ...who, device: C2, iova: '0x1ff0', physical: '0x1a2b3cff0', lengthBytes: 32, direction: 0 }],
  ),
  made('dma_map_resource: 0000:c2:00.0 dir=NONE dma_addr=1000 size=4096 phys_addr=f0000000 attrs=MMIO', [
    { kind: 'map', ...who, device: C2, iova: '0x1000', physical: '0xf0000000', lengthBytes: 4096, direction: 3 },
  ]),
  made('dma_unmap_page: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 attrs=', [
    { kind: 'unmap', ...who, device: C2, iova: '0x1000', lengthBytes: 4096, direction: 1 },
  ]),
  made('dma_unmap_resource: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 attrs=', [
    { kind: 'unmap', ...who, device: C2, iova: '0x1000', lengthBytes: 4096, direction: 1 },
  ]),
  made(
    'dma_alloc: 0000:c2:00.0 dir=BIDIRECTIONAL dma_addr=fffff000 size=100 virt_addr=00000000abcdef01 flags=GFP_KERNEL|__GFP_ZERO attrs=',
    [{ kind: 'alloc', ...who, device: C2, iova: '0xfffff000', lengthBytes: 100, direction: 0 }],
  ),
  made(
    'dma_alloc: 0000:c2:00.0 dir=BIDIRECTIONAL dma_addr=0 size=4096 virt_addr=0000000000000000 flags=GFP_KERNEL attrs=',
    [{ kind: 'failed', ...who, device: C2, lengthBytes: 4096, direction: 0 }],
  ),
  made(
    'dma_alloc_pages: 0000:c2:00.0 dir=TO_DEVICE dma_addr=2000 size=4096 virt_addr=00000000abcdef01 flags=GFP_KERNEL attrs=',
    [{ kind: 'alloc', ...who, device: C2, iova: '0x2000', lengthBytes: 4096, direction: 1 }],
  ),
  made(
    'dma_alloc_sgt: 0000:c2:00.0 dir=TO_DEVICE dma_addr=2000 size=8192 phys_addrs={0x10000,0x54000} flags=GFP_KERNEL attrs=',
    [{ kind: 'alloc', ...who, device: C2, iova: '0x2000', physical: '0x10000', lengthBytes: 8192, direction: 1 }],
  ),
  made(
    'dma_alloc_sgt_err: 0000:c2:00.0 dir=TO_DEVICE dma_addr=0 size=8192 virt_addr=0000000000000000 flags=GFP_KERNEL attrs=',
    [{ kind: 'failed', ...who, device: C2, lengthBytes: 8192, direction: 1 }],
  ),
  made('dma_free_pages: 0000:c2:00.0 dir=TO_DEVICE dma_addr=2000 size=4096 virt_addr=00000000abcdef01 attrs=', [
    { kind: 'free', ...who, device: C2, iova: '0x2000', lengthBytes: 4096, direction: 1 },
  ]),
  made('dma_free_sgt: 0000:c2:00.0 dir=TO_DEVICE dma_addr=2000 size=8192 phys_addrs={0x10000,0x54000}', [
    { kind: 'free', ...who, device: C2, iova: '0x2000', physical: '0x10000', lengthBytes: 8192, direction: 1 },
  ]),
  made(
    'dma_map_sg: 0000:c2:00.0 dir=TO_DEVICE dma_addrs={0x1000,0x3000} sizes={0x1000,0x800} phys_addrs={0x10000,0x54800} attrs=',
    [
      {
        kind: 'mapSg',
        ...who,
        device: C2,
        iova: '0x1000',
        physical: '0x10000',
        lengthBytes: 6144,
        direction: 1,
        detail: 2,
      },
      { kind: 'segment', ...who, device: C2, iova: '0x1000', physical: '0x10000', lengthBytes: 4096, direction: 1 },
      { kind: 'segment', ...who, device: C2, iova: '0x3000', physical: '0x54800', lengthBytes: 2048, direction: 1 },
    ],
    'made from dma.h without nents and ents',
  ),
  made(
    'dma_map_sg: 0000:c2:00.0 dir=TO_DEVICE nents=1/300 ents=1/300 [TRUNCATED] dma_addrs={0x1000} sizes={0x1000} phys_addrs={0x10000} attrs=',
    [
      {
        kind: 'mapSg',
        ...who,
        device: C2,
        iova: '0x1000',
        physical: '0x10000',
        lengthBytes: 4096,
        direction: 1,
        detail: 300,
      },
      { kind: 'segment', ...who, device: C2, iova: '0x1000', physical: '0x10000', lengthBytes: 4096, direction: 1 },
    ],
  ),
  made('dma_map_sg_err: 0000:c2:00.0 dir=TO_DEVICE dma_addrs={0x10000,0x54000} err=-12 attrs=', [
    { kind: 'failed', ...who, device: C2, physical: '0x10000', direction: 1, detail: -12 },
  ]),
  made('dma_sync_single_for_device: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=64', [
    { kind: 'sync', ...who, device: C2, iova: '0x1000', lengthBytes: 64, direction: 1, detail: 1 },
  ]),
  ...(['cpu', 'device'] as const).map((side, detail) =>
    made(`dma_sync_sg_for_${side}: 0000:c2:00.0 dir=FROM_DEVICE dma_addrs={0x1000,0x3000} sizes={0x1000,0x800}`, [
      { kind: 'syncSg', ...who, device: C2, iova: '0x1000', lengthBytes: 6144, direction: 2, detail },
      { kind: 'segment', ...who, device: C2, iova: '0x1000', lengthBytes: 4096, direction: 2 },
      { kind: 'segment', ...who, device: C2, iova: '0x3000', lengthBytes: 2048, direction: 2 },
    ]),
  ),
  made('io_page_fault: IOMMU:drv 0000:c2:00.0 iova=0x0000000000000010 flags=0x0010', [
    { kind: 'fault', ...who, device: C2, iova: '0x10', write: 0, detail: 16 },
  ]),
  made('swiotlb_bounced: dev_name: 0000:c2:00.0 dma_mask=ffffffff dev_addr=1234567890 size=1500 SOMETHING_NEW', [
    { kind: 'bounced', ...who, device: C2, physical: '0x1234567890', lengthBytes: 1500 },
  ]),
  made(
    'dma_sync_single_for_cpu: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=64 FORCE',
    'dma_sync_single_for_cpu: a word that is not understood',
  ),
  made('swiotlb_bounced: dev_name: 0000:c2:00.0 dma_mask=ffffffff dev_addr=1234567890 size=1500 FORCE', [
    { kind: 'bounced', ...who, device: C2, physical: '0x1234567890', lengthBytes: 1500 },
  ]),
  made('cache_tag_unassign: dmar9/0000:00:01.0 type devtlb did 1 pasid 9 ref 0', [
    { kind: 'cacheTag', ...who, device: '0000:00:01.0', domain: 1, detail: 0 },
  ]),
  made('cache_tag_flush_all: dmar9/0000:00:01.0 type devtlb did 1 pasid 9 ref 1', [
    { kind: 'invalidateDevice', ...who, device: '0000:00:01.0', domain: 1, detail: 1 },
  ]),
  made(
    'cache_tag_flush_range_np: dmar1 0000:00:1b.0[4] type nesting_devtlb did 9 [0x1000-0x3fff] addr 0x0 pages 0x4 mask 0x2',
    [
      {
        kind: 'invalidateDevice',
        ...who,
        device: '0000:00:1b.0',
        domain: 9,
        detail: 3,
        iova: '0x0',
        lengthBytes: 16_384,
      },
    ],
  ),
  made('prq_report: dmar9/0000:00:01.0 seq# 12: rid=0x8 addr=0x7f0000001000 r---l pasid=0x1 index=0x0', [
    { kind: 'pageRequest', ...who, device: '0000:00:01.0', iova: '0x7f0000001000' },
  ]),
  made('qi_submit: inv_wait dmar1: 0x200000025 0x1006d0004 0x0 0x0', [{ kind: 'invalidationWait', ...who }]),
  made('qi_submit: cc_inv dmar1: 0x10021 0x0 0x0 0x0', [{ kind: 'invalidateTables', ...who, domain: 1, detail: 1 }]),
  made('qi_submit: iec_inv dmar1: 0x14 0x0 0x0 0x0', [{ kind: 'invalidateTables', ...who, detail: 3 }]),
  made('qi_submit: pc_inv dmar1: 0x200010007 0x0 0x0 0x0', [
    { kind: 'invalidateTables', ...who, domain: 1, detail: 2 },
  ]),
  made('qi_submit: p_iotlb_inv dmar1: 0x200010036 0x7f0000001000 0x0 0x0', [
    { kind: 'invalidate', ...who, domain: 1, detail: 3, iova: '0x7f0000001000', lengthBytes: 4096 },
  ]),
  made('qi_submit: p_dev_tlb_inv dmar1: 0x200100008 0x7f0000001800 0x0 0x0', [
    { kind: 'invalidateDevice', ...who, domain: 16, detail: 3, iova: '0x7f0000000000', lengthBytes: 16_384 },
  ]),
  made('qi_submit: page_grp_resp dmar1: 0x9 0x0 0x0 0x0', [{ kind: 'pageResponse', ...who }]),
  made(
    'block_rq_complete: 8,0 WS () 2048 + 8 [0]',
    [{ kind: 'ioEnd', ...who, device: '8,0', lengthBytes: 4096, direction: 1, write: 0, detail: 2048 }],
    'made from include/trace/events/block.h',
  ),
  made(
    'block_rq_issue: 8,0 W 4096 () 2048 + 8 [fio]',
    [{ kind: 'ioStart', ...who, device: '8,0', lengthBytes: 4096, direction: 1, write: 0, detail: 2048 }],
    'made from include/trace/events/block.h',
  ),
  made('block_rq_issue: 8,0 FF 0 () 0 + 0 [kworker/0:1H]', null, 'made from include/trace/events/block.h'),
  made(
    'iommu_lab:access: nic0 op=write iova=0xfffff000 size=1500 ps=375 verdict=stale',
    [
      {
        kind: 'access',
        ...who,
        device: 'nic0',
        iova: '0xfffff000',
        lengthBytes: 1500,
        write: 1,
        detail: 4,
        timePs: 375,
      },
    ],
    'docs/trace-format.md',
  ),
  made(
    'iommu_lab:access: nic0 op=read iova=0x10 size=8 ps=0',
    [{ kind: 'access', ...who, device: 'nic0', iova: '0x10', lengthBytes: 8, write: 0 }],
    'docs/trace-format.md',
  ),
  made(
    'iommu_lab:invalidate: scope=range domain=3 iova=0x1000 size=8192 ps=1',
    [{ kind: 'invalidate', ...who, domain: 3, iova: '0x1000', lengthBytes: 8192, detail: 3, timePs: 1 }],
    'docs/trace-format.md',
  ),
  made(
    'iommu_lab:invalidate: scope=domain domain=3 ps=999',
    [{ kind: 'invalidate', ...who, domain: 3, detail: 2, timePs: 999 }],
    'docs/trace-format.md',
  ),
  made('iommu_lab:invalidate: scope=global ps=0', [{ kind: 'invalidate', ...who, detail: 1 }], 'docs/trace-format.md'),
  made(
    'iommu_lab:buffer: buffer=7 owner=1 paddr=0x10ec80000 size=524288 ps=2',
    [{ kind: 'buffer', ...who, domain: 1, physical: '0x10ec80000', lengthBytes: 524_288, detail: 7, timePs: 2 }],
    'docs/trace-format.md',
  ),
  made('iommu_lab:free: buffer=7 ps=2', [{ kind: 'bufferFree', ...who, detail: 7, timePs: 2 }], 'docs/trace-format.md'),
  made(
    'iommu_lab:call: nic0 op=map-sg ps=2',
    [{ kind: 'call', ...who, device: 'nic0', detail: 2, timePs: 2 }],
    'docs/trace-format.md',
  ),
  made('iommu_lab:call: op=iommu-map ps=0', [{ kind: 'call', ...who, detail: 5 }], 'docs/trace-format.md'),

  // What must not be read.
  made(
    'iommu_lab:access: nic0 op=write iova=0xfffff000 size=1500 ps=1000',
    'iommu_lab:access: picoseconds that are not below 1000',
    'docs/trace-format.md',
  ),
  made('iommu_lab:free: buffer=7 ps=2 colour=red', 'iommu_lab:free: a key that is not defined', 'docs/trace-format.md'),
  made('free: buffer=7 ps=2', 'the event free is not understood', 'docs/trace-format.md'),
  made('xen:map: IOMMU: iova=0x1000 paddr=0x2000 size=4096', 'the event xen:map is not understood'),
  made('map: IOMMU: iova=0x1000 - 0x4000 paddr=0x200000 size=8192', 'map: the end of the range is not iova + size'),
  made('map: IOMMU: iova=0x1000 - 0x3000 size=8192', 'map: no iova, paddr or size'),
  made('map: IOMMU: iova=0x1000 paddr=0x200000 size=99999999999999999999', 'map: a size that is no number below 2^53'),
  made('map: IOMMU: iova=0x10000000000000000 paddr=0x200000 size=4096', 'map: an address that is no number'),
  made('map: iova=0x1000 paddr=0x200000 size=4096', 'map: no IOMMU: before the fields'),
  made('unmap: IOMMU: iova=0x1000 - 0x3000 size=8192', 'unmap: no iova, size or unmapped_size'),
  made('io_page_fault: IOMMU:drv 0000:c2:00.0 flags=0x0000', 'io_page_fault: no device, iova or flags'),
  made('dma_free: 0000:c2:00.0 dma_addr=zz size=4096 attrs=', 'dma_free: an address that is no number'),
  made(
    'dma_map_phys: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 phys_addr=2000',
    'dma_map_phys: no dir, dma_addr, size, phys_addr or attrs',
  ),
  made(
    'dma_map_phys: 0000:c2:00.0 dir=UPWARDS dma_addr=1000 size=4096 phys_addr=2000 attrs=',
    'dma_map_phys: a direction that there is not',
  ),
  made(
    'dma_map_phys: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 phys_addr=2000 attrs= fio-1 [001] ..... 1.0: x',
    'dma_map_phys: a word that is not understood',
  ),
  made(
    'dma_map_phys: 0000:c2:00.0 dir=TO_DEVICE dma_addr=1000 size=4096 phys_addr=2000 attrs= dir=NONE',
    'dma_map_phys: a key that comes twice',
  ),
  made('dma_map_phys: 0000:c2:00.0 dir=TO_DE', 'dma_map_phys: a direction that there is not'),
  made(
    'dma_map_sg: 0000:c2:00.0 dir=TO_DEVICE dma_addrs={0x1000,0x3000} sizes={0x1000',
    'dma_map_sg: a list that is cut or no list',
  ),
  made(
    'dma_map_sg: 0000:c2:00.0 dir=TO_DEVICE dma_addrs={0x1000,0x3000} sizes={0x1000} phys_addrs={0x0} attrs=',
    'dma_map_sg: not as many sizes as dma_addrs',
  ),
  made(
    'qi_submit: iotlb_inv dmar1: 0x100e3 0x0 0x0 0x0',
    'qi_submit: the word of the type and the descriptor disagree',
  ),
  made('qi_submit: iotlb_inv dmar1: 0x100c2 0x0 0x0 0x0', 'qi_submit: a descriptor that there is not'),
  made('qi_submit: iotlb_inv dmar1: 0x100e2 0x0 0x0', 'qi_submit: not four words of 64 bits'),
];
