/**
 * The laboratory of one server or one command line: experiments and their rows in a store, jobs on whatever computes them.
 *
 *     create: plan ──> rows whose outcome is known are finished ──> the others wait for their turn (`turns.ts`)
 *
 * All that must be known again is in the store before anybody is told of it; what was under way when the
 * process ended is waiting again at the next start.
 */
import { coreVersion } from '../core/version.ts';
import type { Reply } from '../host/host.ts';
import { hasExperimentIdForm, LOCAL_OWNER, nameKey, newExperimentId } from '../host/ids.ts';
import { type HostLogger, SILENT } from '../host/logger.ts';
import { decodeCursor, encodeCursor, pageLimit } from '../host/paging.ts';
import {
  experimentNotFound,
  internal,
  invalidCursor,
  messageOf,
  nameHasIdForm,
  nameTaken,
  refuse,
  shuttingDown,
  storageUnavailable,
} from '../host/problems.ts';
import { currentRetry, type KeyMark, markOf, type Retry } from '../host/retry.ts';
import { type Tracing, UNTRACED } from '../host/tracing.ts';
import type {
  ExperimentData,
  ExperimentDocument,
  ExperimentInput,
  ExperimentState,
  ExperimentSummary,
  JobOutcome,
  Row,
} from './experiment.ts';
import type {
  Desk,
  JobRunner,
  Laboratory,
  LaboratoryStatus,
  RenderForm,
  RenderOptions,
  RunnerStatus,
} from './laboratory.ts';
import { type Plan, type Planned, planExperiment } from './plan.ts';
import { renderExperiment } from './render.ts';
import { type ExperimentFacts, ExperimentStore, progressOf, type StoredRow, summaryOf } from './store.ts';
import { type Active, Turns } from './turns.ts';

export interface LaboratoryParts {
  /** Closed with the laboratory, as the runner is. Or the path of its file; without either in memory. */
  store?: ExperimentStore;
  path?: string;
  runner: JobRunner & Partial<Desk>;
  /** What plans and reports, closed with the laboratory; the runner if it does, or else this very thread. */
  desk?: Desk;
  logger?: HostLogger;
  /** Who is told how long jobs took; nobody unless given. */
  tracing?: Tracing;
  /** Experiments on record. */
  limit?: number;
  nowMs?(): number;
}

const LIMIT = 10_000;
const WELL: RunnerStatus = { state: 'ok', detail: '' };
/** Outcomes that are read between two turns of the event loop. */
const OUTCOMES_A_TURN = 16;

/** @throws StoreError */
export function createLaboratory(parts: LaboratoryParts): LocalLaboratory {
  return new LocalLaboratory(parts);
}

export class LocalLaboratory implements Laboratory {
  private readonly store: ExperimentStore;
  private readonly runner: LaboratoryParts['runner'];
  private readonly desk: Partial<Desk>;
  private readonly logger: HostLogger;
  private readonly tracing: Tracing;
  private readonly limit: number;
  private readonly nowMs: () => number;
  /** By id, in the order of their numbers. */
  private readonly known = new Map<string, ExperimentFacts>();
  /** `nameKey` -> id. */
  private readonly names = new Map<string, string>();
  /** `Idempotency-Key` -> id of what was created under it. */
  private readonly madeUnder = new Map<string, string>();
  private readonly turns: Turns;
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly counted = { finished: 0, failed: 0, cached: 0 };
  private lastNumber = 0;
  private closing = false;

  constructor(parts: LaboratoryParts) {
    const { store, path, runner, desk, logger = SILENT, tracing = UNTRACED, limit = LIMIT, nowMs = Date.now } = parts;
    this.tracing = tracing;
    this.store = store ?? new ExperimentStore(path ?? null);
    this.runner = runner;
    this.desk = desk ?? runner;
    this.logger = logger;
    this.limit = limit;
    this.nowMs = nowMs;
    const record = {
      begun: (active: Active) => this.begun(active),
      settled: (active: Active, position: number, failure: StoredRow['failure'], cached: boolean) =>
        this.settleRow(active, position, failure, cached),
      looked: (active: Active) => this.endIfDone(active),
    };
    this.turns = new Turns({ runner, store: this.store, record, logger, tracing, nowMs });
    for (const facts of this.store.facts()) {
      this.lastNumber = facts.number;
      this.remember(facts);
      if (isActive(facts.state)) this.takeUp(facts);
    }
    this.turns.pump();
  }

  private remember(facts: ExperimentFacts): void {
    this.known.set(facts.id, facts);
    if (facts.name !== null) this.names.set(nameKey(facts.owner, facts.name), facts.id);
    if (facts.made !== null) this.madeUnder.set(facts.made.key, facts.id);
  }

