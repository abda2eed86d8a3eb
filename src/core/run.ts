/**
 * A run: workloads' traffic from now until a time, a count, or a condition. The only place where CPUs overlap.
 *
 * Events come in global time order, ties in arming order; a run may be sliced anywhere between two events.
 */

import { advanceBy } from './apply/time.ts';
import type { Workload } from './devices/workload.ts';
import * as workloadConstants from './devices/workload.ts';
import * as eventKindsConstants from './event-kinds.ts';
import { countersOf } from './look/counters.ts';
import { type LocksBefore, locksNow } from './look/locks.ts';
import { deviceTlbTotals, runMetrics } from './look/metrics.ts';
import { newRows } from './meter/work.ts';
import type { Outcome, RunRequest } from './operations.ts';
import { refuse } from './outcome.ts';
import * as clockConstants from './sim/clock.ts';
import type { Simulator } from './simulator.ts';
import * as exposureConstants from './truth/exposure.ts';

/** Constants of this module are folded by V8, imported ones are loaded and checked each time. */
const { DONE, QUEUES } = workloadConstants;
const { EVENT } = eventKindsConstants;
const { HORIZON_NS } = clockConstants;
const { SESSION } = exposureConstants;

/** How often a condition on a metric is looked at. */
const CHECK_EVERY_PS = 100_000_000;
const NEVER_NS = Number.POSITIVE_INFINITY;

/** Totals of the session when the run began. */
export interface Baseline {
  potentialPagePs: bigint;
  actualPagePs: bigint;
  potentialBytePs: bigint;
  actualBytePs: bigint;
  residualBytePs: bigint;
  lookups: number;
  hits: number;
  deviceLookups: number;
  deviceHits: number;
  locks: LocksBefore;
  verdicts: Float64Array;
  attempts: number;
  detected: number;
  cpuBusyPs: Float64Array;
  counters: Record<string, number>;
}

export class Run {
  declare private readonly simulator: Simulator;
  declare readonly request: RunRequest;
  ended = false;
  declare readonly startNs: number;
  /** ps of the start beyond `startNs`. */
  declare readonly startPs: number;
  /** Whole ns at which it ends by its time rule, plus `startPs` for `forNs`; Infinity without one. */
  declare private readonly endNs: number;
  declare private readonly endPs: number;
  declare private readonly operationsGoal: number;
  declare private readonly condition: { metric: string[]; above: number; below: number } | null;
  /** ps after the clock's base at which the condition is looked at next; Infinity without one. */
  private nextCheck = 0;
  private suspended: Workload | null = null;
  /** How far it had come when it ended: all of the way, or where it was cancelled. */
  private reachedShare: number | null = 1;
  /** Handled so far, looks at the condition included: where a run stands, however it was sliced. */
  events = 0;
  declare readonly baseline: Baseline;
  /** Milli-cycles of flushes that timers did: they belong to the run, to no operation. */
  readonly timerRows = newRows();

  /** @returns the run, armed, or why it cannot start; nothing changed then */
  static start(simulator: Simulator, request: RunRequest): Run | Outcome {
    const { timeNs } = simulator;
    if (request.untilNs !== undefined && request.untilNs < timeNs)
      return refuse('out-of-range', `it is ${timeNs} ns already`, '/untilNs');
    if (request.forNs !== undefined && request.forNs > HORIZON_NS - timeNs)
      return refuse('horizon', `simulated time ends at ${HORIZON_NS} ns`, '/forNs');
    const timed = request.untilNs !== undefined || request.forNs !== undefined;
    if (!timed && simulator.workloads.size === 0)
      return refuse(
        'no-workload',
        'without a workload nothing would happen: add one, or run until a time',
        '/workloads',
      );
    for (const workload of simulator.workloads.all())
      if (workload.kind !== 'hostile' && workload.device.domain === null)
        return refuse(
          'device-detached',
          `${workload.device.id} of workload ${workload.id} is attached to no domain: its driver cannot map`,
          '/workloads',
        );
    if (request.operations !== undefined && ![...simulator.workloads.all()].some(({ kind }) => kind !== 'hostile'))
      return refuse('no-workload', 'a hostile device completes no operations: nothing would count', '/operations');
    if (request.until !== undefined) {
      const metric = request.until.metric.split('.');
      if (typeof valueAt(simulator.read({ read: 'metrics' }), metric) !== 'number')
        return refuse(
          'unknown-metric',
          `"${request.until.metric}" is no number in the session's metrics`,
          '/until/metric',
        );
    }
    const run = new Run(simulator, request);
    run.begin();
    return run;
  }

