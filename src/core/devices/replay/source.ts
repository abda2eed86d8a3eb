/**
 * What the core reads of a recording: its events in order, one at a time, by number. Who has the recording (a file of fixed-size
 * records, a list in memory) implements it; the core does no I/O and never sees a line.
 *
 * The events are those of `src/trace/event.ts`, in the same order, with the same codes and the same numbers: a scatter list is a
 * `mapSg`, `unmapSg` or `syncSg` and a `segment` for each range right behind it. `tools/layers.ts` keeps the core from importing that
 * file, so a test holds the two against each other.
 */

/** Codes of kinds that a replay acts on; those of `EVENT_KINDS` of the importers. */
export const RECORDED = {
  map: 1,
  unmap: 2,
  mapSg: 3,
  unmapSg: 4,
  segment: 5,
  alloc: 6,
  free: 7,
  sync: 8,
  syncSg: 9,
  failed: 10,
  iommuMap: 11,
  iommuUnmap: 12,
  fault: 13,
  attach: 14,
  detach: 15,
  invalidate: 16,
  bounced: 17,
  lost: 18,
  access: 19,
  buffer: 20,
  bufferFree: 21,
  pageRequest: 22,
  ioStart: 23,
  ioEnd: 24,
  packet: 25,
  call: 26,
} as const;

/** No device, no address, no partner. */
export const ABSENT = -1;

/** `enum dma_data_direction`, as recordings have it. */
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
