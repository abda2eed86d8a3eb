/** What comes of an experiment: the contract's `ExperimentResults`, made by `compareExperiment` out of the outcomes of its jobs. */
import type { ExperimentInput, ExperimentState, Plain } from '../experiment.ts';

/** Over the seeds; which interval `low` and `high` are is said in `figure.ts`. */
export interface Figure {
  median: number;
  low: number;
  high: number;
}

/** null: there is none, as a latency where nothing completed. Never 0 for that. */
export type MaybeFigure = Figure | null;

/** Cycles an operation by row of the literature's tables; `driver` is what is neither map nor unmap: driver and stack. */
export type CycleRows = Record<string, MaybeFigure>;

export interface Bucket {
  from: number;
  /** Exclusive. */
  to: number;
  count: number;
}

export interface ExposureResult {
  /** Of `potential` windows, as `byteSeconds`, `longestWindowNs`, `peakPages` and `windows`. */
  pageSeconds: MaybeFigure;
  byteSeconds: MaybeFigure;
  longestWindowNs: MaybeFigure;
  peakPages: MaybeFigure;
  windows: MaybeFigure;
  /** `pageSeconds` by the simulated time: for arms that ran for different times. */
  meanPages: MaybeFigure;
  /** Only while something still translated. */
  actualPageSeconds: MaybeFigure;
  actualLongestWindowNs: MaybeFigure;
  staleAccesses: MaybeFigure;
  crossTenantAccesses: MaybeFigure;
  /** Accesses to what is no longer mapped, and the share of them that faulted. */
  attemptsAfterUnmap: MaybeFigure;
  detectability: MaybeFigure;
  /** What a hostile device got: stale accesses of those workloads, of the accesses that they made. */
  hostileYield: MaybeFigure;
}

/** Of an arm, and of each of its workloads. */
export interface Measured {
  operations: MaybeFigure;
  /** Of workloads that have one: NICs, windows. */
  throughputGbps?: MaybeFigure;
  /** Of disks. */
  iops?: MaybeFigure;
  operationsPerSecond: MaybeFigure;
  cyclesPerOperation: MaybeFigure;
  /** Mean busy share of the CPUs of the machine. */
  cpuUtilisation: MaybeFigure;
  latencyNs: { p50: MaybeFigure; p99: MaybeFigure };
  exposure: ExposureResult;
  iotlb: { missRatio: MaybeFigure; missesPerOperation: MaybeFigure };
}

export interface WorkloadResult extends Measured {
  id: string;
  name: string;
  kind: string;
}

export interface ArmResult extends Measured {
  id: string;
  label: string;
  control: boolean;
  controlId: string | null;
  varied: Plain;
  /** Those that have a result. */
  seeds: number[];
  simulatedSeconds: MaybeFigure;
  /** A device reaches all memory under its mode: no window opens because nothing is ever closed. */
  unprotected: boolean;
  workloads: WorkloadResult[];
  cycles: CycleRows;
  /** Lengths of closed `potential` windows in nanoseconds, counts of all seeds together. */
  windowsNs: Bucket[];
  /** Whose costs; null where the spec cannot be resolved here. */
  profile: string | null;
  /** Steps without a citation that the runs used. */
  assumptions: string[];
  /** What `POST /v1/experiments` takes to have this arm alone. */
  rerun: ExperimentInput;
}

export type ComparisonVerdict = 'higher' | 'lower' | 'no difference seen';

/** Of arm `a` against arm `b`. */
export interface Comparison {
  a: string;
  b: string;
  /** Dotted path into an arm: `exposure.pageSeconds`. */
  metric: string;
  /** `a / b`: the geometric mean over the seeds; null where a denominator is 0. */
  ratio: number | null;
  /** The interval of `ratio` on which the verdict rests; null with one seed, and where something is 0. */
  low: number | null;
  high: number | null;
  verdict: ComparisonVerdict;
  /** How many seeds of both arms, or pairs of them, it rests on. */
  seeds: number;
  /** No spread is known: the two runs differ, which says nothing about other seeds. */
  oneSeed?: true;
}

/** One set of arms that differ in what can be chosen (policy, chip, command line) and run the same traffic on the same machine. */
export interface FrontierGroup {
  /** What the set has in common that other sets have not. */
  scene: Plain;
  /** Dotted path of what counts as speed here. */
  speed: 'throughputGbps' | 'iops' | 'operationsPerSecond' | 'cyclesPerOperation';
  better: 'higher' | 'lower';
  /** All are as fast as what they are offered: then what counts is what it costs. */
  loadLimited: boolean;
  frontier: string[];
  dominated: { arm: string; by: string[] }[];
}

export interface Knob {
  a: string;
  b: string;
  /** Dotted path into the spec: the only one that separates the two. */
  path: string;
  /** null where an arm does not say and its spec, resolved, has nothing there. */
  from: unknown;
  to: unknown;
}

export interface Failure {
  arm: string;
  seed: number;
  code: string;
  detail: string;
}

/** Published beside simulated, of an experiment that reproduces a publication. */
export interface ReproductionTable {
  title: string;
  citation: string;
  rows: ReproductionRow[];
}

export interface ReproductionRow {
  target: string;
  what: string;
  published: string;
  where: string;
  tag: string;
  simulated: string;
  relativeError: number | null;
  calibrated: boolean;
  status: string;
  remark: string;
}

export interface ExperimentResults {
  /** Its id. */
  experiment: string;
  state: ExperimentState;
  /** All jobs have a result. */
  complete: boolean;
  arms: ArmResult[];
  comparisons: Comparison[];
  /** Ids of arms, of all groups together. */
  frontier: string[];
  dominated: string[];
  frontiers: FrontierGroup[];
  knobs: Knob[];
  failures: Failure[];
  reproduction?: ReproductionTable;
  answer?: QuestionAnswer;
}

/** What an experiment of `questions/` answers, once all of it is there. */
export interface QuestionAnswer {
  question: string;
  /** Who asks it. */
  source: string;
  sentences: string[];
  /** Of the arms, the first column their labels. */
  head: string[];
  rows: string[][];
}