  /** One that was active when the server ended. */
  private takeUp(facts: ExperimentFacts): void {
    const { document } = this.store.document(facts.number);
    const rows = this.store.rows(facts.number);
    const active = activeOf(facts, document, rows);
    this.turns.add(active);
    if (document.coreVersion === coreVersion) return;
    const failure = {
      code: 'core-changed',
      detail: `It was begun under version ${document.coreVersion} of the core, and this is version ${coreVersion}, under which the same may come to something else.`,
    };
    this.store.together(() => {
      for (const position of active.waiting.splice(0)) this.settleRow(active, position, failure);
    });
    this.endIfDone(active);
  }

  // What is asked of it

  async validate(input: ExperimentInput, owner: string): Promise<Reply<ExperimentDocument>> {
    const refusal = this.refuseName(input.name, owner);
    if (refusal !== null) return refusal;
    const planned = await this.plan(input);
    if (!planned.ok) return refuse(planned.problem);
    return { ok: true, value: this.newDocument(newExperimentId(), input, owner, planned.value) };
  }

  async create(
    input: ExperimentInput,
    owner: string,
    admit?: () => Reply<never> | null,
  ): Promise<Reply<ExperimentDocument>> {
    const retry = currentRetry();
    const earlier = retry === null ? null : this.createdBefore(retry);
    if (earlier !== null) return earlier;
    const planned = await this.plan(input);
    const refusal = this.refuseNow() ?? this.refuseName(input.name, owner);
    if (refusal !== null) return refusal;
    if (!planned.ok) return refuse(planned.problem);
    const notAdmitted = admit?.() ?? null;
    if (notAdmitted !== null) return notAdmitted;
    try {
      return { ok: true, value: this.begin(input, owner, planned.value, markOf(retry)) };
    } catch (error) {
      this.logger.error({ err: error }, 'an experiment cannot be written down');
      return refuse(storageUnavailable(messageOf(error)));
    }
  }

  /** What an earlier request with this key has created, or null. */
  private createdBefore(retry: Retry): Reply<ExperimentDocument> | null {
    const id = this.madeUnder.get(retry.key);
    const facts = id === undefined ? undefined : this.known.get(id);
    if (facts === undefined) return null;
    if (facts.made!.print !== retry.print)
      return refuse({
        code: 'idempotency-mismatch',
        detail: 'This Idempotency-Key was first used with another request. Use a new key for a new one.',
      });
    retry.replayed = true;
    return { ok: true, value: this.read(facts) };
  }

  private async plan(input: ExperimentInput): Promise<Planned> {
    try {
      return await (this.desk.plan?.(input) ?? planExperiment(input));
    } catch (error) {
      return { ok: false, problem: internal(error) };
    }
  }

  private refuseNow(): { ok: false; problem: ReturnType<typeof shuttingDown> } | null {
    if (this.closing) return refuse(shuttingDown());
    if (this.known.size >= this.limit) {
      const detail = `The server has ${this.known.size} experiments on record, and ${this.limit} is the limit; delete one first.`;
      return refuse({ code: 'too-many-experiments', detail, retryable: true });
    }
    if (!this.store.full) return null;
    const detail = 'The results of the experiments on record take as much as they may; delete one first.';
    return refuse({ code: 'too-much-stored', detail, retryable: true });
  }

  private refuseName(name: string | undefined, owner: string): ReturnType<typeof refuse> | null {
    if (name === undefined) return null;
    if (hasExperimentIdForm(name)) return refuse(nameHasIdForm(name, 'experiment'));
    return this.names.has(nameKey(owner, name)) ? refuse(nameTaken(name, 'experiment')) : null;
  }

  private newDocument(
    id: string,
    { name, title }: ExperimentInput,
    owner: string,
    { request, arms, rows }: Plan,
  ): ExperimentDocument {
    return {
      id,
      ...(name === undefined ? {} : { name }),
      ...(title === undefined ? {} : { title }),
      owner,
      state: 'queued',
      createdAt: new Date(this.nowMs()).toISOString(),
      endedAt: null,
      coreVersion,
      request,
      jobs: { total: rows.length, finished: 0, failed: 0, cached: 0 },
      progress: 0,
      arms,
    };
  }

