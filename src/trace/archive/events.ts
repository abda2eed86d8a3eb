/** Events of a tape as people read them: pages of JSON, found by scanning a bounded stretch at a time. */
import { setImmediate as turn } from 'node:timers/promises';
import { ABSENT, EVENT_KINDS } from '../event.ts';
import { PAGE_RECORDS } from '../tape/layout.ts';
import type { TapeReader } from '../tape.ts';

export interface EventsQuery {
  /** Index of the first one looked at. */
  from: number;
  limit: number;
  /** Name of a kind, as in EVENT_KINDS. */
  kind?: string;
  /** As recorded. */
  device?: string;
}

export interface TraceEvent {
  index: number;
  line: number;
  kind: string;
  timeNs: number;
  timePs?: number;
  cpu?: number;
  pid?: number;
  device?: string;
  domain?: number;
  iova?: string;
  lengthBytes?: number;
  physicalAddress?: string;
  direction?: string;
  write?: boolean;
  detail?: number;
  partner?: number;
  joined?: number;
}

export interface EventsPage {
  items: TraceEvent[];
  /** On the tape. */
  records: number;
  /** Where to go on; absent at the end. A page may be short, or empty, and not be the last. */
  nextFrom?: number;
}

/** Records looked at for one page: some four megabytes. */
const SCANNED = 65 * PAGE_RECORDS;
const KIND_NAMES = new Map<number, string>(Object.entries(EVENT_KINDS).map(([name, code]) => [code, name]));
const DIRECTION_NAMES = ['bidirectional', 'to-device', 'from-device', 'none'];

/** @throws TapeError */
export async function pageOfEvents(tape: TapeReader, { from, limit, kind, device }: EventsQuery): Promise<EventsPage> {
  const items: TraceEvent[] = [];
  const wantedKind = kind === undefined ? null : ((EVENT_KINDS as Record<string, number>)[kind] ?? ABSENT);
  const wantedDevice = device === undefined ? null : tape.devices.indexOf(device);
  const end = Math.min(tape.count, from + SCANNED);
  let index = from;
  for (; index < end && items.length < limit; index++) {
    // A page of the tape is read at a time, and others have their turn in between.
    if (index > from && index % PAGE_RECORDS === 0) await turn();
    tape.load(index);
    if (wantedKind !== null && tape.kind !== wantedKind) continue;
    if (wantedDevice !== null && (wantedDevice < 0 || tape.device !== wantedDevice)) continue;
    items.push(eventOf(tape, index));
  }
  return { items, records: tape.count, ...(index < tape.count ? { nextFrom: index } : {}) };
}

/** What is absent in the record is absent in it. */
export function eventOf(tape: TapeReader, index: number): TraceEvent {
  const event: TraceEvent = {
    index,
    line: tape.line,
    kind: KIND_NAMES.get(tape.kind) ?? String(tape.kind),
    timeNs: tape.timeNs,
  };
  if (tape.timePs > 0) event.timePs = tape.timePs;
  if (tape.cpu !== ABSENT) event.cpu = tape.cpu;
  if (tape.pid !== ABSENT) event.pid = tape.pid;
  if (tape.device !== ABSENT) event.device = tape.devices[tape.device] as string;
  if (tape.domain !== ABSENT) event.domain = tape.domain;
  if (tape.iovaPage !== ABSENT) event.iova = address(tape.iovaPage, tape.iovaOffset);
  if (tape.lengthBytes !== ABSENT) event.lengthBytes = tape.lengthBytes;
  if (tape.physicalPage !== ABSENT) event.physicalAddress = address(tape.physicalPage, tape.physicalOffset);
  if (tape.direction !== ABSENT) event.direction = DIRECTION_NAMES[tape.direction] as string;
  if (tape.write !== ABSENT) event.write = tape.write === 1;
  if (tape.detail !== ABSENT) event.detail = tape.detail;
  const { partner, joined } = tape;
  if (partner !== ABSENT) event.partner = partner;
  if (joined !== ABSENT) event.joined = joined;
  return event;
}

function address(page: number, offset: number): string {
  return `0x${((BigInt(page) << 12n) + BigInt(Math.max(0, offset))).toString(16)}`;
}
