/**
 * What a recording says, in one shape whatever tool wrote it: importers fill it, the tape keeps it, replay, forensics and checks read it.
 *
 * One event is one understood line of the recording, but for a scatter list: a `mapSg`, `unmapSg` or `syncSg` is followed by one
 * `segment` for each of its ranges, with the same line number. An address is a page number and an offset, since 57-bit addresses do
 * not fit a double.
 */

/** Codes of kinds, as the tape has them; never renumbered, only added to. */
export const EVENT_KINDS = {
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
  /** A call of a driver begins: `iommu_lab:call`; `detail` is which. */
  call: 26,
} as const;

export type EventKind = (typeof EVENT_KINDS)[keyof typeof EVENT_KINDS];

/** As `enum dma_data_direction` numbers them; -1 where the line has none. */
export const DIRECTIONS = { bidirectional: 0, toDevice: 1, fromDevice: 2, none: 3, unknown: -1 } as const;

/** None: no device, no address, no partner. */
export const ABSENT = -1;

/**
 * One event. Importers hand the same object again and again, filled anew: who keeps one copies it. Every number is always there, ABSENT
 * where the line does not say it.
 */
export interface RecordedEvent {
  kind: EventKind;
  /** Nanoseconds since the first event of the recording, as its clock says: may step back. */
  timeNs: number;
  /** Below a nanosecond, 0 to 999: only `iommu_lab:*` events of our own exports know it. */
  timePs: number;
  cpu: number;
  pid: number;
  /** Index into the recording's `devices`, whose names are the kernel's: `0000:c2:00.0`. */
  device: number;
  /** Hardware domain id, of invalidations that name one. */
  domain: number;
  /** Page number (4 KiB) and byte offset of the IOVA; for `unmapSg` segments ABSENT. */
  iovaPage: number;
  iovaOffset: number;
  lengthBytes: number;
  physicalPage: number;
  physicalOffset: number;
  direction: number;
  /** 1 a write by the device, 0 a read; of `fault`, `access`, I/O and packets (1: memory is written, so a read from the disk, a received packet). */
  write: number;
  /**
   * What else the kind says: of `mapSg` the number of entries given (`nents`), of `iommuUnmap` the bytes really unmapped, of `invalidate`
   * the granularity (1 global, 2 domain, 3 pages; the sign bit of nothing is used), of `sync` 1 for the device and 0 for the CPU, of
   * `lost` how many, of `failed` the errno, of `ioStart`/`ioEnd` the first 512-byte sector.
   */
  detail: number;
  /** Of the line in the recording, from 1. */
  line: number;
}

/** Where an importer puts what it understood. */
export interface EventSink {
  /** @returns nothing; throws when the tape cannot be written, which ends the import with that reason. */
  event(event: RecordedEvent): void;
  /** @returns the index of a device by its recorded name, given when it is first seen. */
  device(name: string): number;
}

/** What was not understood, by reason. */
export interface SkippedLines {
  reason: string;
  count: number;
  /** From 1. */
  firstLine: number;
}