  /** One that has not begun, for a restore to lay its state over. */
  static unarmed(simulator: Simulator): Run {
    return new Run(simulator, {});
  }

  private constructor(simulator: Simulator, request: RunRequest) {
    this.simulator = simulator;
    this.request = request;
    const { clock } = simulator;
    this.startNs = clock.timeNs;
    this.startPs = clock.now - (clock.timeNs - clock.baseNs) * 1000;
    this.endNs = request.untilNs ?? (request.forNs !== undefined ? this.startNs + request.forNs : NEVER_NS);
    this.endPs = request.forNs !== undefined ? this.startPs : 0;
    this.operationsGoal = request.operations ?? Number.POSITIVE_INFINITY;
    this.condition = request.until
      ? {
          metric: request.until.metric.split('.'),
          above: request.until.above ?? Number.POSITIVE_INFINITY,
          below: request.until.below ?? Number.NEGATIVE_INFINITY,
        }
      : null;
    this.baseline = this.takeBaseline();
  }

  /** Arms the workloads' first events. */
  private begin(): void {
    const { exposure, workloads, cpuAt, cpuHolder, cpuAsked, work, clock } = this.simulator;
    const { now } = clock;
    exposure.mark();
    work.contended = cpuAt.length > 1;
    cpuHolder.fill(-1);
    cpuAsked.fill(0);
    for (let cpu = 0; cpu < cpuAt.length; cpu++) if (cpuAt[cpu]! < now) cpuAt[cpu] = now;
    this.nextCheck = this.condition === null ? Number.POSITIVE_INFINITY : now + CHECK_EVERY_PS;
    for (const workload of workloads.all()) {
      exposure.restart(workload.index, now);
      workload.startRun(now);
    }
  }

  private takeBaseline(): Baseline {
    const { simulator } = this;
    const { exposure, oracle, iotlb, counters, cpuBusyPs, clock } = simulator;
    const { now } = clock;
    const potential = exposure.figures('potential', SESSION, now);
    const actual = exposure.figures('actual', SESSION, now);
    const devices = deviceTlbTotals(simulator);
    return {
      potentialPagePs: potential.pagePs,
      actualPagePs: actual.pagePs,
      potentialBytePs: potential.bytePs,
      actualBytePs: actual.bytePs,
      residualBytePs: oracle.residual.exactAt(now),
      lookups: iotlb.lookups,
      hits: iotlb.hits,
      deviceLookups: devices.lookups,
      deviceHits: devices.hits,
      locks: locksNow(simulator.locks()),
      verdicts: oracle.verdicts.slice(),
      attempts: counters.attemptsAfterUnmap,
      detected: counters.attemptsDetected,
      cpuBusyPs: cpuBusyPs.map((_, cpu) => simulator.workedPs(cpu)),
      counters: countersOf(simulator),
    };
  }

  bookTimer(rows: Float64Array): void {
    for (let row = 0; row < rows.length; row++) this.timerRows[row]! += rows[row]!;
  }

  /** End of the time rule, ps after the clock's base; beyond 2^53 only its order matters. */
  end(): number {
    return (this.endNs - this.simulator.clock.baseNs) * 1000 + this.endPs;
  }

  /** @returns true when the run is over */
  step(events: number): boolean {
    const { simulator } = this;
    const { queue, clock, workloadAt } = simulator;
    simulator.work.contended = simulator.cpuAt.length > 1;
    for (const domain of simulator.domains) if (domain.allocator) domain.allocator.budget = simulator.searchBudget;
    let end = this.end();
    for (let i = 0; i < events; i++) {
      if (this.suspended !== null) {
        if (this.suspended.resume() !== DONE) return false;
        const workload = this.suspended;
        this.suspended = null;
        if (this.reached(workload)) return true;
        continue;
      }
      const due = queue.nextTime();
      if (due > end || due === Number.POSITIVE_INFINITY) {
        this.finishAtEnd();
        return true;
      }
      this.events++;
      if (due >= this.nextCheck) {
        if (this.checkCondition()) return true;
        continue;
      }
      queue.take();
      if (due > clock.now) clock.now = due;
      const kind = queue.takenKind;
      if (kind < EVENT.workload) simulator.fire(due, kind, queue.takenArgument);
      else {
        const workload = workloadAt[kind - EVENT.workload]!;
        const argument = queue.takenArgument | 0;
        const { operations } = workload;
        if (workload.event(argument >> 8, argument & (QUEUES - 1), due) !== DONE) {
          this.suspended = workload;
          return false;
        }
        if (workload.operations !== operations && this.reached(workload)) return true;
      }
      if (clock.now >= 2 ** 51) {
        simulator.rebaseWhenFar();
        end = this.end();
      }
    }
    return false;
  }

