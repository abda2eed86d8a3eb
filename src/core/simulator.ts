/**
 * One simulation: a machine, one `apply` that changes it, one queue of what is due, runs.
 *
 * A session is its spec plus its operations: nothing else reaches the parts. Interactive operations are sequential: each starts at
 * session time, session time becomes its end, and what fell due meanwhile fires after it. Only runs overlap CPUs.
 */
import { type Applied, dispatch } from './apply/index.ts';
import { assert } from './assert.ts';
import { NO_RECORDINGS, type Recordings } from './devices/replay/source.ts';
import * as eventKindsConstants from './event-kinds.ts';
import { faultNotice } from './fault-notice.ts';
import * as memoryConstants from './hardware/memory.ts';
import { look } from './look/index.ts';
import { sessionPolicy } from './look/policy.ts';
import { Machine } from './machine.ts';
import type { Operation, Outcome, RunRequest } from './operations.ts';
import * as allocatorConstants from './os/iova/allocator.ts';
import { refuse } from './outcome.ts';
import type { Reading } from './reading.ts';
import { Run } from './run.ts';
import * as clockConstants from './sim/clock.ts';
import type { Footprint, Notice, SimulatorApi } from './simulator-api.ts';
import type { ResolvedSpec } from './spec.ts';
import { SpecError } from './spec-error.ts';
import { digestOf, moveBase } from './state/digest-and-base.ts';
import { Walk } from './state/footprint.ts';
import { save } from './state/save.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { EVENT } = eventKindsConstants;
const { HOST_TENANT, NO_FRAME } = memoryConstants;
const { TIMERS } = allocatorConstants;
const { HORIZON_NS, LAST_START_NS, REBASE_PS } = clockConstants;

/** Operations that the event log names: those that change what the machine is made of. */
const LOGGED: ReadonlySet<string> = new Set([
  'tenant',
  'tenant-remove',
  'domain',
  'domain-remove',
  'device',
  'device-remove',
  'workload',
  'workload-remove',
]);

/** What a simulation is given beside its spec; no part of its state. */
export interface Surroundings {
  /** Where workloads that replay have their recordings from. */
  recordings?: Recordings;
  /** Called once all parts are there and before the spec's own tenants, domains, devices and workloads are made: for who watches. */
  watch?: (simulator: Simulator) => void;
}

export class Simulator extends Machine implements SimulatorApi {
  /** Not a field that an image would have. */
  readonly #recordings: Recordings;
  /** [cpu]: ps after the clock's base up to which it is busy; ps it has worked since the session began. */
  declare readonly cpuAt: Float64Array;
  declare readonly cpuBusyPs: Float64Array;
  /** [cpu]: workload whose poll holds it between two packets, -1 none. */
  declare readonly cpuHolder: Int32Array;
  /** [cpu]: 1 once another workload than its holder has found it taken, and nobody has given way since. */
  declare readonly cpuAsked: Uint8Array;
  /** Frames of a coherent mapping whose address search yielded; NO_FRAME otherwise. */
  coherentFrames = NO_FRAME;

  operations = 0;
  version = 0;
  searchBudget = Number.POSITIVE_INFINITY;
  private pending: Operation | null = null;
  /** The next `begin` belongs to an operation whose search yielded: what it has worked so far stays booked. */
  private resuming = false;
  /** Timers that fired since it was cleared. */
  fired = 0;

  /** @throws SpecError when the spec's own tenants, domains, devices or workloads cannot be made */
  constructor(spec: ResolvedSpec, { recordings = NO_RECORDINGS, watch }: Surroundings = {}) {
    super(spec);
    this.#recordings = recordings;
    const { machine } = spec;
    this.iommu.onFault = () => faultNotice(this);
    this.cpuAt = new Float64Array(machine.cpus);
    this.cpuBusyPs = new Float64Array(machine.cpus);
    this.cpuHolder = new Int32Array(machine.cpus).fill(-1);
    this.cpuAsked = new Uint8Array(machine.cpus);
    this.tenants.next = HOST_TENANT + 1;
    watch?.(this);
    this.build();
  }

  get recordings(): Recordings {
    return this.#recordings;
  }

  /** The spec's own machine, in the order in which POSTs would have made it, before time 0. */
  private build(): void {
    for (const kind of ['tenants', 'domains', 'devices', 'workloads'] as const)
      for (const [i, body] of this.spec[kind].entries()) {
        const outcome = dispatch(this, { op: kind.slice(0, -1), ...body } as Operation);
        assert(outcome !== null, 'a spec element was suspended');
        if (outcome.status !== 'ok')
          throw new SpecError([
            { path: `/${kind}/${i}${outcome.problem.path ?? ''}`, message: outcome.problem.detail },
          ]);
      }
    this.log.clear();
    this.operations = 0;
  }

  get timeNs(): number {
    return this.clock.timeNs;
  }

  get timePs(): string {
    return this.clock.timePs;
  }

  apply(operation: Operation): Outcome | null {
    assert(this.pending === null, 'an operation is suspended: resume it first');
    if (this.run !== null && !this.run.ended)
      return refuse('run-active', 'a run is active: wait for its end or cancel it');
    if (this.timeNs > LAST_START_NS && operation.op !== 'advance') return this.tooLate();
    return this.finish(operation, dispatch(this, operation));
  }

  private tooLate(): Outcome {
    return refuse(
      'horizon',
      `simulated time ends at ${HORIZON_NS} ns; after ${LAST_START_NS} ns it can only be let pass`,
    );
  }

