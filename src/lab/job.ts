/**
 * One arm with one seed: what identifies it, and how it is computed.
 *
 * A job that succeeds has the same outcome wherever and whenever it runs, and its key is of all that the outcome depends on. One that was
 * stopped - cancelled, or beyond its bounds - says nothing about its key.
 */
import { createHash } from 'node:crypto';
import { NO_RECORDINGS, type Recordings } from '../core/devices/replay/source.ts';
import { coreVersion, createSimulator, resolveSpec } from '../core/index.ts';
import type { RunRequest } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import { messageOf, specProblem } from '../host/problems.ts';
import { BoundedSession, NO_BOUNDS, type Reached, refuseLarge } from '../host/session-bounds.ts';
import type { ExperimentRequest, Job, JobOutcome, Plain } from './experiment.ts';
import { reproductionOf } from './presets.ts';
import { reproductions } from './repro/index.ts';
import type { Arm as ReproductionArm } from './repro/reproduction.ts';
import { scriptSteps, trafficSteps } from './repro/steps.ts';

export interface JobBounds {
  /** Of the memory of the process that runs it; 0 is no bound. */
  memoryBytes: number;
  /** Of computing; 0 is no bound. */
  seconds: number;
}

export const JOB_BOUNDS: JobBounds = { memoryBytes: 1_073_741_824, seconds: 600 };

/** Between two looks at whether it is to stop. */
const SLICE_MS = 20;
/** Steps of a linear search, or events, before the core yields: at most a few milliseconds. */
const SEARCH_BUDGET = 20_000;
const FIRST_EVENTS = 64;
const MOST_EVENTS = 1 << 16;
const STEP_MS = 2;

// What identifies it

/** Members in the order of their names, at every depth. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((each) => canonical(each ?? null)).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join()}}`;
}

/** What it is called is no part of what comes of it. */
export function nameless(resolved: object): Plain {
  const { name: _name, title: _title, ...spec } = resolved as Plain;
  return spec;
}

function hash(value: unknown): string {
  return createHash('sha256')
    .update(`${coreVersion}\n${canonical(value)}`)
    .digest('hex');
}

/** @param resolved its spec, resolved, with its seed */
export function keyOfRun(resolved: object, before: readonly RunRequest[], run: RunRequest): string {
  return hash({ kind: 'run', spec: nameless(resolved), before, run });
}

/** 64 hex digits. @throws SpecError when its spec cannot be simulated */
export function keyOf(job: Job): string {
  if (job.kind === 'run') return keyOfRun(resolveSpec(job.spec), job.before, job.run);
  const { reproduction, arm } = job;
  const found = armOf(reproduction, arm);
  const { spec, ...rest } = found;
  // A script is code: the version of the core stands for it, as for all other code.
  const runs = 'run' in rest ? { before: rest.before ?? [], run: rest.run } : { script: String(rest.script) };
  return hash({ kind: job.kind, reproduction, arm, spec: nameless(resolveSpec(spec)), ...runs });
}

/** The job of a row. @param arm its spec */
export function jobOf(request: ExperimentRequest, arm: { label: string; spec: Plain }, seed: number): Job {
  const reproduction = reproductionOf(request.preset);
  if (reproduction !== null) return { kind: 'reproduction', reproduction: reproduction.id, arm: arm.label };
  const { until, warmUp } = request;
  const before = warmUp === undefined ? [] : [runOf(warmUp)];
  return { kind: 'run', spec: { ...arm.spec, seed }, before, run: runOf(until) };
}

export function runOf(length: { operations: number } | { ns: number }): RunRequest {
  return 'ns' in length ? { forNs: length.ns } : { operations: length.operations };
}

function armOf(reproduction: string, name: string): ReproductionArm {
  const arm = reproductions[reproduction]?.arms[name];
  if (arm === undefined) throw new Error(`no arm "${name}" of a reproduction "${reproduction}"`);
  return arm;
}

// How it is computed

/** Why it does not go on. */
export interface Stop {
  code: string;
  detail: string;
}

export interface JobControl {
  bounds?: JobBounds;
  /** Asked now and then; says why it is to stop. */
  stop?: () => Stop | null;
  /** For replays. */
  recordings?: Recordings;
}

/** Ends with the outcome; in between it may be left to stand, as long as one likes. */
export function* jobSteps(
  job: Job,
  { bounds = JOB_BOUNDS, stop, recordings }: JobControl = {},
): Generator<void, JobOutcome> {
  const meter = new Meter(bounds, recordings);
  try {
    const steps = job.kind === 'run' ? trafficOf(job, meter) : armSteps(job, meter);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      const why = stop?.() ?? null;
      if (why !== null) return { ok: false, ...why };
      yield;
      meter.went();
    }
  } catch (error) {
    return failureOf(error);
  }
}

