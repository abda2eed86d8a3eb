/** A recording that was uploaded, as it is told: what it was made of, how far it is, what it says. */
import type { SkippedLines } from './event.ts';

/**
 * - `uploading`: bytes are still to come; they are read as they do
 * - `reading`: all bytes are there, and not all of them are read
 * - `ready`: its events are on a tape
 * - `failed`: it could not be read, and will not be; `problem` says why
 * - `cancelled`: it was deleted before it had ended; only whoever deleted it ever sees that
 */
export const TRACE_STATES = ['uploading', 'reading', 'ready', 'failed', 'cancelled'] as const;
export type TraceState = (typeof TRACE_STATES)[number];

/** How its bytes are packed. Offsets and lengths of an upload count packed bytes. */
export const ENCODINGS = ['identity', 'gzip', 'zstd'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** What whoever uploads says of it. */
export interface TraceInput {
  name?: string;
  /** One of the importer's, or `auto`. */
  format: string;
  strict: boolean;
  options: Readonly<Record<string, unknown>>;
  encoding: Encoding;
  /** Of all packed bytes, where it is known. */
  lengthBytes: number | null;
}

/** Why it could not be read. */
export interface TraceProblem {
  code: string;
  detail: string;
  /** Of the recording, from 1. */
  line?: number;
}

/** What the importer says of it: `ImportSummary` of `importer.ts`, the names of devices apart. */
export interface TraceReading {
  format: string | null;
  recognisedBy: string | null;
  /** Unpacked, that the importer has had. */
  bytes: number;
  lines: { total: number; understood: number; comments: number; blank: number; skipped: SkippedLines[] };
  events: Record<string, number>;
  openMaps: number;
  unmatchedUnmaps: number;
  lostEvents: number;
  clockSteps: number;
  clockStepsOnCpu: number;
  origin: { seconds: number; nanoseconds: number } | null;
  warnings: string[];
}

export interface TraceSummary {
  id: string;
  name?: string;
  owner: string;
  state: TraceState;
  createdAt: string;
  /** When it became ready or failed. */
  endedAt: string | null;
  /** As asked for; once it is known, what it is. */
  format: string;
  strict: boolean;
  encoding: Encoding;
  /** Packed bytes that are there. */
  bytes: number;
  upload: {
    /** Where the next byte goes. */
    offset: number;
    /** Of all of it; null while nobody has said. */
    length: number | null;
    complete: boolean;
    /** Whether bytes are coming right now. */
    active: boolean;
  };
  /** How much of what is there has been read, 0 to 1. */
  progress: number;
  /** On the server's disk. */
  storedBytes: number;
  /** Of the tape: what a session that replays it names. */
  digest: string | null;
  /** On the tape, segments counted each. */
  records: number;
  problem: TraceProblem | null;
}

export interface TraceDocument extends TraceSummary {
  options: Readonly<Record<string, unknown>>;
  recognisedBy: string | null;
  unpackedBytes: number;
  lines: TraceReading['lines'];
  events: Record<string, number>;
  devices: readonly string[];
  openMaps: number;
  unmatchedUnmaps: number;
  lostEvents: number;
  clockSteps: number;
  clockStepsOnCpu: number;
  origin: TraceReading['origin'];
  warnings: readonly string[];
}

/** Of these the count is told also where there are none: whoever reads a summary need not ask whether it is there. */
export const NO_EVENTS = {
  map: 0,
  unmap: 0,
  mapSg: 0,
  unmapSg: 0,
  alloc: 0,
  free: 0,
  iommuMap: 0,
  iommuUnmap: 0,
  fault: 0,
  invalidate: 0,
};

/** Before the first line. */
export function blankReading(format: string): TraceReading {
  return {
    format: format === 'auto' ? null : format,
    recognisedBy: null,
    bytes: 0,
    lines: { total: 0, understood: 0, comments: 0, blank: 0, skipped: [] },
    events: {},
    openMaps: 0,
    unmatchedUnmaps: 0,
    lostEvents: 0,
    clockSteps: 0,
    clockStepsOnCpu: 0,
    origin: null,
    warnings: [],
  };
}
