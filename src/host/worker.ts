/**
 * A session worker: takes messages, finds the session, answers. Everything a message asks is either done at once (a read, a short
 * operation) or handed to the scheduler; nothing here waits.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createLineValidator } from '../api/line-validator.ts';
import type { Recordings } from '../core/devices/replay/source.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { ResolvedSpec } from '../core/spec.ts';
import { Bustle } from './bustle.ts';
import { FrameClock } from './frames.ts';
import type { HostProblem, Reply } from './host.ts';
import { SessionJournal } from './journal/session-journal.ts';
import { KeyedReplies } from './keyed-replies.ts';
import { LARGEST_ARRAY, OpsStream } from './ops.ts';
import { type Batch, Outbox } from './outbox.ts';
import { internal, messageOf, refuse, sessionNotFound, shuttingDown, specProblem } from './problems.ts';
import type { Call, CreatedSession, FromWorker, RestedSession, ToWorker, WorkerSettings } from './protocol.ts';
import { Tapes } from './recordings.ts';
import { rehearse } from './rehearsal.ts';
import { Replay, type ReplayParts, type Revived } from './replay.ts';
import { RunRecords, runId } from './run-records.ts';
import { Scheduler } from './scheduler.ts';
import { SEARCH_BUDGET, Session, type Surroundings } from './session.ts';
import { refuseLarge } from './session-bounds.ts';
import { unpack } from './session-image.ts';
import { epochMs } from './tracing.ts';

export interface SimulatorModule {
  createSimulator(spec: ResolvedSpec, surroundings?: { recordings: Recordings }): SimulatorApi;
  resolveSpec(input: Record<string, unknown>): ResolvedSpec;
  restoreSimulator(
    spec: ResolvedSpec,
    image: Uint8Array,
    limits?: undefined,
    surroundings?: { recordings: Recordings },
  ): SimulatorApi;
  coreVersion: string;
}

if (parentPort === null) throw new Error('worker.ts runs as a worker thread of session-host.ts');
const port = parentPort;
const settings = workerData as WorkerSettings;
const core = (await import(settings.simulatorModule)) as SimulatorModule;
const validate = createLineValidator();

const journal = settings.journal === null ? null : new SessionJournal(settings.journal);
const outbox = new Outbox<FromWorker>(port, journal);
const sessions = new Map<string, Session>();
const streams = new Map<number, OpsStream>();
const around: Surroundings = {
  settings,
  scheduler: new Scheduler(settings.sliceMs, () => outbox.flush(), new Bustle(settings.bustle, settings.coresScarce)),
  frameClock: new FrameClock(),
  createSimulator: core.createSimulator,
  tapes: new Tapes(settings.traces),
  post: (message) => outbox.push(message),
  journal,
};

/** For simulations that no session will go on with. */
const passing = { recordings: around.tapes.of(null) };
const forNobody = {
  createSimulator: (spec: ResolvedSpec) => core.createSimulator(spec, passing),
  restoreSimulator: (spec: ResolvedSpec, image: Uint8Array) => core.restoreSimulator(spec, image, undefined, passing),
};

// Replies leave in a later phase of the loop, not here: Node goes on reading a port as long as it finds messages, and a quick
// partner that is answered here keeps it reading for up to 1,000 of them, while no session has its turn.
port.on('message', ({ messages }: Batch<ToWorker>) => {
  for (const message of messages) take(message);
});
outbox.push({ kind: 'ready', coreVersion: core.coreVersion });

function take(message: ToWorker): void {
  switch (message.kind) {
    case 'govern':
      sessions.get(message.session)?.govern(message.governed);
      return;
    case 'withdraw':
      sessions.get(message.session)?.withdraw(message.withdrawn);
      return;
    case 'ops-input':
      streams.get(message.stream)?.takeInput(message.bytes);
      return;
    case 'ops-taken':
      streams.get(message.stream)?.taken(message.byteCount);
      return;
    case 'ops-abort':
      streams.get(message.stream)?.abort(null);
      return;
  }
  const { call, timed } = message;
  const fromMs = timed === undefined ? 0 : epochMs();
  const answer = (reply: Reply<unknown>): void => {
    outbox.push(
      timed === undefined
        ? { kind: 'reply', call, reply }
        : { kind: 'reply', call, reply, worked: { fromMs, toMs: epochMs() } },
    );
  };
  try {
    carryOut(message, answer);
  } catch (error) {
    answer(refuse(internal(error)));
  }
}

