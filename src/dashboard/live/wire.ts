/** What a live page and the worker that reads its stream (`worker.ts`) tell each other: little, and a few times a second. */
import type { Exposure, Metrics, Run } from '../../api/contract-types.ts';
import type { LineKind, LogLine } from './log.ts';

/** Of the charts that every session has. A counter's feed has the name of the counter. */
export type FeedName =
  | 'throughput'
  | 'operations'
  | 'cpu'
  | 'hitRate'
  | 'walkReads'
  | 'queue'
  | 'exposed'
  | 'locks'
  /** Verdicts other than `ok` and `fault`. */
  | 'bad'
  | 'invalidations';

/** A session as the page found it. */
export interface Beginning {
  machine: { cpus: number; cpuGhz: number };
  metrics: Metrics;
  /** The oldest first. */
  runs: readonly Run[];
}

/** Which lines of the log are shown. */
export interface LogWanted {
  kinds: readonly LineKind[];
  most: number;
  /** Those that are there now, whatever comes. */
  held: boolean;
}

/** Of the metrics, what stands on the page as a number. */
export interface Shown {
  timeNs: number;
  operations: number;
  throughputGbps: number;
  iops: number;
  cyclesPerOperation: number | null;
  lookups: number;
  hits: number;
  faults: number;
  exposure: Exposure;
  /** In all, and in the newest interval, in the order of the metrics. */
  verdicts: Record<string, number>;
  verdictsPerSecond: number[];
}

/** From the worker to the page; the other way see `worker.ts`. */
export type FromReader =
  | { type: 'greeted' }
  | { type: 'closed'; code: number; reason: string }
  | { type: 'metrics'; shown: Shown }
  /** A run that began or ended, at once; how far it is, with the metrics. */
  | { type: 'run'; run: Run }
  /** `anew`: they are others because others were wanted. */
  | { type: 'lines'; lines: readonly LogLine[]; dropped: number; anew: boolean }
  | { type: 'gap'; words: string }
  | { type: 'epoch' };
