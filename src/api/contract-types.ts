/**
 * Types of the contract's schemas. Generated from openapi.yaml by `node tools/contract.ts`; do not edit.
 */

/**
 * A bus or physical address - hex with `0x`, or a whole number up to 2^53-1. Decimal strings are refused.
 */
export type Address = string | number;
/**
 * An address in a reply - lower-case hex, no padding.
 */
export type HexAddress = string;
/**
 * Chosen by the client, unique among its siblings, usable wherever the id is. Never of the form of an id.
 */
export type Name = string;
/**
 * Free text.
 */
export type Title = string;
/**
 * Opaque, given by the server.
 */
export type Id = string;
/**
 * An id or a name.
 */
export type Reference = string;
/**
 * Names this result for later lines of the same request, which use it as `$a`, `$a.iova`, `$a.segments[1].iova`, `$a.iova+4096`.
 */
export type Label = string;
/**
 * How many.
 */
export type Count = number;
/**
 * Of an IOVA space, which has 57 bits at most; whole pages, so that a double holds each exactly.
 */
export type SpaceBytes = number;
/**
 * A measure, in the unit of its name.
 */
export type Quantity = number;
/**
 * A number of either sign.
 */
export type Signed = number;
/**
 * Simulated time in whole nanoseconds, rounded down.
 */
export type TimeNs = number;
/**
 * Which simulated CPU makes the call; below `machine.cpus`.
 */
export type CpuIndex = number;
/**
 * At most 2^20 pages of 4 KiB.
 */
export type TouchedBytes = number;
/**
 * Length of one device access, at most 16 MiB.
 */
export type AccessBytes = number;
/**
 * From the start of the buffer or mapping.
 */
export type Offset = number;
/**
 * Which way the data goes, as in the DMA API.
 */
export type Direction = 'to-device' | 'from-device' | 'bidirectional';
/**
 * Which call of the DMA API - `dma_map_single`, `dma_map_page`, `dma_map_sg`, or `dma_alloc_coherent`, which allocates its own pages.
 */
export type MapKind = 'single' | 'page' | 'sg' | 'coherent';
/**
 * What the device does to memory.
 */
export type Access = 'read' | 'write';
/**
 * What the oracle says of an access, from harmless to worst.
 */
export type Verdict =
  'ok' | 'fault' | 'subpage' | 'unprotected' | 'stale' | 'stale-reused' | 'misdirected' | 'stale-cross-tenant';
/**
 * How an access got through that should not have.
 */
export type Cause = 'iotlb' | 'walk-cache' | 'device-tlb' | 'pte' | 'freed-while-mapped' | 'no-protection';
/**
 * Levels of the page table - 39, 48 or 57 bits of IOVA.
 */
export type Levels = 3 | 4 | 5;
export type PageSize = '4KiB' | '2MiB' | '1GiB';
export type TenantKind = 'host' | 'vm' | 'process';
/**
 * `custom` is driven by operations only.
 */
export type DeviceKind = 'nic' | 'block' | 'hostile' | 'replay' | 'custom';
export type SessionState = 'idle' | 'running' | 'recovering' | 'hibernated' | 'failed';
/**
 * Most memory the tenant may hold; without a limit of its own when absent.
 */
export type Quota = number;
/**
 * Requester id as `bus:device.function`, with or without the PCI segment.
 */
export type Bdf = string;
/**
 * How many address bits the device drives.
 */
export type DmaMaskBits = number;
/**
 * Longest segment that the device takes; `map_sg` merges up to it.
 */
export type MaxSegmentBytes = number;
/**
 * A segment does not cross a multiple of this, a power of two.
 */
export type SegmentBoundaryBytes = number;
/**
 * `bitmap`: how much IOVA space the bitmap covers.
 */
export type ApertureBytes = number;
/**
 * Pages that a platform's bitmap covers, from IOVA 0; the device's mask and the domain's width cap it.
 */
export type BitmapEntries = number;
/**
 * `gart`: under `wrap`, flush at every allocation and not only after a wrap.
 */
export type FullFlush = boolean;
/**
 * `sparc-pools`: small pools; the hash of the CPU picks one.
 */
export type Pools = 1 | 2 | 4 | 8 | 16;
/**
 * `sparc-pools`: the top quarter is for requests of more than 15 pages.
 */
export type LargePool = boolean;
/**
 * `sparc-pools`: under `wrap`, flush when a pool starts anew (sun4u); without it never (sun4v).
 */
export type LazyFlush = boolean;
/**
 * `powerpc-pools`: entries in a cache line of the table; hints move on by whole ones.
 */
export type BlockEntries = 1 | 2 | 4 | 8 | 16 | 32 | 64;
/**
 * `contiguous`: where chunks of 64 pages come from; `rcache` then has a class of that size.
 */
export type Beneath = 'rbtree' | 'maple' | 'rcache';
/**
 * `persistent`: mappings that a domain keeps after their unmap.
 */
export type KeptMappings = number;
/**
 * `persistent`: how long one is kept at most; 0 is without limit.
 */
export type KeptTimeoutMs = number;
/**
 * `rcache`: what is behind the magazines.
 */
export type TreeBehind = 'rbtree' | 'maple';
/**
 * `rcache`: size classes that are cached, of 1, 2, 4 ... 2^(maxOrder - 1) pages; longer requests go past the cache.
 */
export type MaxOrder = number;
/**
 * `rcache`: ranges in a magazine; Linux had 128 until 2022.
 */
export type MagazineEntries = number;
/**
 * `rcache`: `trimmed` (since 2023): any number of full magazines, more than there are CPUs are given back one in 100 ms; `fixed` (2016): up to `depotMax`, what is more goes to the tree.
 */
export type Depot = 'trimmed' | 'fixed';
/**
 * `rcache`: magazines of each size class in a `fixed` depot.
 */
export type DepotMax = number;
/**
 * `deferred-2008`: so many pending unmaps force a flush.
 */
export type HighWater = number;
/**
 * `deferred-2008`: from the first pending unmap to the flush.
 */
export type TimeoutMs = number;
/**
 * `delayed`: `parisc` posts the purge at unmap and waits at the end of the batch; `ia64` leaves even the PTE until then.
 */
export type DelayedForm = 'parisc' | 'ia64';
/**
 * `delayed`: size of the batch; 16 in the form `parisc`, 64 in the form `ia64`.
 */
export type DelayedEntries = number;
/**
 * `flush-queue`: one ring of 32,768 for all CPUs and one second, as for guests whose every flush is an exit.
 */
export type SingleQueue = boolean;
/**
 * `strict`, `batched`: an unmap that frees no table page keeps the walk caches; `false`: each drops those of its range.
 */
export type KeepsWalkCaches = boolean;
/**
 * Keeps the invalidation policy that is asked for where a real system would put another in its place: in caching mode, without `iommu.deferredFlush`, for untrusted devices.
 */
export type Force = boolean;
/**
 * Addresses below 4 GiB are not tried first, as with `iommu.forcedac=1`.
 */
export type Forcedac = boolean;
/**
 * As a boot loader passes it, `iommu.strict=0 intel_iommu=on,sp_off` for instance. It sets the members that the spec leaves open; a member of the spec wins over it. Understood are `iommu=`, `iommu.strict=`, `iommu.passthrough=`, `iommu.forcedac=`, `intel_iommu=`, `amd_iommu=`, `swiotlb=`; the session's `policy.warnings` name what does not exist, is deprecated, or changes nothing; what has nothing to do with an IOMMU is passed over.
 */
export type KernelCommandLine = string;
/**
 * A spec to start from; the members beside it override it.
 */
export type Preset = 'thread-2008' | 'rcache-today' | 'rcache-2016';
/**
 * The instant at which the session is deleted by itself, streams and all, as by DELETE; null for never. It has to lie in the future. No part of the simulation.
 */
export type ExpiresAt = string | null;
/**
 * Of every random stream of the session.
 */
export type Seed = number;
/**
 * A device on an external port, which the kernel trusts with nothing beyond the bytes that it is given.
 */
export type Untrusted = boolean;
export type WorkloadInput =
  | NicRxWorkload
  | NicTxWorkload
  | BlockWorkload
  | DmaWindowWorkload
  | MapBenchmarkWorkload
  | HostileWorkload
  | ReplayWorkload;
/**
 * Simulated CPUs that serve the device; all of them when absent.
 */
export type Cpus = number[];
/**
 * Offered load; `line-rate` is the cost profile's own.
 */
export type Gbps = number | 'line-rate';
/**
 * Bytes of a frame; 38 more pass on the wire.
 */
export type FrameBytes = number;
/**
 * Descriptors of a queue. All queues together, with all their pages, have 1,048,576 at most.
 */
export type RingSize = number;
export type NicQueues = number;
/**
 * The cost profile's own when absent.
 */
export type MappingsPerPacket = number;
export type NapiBudget = number;
/**
 * Simulated CPUs that complete - poll, unmap, free - what `cpus` have allocated and mapped; `cpus` when absent.
 */
export type CompletionCpus = number[];
/**
 * Accesses that the device has on their way at a time; more wait. This member and those after it (`parallelWalks` to `busOverheadBytes`) describe how a device reaches memory; a NIC or a disk that names none of them reaches it at any rate, and its walks overlap.
 */
export type Outstanding = number;
/**
 * Page walks at a time; any number when absent.
 */
export type ParallelWalks = number;
/**
 * Of one table read of a walk; the cost profile's `tableRead` when absent.
 */
export type WalkReferenceNs = number;
/**
 * Of a walk, however many tables it reads, instead of `walkReferenceNs`.
 */
export type MissNs = number;
/**
 * For which a page holds a walker whether it hits or misses.
 */
export type PageBaseNs = number;
/**
 * Of a read that hits and waits for nothing, without its time on the bus. 603 is a 64-byte read from memory.
 */
export type ReadLatencyNs = number;
/**
 * Of a write that hits and waits for nothing, without its time on the bus.
 */
export type WriteLatencyNs = number;
/**
 * Rate of the bus between device and memory; no limit when absent.
 */
export type BusGbps = number;
/**
 * Bytes that pass the bus beside the data of each access.
 */
export type BusOverheadBytes = number;
/**
 * Id of a snapshot, or a document that was downloaded. Beside it only `name` and `title` may stand.
 */
export type FromSnapshot = string | SnapshotFile;
/**
 * What `/sys/kernel/iommu_groups/N/type` would say.
 */
export type DomainType = 'DMA' | 'DMA-FQ' | 'identity';
/**
 * Whom tokens act for, and whom sessions belong to. `local` on a server without tokens.
 */
export type Principal = string;
/**
 * Absent on the last page.
 */
export type NextCursor = string;
/**
 * Which check of the kernel's DMA debugging would have complained.
 */
export type MisuseCheck =
  | 'not-mapped'
  | 'size'
  | 'function'
  | 'direction'
  | 'sg-entries'
  | 'segment-length'
  | 'segment-boundary'
  | 'overlap'
  | 'sync-unmapped'
  | 'sync-range'
  | 'sync-direction'
  | 'leak-at-detach'
  | 'freed-while-mapped'
  | 'error-unchecked';