function carryOut(message: Call, answer: (reply: Reply<unknown>) => void): void {
  switch (message.kind) {
    case 'validate':
      answer(
        orSpecProblem(() => {
          const spec = core.resolveSpec(message.input);
          const report = core.createSimulator(spec, passing).policyReport();
          return { ...spec, policy: { ...spec.policy, ...report } };
        }),
      );
      return;
    case 'create':
      answer(orSpecProblem(() => create(message)));
      return;
    case 'wake':
      wake(message, answer);
      return;
    case 'rehearse':
      rehearse(message, { ...around, ...core, ...forNobody, validate }, answer);
      return;
    case 'close':
      answer({ ok: true, value: close() });
      return;
  }
  const session = sessions.get(message.session);
  if (session === undefined) {
    answer(refuse(sessionNotFound(message.session)));
    return;
  }
  switch (message.kind) {
    case 'status':
      answer({ ok: true, value: session.status() });
      return;
    case 'apply':
      session.apply(message.call, message.operation, message.retry, answer);
      return;
    case 'read':
      answer(session.read(message.reading));
      return;
    case 'reset':
      session.reset(message.call, message.retry, answer);
      return;
    case 'snapshot':
      session.snapshot(message.call, message.facts, answer);
      return;
    case 'rest':
      answer({ ok: true, value: session.running ? { session: session.id, status: null } : rest(session) });
      return;
    case 'delete':
      session.dispose();
      sessions.delete(session.id);
      answer({ ok: true, value: { id: session.id } });
      return;
    case 'run-start':
      session.startRun(message, answer);
      return;
    case 'run-list':
      answer(session.listRuns(message));
      return;
    case 'run-get':
      answer(session.getRun(message.run));
      return;
    case 'run-delete':
      answer(session.deleteRun(message.run));
      return;
    case 'ops-answered':
      answer({ ok: true, value: session.answered(message.key) });
      return;
    case 'ops-open':
      answer(openStream(session, message));
      return;
  }
}

function orSpecProblem(build: () => unknown): Reply<unknown> {
  try {
    return { ok: true, value: build() };
  } catch (error) {
    return refuse(error instanceof Unacceptable ? error.problem : (specProblem(error) ?? internal(error)));
  }
}

function create({ session: id, number, input, memoryBytes }: Call & { kind: 'create' }): CreatedSession {
  const spec = core.resolveSpec(input);
  const tooLarge = refuseLarge(spec, memoryBytes);
  if (tooLarge !== null) throw new Unacceptable(tooLarge);
  let session: Session;
  try {
    session = new Session(id, number, nameless(spec), around);
  } catch (error) {
    around.tapes.leave(id);
    throw error;
  }
  sessions.set(id, session);
  const { coreVersion } = core;
  return { ...session.status(), spec: spec as unknown as Record<string, unknown>, coreVersion };
}

/** A reason of ours, on its way out of what is made. */
class Unacceptable extends Error {
  readonly problem: HostProblem;

