/** One session worker as the main thread sees it: calls with numbers and a time limit, byte streams, and its death. */
import { Worker } from 'node:worker_threads';
import { noteCall, type SharedBustle } from './bustle.ts';
import type { HostProblem, Pause, Reply, SessionFrame, SessionState } from './host.ts';
import { Inbox } from './inbox.ts';
import type { OpsExchange } from './ops-exchange.ts';
import { currentOrigin } from './origin.ts';
import { type Batch, Outbox } from './outbox.ts';
import { messageOf, refuse, sessionFailed, workerDied } from './problems.ts';
import type { Call, CallBody, CalledBy, FromWorker, Note, Told, ToWorker, WorkerSettings } from './protocol.ts';
import { epochMs, type Span, type Tracing } from './tracing.ts';

export interface WorkerEvents {
  frames(session: string, frames: SessionFrame[]): void;
  state(session: string, state: SessionState, problem: HostProblem | null, paused: Pause | null): void;
  computed(session: string, ms: number): void;
  told(session: string, told: Told, from: CalledBy | null): void;
  readonly tracing: Tracing;
  /** Its sessions are lost. */
  died(handle: WorkerHandle, reason: string): void;
}

/** Heap limits in MiB, so that one worker that runs out ends alone and not the whole process. */
export interface HeapLimits {
  maxOldGenerationSizeMb: number;
  maxYoungGenerationSizeMb: number;
}

interface Pending {
  /** Session asked about, or null. */
  session: string | null;
  mutates: boolean;
  /** `performance.now()` after which nobody waits any longer. */
  deadlineMs: number;
  span: Span | null;
  settle(reply: Reply<never>): void;
}

const WORKER_URL = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
/** Calls whose worker has lines of its own to write. */
const TOLD: ReadonlySet<CallBody['kind']> = new Set(['run-start', 'run-delete', 'delete']);
const MUTATING: ReadonlySet<CallBody['kind']> = new Set(['apply', 'reset', 'run-start']);

export class WorkerHandle {
  readonly index: number;
  /** Ids of the sessions that live here, those under construction included. */
  readonly sessions = new Set<string>();
  readonly exchanges = new Map<number, OpsExchange>();
  /** Settles when the worker takes calls: null, or why it never will. */
  readonly ready: Promise<string | null>;
  alive = true;
  started = false;
  private readonly worker: Worker;
  private readonly outbox: Outbox<ToWorker>;
  private readonly inbox = new Inbox<FromWorker>((message) => this.take(message));
  private readonly events: WorkerEvents;
  private readonly callTimeoutMs: number;
  private readonly bustle: SharedBustle;
  /** Whether its sessions outlive it. */
  private readonly durable: boolean;
  /** In order of their numbers and, with one time limit for all that have one, of their deadlines. */
  private readonly pending = new Map<number, Pending>();
  private lastCall = 0;
  private settleReady: (reason: string | null) => void = () => {};
  /** What calls to a dead worker are told. */
  private epitaph: HostProblem = sessionFailed('The worker of this session died.');

  constructor(index: number, settings: WorkerSettings, heap: HeapLimits, callTimeoutMs: number, events: WorkerEvents) {
    this.index = index;
    this.events = events;
    this.callTimeoutMs = callTimeoutMs;
    this.bustle = settings.bustle;
    this.durable = settings.journal !== null;
    this.ready = new Promise((resolve) => {
      this.settleReady = resolve;
    });
    this.worker = new Worker(WORKER_URL, {
      name: `sessions-${index}`,
      workerData: settings,
      transferList: settings.journal === null ? [] : [settings.journal],
      resourceLimits: heap,
      // The flags of the process are the main thread's (`--test`, `--import`); a worker needs none.
      execArgv: [],
    });
    this.outbox = new Outbox(this.worker);
    this.worker.on('message', (batch: Batch<FromWorker>) => this.inbox.receive(batch));
    this.worker.on('messageerror', (error) => this.die(messageOf(error)));
    this.worker.on('error', (error) => this.die(messageOf(error)));
    this.worker.on('exit', (code) => this.die(`it exited with code ${code}`));
  }

  /** The journal has what the worker sealed, up to this seal; or it has not, and what the worker did since must not be known. */
  settled(seal: number, failure: string | null): void {
    if (failure === null) this.inbox.settled(seal);
    else {
      this.die(`the journal cannot be written: ${failure}`);
      void this.worker.terminate();
    }
  }

  get pendingCalls(): number {
    return this.pending.size;
  }

  ask<T>(body: CallBody): Promise<Reply<T>> {
    return new Promise((resolve) => this.call<T>(body, resolve));
  }

  /** As `call`, of what may take as long as it has to. */
  callWithoutLimit<T>(body: CallBody, settle: (reply: Reply<T>) => void): void {
    this.send(body, settle, Number.POSITIVE_INFINITY);
  }

