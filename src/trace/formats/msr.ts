/**
 * Block traces of Microsoft Research in SNIA's repository: `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`, mostly without
 * these names.
 *
 * Source: SNIA IOTTA, "MSR Cambridge Traces". The timestamp is a FILETIME, 100 ns since 1601, which does not fit a double: its last
 * seven digits are the fraction of a second. ResponseTime has the same unit.
 */
import type { Intake } from '../intake.ts';
import type { ReadTime } from '../lines/cells.ts';
import { textOf } from '../names.ts';
import { SECTOR_BYTES } from '../payloads/block.ts';
import { BlockRows } from './block-rows.ts';
import type { FormatEntry } from './format.ts';
import { TableLines } from './table-lines.ts';

const LINE = /^\d{17,18},[^,]+,\d+,(?:Read|Write),\d+,\d+,\d+\s*$/i;
const HEADER = /^timestamp,hostname,disknumber,type,offset,size,responsetime\s*$/i;
const CELLS = 7;
const FILETIME_DIGITS = 7;
const COMMA = 0x2c;
const LARGEST_BYTES = 2 ** 40;

class MsrReader extends TableLines {
  private readonly begun: ReadTime = { seconds: 0, nanoseconds: 0 };

  constructor(intake: Intake) {
    super(intake, new BlockRows(intake, 0), COMMA);
  }

  protected header(): boolean {
    // The timestamp has too many digits to be asked for as a whole number.
    const digit = this.cells.bytes[this.cells.start[0]!]! - 0x30;
    return digit < 0 || digit > 9;
  }

  protected row(): string {
    const { cells, intake, begun } = this;
    if (cells.count !== CELLS) return `not ${CELLS} cells`;
    if (!cells.time(0, FILETIME_DIGITS, begun)) return 'a Timestamp that is no number';
    const type = textOf(cells.bytes, cells.start[3]!, Math.min(cells.end[3]!, cells.start[3]! + 8)).toLowerCase();
    if (type !== 'read' && type !== 'write') return 'a Type that is not Read or Write';
    const offset = cells.whole(4);
    const size = cells.whole(5);
    const response = cells.whole(6);
    if (offset < 0 || size < 0 || response < 0) return 'an Offset, Size or ResponseTime that is no number';
    if (size > LARGEST_BYTES) return 'a Size beyond 1 TiB';
    // Host and disk stand beside each other: `hm,0`.
    const unnamed = intake.device(cells.bytes, cells.start[1]!, cells.end[2]!);
    if (unnamed !== '') return unnamed;
    const written = type === 'read' ? 1 : 0;
    this.rows.add(begun.seconds, begun.nanoseconds, response * 100, written, Math.floor(offset / SECTOR_BYTES), size);
    return '';
  }
}

export const msr: FormatEntry = {
  kind: 'msr',
  title: 'MSR Cambridge block traces (SNIA)',
  recognisedBy: 'rows of seven cells with a FILETIME first and Read or Write fourth',
  options: {},
  source: 'SNIA IOTTA repository, MSR Cambridge Traces',
  becomes: '`ioStart` at Timestamp, `ioEnd` at Timestamp + ResponseTime',
  recognise({ lines }) {
    const fitting = lines.filter((line) => LINE.test(line) || HEADER.test(line)).length;
    return fitting * 2 > lines.length ? `${fitting} of its first ${lines.length} lines are rows of such a table` : null;
  },
  open: (intake) => new MsrReader(intake),
};
