/** Commands of SCSI that move blocks: READ and WRITE of 6, 10, 12 and 16 bytes. */

const READS = ['08', '28', 'a8', '88'];
const WRITES = ['0a', '2a', 'aa', '8a'];

/** @returns 1 for a read from the disk, which writes memory, 0 for a write, -1 for another command */
export function scsiMemoryIsWritten(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 2) return -1;
  const code = String.fromCharCode(bytes[start]!, bytes[start + 1]!).toLowerCase();
  if (READS.includes(code)) return 1;
  return WRITES.includes(code) ? 0 : -1;
}
