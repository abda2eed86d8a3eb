/**
 * What every check of a recording is: told of each event in turn, and at the end what it found. One file a check, one line in `index.ts`.
 *
 * A check keeps what is live and sums, never the recording: what it has is bounded, and `LiveMappings` says by how much.
 */
import type { RecordedEvents } from '../../core/devices/replay/source.ts';
import type { LiveMappings, Mapping } from './live.ts';

/** `info`: worth knowing; `warning`: costs or may be wrong; `error`: is wrong, unless events are missing. */
export type Severity = 'info' | 'warning' | 'error';

export interface Example {
  /** Of the recording, from 1. */
  line: number;
  text: string;
}

export interface Finding {
  check: string;
  severity: Severity;
  count: number;
  /** The first few. */
  examples: Example[];
  /** What it means and what to do about it. */
  explanation: string;
}

/** What checks share of the event at hand: all of it is of the event as it was before the event took effect. */
export interface Scene {
  events: RecordedEvents;
  index: number;
  live: LiveMappings;
}

export interface Check {
  /** A mapping has begun. */
  mapped?(mapping: Mapping, scene: Scene): void;
  /** One has ended, by the event at hand. */
  unmapped?(mapping: Mapping, scene: Scene): void;
  /** An unmap of what is not mapped. */
  unmatched?(scene: Scene): void;
  /** Any event, before what it does to mappings. */
  event?(scene: Scene): void;
  /** @returns null when there is nothing to say */
  finish(scene: Scene): Finding | null;
}

export interface CheckEntry {
  check: string;
  /** What it looks for, in a line. */
  title: string;
  create(): Check;
}

const MOST_EXAMPLES = 5;

/** Counts, and keeps the first few. */
export class Examples {
  count = 0;
  readonly items: Example[] = [];

  add(line: number, text: () => string): void {
    this.count++;
    if (this.items.length < MOST_EXAMPLES) this.items.push({ line, text: text() });
  }

  finding(check: string, severity: Severity, explanation: string): Finding | null {
    if (this.count === 0) return null;
    return { check, severity, count: this.count, examples: this.items, explanation };
  }
}
