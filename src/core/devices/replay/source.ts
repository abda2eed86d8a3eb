/**
 * What the core reads of a recording: its events in order, one at a time, by number. Who has the recording (a file of fixed-size
 * records, a list in memory) implements it; the core does no I/O and never sees a line.
 *
 * The events are those of the importers (`src/trace/event.ts`, which has its codes from here), in the same order and with the same
 * numbers: a scatter list is a `mapSg`, `unmapSg` or `syncSg` and a `segment` for each range right behind it.
 */

/** Codes of kinds, as a recording has them; never renumbered, only added to. Importers have more, which a replay passes over. */
export const RECORDED = {
  /** `dma_map_phys`, `dma_map_page`, `dma_map_resource`. */
  map: 1,
  /** `dma_unmap_phys`, `dma_unmap_page`, `dma_unmap_resource`. */
  unmap: 2,
  /** `dma_map_sg`; its `segment`s follow. */
  mapSg: 3,
  /** `dma_unmap_sg`: physical ranges only; its `segment`s follow. */
  unmapSg: 4,
  /** One range of the `mapSg`, `unmapSg` or `syncSg` before it. */
  segment: 5,
  /** `dma_alloc` and its kin: coherent memory is given to a driver. */
  alloc: 6,
  /** `dma_free` and its kin. */
  free: 7,
  /** `dma_sync_single_for_cpu`/`_device`. */
  sync: 8,
  /** `dma_sync_sg_for_cpu`/`_device`; its `segment`s follow. */
  syncSg: 9,
  /** A call of the DMA API that failed: `dma_map_sg_err`, `dma_alloc_sgt_err`, an allocation without an address. */
  failed: 10,
  /** `iommu:map`: what was written into the page table. */
  iommuMap: 11,
  /** `iommu:unmap`. */
  iommuUnmap: 12,
  /** `iommu:io_page_fault`. */
  fault: 13,
  /** `attach_device_to_domain`. */
  attach: 14,
  /** `detach_device_from_domain`. */
  detach: 15,
  /** An invalidation: `qi_submit` of one, `cache_tag_flush_range`, `cache_tag_flush_all`. */
  invalidate: 16,
  /** `swiotlb_bounced`. */
  bounced: 17,
  /** The kernel says that it dropped events here; what follows may be unmatched for want of them. */
  lost: 18,
  /** A device's access. No kernel records it; `iommu_lab:access` of our own exports does. */
  access: 19,
  /** Memory given to an owner: `iommu_lab:buffer`, or synthesised for a block trace. */
  buffer: 20,
  /** Memory given back: `iommu_lab:free`. */
  bufferFree: 21,
  /** `prq_report`: a page request. */
  pageRequest: 22,
  /** Block I/O handed to the device and come back, of blkparse and block CSVs; packets, of pcap. */
  ioStart: 23,
  ioEnd: 24,
  packet: 25,
  /** `iommu_lab:call`: a call begins whose lines follow on the same CPU. */
  call: 26,
} as const;

/** No device, no address, no partner. */
export const ABSENT = -1;

/** As `enum dma_data_direction` numbers them. */
export const KERNEL_DIRECTION = { bidirectional: 0, toDevice: 1, fromDevice: 2, none: 3 } as const;

/**
 * One recording. `load` fills the fields; the next `load` fills them anew, so who needs one longer copies it. Reading in order is
 * cheap; any number may be asked for (a partner's, a window's first).
 */
export interface RecordedEvents {
  /** 64 hex digits over all events and device names: what a session's digest covers, and what it is found by after a restart. */
  readonly digest: string;
  /** Events, segments counted each. */
  readonly count: number;
  /** [device]: its recorded name, `0000:c2:00.0`. */
  readonly devices: readonly string[];

  /** @param index 0 to `count` - 1 */
  load(index: number): void;

  readonly kind: number;
  /** Nanoseconds since the recording's first event; may step back. */
  readonly timeNs: number;
  readonly timePs: number;
  readonly cpu: number;
  readonly pid: number;
  readonly device: number;
  readonly domain: number;
  readonly iovaPage: number;
  readonly iovaOffset: number;
  readonly lengthBytes: number;
  readonly physicalPage: number;
  readonly physicalOffset: number;
  readonly direction: number;
  readonly write: number;
  readonly detail: number;
  readonly line: number;
  /**
   * Of what begins something (`map`, `mapSg`, `alloc`, `iommuMap`, `ioStart`, `buffer`) the event that ends it, of what ends it the one that began
   * it; ABSENT where the recording has none.
   */
  readonly partner: number;
  /**
   * Of an `iommuMap` or `iommuUnmap` that is the page-table half of a call of the DMA API in the same recording: that call's event.
   * ABSENT where it stands for itself, as with VFIO.
   */
  readonly joined: number;
}

/** Where recordings are had from; synchronous, since the core cannot wait. */
export interface Recordings {
  /** @param digest as `RecordedEvents.digest`. @returns null when there is no such recording here */
  open(digest: string): RecordedEvents | null;
}

export const NO_RECORDINGS: Recordings = { open: () => null };