  private begin(input: ExperimentInput, owner: string, plan: Plan, made: KeyMark | null): ExperimentDocument {
    const document = this.newDocument(newExperimentId(this.nowMs()), input, owner, plan);
    const { id, name = null } = document;
    const facts: ExperimentFacts = { number: ++this.lastNumber, id, name, owner, state: 'queued', made };
    const rows = plan.rows.map(({ arm, seed, key }): StoredRow => {
      const cached = this.store.has(key, this.nowMs());
      return { arm, seed, key, state: cached ? 'finished' : 'queued', cached, failure: null };
    });
    this.store.add(facts, document, rows);
    this.remember(facts);
    const active = activeOf(facts, document, rows);
    active.context = this.tracing.current();
    this.counted.cached += active.document.jobs.cached;
    this.turns.add(active);
    if (active.ended > 0) this.setState(active, 'running');
    this.turns.join(active);
    this.endIfDone(active);
    this.turns.pump();
    return this.documentOf(active);
  }

  async list(
    { limit, cursor, state }: { limit: number; cursor?: string; state?: ExperimentState },
    sees: (owner: string) => boolean = () => true,
  ): Promise<Reply<{ items: ExperimentSummary[]; nextCursor?: string }>> {
    const after = decodeCursor(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const most = pageLimit(limit);
    const found: ExperimentFacts[] = [];
    for (const facts of this.known.values()) {
      if (facts.number <= after || !sees(facts.owner) || (state !== undefined && facts.state !== state)) continue;
      found.push(facts);
      if (found.length > most) break;
    }
    const items = found.slice(0, most).map((facts) => {
      const active = this.turns.active.get(facts.id);
      return active === undefined ? this.store.summary(facts.number) : summaryOf(this.documentOf(active));
    });
    if (found.length <= most) return { ok: true, value: { items } };
    return { ok: true, value: { items, nextCursor: encodeCursor(found[most - 1]!.number) } };
  }

  /** The id of an experiment, by id or by a name of this owner's; null when there is none. */
  resolve(experiment: string, owner: string = LOCAL_OWNER): string | null {
    if (this.known.has(experiment)) return experiment;
    return this.names.get(nameKey(owner, experiment)) ?? null;
  }

  ownerOf(id: string): string | null {
    return this.known.get(id)?.owner ?? null;
  }

  activeOf(owner: string): number {
    let count = 0;
    for (const { facts } of this.turns.active.values()) if (facts.owner === owner) count++;
    return count;
  }

  private find(experiment: string): ExperimentFacts | null {
    const id = this.resolve(experiment);
    return id === null ? null : this.known.get(id)!;
  }

  /** The document as it is now. */
  private read(facts: ExperimentFacts): ExperimentDocument {
    const active = this.turns.active.get(facts.id);
    if (active !== undefined) return this.documentOf(active);
    const { document, ended } = this.store.document(facts.number);
    count(document, this.store.rows(facts.number));
    return { ...document, state: facts.state, endedAt: ended };
  }

  private documentOf({ document, facts }: Active): ExperimentDocument {
    return { ...document, state: facts.state, jobs: { ...document.jobs } };
  }

  async get(experiment: string): Promise<Reply<ExperimentDocument>> {
    const facts = this.find(experiment);
    return facts === null ? refuse(experimentNotFound(experiment)) : { ok: true, value: this.read(facts) };
  }

  async data(experiment: string): Promise<Reply<ExperimentData>> {
    const facts = this.find(experiment);
    if (facts === null) return refuse(experimentNotFound(experiment));
    const document = this.read(facts);
    const stored = this.turns.active.get(facts.id)?.rows.map((row) => ({ ...row })) ?? this.store.rows(facts.number);
    const rows: Row[] = [];
    for (const [i, { arm, seed, key, state, failure }] of stored.entries()) {
      if (i % OUTCOMES_A_TURN === OUTCOMES_A_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      if (!this.known.has(facts.id)) return refuse(experimentNotFound(experiment));
      const outcome: JobOutcome | null =
        state === 'finished' ? this.store.outcome(key) : failure === null ? null : { ok: false, ...failure };
      rows.push({ arm, seed, key, state, outcome });
    }
    return { ok: true, value: { document, rows } };
  }

  async render(experiment: string, form: RenderForm, options: RenderOptions = {}): Promise<Reply<string | Uint8Array>> {
    const data = await this.data(experiment);
    if (!data.ok) return data;
    const rendered = this.desk.render?.(data.value, form, options) ?? renderExperiment(data.value, form, options);
    return { ok: true, value: await rendered };
  }

  async delete(experiment: string): Promise<Reply<ExperimentDocument>> {
    const facts = this.find(experiment);
    if (facts === null) return refuse(experimentNotFound(experiment));
    if (this.closing) return refuse(shuttingDown());
    const active = this.turns.active.get(facts.id);
    try {
      if (active !== undefined) {
        this.cancel(active);
        return { ok: true, value: this.documentOf(active) };
      }
      const document = this.read(facts);
      this.store.remove(facts.number);
      this.known.delete(facts.id);
      if (facts.name !== null) this.names.delete(nameKey(facts.owner, facts.name));
      if (facts.made !== null) this.madeUnder.delete(facts.made.key);
      return { ok: true, value: document };
    } catch (error) {
      return refuse(storageUnavailable(messageOf(error)));
    }
  }

  async *changes(experiment: string, signal?: AbortSignal): AsyncGenerator<ExperimentDocument> {
    const facts = this.find(experiment);
    if (facts === null) return;
    let wake = (): void => {};
    let changed = true;
    const listener = (): void => {
      changed = true;
      wake();
    };
    const own = this.listeners.get(facts.id) ?? new Set();
    this.listeners.set(facts.id, own.add(listener));
    signal?.addEventListener('abort', listener);
    try {
      while (!(signal?.aborted || this.closing)) {
        if (!changed) await new Promise<void>((resolve) => (wake = resolve));
        if (signal?.aborted || this.closing || !this.known.has(facts.id)) return;
        changed = false;
        const document = this.read(facts);
        yield document;
        if (document.endedAt !== null) return;
      }
    } finally {
      signal?.removeEventListener('abort', listener);
      own.delete(listener);
      if (own.size === 0 && this.listeners.get(facts.id) === own) this.listeners.delete(facts.id);
    }
  }

  status(): LaboratoryStatus {
    return {
      experiments: this.known.size,
      active: this.turns.active.size,
      queued: this.turns.queued,
      running: this.turns.running,
      storedBytes: this.store.storedBytes,
      runner: this.runner.status?.() ?? WELL,
      ...this.counted,
    };
  }

  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    for (const listeners of this.listeners.values()) for (const listener of listeners) listener();
    this.turns.close();
    await Promise.all([this.runner.close(), this.desk === this.runner ? null : this.desk.close?.()]);
    this.store.close();
  }

  // What becomes of rows

  private begun(active: Active): void {
    if (active.facts.state === 'queued') this.setState(active, 'running');
    this.tell(active);
  }

  private settleRow(active: Active, position: number, failure: StoredRow['failure'], cached = false): void {
    const state: 'finished' | 'failed' = failure === null ? 'finished' : 'failed';
    const row = active.rows[position]!;
    const settled: StoredRow = { ...row, state, failure, cached };
    this.store.setRow(active.facts.number, position, settled);
    active.rows[position] = settled;
    active.ended++;
    if (cached) this.counted.cached++;
    this.counted[state]++;
    count(active.document, active.rows);
  }

  private endIfDone(active: Active): void {
    const { rows, ended, document } = active;
    if (ended === rows.length) this.end(active, document.jobs.failed === rows.length ? 'failed' : 'finished');
    else this.tell(active);
  }

  private cancel(active: Active): void {
    this.store.together(() => {
      for (const [position, row] of active.rows.entries()) {
        if (row.state !== 'queued' && row.state !== 'running') continue;
        row.state = 'cancelled';
        this.store.setRow(active.facts.number, position, row);
      }
    });
    active.waiting.length = 0;
    this.end(active, 'cancelled');
    this.turns.withdraw(active);
  }

  private end(active: Active, state: ExperimentState): void {
    active.document.endedAt = new Date(this.nowMs()).toISOString();
    this.setState(active, state, active.document.endedAt);
    this.turns.remove(active);
    this.tell(active);
  }

  private setState(active: Active, state: ExperimentState, ended: string | null = null): void {
    this.store.setState(active.facts.number, state, ended);
    active.facts.state = state;
  }

  private tell({ facts }: Active): void {
    for (const listener of this.listeners.get(facts.id) ?? []) listener();
  }
}

function isActive(state: ExperimentState): boolean {
  return state === 'queued' || state === 'running';
}

function activeOf(facts: ExperimentFacts, document: ExperimentDocument, rows: StoredRow[]): Active {
  const waiting: number[] = [];
  let ended = 0;
  for (const [position, { state }] of rows.entries())
    if (state === 'queued' || state === 'running') waiting.push(position);
    else ended++;
  count(document, rows);
  return { facts, document, rows, waiting, running: 0, ended, context: null };
}

/** Brings what a document says of its jobs up to date. */
function count(document: ExperimentDocument, rows: readonly StoredRow[]): void {
  const jobs = { total: rows.length, finished: 0, failed: 0, cached: 0 };
  for (const { state, cached } of rows) {
    if (state === 'finished') jobs.finished++;
    if (state === 'failed') jobs.failed++;
    if (cached) jobs.cached++;
  }
  document.jobs = jobs;
  document.progress = progressOf(jobs);
}