  /** `settle` runs in the order in which the worker answered, before any frame that it posted later. */
  call<T>(body: CallBody, settle: (reply: Reply<T>) => void, bytes?: ArrayBuffer): void {
    this.send(body, settle, performance.now() + this.callTimeoutMs, bytes);
  }

  private send<T>(body: CallBody, settle: (reply: Reply<T>) => void, deadlineMs: number, bytes?: ArrayBuffer): void {
    if (!this.alive) {
      settle(refuse(this.epitaph));
      return;
    }
    const call = ++this.lastCall;
    const session = 'session' in body ? body.session : null;
    const span = this.events.tracing.begin(`session ${body.kind}`, {
      'iommu_lab.worker': this.index,
      ...(session !== null && { 'iommu_lab.session': session }),
    });
    noteCall(this.bustle);
    this.pending.set(call, { session, mutates: MUTATING.has(body.kind), deadlineMs, span, settle });
    this.outbox.push(this.addressed(body, call, span), bytes);
  }

  private addressed(body: CallBody, call: number, span: Span | null): Call {
    const origin = currentOrigin();
    if (origin !== null) origin.worker = this.index;
    if (span === null && (origin === null || !TOLD.has(body.kind))) return { ...body, call };
    const from =
      origin === null
        ? null
        : {
            requestId: origin.requestId,
            principal: origin.principal,
            traceId: origin.traceId,
            context: span?.context ?? null,
          };
    return { ...body, call, from, ...(span !== null && { timed: true as const }) };
  }

  note(note: Note, bytes?: ArrayBuffer): void {
    if (this.alive) this.outbox.push(note, bytes);
  }

  /** Gives up on calls that have waited too long. */
  expire(nowMs: number): void {
    for (const [call, pending] of this.pending) {
      if (pending.deadlineMs === Number.POSITIVE_INFINITY) continue;
      if (pending.deadlineMs > nowMs) break;
      this.pending.delete(call);
      const { session, mutates, span } = pending;
      span?.end('timeout');
      if (mutates && session !== null) this.note({ kind: 'withdraw', session, withdrawn: call });
      const seconds = Math.round(this.callTimeoutMs / 1000);
      const doubt = mutates ? ' It may still carry out what was asked.' : '';
      pending.settle(
        refuse({ code: 'timeout', detail: `The session did not answer within ${seconds} s.${doubt}`, retryable: true }),
      );
    }
    for (const exchange of this.exchanges.values()) exchange.expire(nowMs);
  }

  /** @param problem what calls that are still open are told */
  async terminate(problem: HostProblem): Promise<void> {
    this.epitaph = problem;
    if (this.alive) this.bury(problem.detail);
    await this.worker.terminate();
  }

  private take(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.started = true;
        this.settleReady(null);
        return;
      case 'reply': {
        const pending = this.pending.get(message.call);
        // A call that was given up on: nobody waits for its reply.
        if (pending === undefined) return;
        this.pending.delete(message.call);
        if (pending.span !== null) this.endSpan(pending.span, message);
        pending.settle(message.reply as Reply<never>);
        return;
      }
      case 'told':
        this.events.told(message.session, message.told, message.from);
        return;
      case 'frames':
        this.events.frames(message.session, message.frames);
        return;
      case 'state':
        this.events.state(message.session, message.state, message.problem, message.paused);
        return;
      case 'computed':
        this.events.computed(message.session, message.ms);
        return;
      case 'ops-credit':
        this.exchanges.get(message.stream)?.credit(message.byteCount);
        return;
      case 'ops-output':
        this.exchanges.get(message.stream)?.output(new Uint8Array(message.bytes));
        return;
      case 'ops-end':
        this.exchanges.get(message.stream)?.end(message.problem);
        return;
    }
  }

  /** How long the worker took, and how long the disk after it. */
  private endSpan(span: Span, { reply, worked }: FromWorker & { kind: 'reply' }): void {
    const { tracing } = this.events;
    const code = reply.ok ? null : reply.problem.code;
    const parent = span.context;
    const attributes = { 'iommu_lab.worker': this.index };
    if (worked !== undefined) tracing.past({ name: 'worker', parent, attributes, code, ...worked });
    const { heldSinceMs } = this.inbox;
    if (heldSinceMs !== null)
      tracing.past({ name: 'journal commit', parent, attributes, code: null, fromMs: heldSinceMs, toMs: epochMs() });
    span.end(code);
  }

  private die(reason: string): void {
    if (!this.alive) return;
    this.epitaph = this.durable
      ? workerDied(reason)
      : sessionFailed(`The worker that held this session died (${reason}), and the session with it.`);
    this.bury(reason);
    this.events.died(this, reason);
  }

  private bury(reason: string): void {
    this.alive = false;
    this.inbox.close();
    this.settleReady(reason);
    for (const pending of this.pending.values()) {
      pending.span?.end(this.epitaph.code);
      pending.settle(refuse(this.epitaph));
    }
    this.pending.clear();
    for (const exchange of this.exchanges.values()) exchange.end(this.epitaph);
  }
}
