/**
 * One session in its worker: the simulator and its one writer; `session-runs.ts` has its runs. Operations apply in order of arrival. A
 * long one (`apply` answered null) goes on in slices while reads are served, and later mutations wait behind it; an active run refuses
 * them.
 *
 *     write ──> idle? ── yes ──> apply ──> outcome ──> answer
 *                 │                └─ null ──> suspended ──(turns: resume)──> outcome ──> answer, then the waiting writes
 *                 └─ suspended ──> waiting writes, in order
 *
 * An exception out of the simulator is a bug of ours: this session is set aside as `failed`, the others go on.
 */
import type { Recordings } from '../core/devices/replay/source.ts';
import type { Operation, Outcome, RunRequest } from '../core/operations.ts';
import type { Reading } from '../core/reading.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import { type FrameClock, FrameRecorder, type FrameSource } from './frames.ts';
import type { AnsweredLines, HostProblem, Reply, RunDocument, SessionFrame, SessionState, ToldLine } from './host.ts';
import type { SnapshotRow } from './journal/rows.ts';
import type { SessionJournal } from './journal/session-journal.ts';
import type { LineWriter, OpsStream } from './ops.ts';
import {
  type Answer,
  messageOf,
  refuse,
  replyOf,
  runActive,
  sessionBusy,
  sessionFailed,
  sessionNotFound,
} from './problems.ts';
import type { Call, CalledBy, FromWorker, SessionStatus, SnapshotBegun, Told, WorkerSettings } from './protocol.ts';
import type { Governed } from './quotas.ts';
import type { Tapes } from './recordings.ts';
import type { Revived } from './replay.ts';
import type { KeyMark } from './retry.ts';
import { runId } from './run-records.ts';
import type { Scheduler, TurnTaker } from './scheduler.ts';
import { SessionGovernor } from './session-governor.ts';
import { type Present, SessionMemory } from './session-memory.ts';
import { SessionRuns, type Simulated } from './session-runs.ts';

/**
 * Steps of a linear search before the core yields. A step to a node that is not in the cache costs up to 100 ns, so one call
 * takes 2 ms at most.
 */
export const SEARCH_BUDGET = 20_000;
/** What the sessions of a worker share. */
export interface Surroundings {
  settings: WorkerSettings;
  scheduler: Scheduler;
  frameClock: FrameClock;
  createSimulator(spec: ResolvedSpec, surroundings: { recordings: Recordings }): SimulatorApi;
  tapes: Tapes;
  post(message: FromWorker): void;
  /** Null: sessions end with the server. */
  journal: SessionJournal | null;
}

/** A mutation that waits for its turn; `call` is the number by which the main thread may withdraw it. */
type Write =
  | { kind: 'apply'; call: number; operation: Operation; retry: KeyMark | null; answer: Answer }
  | {
      kind: 'run';
      call: number;
      request: RunRequest;
      retry: KeyMark | null;
      refusal: HostProblem | null;
      from: CalledBy | null;
      answer: Answer;
    }
  | { kind: 'reset'; call: number; retry: KeyMark | null; answer: Answer }
  | { kind: 'snapshot'; call: number; facts: SnapshotBegun; retry: null; answer: Answer };

export class Session implements TurnTaker, FrameSource, LineWriter {
  readonly id: string;
  readonly spec: ResolvedSpec;
  private readonly around: Surroundings;
  private simulator: SimulatorApi;
  private recorder: FrameRecorder;
  private readonly runs: SessionRuns;
  private failure: HostProblem | null = null;
  private gone = false;
  /** Takes the outcome of the operation that the simulator is in the middle of. */
  private suspended: ((outcome: Outcome) => void) | null = null;
  private readonly waiting: Write[] = [];
  /** `ops` requests that have lines to apply now. */
  private readonly readyStreams = new Set<OpsStream>();
  /** Whether the run has the next turn, when both it and an `ops` request want one. */
  private runIsNext = true;
  private digestVersion = -1;
  private digestText = '';
  private readonly memory: SessionMemory;
  private readonly governor: SessionGovernor;

