/** One trace as long as the server runs: what is on record of it, and what is going on with it. */
import type { TraceFacts } from '../store.ts';
import { blankReading, type TraceProblem, type TraceReading, type TraceState } from '../trace.ts';
import type { Reader } from './reader.ts';

export interface Entry {
  facts: TraceFacts;
  /** Of an upload that is under way. */
  active: { stop: AbortController; done: Promise<void> } | null;
  reader: Reader | null;
  /** Packed bytes that the reader has had; those of the tape that it writes. */
  read: number;
  readsTapeBytes: number;
  reading: TraceReading;
  devices: string[];
  /** Called when the reader has come further. */
  caughtUp: (() => void)[];
  problem: TraceProblem | null;
  lines: number;
  events: number;
  gone: boolean;
}

/** Nothing is going on with it. */
export function entryOf(facts: TraceFacts): Entry {
  return {
    facts,
    active: null,
    reader: null,
    read: 0,
    readsTapeBytes: 0,
    reading: blankReading(facts.input.format),
    devices: [],
    caughtUp: [],
    problem: null,
    lines: 0,
    events: 0,
    gone: false,
  };
}

export function stateOf({ facts, problem }: Entry): TraceState {
  return problem === null ? facts.state : 'failed';
}

/** On the disk. */
export function storedBytesOf({ facts, readsTapeBytes }: Entry): number {
  if (facts.state === 'ready') return facts.tapeBytes;
  return facts.state === 'failed' ? 0 : facts.bytes + readsTapeBytes;
}
