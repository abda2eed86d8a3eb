/**
 * What happened, for people and subscribers: the last 10,000 entries, and those that nobody has drained yet. No part of the state:
 * neither digest nor behaviour depends on it.
 */
import type { Notice } from './simulator-api.ts';

const KEPT = 10_000;
/** Notices waiting for the host; a run of a hostile device makes them by the million. */
const WAITING = 1_000;

export interface LogEntry {
  sequence: number;
  timeNs: number;
  type: string;
  data: Record<string, unknown>;
}

export class EventLog {
  private entries: LogEntry[] = [];
  private head = 0;
  private sequence = 0;
  private waiting: Notice[] = [];
  private dropped = 0;

  add(type: string, timeNs: number, data: Record<string, unknown>): void {
    const entry = { sequence: ++this.sequence, timeNs, type, data };
    if (this.entries.length < KEPT) this.entries.push(entry);
    else {
      this.entries[this.head] = entry;
      this.head = (this.head + 1) % KEPT;
    }
    this.notice({ topic: 'events', timeNs, data: { sequence: entry.sequence, type, ...data } });
  }

  notice(notice: Notice): void {
    if (this.waiting.length >= WAITING) this.dropped++;
    else this.waiting.push(notice);
  }

  /** Whether another notice would only be counted: callers then need not build it. */
  get full(): boolean {
    if (this.waiting.length < WAITING) return false;
    this.dropped++;
    return true;
  }

  /** Entries after a sequence number, oldest first. */
  after(sequence: number, limit: number): LogEntry[] {
    const out: LogEntry[] = [];
    const first = this.sequence - this.entries.length + 1;
    for (let i = Math.max(0, sequence + 1 - first); i < this.entries.length && out.length < limit; i++)
      out.push(this.entries[(this.head + i) % this.entries.length]!);
    return out;
  }

  drain(limit: number): { notices: Notice[]; dropped: number } {
    const notices = this.waiting.splice(0, limit);
    const { dropped } = this;
    this.dropped = 0;
    return { notices, dropped };
  }

  clear(): void {
    this.entries = [];
    this.head = 0;
    this.sequence = 0;
    this.waiting = [];
    this.dropped = 0;
  }
}
