/**
 * A recording in memory: what an importer's sink is for tests, for a command line that has read a file, for the history of a session.
 * Large ones belong on a tape; `mostEvents` is where this one ends.
 */
import { createHash } from 'node:crypto';
import type { RecordedEvents, Recordings } from '../core/devices/replay/source.ts';
import { ABSENT, EVENT_KINDS, type EventSink, type RecordedEvent } from './event.ts';
import { createImporter, type ImportSummary } from './importer.ts';

/** About 160 bytes each. */
export const MOST_EVENTS_IN_MEMORY = 4_000_000;

function isHalf(kind: number): boolean {
  return kind === EVENT_KINDS.iommuMap || kind === EVENT_KINDS.iommuUnmap;
}

export class MemoryRecording implements RecordedEvents {
  /** Where an importer puts what it understands. */
  readonly sink: EventSink = {
    event: (event) => this.add(event),
    device: (name) => this.devices.push(name) - 1,
    note: (text) => {
      this.notes.push(text);
    },
  };
  readonly devices: string[] = [];
  /** Comments of our own exports. */
  readonly notes: string[] = [];
  private readonly events: RecordedEvent[] = [];
  /** [event]: what ends it; the call that it is the first half of. */
  private readonly endedBy = new Map<number, number>();
  private readonly calledBy = new Map<number, number>();
  private readonly mostEvents: number;
  private ownDigest: string | null = null;
  private at = ABSENT;

  kind = 0;
  timeNs = 0;
  timePs = 0;
  cpu = ABSENT;
  pid = ABSENT;
  device = ABSENT;
  domain = ABSENT;
  iovaPage = ABSENT;
  iovaOffset = ABSENT;
  lengthBytes = ABSENT;
  physicalPage = ABSENT;
  physicalOffset = ABSENT;
  direction = ABSENT;
  write = ABSENT;
  detail = ABSENT;
  line = ABSENT;

  constructor(mostEvents = MOST_EVENTS_IN_MEMORY) {
    this.mostEvents = mostEvents;
  }

  get count(): number {
    return this.events.length;
  }

  get digest(): string {
    if (this.ownDigest !== null) return this.ownDigest;
    const hash = createHash('sha256');
    for (const event of this.events) hash.update(`${Object.values(event).join(' ')}\n`);
    return (this.ownDigest = hash.update(JSON.stringify(this.devices)).digest('hex'));
  }

  private add(event: RecordedEvent): void {
    const { events } = this;
    if (events.length === this.mostEvents)
      throw new RangeError(
        `the recording has more than ${this.mostEvents} events, which is more than fits into memory`,
      );
    if (event.partner !== ABSENT && !this.endedBy.has(event.partner)) this.endedBy.set(event.partner, events.length);
    if (event.call !== ABSENT && !isHalf(event.kind) && !this.calledBy.has(event.call))
      this.calledBy.set(event.call, events.length);
    events.push({ ...event });
    this.ownDigest = null;
  }

  /** What ends the loaded event, or what it ends. */
  get partner(): number {
    const event = this.events[this.at]!;
    return event.partner !== ABSENT ? event.partner : (this.endedBy.get(this.at) ?? ABSENT);
  }

  /** The call that the loaded event is the page-table half of: the one before it, or behind it, or that of the first half. */
  get joined(): number {
    const event = this.events[this.at]!;
    if (!isHalf(event.kind)) return ABSENT;
    const { call } = event;
    if (call === ABSENT) return this.calledBy.get(this.at) ?? ABSENT;
    return isHalf(this.events[call]!.kind) ? (this.calledBy.get(call) ?? ABSENT) : call;
  }

  /** As an importer handed it on. */
  original(index: number): Readonly<RecordedEvent> {
    return this.events[index]!;
  }

  load(index: number): void {
    const event = this.events[index];
    if (event === undefined) throw new RangeError(`event ${index} of ${this.count}`);
    this.at = index;
    this.kind = event.kind;
    this.timeNs = event.timeNs;
    this.timePs = event.timePs;
    this.cpu = event.cpu;
    this.pid = event.pid;
    this.device = event.device;
    this.domain = event.domain;
    this.iovaPage = event.iovaPage;
    this.iovaOffset = event.iovaOffset;
    this.lengthBytes = event.lengthBytes;
    this.physicalPage = event.physicalPage;
    this.physicalOffset = event.physicalOffset;
    this.direction = event.direction;
    this.write = event.write;
    this.detail = event.detail;
    this.line = event.line;
  }
}

/** Imports a text whole. @throws ImportError */
export function recordingOf(
  text: string | Uint8Array,
  settings: { format?: string; options?: Record<string, unknown>; strict?: boolean } = {},
): { recording: MemoryRecording; summary: ImportSummary } {
  const recording = new MemoryRecording();
  const importer = createImporter({ format: 'auto', ...settings, sink: recording.sink });
  importer.write(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  importer.end();
  return { recording, summary: importer.summary() };
}

/** A few recordings, by digest. */
export function recordingsOf(...recordings: readonly RecordedEvents[]): Recordings {
  const byDigest = new Map(recordings.map((recording) => [recording.digest, recording]));
  return { open: (digest) => byDigest.get(digest) ?? null };
}