/**
 * What the caller did wrong; the operation was carried out as the kernel would.
 */
export type Misuse = {
  check: MisuseCheck;
  detail: string;
  [k: string]: unknown;
}[];
/**
 * Steps of the cost profile without a published source that this cost may contain; the catalogue has their ranges.
 */
export type Assumptions = string[];
export type MapAccess = 'r' | 'w' | 'rw';
export type InvalidateScope = 'global' | 'domain' | 'range';
/**
 * `failed`: every job of it did.
 */
export type ExperimentState = 'queued' | 'running' | 'finished' | 'cancelled' | 'failed';
export type Experiment = ExperimentSummary & {
  request: ExperimentRequest;
  arms: ExperimentArm[];
  [k: string]: unknown;
};
/**
 * Over the seeds; null where there is none.
 */
export type Figure = {
  median: number;
  low: number;
  high: number;
} | null;
export type RunState = 'queued' | 'running' | 'finished' | 'cancelled' | 'failed';
/**
 * Busy share of each simulated CPU.
 */
export type CpuUtilisation = number[];
/**
 * What an IOVA page is; the first that fits. `remapped`: mapped, while an older translation of it is still cached; `live`: mapped; `stale`: unmapped, and something still translates it, a cached entry or the page-table entry itself (the `actual` exposure); `dangling`: its buffer was freed under the mapping; `queued`: unmapped and held back by the policy, so that its address cannot be handed out; `unflushed`: unmapped since the last flush that covers it, nothing cached, and its address is free to be handed out; `allocated`: handed out with nothing of a driver mapped, as the rest of a rounded size or a pool; `kept`: in a cache of the allocator; `reserved`; `free`.
 */
export type SpaceState =
  'free' | 'reserved' | 'kept' | 'allocated' | 'live' | 'queued' | 'unflushed' | 'dangling' | 'stale' | 'remapped';
export type RunLengths = Count[];
/**
 * One line of `ops`, as it stands after its labels were replaced.
 */
export type OperationLine =
  | TenantLine
  | DomainLine
  | DeviceLine
  | AttachLine
  | DetachLine
  | BufferLine
  | FreeLine
  | MapLine
  | UnmapLine
  | DmaLine
  | IommuMapLine
  | IommuUnmapLine
  | SyncLine
  | InvalidateLine
  | AdvanceLine;
/**
 * `uploading`: bytes are still to come, and are read as they do. `reading`: all are there, and not all of them are read. `ready`: its events can be replayed. `failed`: it could not be read; `problem` says why. `cancelled`: it was deleted before it had ended.
 */
export type TraceState = 'uploading' | 'reading' | 'ready' | 'failed' | 'cancelled';
/**
 * Wall clock; null for never, or not yet.
 */
export type Instant = string | null;
export type Trace = TraceSummary & {
  /**
   * Of the format, as they were given.
   */
  options: {
    [k: string]: unknown;
  };
  /**
   * Why it was taken for this format; null when the format was named.
   */
  recognisedBy: string | null;
  unpackedBytes: Count;
  /**
   * `total` is the sum of the others.
   */
  lines: {
    total: Count;
    understood: Count;
    comments: Count;
    blank: Count;
    skipped: {
      reason: string;
      count: Count;
      firstLine: Count;
    }[];
  };
  /**
   * How many of each kind.
   */
  events: {
    [k: string]: Count;
  };
  /**
   * As recorded, in the order in which they are first named.
   */
  devices: string[];
  /**
   * Mappings that nothing in the recording ends.
   */
  openMaps: Count;
  /**
   * Unmaps whose map is not in the recording.
   */
  unmatchedUnmaps: Count;
  /**
   * That the kernel says it dropped; what follows may be unmatched for want of them.
   */
  lostEvents: Count;
  /**
   * Events whose time is before that of the event above.
   */
  clockSteps: Count;
  /**
   * Before that of the event above on the same CPU.
   */
  clockStepsOnCpu: Count;
  /**
   * What times count from, as the recording prints it.
   */
  origin: {
    seconds: Count;
    nanoseconds: number;
  } | null;
  warnings: string[];
  [k: string]: unknown;
};
/**
 * What people call it.
 */
export type TokenName = string;
/**
 * Each includes the one before.
 */
export type Scope = 'read' | 'write' | 'admin';
export type ShareScope = 'read' | 'write';
/**
 * From now; at most 100 years.
 */
export type Seconds = number;
/**
 * 0 is no limit.
 */
export type AccessLimit = number;

export interface Machine {
  cpus?: number;
  /**
   * Clock of the simulated CPUs, in steps of 0.001; the cost profile's clock when absent.
   */
  cpuGhz?: number;
  memoryBytes?: number;
  /**
   * Which freed frame is handed out next.
   */
  frameReuse?: 'lifo' | 'fifo' | 'random';
}
/**
 * Never handed out. `end` is inclusive, as in `/sys/kernel/iommu_groups/N/reserved_regions`.
 */
export interface ReservedRegion {
  start: Address;
  end: Address;
  type: 'msi' | 'direct' | 'direct-relaxable' | 'reserved';
}
export interface Iommu {
  levels?: Levels;
  superpages?: ('2MiB' | '1GiB')[];
  /**
   * Whether the IOMMU snoops the CPU caches; if not, each table write is followed by a cache-line flush.
   */
  coherent?: boolean;
  faultLogEntries?: number;
  reservedRegions?: ReservedRegion[];
  iotlb?: {
    entries?: number;
    /**
     * 0 is fully associative.
     */
    ways?: number;
    replacement?: 'lru' | 'plru' | 'fifo' | 'random';
  };
  /**
   * A lock of the domain for each PTE that a map writes, as in Linux of 2008; without it the tables are lock-free, as since 2009.
   */
  pageTableLock?: boolean;
  walkCache?: {
    /**
     * Root first, `levels` - 1 numbers; 0 switches a level off.
     */
    entriesPerLevel?: number[];
  };
  invalidation?: {
    /**
     * `queued`, one ring of 256 descriptors and a lock for all CPUs; `per-cpu`, a ring for each CPU (Arm's ECMDQ); `register`, the register pair before there were queues.
     */
    interface?: 'queued' | 'register' | 'per-cpu';
    /**
     * Descriptors before one wait descriptor, at most - 1 as in Linux up to 6.11, 16 since.
     */
    batchDescriptors?: number;
    pageSelective?: boolean;
    /**
     * A range of up to 2^this pages in one descriptor; wider falls back to the domain.
     */
    maxAddressMask?: number;
    /**
     * Not-present entries may be cached too, so a new mapping needs an invalidation (as hypervisors ask for).
     */
    cachingMode?: boolean;
  };
  /**
   * Whether its driver can put flushes off (`IOMMU_CAP_DEFERRED_FLUSH`); without it `flush-queue` becomes `strict`.
   */
  deferredFlush?: boolean;
}
/**
 * `rbtree-2008` (top-down tree with one cached node), `rbtree` (today's tree), `maple` (the gap tree proposed in 2026), `rcache` (today's per-CPU magazines over one of those two), `eiovar` (free lists over `rbtree-2008`), `bitmap` (next-fit over one bitmap, the proposal of the 2008 thread); the bitmaps of platforms, with what each does about a slot freed ahead of the cursor: `gart` (x86), `amd-2008`, `alpha`, `sparc-pools` and `powerpc-pools` (a pool for some CPUs each), `sba-parisc` and `sba-ia64`; `identity` (an address is its frame, in a window of the CPU); `persistent` (an unmap keeps the mapping for the next map of the same memory); `contiguous` (256 KiB of addresses for the pages of a descriptor). Without `kind`, members are merged into the allocator that is there.
 */
export interface AllocatorInput {
  kind?:
    | 'rbtree-2008'
    | 'rbtree'
    | 'maple'
    | 'rcache'
    | 'bitmap'
    | 'gart'
    | 'amd-2008'
    | 'alpha'
    | 'sparc-pools'
    | 'powerpc-pools'
    | 'sba-parisc'
    | 'sba-ia64'
    | 'eiovar'
    | 'identity'
    | 'persistent'
    | 'contiguous';
  apertureBytes?: ApertureBytes;
  entries?: BitmapEntries;
  fullFlush?: FullFlush;
  pools?: Pools;
  largePool?: LargePool;
  lazyFlush?: LazyFlush;
  blockEntries?: BlockEntries;
  over?: Beneath;
  keptMappings?: KeptMappings;
  keptTimeoutMs?: KeptTimeoutMs;
  tree?: TreeBehind;
  maxOrder?: MaxOrder;
  magazineEntries?: MagazineEntries;
  depot?: Depot;
  depotMax?: DepotMax;
}
/**
 * When cached translations are dropped. `strict`: before unmap returns. `deferred-2008`: after 250 unmaps or 10 ms. `flush-queue`: when a CPU's ring of 256 is full, or after 10 ms. `wrap`: when the allocator's cursor wraps (bitmaps only). `never`: a control that shows what goes wrong. `delayed`: a small batch held back, then flushed. `batched`: as strict, with one invalidation for what is given back together. The words of `/sys/kernel/iommu_groups/N/type` are taken as well, and resolved: `DMA` is `strict`, `DMA-FQ` is `flush-queue`, `identity` is the mode `passthrough`, `auto` what the kernel would choose: what `kernelCommandLine` says, else `flush-queue`.
 */
export interface InvalidationInput {
  kind?:
    | 'strict'
    | 'deferred-2008'
    | 'flush-queue'
    | 'wrap'
    | 'never'
    | 'delayed'
    | 'batched'
    | 'DMA'
    | 'DMA-FQ'
    | 'identity'
    | 'auto';
  highWater?: HighWater;
  timeoutMs?: TimeoutMs;
  form?: DelayedForm;
  entries?: DelayedEntries;
  single?: SingleQueue;
  leafOnly?: KeepsWalkCaches;
}
/**
 * The bounce pool, of the mode `bounce` and of untrusted devices where each mapping is translated.
 */
export interface BounceInput {
  /**
   * Size of the pool, in whole segments of 128 slots of 2 KiB; Linux reserves 64 MiB.
   */
  poolBytes?: number;
  /**
   * Parts of the pool with a lock each - one, as up to Linux 5.19, or one a CPU, as since 6.0.
   */
  areas?: 'one' | 'per-cpu';
}
/**
 * The buffers of the mode `shadow`.
 */
export interface ShadowInput {
  /**
   * Size classes, rising.
   */
  classBytes?: number[];
  /**
   * The most that the buffers of one device may take.
   */
  poolBytes?: number;
}
/**
 * How the hypervisor of the mode `emulated` hears of a submission.
 */
export interface EmulatedInput {
  /**
   * By an exit, or by a core of its own that polls.
   */
  handling?: 'exit' | 'sidecore';
}
/**
 * What the host of the mode `nested` does for its guests.
 */
