/**
 * Where the readers of all formats put what they understood: one event, filled anew for each line, the ranges of its scatter list, the
 * devices met so far, the clock. It hands events to the sink with their partners (`join.ts`), in the order of the recording unless the
 * CPUs are to be merged (`cpu-merge.ts`).
 */
import { Account } from './account.ts';
import { MOST_CPUS, RecordingClock } from './clock.ts';
import { CpuMerge } from './cpu-merge.ts';
import { ABSENT, EVENT_KINDS, type EventKind, type EventSink, emptyEvent, type RecordedEvent } from './event.ts';
import { Joiner } from './join.ts';
import { NameTable } from './names.ts';
import { RangeList } from './range-list.ts';

export const MOST_DEVICES = 4096;
const LONGEST_DEVICE = 128;

export interface IntakeSettings {
  sink: EventSink;
  strict: boolean;
  /** Events that are held back to bring the clocks of the CPUs in order; 0: as recorded. */
  mergeWindow: number;
}

export class Intake {
  readonly account: Account;
  readonly clock = new RecordingClock();
  readonly event: RecordedEvent = emptyEvent();
  /** Ranges of the scatter list of `event`; empty for all others. */
  readonly ranges = new RangeList();
  readonly joiner: Joiner;
  readonly sink: EventSink;
  private readonly merge: CpuMerge | null;
  private readonly devices = new NameTable(MOST_DEVICES);
  /** [index in `devices`]: the sink's own. */
  private readonly deviceOfSink: number[] = [];
  private readonly kinds = new Float64Array(64);
  /** As printed, of the line in progress. */
  private seconds = 0;
  private nanoseconds = 0;
  lostEvents = 0;

  constructor({ sink, strict, mergeWindow }: IntakeSettings) {
    this.sink = sink;
    this.account = new Account(strict);
    this.joiner = new Joiner(sink);
    this.merge = mergeWindow > 0 ? new CpuMerge(mergeWindow, this.joiner) : null;
  }

  /** Makes the event empty, but for its line. */
  clear(): RecordedEvent {
    const { event } = this;
    event.timePs = 0;
    event.cpu = ABSENT;
    event.pid = ABSENT;
    event.device = ABSENT;
    event.domain = ABSENT;
    event.iovaPage = ABSENT;
    event.iovaOffset = ABSENT;
    event.lengthBytes = ABSENT;
    event.physicalPage = ABSENT;
    event.physicalOffset = ABSENT;
    event.direction = ABSENT;
    event.write = ABSENT;
    event.detail = ABSENT;
    event.line = this.account.line;
    event.partner = ABSENT;
    event.call = ABSENT;
    this.ranges.count = 0;
    return event;
  }

  /** When it happened, as printed. @returns '', or why the line is skipped */
  at(seconds: number, nanoseconds: number, cpu: number): string {
    if (cpu >= MOST_CPUS) return `a CPU beyond ${MOST_CPUS - 1}`;
    const timeNs = this.clock.since(seconds, nanoseconds);
    if (Number.isNaN(timeNs)) return 'more than 104 days from the first event';
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    this.event.timeNs = timeNs;
    this.event.cpu = cpu;
    return '';
  }

  /** The time of the event before, for a line that has none. */
  atLatest(cpu: number): void {
    this.event.timeNs = this.clock.nowNs;
    this.event.cpu = cpu;
  }

  /** The event names this device. @returns '', or why the line is skipped */
  device(bytes: Uint8Array, start: number, end: number): string {
    let index = this.devices.find(bytes, start, end);
    if (index < 0) {
      if (end <= start) return 'no device';
      if (end - start > LONGEST_DEVICE) return 'the name of a device is too long';
      for (let i = start; i < end; i++)
        if (bytes[i]! < 0x20 || bytes[i]! > 0x7e) return 'the name of a device has bytes that cannot be printed';
      if (this.devices.isFull) return `more than ${MOST_DEVICES} devices`;
      index = this.devices.add(bytes, start, end);
      this.deviceOfSink.push(this.sink.device(this.devices.names[index]!));
    }
    this.event.device = this.deviceOfSink[index]!;
    return '';
  }

  get deviceNames(): readonly string[] {
    return this.devices.names;
  }

  /** The event is complete, and has a time of its own by `at`. */
  emit(kind: EventKind): void {
    this.clock.advance(this.seconds, this.nanoseconds, this.event.timeNs, this.event.cpu);
    this.pass(kind);
  }

  /** The event is complete and has the time of another, by `atLatest`. */
  emitUntimed(kind: EventKind): void {
    this.pass(kind);
  }

  end(): void {
    this.merge?.end();
  }

  private pass(kind: EventKind): void {
    const { event, ranges } = this;
    event.kind = kind;
    this.kinds[kind]!++;
    this.kinds[EVENT_KINDS.segment]! += ranges.count;
    if (this.merge === null) this.joiner.event(event, ranges);
    else this.merge.event(event, ranges);
  }

  /** By name, those that there are. */
  eventCounts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [name, kind] of Object.entries(EVENT_KINDS)) if (this.kinds[kind]! > 0) counts[name] = this.kinds[kind]!;
    return counts;
  }

  get mergedLate(): number {
    return this.merge?.late ?? 0;
  }
}
