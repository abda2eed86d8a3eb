/**
 * A session from its journal: a simulation of its spec, to which all that was done to it is done again. In turns, like everything that
 * computes in a worker, so that the sessions that are awake stay responsive.
 */
import type { Operation, Outcome, RunRequest } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import { type JournalRecord, type LineRecord, parseRecord, type RunEnd } from './journal/records.ts';
import type { Stretch } from './journal/rows.ts';
import type { KeyedReplies, Told } from './keyed-replies.ts';
import { messageOf, replyOf } from './problems.ts';
import { ResultJson, replyLine } from './result-json.ts';
import { endRun, type RunRecord, type RunRecords, runId, startRun } from './run-records.ts';
import type { Scheduler, TurnTaker } from './scheduler.ts';
import type { BoundedSession } from './session-bounds.ts';

/** Events of a run between two looks at the clock. */
const EVENTS_A_LOOK = 1024;

export interface Revived {
  simulator: SimulatorApi;
  runs: RunRecords;
  /** A run in progress when the journal ended, to go on from its beginning. */
  active: RunRecord | null;
  /** What the replay itself did, for the journal: it ended a run that was not to go on. */
  added: JournalRecord | null;
  keyed: KeyedReplies;
}

export interface ReplayParts {
  scheduler: Scheduler;
  /** Where it begins: a fresh simulation, or one from an image with what the host knew then. */
  simulator: SimulatorApi;
  runs: RunRecords;
  keyed: KeyedReplies;
  active: RunRecord | null;
  /** Entries up to this one are in it. */
  after: number;
  read(after: number): Promise<Stretch>;
  /** For a rehearsal: an active run is taken to where it had come, and all of it may take so long, and so much. Milliseconds of computing. */
  rehearsal?: { mostMs: number; bounded: BoundedSession };
}

export class Replay implements TurnTaker {
  private readonly parts: ReplayParts;
  private readonly simulator: SimulatorApi;
  private readonly runs: RunRecords;
  private lines: string[] = [];
  private next = 0;
  private after: number | null;
  /** The lines are those of the session that this one was forked of. */
  private inherited = false;
  private computedMs = 0;
  /** Of the last turn. */
  private lastMs = 0;
  private active: RunRecord | null;
  private mark = 0;
  private atMark = false;
  /** An operation in the middle of a long search. */
  private suspended = false;
  /** Where the run is taken next, and how it ends there; null: to its end. */
  private goal: { events: number | null; end: RunEnd | null } | null = null;
  private added: JournalRecord | null = null;
  private readonly keyed: KeyedReplies;
  /** What was told of the last record. */
  private told: Told = 'status';
  /** The last operation, and what came of it. */
  private operation: Operation | null = null;
  private outcome: Outcome | null = null;
  private readonly resultJson = new ResultJson();
  private settle: (revived: Revived) => void = () => {};
  private reject: (error: Error) => void = () => {};

  constructor(parts: ReplayParts) {
    this.parts = parts;
    this.simulator = parts.simulator;
    this.runs = parts.runs;
    this.keyed = parts.keyed;
    this.active = parts.active;
    this.after = parts.after;
    if (parts.active !== null) this.mark = parts.simulator.runEvents;
  }

  /** Rejects when the journal cannot be read, or does not go with what the simulation does. */
  run(): Promise<Revived> {
    return new Promise((resolve, reject) => {
      this.settle = resolve;
      this.reject = reject;
      this.fetch();
    });
  }

  private fetch(): void {
    this.parts.read(this.after!).then(
      ({ bodies, inherited, after }) => {
        const decoder = new TextDecoder();
        this.lines = bodies.flatMap((body) => decoder.decode(body).split('\n').slice(0, -1));
        this.next = 0;
        this.after = after;
        this.inherited = inherited;
        this.parts.scheduler.request(this);
      },
      (error: Error) => this.reject(error),
    );
  }