  resume(): Outcome | null {
    assert(this.pending !== null, 'nothing is suspended');
    this.resuming = true;
    return this.finish(this.pending, dispatch(this, this.pending));
  }

  private finish(operation: Operation, outcome: Applied): Outcome | null {
    if (outcome === null) {
      this.pending = operation;
      return null;
    }
    this.pending = null;
    if (outcome.status === 'refused') return outcome;
    this.operations++;
    this.version++;
    this.fireDue(this.clock.now);
    this.rebaseWhenFar();
    if (outcome.status === 'failed') this.log.add('failure', this.timeNs, { op: operation.op, ...outcome.problem });
    else if (LOGGED.has(operation.op)) this.log.add(operation.op, this.timeNs, { id: outcome.result.id });
    return outcome;
  }

  /** Starts an interactive operation's work on a CPU, at session time. */
  begin(cpu: number): void {
    if (this.resuming) {
      this.resuming = false;
      return;
    }
    this.work.contended = false;
    this.exposure.workload = -1;
    this.work.begin(cpu, this.clock.now);
  }

  /** Ends it: session time becomes its end. */
  end(): void {
    const { work } = this;
    const end = work.now();
    this.cpuBusyPs[work.cpu]! += end - this.clock.now;
    this.clock.now = end;
    this.cpuAt[work.cpu] = end;
  }

  /** Fires what is due up to `limit`, in due order, then arming order. Workloads' events exist only in runs. */
  fireDue(limit: number): void {
    const { queue } = this;
    while (queue.nextTime() <= limit) {
      queue.take();
      this.fire(queue.takenTime, queue.takenKind, queue.takenArgument);
    }
  }

  /** One timer or hardware event. */
  fire(time: number, kind: number, argument: number): void {
    const { work, policy } = this;
    this.exposure.workload = -1;
    if (kind === EVENT.hardware) {
      work.begin(0, time);
      policy.timer(argument);
      return;
    }
    const ofAllocator = kind >= EVENT.allocatorOnCpu;
    const cpu = kind - (ofAllocator ? EVENT.allocatorOnCpu : EVENT.timerOnCpu);
    const start = Math.max(time, this.cpuAt[cpu]!);
    work.begin(cpu, start);
    const acted = ofAllocator
      ? this.dma.allocatorTimer(this.domains[Math.floor(argument / TIMERS)]!, argument % TIMERS)
      : policy.timer(argument);
    if (!acted) return;
    this.fired++;
    this.counters.timersFired++;
    const end = work.now();
    this.cpuBusyPs[cpu]! += end - start;
    this.cpuAt[cpu] = end;
    this.run?.bookTimer(work.ownRows);
  }

  /** What a CPU has worked since the session began, ps; what its last operation has still to do is not done. */
  workedPs(cpu: number): number {
    return this.cpuBusyPs[cpu]! - Math.max(0, this.cpuAt[cpu]! - this.clock.now);
  }

  /** Whether a workload may start work on a CPU now; if not, it tries again at `cpuAt[cpu]`. */
  mayRun(cpu: number, workload: number, now: number): boolean {
    const holder = this.cpuHolder[cpu]!;
    if (this.cpuAt[cpu]! <= now && (holder < 0 || holder === workload)) return true;
    if (holder >= 0 && holder !== workload) this.cpuAsked[cpu] = 1;
    return false;
  }

  /** Its holder lets a CPU go. @returns whether another workload waits for it: the holder then goes behind all who do */
  letGo(cpu: number): boolean {
    this.cpuHolder[cpu] = -1;
    if (this.cpuAsked[cpu] === 0) return false;
    this.cpuAsked[cpu] = 0;
    return true;
  }

  rebaseWhenFar(): void {
    if (this.clock.now >= REBASE_PS) moveBase(this);
  }

  read(reading: Reading): Outcome {
    return look(this, reading);
  }

  policyReport(): Record<string, unknown> {
    return sessionPolicy(this);
  }

  startRun(request: RunRequest): Outcome {
    if (this.run !== null && !this.run.ended)
      return refuse('run-active', 'a run is active: wait for its end or cancel it');
    if (this.timeNs > LAST_START_NS) return this.tooLate();
    const started = Run.start(this, request);
    if (started instanceof Run) {
      this.run = started;
      this.log.add('run', this.timeNs, { ...request });
      this.operations++;
      this.version++;
      return { status: 'ok', result: {} };
    }
    return started;
  }

  stepRun(events: number): boolean {
    assert(this.run !== null && !this.run.ended, 'no run is active');
    this.version++;
    return this.run.step(events);
  }

  cancelRun(): void {
    if (this.run === null || this.run.ended) return;
    this.version++;
    this.run.cancel();
  }

  get runEvents(): number {
    return this.run?.events ?? 0;
  }

  runProgress(): number | null {
    return this.run?.progress() ?? null;
  }

  runResult(): Record<string, unknown> {
    assert(this.run !== null, 'there was no run');
    return this.run.result();
  }

  runWireSeconds(): number {
    return this.run?.wireSeconds() ?? 0;
  }

  drainNotices(limit: number): { notices: Notice[]; dropped: number } {
    return this.log.drain(limit);
  }

  get framesInUse(): number {
    return this.memory.framesInUse;
  }

  get liveMappings(): number {
    return this.mappings.count;
  }

  measure(): Footprint {
    return new Walk(this);
  }

  digest(): string {
    return digestOf(this);
  }

  get savable(): boolean {
    return this.pending === null;
  }

  save(): Uint8Array {
    assert(this.savable, 'an operation is suspended: no state can be saved before it was resumed to its end');
    return save(this);
  }
}
