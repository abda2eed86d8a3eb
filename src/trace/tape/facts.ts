/** What a tape says of itself, in its header, its seal and its footer; a file that is none, or was cut or changed there, is refused. */
import type { TapeFile } from './file.ts';
import {
  HEADER_BYTES,
  HEADER_MAGIC,
  HEADER_SUM_AT,
  headerBytes,
  LARGEST_FOOTER_BYTES,
  LATE_ENTRIES,
  type LateRun,
  type Note,
  PAGE_BYTES,
  PAGE_RECORDS,
  SEAL_AT,
  SEAL_BYTES,
  SEAL_MAGIC,
  sumOf,
  TAPE_VERSION,
  TapeError,
} from './layout.ts';

export interface TapeFacts {
  digest: string;
  records: number;
  devices: readonly string[];
  notes: readonly Note[];
  summary: unknown;
}

export interface PlacedFacts extends TapeFacts {
  late: LateRun[];
  /** Of both kinds. */
  pages: number;
}

/** @throws TapeError */
export function readFacts(file: TapeFile): PlacedFacts {
  const { path, size } = file;
  if (size < HEADER_BYTES) throw new TapeError('unsealed', path, 'it ends within its header.', size);
  readHeader(file);
  const unsealed = 'it has no seal: its writer did not come to its end.';
  if (size < HEADER_BYTES + SEAL_BYTES) throw new TapeError('unsealed', path, unsealed, size);
  const sealStart = size - SEAL_BYTES;
  const seal = file.read(Buffer.alloc(SEAL_BYTES), sealStart);
  if (!seal.subarray(0, SEAL_MAGIC.length).equals(SEAL_MAGIC))
    throw new TapeError('unsealed', path, unsealed, sealStart);
  if (sumOf(seal.subarray(0, SEAL_AT.sum)) !== seal.readUInt32LE(SEAL_AT.sum))
    throw new TapeError('damaged', path, 'the seal does not fit its sum.', sealStart);
  const footerStart = seal.readDoubleLE(SEAL_AT.footerStart);
  const footerBytes = seal.readUInt32LE(SEAL_AT.footerBytes);
  const records = seal.readDoubleLE(SEAL_AT.records);
  const otherLength = new TapeError('damaged', path, 'the seal tells of another length than the file has.', sealStart);
  if (footerBytes > LARGEST_FOOTER_BYTES || footerStart + footerBytes !== sealStart) throw otherLength;
  const footer = file.read(Buffer.alloc(footerBytes), footerStart);
  if (sumOf(footer) !== seal.readUInt32LE(SEAL_AT.footerSum))
    throw new TapeError('damaged', path, 'devices and summary do not fit their sum.', footerStart);
  const { devices, notes, late, summary } = JSON.parse(footer.toString()) as Pick<
    PlacedFacts,
    'devices' | 'notes' | 'late' | 'summary'
  >;
  let pages = Math.ceil(records / PAGE_RECORDS);
  for (const { entries } of late) pages += Math.ceil(entries / LATE_ENTRIES);
  if (footerStart !== HEADER_BYTES + pages * PAGE_BYTES) throw otherLength;
  const digest = seal.subarray(SEAL_AT.digest, SEAL_AT.digest + 32).toString('hex');
  return { digest, records, devices, notes, summary, late, pages };
}

function readHeader(file: TapeFile): void {
  const { path } = file;
  const header = file.read(Buffer.alloc(HEADER_BYTES), 0);
  if (!header.subarray(0, HEADER_MAGIC.length).equals(HEADER_MAGIC))
    throw new TapeError('damaged', path, 'this is no tape.', 0);
  if (sumOf(header.subarray(0, HEADER_SUM_AT)) !== header.readUInt32LE(HEADER_SUM_AT))
    throw new TapeError('damaged', path, 'the header does not fit its sum.', 0);
  const version = header.readUInt32LE(8);
  if (version !== TAPE_VERSION)
    throw new TapeError(
      'other-version',
      path,
      `the tape is of version ${version}, and this release reads version ${TAPE_VERSION}: it is to be made anew from its recording.`,
    );
  if (!header.equals(headerBytes())) throw new TapeError('damaged', path, 'the header has other sizes.', 0);
}