  /**
   * Throws what `createSimulator` throws.
   *
   * @param revived what its journal made of it; a new session without
   */
  constructor(id: string, number: number, spec: ResolvedSpec, around: Surroundings, revived: Revived | null = null) {
    this.id = id;
    this.spec = spec;
    this.around = around;
    this.simulator = revived?.simulator ?? this.build();
    this.recorder = new FrameRecorder(this.simulator);
    this.memory = new SessionMemory(around.journal, number, around.settings.replayMs, revived?.keyed);
    this.governor = new SessionGovernor((ms) => around.post({ kind: 'computed', session: id, ms }));
    const parts = {
      memory: this.memory,
      governor: this.governor,
      kept: around.settings.runRecords,
      tell: (told: Told, from: CalledBy | null) => around.post({ kind: 'told', session: id, told, from }),
      stateChanged: () => this.stateChanged(),
      settled: () => this.settled(),
      failed: (error: unknown) => this.fail(error),
    };
    this.runs = new SessionRuns(parts, this.simulated(), revived?.runs);
    if (revived !== null) this.takeUp(revived);
    this.changed();
  }

  private simulated(): Simulated {
    const { simulator, recorder } = this;
    return { simulator, recorder };
  }

  private takeUp({ active, added }: Revived): void {
    if (added !== null) this.memory.note(added);
    this.runs.takeUp(active);
    if (active !== null) this.around.scheduler.request(this);
  }

  /** At a moment at which the journal has all that was done: an image when there is much to do again. */
  private settled(): void {
    if (this.memory.imageIsDue && this.suspended === null && this.failure === null) this.memory.takeImage(this.now());
  }

  private now(): Present {
    const { simulator, runs } = this;
    return { simulator, runs: runs.records, active: runs.active };
  }

  private takeSnapshot(facts: SnapshotBegun): Reply<SnapshotRow> {
    const { active } = this.runs;
    if (active !== null) this.runs.mark(active);
    try {
      return { ok: true, value: this.memory.takeSnapshot(facts, this.now()) };
    } catch (error) {
      return refuse(this.fail(error));
    }
  }

  private build(): SimulatorApi {
    const simulator = this.around.createSimulator(this.spec, { recordings: this.around.tapes.of(this.id) });
    simulator.searchBudget = SEARCH_BUDGET;
    return simulator;
  }

  // What is asked of it

  state(): SessionState {
    return this.failure !== null ? 'failed' : this.running ? 'running' : 'idle';
  }

  status(): SessionStatus {
    const { simulator } = this;
    return {
      state: this.state(),
      timeNs: simulator.timeNs,
      timePs: simulator.timePs,
      digest: this.digest(),
      operations: simulator.operations,
      policy: simulator.policyReport(),
      activeRun: this.runs.activeId,
      paused: this.governor.paused,
    };
  }

  /** Null while a run or a long operation is under way, when it would be another one at every read, and after a failure. */
  private digest(): string | null {
    if (this.failure !== null || this.running || this.suspended !== null) return null;
    const { version } = this.simulator;
    if (version !== this.digestVersion) {
      this.digestText = this.simulator.digest();
      this.digestVersion = version;
    }
    return this.digestText;
  }

  read(reading: Reading): Reply<unknown> {
    if (this.failure !== null) return refuse(this.failure);
    return replyOf(this.simulator.read(reading));
  }

  // The one writer

  apply(call: number, operation: Operation, retry: KeyMark | null, answer: Answer): void {
    this.write({ kind: 'apply', call, operation, retry, answer });
  }

  startRun({ call, request, retry, refusal, from = null }: Call & { kind: 'run-start' }, answer: Answer): void {
    this.write({ kind: 'run', call, request, retry, refusal, from, answer });
  }

  reset(call: number, retry: KeyMark | null, answer: Answer): void {
    this.write({ kind: 'reset', call, retry, answer });
  }

  snapshot(call: number, facts: SnapshotBegun, answer: Answer): void {
    this.write({ kind: 'snapshot', call, facts, retry: null, answer });
  }

  /** Drops a write that still waits; one that has begun goes on. */
  withdraw(call: number): void {
    const index = this.waiting.findIndex((write) => write.call === call);
    if (index >= 0) this.waiting.splice(index, 1);
  }

  private write(write: Write): void {
    if (this.suspended === null && this.waiting.length === 0) {
      const { metered } = this.governor;
      const begin = metered ? performance.now() : 0;
      this.carryOut(write);
      if (metered) this.governor.computed(performance.now() - begin);
    } else if (this.waiting.length < this.around.settings.queuedWrites) this.waiting.push(write);
    else write.answer(refuse(sessionBusy(`${this.waiting.length} operations wait behind a long one.`)));
  }

