/** What recordings may take of the server; what one principal may take stands in `src/access/limits.ts`. */

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

export interface ArchiveLimits {
  /** Traces on record, of all principals. */
  traces: number;
  /** Of one recording, packed as it comes. */
  uploadBytes: number;
  /** Of one recording, unpacked. */
  unpackedBytes: number;
  /** Unpacked bytes to a packed one, once there are more than `freeUnpackedBytes`. */
  ratio: number;
  freeUnpackedBytes: number;
  /** Of all uploads and tapes on the disk. */
  storedBytes: number;
  /** Left free on the disk for everything else that the server keeps. */
  reserveBytes: number;
  /** Recordings that are read at a time, each in a thread of its own. */
  readers: number;
  /** Of such a thread, as V8 counts it. */
  heapMib: number;
  /** Bytes that may lie on the disk unread before the sender is held back. */
  leadBytes: number;
  /** An upload that brings nothing for so long is ended; its bytes stay. */
  idleMs: number;
  /** A reader that has had nothing for so long gives its place to a recording that waits for one. */
  starvedMs: number;
}

export const ARCHIVE_LIMITS: Readonly<ArchiveLimits> = {
  traces: 10_000,
  uploadBytes: 16 * GIB,
  unpackedBytes: 64 * GIB,
  ratio: 1_000,
  freeUnpackedBytes: 256 * MIB,
  storedBytes: 64 * GIB,
  reserveBytes: 256 * MIB,
  readers: 2,
  heapMib: 1_024,
  leadBytes: 64 * MIB,
  idleMs: 60_000,
  starvedMs: 5_000,
};
