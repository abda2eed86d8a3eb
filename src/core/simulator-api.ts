/** What the host sees of a simulation: the surface of `Simulator` (`simulator.ts`), which implements it. */
import type { Operation, Outcome, RunRequest } from './operations.ts';
import type { Reading } from './reading.ts';
import type { ResolvedSpec } from './spec.ts';

/** Something worth telling subscribers; drained by the host after each operation or slice. */
export interface Notice {
  topic: 'events' | 'faults' | 'verdicts';
  timeNs: number;
  data: Record<string, unknown>;
}

/** A look at everything, in steps; the simulation may go on in between. */
export interface Footprint {
  /** Looks at so many objects more. @returns bytes, once it is through, else null */
  step(objects: number): number | null;
}

export interface SimulatorApi {
  readonly spec: ResolvedSpec;
  /** Whole nanoseconds, rounded down. */
  readonly timeNs: number;
  /** Decimal string, exact. */
  readonly timePs: string;
  /** Operations applied. */
  readonly operations: number;
  /** Rises with every change of state; equal numbers mean nothing changed in between. */
  readonly version: number;
  /** Steps of a linear search that one call of `apply`, `resume` or `stepRun` may take before it yields. */
  searchBudget: number;

  /** null: a long search yielded; nothing else may be called but `resume` and the reads, until `resume` gives the outcome. */
  apply(operation: Operation): Outcome | null;
  resume(): Outcome | null;
  /** Never changes anything, digest included. May be called between `stepRun` calls. */
  read(reading: Reading): Outcome;
  /** 64 hex digits. */
  digest(): string;
  /** What was asked for, what is in force, and why: the contract's `SessionPolicy`. */
  policyReport(): Record<string, unknown>;

  /** Arms a run. `refused` when the request does not fit the state (no workload and a count to wait for, time beyond the horizon). */
  startRun(request: RunRequest): Outcome;
  /** Handles up to `events` events; true when the run has ended by its stop rule. */
  stepRun(events: number): boolean;
  /** Events that the active or last run has handled, the same at the same state however it was sliced. */
  readonly runEvents: number;
  /** Ends the active run where it stands, once the event in progress is complete. */
  cancelRun(): void;
  /** 0 to 1, or null when the rule has no measure. */
  runProgress(): number | null;
  /** Result of the active or last run, in the contract's shape but for `wallSeconds` and `realTimeFactor`; valid at any slice. */
  runResult(): Record<string, unknown>;
  /** Completed packets' time on the wire at line rate, in seconds, of the active or last run: numerator of the real-time factor. */
  runWireSeconds(): number;

  /** Whether `save` can be called now: no operation is suspended. A run may be, also in the middle of a search. */
  readonly savable: boolean;
  /** All of it as bytes, for `restoreSimulator`; leaves no trace. Throws an `InvariantError` when it is not `savable`. */
  save(): Uint8Array;

  // What a host may set bounds to. No part of the state.

  /** Page frames that somebody has. */
  readonly framesInUse: number;
  /** Mappings of the DMA API. */
  readonly liveMappings: number;
  /** How much of the host's memory all of it takes, about. */
  measure(): Footprint;

  /** Takes what happened since the last call, oldest first, at most `limit`; `dropped` counts what did not fit the core's ring. */
  drainNotices(limit: number): { notices: Notice[]; dropped: number };
}
