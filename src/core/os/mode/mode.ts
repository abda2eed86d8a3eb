/**
 * What every protection mode is: what stands between a device and memory, and what a map, an unmap and a sync do about it. One file
 * per mode in this folder, and one line in `index.ts`.
 *
 * The modes that translate each mapping (`translate`, `emulated`, `paravirtual`, `nested`) have no object of this kind: the DMA API itself is
 * what they do, with another way to the chip. The others take the place of its map and unmap, chosen once, at construction.
 */
import type { InvalidationUnit } from '../../hardware/invalidation.ts';
import type { Memory } from '../../hardware/memory.ts';
import type { PageTables } from '../../hardware/page-table.ts';
import type { Costs, StepName } from '../../meter/cost-profile.ts';
import type { Counters } from '../../meter/counters.ts';
import type { Work } from '../../meter/work.ts';
import type { Clock } from '../../sim/clock.ts';
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { Lock } from '../../sim/lock.ts';
import type { Oracle } from '../../truth/oracle.ts';
import type { Device } from '../device.ts';
import type { DmaApi } from '../dma-api.ts';
import type { Domain } from '../domain.ts';
import type { PolicyFunctions } from '../invalidation/functions.ts';
import type { IotlbFlush } from '../iotlb-flush.ts';
import type { Mappings } from '../mappings.ts';
import type { PageMapper } from '../page-mapper.ts';
import type { InputSegment } from '../scatterlist.ts';
import type { BouncePool } from './bounce-pool.ts';
import type { GuestMemory, HypervisorParts } from './guest-memory.ts';

/** What a mode works with: what real driver code has, and the records of the DMA API. */
export interface ModeParts {
  dma: DmaApi;
  clock: Clock;
  work: Work;
  costs: Costs;
  counters: Counters;
  memory: Memory;
  tables: PageTables;
  mapper: PageMapper;
  mappings: Mappings;
  oracle: Oracle;
  unit: InvalidationUnit;
  flush: IotlbFlush;
  domains: readonly Domain[];
  /** How many the machine has. */
  cpus: number;
  /** The pool of the session, made when it is first asked for; null when there are no frames for it. */
  bouncePool(aligned: boolean): BouncePool | null;
  /** Invalidates at once whatever the session's policy is. */
  strict: PolicyFunctions;
  parameters: Record<string, unknown>;
}

/** Results of `map` that are no slot, beside those of the DMA API. */
export const MAP_BOUNCE_FULL = -4;
export const MAP_UNREACHABLE = -5;
export const MAP_SHADOW_FULL = -6;

export interface Mode {
  /** As `DmaApi.map`, `mapSg`, `unmap`; books its cost to the operation in progress and keeps the oracle told. */
  map(device: Device, kind: number, direction: number, frame: number, offset: number, lengthBytes: number): number;
  mapSg(device: Device, direction: number, segments: readonly InputSegment[]): number;
  unmap(slot: number, device: Device): void;
  /**
   * Part of a live mapping goes to the CPU or to the device; what lies outside the mapped bytes is left alone.
   * @param forDevice false: for the CPU
   */
  sync(slot: number, forDevice: boolean, offsetBytes: number, lengthBytes: number): void;
  /** A live mapping goes without an unmap, with its domain: what the mode holds for it is given back, nothing is copied. */
  abandon(slot: number): void;
  /** A domain was made: what its devices reach before anything is mapped. @returns false without a frame for a table */
  domainMade(domain: Domain): boolean;
  domainGone(domain: Domain): void;
  /** A device leaves its domain; books its cost. */
  deviceLeft(device: Device, domain: Domain): void;
  /** IOVA pages that stand mapped in every domain and that no allocator may hand out; null none. */
  readonly standing: { first: number; last: number } | null;
  /** Whether coherent memory is taken from what stands mapped, not from the page allocator. */
  readonly ownCoherent: boolean;
  /** Gauges for the metrics. */
  gauges(): Record<string, number>;
  /** For `GET .../space`: what the devices of a domain see beside its IOVA space. */
  inspect(domain: Domain): Record<string, unknown>;
  readonly locks: readonly Lock[];
  digest(sink: DigestSink): void;
}

/** A member of the policy that has no effect under a mode, and why. */
export interface Unused {
  /** JSON Pointer into the spec. */
  path: string;
  why: string;
}

export interface ModeEntry {
  kind: string;
  description: string;
  source: string;
  /** What differs from the source. */
  departs: string;
  /** What goes wrong with it. */
  pathology: string;
  /** JSON schema and defaults of `policy.<kind>`; without properties for a mode that has no parameters. */
  schema: Record<string, unknown>;
  defaults: Record<string, unknown>;
  /** Whether it is the mode of guests: a domain then belongs to a tenant of kind `vm`. */
  virtual: boolean;
  /** Whether each mapping is translated by the DMA API, so that an untrusted device's partial pages bounce. */
  translates: boolean;
  /** Whether the IOVA is the physical address and tables, if any, are not the driver's: `iommu-map` has no place then. */
  direct: boolean;
  /** Whether a packet pays the profile's `packetTax`, as with any IOMMU mode. */
  taxed: boolean;
  /** Caching mode whatever the hardware says: `true` forced on. */
  cachingMode: boolean;
  /** Steps of the profile that it takes beside the allocator's and those of every translated mapping. */
  steps: readonly StepName[];
  /** The same where it depends on the parameters. */
  stepsWith?(parameters: Record<string, unknown>): readonly StepName[];
  /** Steps of every translated mapping that it has no use for. */
  spares: readonly StepName[];
  /** Whether it takes addresses from the allocator. */
  allocates: boolean;
  unused: readonly Unused[];
  /** null: the DMA API's own way. */
  create(parts: ModeParts): Mode | null;
  /** What keeps guests' memory mapped; none without. */
  hypervisor?(parts: HypervisorParts): GuestMemory;
}

/** The schema of a mode without parameters. */
export const noParameters = { type: 'object', additionalProperties: false, properties: {} };
