/** What was done in a session, done again, exactly: after all of it the simulation has the digest that the session had. */
import { createSimulator, resolveSpec, SpecError } from '../../core/index.ts';
import type { Operation, Outcome, RunRequest } from '../../core/operations.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import type { Plain } from '../../lab/experiment.ts';
import { EXIT, Failure, linesOf } from '../failure.ts';
import type { Export } from './document.ts';

export type Step =
  /** `result`: null where the simulated kernel failed. */
  | { operation: Operation; result: Plain | null }
  /** `cutAtNs`: where it was ended before its time; null: it came to its end. */
  | { run: RunRequest; cutAtNs: number | null };

/** Between two turns of the event loop, in which Ctrl-C is heard. */
const TURN_MS = 50;
const EVENTS_A_LOOK = 10_000;

/** @param what it is the spec of, in a refusal */
export function simulatorOf(spec: Plain, what = 'The spec'): SimulatorApi {
  try {
    return createSimulator(resolveSpec(spec));
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    const errors = error.problems.map(({ path, message }) => ({ path, message }));
    throw new Failure(EXIT.usage, ...linesOf({ errors }, what));
  }
}

/** Long searches are taken to their end at once. */
export function carryOut(simulator: SimulatorApi, operation: Operation): Outcome {
  let outcome = simulator.apply(operation);
  while (outcome === null) outcome = simulator.resume();
  return outcome;
}

export class Again {
  readonly simulator: SimulatorApi;
  private readonly records: Export['records'];
  /** Records done. */
  done = 0;
  private run: RunRequest | null = null;
  /** Events of the run at its last mark. */
  private mark = 0;

  constructor({ spec, records }: Export) {
    this.simulator = simulatorOf(spec);
    this.records = records;
  }

  get total(): number {
    return this.records.length;
  }

  /** null now and then, for others to have a turn. */
  *steps(): Generator<Step | null> {
    let turnAt = performance.now();
    for (const record of this.records) {
      if ('op' in record) {
        this.expect(this.run === null, 'is an operation while a run is active');
        const operation = structuredClone(record) as Operation;
        const outcome = carryOut(this.simulator, operation);
        if (outcome.status === 'refused') this.expect(false, `is refused: ${outcome.problem.detail}`);
        yield { operation: record as Operation, result: outcome.status === 'ok' ? outcome.result : null };
      } else if ('run' in record) {
        this.expect(this.run === null, 'begins a run while another is active');
        const outcome = this.simulator.startRun(record.run);
        if (outcome.status === 'refused') this.expect(false, `is refused: ${outcome.problem.detail}`);
        this.run = record.run;
        this.mark = 0;
      } else if ('mark' in record) this.mark = record.mark;
      else if ('end' in record) {
        this.expect(this.run !== null, 'ends a run, and none is active');
        const run = this.run!;
        const whole = record.end === 'finished';
        const ended = yield* this.advance(whole ? null : record.events);
        this.expect(ended === whole, 'does not end its run as it was ended');
        if (!whole) this.simulator.cancelRun();
        this.run = null;
        yield { run, cutAtNs: whole ? null : this.simulator.timeNs };
      }
      this.done++;
      if (performance.now() - turnAt > TURN_MS) {
        yield null;
        turnAt = performance.now();
      }
    }
    // Taken in the middle of a run.
    if (this.run === null) return;
    yield* this.advance(this.mark);
    yield { run: this.run, cutAtNs: this.simulator.timeNs };
  }

  /** @returns whether the run came to its end */
  private *advance(events: number | null): Generator<null, boolean> {
    const { simulator } = this;
    for (;;) {
      const left = events === null ? EVENTS_A_LOOK : Math.min(EVENTS_A_LOOK, events - simulator.runEvents);
      if (left <= 0) return false;
      if (simulator.stepRun(left)) return true;
      yield null;
    }
  }

  private expect(holds: boolean, otherwise: string): void {
    if (!holds) throw new Failure(EXIT.answer, `It cannot be done again: /records/${this.done} ${otherwise}`);
  }
}
