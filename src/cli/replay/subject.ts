/** A simulation that is put through a script: here, or as a session of a server (`server-subject.ts`). */
import type { Operation, RunRequest } from '../../core/operations.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import type { Plain } from '../../lab/experiment.ts';
import { carryOut, simulatorOf } from './again.ts';
import { type Made, Reference, type ScriptLine, standsFor } from './script.ts';

export interface Outcome {
  metrics: Plain;
  digest: string;
  /** Operations and runs. */
  done: number;
  /** Of these: refused, or failed, and had not in the session. */
  failed: number;
  /** Could not be asked for: what they refer to was never made here. */
  impossible: number;
}

export interface Subject {
  take(line: ScriptLine): Promise<void>;
  /** @param cutAtNs where the session ended it; null: it came to its end there */
  run(request: RunRequest, cutAtNs: number | null): Promise<void>;
  outcome(): Promise<Outcome>;
  close(): Promise<void>;
}

/** The line with what its references stand for; null where one stands for nothing. */
export function resolved(line: Plain, made: ReadonlyMap<string, Made>): Plain | null {
  let whole = true;
  const member = (value: unknown): unknown => {
    if (value instanceof Reference) {
      const of = made.get(value.id);
      const found = of === undefined ? null : standsFor(value, of);
      whole &&= found !== null;
      return found;
    }
    if (Array.isArray(value)) return value.map(member);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, member(each)]));
  };
  const out = member(line) as Plain;
  return whole ? out : null;
}

/** What takes the place of a run that was ended before its time: as long as it lasted then. */
export function requestOf(request: RunRequest, cutAtNs: number | null): RunRequest {
  return cutAtNs === null ? request : { untilNs: cutAtNs };
}

const TURN_MS = 50;
const EVENTS_A_LOOK = 10_000;

export class LocalSubject implements Subject {
  private readonly simulator: SimulatorApi;
  private readonly signal: AbortSignal;
  private readonly made = new Map<string, Made>();
  private readonly counts = { done: 0, failed: 0, impossible: 0 };

  constructor(spec: Plain, what: string, signal: AbortSignal) {
    this.signal = signal;
    this.simulator = simulatorOf(spec, what);
  }

  async take({ line, makes, failedThere }: ScriptLine): Promise<void> {
    const operation = resolved(line, this.made);
    if (operation === null) {
      this.counts.impossible++;
      return;
    }
    this.counts.done++;
    const outcome = carryOut(this.simulator, operation as unknown as Operation);
    if (outcome.status === 'ok') {
      if (makes !== null) this.made.set(makes, outcome.result as unknown as Made);
    } else if (!failedThere) this.counts.failed++;
  }

  async run(request: RunRequest, cutAtNs: number | null): Promise<void> {
    const { simulator } = this;
    this.counts.done++;
    if (simulator.startRun(requestOf(request, cutAtNs)).status !== 'ok') {
      this.counts.failed++;
      return;
    }
    for (let turnAt = performance.now(); !simulator.stepRun(EVENTS_A_LOOK); ) {
      if (performance.now() - turnAt < TURN_MS) continue;
      await new Promise(setImmediate);
      this.signal.throwIfAborted();
      turnAt = performance.now();
    }
  }

  async outcome(): Promise<Outcome> {
    const reading = this.simulator.read({ read: 'metrics' });
    if (reading.status !== 'ok') throw new Error(reading.problem.detail);
    return { metrics: reading.result, digest: this.simulator.digest(), ...this.counts };
  }

  async close(): Promise<void> {}
}
