/** The runs of a session: the active one, which computes in slices and leaves marks in the journal, and those that have ended. */
import { problemDocument } from '../api/problem.ts';
import type { RunRequest } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { FrameRecorder } from './frames.ts';
import type { HostProblem, Reply, RunDocument } from './host.ts';
import { fromOperation, refuse, runNotFound } from './problems.ts';
import type { CalledBy, Told } from './protocol.ts';
import type { KeyMark } from './retry.ts';
import { endRun, type RunRecord, RunRecords, resultOf, runId, startRun } from './run-records.ts';
import type { SessionGovernor } from './session-governor.ts';
import type { SessionMemory } from './session-memory.ts';
import { epochMs } from './tracing.ts';

/** `stepRun` is asked for as many events as take about this long, so that the clock is read seldom and in time. */
const STEP_MS = 0.25;
const MOST_EVENTS_A_STEP = 1 << 16;
/** Computing time between two marks of a run in the journal. */
const MARK_MS = 1000;

export interface SessionRunsParts {
  memory: SessionMemory;
  governor: SessionGovernor;
  /** Ended runs that are remembered. */
  kept: number;
  tell(told: Told, from: CalledBy | null): void;
  /** A run has begun or ended, or stands still beyond a bound. */
  stateChanged(): void;
  /** The journal has all that was done. */
  settled(): void;
  /** The simulator threw. @returns what those are told who ask */
  failed(error: unknown): HostProblem;
}

/** Of what there is one until a reset. */
export interface Simulated {
  simulator: SimulatorApi;
  recorder: FrameRecorder;
}

export class SessionRuns {
  active: RunRecord | null = null;
  records: RunRecords;
  private readonly parts: SessionRunsParts;
  private simulated: Simulated;
  private eventsPerStep = 64;
  /** Computing time of the active run at its last mark. */
  private markedMs = 0;
  /** Who asked for the active run, and when; null: it is from the journal. */
  private startedBy: { from: CalledBy | null; fromMs: number } | null = null;

  /** @param records what its journal made of them; none of a new session */
  constructor(parts: SessionRunsParts, simulated: Simulated, records: RunRecords | null = null) {
    this.parts = parts;
    this.simulated = simulated;
    this.records = records ?? new RunRecords(parts.kept);
  }

  /** All is as at the beginning. */
  restart(simulated: Simulated): void {
    this.simulated = simulated;
    this.records = new RunRecords(this.parts.kept);
  }

  /** From the journal. */
  takeUp(active: RunRecord | null): void {
    this.active = active;
    this.markedMs = active?.computedMs ?? 0;
  }

  get activeId(): string | null {
    return this.active === null ? null : runId(this.active.number);
  }

  begin(request: RunRequest, retry: KeyMark | null, from: CalledBy | null): Reply<RunDocument> {
    const { memory, tell, stateChanged, failed } = this.parts;
    const { simulator, recorder } = this.simulated;
    let outcome: ReturnType<typeof startRun>;
    try {
      outcome = startRun(simulator, request);
    } catch (error) {
      return refuse(failed(error));
    }
    if (outcome.status !== 'ok') return refuse(fromOperation(outcome.problem));
    const active = this.records.begin(request, simulator.timeNs);
    this.active = active;
    this.markedMs = 0;
    memory.note({ run: request });
    if (retry !== null) memory.noteKey(retry, { run: active.number });
    this.startedBy = { from, fromMs: epochMs() };
    tell({ what: 'run-started', run: runId(active.number), timeNs: simulator.timeNs }, from);
    recorder.runChanged(this.document(active, false));
    stateChanged();
    return { ok: true, value: this.document(active, true) };
  }

