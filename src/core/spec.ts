/**
 * The session spec: what is simulated, before any operation. Every member of a resolved spec is present; the contract
 * (`openapi.yaml`, `SessionSpec`) describes the partial form that people send and `resolveSpec` fills in.
 */

/** A bus address or IOVA as it travels: `0x`-prefixed hex, or a whole number up to 2^53 - 1. */
export type Address = string | number;

export type FrameReuse = 'lifo' | 'fifo' | 'random';
export type Replacement = 'lru' | 'plru' | 'fifo' | 'random';
export type Mode = 'translate' | 'passthrough' | 'bounce' | 'shadow' | 'direct' | 'emulated' | 'paravirtual' | 'nested';

export interface MachineSpec {
  cpus: number;
  /** Clock of the simulated CPUs in GHz, a multiple of 0.001; the profile's clock unless given. */
  cpuGhz: number;
  memoryBytes: number;
  frameReuse: FrameReuse;
}

export interface ReservedRegion {
  start: Address;
  /** Inclusive, as in `/sys/kernel/iommu_groups/N/reserved_regions`. */
  end: Address;
  type: 'msi' | 'direct' | 'direct-relaxable' | 'reserved';
}

export interface IommuSpec {
  levels: 3 | 4 | 5;
  superpages: ('2MiB' | '1GiB')[];
  coherent: boolean;
  faultLogEntries: number;
  reservedRegions: ReservedRegion[];
  iotlb: { entries: number; ways: number; replacement: Replacement };
  walkCache: { entriesPerLevel: number[] };
  invalidation: {
    /** `per-cpu`: a queue for each CPU. */
    interface: 'queued' | 'register' | 'per-cpu';
    pageSelective: boolean;
    maxAddressMask: number;
    cachingMode: boolean;
    /** Descriptors before one wait descriptor, at most: 1 up to Linux 6.11, 16 since. */
    batchDescriptors: number;
  };
  /** Whether its driver can put flushes off (`IOMMU_CAP_DEFERRED_FLUSH`); without it there is no flush queue. */
  deferredFlush: boolean;
  /** A lock of the page table, taken for each PTE that a map writes, as Linux had in 2008. */
  pageTableLock: boolean;
}

export interface AllocatorSpec {
  kind: string;
  [parameter: string]: unknown;
}
export interface InvalidationSpec {
  kind: string;
  [parameter: string]: unknown;
}

/** Parameters of modes, each under the name of its mode; `bounce` also where untrusted devices bounce. */
export interface ModeParameters {
  bounce?: { poolBytes: number; areas: 'one' | 'per-cpu' };
  shadow?: { classBytes: number[]; poolBytes: number };
  emulated?: { handling: 'exit' | 'sidecore' };
  nested?: { propagate: boolean };
}

export interface PolicySpec extends ModeParameters {
  mode: Mode;
  allocator: AllocatorSpec;
  invalidation: InvalidationSpec;
  /** Keeps what was asked for where a real system would put something else in its place. */
  force: boolean;
  /** Skips the attempt below 4 GiB (`iommu.forcedac`). */
  forcedac: boolean;
}

export interface TenantSpec {
  name?: string;
  kind: 'host' | 'vm' | 'process';
  memoryBytes?: number;
}
export interface DomainSpec {
  name?: string;
  tenant?: string;
  levels?: 3 | 4 | 5;
}
export interface DeviceSpec {
  name?: string;
  kind: 'nic' | 'block' | 'hostile' | 'replay' | 'custom';
  bdf?: string;
  domain?: string;
  dmaMaskBits?: number;
  maxSegmentBytes?: number;
  segmentBoundaryBytes?: number;
  /** It caches translations itself (ATS). */
  deviceTlb?: Partial<DeviceTlbSpec>;
  /** On an external port: the kernel trusts it with nothing beyond the bytes that it is given. */
  untrusted?: boolean;
}
export interface DeviceTlbSpec {
  entries: number;
  ways: number;
  replacement: Replacement;
}
/** One entry of `workloads`; the members beside these depend on `kind`, see the catalog. */
export interface WorkloadSpec {
  name?: string;
  kind: string;
  device: string;
  tenant?: string;
  cpus?: number[];
  [parameter: string]: unknown;
}

export interface CostsSpec {
  profile: string;
  /** Step name -> cycles, replacing the profile's number. */
  overrides: Record<string, number>;
}

export interface ResolvedSpec {
  name?: string;
  title?: string;
  seed: number;
  machine: MachineSpec;
  iommu: IommuSpec;
  policy: PolicySpec;
  tenants: TenantSpec[];
  domains: DomainSpec[];
  devices: DeviceSpec[];
  workloads: WorkloadSpec[];
  /** As the boot loader would pass it; sets what the other members leave open, see `boot/command-line.ts`. */
  kernelCommandLine: string;
  costs: CostsSpec;
}
