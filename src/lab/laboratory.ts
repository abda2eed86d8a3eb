/** The way to experiments, for routes and command line, as `host/host.ts` is to sessions. */
import type { Reply } from '../host/host.ts';
import type {
  ExperimentData,
  ExperimentDocument,
  ExperimentInput,
  ExperimentState,
  ExperimentSummary,
  Job,
  JobOutcome,
} from './experiment.ts';
import type { Planned } from './plan.ts';

export interface Laboratory {
  /** The request without gaps and all arms with their specs, or all that is wrong with it; runs nothing. */
  validate(input: ExperimentInput, owner: string): Promise<Reply<ExperimentDocument>>;
  /** Begins to run. @param admit called when all is checked, just before it exists: a refusal ends it */
  create(input: ExperimentInput, owner: string, admit?: () => Reply<never> | null): Promise<Reply<ExperimentDocument>>;
  /** Oldest first, without requests and arms: of many they would be too much. @param sees which it may tell of */
  list(
    page: { limit: number; cursor?: string; state?: ExperimentState },
    sees?: (owner: string) => boolean,
  ): Promise<Reply<{ items: ExperimentSummary[]; nextCursor?: string }>>;
  /** @param experiment id, or a name of the owner `local` */
  get(experiment: string): Promise<Reply<ExperimentDocument>>;
  /** Also while it runs: what is there so far. */
  data(experiment: string): Promise<Reply<ExperimentData>>;
  /** What has come of it so far, in a form to be sent. */
  render(experiment: string, form: RenderForm, options?: RenderOptions): Promise<Reply<string | Uint8Array>>;
  /** Cancels one that is active; removes the record of one that is not. What it was as document. */
  delete(experiment: string): Promise<Reply<ExperimentDocument>>;
  /** Resolves at each change of its document, until it has ended. */
  changes(experiment: string, signal?: AbortSignal): AsyncIterable<ExperimentDocument>;
  /** Those that are active go on at the next start. */
  close(): Promise<void>;

  /** The id of one, by id or by a name of that owner's; null when there is none. */
  resolve(experiment: string, owner?: string): string | null;
  /** Of an id; null when there is none. */
  ownerOf(id: string): string | null;
  /** How many of an owner's have not ended. */
  activeOf(owner: string): number;
  status(): LaboratoryStatus;
}

/** `json`: the contract's `ExperimentResults`. */
export type RenderForm = 'json' | 'csv' | 'parquet' | 'html' | 'markdown';

export interface RenderOptions {
  /** Whether the JSON has all rows, too. */
  rows?: boolean;
}

export interface LaboratoryStatus {
  /** On record, and those of them that have not ended. */
  experiments: number;
  active: number;
  /** Jobs that wait, and that are computed now. */
  queued: number;
  running: number;
  /** Jobs since the start. `cached`: had been computed before. */
  finished: number;
  failed: number;
  cached: number;
  /** Of results. */
  storedBytes: number;
  runner: RunnerStatus;
}

/** Whether jobs are computed. `degraded`: they wait; `detail` has why, in a sentence, and is '' when all is well. */
export interface RunnerStatus {
  state: 'ok' | 'degraded';
  detail: string;
}

/** What plans and reports, away from whoever serves requests: a thread (`pool.ts`). */
export interface Desk {
  plan(input: ExperimentInput): Promise<Planned>;
  render(data: ExperimentData, form: RenderForm, options: RenderOptions): Promise<string | Uint8Array>;
  close(): Promise<void>;
}

/** What computes jobs: threads here (`pool.ts`), or processes elsewhere (`queue/`). */
export interface JobRunner {
  /** How many it takes on at a time; more wait in the laboratory, where they can be withdrawn. */
  readonly width: number;
  /** Never rejects for what the job does; does when the runner is gone. @param key of the job, `keyOf(job)` */
  run(key: string, job: Job, signal: AbortSignal): Promise<JobOutcome>;
  /** Absent where nothing can come between. */
  status?(): RunnerStatus;
  close(): Promise<void>;
}
