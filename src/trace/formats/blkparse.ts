/**
 * `blkparse` text, as it prints by default: `maj,min cpu seq sec.nsec pid action rwbs`, then what the action has.
 *
 * Source: blktrace, `blkparse_fmt.c`. Only D and C tell of a disk that reads or writes memory: the request is handed over and comes
 * back. All other lines are understood and become no event. From the first summary on (`CPU0 (8,64):`, `Total (8,64):`) nothing is read.
 */
import { EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { LineCutter, LONGEST_LINE } from '../lines/line-cutter.ts';
import { textOf } from '../names.ts';
import { fillIo, memoryIsWritten, passNoData, SECTOR_BYTES } from '../payloads/block.ts';
import { decimal, small } from '../payloads/digits.ts';
import { Words } from '../payloads/words.ts';
import type { FormatEntry, FormatReader } from './format.ts';

const LINE = /^\s*\d+,\d+\s+\d+\s+\d+\s+\d+\.\d{9}\s+\d+\s+\w{1,2}\s/;
const SUMMARY = /^(?:CPU\d+|Total) \(\S+\):|^Throughput \(|^Events \(/;
/** All actions that there are; of two letters those of drivers. */
const ACTION = /^(?:[QGIDRSFMXBCAPUmT]|UT|FG|FM|FC)$/;
const COMMA = 0x2c;
const DOT = 0x2e;
const PLUS = 0x2b;
const BRACKET = 0x5b;
const ISSUED = 0x44;
const COMPLETED = 0x43;

class BlkparseReader implements FormatReader {
  private readonly cutter = new LineCutter(this);
  private readonly intake: Intake;
  private readonly words = new Words();
  private isSummary = false;

  constructor(intake: Intake) {
    this.intake = intake;
  }

  write(chunk: Uint8Array): void {
    this.cutter.write(chunk);
  }

  end(): void {
    this.cutter.end();
  }

  tooLong(): void {
    this.intake.account.line++;
    this.intake.account.skip(`longer than ${LONGEST_LINE} bytes`);
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    const { account } = this.intake;
    account.line++;
    if (this.isSummary) {
      account.comments++;
      return;
    }
    this.words.open(bytes, start, end);
    if (!this.words.next()) {
      account.blank++;
      return;
    }
    if (this.words.find(COMMA) < 0 && SUMMARY.test(textOf(bytes, start, Math.min(end, start + 64)))) {
      this.isSummary = true;
      account.comments++;
      return;
    }
    const wrong = this.event(bytes);
    if (wrong === '') account.understood++;
    else account.skip(wrong);
  }

  /** @returns '', or why the line is skipped */
  private event(bytes: Uint8Array): string {
    const { intake, words } = this;
    const comma = words.find(COMMA);
    if (comma < 0 || small(bytes, words.start, comma) < 0 || small(bytes, comma + 1, words.end) < 0)
      return 'no line of blkparse';
    const deviceStart = words.start;
    const deviceEnd = words.end;
    const cpu = this.number();
    if (cpu < 0 || this.number() < 0) return 'no CPU or number of the line';
    if (!words.next()) return 'no time';
    const dot = words.find(DOT);
    if (dot < 0 || words.end - dot !== 10) return 'no time';
    const seconds = decimal(bytes, words.start, dot);
    const nanoseconds = decimal(bytes, dot + 1, words.end);
    if (seconds < 0 || nanoseconds < 0) return 'no time';
    const pid = this.number();
    if (pid < 0 || !words.next()) return 'no pid or action';
    const action = bytes[words.start]!;
    const isLong = words.end - words.start > 1;
    if (!ACTION.test(textOf(bytes, words.start, Math.min(words.end, words.start + 3))))
      return 'an action that there is not';
    if (isLong || (action !== ISSUED && action !== COMPLETED)) return '';
    if (!words.next()) return 'no letters of the request';
    const written = memoryIsWritten(bytes, words.start, words.end);
    // A flush has no sector: `D  FN [kworker/0:1H]`.
    if (!words.next()) return 'cut before its end';
    const sector = decimal(bytes, words.start, words.end);
    if (sector < 0) return written < 0 ? passNoData(intake) : 'no sector';
    if (!words.next()) return 'cut before its end';
    // Without bytes the length is not printed: `D FWS 4096 [fio]`.
    if (bytes[words.start] === BRACKET) return passNoData(intake);
    if (words.end - words.start !== 1 || bytes[words.start] !== PLUS) return 'no length';
    const sectors = this.number();
    if (sectors < 0) return 'no length';
    if (!words.next()) return 'cut before its end';
    if (written < 0 || sectors === 0) return passNoData(intake);
    const event = intake.clear();
    const wrong = intake.at(seconds, nanoseconds, cpu) || intake.device(bytes, deviceStart, deviceEnd);
    if (wrong !== '') return wrong;
    event.pid = pid;
    fillIo(intake, written, sector, sectors * SECTOR_BYTES);
    intake.emit(action === ISSUED ? EVENT_KINDS.ioStart : EVENT_KINDS.ioEnd);
    return '';
  }

  private number(): number {
    return this.words.next() ? small(this.words.bytes, this.words.start, this.words.end) : -1;
  }
}

export const blkparse: FormatEntry = {
  kind: 'blkparse',
  title: '`blkparse` text',
  recognisedBy: 'lines of the form `maj,min cpu seq sec.nsec pid action`',
  options: {},
  source: 'blktrace, blkparse_fmt.c',
  becomes: 'D becomes `ioStart`, C `ioEnd`, other actions no event; what comes after the first summary is not read',
  recognise({ lines }) {
    const fitting = lines.filter((line) => LINE.test(line)).length;
    return fitting * 2 > lines.length
      ? `${fitting} of its first ${lines.length} lines have a disk, a CPU, a number, a time, a pid and an action`
      : null;
  },
  open: (intake) => new BlkparseReader(intake),
};