export interface NestedInput {
  /**
   * Whether it carries a guest's invalidations out; without, it drops them, and the guest does not know.
   */
  propagate?: boolean;
}
export interface PolicyInput {
  /**
   * What stands between a device and memory. direct, emulated, paravirtual and nested are of guests; domains are a VM's then.
   */
  mode?: 'translate' | 'passthrough' | 'bounce' | 'shadow' | 'direct' | 'emulated' | 'paravirtual' | 'nested';
  bounce?: BounceInput;
  shadow?: ShadowInput;
  emulated?: EmulatedInput;
  nested?: NestedInput;
  allocator?: AllocatorInput;
  invalidation?: InvalidationInput;
  force?: Force;
  forcedac?: Forcedac;
}
export interface Costs {
  /**
   * What each step costs. Profiles are data, named after their source; the catalog has every number with its citation, and what each was not measured for.
   */
  profile?:
    | 'riommu15-mlx'
    | 'riommu15-brcm'
    | 'viommu11-x5570'
    | 'wiosca10-ioat'
    | 'pciebench18-hsw'
    | 'pciebench18-hsw2637'
    | 'pciebench18-snb'
    | 'fands24-clx'
    | 'farshin23-icx'
    | 'uiuc25-nested'
    | 'npf17-connectib'
    | 'hypertrio20-sim'
    | 'skl26-nvme';
  /**
   * Step name to cycles, instead of the profile's number.
   */
  overrides?: {
    [k: string]: number;
  };
}
/**
 * All of it is optional. Objects merge into the defaults or the preset, arrays replace (`[]` clears); an object that names another `kind` than the one it overrides starts from that kind's own defaults.
 */
export interface SessionInput {
  preset?: Preset;
  name?: Name;
  title?: Title;
  expiresAt?: ExpiresAt;
  seed?: Seed;
  machine?: Machine;
  iommu?: Iommu;
  policy?: PolicyInput;
  tenants?: TenantInput[];
  domains?: DomainInput[];
  devices?: DeviceInput[];
  workloads?: WorkloadInput[];
  kernelCommandLine?: KernelCommandLine;
  costs?: Costs;
  fromSnapshot?: FromSnapshot;
}
export interface TenantInput {
  name?: Name;
  kind: TenantKind;
  memoryBytes?: Quota;
}
export interface DomainInput {
  name?: Name;
  tenant?: Reference;
  levels?: Levels;
}
export interface DeviceInput {
  name?: Name;
  kind: DeviceKind;
  bdf?: Bdf;
  /**
   * Id or name of the domain to attach to; a domain of its own when absent.
   */
  domain?: string;
  dmaMaskBits?: DmaMaskBits;
  maxSegmentBytes?: MaxSegmentBytes;
  segmentBoundaryBytes?: SegmentBoundaryBytes;
  untrusted?: Untrusted;
  deviceTlb?: DeviceTlb;
}
/**
 * The device caches translations itself (ATS).
 */
export interface DeviceTlb {
  entries?: number;
  /**
   * 0 is fully associative.
   */
  ways?: number;
  replacement?: 'lru' | 'plru' | 'fifo' | 'random';
}
/**
 * Receive. The ring is mapped in advance; the poll unmaps, frees the buffer, allocates, maps; an empty ring drops.
 */
export interface NicRxWorkload {
  name?: Name;
  kind: 'nic-rx';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  gbps?: Gbps;
  frameBytes?: FrameBytes;
  ringSize?: RingSize;
  queues?: NicQueues;
  mappingsPerPacket?: MappingsPerPacket;
  napiBudget?: NapiBudget;
  /**
   * Of a receive buffer; a packet takes as many as it needs. Up to 2,048 a page is cut into several. When absent a packet has a buffer of its size, or, with `recycle: page-pool` or `pagesPerDescriptor`, 4,096.
   */
  bufferBytes?: number;
  /**
   * With `page-pool` pages are mapped once and stay mapped while their buffers are used again.
   */
  recycle?: 'none' | 'page-pool';
  /**
   * Pages of a queue's pool beside those in its ring. 128 with a pool.
   */
  poolPages?: number;
  /**
   * Share of the buffers that come from a random place in the pool's free list, not from its head. 0 with a pool.
   */
  shuffle?: number;
  /**
   * Pages of a descriptor, mapped page by page and given back together once packets have used them all.
   */
  pagesPerDescriptor?: number;
  /**
   * Acknowledgements of 66 bytes for each 4 KiB received, mapped, read by the device and unmapped.
   */
  acksPerPage?: number;
  /**
   * Where frames of a device with limits wait; what does not fit is dropped. 1 MiB with limits.
   */
  nicBufferBytes?: number;
  completionCpus?: CompletionCpus;
  outstanding?: Outstanding;
  parallelWalks?: ParallelWalks;
  walkReferenceNs?: WalkReferenceNs;
  missNs?: MissNs;
  pageBaseNs?: PageBaseNs;
  readLatencyNs?: ReadLatencyNs;
  writeLatencyNs?: WriteLatencyNs;
  busGbps?: BusGbps;
  busOverheadBytes?: BusOverheadBytes;
}
/**
 * Transmit. Allocate, map, device read; unmap and free at completion.
 */
export interface NicTxWorkload {
  name?: Name;
  kind: 'nic-tx';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  gbps?: Gbps;
  frameBytes?: FrameBytes;
  ringSize?: RingSize;
  queues?: NicQueues;
  mappingsPerPacket?: MappingsPerPacket;
  napiBudget?: NapiBudget;
  completionCpus?: CompletionCpus;
  outstanding?: Outstanding;
  parallelWalks?: ParallelWalks;
  walkReferenceNs?: WalkReferenceNs;
  missNs?: MissNs;
  pageBaseNs?: PageBaseNs;
  readLatencyNs?: ReadLatencyNs;
  writeLatencyNs?: WriteLatencyNs;
  busGbps?: BusGbps;
  busOverheadBytes?: BusOverheadBytes;
}
/**
 * Block I/O. The SATA disk has read-ahead, which makes sequential 4 KiB reads fast.
 */
export interface BlockWorkload {
  name?: Name;
  kind: 'block';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  /**
   * `nvme`: 822,000 commands and 3.4 GB a second at most, 80 us for a read and 20 us for a write, any number at once. `custom`: 100 us, any number at once.
   */
  disk?: 'sata' | 'sas' | 'fc' | 'nvme' | 'custom';
  lengthBytes?: number;
  pattern?: 'sequential' | 'random';
  access?: Access;
  /**
   * Of each job. All of them together have 1,048,576 pages under way at most.
   */
  depth?: number;
  jobs?: number;
  /**
   * Ceiling.
   */
  iops?: number;
  /**
   * Ceiling.
   */
  bytesPerSecond?: number;
  /**
   * Of a command, instead of the disk's own; commands overlap. The ceilings of `nvme` stay.
   */
  latencyNs?: number;
  /**
   * One `map_sg` per I/O, or one `map_page` per page.
   */
  mapping?: 'sg' | 'page';
  completionCpus?: CompletionCpus;
  outstanding?: Outstanding;
  parallelWalks?: ParallelWalks;
  walkReferenceNs?: WalkReferenceNs;
  missNs?: MissNs;
  pageBaseNs?: PageBaseNs;
  readLatencyNs?: ReadLatencyNs;
  writeLatencyNs?: WriteLatencyNs;
  busGbps?: BusGbps;
  busOverheadBytes?: BusOverheadBytes;
}
/**
 * Accesses inside a window that was mapped in advance, `outstanding` (1) at a time; nothing is mapped or unmapped meanwhile.
 */
export interface DmaWindowWorkload {
  name?: Name;
  kind: 'dma-window';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  windowBytes?: number;
  /**
   * Of the leaves that map it.
   */
  pageSize?: '4KiB' | '2MiB';
  accessBytes?: number;
  /**
   * From one place of an access to the next; `accessBytes` when absent.
   */
  strideBytes?: number;
  /**
   * Places at random, or in turn.
   */
  pattern?: 'random' | 'sequential';
  /**
   * A copy reads at its place and writes to a page behind the window.
   */
  access?: 'read' | 'write' | 'copy';
  outstanding?: Outstanding;
  parallelWalks?: ParallelWalks;
  walkReferenceNs?: WalkReferenceNs;
  missNs?: MissNs;
  pageBaseNs?: PageBaseNs;
  readLatencyNs?: ReadLatencyNs;
  writeLatencyNs?: WriteLatencyNs;
  busGbps?: BusGbps;
  busOverheadBytes?: BusOverheadBytes;
}
/**
 * The kernel's `dma_map_benchmark`: threads that map and unmap their buffer over and over, timed in units of 100 ns. The result has the three `lines` that its tool prints.
 */
export interface MapBenchmarkWorkload {
  name?: Name;
  kind: 'map-benchmark';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  /**
   * One a CPU; those beyond take turns.
   */
  threads?: number;
  /**
   * Simulated time after which the threads stop, counted from the start of the run.
   */
  seconds?: number;
  direction?: 'to-device' | 'from-device' | 'bidirectional';
  /**
   * Busy wait between map and unmap.
   */
  transferNs?: number;
  granulePages?: number;
  /**
   * One `map_single` of the buffer, or a `map_sg` of its pages.
   */
  mapMode?: 'single' | 'sg';
  /**
   * For which a thread writes each page before the map, unless the device only writes.
   */
  dirtyNs?: number;
}
/**
 * A device that keeps using what it has seen, under the requester id of its target.
 */
export interface HostileWorkload {
  name?: Name;
  kind: 'hostile';
  device: Reference;
  tenant?: Reference;
  cpus?: Cpus;
  /**
   * Whose mappings it aims at; its own device when absent.
   */
  target?: string;
  select?: 'last-unmapped' | 'random-unmapped' | 'live';
  access?: Access;
  accessesPerUs?: number;
  delayAfterUnmapNs?: number;
}
/**
 * The calls of a recording, made again under the session's allocator and policy: the addresses are the session's. What a recording does not say, above all what devices access, is synthesised by the rules that are given here. Its results have a `replay`: how far it has come, how many maps and unmaps, accesses recorded and synthesised, and what was passed over and why.
 */
