/**
 * Simulated time: picoseconds as whole doubles, counted from a base that moves.
 *
 * 2^53 ps are only 2.5 hours and a session lives for up to 2^53 ns (104 days), so every time in the simulation is relative to
 * `baseNs`. When the present gets far from the base, `Simulator` moves it between two operations or events and every part that
 * keeps a time shifts it (`rebase`). The moments at which that happens depend on simulated time alone.
 */
export const HORIZON_NS = Number.MAX_SAFE_INTEGER;
/** From here on no operation begins that takes time of its own: how much it takes shows only at its end. Before the horizon 73 minutes are left. */
export const LAST_START_NS = HORIZON_NS - 2 ** 42;
/** Distance from the base, in ps, beyond which the base moves: about 37 simulated minutes. */
export const REBASE_PS = 2 ** 51;

export class Clock {
  /** Whole nanoseconds since the session began. */
  baseNs = 0;
  /** Picoseconds since the base. */
  now = 0;

  /** Whole nanoseconds since the session began at `ps` after the base, rounded down. */
  toNs(ps: number): number {
    return this.baseNs + Math.floor(ps / 1000);
  }

  get timeNs(): number {
    return this.toNs(this.now);
  }

  get timePs(): string {
    return (BigInt(this.baseNs) * 1000n + BigInt(this.now)).toString();
  }

  /** Moves the base to the present; returns by how many ps all kept times must fall (a whole number of ns). */
  moveBase(): number {
    const ns = Math.floor(this.now / 1000);
    this.baseNs += ns;
    this.now -= ns * 1000;
    return ns * 1000;
  }
}