  private reached(workload: Workload): boolean {
    if (this.operationsGoal === Number.POSITIVE_INFINITY) return false;
    let done = 0;
    for (const each of this.simulator.workloads.all()) done += each.operations;
    if (done < this.operationsGoal) return false;
    // The operation is complete when its CPU is done with it.
    const { clock, cpuAt } = this.simulator;
    for (let cpu = 0; cpu < cpuAt.length; cpu++)
      if (workload.leftPs(cpu, clock.now) > 0) clock.now = Math.max(clock.now, Math.min(cpuAt[cpu]!, this.end()));
    this.close();
    return true;
  }

  private checkCondition(): boolean {
    const { clock } = this.simulator;
    clock.now = Math.max(clock.now, this.nextCheck);
    this.nextCheck += CHECK_EVERY_PS;
    const value = valueAt(this.simulator.read({ read: 'metrics' }), this.condition!.metric);
    if (typeof value !== 'number' || !(value > this.condition!.above || value < this.condition!.below)) return false;
    this.close();
    return true;
  }

  private finishAtEnd(): void {
    const { clock } = this.simulator;
    this.dropTraffic();
    if (this.endNs !== NEVER_NS) {
      while (this.endNs - clock.timeNs > 2 ** 40) advanceBy(this.simulator, 2 ** 39);
      clock.now = Math.max(clock.now, this.end());
    }
    this.close();
  }

  cancel(): void {
    const workload = this.suspended;
    if (workload !== null) {
      // A search that yielded is finished first: half an operation is none.
      for (const domain of this.simulator.domains)
        if (domain.allocator) domain.allocator.budget = Number.POSITIVE_INFINITY;
      workload.resume();
      this.suspended = null;
      // It may be what the run waited for.
      if (this.reached(workload)) return;
    }
    this.reachedShare = this.progress();
    this.close();
  }

  /** Traffic exists only in runs: what is on its way is remembered by the workloads, not by the queue. */
  private dropTraffic(): void {
    this.simulator.queue.discard((kind) => kind >= EVENT.workload);
  }

  private close(): void {
    const { simulator } = this;
    this.dropTraffic();
    simulator.cpuHolder.fill(-1);
    simulator.work.contended = false;
    this.ended = true;
    simulator.fireDue(simulator.clock.now);
    for (const workload of simulator.workloads.all()) workload.endRun(simulator.clock.now);
    this.finalResult = runMetrics(simulator, this);
    simulator.rebaseWhenFar();
  }

  private finalResult: Record<string, unknown> | null = null;

  progress(): number | null {
    if (this.ended) return this.reachedShare;
    const { simulator } = this;
    if (this.endNs !== NEVER_NS)
      return this.endNs === this.startNs
        ? 1
        : Math.min(1, (simulator.timeNs - this.startNs) / (this.endNs - this.startNs));
    if (this.operationsGoal !== Number.POSITIVE_INFINITY) {
      let done = 0;
      for (const workload of simulator.workloads.all()) done += workload.operations;
      return Math.min(1, done / this.operationsGoal);
    }
    return null;
  }

  result(): Record<string, unknown> {
    return this.finalResult ?? runMetrics(this.simulator, this);
  }

  /** Simulated seconds since it began. */
  elapsedSeconds(): number {
    const { clock } = this.simulator;
    return (
      (clock.timeNs - this.startNs) / 1e9 + (clock.now - (clock.timeNs - clock.baseNs) * 1000 - this.startPs) / 1e12
    );
  }

  wireSeconds(): number {
    let seconds = 0;
    // A link is as fast as its line: two directions share no wire.
    for (const workload of this.simulator.workloads.all())
      seconds = Math.max(seconds, (workload.operations * workload.wirePs) / 1e12);
    return seconds;
  }

  rebase(ps: number): void {
    this.nextCheck -= ps;
  }
}

/** The member of an outcome's result that a dotted path names. */
function valueAt(outcome: Outcome, path: string[]): unknown {
  if (outcome.status !== 'ok') return undefined;
  let value: unknown = outcome.result;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}