/** At one go. */
export function runJob(job: Job, control: JobControl = {}): JobOutcome {
  const steps = jobSteps(job, control);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same, while the event loop goes round. */
export async function runJobInTurns(job: Job, control: JobControl = {}): Promise<JobOutcome> {
  const steps = jobSteps(job, control);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Whoever planned the experiment had it: it is where the job is computed that it is not. */
function missingRecording({ workloads }: ResolvedSpec, recordings: Recordings): Stop | null {
  for (const { kind, trace, recording } of workloads as { kind: string; trace?: string; recording?: string }[]) {
    if (kind !== 'replay' || recording === undefined || recordings.open(recording) !== null) continue;
    const detail = `The recording ${JSON.stringify(trace)}, digest ${recording}, is not where the job was computed. A worker finds it in the folder of its --traces: that has to be \`traces\` of the server's data folder, or one with a copy of ${recording}.tape from there.`;
    return { code: 'recording-missing', detail };
  }
  return null;
}

class Stopped extends Error {
  readonly code: string;

  constructor({ code, detail }: Stop) {
    super(detail);
    this.code = code;
  }
}

function failureOf(error: unknown): JobOutcome {
  if (error instanceof Stopped) return { ok: false, code: error.code, detail: error.message };
  const problem = specProblem(error);
  if (problem !== null) return { ok: false, code: problem.code, detail: problem.detail };
  return { ok: false, code: 'job-failed', detail: `The simulation hit an internal error: ${messageOf(error)}` };
}

/** Sizes steps by the clock, and sees to the bounds. The outcome does not depend on where steps end. */
export class Meter {
  private readonly bounds: JobBounds;
  private readonly recordings: Recordings;
  private readonly bounded = new BoundedSession();
  private eventsPerStep = FIRST_EVENTS;
  private sliceBeginMs = performance.now();
  private computedMs = 0;

  constructor(bounds: JobBounds, recordings: Recordings = NO_RECORDINGS) {
    this.bounds = bounds;
    this.recordings = recordings;
    this.bounded.set({ ...NO_BOUNDS, memoryBytes: bounds.memoryBytes });
  }

  build(spec: Plain): SimulatorApi {
    const resolved = resolveSpec(spec);
    const tooLarge = refuseLarge(resolved, this.bounds.memoryBytes);
    if (tooLarge !== null) throw new Stopped(tooLarge);
    const missing = missingRecording(resolved, this.recordings);
    if (missing !== null) throw new Stopped(missing);
    const simulator = createSimulator(resolved, { recordings: this.recordings });
    simulator.searchBudget = SEARCH_BUDGET;
    return simulator;
  }

  /** Carries a run on for a slice. @returns whether it has ended */
  run(simulator: SimulatorApi): boolean {
    for (;;) {
      const begin = performance.now();
      const ended = simulator.stepRun(this.eventsPerStep);
      const now = performance.now();
      const took = now - begin;
      if (took < STEP_MS / 2) this.eventsPerStep = Math.min(this.eventsPerStep * 2, MOST_EVENTS);
      else if (took > STEP_MS * 2) this.eventsPerStep = Math.max(this.eventsPerStep >>> 1, 1);
      this.check(this.bounded.ran(took, simulator));
      if (ended || this.sliceIsOver(now)) return ended;
    }
  }

  /** After a stretch of operations. @returns whether it is time to yield */
  worked(simulator: SimulatorApi): boolean {
    const now = performance.now();
    if (!this.sliceIsOver(now)) return false;
    this.check(this.bounded.ran(now - this.sliceBeginMs, simulator));
    return true;
  }

  private check(reached: Reached | null): void {
    if (this.bounded.measuring) this.bounded.step();
    if (reached === null) return;
    throw new Stopped({
      code: 'too-much-memory',
      detail: `The simulation takes ${reached.used} bytes of memory, and ${reached.limit} is the limit of a job.`,
    });
  }

  private sliceIsOver(nowMs: number): boolean {
    return nowMs - this.sliceBeginMs >= SLICE_MS;
  }

  /** The slice is over, and the next one begins. */
  went(): void {
    this.sliceBeginMs = performance.now();
  }

  /** Before a slice is left. */
  leave(): void {
    this.computedMs += performance.now() - this.sliceBeginMs;
    const { seconds } = this.bounds;
    if (seconds === 0 || this.computedMs < seconds * 1000) return;
    throw new Stopped({
      code: 'job-took-too-long',
      detail: `It has computed for ${Math.round(this.computedMs / 1000)} s, and ${seconds} s is the limit of a job.`,
    });
  }
}

function* trafficOf(job: Job & { kind: 'run' }, meter: Meter): Generator<void, JobOutcome> {
  const simulator = meter.build(job.spec);
  for (const request of [...job.before, job.run]) {
    const outcome = simulator.startRun(request);
    if (outcome.status !== 'ok') return { ok: false, code: outcome.problem.code, detail: outcome.problem.detail };
    while (!meter.run(simulator)) {
      meter.leave();
      yield;
    }
  }
  return { ok: true, result: simulator.runResult(), digest: simulator.digest(), timeNs: simulator.timeNs };
}

function* armSteps(job: Job & { kind: 'reproduction' }, meter: Meter): Generator<void, JobOutcome> {
  const arm = armOf(job.reproduction, job.arm);
  const { result, simulator } = yield* 'script' in arm ? scriptSteps(arm, meter) : trafficSteps(arm, meter);
  return { ok: true, result, digest: simulator.digest(), timeNs: simulator.timeNs };
}
