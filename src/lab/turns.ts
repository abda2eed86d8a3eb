/**
 * Whose turn it is: the jobs of all experiments that have not ended, on the runner.
 *
 *     pump: while the runner takes one more: next experiment in turn ──> its first waiting row ──> runner ──> store ──> rows of that key
 *
 * Rows of one key wait for one job. What cannot be given to the runner, or whose outcome cannot be written down, waits again.
 */
import type { HostLogger } from '../host/logger.ts';
import type { Span, Tracing } from '../host/tracing.ts';
import type { ExperimentDocument, Job, JobOutcome } from './experiment.ts';
import { jobOf } from './job.ts';
import type { JobRunner } from './laboratory.ts';
import { CANCELLED } from './pool.ts';
import type { ExperimentFacts, ExperimentStore, StoredRow } from './store.ts';

/** An experiment that has not ended. */
export interface Active {
  facts: ExperimentFacts;
  document: ExperimentDocument;
  rows: StoredRow[];
  /** Positions that wait, first first. */
  waiting: number[];
  running: number;
  ended: number;
  /** `traceparent` of the request that created it; null: it was not traced, or before the server began. */
  context: string | null;
}

interface Waiter {
  active: Active;
  position: number;
}

/** A job that is computed, and for which rows. */
interface Flight {
  key: string;
  abort: AbortController;
  span: Span | null;
  waiters: Waiter[];
}

/** Who keeps the record, and is told what becomes of rows. */
export interface RecordKeeper {
  /** A row has its turn. */
  begun(active: Active): void;
  /** @param failure null: there is an outcome; `cached`: it was there, or was computed for another row */
  settled(active: Active, position: number, failure: StoredRow['failure'], cached: boolean): void;
  /** All rows of one outcome are settled. */
  looked(active: Active): void;
}

export interface TurnsParts {
  runner: JobRunner;
  store: ExperimentStore;
  record: RecordKeeper;
  logger: HostLogger;
  tracing: Tracing;
  nowMs(): number;
}

/** What was refused for a while is tried again. */
const AGAIN_MS = 1_000;

export class Turns {
  private readonly parts: TurnsParts;
  /** By id, in the order of their turns. */
  readonly active = new Map<string, Active>();
  private readonly flights = new Map<string, Flight>();
  private closing = false;
  private pausedUntilMs = 0;
  private retry: NodeJS.Timeout | null = null;

  constructor(parts: TurnsParts) {
    this.parts = parts;
  }

  /** Jobs that wait, and that are computed. */
  get queued(): number {
    let queued = 0;
    for (const { waiting } of this.active.values()) queued += waiting.length;
    return queued;
  }

  get running(): number {
    return this.flights.size;
  }

  add(active: Active): void {
    this.active.set(active.facts.id, active);
  }

  remove({ facts }: Active): void {
    this.active.delete(facts.id);
  }

  /** Jobs that were computed for it alone are withdrawn. */
  withdraw(active: Active): void {
    for (const flight of this.flights.values()) {
      flight.waiters = flight.waiters.filter((waiter) => waiter.active !== active);
      if (flight.waiters.length === 0) flight.abort.abort();
    }
  }

  /** What is under way waits again at the next start. */
  close(): void {
    this.closing = true;
    if (this.retry !== null) clearTimeout(this.retry);
    for (const { abort } of this.flights.values()) abort.abort();
  }

  /** Gives the runner what it takes. */
  pump(): void {
    while (!this.closing && this.flights.size < this.parts.runner.width && this.parts.nowMs() >= this.pausedUntilMs) {
      const next = this.nextRow();
      if (next === null) return;
      try {
        this.serve(next);
      } catch (error) {
        this.parts.logger.error({ err: error }, 'a job cannot be begun; it is tried again');
        this.putOff([next]);
      }
    }
  }

