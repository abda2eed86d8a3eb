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

/** More than anybody reads; kept in memory only. */
const KEPT = 400;

export class EventLog {
  /** Newest first. */
  lines: LogLine[] = [];
  /** What the simulation was too fast to tell, in all. */
  dropped = 0;
  private serial = 0;

  clear(): void {
    this.lines = [];
    this.dropped = 0;
  }

  /** Of any topic but metrics. */
  take({ type, data, timeNs }: Frame): void {
    if (type === 'runs') {
      this.takeRun(data as Run, timeNs);
      return;
    }
    const { items = [], dropped = 0 } = data as Items;
    this.dropped += dropped;
    const read = type === 'faults' ? faultLine : type === 'verdicts' ? verdictLine : eventLine;
    this.push(items.slice(-KEPT).map((item) => read(item)));
  }

  gap(words: string): void {
    this.push([{ kind: 'gap', timeNs: null, what: 'gap', text: words, more: '' }]);
  }

  private takeRun({ id, state, problem }: Run, timeNs: number): void {
    const newest = this.lines.find(({ kind }) => kind === 'run');
    // Progress has its own place.
    if (newest?.what === state && newest.text.startsWith(id)) return;
    this.push([{ kind: 'run', timeNs, what: state, text: `${id} ${state}`, more: problem?.detail ?? '' }]);
  }

  private push(lines: readonly Omit<LogLine, 'serial'>[]): void {
    const made = lines.map((line) => ({ ...line, serial: ++this.serial })).reverse();
    this.lines = [...made, ...this.lines].slice(0, KEPT);
  }
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