  private carryOut(write: Write): void {
    const { answer, retry } = write;
    const told = retry === null ? null : this.toldBefore(retry);
    if (told !== null) {
      answer(told);
      return;
    }
    const refusal =
      write.kind === 'snapshot'
        ? // It changes nothing: a run may be active, or stand still.
          (this.failure ?? this.governor.refusalToStore())
        : (this.refusal(write.kind === 'reset') ?? (write.kind === 'run' ? write.refusal : null));
    if (refusal !== null) {
      answer(refuse(refusal));
      return;
    }
    switch (write.kind) {
      case 'apply': {
        const tell = (outcome: Outcome): void => {
          const reply = replyOf(outcome);
          if (retry !== null && outcome.status !== 'refused') this.memory.noteKey(retry, { reply });
          answer(reply);
        };
        const outcome = this.applyLine(write.operation, tell);
        if (outcome !== null) tell(outcome);
        break;
      }
      case 'run':
        answer(this.beginRun(write.request, retry, write.from));
        break;
      case 'reset':
        answer(this.rebuild(retry));
        break;
      case 'snapshot':
        answer(this.takeSnapshot(write.facts));
        break;
    }
    this.settled();
    this.changed();
  }

  /** What an earlier request with this key was told, or null. */
  private toldBefore(retry: KeyMark): Reply<unknown> | null {
    const told = this.memory.keyed.find(retry, Date.now());
    if (told === null) return null;
    if (told === 'status') return { ok: true, value: this.status(), replayed: true };
    if ('code' in told) return refuse(told);
    if ('reply' in told) return { ...told.reply, replayed: true };
    return { ...this.runs.get(runId(told.run)), replayed: true };
  }

  noteLine(key: string, told: ToldLine, carriedOut: boolean): void {
    this.memory.noteLine(key, told, carriedOut);
  }

  answered(key: string): AnsweredLines {
    return this.memory.answered(key);
  }

  /** Why nothing may change the session now. @param givesBack but for what leaves less of it than there was */
  refusal(givesBack = false): HostProblem | null {
    if (this.failure !== null) return this.failure;
    if (this.gone) return sessionNotFound(this.id);
    const refusal = this.governor.refusal(givesBack);
    if (refusal !== null) return refusal;
    const { activeId } = this.runs;
    if (activeId !== null) return runActive(activeId);
    return null;
  }

  /**
   * Applies one operation now; the caller has its turn.
   *
   * @param settle gets the outcome later when the answer is null
   */
  applyLine(operation: Operation, settle: (outcome: Outcome) => void): Outcome | null {
    const refusal = this.refusal() ?? this.governor.refuse(operation, this.simulator);
    if (this.governor.measuring) this.around.scheduler.request(this);
    if (refusal !== null) return { status: 'refused', problem: refusal };
    let outcome: Outcome | null;
    try {
      outcome = this.simulator.apply(operation);
    } catch (error) {
      return { status: 'refused', problem: this.fail(error) };
    }
    if (outcome === null) {
      this.suspended = (late) => {
        this.memory.noteOperation(operation, late);
        settle(late);
      };
      this.around.scheduler.request(this);
    } else this.memory.noteOperation(operation, outcome);
    return outcome;
  }

  private resume(): void {
    const settle = this.suspended!;
    let outcome: Outcome | null;
    try {
      outcome = this.simulator.resume();
    } catch (error) {
      this.suspended = null;
      settle({ status: 'refused', problem: this.fail(error) });
      return;
    }
    if (outcome === null) return;
    this.suspended = null;
    settle(outcome);
    this.settled();
  }

  private rebuild(retry: KeyMark | null): Reply<SessionStatus> {
    try {
      this.simulator = this.build();
    } catch (error) {
      return refuse(this.fail(error));
    }
    this.recorder = new FrameRecorder(this.simulator);
    this.runs.restart(this.simulated());
    this.governor.restart();
    this.digestVersion = -1;
    this.memory.note({ reset: true });
    if (retry !== null) this.memory.noteKey(retry, 'status');
    return { ok: true, value: this.status() };
  }

  // Runs

  private beginRun(request: RunRequest, retry: KeyMark | null, from: CalledBy | null): Reply<RunDocument> {
    const reply = this.runs.begin(request, retry, from);
    if (reply.ok) this.around.scheduler.request(this);
    return reply;
  }

  listRuns(page: Parameters<SessionRuns['list']>[0]): Reply<unknown> {
    return this.runs.list(page);
  }

  getRun(id: string): Reply<unknown> {
    return this.runs.get(id);
  }

  deleteRun(id: string): Reply<unknown> {
    return this.runs.delete(id);
  }

  cancelRun(): void {
    this.runs.cancel();
  }

  // Turns

  takeTurn(deadline: number): boolean {
    if (!this.governor.metered) return this.compute(deadline);
    const begin = performance.now();
    const more = this.compute(deadline);
    this.governor.computed(performance.now() - begin);
    return more;
  }