  /** Computes until `deadline` (`performance.now()`), or the end. */
  step(record: RunRecord, deadline: number): void {
    const { governor, failed, stateChanged } = this.parts;
    const { simulator } = this.simulated;
    const begin = performance.now();
    let before = begin;
    let ended = false;
    try {
      while (!ended) {
        const left = governor.eventsLeft(simulator);
        if (left <= 0) break;
        ended = simulator.stepRun(Math.min(this.eventsPerStep, left));
        const now = performance.now();
        const took = now - before;
        if (took < STEP_MS / 2) this.eventsPerStep = Math.min(this.eventsPerStep * 2, MOST_EVENTS_A_STEP);
        else if (took > STEP_MS * 2) this.eventsPerStep = Math.max(this.eventsPerStep >>> 1, 1);
        before = now;
        if (now >= deadline) break;
      }
    } catch (error) {
      record.computedMs += performance.now() - begin;
      failed(error);
      return;
    }
    record.computedMs += before - begin;
    const tooFar = governor.ran(before - begin, simulator, ended);
    if (ended) this.end(record, 'finished');
    else if (tooFar) stateChanged();
    else if (record.computedMs - this.markedMs >= MARK_MS) this.mark(record);
  }

  /** Where the run stands, so that a server that ends now knows how far it had come. */
  mark(record: RunRecord): void {
    const ms = record.computedMs - this.markedMs;
    this.markedMs = record.computedMs;
    this.parts.memory.note({ mark: this.simulated.simulator.runEvents }, ms);
    this.parts.settled();
  }

  private end(record: RunRecord, end: 'finished' | 'cancelled'): void {
    const { memory, governor, stateChanged } = this.parts;
    const { simulator, recorder } = this.simulated;
    endRun(record, end, simulator);
    const { computedMs } = record;
    memory.note({ end, events: simulator.runEvents, computedMs }, computedMs - this.markedMs);
    this.active = null;
    governor.runEnded();
    this.tellEnd(record);
    recorder.runChanged(this.document(record, true));
    stateChanged();
  }

  /** Ends the active run where it stands, if there is one. */
  cancel(): void {
    const { active } = this;
    if (active === null) return;
    try {
      this.simulated.simulator.cancelRun();
      this.end(active, 'cancelled');
    } catch (error) {
      this.parts.failed(error);
    }
  }

  /** The session is set aside, and its active run with it. */
  fail(problem: HostProblem): void {
    const { active } = this;
    if (active === null) return;
    const { simulator, recorder } = this.simulated;
    this.active = null;
    active.state = 'failed';
    active.problem = problem;
    active.timeNs = simulator.timeNs;
    active.progress = null;
    this.tellEnd(active);
    recorder.runChanged(this.document(active, false));
  }

  private tellEnd({ number, state, timeNs, computedMs, problem }: RunRecord): void {
    const { from = null, fromMs = null } = this.startedBy ?? {};
    this.startedBy = null;
    const worked = fromMs === null ? null : { fromMs, toMs: epochMs() };
    this.parts.tell({ what: 'run-ended', run: runId(number), state, timeNs, computedMs, worked, problem }, from);
  }

  /** @param partial whether an active run's result so far is in it */
  document(record: RunRecord, partial: boolean): RunDocument {
    const { simulator } = this.simulated;
    const active = record === this.active;
    const document: RunDocument = {
      id: runId(record.number),
      state: record.state,
      timeNs: active ? simulator.timeNs : record.timeNs,
      progress: active ? simulator.runProgress() : record.progress,
      request: record.request,
      result: active && partial ? resultOf(simulator, record.computedMs) : record.result,
    };
    if (record.problem !== null) document.problem = problemDocument(record.problem);
    return document;
  }

  /** How the active run stands; null: there is none. */
  progress(): RunDocument | null {
    return this.active === null ? null : this.document(this.active, false);
  }

  list(page: { after: number; limit: number; state: RunDocument['state'] | null }): Reply<unknown> {
    const { after, limit, state } = page;
    const records = this.records.page(after, limit + 1, state);
    const last = records.length > limit ? records[limit - 1]!.number : null;
    return { ok: true, value: { items: records.slice(0, limit).map((record) => this.document(record, true)), last } };
  }

  get(id: string): Reply<unknown> {
    const record = this.records.find(id);
    return record === undefined ? refuse(runNotFound(id)) : { ok: true, value: this.document(record, true) };
  }

  /** Messages are served between slices, so an active run stands at a slice boundary here. */
  delete(id: string): Reply<unknown> {
    const record = this.records.find(id);
    if (record === undefined) return refuse(runNotFound(id));
    if (record === this.active) this.cancel();
    else {
      this.records.remove(record);
      this.parts.memory.note({ forget: record.number });
    }
    return { ok: true, value: this.document(record, true) };
  }
}
