/**
 * A reproduction: what a publication measured, as data, beside what to run here to see whether the same comes out.
 *
 * One file a publication in this folder. The simulation is given the *components* that the publication states (what a step takes, how
 * many CPUs, which ring), never its results; those must come out of the mechanism. `run.ts` runs it, `docs/fidelity.md` shows it. A
 * shape that does not appear is said so there, with what is seen instead.
 */
import type { Operation, RunRequest } from '../../core/operations.ts';
import type { Reading } from '../../core/reading.ts';

/** A session spec as people send it. */
export type Spec = Record<string, unknown>;

/** Traffic: a session and how long it runs. */
export interface RunArm {
  spec: Spec;
  /** Runs before the one that is measured: the measured one starts from what they left. */
  before?: RunRequest[];
  run: RunRequest;
}

/** An operation or a look inside; `as` names its result for `$name.member` in later ones, as in `ops`, and for metrics. */
export type ScriptStep =
  | { phase: string }
  | { do: Record<string, unknown> & { op: Operation['op'] }; as?: string }
  | { read: Reading; as: string };

/** A session driven by operations alone. Long scripts are made when they are run. */
export interface ScriptArm {
  spec: Spec;
  script: () => Iterable<ScriptStep>;
}

export type Arm = RunArm | ScriptArm;

/**
 * A number out of arms. `metric` is a dotted path: into the result of a run, where `workloads.<name>` finds a workload by its name;
 * or, for a script, into `{<as>: result, <phase>: {maps, iovaAlloc: {mean, longest, searches}}}`.
 */
export type Measure =
  | { arm: string; metric: string }
  | { ratio: [Measure, Measure] }
  | { difference: [Measure, Measure] }
  | { scaled: [Measure, number] }
  | { shifted: [Measure, number] };

/** How well the published number is known: a table or the text, a vector figure, read by eye, computed from such, somebody's summary. */
export type Tag = 'sourced' | 'figure' | 'by eye' | 'derived' | 'second hand';

export type Accept =
  /** Relative error at most this. */
  | { within: number }
  /** Absolute error at most this. */
  | { withinAbsolute: number }
  | { between: [number, number] }
  | { exactly: true }
  /** Shown, and judged by nobody. */
  | { report: true };

interface Of {
  /** Number of the target, B1 to B17 or S1 to S8; several rows may share one. */
  target: string;
  what: string;
  /** Whether a constant was fitted on this very row; all others are predictions. */
  calibrated: boolean;
}

export interface NumberRow extends Of {
  published: { value: number; tag: Tag; where: string };
  simulated: Measure;
  unit?: string;
  /** After the point, in the table. */
  digits?: number;
  accept: Accept;
}

/** Something that is no single number: an order, a line, a bound. */
export interface ShapeRow extends Of {
  published: { text: string; tag: Tag; where: string };
  shape:
    | { order: 'ascending' | 'descending'; of: Measure[] }
    | { line: { x: number[]; y: Measure[] }; r2Above: number; slopeAbove?: number }
    | { allAbove: number; of: Measure[] }
    | { allBelow: number; of: Measure[] };
  digits?: number;
}

export type Row = NumberRow | ShapeRow;

export interface Reproduction {
  /** Of the publication; `npm run repro -- <id>`. */
  id: string;
  title: string;
  citation: string;
  /** What the arms have of the publication's set-up, what they leave out, and what that does. */
  setup: string;
  arms: Record<string, Arm>;
  rows: Row[];
}