export interface ReplayWorkload {
  name?: Name;
  kind: 'replay';
  device: Reference;
  tenant?: Reference;
  /**
   * Recorded CPU n is the n-th of these, counted round; all of the machine's when absent.
   */
  cpus?: number[];
  /**
   * Id or name of the recording.
   */
  trace: Reference;
  /**
   * Digest of the recording's content, by which a session finds it again. It is filled in from `trace`; where it is given it wins.
   */
  recording?: string;
  /**
   * Name in the recording -> device of the session; all others are `device`.
   */
  devices?: {
    [k: string]: Reference;
  };
  /**
   * Each call at its recorded moment, or as soon as its CPU is free; in the recorded order both times.
   */
  pace?: 'recorded' | 'closed-loop';
  /**
   * Of the recorded clock.
   */
  speed?: number;
  /**
   * The part of the recording that is replayed, counted from its first event; `toNs` is exclusive.
   */
  window?: {
    fromNs?: number;
    toNs?: number;
  };
  /**
   * Those of the policy alone, or those of the recording at their times as well.
   */
  invalidations?: 'simulated' | 'recorded';
  /**
   * What devices do with what is mapped for them. None at all with an empty list.
   */
  accesses?: ReplayAccess[];
  /**
   * Of the scatter list that a block transfer becomes.
   */
  pagesPerEntry?: number;
  /**
   * Of a receive buffer, where the recording has packets.
   */
  bufferBytes?: number;
  /**
   * Receive buffers, where the recording has packets.
   */
  ringSize?: number;
  /**
   * From the map of a packet that is sent to its unmap.
   */
  transmitNs?: number;
}
/**
 * `none`: only what the recording has. `first-and-last`: these pages, halfway between map and unmap. `every-page`: each once, evenly between map and unmap. `last-page`: the last in `order`, `beforeUnmapNs` before the unmap. `late`: the first in `order`, `afterUnmapNs` after the unmap.
 */
export interface ReplayAccess {
  rule: 'none' | 'first-and-last' | 'every-page' | 'last-page' | 'late';
  order?: 'ascending' | 'descending';
  bytes?: number;
  beforeUnmapNs?: number;
  afterUnmapNs?: number;
}
/**
 * A snapshot to be kept elsewhere. What is not required is for people; it is not looked at again.
 */
export interface SnapshotFile {
  format: 'iommu-lab/snapshot';
  formatVersion: 1;
  id?: Id;
  session?: Id;
  title?: Title;
  createdAt?: string;
  timeNs?: TimeNs;
  timePs?: string;
  operations?: number;
  activeRun?: string | null;
  lengthBytes?: number;
  coreVersion: string;
  digest: string;
  spec: SessionSpec;
  /**
   * What was done since creation or the last reset, in order: operations as in `ops`; `run`, a run began; `mark`, it had handled so many events; `end`, how and after how many events it ended; `forget`, the record of a run was deleted.
   *
   * Items: Each is checked where it is done again.
   */
  records: {
    [k: string]: unknown;
  }[];
  state?: {
    /**
     * HMAC-SHA-256 of the state under the key of the server.
     */
    seal: string;
    /**
     * The state, gzip, in base 64.
     */
    data: string;
  };
}
/**
 * A resolved spec - every member is there.
 */
export interface SessionSpec {
  name?: Name;
  title?: Title;
  seed: Seed;
  machine: Machine;
  iommu: Iommu;
  policy: PolicyInput;
  tenants: TenantInput[];
  domains: DomainInput[];
  devices: DeviceInput[];
  workloads: WorkloadInput[];
  kernelCommandLine: KernelCommandLine;
  costs: Costs;
}
/**
 * A resolved spec; `policy` has the members of `SessionPolicy` beside its own.
 */
export interface CheckedSpec {
  policy: SessionPolicy;
  [k: string]: unknown;
}
/**
 * What was asked for, what is in force, and why they differ where they do. Real systems put another policy in the place of the one that was asked for without much ado; so does a session, but it says so.
 */
export interface SessionPolicy {
  requested: PolicyDocument;
  effective: PolicyDocument;
  why: PolicyReason[];
  /**
   * What there is to say about `kernelCommandLine`, the first 100 or so.
   */
  warnings: CommandLineWarning[];
  /**
   * Domains in which another policy is in force than in the others, the first 100.
   */
  domains: (DomainPolicy & {
    domain: Id;
    [k: string]: unknown;
  })[];
  [k: string]: unknown;
}
export interface PolicyDocument {
  mode: string;
  allocator: AllocatorInput;
  invalidation: InvalidationInput;
  force: Force;
  forcedac: Forcedac;
  domainType: DomainType;
  [k: string]: unknown;
}
export interface PolicyReason {
  /**
   * `command-line`: a member was set by an option. `caching-mode`, `no-deferred-flush`, `untrusted`: what a policy does under this circumstance, mostly to give way. `forced`: it would give way, but `force` keeps it. `single-queue`, `not-translated`: what that means.
   */
  code:
    'command-line' | 'caching-mode' | 'no-deferred-flush' | 'untrusted' | 'forced' | 'single-queue' | 'not-translated';
  /**
   * JSON Pointer of the spec's member that it explains.
   */
  member: string;
  detail: string;
}
export interface CommandLineWarning {
  /**
   * `unknown-option`, `unknown-value`, `no-value`: the kernel passes over it. `loose-match`: the kernel compares only the beginning. `deprecated`. `no-effect`: it exists, and changes nothing. `not-modelled`: it would matter, but not here. `differs`: taken otherwise than by the kernel. `overruled`: by another option of the line. `member-wins`: a member of the spec contradicts it.
   */
  code:
    | 'unknown-option'
    | 'unknown-value'
    | 'no-value'
    | 'loose-match'
    | 'deprecated'
    | 'no-effect'
    | 'not-modelled'
    | 'differs'
    | 'overruled'
    | 'member-wins';
  /**
   * Name and word, as `amd_iommu=pt`.
   */
  option: string;
  detail: string;
  /**
   * JSON Pointer of the spec's member that it is about.
   */
  member?: string;
}
/**
 * The policy in force in a domain.
 */
export interface DomainPolicy {
  domainType: DomainType;
  mode: string;
  invalidation: InvalidationInput;
  why: PolicyReason[];
  [k: string]: unknown;
}
export interface Session {
  id: Id;
  name?: Name;
  title?: Title;
  owner?: Principal;
  state: SessionState;
  /**
   * Wall clock.
   */
  createdAt: string;
  /**
   * Wall clock; absent when it is kept until it is deleted.
   */
  expiresAt?: string;
  timeNs: TimeNs;
  /**
   * Simulated time, exact, in picoseconds.
   */
  timePs: string;
  /**
   * Hash over all simulated state; null while a run is active, and in a list while the session is on its way into its journal or its worker does not answer.
   */
  digest: string | null;
  /**
   * Operations applied since creation or the last reset.
   */
  operations: number;
  spec: SessionSpec;
  policy: SessionPolicy;
  /**
   * Id of the active run.
   */
  activeRun: string | null;
  paused?: SessionPause;
  /**
   * What the server's disk keeps of it - spec, operations, images. It counts for the owner's `storedBytes`.
   */
  storedBytes?: number;
  [k: string]: unknown;
}
/**
 * The session has used up a quota and does not go on: its run stands still, and changes are refused as `session-paused`. Reads, the stream, cancelling the run and deleting the session go on. Absent when it is not paused.
 */
export interface SessionPause {
  /**
   * Which one. `session-compute-seconds`, `compute-seconds`: computing time an hour, of the session, of all of its owner's. `frames`, `mappings`, `session-memory-bytes`, `run-events`: what its run has come to.
   */
  quota: {
    name: 'session-compute-seconds' | 'compute-seconds' | 'frames' | 'mappings' | 'session-memory-bytes' | 'run-events';
    limit: Quantity;
    used: Quantity;
  };
  /**
   * Wall clock, when it goes on by itself; null - the run has to be cancelled, or the session deleted.
   */
  resumesAt: string | null;
}
export interface SnapshotInput {
  title?: Title;
}
export interface Snapshot {
  id: Id;
  session: Id;
  title?: Title;
  /**
   * Wall clock.
   */
  createdAt: string;
  timeNs: TimeNs;
  /**
   * Simulated time, exact, in picoseconds.
   */
  timePs: string;
  /**
   * Hash over all simulated state.
   */
  digest: string;
  /**
   * Operations applied since creation or the last reset.
   */
  operations: number;
  /**
   * Of the core that simulated; another one may come to another digest, and refuses it.
   */
  coreVersion: string;
  /**
   * Id of the run that was active, or null.
   */
  activeRun: string | null;
  /**
   * Of its state.
   */
  lengthBytes: number;
  [k: string]: unknown;
}
export interface SnapshotPage {
  items: Snapshot[];
  nextCursor?: NextCursor;
}
export interface SessionPage {
  items: Session[];
  nextCursor?: NextCursor;
}
export interface SessionChange {
  name?: Name;
  title?: Title;
  expiresAt?: ExpiresAt;
}
export interface Tenant {
  id: Id;
  name?: Name;
  kind: TenantKind;
  /**
   * The quota; null or absent when there is none.
   */
  memoryBytes?: number | null;
  usedBytes?: Count;
  [k: string]: unknown;
}
export interface TenantPage {
  items: Tenant[];
  nextCursor?: NextCursor;
}
export interface Domain {
  id: Id;
  name?: Name;
  tenant?: string | null;
  levels?: Levels;
  /**
   * Ids of the devices attached to it.
   */
  devices?: Id[];
  policy?: DomainPolicy;
  [k: string]: unknown;
}
export interface DomainPage {
  items: Domain[];
  nextCursor?: NextCursor;
}
/**
 * The device TLB, and whether the kernel turned it on; it does not in passthrough, for untrusted devices, and without a queue.
 */
export interface DeviceTlbState {
  entries: Count;
  ways: Count;
  replacement: 'lru' | 'plru' | 'fifo' | 'random';
  enabled: boolean;
  /**
   * Why it is off.
   */
  reason?: string;
  lookups?: Count;
  hits?: Count;
  evictions?: Count;
  [k: string]: unknown;
}
export interface Lock {
  name: string;
  /**
   * Of a run - how many locks of that name there are.
   */
  locks?: number;
  acquisitions: Count;
  /**
   * Acquisitions that found it held by another CPU.
   */
  waits: number;
  waitNs: Quantity;
  waitCycles: Quantity;
  [k: string]: unknown;
}
export interface Device {
  id: Id;
  name?: Name;
  kind: DeviceKind;
  bdf?: Bdf;
  /**
   * Id of its domain; null when detached, and then every access faults.
   */
  domain: string | null;
  dmaMaskBits?: DmaMaskBits;
  maxSegmentBytes?: MaxSegmentBytes;
  segmentBoundaryBytes?: SegmentBoundaryBytes;
  untrusted?: Untrusted;
  deviceTlb?: DeviceTlbState;
  /**
   * That of its domain; null when detached.
   */
  policy?: DomainPolicy | null;
  [k: string]: unknown;
}
export interface DevicePage {
  items: Device[];
  nextCursor?: NextCursor;
}
export interface AttachRequest {
  domain: Reference;
}
export interface BufferInput {
  name?: Name;
  lengthBytes: TouchedBytes;
  tenant?: Reference;
  physicalAddress?: Address;
}
export interface Buffer {
  id: Id;
  name?: Name;
  lengthBytes: TouchedBytes;
  physicalAddress: HexAddress;
  tenant?: string | null;
  [k: string]: unknown;
}
export interface BufferPage {
  items: Buffer[];
  nextCursor?: NextCursor;
}
/**
 * Part of a buffer (all of the rest of it when `lengthBytes` is absent), or a bare physical range.
 */
