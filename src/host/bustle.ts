/**
 * Whether the server is asked anything now, in memory that all of its threads share, so that a worker in the middle of a long run knows
 * of requests that are not its own. The main thread counts what it asks of any worker.
 *
 * A run makes way in two steps, and neither is part of the simulation. Its slices are short while somebody asks. And at the end of one
 * it sleeps for a moment if there are more threads than cores: what has to run for a reply on the run's core, be it the main thread, the
 * journal's or the one of the kernel that sends a flush to the disk, would else get its turn with a tick of the timer, up to 4 ms later.
 */

/** A slice while somebody asks; else the scheduler's own. */
const SHORT_SLICE_MS = 1;
/** How long after the last request somebody still asks: who sends one after the other is not done between two. */
const LINGER_MS = 50;
/** The shortest that sleeps at all: some 0.08 ms, of which Linux rounds up 0.05. */
const PAUSE_MS = 0.001;

const CALLS = 0;
const NEVER = 1;
const WORDS = 2;

/** Calls of workers so far; a word that nobody changes, to sleep on. */
export type SharedBustle = Int32Array<SharedArrayBuffer>;

export function sharedBustle(): SharedBustle {
  return new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
}

/** In the main thread. */
export function noteCall(shared: SharedBustle): void {
  Atomics.add(shared, CALLS, 1);
}

/** In a worker. */
export class Bustle {
  private readonly shared: SharedBustle;
  /** Whether threads may have to wait for a core. */
  private readonly scarce: boolean;
  private calls = 0;
  private untilMs = Number.NEGATIVE_INFINITY;
  private asked = false;

  constructor(shared: SharedBustle, scarce: boolean) {
    this.shared = shared;
    this.scarce = scarce;
  }

  /** How long a slice may be that begins now. @param usualMs when nobody asks */
  sliceMs(nowMs: number, usualMs: number): number {
    const calls = Atomics.load(this.shared, CALLS);
    if (calls !== this.calls) {
      this.calls = calls;
      this.untilMs = nowMs + LINGER_MS;
    }
    this.asked = nowMs < this.untilMs;
    return this.asked ? Math.min(SHORT_SLICE_MS, usualMs) : usualMs;
  }

  /** Between two slices of what would compute on. @returns whether it has slept */
  makeWay(): boolean {
    if (!this.scarce || !this.asked) return false;
    Atomics.wait(this.shared, NEVER, 0, PAUSE_MS);
    return true;
  }
}
