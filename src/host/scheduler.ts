/**
 * Turns of the sessions of one worker. A turn computes for a slice of a few milliseconds; then the event loop goes round once, so
 * that messages (reads, cancel, other sessions) are served between any two turns, and the next session has its turn.
 * While the server is asked anything slices are short: `bustle.ts`.
 */
import type { Bustle } from './bustle.ts';

export interface TurnTaker {
  /**
   * Computes until `deadline` (`performance.now()`), or until there is nothing to compute.
   *
   * @returns true when there is more to compute now
   */
  takeTurn(deadline: number): boolean;
}

export class Scheduler {
  private readonly sliceMs: number;
  private readonly bustle: Bustle;
  /** A `Set` keeps the order of insertion: the first has waited longest. */
  private readonly waiting = new Set<TurnTaker>();
  private readonly beforeTurn: () => void;
  private armed = false;
  private readonly next = (): void => this.turn();

  /** @param beforeTurn posts what was answered since the last turn, which must not wait for the next one to end */
  constructor(sliceMs: number, beforeTurn: () => void, bustle: Bustle) {
    this.sliceMs = sliceMs;
    this.bustle = bustle;
    this.beforeTurn = beforeTurn;
  }

  /** Asks for a turn; a second request before the turn changes nothing. */
  request(taker: TurnTaker): void {
    this.waiting.add(taker);
    this.arm();
  }

  forget(taker: TurnTaker): void {
    this.waiting.delete(taker);
  }

  private arm(): void {
    if (this.armed || this.waiting.size === 0) return;
    this.armed = true;
    setImmediate(this.next);
  }

  private turn(): void {
    this.armed = false;
    this.beforeTurn();
    for (const taker of this.waiting) {
      this.waiting.delete(taker);
      const begin = performance.now();
      if (taker.takeTurn(begin + this.bustle.sliceMs(begin, this.sliceMs))) {
        this.waiting.add(taker);
        this.bustle.makeWay();
      }
      break;
    }
    this.arm();
  }
}
