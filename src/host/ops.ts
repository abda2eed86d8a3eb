/**
 * One `ops` request in the session's worker: lines in, one reply line for each that is not blank, in order, and no other. Between
 * two lines any other writer of the session may have its turn; once a run is active, lines are refused as `run-active`.
 *
 * Speed is the point of this path: a line costs one JSON.parse, one check, the operation itself and one JSON.stringify; bytes are
 * passed from and to the main thread in blocks.
 */
import type { LineValidator } from '../api/line-validator.ts';
import type { Operation, Outcome } from '../core/operations.ts';
import type { HostProblem, OpsResume, ToldLine } from './host.ts';
import { LabelError, LabelTable } from './labels.ts';
import { LINE, LineSplitter, NONE, NOT_UTF8, TOO_LONG } from './line-splitter.ts';
import { fromOperation, messageOf, notAsContracted } from './problems.ts';
import type { FromWorker } from './protocol.ts';
import { okLine, printOfLine, problemLine, ResultJson } from './result-json.ts';

/** The session, as a stream of lines sees it. */
export interface LineWriter {
  applyLine(operation: Operation, settle: (outcome: Outcome) => void): Outcome | null;
  /** For a retry under the same key. @param carriedOut it is what the last operation was told */
  noteLine(key: string, told: ToldLine, carriedOut: boolean): void;
  /** There are lines to apply: asks for a turn. */
  wake(stream: OpsStream): void;
  /** There are none for now. */
  sleep(stream: OpsStream): void;
}

export interface OpsSettings {
  stream: number;
  onError: 'stop' | 'continue';
  /** Where an earlier request left off, or null. */
  resume: OpsResume | null;
  /** Under which the journal is to remember each line, or null. */
  key: string | null;
  aborted: SharedArrayBuffer;
  /** Reply bytes that may lie between here and the client. */
  outputBytes: number;
  labelBytes: number;
  validate: LineValidator;
  post(message: FromWorker): void;
}

/** Operations of one `array` request. */
export const LARGEST_ARRAY = 10_000;
/** Replies travel in blocks of about this size. */
const OUTPUT_BLOCK = 64 * 1024;
/** The clock is read once for so many lines. */
const LINES_PER_CLOCK = 4;
/** Whatever `onError` says: all lines that follow would be refused alike, and a session that is paused to save time would spend it on them. */
const ENDS: ReadonlySet<string> = new Set(['session-paused', 'too-much-stored']);
const BLANK = /^[ \t\r]*$/;
const encoder = new TextEncoder();

export class OpsStream {
  private readonly writer: LineWriter;
  private readonly settings: OpsSettings;
  private readonly aborted: Int32Array;
  private readonly labels: LabelTable;
  private readonly resultJson = new ResultJson();
  /** With a key: stands for the line in hand, and lines that were refused since the last that was not. */
  private print = '';
  private readonly refusedLines: ToldLine[] = [];
  private readonly splitter = new LineSplitter();
  private readonly input: (ArrayBuffer | null)[] = [];
  /** The `array` format: elements not yet applied, `lineNumber` of them are done. */
  private readonly elements: unknown[] | null;
  private lineNumber = 0;
  private arrayBegun = false;
  private bodyEnded = false;
  private ended = false;
  /** Reply text not yet posted. */
  private output = '';
  /** Reply bytes posted and not yet taken by the client. */
  private untakenBytes = 0;
  /** A line whose operation is still going on: its name as JSON and its label. */
  private unsettled = false;
  private unsettledOp = '';
  private unsettledLabel: string | null = null;
  private readonly settle = (outcome: Outcome): void => {
    this.unsettled = false;
    this.answer(this.unsettledOp, this.unsettledLabel, outcome);
    if (!this.ended) this.writer.wake(this);
  };