  constructor(problem: HostProblem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** What it is called is the main thread's to know and may change; an image is of one spec. */
function nameless({ name: _name, title: _title, ...spec }: ResolvedSpec): ResolvedSpec {
  return spec;
}

/** Answers once the session is as it was. */
function wake(message: Call & { kind: 'wake' }, answer: (reply: Reply<unknown>) => void): void {
  const { session: id, number, digest } = message;
  const lost = (detail: string): void => {
    around.tapes.leave(id);
    answer(refuse({ code: 'session-lost', detail }));
  };
  if (journal === null) throw new Error('no journal to wake from');
  if (message.coreVersion !== core.coreVersion) {
    lost(
      `The session was made by version ${message.coreVersion} of the core, and this is version ${core.coreVersion}, under which the same operations may give another state.`,
    );
    return;
  }
  const spec = nameless(message.spec as unknown as ResolvedSpec);
  revive(id, number, spec).then(
    (revived) => {
      if (digest !== null && revived.simulator.digest() !== digest) {
        lost('What the journal says of this session does not lead to the state that it had.');
        return;
      }
      const session = new Session(id, number, spec, around, revived);
      sessions.set(id, session);
      answer({ ok: true, value: session.status() });
    },
    (error: Error) => lost(`The session cannot be had again from its journal: ${error.message}`),
  );
}

/** From its latest image, if it can be used; else from where it began. */
async function revive(session: string, number: number, spec: ResolvedSpec): Promise<Revived> {
  const recordings = around.tapes.of(session);
  const latest = await journal!.read({ of: 'image', number }).catch(() => null);
  if (latest !== null)
    try {
      return await replay(number, fromImage(spec, latest.body, recordings), latest.seq);
    } catch {
      // An image is of the code that took it.
    }
  return replay(number, fresh(spec, recordings), 0);
}

type Beginning = Pick<ReplayParts, 'simulator' | 'runs' | 'keyed' | 'active'>;

function replay(number: number, beginning: Beginning, after: number): Promise<Revived> {
  beginning.simulator.searchBudget = SEARCH_BUDGET;
  const read = (from: number) => journal!.read({ of: 'stretch', number, after: from });
  return new Replay({ ...beginning, scheduler: around.scheduler, after, read }).run();
}

function fresh(spec: ResolvedSpec, recordings: Recordings): Beginning {
  const runs = new RunRecords(settings.runRecords);
  return { simulator: core.createSimulator(spec, { recordings }), runs, keyed: new KeyedReplies(), active: null };
}

function fromImage(spec: ResolvedSpec, body: Uint8Array, recordings: Recordings): Beginning {
  const { host, image } = unpack(body);
  const runs = new RunRecords(settings.runRecords, host.runs);
  const active = host.active === null ? null : (runs.find(runId(host.active)) ?? null);
  return {
    simulator: core.restoreSimulator(spec, image, undefined, { recordings }),
    runs,
    keyed: new KeyedReplies(host.keys),
    active,
  };
}

function rest(session: Session): RestedSession {
  session.postFrames(performance.now() + settings.frameEveryMs);
  const status = session.rest();
  if (status !== null) sessions.delete(session.id);
  return { session: session.id, status };
}

function openStream(session: Session, message: Call & { kind: 'ops-open' }): Reply<unknown> {
  const refusal = session.refusal();
  if (refusal !== null) return refuse(refusal);
  const { stream, onError, resume, key, aborted } = message;
  let elements: unknown[] | null = null;
  if (message.array !== null) {
    const parsed = parseArray(message.array);
    if (!Array.isArray(parsed)) return refuse(parsed);
    elements = parsed;
  }
  const post = (said: FromWorker): void => {
    outbox.push(said);
    if (said.kind === 'ops-end') streams.delete(stream);
  };
  const { opsOutputBytes: outputBytes, opsLabelBytes: labelBytes } = settings;
  streams.set(
    stream,
    new OpsStream(
      session,
      { stream, onError, resume, key, aborted, outputBytes, labelBytes, validate, post },
      elements,
    ),
  );
  return { ok: true, value: {} };
}

function parseArray(bytes: ArrayBuffer): unknown[] | HostProblem {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return { code: 'not-json', detail: `The body is not JSON: ${messageOf(error)}` };
  }
  if (!Array.isArray(value)) {
    return { code: 'invalid-body', detail: 'The body must be an array of operations.' };
  }
  if (value.length > LARGEST_ARRAY) {
    const detail = `The array has ${value.length} operations, and ${LARGEST_ARRAY} is the limit; send lines instead.`;
    return { code: 'too-many-operations', detail };
  }
  return value;
}

/** Cuts `ops` requests after the line in progress. Runs go on when the journal is read again; without one they end where they stand. */
function close(): RestedSession[] {
  for (const stream of streams.values()) stream.abort(shuttingDown());
  const rested: RestedSession[] = [];
  for (const session of sessions.values()) {
    if (journal === null) session.cancelRun();
    session.postFrames(performance.now() + settings.frameEveryMs);
    if (journal !== null) rested.push({ session: session.id, status: session.rest() });
  }
  return rested;
}
