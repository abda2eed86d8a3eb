/** What happened, line by line, newest first and no more than is kept: verdicts, faults, events, runs, gaps. Pure. */
import type { Fault, Run } from '../../api/contract-types.ts';
import { count, duration } from '../format.ts';
import type { Frame } from '../resume.ts';

export type LineKind = 'fault' | 'verdict' | 'event' | 'run' | 'gap';

export interface LogLine {
  /** Rising; what a list knows it by. */
  serial: number;
  kind: LineKind;
  timeNs: number | null;
  /** A verdict, a fault's name, an event's type. */
  what: string;
  text: string;
  /** Forensics and the like. */
  more: string;
}

interface Items {
  items?: readonly Record<string, unknown>[];
  dropped?: number;
}

/** Of each kind, so that a flood of one leaves the others; more than anybody reads, kept in memory only. */
export const KEPT = 60;
/** Of one frame, at most; tells the lines of one from those of the next. */
const MOST_OF_A_FRAME = 2 ** 20;

/** What came at once: a frame, not read before its lines are wanted. */
interface Batch {
  order: number;
  /** Oldest first. */
  lines(): readonly Line[];
  made: readonly LogLine[] | null;
}

const NONE = (): readonly Line[] => [];

export class EventLog {
  /** What the simulation was too fast to tell, in all. */
  dropped = 0;
  /** Rises with everything that came. */
  serial = 0;
  private newestRun = '';
  /** Newest first. */
  private readonly kinds = new Map<LineKind, Batch[]>();

  clear(): void {
    this.kinds.clear();
    this.newestRun = '';
    this.dropped = 0;
    this.serial++;
  }

  /** Of all kinds, newest first. */
  lines(): LogLine[] {
    return [...this.kinds.keys()].flatMap((kind) => this.newestOf(kind)).sort((a, b) => b.serial - a.serial);
  }

  /** Of any topic but metrics. */
  take(frame: Frame): void {
    const { type, timeNs } = frame;
    if (type === 'runs') this.takeRun(frame.data as Run, timeNs);
    // Much at once: what comes after it may make it not worth reading.
    else if (type === 'faults') this.push('fault', () => itemsOf(frame).slice(-KEPT).map(faultLine));
    else if (type === 'verdicts') this.push('verdict', () => verdictsIn(frame).slice(-KEPT).map(verdictLine));
    else {
      this.dropped += (frame.data as Items).dropped ?? 0;
      this.push('event', () => itemsOf(frame).slice(-KEPT).map(eventLine));
    }
  }

  gap(words: string): void {
    this.push('gap', () => [{ kind: 'gap', timeNs: null, what: 'gap', text: words, more: '' }]);
  }

  private takeRun({ id, state, problem }: Run, timeNs: number): void {
    // Progress has its own place.
    if (this.newestRun === `${id} ${state}`) return;
    this.newestRun = `${id} ${state}`;
    const lines: Line[] = [{ kind: 'run', timeNs, what: state, text: `${id} ${state}`, more: problem?.detail ?? '' }];
    this.push('run', () => lines);
  }

  private push(kind: LineKind, lines: Batch['lines']): void {
    const batches = this.kinds.get(kind) ?? [];
    batches.unshift({ order: ++this.serial, lines, made: null });
    this.kinds.set(kind, batches);
  }

  /** Reads as much as there is to show, and forgets the rest. */
  private newestOf(kind: LineKind): LogLine[] {
    const batches = this.kinds.get(kind) ?? [];
    const found: LogLine[] = [];
    let read = 0;
    for (; read < batches.length && found.length < KEPT; read++) {
      const batch = batches[read] as Batch;
      batch.made ??= batch
        .lines()
        .map((line, i) => ({ ...line, serial: batch.order * MOST_OF_A_FRAME + i }))
        .reverse();
      // What it was made of is not needed any more.
      batch.lines = NONE;
      found.push(...batch.made);
    }
    batches.length = read;
    return found.slice(0, KEPT);
  }
}

function itemsOf({ data }: Frame): readonly Record<string, unknown>[] {
  return (data as Items).items ?? [];
}

/** A verdict `fault` is told by its fault. */
function verdictsIn(frame: Frame): readonly Record<string, unknown>[] {
  return itemsOf(frame).filter(({ verdict }) => verdict !== 'fault');
}

/**
 * What a list shows next on its way from `shown` to `wanted`: `most` more of the new ones, the oldest of them first. Both newest first.
 */
export function towards(shown: readonly LogLine[], wanted: readonly LogLine[], most: number): readonly LogLine[] {
  const newest = shown[0]?.serial ?? 0;
  const fresh = wanted.filter(({ serial }) => serial > newest);
  return fresh.length <= most ? wanted : [...fresh.slice(-most), ...shown].slice(0, wanted.length);
}

type Line = Omit<LogLine, 'serial'>;

function faultLine(item: Record<string, unknown>): Line {
  const fault = item as unknown as Fault;
  return {
    kind: 'fault',
    timeNs: fault.timeNs ?? null,
    what: fault.name,
    text: fault.message,
    more: forensicsInWords(fault),
  };
}

/** `use after unmap: mapped 16.4 µs before (to-device), unmapped 862 ns before`. */
export function forensicsInWords({ forensics }: Fault): string {
  if (forensics === undefined) return '';
  const { lastMap, lastUnmap, verdict = '' } = forensics;
  const parts: string[] = [];
  if (lastMap) {
    const direction = typeof lastMap.direction === 'string' ? ` (${lastMap.direction})` : '';
    parts.push(`mapped ${duration(lastMap.sinceNs as number)} before${direction}`);
  }
  if (lastUnmap) parts.push(`unmapped ${duration(lastUnmap.sinceNs as number)} before`);
  if (parts.length === 0) parts.push('never mapped');
  return verdict === '' ? parts.join(', ') : `${verdict}: ${parts.join(', ')}`;
}

function verdictLine(item: Record<string, unknown>): Line {
  const { timeNs, workload, device, iova, lengthBytes, access, verdict } = item;
  return {
    kind: 'verdict',
    timeNs: timeNs as number,
    what: String(verdict),
    text: `${device} ${access} of ${count(lengthBytes as number)} bytes at ${iova}`,
    more: workload === undefined ? '' : `by ${workload}`,
  };
}

function eventLine(item: Record<string, unknown>): Line {
  const { sequence: _, timeNs, type, ...rest } = item;
  const parts = Object.entries(rest).map(
    ([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`,
  );
  return { kind: 'event', timeNs: timeNs as number, what: String(type), text: parts.join(', '), more: '' };
}
