/**
 * What an experiment is: one base spec, what is varied, how long each arm runs and with which seeds; and what comes of it.
 *
 * An experiment has *arms* (a spec each), an arm has a *job* for each seed, a job has a result. Everything that is compared or reported
 * is computed from the results of the jobs, which a job's key alone determines (`job.ts`).
 */
import type { RunRequest } from '../core/operations.ts';

export type Plain = Record<string, unknown>;

/** As it is sent, the contract's `ExperimentInput`; checked against it before. */
export interface ExperimentInput {
  name?: string;
  title?: string;
  /** An experiment that is kept ready (`questions/...`, `repro/...`, `thread-2008`); the other members change it. */
  preset?: string;
  /** A session spec, with a `preset` of its own or without. */
  base?: Plain;
  /**
   * Dotted path into the spec -> its values. A part of a path below `workloads`, `devices`, `domains` or `tenants` is a name or a
   * number. The paths of one dimension go together where `combine` is `paired`.
   */
  vary?: Record<string, unknown[]>;
  combine?: 'product' | 'paired';
  /** In the place of `vary`: each arm by itself. */
  arms?: { label?: string; set: Plain }[];
  /** In the place of those of the base. */
  workloads?: Plain[];
  until?: { operations: number } | { ns: number };
  /** Runs before the one that is measured. */
  warmUp?: { operations: number } | { ns: number };
  seeds?: number[];
  /** Whether an arm without protection (`passthrough`) is run beside each that differ in more than policy and costs. */
  control?: boolean;
}

/** Without gaps. Of a reproduction preset only `preset` says something: its arms state their own specs and runs. */
export interface ExperimentRequest {
  preset?: string;
  base: Plain;
  vary: Record<string, unknown[]>;
  combine: 'product' | 'paired';
  arms: { label?: string; set: Plain }[];
  workloads?: Plain[];
  until: { operations: number } | { ns: number };
  warmUp?: { operations: number } | { ns: number };
  seeds: number[];
  control: boolean;
}

export interface Arm {
  /** `arm-1`, `arm-2`, ..., and `control` or `control-1`, ... */
  id: string;
  /** What is varied, in short: `strict, rcache`. */
  label: string;
  control: boolean;
  /** Of the control that it is compared with; null for a control and where there is none. */
  controlId: string | null;
  /** Dotted path -> value, what sets this arm apart. */
  varied: Plain;
  /** What `POST /v1/sessions` takes to have this arm alone, but for the seed. */
  spec: Plain;
}

/** One arm with one seed. */
export type Job =
  | { kind: 'run'; spec: Plain; before: RunRequest[]; run: RunRequest }
  /** An arm of a reproduction (`repro/`), which may be a script. */
  | { kind: 'reproduction'; reproduction: string; arm: string };

export type JobOutcome =
  /** `result`: of the run, the contract's `RunResult` without what the wall clock says; of a script, what its steps were told. */
  { ok: true; result: Plain; digest: string; timeNs: number } | { ok: false; code: string; detail: string };

/** A job of an experiment, in the order of arms and seeds. */
export interface Row {
  arm: string;
  seed: number;
  /** Under which its outcome is kept: 64 hex digits. */
  key: string;
  state: 'queued' | 'running' | 'finished' | 'failed' | 'cancelled';
  outcome: JobOutcome | null;
}

export type ExperimentState = 'queued' | 'running' | 'finished' | 'cancelled' | 'failed';

/** The contract's `ExperimentSummary`: as a list has it. */
export interface ExperimentSummary {
  id: string;
  name?: string;
  title?: string;
  owner?: string;
  state: ExperimentState;
  /** ISO 8601, wall clock. */
  createdAt: string;
  endedAt: string | null;
  coreVersion: string;
  /** `cached`: had been computed before. */
  jobs: { total: number; finished: number; failed: number; cached: number };
  /** 0 to 1, by jobs. */
  progress: number;
}

/** The contract's `Experiment`. */
export interface ExperimentDocument extends ExperimentSummary {
  request: ExperimentRequest;
  arms: Arm[];
}

/** All that is known of an experiment: what comparison and report are made of. */
export interface ExperimentData {
  document: ExperimentDocument;
  /** As many as have a result so far, and the others with `outcome: null`. */
  rows: Row[];
}