  private compute(deadline: number): boolean {
    this.changed();
    const { governor, runs } = this;
    if (governor.measuring && governor.measure(this.simulator, this.running)) this.stateChanged();
    do {
      if (this.suspended !== null) this.resume();
      else if (this.waiting.length > 0) this.carryOut(this.waiting.shift()!);
      else if (runs.active !== null && governor.mayRun && (this.runIsNext || this.readyStreams.size === 0)) {
        this.runIsNext = false;
        runs.step(runs.active, deadline);
      } else if (this.readyStreams.size > 0) {
        this.runIsNext = true;
        this.pumpStream(deadline);
      } else return governor.measuring;
    } while (performance.now() < deadline);
    if (this.suspended !== null || this.waiting.length > 0 || this.readyStreams.size > 0) return true;
    return governor.measuring || (this.running && governor.mayRun);
  }

  // Quotas

  /** What it may take, and what it may not for now. */
  govern(governed: Governed): void {
    if (this.governor.govern(governed, this.simulator)) this.tellState();
    // A run goes on, lines that wait are refused.
    if (!this.gone && (this.running || this.readyStreams.size > 0)) this.around.scheduler.request(this);
  }

  private pumpStream(deadline: number): void {
    for (const stream of this.readyStreams) {
      this.readyStreams.delete(stream);
      if (stream.pump(deadline)) this.readyStreams.add(stream);
      this.settled();
      return;
    }
  }

  /** An `ops` request has lines to apply. */
  wake(stream: OpsStream): void {
    this.readyStreams.add(stream);
    this.around.scheduler.request(this);
  }

  sleep(stream: OpsStream): void {
    this.readyStreams.delete(stream);
  }

  // What it tells

  private changed(): void {
    this.around.frameClock.mark(this);
  }

  /** A run has begun or ended, or has gone beyond a bound. */
  private stateChanged(): void {
    this.tellState();
    this.changed();
  }

  private tellState(): void {
    const { paused } = this.governor;
    this.around.post({ kind: 'state', session: this.id, state: this.state(), problem: this.failure, paused });
  }

  postFrames(nowMs: number): boolean {
    if (this.gone) return false;
    // In the middle of an operation the core may be asked nothing but reads.
    if (this.suspended !== null) return true;
    if (this.failure !== null) {
      this.tellFrames(this.recorder.takeRuns());
      return false;
    }
    if (!this.recorder.due(nowMs, this.around.settings.frameEveryMs)) return true;
    try {
      const progress = this.runs.progress();
      const { frames, more } = this.recorder.batch(nowMs, progress);
      this.tellFrames(frames);
      return more || progress !== null;
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  private tellFrames(frames: SessionFrame[]): void {
    if (frames.length > 0) this.around.post({ kind: 'frames', session: this.id, frames });
  }

  // Ends

  /** Sets the session aside; what waits is answered with the reason. */
  private fail(error: unknown): HostProblem {
    const problem = sessionFailed(
      `The simulation hit an internal error and was set aside: ${messageOf(error)}. Delete the session and create another.`,
    );
    this.failure = problem;
    this.governor.runEnded();
    this.runs.fail(problem);
    this.tellState();
    this.changed();
    return problem;
  }

  /**
   * Puts it to rest, as it can be had again from its journal: a run that is active leaves a mark there and no end.
   *
   * @returns how it stands, or null while something is under way that must end first
   */
  rest(): SessionStatus | null {
    if (this.suspended !== null || this.waiting.length > 0 || this.readyStreams.size > 0) return null;
    if (this.runs.active !== null) this.runs.mark(this.runs.active);
    if (this.memory.worthAnImage && this.failure === null) this.memory.takeImage(this.now());
    const status = this.status();
    this.governor.tellComputed();
    this.leave();
    return status;
  }

  get running(): boolean {
    return this.runs.active !== null;
  }

  private leave(): void {
    this.gone = true;
    this.around.scheduler.forget(this);
    this.around.frameClock.forget(this);
    this.around.tapes.leave(this.id);
  }

  /** Before it is forgotten: ends the run and answers what waits. */
  dispose(): void {
    this.cancelRun();
    this.leave();
    const problem = sessionNotFound(this.id);
    const { suspended } = this;
    this.suspended = null;
    if (suspended !== null) suspended({ status: 'refused', problem });
    for (const write of this.waiting.splice(0)) write.answer(refuse(problem));
    // Open `ops` requests learn it from their next line.
    if (this.readyStreams.size > 0) this.around.scheduler.request(this);
  }
}
