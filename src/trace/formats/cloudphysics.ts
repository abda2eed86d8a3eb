/**
 * Block traces of CloudPhysics as libCacheSim has them: `version,time,op,size,lbn`, `op` a SCSI command in hexadecimal, time in whole
 * seconds, `lbn` in sectors of 512 bytes. Many rows share a second: they are spread over it (`block-rows.ts`).
 *
 * Source: libCacheSim, `data/trace.csv`; SCSI Block Commands for the codes.
 */
import { ABSENT } from '../event.ts';
import type { Intake } from '../intake.ts';
import type { ReadTime } from '../lines/cells.ts';
import { BlockRows } from './block-rows.ts';
import type { FormatEntry } from './format.ts';
import { scsiMemoryIsWritten } from './scsi.ts';
import { TableLines } from './table-lines.ts';

const LINE = /^\d+,\d+(?:\.\d+)?,[0-9a-f]{2},\d+,\d+\s*$/i;
const HEADER = /^version,time,op,size,lbn\s*$/i;
const CELLS = 5;
const COMMA = 0x2c;
const LARGEST_BYTES = 2 ** 40;
const SECOND = 1e9;

class CloudphysicsReader extends TableLines {
  private readonly begun: ReadTime = { seconds: 0, nanoseconds: 0 };

  constructor(intake: Intake) {
    super(intake, new BlockRows(intake, SECOND), COMMA);
  }

  protected header(): boolean {
    return this.cells.whole(0) < 0;
  }

  protected row(): string {
    const { cells, begun } = this;
    if (cells.count !== CELLS) return `not ${CELLS} cells`;
    if (!cells.time(1, 0, begun)) return 'a time that is no number';
    const written = scsiMemoryIsWritten(cells.bytes, cells.start[2]!, cells.end[2]!);
    if (written < 0) return 'an op that is no read or write of SCSI';
    const size = cells.whole(3);
    const sector = cells.whole(4);
    if (size < 0 || sector < 0) return 'a size or lbn that is no number';
    if (size > LARGEST_BYTES) return 'a size beyond 1 TiB';
    this.rows.add(begun.seconds, begun.nanoseconds, ABSENT, written, sector, size);
    return '';
  }
}

export const cloudphysics: FormatEntry = {
  kind: 'cloudphysics',
  title: 'CloudPhysics block traces (libCacheSim)',
  recognisedBy: 'its header `version,time,op,size,lbn`, or rows of five cells with a SCSI command third',
  options: {},
  source: 'libCacheSim, data/trace.csv',
  becomes: '`ioStart`, spread evenly over the second that rows share; the table does not say when an I/O ended',
  recognise({ lines }) {
    if (lines[0] !== undefined && HEADER.test(lines[0])) return `it has the header "${lines[0].trim()}"`;
    const fitting = lines.filter((line) => LINE.test(line)).length;
    return fitting * 2 > lines.length ? `${fitting} of its first ${lines.length} lines are rows of such a table` : null;
  },
  open: (intake) => new CloudphysicsReader(intake),
};