  /** @param elements the operations of an `array` request, or null for lines */
  constructor(writer: LineWriter, settings: OpsSettings, elements: unknown[] | null) {
    this.writer = writer;
    this.settings = settings;
    this.aborted = new Int32Array(settings.aborted);
    this.labels = new LabelTable(settings.labelBytes);
    this.elements = elements;
    if (settings.resume !== null) this.takeUp(settings.resume);
    if (elements !== null) writer.wake(this);
  }

  private takeUp(resume: OpsResume): void {
    this.lineNumber = resume.linesBefore;
    for (const { label, line, result } of resume.labels) {
      if (result === null) this.labels.failed(label, line);
      else this.labels.define(label, result, JSON.stringify(result));
    }
  }

  /** @param bytes null at the end of the body */
  takeInput(bytes: ArrayBuffer | null): void {
    if (this.ended) return;
    this.input.push(bytes);
    this.writer.wake(this);
  }

  /** The client has taken so many bytes of replies. */
  taken(byteCount: number): void {
    this.untakenBytes -= byteCount;
    if (!this.ended) this.writer.wake(this);
  }

  /** Stops here; what was applied stands. */
  abort(problem: HostProblem | null): void {
    if (this.ended) return;
    this.ended = true;
    this.writer.sleep(this);
    this.settings.post({ kind: 'ops-end', stream: this.settings.stream, problem });
  }

  /**
   * Applies lines until `deadline`, or until it has to wait for input, for the client to read, or for a long operation.
   *
   * @returns true when there are more lines to apply now
   */
  pump(deadline: number): boolean {
    let untilClock = LINES_PER_CLOCK;
    let more = false;
    while (!this.ended && !this.unsettled && this.untakenBytes < this.settings.outputBytes) {
      if (this.aborted[0] !== 0) break;
      if (untilClock-- === 0) {
        untilClock = LINES_PER_CLOCK;
        if (performance.now() >= deadline) {
          more = true;
          break;
        }
      }
      if (this.elements !== null) {
        if (this.lineNumber === this.elements.length) this.finish();
        else this.element(this.elements[this.lineNumber]);
      } else if (!this.nextLine()) break;
      if (this.output.length >= OUTPUT_BLOCK) this.postOutput();
    }
    if (!this.ended) this.postOutput();
    return more;
  }

  /** @returns false when there is no line to apply now */
  private nextLine(): boolean {
    const { splitter } = this;
    switch (splitter.next()) {
      case LINE:
        this.lineNumber++;
        this.text(splitter.line);
        return true;
      case TOO_LONG:
        this.lineNumber++;
        this.print = '';
        this.refuse('null', null, { code: 'line-too-long', detail: 'The line is longer than 64 KiB.' });
        return true;
      case NOT_UTF8:
        this.lineNumber++;
        this.print = '';
        this.refuse('null', null, { code: 'not-json', detail: 'The line is not UTF-8.' });
        return true;
      case NONE:
        return this.nextBlock();
    }
  }

  private nextBlock(): boolean {
    const bytes = this.input.shift();
    if (bytes === undefined) {
      if (!this.bodyEnded) return false;
      this.finish();
      return true;
    }
    if (bytes === null) {
      this.bodyEnded = true;
      this.splitter.end();
    } else {
      const { byteLength } = bytes;
      this.splitter.push(bytes);
      this.settings.post({ kind: 'ops-credit', stream: this.settings.stream, byteCount: byteLength });
    }
    return true;
  }

