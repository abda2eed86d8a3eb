/**
 * Rows of a block trace that has one row for each I/O -> its start and its end, in the order of their times.
 *
 * A row says when an I/O began and, in some tables, how long it took: ends are kept back until the rows have come as far, MOST_UNDER_WAY at
 * most. Where the clock of a table is so coarse that many rows share a tick, they are spread over it evenly, in their order; when
 * there are more than MOST_IN_TICK, each MOST_IN_TICK take half of what is left of the tick.
 */
import { ABSENT, EVENT_KINDS } from '../event.ts';
import type { Intake } from '../intake.ts';
import { fillIo, passNoData } from '../payloads/block.ts';

/** More than any queue of a disk holds. */
export const MOST_UNDER_WAY = 65_536;
export const MOST_IN_TICK = 16_384;

interface Row {
  seconds: number;
  nanoseconds: number;
  /** ABSENT: the table does not say. */
  durationNs: number;
  written: number;
  sector: number;
  lengthBytes: number;
  /** The sink's index. */
  device: number;
  line: number;
}

export class BlockRows {
  private readonly intake: Intake;
  /** Length of a tick; 0: times are as they are. */
  private readonly tickNs: number;
  /** A heap of ends, the earliest first; among equal ones the row that came first. */
  private readonly ends: Row[] = [];
  /** Rows of the tick in progress. */
  private tick: Row[] = [];
  /** How much of the tick is taken already. */
  private tickFrom = 0;

  constructor(intake: Intake, tickNs: number) {
    this.intake = intake;
    this.tickNs = tickNs;
  }

  /** A row whose device is in the event of the intake. */
  add(
    seconds: number,
    nanoseconds: number,
    durationNs: number,
    written: number,
    sector: number,
    lengthBytes: number,
  ): void {
    if (lengthBytes === 0) {
      passNoData(this.intake);
      return;
    }
    const { device } = this.intake.event;
    const row = {
      seconds,
      nanoseconds,
      durationNs,
      written,
      sector,
      lengthBytes,
      device,
      line: this.intake.account.line,
    };
    if (this.tickNs === 0) {
      this.start(row);
      return;
    }
    const [first] = this.tick;
    if (first !== undefined && (first.seconds !== seconds || first.nanoseconds !== nanoseconds)) this.endTick();
    if (this.tick.length === MOST_IN_TICK) this.spread((this.tickNs - this.tickFrom) / 2);
    this.tick.push(row);
  }

  end(): void {
    this.endTick();
    while (this.ends.length > 0) this.passEnd();
  }

  private endTick(): void {
    this.spread(this.tickNs - this.tickFrom);
    this.tickFrom = 0;
  }

  private spread(width: number): void {
    const rows = this.tick;
    this.tick = [];
    rows.forEach((row, i) => {
      const at = row.nanoseconds + Math.floor(this.tickFrom + (i * width) / rows.length);
      row.seconds += Math.floor(at / 1e9);
      row.nanoseconds = at % 1e9;
      this.start(row);
    });
    this.tickFrom += width;
  }

  private start(row: Row): void {
    while (this.ends.length > 0 && !isBefore(row, this.ends[0]!)) this.passEnd();
    this.pass(row, EVENT_KINDS.ioStart);
    if (row.durationNs === ABSENT) return;
    if (this.ends.length === MOST_UNDER_WAY) {
      this.intake.account.warn(`more than ${MOST_UNDER_WAY} I/Os are under way: ends are told before their time`);
      this.passEnd();
    }
    const whole = Math.floor(row.durationNs / 1e9);
    const nanoseconds = row.nanoseconds + (row.durationNs - whole * 1e9);
    const carry = nanoseconds >= 1e9 ? 1 : 0;
    row.seconds += whole + carry;
    row.nanoseconds = nanoseconds - carry * 1e9;
    this.push(row);
  }

  private passEnd(): void {
    this.pass(this.pop(), EVENT_KINDS.ioEnd);
  }

  private pass(row: Row, kind: typeof EVENT_KINDS.ioStart | typeof EVENT_KINDS.ioEnd): void {
    const { intake } = this;
    const event = intake.clear();
    if (intake.at(row.seconds, row.nanoseconds, ABSENT) !== '') {
      intake.account.warn('an I/O began or ended more than 104 days from the first event and is left out');
      return;
    }
    event.device = row.device;
    event.line = row.line;
    fillIo(intake, row.written, row.sector, row.lengthBytes);
    intake.emit(kind);
  }

  private push(row: Row): void {
    const { ends } = this;
    let at = ends.length;
    ends.push(row);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isEarlier(ends[above]!, row)) break;
      ends[at] = ends[above]!;
      at = above;
    }
    ends[at] = row;
  }

  private pop(): Row {
    const { ends } = this;
    const first = ends[0]!;
    const last = ends.pop()!;
    const size = ends.length;
    if (size === 0) return first;
    let at = 0;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= size) break;
      if (below + 1 < size && isEarlier(ends[below + 1]!, ends[below]!)) below++;
      if (isEarlier(last, ends[below]!)) break;
      ends[at] = ends[below]!;
      at = below;
    }
    ends[at] = last;
    return first;
  }
}

function isBefore(a: Row, b: Row): boolean {
  return a.seconds === b.seconds ? a.nanoseconds < b.nanoseconds : a.seconds < b.seconds;
}

function isEarlier(a: Row, b: Row): boolean {
  const isEqual = a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
  return isEqual ? a.line < b.line : isBefore(a, b);
}