  takeTurn(deadline: number): boolean {
    const begin = performance.now();
    try {
      const mostMs = this.parts.rehearsal?.mostMs ?? Number.POSITIVE_INFINITY;
      this.expect(this.computedMs <= mostMs, `it takes more than ${mostMs / 1000} s to do again what was done`);
      this.bound();
      do {
        if (this.suspended) this.finished(this.simulator.resume());
        else if (this.goal !== null) this.advanceRun(this.goal);
        else if (this.next < this.lines.length) this.carryOut(this.lines[this.next++]!);
        else if (this.after !== null) {
          this.fetch();
          return false;
        } else if (this.parts.rehearsal !== undefined && this.active !== null && !this.atMark) {
          this.atMark = true;
          this.goal = { events: this.mark, end: null };
        } else if (this.parts.rehearsal === undefined && this.active?.request.onRestart === 'interrupt') {
          this.goal = { events: this.mark, end: 'interrupted' };
          this.added = { end: 'interrupted', events: this.mark, computedMs: 0 };
        } else {
          this.finish();
          return false;
        }
      } while (performance.now() < deadline);
      return true;
    } catch (error) {
      this.reject(new Error(`record ${this.next} of its journal: ${messageOf(error)}`));
      return false;
    } finally {
      this.lastMs = performance.now() - begin;
      this.computedMs += this.lastMs;
    }
  }

  /** Nothing that is only rehearsed takes more than a session may. */
  private bound(): void {
    const bounded = this.parts.rehearsal?.bounded;
    if (bounded === undefined) return;
    while (bounded.measuring) bounded.step();
    const beyond = this.goal === null ? null : bounded.ran(this.lastMs, this.simulator);
    this.expect(beyond === null, `it takes more than ${beyond?.limit} (${beyond?.name})`);
  }

  private finish(): void {
    const { simulator, runs, active, added, keyed } = this;
    // What happened then was told then.
    while (simulator.drainNotices(1000).notices.length > 0);
    this.settle({ simulator, runs, active, added, keyed });
  }

  private carryOut(line: string): void {
    const record = parseRecord(line);
    if ('op' in record) {
      this.operation = record as Operation;
      const refusal = this.parts.rehearsal?.bounded.refuse(this.operation, this.simulator) ?? null;
      this.expect(refusal === null, refusal?.detail ?? '');
      this.finished(this.simulator.apply(this.operation));
    } else if ('run' in record) this.begin(record.run);
    // Replies are of the session that gave them.
    else if (this.inherited && ('key' in record || 'line' in record)) return;
    else if ('key' in record) this.keyed.add(record, record.at, this.told);
    else if ('line' in record) this.addLine(record);
    else if ('mark' in record) this.mark = record.mark;
    else if ('end' in record) {
      this.expect(this.active !== null, 'a run ends that never began');
      this.active!.computedMs = record.computedMs;
      this.goal = { events: record.end === 'finished' ? null : record.events, end: record.end };
    } else if ('forget' in record) {
      const forgotten = this.runs.find(runId(record.forget));
      if (forgotten !== undefined) this.runs.remove(forgotten);
    } else {
      this.expect('reset' in record && this.simulator.operations === 0, 'a reset in the middle');
      this.told = 'status';
    }
  }

  private addLine({ line, of, print, reply }: LineRecord): void {
    const { operation, outcome } = this;
    this.expect(reply !== undefined || outcome !== null, 'a line without its operation');
    const op = JSON.stringify(operation?.op);
    this.keyed.addLine(of, { line, print, reply: reply ?? replyLine(line, op, outcome!, this.resultJson) });
  }

  private finished(outcome: Outcome | null): void {
    this.suspended = outcome === null;
    if (outcome !== null) {
      this.told = { reply: replyOf(outcome) };
      this.outcome = outcome;
    }
    this.expect(
      outcome === null || outcome.status !== 'refused',
      `an operation that was carried out is refused (${outcome?.status === 'refused' ? outcome.problem.detail : ''})`,
    );
  }

  private begin(request: RunRequest): void {
    this.expect(this.active === null, 'a run begins while another is active');
    this.active = this.runs.begin(request, this.simulator.timeNs);
    this.mark = 0;
    this.told = { run: this.active.number };
    this.expect(startRun(this.simulator, request).status === 'ok', 'a run that began is refused');
  }

  private advanceRun({ events, end }: { events: number | null; end: RunEnd | null }): void {
    const { simulator } = this;
    const record = this.active!;
    const left = events === null ? EVENTS_A_LOOK : events - simulator.runEvents;
    const ended = left > 0 && simulator.stepRun(Math.min(left, EVENTS_A_LOOK));
    if (!ended && left > 0) return;
    this.expect(ended === (events === null), 'a run does not end as it did');
    this.goal = null;
    if (end === null) return;
    if (!ended) simulator.cancelRun();
    this.active = null;
    endRun(record, end, simulator);
  }

  private expect(holds: boolean, otherwise: string): void {
    if (!holds) throw new Error(otherwise);
  }
}
