/**
 * A snapshot from elsewhere, before anything comes of it: each of its records is checked against the contract, as an operation is that
 * is sent; then all of it is done again, and must lead to the digest that the snapshot states. Its state is taken instead only where the
 * caller vouches for it: whoever makes one on purpose can make it hold anything.
 */
import { contractSchema } from '../api/contract.ts';
import type { LineValidator } from '../api/line-validator.ts';
import { type Validator, Validators } from '../api/validator.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import type { HostProblem } from './host.ts';
import type { JournalRecord, RunEnd } from './journal/records.ts';
import { KeyedReplies } from './keyed-replies.ts';
import { type Answer, messageOf, refuse, specProblem } from './problems.ts';
import type { CallBody, Rehearsed, SessionStatus, WorkerSettings } from './protocol.ts';
import { Replay } from './replay.ts';
import { type RunRecord, RunRecords, runId } from './run-records.ts';
import type { Scheduler } from './scheduler.ts';
import { SEARCH_BUDGET } from './session.ts';
import { BoundedSession, NO_BOUNDS, refuseLarge } from './session-bounds.ts';
import { NO_KEYS, pack, unpack } from './session-image.ts';

export interface RehearsalParts {
  settings: WorkerSettings;
  scheduler: Scheduler;
  validate: LineValidator;
  coreVersion: string;
  resolveSpec(input: Record<string, unknown>): ResolvedSpec;
  createSimulator(spec: ResolvedSpec): SimulatorApi;
  restoreSimulator(spec: ResolvedSpec, image: Uint8Array): SimulatorApi;
}

export type RehearseCall = CallBody & { kind: 'rehearse' };

const ENDS: ReadonlySet<unknown> = new Set<RunEnd>(['finished', 'cancelled', 'interrupted']);

/** Operations that have a path of their own and are no lines of `ops`: what each removes. */
const REMOVALS: Readonly<Record<string, string>> = {
  'tenant-remove': 'tenant',
  'domain-remove': 'domain',
  'device-remove': 'device',
  'workload-remove': 'workload',
};

/** Compiled when they are first needed. */
const validators = new Map<string, Validator>();

function checked(schema: string, value: unknown): string | null {
  let validator = validators.get(schema);
  if (validator === undefined)
    validators.set(schema, (validator = new Validators(false).compile(contractSchema(schema))));
  return said(validator(value));
}

function unusable(detail: string, path = ''): HostProblem {
  return { code: 'invalid-snapshot', detail, path: `/fromSnapshot${path}` };
}

