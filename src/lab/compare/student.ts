/**
 * Critical values of Student's t for an interval of 99.5 per cent, by degrees of freedom.
 *
 * Why 99.5: a pair of arms is compared by six figures, and all six verdicts together should be wrong in fewer than 3 of 100 pairs that do
 * not differ. The values are those of any table (two-sided 0.005); the test integrates the density and finds the same.
 */

/** [degrees of freedom - 1] */
const TABLE = [
  127.321336, 14.089047, 7.453319, 5.597568, 4.773341, 4.316827, 4.029337, 3.832519, 3.689662, 3.581406, 3.496614,
  3.428444, 3.372468, 3.325696, 3.286039, 3.251993, 3.22245, 3.196574, 3.173725, 3.153401, 3.135206, 3.118824, 3.103997,
  3.090514, 3.078199, 3.066909, 3.05652, 3.046929, 3.038047, 3.029798,
];
/** From here on, up to the normal distribution's 2.807. */
const FURTHER: [number, number][] = [
  [40, 2.971171],
  [60, 2.914553],
  [120, 2.859865],
  [1000, 2.813278],
];

/** @param degrees 1 or more, need not be whole: the next lower row of the table counts, which errs towards no verdict */
export function criticalValue(degrees: number): number {
  const whole = Math.floor(degrees);
  if (whole <= TABLE.length) return TABLE[Math.max(0, whole - 1)]!;
  let value = TABLE.at(-1)!;
  for (const [from, next] of FURTHER) if (whole >= from) value = next;
  return value;
}
