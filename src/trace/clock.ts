/**
 * The clock of a recording: seconds and a fraction, as printed, -> nanoseconds since the first event.
 *
 * Ftrace's default clock, `local`, is one for each CPU; between two CPUs it may differ, so that a line may have a time before that of
 * the line above it though nothing is wrong. Times are kept as they are recorded and steps back are counted: `steps` against the event
 * above, `stepsOnCpu` against the one above of the same CPU, which no merging explains (a suspend, two recordings in one file).
 * `cpu-merge.ts` has the rule by which the CPUs are merged, for who asks for it.
 */

/** More than Linux can have: NR_CPUS is 8192 at most. */
export const MOST_CPUS = 8192;
/** 104 days in nanoseconds are 2^53. */
const FARTHEST_SECONDS = 9_000_000;

export class RecordingClock {
  private begun = false;
  originSeconds = 0;
  originNanoseconds = 0;
  private lastNs = 0;
  /** [cpu]: time of its latest event. */
  private lastOnCpu = new Float64Array(64).fill(Number.NEGATIVE_INFINITY);
  steps = 0;
  stepsOnCpu = 0;

  get isBegun(): boolean {
    return this.begun;
  }

  /** Time of the event before, for what has none of its own. */
  get nowNs(): number {
    return this.lastNs;
  }

  /**
   * @param seconds whole ones
   * @param nanoseconds 0 to 999,999,999
   * @returns nanoseconds since the first event, exact; NaN when it is more than 104 days away from it
   */
  since(seconds: number, nanoseconds: number): number {
    if (!this.begun) return 0;
    const whole = seconds - this.originSeconds;
    if (whole > FARTHEST_SECONDS || whole < -FARTHEST_SECONDS) return Number.NaN;
    return whole * 1e9 + (nanoseconds - this.originNanoseconds);
  }

  /** An event with this time, which `since` has answered for these seconds and nanoseconds, is in the recording. */
  advance(seconds: number, nanoseconds: number, timeNs: number, cpu: number): void {
    if (!this.begun) {
      this.begun = true;
      this.originSeconds = seconds;
      this.originNanoseconds = nanoseconds;
    }
    if (timeNs < this.lastNs) this.steps++;
    this.lastNs = timeNs;
    if (cpu < 0) return;
    if (cpu >= this.lastOnCpu.length) this.widen(cpu);
    if (timeNs < this.lastOnCpu[cpu]!) this.stepsOnCpu++;
    this.lastOnCpu[cpu] = timeNs;
  }

  private widen(cpu: number): void {
    const wider = new Float64Array(Math.max(cpu + 1, this.lastOnCpu.length * 2)).fill(Number.NEGATIVE_INFINITY);
    wider.set(this.lastOnCpu);
    this.lastOnCpu = wider;
  }
}
