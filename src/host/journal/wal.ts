/**
 * A look at SQLite's write-ahead log before SQLite reads it. SQLite takes the log up to the first frame whose sum is wrong and says
 * nothing of what follows. That is right for a frame that was being written when the machine stopped, and wrong for a byte that
 * changed since: then frames follow that are whole, and with them operations that were acknowledged.
 *
 * Format: sqlite.org/fileformat2.html#walformat. A header of 32 bytes, then frames of 24 bytes and a page. Frames of an earlier round
 * of the log have other salts. Each sum goes on from the one before it.
 */
import { readFileSync } from 'node:fs';

export interface LogTail {
  /** Whole frames. */
  frames: number;
  /** All that was logged before is in the database, and the log has begun a new round, of which no frame is whole yet. */
  begun: boolean;
  /** What the log holds cannot be trusted; names file and offset. */
  damage: string | null;
  /** An unfinished write was dropped. */
  warning: string | null;
}

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

export function inspectLog(path: string): LogTail {
  let log: Buffer;
  try {
    log = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { frames: 0, begun: false, damage: null, warning: null };
    throw error;
  }
  if (log.length === 0) return { frames: 0, begun: false, damage: null, warning: null };
  const pageBytes = log.length >= HEADER_BYTES ? log.readUInt32BE(8) : 0;
  const sum = new Sum(log, (log.length >= 4 ? log.readUInt32BE(0) : 0) === MAGIC);
  sum.add(0, 24);
  const knownMagic = log.length >= 4 && log.readUInt32BE(0) >>> 1 === MAGIC >>> 1;
  if (log.length < HEADER_BYTES || !knownMagic || !sum.isAt(24)) {
    // The header is written and synced before the first frame: a short file has never held one.
    if (log.length <= HEADER_BYTES)
      return { frames: 0, begun: false, damage: null, warning: `${path}: an unfinished header was dropped.` };
    return {
      frames: 0,
      begun: false,
      damage: `${path} is damaged at offset 0: its header does not match its sum.`,
      warning: null,
    };
  }
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let frames = 0;
  let offset = HEADER_BYTES;
  for (; offset + frameBytes <= log.length; offset += frameBytes, frames++) {
    if (!hasSaltsOf(log, offset)) break;
    sum.add(offset, 8);
    sum.add(offset + FRAME_HEADER_BYTES, pageBytes);
    if (!sum.isAt(offset + 16)) break;
  }
  const begun = frames === 0 && hasBegun(log);
  if (offset >= log.length) return { frames, begun, damage: null, warning: null };
  if (wholeFrameAfter(log, offset, pageBytes)) {
    return {
      frames,
      begun,
      damage: `${path} is damaged at offset ${offset}: a frame does not match its sum, and whole ones follow it.`,
      warning: null,
    };
  }
  const unfinished = offset + FRAME_HEADER_BYTES <= log.length && hasSaltsOf(log, offset);
  return {
    frames,
    begun,
    damage: null,
    warning: unfinished ? `${path}: what lay at offset ${offset} was not written to its end and was dropped.` : null,
  };
}

/**
 * Whether a first frame lies there that is the last round's or was being written. A new round counts the first salt up by one and draws the
 * second anew: no one byte that changes makes a frame of this round one of the last.
 */
function hasBegun(log: Buffer): boolean {
  if (log.length < HEADER_BYTES + FRAME_HEADER_BYTES) return false;
  const [count, draw] = [log.readUInt32BE(HEADER_BYTES + 8), log.readUInt32BE(HEADER_BYTES + 12)];
  return hasSaltsOf(log, HEADER_BYTES) || ((count + 1) >>> 0 === log.readUInt32BE(16) && draw !== log.readUInt32BE(20));
}

/** Whether a frame of this round that is whole in itself stands behind the bad one: its sum goes on from the one stored before it. */
function wholeFrameAfter(log: Buffer, bad: number, pageBytes: number): boolean {
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  for (let offset = bad + frameBytes; offset + frameBytes <= log.length; offset += frameBytes) {
    if (!hasSaltsOf(log, offset)) continue;
    const sum = new Sum(log, log.readUInt32BE(0) === MAGIC);
    sum.startFrom(offset - frameBytes + 16);
    sum.add(offset, 8);
    sum.add(offset + FRAME_HEADER_BYTES, pageBytes);
    if (sum.isAt(offset + 16)) return true;
  }
  return false;
}

function hasSaltsOf(log: Buffer, offset: number): boolean {
  return (
    log.readUInt32BE(offset + 8) === log.readUInt32BE(16) && log.readUInt32BE(offset + 12) === log.readUInt32BE(20)
  );
}

class Sum {
  private readonly log: Buffer;
  private readonly littleEndian: boolean;
  private first = 0;
  private second = 0;

  constructor(log: Buffer, littleEndian: boolean) {
    this.log = log;
    this.littleEndian = littleEndian;
  }

  startFrom(offset: number): void {
    this.first = this.log.readUInt32BE(offset);
    this.second = this.log.readUInt32BE(offset + 4);
  }

  /** @param bytes a multiple of 8 */
  add(offset: number, bytes: number): void {
    const { log, littleEndian } = this;
    let { first, second } = this;
    const end = Math.min(offset + bytes, log.length - 7);
    for (let at = offset; at < end; at += 8) {
      const one = littleEndian ? log.readUInt32LE(at) : log.readUInt32BE(at);
      const other = littleEndian ? log.readUInt32LE(at + 4) : log.readUInt32BE(at + 4);
      first = (first + one + second) >>> 0;
      second = (second + other + first) >>> 0;
    }
    this.first = first;
    this.second = second;
  }

  isAt(offset: number): boolean {
    return this.log.readUInt32BE(offset) === this.first && this.log.readUInt32BE(offset + 4) === this.second;
  }
}
