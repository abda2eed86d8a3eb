/**
 * What a session may take and what it may not for now, in its worker: the hold that the main thread keeps (`quotas.ts`), the bounds of what
 * it may hold at a time, and what it has computed, of which the main thread is told.
 */
import type { Operation } from '../core/operations.ts';
import type { SimulatorApi } from '../core/simulator-api.ts';
import type { HostProblem, Pause } from './host.ts';
import { sessionPaused, tooMuchStored } from './problems.ts';
import type { Governed, Hold } from './quotas.ts';
import { BoundedSession, type Reached } from './session-bounds.ts';

/** The main thread is told after so much computing: by so much, and a turn, a session may take more than its share. */
const TELL_COMPUTED_MS = 50;

export class SessionGovernor {
  private readonly bounded = new BoundedSession();
  /** What keeps it from going on, or from being changed; the main thread says so. */
  private hold: Hold | null = null;
  /** The bound that the active run has gone beyond. */
  private beyond: Reached | null = null;
  private untoldMs = 0;
  private readonly tell: (ms: number) => void;
  /** Whether somebody wants to know what it computes. */
  metered = false;

  /** @param tell told of computing time, in milliseconds, now and then */
  constructor(tell: (ms: number) => void) {
    this.tell = tell;
  }

  /** @returns whether the session may have come to another state by that */
  govern({ bounds, metered, hold }: Governed, simulator: SimulatorApi): boolean {
    this.bounded.set(bounds);
    this.metered = metered;
    this.hold = hold;
    if (this.beyond === null) return false;
    this.beyond = this.bounded.beyond(simulator);
    return true;
  }

  /** As the main thread shows it: the bound that is reached, or null. */
  get paused(): Pause | null {
    return this.beyond === null ? null : { ...this.beyond, resumesAtMs: null };
  }

  /** Neither out of time nor beyond a bound. More bytes may not keep it: a run leaves no more than marks. */
  get mayRun(): boolean {
    return this.beyond === null && (this.hold === null || this.hold.name === 'stored-bytes');
  }

  /** Why nothing may change the session now. @param givesBack but for what leaves less of it than there was */
  refusal(givesBack: boolean): HostProblem | null {
    const { hold, paused } = this;
    if (hold !== null && hold.name !== 'stored-bytes') return sessionPaused(hold, Date.now());
    if (paused !== null) return sessionPaused(paused, Date.now());
    return givesBack ? null : this.refusalToStore();
  }

  /** Why nothing more may be kept of it. */
  refusalToStore(): HostProblem | null {
    return this.hold?.name === 'stored-bytes' ? tooMuchStored(this.hold.limit, this.hold.used) : null;
  }

  /** Why an operation would take too much, or null: then it counts. */
  refuse(operation: Operation, simulator: SimulatorApi): HostProblem | null {
    return this.bounded.refuse(operation, simulator);
  }

  /** Whether there is something to look at in the session's next turn. */
  get measuring(): boolean {
    return this.bounded.measuring;
  }

  /** Looks on. @returns whether the active run has to stop for what was found */
  measure(simulator: SimulatorApi, running: boolean): boolean {
    this.bounded.step();
    if (this.bounded.measuring || !running || this.beyond !== null) return false;
    this.beyond = this.bounded.beyond(simulator);
    return this.beyond !== null;
  }

  eventsLeft(simulator: SimulatorApi): number {
    return this.bounded.eventsLeft(simulator);
  }

  /** A run has computed. @returns whether it has gone too far; if it has not ended, it stands still from now on */
  ran(ms: number, simulator: SimulatorApi, ended: boolean): boolean {
    const beyond = this.bounded.ran(ms, simulator);
    if (!ended) this.beyond = beyond;
    return beyond !== null;
  }

  /** The run that went too far is over. */
  runEnded(): void {
    this.beyond = null;
  }

  /** The simulation began again. */
  restart(): void {
    this.bounded.restart();
  }

  computed(ms: number): void {
    this.untoldMs += ms;
    if (this.untoldMs >= TELL_COMPUTED_MS) this.tellComputed();
  }

  tellComputed(): void {
    if (this.untoldMs > 0) this.tell(this.untoldMs);
    this.untoldMs = 0;
  }
}