  private serve(next: Waiter): void {
    const { store, record, nowMs } = this.parts;
    const { active, position } = next;
    const row = active.rows[position]!;
    row.state = 'running';
    active.running++;
    const flight = this.flights.get(row.key);
    if (flight !== undefined) flight.waiters.push(next);
    else if (store.has(row.key, nowMs())) this.landed([next], { ok: true }, true);
    else this.start(next, jobOf(active.document.request, armOf(active, position), row.seed));
    record.begun(active);
  }

  /** What is computed already needs no turn. */
  join(active: Active): void {
    const { waiting, rows } = active;
    const joining = waiting.filter((position) => this.flights.has(rows[position]!.key));
    active.waiting = waiting.filter((position) => !this.flights.has(rows[position]!.key));
    for (const position of joining) this.serve({ active, position });
  }

  /** In turn: the experiment that is served goes to the end of the line. */
  private nextRow(): Waiter | null {
    for (const [id, active] of this.active) {
      const position = active.waiting.shift();
      if (position === undefined) continue;
      this.active.delete(id);
      this.active.set(id, active);
      return { active, position };
    }
    return null;
  }

  private start(first: Waiter, job: Job): void {
    const { key } = first.active.rows[first.position]!;
    const { active } = first;
    const span = this.parts.tracing.beginApart('experiment job', active.context, {
      'iommu_lab.experiment': active.facts.id,
      'iommu_lab.job': key,
    });
    const flight: Flight = { key, abort: new AbortController(), span, waiters: [first] };
    this.flights.set(key, flight);
    this.parts.runner.run(key, job, flight.abort.signal).then(
      (outcome) => this.land(flight, outcome),
      (error: unknown) => this.land(flight, null, error),
    );
  }

  /** @param outcome null: the runner is gone, or cannot take it now */
  private land(flight: Flight, outcome: JobOutcome | null, error?: unknown): void {
    flight.span?.end(outcome === null ? 'not-taken' : outcome.ok ? null : outcome.code);
    if (this.closing) return;
    this.flights.delete(flight.key);
    const { waiters } = flight;
    try {
      if (outcome === null) {
        this.parts.logger.warn({ err: error }, 'a job could not be given to what computes it; it is tried again');
        this.putOff(waiters);
      } else if (outcome.ok) {
        this.parts.store.putOutcome(flight.key, outcome, this.parts.nowMs());
        this.landed(waiters, outcome, false);
        // Cancelled for those who wanted it first, and somebody wants it by now.
      } else if (outcome.code === CANCELLED) this.putOff(waiters, 0);
      else this.landed(waiters, outcome, false);
    } catch (failure) {
      this.parts.logger.error({ err: failure }, 'what came of a job cannot be written down; it is tried again');
      this.putOff(waiters);
    }
    this.pump();
  }

  /** Rows wait again. */
  private putOff(waiters: Waiter[], ms = AGAIN_MS): void {
    for (const { active, position } of waiters) {
      const row = active.rows[position]!;
      if (row.state !== 'running') continue;
      row.state = 'queued';
      active.running--;
      active.waiting.unshift(position);
    }
    if (ms === 0) return;
    this.pausedUntilMs = this.parts.nowMs() + ms;
    this.retry ??= setTimeout(() => {
      this.retry = null;
      this.pausedUntilMs = 0;
      this.pump();
    }, ms);
  }

  private landed(waiters: Waiter[], outcome: { ok: true } | JobOutcome, known: boolean): void {
    const { store, record } = this.parts;
    store.together(() => {
      for (const [i, { active, position }] of waiters.entries()) {
        if (active.rows[position]!.state !== 'running') continue;
        const failure = outcome.ok ? null : { code: outcome.code, detail: outcome.detail };
        const cached = outcome.ok && (known || i > 0);
        record.settled(active, position, failure, cached);
        active.running--;
      }
    });
    for (const active of new Set(waiters.map((each) => each.active))) record.looked(active);
  }
}

function armOf({ document, rows }: Active, position: number): { label: string; spec: Record<string, unknown> } {
  return document.arms.find(({ id }) => id === rows[position]!.arm)!;
}
