/** Where the lines of a grid stand, and what is written at them. Pure. */
import { bytes, duration, figure, share, type Unit, withoutZeros } from '../format.ts';

const STEPS = [1, 2, 2.5, 5, 10];

/**
 * Round values between `low` and `high`, bounds included: multiples of 1, 2, 2.5 or 5 times a power of ten.
 *
 * @param most of them that there is room for, from 1
 */
export function ticks(low: number, high: number, most: number): number[] {
  const least = (high - low) / Math.max(1, most);
  if (!(least > 0) || !Number.isFinite(least)) return [];
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * (STEPS.find((each) => each * power >= least * (1 - 1e-9)) as number);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => (first + i) * step);
}

export function timeOnAxis(seconds: number): string {
  return withoutZeros(duration(seconds * 1e9));
}

export function onAxis(value: number, unit: Unit): string {
  return withoutZeros(valueOnAxis(value, unit));
}

function valueOnAxis(value: number, unit: Unit): string {
  if (unit === 'ns') return duration(value);
  if (unit === 'bytes') return bytes(value);
  if (unit === '%') return share(value / 100);
  if (Math.abs(value) >= 1e6) return `${figure(value / 1e6)} M`;
  if (Math.abs(value) >= 1e4) return `${figure(value / 1e3)} k`;
  return figure(value);
}
