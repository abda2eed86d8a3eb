/** Numbers as people read them: as many digits as mean something, thousands apart, units that fit. No locale: the same text everywhere. */
import type { MaybeFigure } from '../compare/results.ts';

const grouped = (whole: string) => whole.replace(/\B(?=(\d{3})+$)/g, ',');

/** `12345.678` -> `12,350` with four digits; `0.00001234` -> `1.234e-5`. */
export function number(value: number, digits = 3): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e15) return value.toExponential(digits - 1).replace(/\.?0+e\+?/, 'e');
  const [whole, fraction = ''] = Number(value.toPrecision(digits)).toFixed(12).split('.') as [string, string?];
  const rest = fraction.replace(/0+$/, '');
  return rest === '' ? grouped(whole) : `${grouped(whole)}.${rest}`;
}

/** `276514` ns -> `277 µs`. */
export function time(ns: number): string {
  if (ns === 0) return '0';
  for (const [unit, size] of [
    ['s', 1e9],
    ['ms', 1e6],
    ['µs', 1e3],
  ] as const)
    if (ns >= size) return `${number(ns / size)} ${unit}`;
  return `${number(ns)} ns`;
}

export function percent(share: number, digits = 2): string {
  return `${number(share * 100, digits)} %`;
}

export type Shown = (value: number) => string;

/** Median, and in brackets how far the seeds spread where they do. */
export function figureText(figure: MaybeFigure | undefined, shown: Shown = number): string {
  if (figure === null || figure === undefined) return '–';
  const { median, low, high } = figure;
  const [middle, from, to] = [shown(median), shown(low), shown(high)];
  return from === to ? middle : `${middle} (${from} to ${to})`;
}