export interface MemoryRange {
  buffer?: Reference;
  offsetBytes?: Offset;
  physicalAddress?: Address;
  lengthBytes?: TouchedBytes;
}
export interface MapRequest {
  kind: MapKind;
  direction: Direction;
  cpu?: CpuIndex;
  buffer?: Reference;
  offsetBytes?: Offset;
  physicalAddress?: Address;
  lengthBytes?: TouchedBytes;
  segments?: MemoryRange[];
}
export interface Segment {
  iova: HexAddress;
  lengthBytes: Count;
  [k: string]: unknown;
}
/**
 * Cycles by the rows of the literature; they sum to `costCycles`.
 */
export interface Breakdown {
  iovaAlloc?: Quantity;
  iovaFind?: Quantity;
  iovaFree?: Quantity;
  pageTable?: Quantity;
  invalidation?: Quantity;
  lockWait?: Quantity;
  copy?: Quantity;
  vmExit?: Quantity;
  other?: Quantity;
}
export interface MapResult {
  id: Id;
  iova: HexAddress;
  segments: Segment[];
  costCycles: Quantity;
  breakdown: Breakdown;
  timeNs: TimeNs;
  misuse?: Misuse;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
/**
 * A live mapping.
 */
export interface Mapping {
  id: Id;
  device: Id;
  kind: MapKind;
  direction: Direction;
  iova: HexAddress;
  lengthBytes?: Count;
  segments: Segment[];
  [k: string]: unknown;
}
export interface MappingPage {
  items: Mapping[];
  nextCursor?: NextCursor;
}
/**
 * Unmap by address, as a driver does that kept what `map` returned.
 */
export interface UnmapRequest {
  iova: Address;
  lengthBytes: TouchedBytes;
  direction: Direction;
  cpu?: CpuIndex;
}
export interface UnmapResult {
  costCycles: Quantity;
  breakdown: Breakdown;
  /**
   * A cached translation outlives the call.
   */
  exposed: boolean;
  timeNs: TimeNs;
  misuse?: Misuse;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
export interface SyncRequest {
  for: 'cpu' | 'device';
  offsetBytes?: Offset;
  lengthBytes?: TouchedBytes;
}
export interface SyncResult {
  costCycles: Quantity;
  misuse?: Misuse;
  breakdown?: Breakdown;
  timeNs?: TimeNs;
  [k: string]: unknown;
}
export interface DmaRequest {
  iova: Address;
  lengthBytes: AccessBytes;
  access: Access;
}
/**
 * One 4 KiB-aligned piece of an access; addresses are of its first byte.
 */
export interface DmaPage {
  iova: HexAddress;
  physicalAddress?: HexAddress;
  /**
   * Where the translation came from; absent on `fault`.
   */
  from?: 'iotlb' | 'device-tlb' | 'walk-cache' | 'walk' | 'passthrough' | 'interrupt';
  /**
   * Page-table reads; 4 on a cold 4-level walk, 24 on one of two stages.
   */
  memoryReferences: number;
  verdict: Verdict;
  cause?: Cause;
  /**
   * VT-d fault reason code, on `fault`.
   */
  reason?: number;
  [k: string]: unknown;
}
export interface DmaResult {
  verdict: Verdict;
  pages: DmaPage[];
  latencyNs: Quantity;
  timeNs: TimeNs;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
export interface IommuMapRequest {
  iova: Address;
  physicalAddress: Address;
  lengthBytes: TouchedBytes;
  access: MapAccess;
  pageSize?: PageSize;
}
export interface IommuMapResult {
  ptesWritten: Count;
  /**
   * Leaves written, by page size.
   */
  pageSizes: {
    [k: string]: Count;
  };
  costCycles?: Quantity;
  breakdown?: Breakdown;
  timeNs?: TimeNs;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
export interface IommuUnmapRequest {
  iova: Address;
  lengthBytes: TouchedBytes;
  invalidate?: boolean;
}
export interface IommuUnmapResult {
  unmappedBytes: Count;
  costCycles?: Quantity;
  breakdown?: Breakdown;
  timeNs?: TimeNs;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
export interface InvalidateRequest {
  scope: InvalidateScope;
  iova?: Address;
  lengthBytes?: TouchedBytes;
  /**
   * Keep walk-cache entries; false drops those in the range too.
   */
  leafOnly?: boolean;
}
export interface InvalidateResult {
  descriptors: Count;
  /**
   * What was really invalidated after alignment and fall-back; with an address and a length when it is a range. `none`: a host dropped its guest's command.
   */
  effectiveRange: {
    scope: 'global' | 'domain' | 'range' | 'none';
    iova?: HexAddress;
    lengthBytes?: Count;
  };
  costCycles?: Quantity;
  breakdown?: Breakdown;
  timeNs?: TimeNs;
  assumptions?: Assumptions;
  [k: string]: unknown;
}
export interface AttachResult {
  previousDomain: string | null;
  costCycles?: Quantity;
  breakdown?: Breakdown;
  misuse?: Misuse;
  timeNs?: TimeNs;
  assumptions?: Assumptions;
  device?: Id;
  domain?: string | null;
  /**
   * DMA of the device that has not landed yet.
   */
  inFlight?: {
    [k: string]: unknown;
  }[];
  [k: string]: unknown;
}
export interface AdvanceRequest {
  ns: TimeNs;
}
export interface AdvanceResult {
  timeNs: TimeNs;
  /**
   * Timers that fired.
   */
  fired: number;
  [k: string]: unknown;
}
export interface TenantResult {
  id: Id;
  [k: string]: unknown;
}
export interface DomainResult {
  id: Id;
  [k: string]: unknown;
}
export interface DeviceResult {
  id: Id;
  domain: Id;
  [k: string]: unknown;
}
export interface BufferResult {
  id: Id;
  physicalAddress: HexAddress;
  [k: string]: unknown;
}
export interface WorkloadResult {
  id: Id;
  [k: string]: unknown;
}
/**
 * What is gone; also what the removal reported.
 */
export interface Removed {
  id?: Id;
  misuse?: Misuse;
  [k: string]: unknown;
}
export interface Workload {
  id: Id;
  name?: Name;
  kind: 'nic-rx' | 'nic-tx' | 'block' | 'dma-window' | 'map-benchmark' | 'hostile' | 'replay';
  device: Reference;
  [k: string]: unknown;
}
export interface WorkloadPage {
  items: Workload[];
  nextCursor?: NextCursor;
}
export interface TraceChecks {
  events: Count;
  findings: {
    check: string;
    severity: 'info' | 'warning' | 'error';
    count: Count;
    explanation: string;
  }[];
  /**
   * Checks that found nothing.
   */
  clean: string[];
  /**
   * Mappings that were not followed, as more than 1,000,000 were live.
   */
  refused: Count;
}
export interface TraceForensics {
  faults: Count;
  /**
   * Pages and long mappings that were not remembered to the end; what they were may be missing in an answer.
   */
  forgotten: Count;
  items: {
    line: Count;
    timeNs: number;
    device: string | null;
    iova: string;
    access: 'read' | 'write';
    verdict: 'use after unmap' | 'wrong direction or not covered' | 'never mapped';
    lastMap: {
      [k: string]: unknown;
    } | null;
    lastUnmap: {
      [k: string]: unknown;
    } | null;
    invalidated: {
      [k: string]: unknown;
    } | null;
    lazy: {
      policy: 'flush-queue' | 'deferred-2008';
      hidden: 'yes' | 'no' | 'depends';
      why: string;
    }[];
    text: string[];
    [k: string]: unknown;
  }[];
}
/**
 * Exactly one stop rule.
 */
export interface RunRequest {
  /**
   * What becomes of the run when the server ends before it does. `resume`: it goes on when the server is back, and comes to the same result. `interrupt`: it stays where it last left a mark (one for each second of computing), as `cancelled` with a `problem` of code `run-interrupted`.
   */
  onRestart?: 'resume' | 'interrupt';
  /**
   * Until this simulated time.
   */
  untilNs?: number;
  /**
   * For so much simulated time.
   */
  forNs?: number;
  /**
   * Until so many packets and I/Os have completed.
   */
  operations?: number;
  /**
   * Until a metric passes a bound.
   */
  until?: {
    /**
     * Dotted path into the metrics document.
     */
    metric: string;
    above?: Signed;
    below?: Signed;
  };
}
/**
 * Exactly one of the two.
 */
export interface RunLength {
  /**
   * Until so many packets and I/Os have completed.
   */
  operations?: number;
  /**
   * For so much simulated time.
   */
  ns?: number;
}
/**
 * A base spec, what is varied, how long each arm runs and with which seeds. With a `preset` the members beside it change it: `base` merges into the preset's, `vary` or `arms` stand in the place of both of the preset's, the others in the place of their own.
 */
export interface ExperimentInput {
  name?: Name;
  title?: Title;
  /**
   * An experiment that is kept ready; the catalog lists them.
   */
  preset?: string;
  /**
   * What all arms have in common. Its `seed` is the first of three when there are no `seeds`; `fromSnapshot` and `expiresAt` are of sessions alone.
   */
  base?: SessionInput;
  /**
   * Dotted path into the spec - `policy.invalidation.kind`, `machine.cpus`, `workloads.rx.frameBytes` - and the values it takes. Below `workloads`, `devices`, `domains` and `tenants` an element is named by its name or counted from 0. A value that is an object merges as in a spec, a list replaces.
   */
  vary?: {
    [k: string]: unknown[];
  };
  /**
   * Of `vary`: each value with each, or the first with the first, the second with the second, lists of one length.
   */
  combine?: 'product' | 'paired';
  /**
   * In the place of `vary`: each arm by itself, as dotted path and value.
   */
  arms?: {
    label?: string;
    set: {
      [k: string]: unknown;
    };
  }[];
  /**
   * In the place of those of the base.
   */
  workloads?: WorkloadInput[];
  /**
   * How long each arm runs; 20,000 operations unless the preset says otherwise.
   */
  until?: RunLength;
  /**
   * How long each arm runs before that, unmeasured.
   */
  warmUp?: RunLength;
  /**
   * Each arm runs once with each.
   */
  seeds?: Seed[];
  /**
   * Whether an arm without protection (mode `passthrough`) runs beside the others, one for each combination of what is varied outside `policy` and `kernelCommandLine`.
   */
  control?: boolean;
}
export interface ExperimentArm {
  id: string;
  /**
   * What sets it apart, in short.
   */
  label: string;
  control: boolean;
  /**
   * Of the arm that it is compared with.
   */
  controlId: string | null;
  /**
   * Dotted path and value.
   */
  varied: {
    [k: string]: unknown;
  };
  /**
   * What `POST /v1/sessions` takes to have this arm alone; a seed of the experiment goes with it.
   */
  spec: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * What was asked for, without gaps. Sent again, it comes to the same.
 */
export interface ExperimentRequest {
  preset?: string;
  base: {
    [k: string]: unknown;
  };
  vary: {
    [k: string]: unknown[];
  };
  combine: 'product' | 'paired';
  arms: {
    [k: string]: unknown;
  }[];
  workloads?: {
    [k: string]: unknown;
  }[];
  until: RunLength;
  warmUp?: RunLength;
  seeds: Seed[];
  control: boolean;
  [k: string]: unknown;
}
export interface ExperimentSummary {
  id: Id;
  name?: Name;
  title?: Title;
  owner?: string;
  state: ExperimentState;
  createdAt: string;
  endedAt: string | null;
  /**
   * Of the core whose results these are.
   */
  coreVersion: string;
  /**
   * One for each arm and seed. `cached` had been computed before.
   */
  jobs: {
    total: Count;
    finished: Count;
    failed: Count;
    cached: Count;
  };
  /**
   * Jobs that have ended, of all.
   */
  progress: number;
  [k: string]: unknown;
}
/**
 * Without requests and arms; `GET` of one has them.
 */
export interface ExperimentPage {
  items: ExperimentSummary[];
  nextCursor?: NextCursor;
}
export interface ExperimentArmResult {
  id: string;
  label: string;
  control: boolean;
  controlId: string | null;
  varied: {
    [k: string]: unknown;
  };
  /**
   * Those that have a result.
   */
  seeds: Seed[];
  throughputGbps?: Figure;
  iops?: Figure;
  operationsPerSecond?: Figure;
  cyclesPerOperation: Figure;
  cpuUtilisation: Figure;
  exposure: {
    pageSeconds: Figure;
    longestWindowNs: Figure;
    staleAccesses: Figure;
    crossTenantAccesses: Figure;
    [k: string]: unknown;
  };
  /**
   * What `POST /v1/experiments` takes to have this arm alone.
   */
  rerun?: {
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * Of arm `a` against arm `b`.
 */
export interface ExperimentComparison {
  a: string;
  b: string;
  /**
   * Dotted path into an arm.
   */
  metric: string;
  ratio: number | null;
  low: number | null;
  high: number | null;
  verdict: 'higher' | 'lower' | 'no difference seen';
  [k: string]: unknown;
}
export interface ExperimentResults {
  experiment: Id;
  state: ExperimentState;
  /**
   * Whether all jobs have a result.
   */
  complete: boolean;
  arms: ExperimentArmResult[];
  comparisons: ExperimentComparison[];
  /**
   * Ids of arms than which none is both faster and less exposed.
   */
  frontier: string[];
  dominated: string[];
  /**
   * Of a preset `questions/...`, once all jobs have a result, and as long as its arms are those of the preset.
   */
  answer?: {
    question: string;
    /**
     * Who asks it.
     */
    source: string;
    sentences: string[];
    head: string[];
    rows: string[][];
    [k: string]: unknown;
  };
  /**
   * Of a preset `repro/...`, published beside simulated, as far as it has come.
   */
  reproduction?: {
    title: string;
    citation: string;
    rows: {
      [k: string]: unknown;
    }[];
    [k: string]: unknown;
  };
  /**
   * With `rows=true`: each job.
   */
  rows?: ExperimentRow[];
  [k: string]: unknown;
}
export interface ExperimentRow {
  arm: string;
  seed: Seed;
  /**
   * Of all that the outcome depends on.
   */
  key: string;
  state: ExperimentState;
  outcome: {
    [k: string]: unknown;
  } | null;
  [k: string]: unknown;
}
export interface Run {
  id: Id;
  state: RunState;
  timeNs: TimeNs;
  /**
   * 0 to 1 of the stop rule; null when that cannot be known.
   */
  progress: number | null;
  request?: RunRequest;
  /**
   * So far, or in the end.
   */
  result: RunResult | null;
  problem?: Problem;
  [k: string]: unknown;
}
/**
 * Totals, and the same for each workload.
 */
export interface RunResult {
  operations?: Count;
  throughputGbps?: Quantity;
  iops?: Quantity;
  latencyNs?: Quantiles;
  cpuUtilisation?: CpuUtilisation;
  cyclesPerOperation?: number | null;
  breakdown?: MeasuredBreakdown;
  counts?: Counts;
  /**
   * What was there at the end of the run, and high-water marks since the session began.
   */
  gauges?: Counts;
  iotlb?: IotlbCounts;
  /**
   * Look-ups of all device TLBs together; absent without any.
   */
  deviceTlb?: IotlbCounts;
  /**
   * By name, what the run added.
   */
  locks?: Lock[];
  exposure?: Exposure;
  verdicts?: Verdicts;
  workloads?: WorkloadMetrics[];
  wallSeconds?: Quantity;
  realTimeFactor?: number | null;
  [k: string]: unknown;
}
/**
 * Quantile (`p50`, `p99`, ...) to value; null while nothing was measured.
 */
export interface Quantiles {
  [k: string]: number | null;
}
/**
 * Mean cycles of a map and of an unmap, by row.
 */
export interface MeasuredBreakdown {
  map?: Breakdown;
  unmap?: Breakdown;
}
/**
 * Counter to value. A counter that this model does not have is absent, never 0.
 */
export interface Counts {
  [k: string]: Signed;
}
export interface IotlbCounts {
  lookups?: Count;
  hits?: Count;
  misses?: Count;
  [k: string]: unknown;
}
/**
 * How long unmapped pages stayed reachable. `potential` runs until a covering invalidation; `actual` only while a cached entry, a walk-cache path or the PTE itself still translates.
 */
export interface Exposure {
  potential?: ExposureWindow;
  actual?: ExposureWindow;
  staleAccesses?: Count;
  crossTenantAccesses?: Count;
  /**
   * Attempts after unmap that faulted, of the attempts made; null when there were none.
   */
  detectability?: number | null;
  residualByteSeconds?: Quantity;
  [k: string]: unknown;
}
export interface ExposureWindow {
  pageSeconds?: Quantity;
  byteSeconds?: Quantity;
  currentPages?: Count;
  peakPages?: Count;
  longestWindowNs?: Quantity;
  windows?: Count;
  quantilesNs?: Quantiles;
  /**
   * Lengths of the closed windows in nanoseconds, in log-linear buckets; only buckets with something in them.
   */
  histogram?: {
    from: Count;
    /**
     * Exclusive.
     */
    to: number;
    count: Count;
  }[];
  [k: string]: unknown;
}
/**
 * Verdict to number of accesses.
 */
export interface Verdicts {
  [k: string]: Count;
}
export interface WorkloadMetrics {
  id?: Id;
  name?: Name;
  kind?: string;
  operations?: Count;
  throughputGbps?: Quantity;
  iops?: Quantity;
  latencyNs?: Quantiles;
  /**
   * Of a run - latencies in nanoseconds, in the core's log-linear buckets (`to` exclusive).
   */
  latencyHistogram?: {
    [k: string]: unknown;
  }[];
  /**
   * Of an ended run - the same as an HdrHistogram (V2, compressed, base64), nanoseconds, two significant digits.
   */
  latencyHdr?: string;
  cpuUtilisation?: CpuUtilisation;
  cyclesPerOperation?: number | null;
  breakdown?: MeasuredBreakdown;
  counts?: Counts;
  iotlb?: IotlbCounts;
  exposure?: Exposure;
  verdicts?: Verdicts;
  engine?: DmaEngineMetrics;
  /**
   * Of `hostile` - accesses that no mapping allowed any more and that got through.
   */
  reached?: {
    stale: Reached;
    /**
     * Those among them that reached a frame of another tenant.
     */
    crossTenant: Reached;
    [k: string]: unknown;
  };
  /**
   * Of `map-benchmark` - what the kernel's tool prints.
   */
  lines?: string[];
  [k: string]: unknown;
}
/**
 * Of a device with limits - accesses on their way, walks and what they waited.
 */
export interface DmaEngineMetrics {
  accesses?: Count;
  walks?: Count;
  outstandingMean?: Quantity;
  outstandingPeak?: Count;
  walkersBusyMean?: Quantity;
  /**
   * Mean wait of an access for a walker.
   */
  walkWaitNs?: number;
  [k: string]: unknown;
}
export interface Reached {
  reads: Count;
  writes: Count;
  /**
   * Of `crossTenant` - how long the run had been going at the first; null when there was none.
   */
  firstNs?: TimeNs | null;
  /**
   * From the last unmap at the address to the access.
   */
  delayNs: Quantiles;
  [k: string]: unknown;
}
/**
 * RFC 9457, with a stable `code`.
 */
export interface Problem {
  /**
   * `/problems/` and the code; identifies the problem, need not resolve.
   */
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  /**
   * Path of the request.
   */
  instance?: string;
  /**
   * Whether the same request may succeed later.
   */
  retryable: boolean;
  /**
   * JSON Pointer of the member that is wrong, when there is one.
   */
  path?: string;
  /**
   * Every place that does not fit, with the reason.
   */
  errors?: {
    /**
     * JSON Pointer into the body; for the query, `?` and the parameter's name.
     */
    path: string;
    message: string;
  }[];
  /**
   * A number of the principal's or the server's that was reached.
   */
  quota?: {
    name: string;
    limit: Count;
    used?: Count;
  };
}
export interface RunPage {
  items: Run[];
  nextCursor?: NextCursor;
}
/**
 * One session to scrape.
 */
export interface PrometheusTarget {
  /**
   * Host and port at which this was asked.
   */
  targets: string[];
  labels: {
    __scheme__: 'http' | 'https';
    __metrics_path__: string;
    __param_wake: 'false';
    /**
     * Id of the session.
     */
    instance: Id;
  };
}
/**
 * The members of a run's result, over the life of the session, and flat counters.
 */
export interface Metrics {
  timeNs?: TimeNs;
  operations?: Count;
  throughputGbps?: Quantity;
  iops?: Quantity;
  latencyNs?: Quantiles;
  cpuUtilisation?: CpuUtilisation;
  cyclesPerOperation?: number | null;
  breakdown?: MeasuredBreakdown;
  counts?: Counts;
  iotlb?: IotlbCounts;
  /**
   * Look-ups of all device TLBs together; absent without any.
   */
  deviceTlb?: IotlbCounts;
  /**
   * Each lock, over the life of the session.
   */
  locks?: Lock[];
  exposure?: Exposure;
  verdicts?: Verdicts;
  workloads?: WorkloadMetrics[];
  counters?: Counts;
  [k: string]: unknown;
}
/**
 * Occupancy and fragmentation of a domain's IOVA space, with its ranges in rising order.
 */
export interface Space {
  domain: Id;
  lastIova?: HexAddress;
  ranges?: Count;
  /**
   * Of ranges in any state.
   */
  usedBytes: number;
  /**
   * Of those that a cache of the allocator keeps for the next request.
   */
  cachedBytes?: number;
  largestFreeBytes: SpaceBytes;
  /**
   * Unmapped pages that a translation may still reach, and whether one is cached; the first 1,000.
   */
  exposedPages?: {
    iova?: HexAddress;
    [k: string]: unknown;
  }[];
  items: {
    iova: HexAddress;
    lengthBytes: SpaceBytes;
    state: 'allocated' | 'reserved' | 'cached';
    [k: string]: unknown;
  }[];
  nextCursor?: NextCursor;
  [k: string]: unknown;
}
/**
 * Pages by state; absent states have none.
 */
export interface SpacePages {
  free?: Count;
  reserved?: Count;
  kept?: Count;
  allocated?: Count;
  live?: Count;
  queued?: Count;
  unflushed?: Count;
  dangling?: Count;
  stale?: Count;
  remapped?: Count;
}
/**
 * For each state that any cell has: how many cells in a row have the same number of pages in it, that number, and so on - `[3, 0, 1, 512]` is three cells without and one with 512.
 */
export interface SpaceRuns {
  free?: RunLengths;
  reserved?: RunLengths;
  kept?: RunLengths;
  allocated?: RunLengths;
  live?: RunLengths;
  queued?: RunLengths;
  unflushed?: RunLengths;
  dangling?: RunLengths;
  stale?: RunLengths;
  remapped?: RunLengths;
}
export interface SpaceCells {
  domain: Id;
  timeNs: TimeNs;
  from: HexAddress;
  to: HexAddress;
  lastIova: HexAddress;
  /**
   * Of an IOVA space, which has 57 bits at most; whole pages, so that a double holds each exactly.
   */
  cellBytes: number;
  cellCount: number;
  /**
   * Last address that the counts cover; below `to` when `complete` is false.
   */
  coveredTo: string;
  complete: boolean;
  pages: SpacePages1;
  cells: SpaceRuns;
  /**
   * Places that the allocator remembers - the cursor of a bitmap, the cached nodes of a tree.
   */
  marks: {
    name: string;
    iova: HexAddress;
  }[];
  /**
   * Of an allocator with a cache - what its magazines and lists hold, over the whole space.
   */
  kept?: {
    ranges: Count;
    bytes: SpaceBytes;
    depotMagazines: Count;
  };
  space?: SpaceExtents;
  [k: string]: unknown;
}
/**
 * Of all cells together.
 */
export interface SpacePages1 {
  free?: Count;
  reserved?: Count;
  kept?: Count;
  allocated?: Count;
  live?: Count;
  queued?: Count;
  unflushed?: Count;
  dangling?: Count;
  stale?: Count;
  remapped?: Count;
}
/**
 * The whole space as its allocator has it, and where in it anything is or ever was.
 */
export interface SpaceExtents {
  /**
   * False when there is more than a read looks at.
   */
  complete: boolean;
  ranges: Count;
  /**
   * Of an IOVA space, which has 57 bits at most; whole pages, so that a double holds each exactly.
   */
  usedBytes: number;
  reservedBytes: SpaceBytes;
  freeRanges: Count;
  largestFreeBytes: SpaceBytes;
  /**
   * In rising order, apart at the widest gaps; a block of 2 MiB in which something was ever mapped counts as used.
   */
  extents: {
    from: HexAddress;
    to: HexAddress;
    usedBytes: SpaceBytes;
    reservedBytes: SpaceBytes;
  }[];
}
export interface SpacePage {
  domain: Id;
  iova: HexAddress;
  timeNs: TimeNs;
  state: SpaceState;
  mapping?: Mapping;
  /**
   * The range of `iommu-map` that holds the page.
   */
  iommuRange?: {
    iova?: HexAddress;
    lengthBytes?: SpaceBytes;
    mappedNs?: TimeNs;
    /**
     * Its memory was freed under it.
     */
    freed?: boolean;
    [k: string]: unknown;
  };
  lastMapNs?: TimeNs;
  lastUnmapNs?: TimeNs;
  /**
   * Of the last mapping; null for one of `iommu-map`.
   */
  direction?: 'to-device' | 'from-device' | 'bidirectional' | null;
  /**
   * Whether the policy holds its address back.
   */
  held: boolean;
  /**
   * How many.
   */
  openWindows: number;
  /**
   * Simulated time in whole nanoseconds, rounded down.
   */
  exposedSinceNs?: number;
  /**
   * Whether the page table translates it.
   */
  present: boolean;
  physicalAddress?: HexAddress;
  pageSize?: PageSize;
  /**
   * Entries that translate it, and entries of walk caches that lead to its table.
   */
  cachedIn: {
    cache: 'iotlb' | 'device-tlb' | 'walk-cache';
    device?: Id;
    set?: Count;
    way?: Count;
    physicalAddress?: HexAddress;
    tableLevel?: number;
    table?: HexAddress;
    stale: boolean;
    [k: string]: unknown;
  }[];
  [k: string]: unknown;
}
export interface Iotlb {
  entries: {
    set: Count;
    way: Count;
    domain: Id;
    iova: HexAddress;
    pageSize: PageSize;
    physicalAddress: HexAddress;
    access: MapAccess;
    /**
     * Translates a page that was unmapped.
     */
    stale?: boolean;
    [k: string]: unknown;
  }[];
  /**
   * The same of each device TLB in use, with `device`.
   */
  devices?: {
    [k: string]: unknown;
  }[];
  [k: string]: unknown;
}
export interface WalkCache {
  /**
   * Root first.
   */
  levels?: {
    tableLevel?: Count;
    capacity?: Count;
    [k: string]: unknown;
  }[];
  entries: {
    /**
     * Level of the table that the entry points to; 1 is the table with the 4 KiB leaves.
     */
    tableLevel: number;
    domain: Id;
    iova: HexAddress;
    spanBytes?: Count;
    table: HexAddress;
    /**
     * The table it points to was freed.
     */
    stale?: boolean;
    [k: string]: unknown;
  }[];
  /**
   * Of the tables below a guest's, in the mode `nested`; levels as above.
   */
  secondStage?: {
    tableLevel: Count;
    tenant: Id;
    guestPhysicalAddress: HexAddress;
    spanBytes?: Count;
    table: HexAddress;
    [k: string]: unknown;
  }[];
  [k: string]: unknown;
}
/**
 * The walk of one address, entry by entry from the root.
 */
export interface PageTable {
  domain: Id;
  iova: HexAddress;
  present: boolean;
  physicalAddress?: HexAddress;
  pageSize?: PageSize;
  access?: MapAccess;
  /**
   * Why there is no walk.
   */
  reason?: string;
  entries: {
    level: number;
    table: HexAddress;
    index: number;
    present: boolean;
    next?: HexAddress;
    access?: MapAccess;
    [k: string]: unknown;
  }[];
  [k: string]: unknown;
}
/**
 * The invalidation queue, and the queue of unmapped ranges waiting for a flush.
 */
export interface Queues {
  invalidation: {
    interface: 'queued' | 'register' | 'per-cpu';
    [k: string]: unknown;
  };
  flush: {
    policy: string;
    entries: Count;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * What the allocator remembers - cached nodes, cursor, sizes, magazines.
 */
export interface Allocator {
  kind: string;
  domain?: Id;
  /**
   * `rcache`: what is behind the magazines.
   */
  tree?: 'rbtree' | 'maple';
  /**
   * How many.
   */
  cachedRanges?: number;
  cachedPages?: Count;
  cachedRangesPeak?: Count;
  depotMagazines?: Count;
  magazineEntries?: MagazineEntries;
  /**
   * `rcache`: by size, full magazines in the depot, allocations served by the cache and not served.
   */
  classes?: {
    pages: Count;
    depotMagazines: Count;
    hits: Count;
    misses: Count;
  }[];
  /**
   * `rcache`: ranges in the two magazines of a CPU, where there are any.
   */
  magazines?: {
    cpu: Count;
    pages: Count;
    loaded: Count;
    prev: Count;
  }[];
  /**
   * `eiovar`: kept ranges by size.
   */
  lists?: {
    pages: Count;
    ranges: Count;
  }[];
  [k: string]: unknown;
}
export interface Fault {
  /**
   * VT-d fault reason.
   */
  code: number;
  name: string;
  /**
   * In the shape in which the kernel prints it.
   */
  message: string;
  timeNs?: TimeNs;
  device?: Id;
  domain?: string | null;
  access?: Access;
  iova?: HexAddress;
  /**
   * The last map and unmap that touched the address, how long ago, and what that says.
   */
  forensics?: {
    lastMap?: {
      [k: string]: unknown;
    } | null;
    lastUnmap?: {
      [k: string]: unknown;
    } | null;
    verdict?: string;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
export interface Faults {
  items: Fault[];
  /**
   * Faults that found the log full.
   */
  dropped?: number;
  capacity?: Count;
  nextCursor?: NextCursor;
  [k: string]: unknown;
}
export interface Events {
  /**
   * Items: One entry of the log; what it has further depends on its type.
   */
  items: {
    sequence: Count;
    timeNs: TimeNs;
    type: string;
    [k: string]: unknown;
  }[];
  nextCursor?: NextCursor;
}
export interface TenantLine {
  op: 'tenant';
  as?: Label;
  name?: Name;
  kind: TenantKind;
  memoryBytes?: Quota;
}
export interface DomainLine {
  op: 'domain';
  as?: Label;
  name?: Name;
  tenant?: Reference;
  levels?: Levels;
}
export interface DeviceLine {
  op: 'device';
  as?: Label;
  name?: Name;
  kind: DeviceKind;
  bdf?: Bdf;
  domain?: Reference;
  dmaMaskBits?: DmaMaskBits;
  maxSegmentBytes?: MaxSegmentBytes;
  segmentBoundaryBytes?: SegmentBoundaryBytes;
  untrusted?: Untrusted;
  deviceTlb?: DeviceTlb;
}
export interface AttachLine {
  op: 'attach';
  as?: Label;
  device: Reference;
  domain: Reference;
}
export interface DetachLine {
  op: 'detach';
  as?: Label;
  device: Reference;
}
export interface BufferLine {
  op: 'buffer';
  as?: Label;
  name?: Name;
  lengthBytes: TouchedBytes;
  tenant?: Reference;
  physicalAddress?: Address;
}
export interface FreeLine {
  op: 'free';
  as?: Label;
  buffer: Reference;
  force?: boolean;
}
export interface MapLine {
  op: 'map';
  as?: Label;
  device: Reference;
  kind: MapKind;
  direction: Direction;
  cpu?: CpuIndex;
  buffer?: Reference;
  offsetBytes?: Offset;
  physicalAddress?: Address;
  lengthBytes?: TouchedBytes;
  segments?: MemoryRange[];
}
/**
 * By handle, or by address as a driver does.
 */
export interface UnmapLine {
  op: 'unmap';
  as?: Label;
  mapping?: Reference;
  device?: Reference;
  iova?: Address;
  lengthBytes?: TouchedBytes;
  direction?: Direction;
  cpu?: CpuIndex;
}
export interface DmaLine {
  op: 'dma';
  as?: Label;
  device: Reference;
  iova: Address;
  lengthBytes: AccessBytes;
  access: Access;
}
export interface IommuMapLine {
  op: 'iommu-map';
  as?: Label;
  domain: Reference;
  iova: Address;
  physicalAddress: Address;
  lengthBytes: TouchedBytes;
  access: MapAccess;
  pageSize?: PageSize;
}
export interface IommuUnmapLine {
  op: 'iommu-unmap';
  as?: Label;
  domain: Reference;
  iova: Address;
  lengthBytes: TouchedBytes;
  invalidate?: boolean;
}
export interface SyncLine {
  op: 'sync';
  as?: Label;
  mapping: Reference;
  for: 'cpu' | 'device';
  offsetBytes?: Offset;
  lengthBytes?: TouchedBytes;
}
export interface InvalidateLine {
  op: 'invalidate';
  as?: Label;
  scope: InvalidateScope;
  domain?: Reference;
  iova?: Address;
  lengthBytes?: TouchedBytes;
  leafOnly?: boolean;
}
export interface AdvanceLine {
  op: 'advance';
  as?: Label;
  ns: TimeNs;
}
/**
 * The answer to one line; `line` counts from 1, blank lines included.
 */
export interface OpsReplyLine {
  line: number;
  /**
   * null when the line was not JSON or named no operation.
   */
  op: string | null;
  ok: boolean;
  result?: {
    [k: string]: unknown;
  };
  problem?: Problem;
}
export interface TraceSummary {
  id: Id;
  name?: Name;
  owner: string;
  state: TraceState;
  createdAt: string;
  endedAt: Instant;
  /**
   * As asked for; once it is known, what it is.
   */
  format: string;
  strict: boolean;
  encoding: 'identity' | 'gzip' | 'zstd';
  /**
   * That are there, as they were sent.
   */
  bytes: Count;
  upload: {
    /**
     * Where the next byte goes.
     */
    offset: Count;
    /**
     * Of all of the recording; null while nobody has said.
     */
    length: number | null;
    complete: boolean;
    /**
     * Whether bytes are coming right now.
     */
    active: boolean;
  };
  /**
   * How much of what is there has been read.
   */
  progress: number;
  /**
   * On the server's disk.
   */
  storedBytes: Count;
  /**
   * Of its events; what a session that replays them names. null until it is ready.
   */
  digest: string | null;
  /**
   * Events that can be replayed, each range of a scatter list counted.
   */
  records: Count;
  /**
   * Why it failed.
   */
  problem: {
    code: string;
    detail: string;
    /**
     * Of the recording, from 1.
     */
    line?: Count;
  } | null;
  [k: string]: unknown;
}
/**
 * Without what grows with the recording; `GET` of one has all.
 */
export interface TracePage {
  items: TraceSummary[];
  nextCursor?: NextCursor;
}
/**
 * What the line does not say is absent.
 */
export interface TraceEvent {
  index: Count;
  /**
   * Of the recording, from 1.
   */
  line: Count;
  kind: string;
  /**
   * Since the first event, as the recording's clock says. May step back.
   */
  timeNs: number;
  /**
   * Below a nanosecond.
   */
  timePs?: number;
  cpu?: Count;
  pid?: Count;
  device?: string;
  domain?: Count;
  iova?: HexAddress;
  lengthBytes?: number;
  physicalAddress?: HexAddress;
  direction?: 'bidirectional' | 'to-device' | 'from-device' | 'none';
  write?: boolean;
  /**
   * What else the kind says; see docs/trace-format.md.
   */
  detail?: number;
  /**
   * Index of the event that this one ends, or that ends it.
   */
  partner?: Count;
  /**
   * Of what was done to the page table, index of the call of the DMA API that it was done for.
   */
  joined?: Count;
}
export interface TraceEventPage {
  items: TraceEvent[];
  /**
   * In all of the trace.
   */
  records: Count;
  /**
   * Where to go on; absent at the end.
   */
  nextFrom?: Count;
}
/**
 * What one principal may take.
 */
export interface AccessLimits {
  requestsPerSecond?: AccessLimit;
  opsPerSecond?: AccessLimit;
  opsRequests?: AccessLimit;
  sessions?: AccessLimit;
  streams?: AccessLimit;
  runs?: AccessLimit;
  /**
   * At a time, that have not ended. 0 is no limit.
   */
  experiments?: AccessLimit;
  /**
   * Traces owned. 0 is no limit.
   */
  traces?: AccessLimit;
  /**
   * On the server's disk, of all traces owned. 0 is no limit.
   */
  traceBytes?: number;
  /**
   * On the server's disk, of all sessions owned. 0 is no limit.
   */
  storedBytes?: number;
  /**
   * Computing time an hour, of all sessions owned. 0 is no limit.
   */
  computeSeconds?: AccessLimit;
  /**
   * Computing time an hour, of each session owned. 0 is no limit.
   */
  sessionComputeSeconds?: AccessLimit;
  /**
   * Page frames in use, of each session owned. 0 is no limit.
   */
  frames?: AccessLimit;
  /**
   * Live mappings, of each session owned. 0 is no limit.
   */
  mappings?: AccessLimit;
  /**
   * The server's memory, of each session owned. 0 is no limit.
   */
  sessionMemoryMib?: AccessLimit;
  /**
   * Simulated events of each run, of each session owned. 0 is no limit.
   */
  runEvents?: number;
}
export interface TokenInput {
  name: TokenName;
  /**
   * The name, made to fit, when absent.
   */
  principal?: Principal;
  scope: Scope;
  expiresInSeconds?: Seconds;
  limits?: AccessLimits;
}
export interface TokenRotation {
  /**
   * The old token ends after it. Absent - it stays until it is revoked.
   */
  overlapSeconds?: number;
  expiresInSeconds?: Seconds;
}
export interface Token {
  id: Id;
  name: TokenName;
  principal: Principal;
  scope: Scope;
  state: 'active' | 'expired' | 'revoked';
  createdAt: Instant;
  expiresAt: Instant;
  revokedAt: Instant;
  lastUsedAt: Instant;
  limits?: AccessLimits;
  replaces?: Id;
}
export interface NewToken {
  id: Id;
  name: TokenName;
  principal: Principal;
  scope: Scope;
  state: 'active' | 'expired' | 'revoked';
  createdAt: Instant;
  expiresAt: Instant;
  revokedAt: Instant;
  lastUsedAt: Instant;
  limits?: AccessLimits;
  replaces?: Id;
  /**
   * For `Authorization`. Nobody can tell it again.
   */
  token: string;
}
export interface TokenPage {
  items: Token[];
  nextCursor?: NextCursor;
}
export interface WhoAmI {
  /**
   * `local`: anybody, on a server without tokens.
   */
  kind: 'local' | 'token' | 'link';
  principal?: Principal;
  scope: Scope;
  credential?: Id;
  name?: TokenName;
  session?: Id;
  expiresAt: Instant;
  limits: AccessLimits;
  /**
   * Of the limits that are numbers of something.
   */
  used: {
    sessions: Count;
    streams: Count;
    /**
     * Started and not known to have ended.
     */
    runs: Count;
    /**
     * That have not ended.
     */
    experiments?: Count;
    traces?: Count;
    traceBytes?: Count;
    storedBytes: Count;
  };
}
export interface GrantInput {
  principal: Principal;
  scope: ShareScope;
}
export interface Grant {
  id: Id;
  session: Id;
  principal: Principal;
  scope: ShareScope;
  createdAt: Instant;
  createdBy: Principal;
}
export interface GrantPage {
  items: Grant[];
  nextCursor?: NextCursor;
}
export interface LinkInput {
  /**
   * 7 days when absent, a year at most.
   */
  expiresInSeconds?: number;
  title?: Title;
}
export interface Link {
  id: Id;
  session: Id;
  title?: Title;
  state: 'active' | 'expired';
  createdAt: Instant;
  expiresAt: Instant;
  createdBy: Principal;
}
export interface NewLink {
  id: Id;
  session: Id;
  title?: Title;
  state: 'active' | 'expired';
  createdAt: Instant;
  expiresAt: Instant;
  createdBy: Principal;
  /**
   * Stands where a token would. Nobody can tell it again.
   */
  link: string;
}
export interface LinkPage {
  items: Link[];
  nextCursor?: NextCursor;
}
export interface Ticket {
  ticket: string;
  expiresAt: Instant;
  expiresInSeconds: Seconds;
}
export interface AuditLine {
  time: Instant;
  /**
   * null where nobody could be made out, and of the command line.
   */
  principal?: string | null;
  /**
   * Id of the token or link.
   */
  credential?: string | null;
  /**
   * `operationId` of this document; `token create` and its like on the command line.
   */
  action?: string;
  /**
   * As the client named it.
   */
  session?: string;
  /**
   * What else the path names.
   */
  target?: string;
  /**
   * Where what was created is.
   */
  created?: string;
  /**
   * Of the reply; 0 on the command line.
   */
  status?: number;
  /**
   * Of the problem.
   */
  code?: string;
  requestId?: string;
  address?: string;
  /**
   * So many lines could not be written before this one.
   */
  missing?: Count;
  [k: string]: unknown;
}
export interface AuditPage {
  items: AuditLine[];
  nextCursor?: NextCursor;
}
export interface Version {
  name: 'iommu-lab';
  /**
   * Of the server.
   */
  version: string;
  /**
   * Of this contract.
   */
  apiVersion: string;
  /**
   * The limits that the contract names, by name.
   */
  limits: {
    [k: string]: Count;
  };
  /**
   * Where to go from here.
   */
  links: {
    [k: string]: string;
  };
}
export interface CatalogEntry {
  kind: string;
  schema:
    | {
        [k: string]: unknown;
      }
    | boolean;
  defaults: {
    [k: string]: unknown;
  };
  /**
   * Where the behaviour is described.
   */
  source: string;
  [k: string]: unknown;
}
/**
 * Everything that can be chosen, each with its schema, defaults and source.
 */
export interface Catalog {
  allocators: CatalogEntry[];
  policies: CatalogEntry[];
  modes: CatalogEntry[];
  devices: CatalogEntry[];
  workloads: CatalogEntry[];
  profiles: CatalogEntry[];
  presets: CatalogEntry[];
  /**
   * Requests of `POST /v1/experiments` that are kept ready.
   */
  experiments?: CatalogEntry[];
  /**
   * What of a kernel command line is understood, and what it asks for.
   */
  kernelOptions?: CatalogEntry[];
  /**
   * Formats of recordings, for `?format` of `POST /v1/traces`. The schema is that of `?options`; beside it stand what the lines become and by what `auto` tells the format, null where it has to be named.
   */
  traceFormats?: CatalogEntry[];
  [k: string]: unknown;
}
export interface Health {
  status: string;
  [k: string]: unknown;
}
export interface Readiness {
  ready?: boolean;
  /**
   * Why it does not, where it does not.
   */
  status?: 'ready' | 'shutting-down' | 'no-worker' | 'storage-unavailable';
  /**
   * Sessions on their way back from their journals. The server takes work meanwhile, for them as well.
   */
  recovering?: number;
  /**
   * Whether jobs of experiments are computed. The server takes work without, too; experiments then wait.
   */
  experiments?: {
    state: 'ok' | 'degraded';
    /**
     * Why they wait, in a sentence.
     */
    detail: string;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
