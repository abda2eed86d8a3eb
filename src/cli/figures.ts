/** Numbers for people: three digits that say something, thousands in groups, one unit for a column. */

const NONE = '-';
const GROUPED = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

/** `8.73`, `0.0152`, `4,260`, `1.2e-7`; `-` for none. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 999.5 && size < 1e15) return GROUPED.format(value);
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2).replace('e+', 'e');
  const digits = Math.max(0, 2 - Math.floor(Math.log10(size)));
  const text = value.toFixed(digits);
  // 9.996 is 10.0, not 10.00.
  return Number(text) !== 0 && Math.abs(Number(text)) >= 10 ** (Math.floor(Math.log10(size)) + 1)
    ? value.toFixed(Math.max(0, digits - 1))
    : text;
}

export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return Number.isInteger(value) ? GROUPED.format(value) : figure(value);
}

/** `1 access`, `2 accesses` */
export function counted(value: number | null | undefined, one: string, many: string): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function percent(share: number | null | undefined): string {
  return share === null || share === undefined ? NONE : `${figure(share * 100)} %`;
}

export interface Scale {
  unit: string;
  /** By which a value is multiplied. */
  factor: number;
}

/** @param steps from the smallest unit on: its name, and how many of it one is */
function scaleOf(values: readonly (number | null | undefined)[], steps: [string, number][]): Scale {
  const largest = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)).filter(Number.isFinite));
  // Nothing is nothing in the unit that has no prefix.
  let chosen = largest === 0 ? steps.at(-1)! : steps[0]!;
  for (const step of steps) if (largest * step[1] >= 1) chosen = step;
  return { unit: chosen[0], factor: chosen[1] };
}

/** For times in nanoseconds. */
export function timeScale(ns: readonly (number | null | undefined)[]): Scale {
  return scaleOf(ns, [
    ['ns', 1],
    ['µs', 1e-3],
    ['ms', 1e-6],
    ['s', 1e-9],
  ]);
}

/** For pages times seconds. */
export function pageSecondScale(values: readonly (number | null | undefined)[]): Scale {
  return scaleOf(values, [
    ['page·ns', 1e9],
    ['page·µs', 1e6],
    ['page·ms', 1e3],
    ['page·s', 1],
  ]);
}

/** `5.2 ms` */
export function time(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) return NONE;
  const { unit, factor } = timeScale([ns]);
  return `${figure(ns * factor)} ${unit}`;
}

export function pageSeconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const { unit, factor } = pageSecondScale([value]);
  return `${figure(value * factor)} ${unit}`;
}
