/** `advance`: let simulated time pass; timers fire. */
import type { Outcome } from '../operations.ts';
import { ok, refuse } from '../outcome.ts';
import { HORIZON_NS } from '../sim/clock.ts';
import type { Simulator } from '../simulator.ts';
import type { Of } from './index.ts';

export function advance(simulator: Simulator, operation: Of<'advance'>): Outcome {
  if (operation.ns > HORIZON_NS - simulator.timeNs)
    return refuse('horizon', `simulated time ends at ${HORIZON_NS} ns; it is ${simulator.timeNs} ns now`, '/ns');
  const fired = advanceBy(simulator, operation.ns);
  return ok({ timeNs: simulator.timeNs, fired });
}

/** @returns timers that fired */
export function advanceBy(simulator: Simulator, ns: number): number {
  const { clock, queue } = simulator;
  simulator.fired = 0;
  let left = ns;
  // In strides, so that picoseconds stay whole doubles.
  while (left > 0) {
    const stride = Math.min(left, 2 ** 41);
    const target = clock.now + stride * 1000;
    while (queue.nextTime() <= target) {
      clock.now = Math.max(clock.now, queue.nextTime());
      simulator.fireDue(clock.now);
    }
    clock.now = target;
    left -= stride;
    // Nothing is due for long: the rest is one step, which moves the base instead of the events.
    simulator.rebaseWhenFar();
  }
  return simulator.fired;
}
