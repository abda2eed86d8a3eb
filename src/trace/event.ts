/**
 * What a recording says, in one shape whatever tool wrote it: importers fill it, the tape keeps it, replay, forensics and checks read it.
 *
 * One event is one understood line of the recording, but for a scatter list: a `mapSg`, `unmapSg` or `syncSg` is followed by one
 * `segment` for each of its ranges, with the same line number. An address is a page number and an offset, since 57-bit addresses do
 * not fit a double.
 */
import { ABSENT, KERNEL_DIRECTION, RECORDED } from '../core/devices/replay/source.ts';

/** Codes of kinds, as the tape has them; never renumbered, only added to. Those that a replay acts on are the core's. */
export const EVENT_KINDS = {
  ...RECORDED,
  /** What drops translations that a device holds: `qi_submit` of a device TLB, `cache_tag_flush_*` of one. */
  invalidateDevice: 27,
  /** `qi_submit` that drops no translation of an address: context and PASID entries, interrupt entries. */
  invalidateTables: 28,
  /** `qi_submit` of a wait descriptor: what was asked for before it is done when it is. */
  invalidationWait: 29,
  /** `qi_submit` of the answer to a page request. */
  pageResponse: 30,
  /** `cache_tag_assign`, `cache_tag_unassign`: which caches hold what a domain translates. */
  cacheTag: 31,
  /** `add_device_to_group`, `remove_device_from_group`. */
  group: 32,
} as const;

export type EventKind = (typeof EVENT_KINDS)[keyof typeof EVENT_KINDS];

/** -1 where the line has none. */
export const DIRECTIONS = { ...KERNEL_DIRECTION, unknown: -1 } as const;

export { ABSENT };

/**
 * One event. Importers hand the same object again and again, filled anew: who keeps one copies it. Every number is always there, ABSENT
 * where the line does not say it.
 */
export interface RecordedEvent {
  kind: EventKind;
  /** Nanoseconds since the first event of the recording, as its clock says: may step back, also below 0. */
  timeNs: number;
  /** Below a nanosecond, 0 to 999: only `iommu_lab:*` events of our own exports know it. */
  timePs: number;
  cpu: number;
  pid: number;
  /** Index into the recording's `devices`, whose names are the kernel's: `0000:c2:00.0`. */
  device: number;
  /** Hardware domain id, of invalidations and cache tags that name one; of `invalidateDevice` of a `qi_submit` the device's requester id; of `buffer` the owner's number. */
  domain: number;
  /** Page number (4 KiB) and byte offset of the IOVA; ABSENT in what names physical ranges only, as the segments of `unmapSg` do. */
  iovaPage: number;
  iovaOffset: number;
  lengthBytes: number;
  physicalPage: number;
  physicalOffset: number;
  /** One of DIRECTIONS. */
  direction: number;
  /**
   * Of `fault`, `access`, I/O and packets: 1 when memory is written, so a write by the device, a read from a disk, a received packet; 0
   * when it is read.
   */
  write: number;
  /**
   * What else the kind says:
   *
   * - `mapSg`, `unmapSg`: how many ranges the list has, those that the kernel did not trace included where it says so
   * - `iommuUnmap`: bytes really unmapped
   * - `invalidate`, `invalidateDevice`: granularity, 1 all, 2 one domain, 3 pages
   * - `invalidateTables`: 1 context entries, 2 PASID entries, 3 interrupt entries
   * - `sync`, `syncSg`: 1 for the device, 0 for the CPU
   * - `lost`: how many events, ABSENT when the kernel does not know
   * - `failed`: the errno, negative; ABSENT when the line has none
   * - `fault`: the flags
   * - `ioStart`, `ioEnd`: the first 512-byte sector
   * - `access`: code of the verdict; `buffer`, `bufferFree`: the buffer's number; `call`: code of the op (docs/trace-format.md)
   * - `cacheTag`: 1 assigned, 0 taken away; `group`: the group's number, and `write` 1 when the device came in, 0 when it left
   */
  detail: number;
  /** Of the line in the recording, from 1; of pcap the number of the packet. */
  line: number;
  /**
   * Index of an earlier event that this one ends: the `map` of an `unmap`, the `iommuMap` of an `iommuUnmap`, the `ioStart` of an
   * `ioEnd`, the `buffer` of a `bufferFree`. Events are numbered from 0 as they reach the sink, segments included. See `join.ts`.
   */
  partner: number;
  /** Index of the first earlier event that tells of the same call: the `iommuMap` before a `map`, the `free` before an `iommuUnmap`. */
  call: number;
}

/** Before a line says anything. */
export function emptyEvent(): RecordedEvent {
  return {
    kind: EVENT_KINDS.map,
    timeNs: 0,
    timePs: 0,
    cpu: ABSENT,
    pid: ABSENT,
    device: ABSENT,
    domain: ABSENT,
    iovaPage: ABSENT,
    iovaOffset: ABSENT,
    lengthBytes: ABSENT,
    physicalPage: ABSENT,
    physicalOffset: ABSENT,
    direction: ABSENT,
    write: ABSENT,
    detail: ABSENT,
    line: 0,
    partner: ABSENT,
    call: ABSENT,
  };
}

/** Where an importer puts what it understood. */
export interface EventSink {
  /** @returns nothing; throws when the tape cannot be written, which ends the import with that reason. */
  event(event: RecordedEvent): void;
  /** Asked once for each device, when it is first seen. @returns its index */
  device(name: string): number;
  /** A comment that our own exports left: what follows `# iommu_lab: `. */
  note?(text: string, line: number): void;
}

/** What was not understood, by reason. */
export interface SkippedLines {
  reason: string;
  count: number;
  /** From 1. */
  firstLine: number;
}
