/** What a run has made of a recording so far, and what it passed over and why. */

const SKIPS = [
  'unmatchedUnmaps',
  'withoutMemory',
  'withoutAddress',
  'tooLarge',
  'overlapping',
  'cutSuperpages',
  'unknownAddresses',
  'unmatchedSyncs',
  'detached',
] as const;
export type Skip = (typeof SKIPS)[number];

export class ReplayTally {
  maps = 0;
  unmaps = 0;
  /** Maps that have the recorded address. */
  sameAddress = 0;
  /** Of the recording, made at their times. */
  invalidations = 0;
  private readonly skipped = new Float64Array(SKIPS.length);

  clear(): void {
    this.maps = 0;
    this.unmaps = 0;
    this.sameAddress = 0;
    this.invalidations = 0;
    this.skipped.fill(0);
  }

  /** @returns false, for who answers whether it could be done */
  skip(why: Skip): false {
    this.skipped[SKIPS.indexOf(why)]!++;
    return false;
  }

  skips(): Record<Skip, number> {
    return Object.fromEntries(SKIPS.map((name, i) => [name, this.skipped[i]!])) as Record<Skip, number>;
  }
}
