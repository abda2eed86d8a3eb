/**
 * Lines of events, whose prefix the format knows and whose payload is the same in all: what ftrace, trace-cmd and perf have in common,
 * lines that are no events included.
 */
import { MOST_CPUS } from '../clock.ts';
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { EventPrefix } from '../lines/event-prefix.ts';
import { LineCutter, LONGEST_LINE } from '../lines/line-cutter.ts';
import { textOf } from '../names.ts';
import { Payloads } from '../payloads/index.ts';
import type { FormatReader } from './format.ts';

const SPACE = 0x20;
const TAB = 0x09;
const HASH = 0x23;
/** Of a line that is no event, as much is looked at as says what it is. */
const LOOKED_AT = 256;
const NOTE = '# iommu_lab: ';
const LONGEST_NOTE = 4096;

export type PrefixForm = 'ftrace' | 'perf';

/** A line that is none of an event, and what it is instead. */
export interface OtherLine {
  form: RegExp;
  /** Why it is skipped; `comment` and `blank` are no reasons. */
  is: string;
}

export class EventLines implements FormatReader {
  private readonly cutter = new LineCutter(this);
  private readonly intake: Intake;
  private readonly isPerf: boolean;
  private readonly others: readonly OtherLine[];
  private readonly prefix = new EventPrefix();
  private readonly payloads = new Payloads();

  /** @param others forms of lines of this format alone, looked at before those of all */
  constructor(intake: Intake, form: PrefixForm, others: readonly OtherLine[]) {
    this.intake = intake;
    this.isPerf = form === 'perf';
    this.others = [...others, ...NO_EVENTS];
  }

  write(chunk: Uint8Array): void {
    this.cutter.write(chunk);
  }

  end(): void {
    this.cutter.end();
  }

  line(bytes: Uint8Array, start: number, end: number): void {
    const { intake, prefix } = this;
    intake.account.line++;
    if (start < end && bytes[start] === HASH) {
      this.comment(bytes, start, end);
      return;
    }
    const isEvent = this.isPerf ? prefix.readPerf(bytes, start, end) : prefix.readFtrace(bytes, start, end);
    if (!isEvent) {
      this.otherLine(bytes, start, end);
      return;
    }
    const event = intake.clear();
    event.pid = prefix.pid;
    let wrong = intake.at(prefix.seconds, prefix.nanoseconds, prefix.cpu);
    if (wrong === '')
      wrong = this.payloads.read(
        intake,
        bytes,
        prefix.nameStart,
        prefix.eventStart,
        prefix.nameEnd,
        prefix.payloadStart,
        withoutTail(bytes, prefix.payloadStart, end),
      );
    if (wrong === '') intake.account.understood++;
    else intake.account.skip(wrong);
  }

  tooLong(): void {
    this.intake.account.line++;
    this.intake.account.skip(`longer than ${LONGEST_LINE} bytes`);
  }

  private comment(bytes: Uint8Array, start: number, end: number): void {
    const { account, sink } = this.intake;
    account.comments++;
    if (sink.note === undefined || end - start > LONGEST_NOTE) return;
    const text = textOf(bytes, start, end);
    if (text.startsWith(NOTE)) sink.note(text.slice(NOTE.length), account.line);
  }

  private otherLine(bytes: Uint8Array, start: number, end: number): void {
    const { account } = this.intake;
    if (isBlank(bytes, start, end)) {
      account.blank++;
      return;
    }
    if (isFrame(bytes, start, end)) {
      account.skip(A_CALL_CHAIN);
      return;
    }
    const text = textOf(bytes, start, Math.min(end, start + LOOKED_AT));
    const lost = LOST.exec(text);
    if (lost !== null) {
      this.lost(lost[1], lost[2] ?? lost[3] ?? lost[4]);
      return;
    }
    for (const { form, is } of this.others) {
      if (!form.test(text)) continue;
      if (is === 'comment') account.comments++;
      else account.skip(is);
      return;
    }
    account.skip('no line of an event');
  }

  private lost(cpu: string | undefined, count: string | undefined): void {
    const { intake } = this;
    const number = cpu === undefined ? ABSENT : Number(cpu);
    if (number >= MOST_CPUS) {
      intake.account.skip(`a CPU beyond ${MOST_CPUS - 1}`);
      return;
    }
    const event = intake.clear();
    intake.atLatest(number);
    // Fifteen digits stay exact.
    if (count !== undefined) {
      event.detail = Number(count);
      intake.lostEvents += event.detail;
    } else intake.account.warn('events were lost, the recording does not say how many');
    intake.emitUntimed(EVENT_KINDS.lost);
    intake.account.understood++;
  }
}

/** Of a stack trace: ` => iommu_map`, and the line that announces them. */
export const CALL_CHAIN = /^\s*=> |<stack trace>/;
const A_CALL_CHAIN = 'a call chain';

/** Ftrace; trace-cmd; perf with `--show-lost-events`. */
const LOST =
  /^\s*(?:CPU:\s*(\d{1,5}) \[(?:LOST (?:(\d{1,12}) )?EVENTS|(\d{1,12}) EVENTS DROPPED)\]|.*PERF_RECORD_LOST\b.*?\blost (\d{1,12}))/;

const NO_EVENTS: readonly OtherLine[] = [
  { form: CALL_CHAIN, is: A_CALL_CHAIN },
  { form: /^\s*\d+\)\s|^\s*-{6,}|^\s*\d+\)\s*=>/, is: 'function_graph' },
  { form: /\[LINE TOO BIG\]/, is: 'a line that the kernel gave up on' },
];

/** `\tffffffff8109b8d4 iommu_map+0x34 ([kernel.kallsyms])`: perf writes many of them for each event. */
function isFrame(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  const digits = at;
  while (at < end && isHexDigit(bytes[at]!)) at++;
  return digits > start && at - digits >= 6 && at - digits <= 16 && at < end && bytes[at] === SPACE;
}

function isHexDigit(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66);
}

/** Blanks at the end are no part of a payload. */
function withoutTail(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1] === SPACE) at--;
  return at;
}

function isBlank(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== SPACE && bytes[i] !== TAB && bytes[i] !== 0) return false;
  return true;
}
