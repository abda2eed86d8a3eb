/** What the readers of tables have in common: one row a line, comments, blank lines, lines that are too long. */
import type { Intake } from '../intake.ts';
import { Cells } from '../lines/cells.ts';
import { LineCutter, LONGEST_LINE } from '../lines/line-cutter.ts';
import type { BlockRows } from './block-rows.ts';
import type { FormatReader } from './format.ts';

const HASH = 0x23;

export abstract class TableLines implements FormatReader {
  protected readonly intake: Intake;
  protected readonly cells = new Cells();
  protected readonly rows: BlockRows;
  private readonly cutter = new LineCutter(this);
  private readonly delimiter: number;
  private isFirst = true;

  constructor(intake: Intake, rows: BlockRows, delimiter: number) {
    this.intake = intake;
    this.rows = rows;
    this.delimiter = delimiter;
  }

  /** @returns whether the first row is one of names */
  protected abstract header(): boolean;
  /** The cells are a row. @returns '', or why it is skipped */
  protected abstract row(): string;

  write(chunk: Uint8Array): void {
    this.cutter.write(chunk);
  }

  end(): void {
    this.cutter.end();
    this.rows.end();
  }

  tooLong(): void {
    this.intake.account.line++;
    this.intake.account.skip(`longer than ${LONGEST_LINE} bytes`);
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    const { account } = this.intake;
    account.line++;
    if (bytes[start] === HASH && start < end) {
      account.comments++;
      return;
    }
    this.cells.cut(bytes, start, end, this.delimiter);
    if (this.cells.count === 1 && this.cells.start[0] === this.cells.end[0]) {
      account.blank++;
      return;
    }
    const isHeader = this.isFirst && this.header();
    this.isFirst = false;
    if (isHeader) {
      account.comments++;
      return;
    }
    this.intake.clear();
    const wrong = this.row();
    if (wrong === '') account.understood++;
    else account.skip(wrong);
  }
}