  private text(line: string): void {
    // Most lines begin with a brace: only the others can be blank.
    if (line.charCodeAt(0) !== 123 && BLANK.test(line)) return;
    if (this.settings.key !== null) this.print = printOfLine(line);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      this.refuse('null', null, { code: 'not-json', detail: `The line is not JSON: ${messageOf(error)}` });
      return;
    }
    this.operation(value, this.splitter.escapes || line.includes('$'));
  }

  private element(value: unknown): void {
    this.lineNumber++;
    this.operation(value, true);
  }

  /** @param mayRefer false when no value can begin with `$` */
  private operation(value: unknown, mayRefer: boolean): void {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.refuse('null', null, notAsContracted([{ path: '', message: 'an operation must be a JSON object' }]));
      return;
    }
    const operation = value as Record<string, unknown>;
    const op = quotedName(operation.op);
    const label = typeof operation.as === 'string' ? operation.as : null;
    if (mayRefer) {
      try {
        this.labels.resolve(operation);
      } catch (error) {
        if (!(error instanceof LabelError)) throw error;
        this.refuse(op, label, { code: error.code, detail: error.message, path: error.path });
        return;
      }
    }
    const errors = this.settings.validate(operation);
    if (errors !== null) {
      this.refuse(op, label, notAsContracted(errors));
      return;
    }
    if (label !== null) {
      const refusal = this.labels.refuse(label);
      if (refusal !== null) {
        this.refuse(op, label, refusal);
        return;
      }
    }
    if (label !== null) delete operation.as;
    const outcome = this.writer.applyLine(operation as Operation, this.settle);
    if (outcome !== null) this.answer(op, label, outcome);
    else {
      this.unsettled = true;
      this.unsettledOp = op;
      this.unsettledLabel = label;
    }
  }

  /** @param op name of the operation as JSON */
  private answer(op: string, label: string | null, outcome: Outcome): void {
    if (outcome.status !== 'ok') {
      this.refuse(op, label, fromOperation(outcome.problem), outcome.status === 'failed');
      return;
    }
    const json = this.resultJson.of(op, outcome.result);
    if (label !== null) this.labels.define(label, outcome.result, json);
    const text = okLine(this.lineNumber, op, json);
    this.remember(text, true);
    this.reply(text);
  }

  /** For a retry: this line, if it was carried out, and before it those since the last one that was. */
  private remember(reply: string, carriedOut: boolean): void {
    const { key } = this.settings;
    if (key === null) return;
    const told: ToldLine = { line: this.lineNumber, print: this.print, reply };
    if (!carriedOut) {
      this.refusedLines.push(told);
      return;
    }
    for (const refused of this.refusedLines.splice(0)) this.writer.noteLine(key, refused, false);
    this.writer.noteLine(key, told, true);
  }

  /** @param carriedOut whether the session changed all the same */
  private refuse(op: string, label: string | null, problem: HostProblem, carriedOut = false): void {
    if (label !== null) this.labels.failed(label, this.lineNumber);
    const line = problemLine(this.lineNumber, op, problem);
    this.remember(line, carriedOut);
    this.reply(line);
    if (this.settings.onError === 'stop' || ENDS.has(problem.code)) this.finish();
  }

  private reply(json: string): void {
    if (this.elements === null) this.output += `${json}\n`;
    else this.output += `${this.arrayBegun ? ',' : '['}${json}`;
    this.arrayBegun = true;
  }

  private finish(): void {
    if (this.ended) return;
    if (this.elements !== null) this.output += this.arrayBegun ? ']' : '[]';
    this.postOutput();
    this.ended = true;
    this.writer.sleep(this);
    this.settings.post({ kind: 'ops-end', stream: this.settings.stream, problem: null });
  }

  private postOutput(): void {
    if (this.output === '') return;
    const bytes = encoder.encode(this.output).buffer;
    this.output = '';
    this.untakenBytes += bytes.byteLength;
    // Copied, not transferred: that would make every access to a column slower from then on, see decision 14.
    this.settings.post({ kind: 'ops-output', stream: this.settings.stream, bytes });
  }
}

/** Names of operations as JSON text; the contract has a few dozen. */
const QUOTED_NAMES = new Map<string, string>();
const MOST_QUOTED_NAMES = 64;

function quotedName(op: unknown): string {
  if (typeof op !== 'string') return 'null';
  const known = QUOTED_NAMES.get(op);
  if (known !== undefined) return known;
  const quoted = JSON.stringify(op);
  if (QUOTED_NAMES.size < MOST_QUOTED_NAMES && op.length <= 32) QUOTED_NAMES.set(op, quoted);
  return quoted;
}
