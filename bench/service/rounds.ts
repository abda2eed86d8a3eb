/**
 * Side by side: what is compared is measured in turns, in one run, because the speed of a shared machine drifts by up to two within
 * minutes. A ratio is made of the two halves of a round; what is printed is the median of the rounds and their spread.
 */

export interface Spread {
  median: number;
  lowest: number;
  highest: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, lowest: sorted[0]!, highest: sorted[sorted.length - 1]! };
}

/** @param part from 0 to 1; the nearest rank, so that p99 of fewer than 100 values is the highest */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!;
}

/** `measure[i]` in each round, the order of the measures turned by one from round to round; [measure][round]. */
export async function interleaved(rounds: number, measures: readonly (() => Promise<number>)[]): Promise<number[][]> {
  const values: number[][] = measures.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < measures.length; turn++) {
      const which = (turn + round) % measures.length;
      values[which]!.push(await measures[which]!());
    }
  }
  return values;
}

export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, round) => value / under[round]!);
}

/** "12,345 (11,900 to 12,800)". */
export function shown({ median, lowest, highest }: Spread, digits = 0): string {
  const text = (value: number): string =>
    value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text(median)} (${text(lowest)} to ${text(highest)})`;
}

export function row(what: string, values: readonly number[], unit: string, digits = 0): void {
  console.log(`  ${what.padEnd(52)} ${shown(spreadOf(values), digits)} ${unit}`);
}
