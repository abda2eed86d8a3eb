/**
 * Two sessions on one clock: each turn both run until the same simulated time, side by side, and the next turn begins when both are there.
 * One that is behind catches up first, without being measured. Pure but for what it is given.
 */
import type { RunResult } from '../../api/contract-types.ts';
import { type Figures, figuresOf, joined } from './figures.ts';

/** What it needs of the sessions. */
export interface Sides {
  /** Simulated time, ns. */
  timeOf(side: number): Promise<number>;
  /** Runs until a time and answers what came of it; of a session without workloads time passes. */
  runUntil(side: number, untilNs: number): Promise<RunResult>;
}

export interface Turn {
  /** At its end, of both. */
  timeNs: number;
  span: readonly [Figures, Figures];
  /** Since the comparison began. */
  all: readonly [Figures, Figures];
}

export class Lockstep {
  private readonly sides: Sides;
  private totals: [Figures | null, Figures | null] = [null, null];
  timeNs = -1;

  constructor(sides: Sides) {
    this.sides = sides;
  }

  /** Brings both to the same time. @returns that time */
  async align(): Promise<number> {
    const times = await Promise.all([this.sides.timeOf(0), this.sides.timeOf(1)]);
    const to = Math.max(...times);
    await Promise.all(times.map((time, side) => (time < to ? this.sides.runUntil(side, to) : null)));
    this.timeNs = to;
    return to;
  }

  async turn(stepNs: number): Promise<Turn> {
    if (this.timeNs < 0) await this.align();
    const until = this.timeNs + stepNs;
    const results = await Promise.all([this.sides.runUntil(0, until), this.sides.runUntil(1, until)]);
    this.timeNs = until;
    const span = results.map(figuresOf) as [Figures, Figures];
    this.totals = [joined(this.totals[0], span[0]), joined(this.totals[1], span[1])];
    return { timeNs: until, span, all: this.totals as [Figures, Figures] };
  }

  forget(): void {
    this.totals = [null, null];
    this.timeNs = -1;
  }
}
