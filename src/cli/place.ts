/** Where experiments are run: here (`here.ts`) or on a server (`server.ts`). Commands cannot tell which. */
import type { ExperimentResults } from '../lab/compare/results.ts';
import type { ExperimentDocument, ExperimentInput } from '../lab/experiment.ts';
import type { WhereOptions } from './program.ts';

/** As far as it is used here; entries have more, by section. */
export interface CatalogEntry {
  kind: string;
  title?: string;
  source?: string;
  description?: string;
  defaults?: unknown;
  schema?: { properties?: Record<string, unknown>; required?: string[] };
  [member: string]: unknown;
}

export type Catalog = Record<string, CatalogEntry[]>;

export const WRITTEN = ['report', 'csv', 'parquet', 'markdown'] as const;
export type Written = (typeof WRITTEN)[number];

/** An experiment that has ended. */
export interface Ended {
  document: ExperimentDocument;
  results: ExperimentResults;
  write(what: Written): Promise<string | Uint8Array>;
}

export interface Watch {
  /** Cancels it; `run` then rejects with the signal's reason, once it is cancelled. */
  signal: AbortSignal;
  onChange(document: ExperimentDocument): void;
}

/** A recording in a file of this machine. */
export interface RecordingHere {
  /** By which simulations find it. */
  digest: string;
  lines: number;
  skippedLines: number;
}

export interface Place {
  /** Whether its simulations can have recordings from files of this machine. */
  readonly readsFiles: boolean;
  /** Reads one of them; only where it `readsFiles`. */
  recording(path: string, signal: AbortSignal): Promise<RecordingHere>;
  catalog(): Promise<Catalog>;
  /** The request without gaps, and its arms; rejects with a `Failure` that says all that is wrong. */
  validate(input: ExperimentInput): Promise<ExperimentDocument>;
  run(input: ExperimentInput, watch: Watch): Promise<Ended>;
  close(): Promise<void>;
}

/** By the flags, then by the environment. */
export async function placeOf(options: WhereOptions): Promise<Place> {
  const server = serverOf(options);
  if (server === null) return (await import('./here.ts')).here(!options.progress);
  return (await import('./server.ts')).onServer(server, options.tokenFile);
}

export function serverOf({ server }: WhereOptions): string | null {
  const given = server ?? process.env.IOMMU_LAB_SERVER ?? '';
  return given === '' ? null : given;
}