/** Answers with a `Rehearsed`, or why the snapshot cannot be had here. */
export function rehearse(call: RehearseCall, parts: RehearsalParts, answer: Answer): void {
  if (call.coreVersion !== parts.coreVersion) {
    const detail = `It was taken under version ${call.coreVersion} of the core, and this is version ${parts.coreVersion}, under which the same operations may give another state.`;
    answer(refuse(unusable(detail, '/coreVersion')));
    return;
  }
  let spec: ResolvedSpec;
  let fresh: SimulatorApi;
  try {
    spec = parts.resolveSpec(call.spec);
    const tooLarge = refuseLarge(spec, call.memoryBytes);
    if (tooLarge !== null) {
      answer(refuse(tooLarge));
      return;
    }
    fresh = parts.createSimulator(spec);
  } catch (error) {
    const problem = specProblem(error);
    if (problem === null) throw error;
    answer(refuse({ code: problem.code, detail: problem.detail, path: '/fromSnapshot/spec' }));
    return;
  }
  const lines: string[] = [];
  for (const [i, record] of call.records.entries()) {
    const problem = problemOf(record, parts.validate);
    if (problem !== null) {
      answer(refuse(unusable(`record ${i} ${problem}`, `/records/${i}`)));
      return;
    }
    lines.push(`${JSON.stringify(record)}\n`);
  }
  const records = new TextEncoder().encode(lines.join(''));
  const done = (simulator: SimulatorApi, runs: RunRecords, active: RunRecord | null): void => {
    if (simulator.digest() !== call.digest) {
      answer(refuse(unusable('What was done does not lead to the digest that it states.', '/digest')));
      return;
    }
    const image = pack({ runs: runs.stored(), active: active?.number ?? null, keys: NO_KEYS }, simulator.save());
    const value: Rehearsed = { spec: { ...spec }, status: statusOf(simulator, active), records, image };
    answer({ ok: true, value });
  };
  if (call.state !== null) {
    try {
      const { host, image } = unpack(call.state);
      const runs = new RunRecords(parts.settings.runRecords, host.runs);
      const active = host.active === null ? null : (runs.find(runId(host.active)) ?? null);
      done(parts.restoreSimulator(spec, image), runs, active);
      return;
    } catch {
      // Of other code: it is done again.
    }
  }
  fresh.searchBudget = SEARCH_BUDGET;
  const bounded = new BoundedSession();
  bounded.set({ ...NO_BOUNDS, memoryBytes: call.memoryBytes });
  new Replay({
    scheduler: parts.scheduler,
    simulator: fresh,
    runs: new RunRecords(parts.settings.runRecords),
    keyed: new KeyedReplies(),
    active: null,
    after: 0,
    read: async () => ({ bodies: [records], base: 1, inherited: false, after: null }),
    rehearsal: { mostMs: parts.settings.rehearsalMs, bounded },
  })
    .run()
    .then(({ simulator, runs, active }) => done(simulator, runs, active))
    .catch((error: Error) => answer(refuse(unusable(`It cannot be done again: ${messageOf(error)}.`))));
}

function statusOf(simulator: SimulatorApi, active: RunRecord | null): SessionStatus {
  return {
    state: active === null ? 'idle' : 'running',
    timeNs: simulator.timeNs,
    timePs: simulator.timePs,
    digest: simulator.digest(),
    operations: simulator.operations,
    policy: simulator.policyReport(),
    activeRun: active === null ? null : runId(active.number),
    paused: null,
  };
}

/** What is told of a session's journal to others: nothing of who asked for it under which key. */
export function isTold(record: JournalRecord): boolean {
  return !('key' in record || 'line' in record || 'reset' in record);
}

/** Why a record cannot be one, or null. */
export function problemOf(record: unknown, validate: LineValidator): string | null {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return 'is not an object';
  const members = Object.keys(record).sort().join();
  const { op, run, mark, end, events, computedMs, forget } = record as Record<string, unknown>;
  if (op !== undefined) return problemOfOperation(record as Record<string, unknown>, validate);
  switch (members) {
    case 'run':
      return checked('RunRequest', run);
    case 'mark':
      return isCount(mark) ? null : 'has a `mark` that is no count of events';
    case 'forget':
      return isCount(forget) ? null : 'forgets no run';
    case 'computedMs,end,events':
      if (!ENDS.has(end)) return 'has an `end` that is none';
      if (!isCount(events)) return 'has `events` that are no count';
      return typeof computedMs === 'number' && computedMs >= 0 ? null : 'has no time for `computedMs`';
    default:
      return `is none: it has ${members === '' ? 'no members' : members}`;
  }
}

function problemOfOperation(record: Record<string, unknown>, validate: LineValidator): string | null {
  const { op, ...members } = record;
  if (op === 'workload') return checked('WorkloadInput', members);
  const removed = typeof op === 'string' && Object.hasOwn(REMOVALS, op) ? REMOVALS[op]! : null;
  if (removed !== null) {
    const { [removed]: id, ...more } = members;
    if (Object.keys(more).length > 0) return `has more than a \`${removed}\``;
    return checked('Reference', id);
  }
  return 'as' in record ? 'has a label' : said(validate(record));
}

function said(violations: { path: string; message: string }[] | null): string | null {
  return violations === null ? null : violations.map(({ path, message }) => `${path} ${message}`).join('; ');
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
