/**
 * The line that is being written of a watched simulation, and its moment.
 *
 * A call and all that is traced of it have the moment at which it *began*, where a kernel's tracepoints fire when the work is done. Calls
 * of several CPUs overlap, and addresses are handed out in the order in which driver's turns begin: only stamped so does a replay at the
 * recorded times meet timers and calls in the same order. Stamps never fall: a call that began before the one written above it, on
 * another CPU, has that one's stamp; and one that is part of a turn that began before a timer was due has a stamp before that timer's.
 */
import { EVENT } from '../../../core/event-kinds.ts';
import type { Simulator } from '../../../core/simulator.ts';
import { ABSENT, type EventKind, emptyEvent, type RecordedEvent } from '../../event.ts';

/** A replay has moments in whole nanoseconds, so that its timers may be due one earlier. */
const BEFORE_TIMER_PS = 2000;
/** pid of what operations do; workload n has the pid n more than one higher. */
const OPERATIONS_PID = 1;

export interface ObservedSink {
  /** The same object every time, filled anew. */
  event(event: RecordedEvent): void;
}

/** A stretch of memory, or of addresses. */
export interface Stretch {
  page: number;
  offset: number;
  lengthBytes: number;
}

export class ObservedLines {
  private readonly simulator: Simulator;
  private readonly sink: ObservedSink;
  private readonly line = emptyEvent();
  // The newest stamp.
  private timeNs = 0;
  private timePs = 0;
  /** What a driver sets up in advance takes no time of the run: its calls have the moment at which it does so. */
  private settingUp = false;
  private inTimer = false;

  constructor(simulator: Simulator, sink: ObservedSink) {
    this.simulator = simulator;
    this.sink = sink;
    const fire = simulator.fire.bind(simulator);
    simulator.fire = (time, kind, argument) => {
      this.stamp(time);
      this.inTimer = true;
      fire(time, kind, argument);
      this.inTimer = false;
    };
    // Whose work is to take time of a run begins it with rows to book it to.
    const { work } = simulator;
    const begin = work.begin.bind(work);
    work.begin = (cpu, start) => {
      this.settingUp = simulator.run !== null && !simulator.run.ended && !this.inTimer;
      begin(cpu, start);
    };
    const beginFor = work.beginFor.bind(work);
    work.beginFor = (rows, cpu, start) => {
      this.settingUp = false;
      beginFor(rows, cpu, start);
    };
  }

  private stamp(ps: number): void {
    const ns = this.simulator.clock.toNs(ps);
    const rest = ((ps % 1000) + 1000) % 1000;
    if (ns < this.timeNs || (ns === this.timeNs && rest <= this.timePs)) return;
    this.timeNs = ns;
    this.timePs = rest;
  }

  /** What follows has the session's time. */
  stampNow(): void {
    this.stamp(this.simulator.clock.now);
  }

  /** The moment at which a call begins; but before a timer that is due meanwhile and fires after it, and within the run. */
  stampCall(): void {
    if (this.settingUp) {
      this.stampNow();
      return;
    }
    const { work, queue, run } = this.simulator;
    const end = run === null || run.ended ? Number.POSITIVE_INFINITY : run.end();
    this.stamp(Math.min(work.now(), queue.nextTimeBelow(EVENT.workload) - BEFORE_TIMER_PS, end));
  }

  /** @returns the line, stamped and without anything that a kind of its own has; `tell` hands it on */
  fresh(kind: EventKind): RecordedEvent {
    const { line } = this;
    const { work, exposure } = this.simulator;
    line.kind = kind;
    line.timeNs = this.timeNs;
    line.timePs = this.timePs;
    line.cpu = work.cpu;
    line.pid = OPERATIONS_PID + 1 + exposure.workload;
    line.device = ABSENT;
    line.domain = ABSENT;
    line.iovaPage = ABSENT;
    line.iovaOffset = ABSENT;
    line.lengthBytes = ABSENT;
    line.physicalPage = ABSENT;
    line.physicalOffset = ABSENT;
    line.direction = ABSENT;
    line.write = ABSENT;
    line.detail = ABSENT;
    return line;
  }

  tell(event: RecordedEvent): void {
    this.sink.event(event);
  }
}
