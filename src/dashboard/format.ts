/** Numbers as they are read here: three figures, the unit that fits, one way for one thing. Pure, and without a locale. */

/** Between number and unit. */
const SPACE = '\u202f';
const MISSING = '–';

/** 1234567 -> `1,234,567`. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Three significant figures, no exponent: 9.69, 96.9, 969, 9,690. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 999.5) return count(value);
  if (size < 0.001) return value.toExponential(1);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : 4);
}

/** 306419 -> `306 µs`. */
export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined || !Number.isFinite(ns)) return MISSING;
  const size = Math.abs(ns);
  if (size >= 1e9) return `${figure(ns / 1e9)}${SPACE}s`;
  if (size >= 1e6) return `${figure(ns / 1e6)}${SPACE}ms`;
  if (size >= 1e3) return `${figure(ns / 1e3)}${SPACE}µs`;
  return `${figure(ns)}${SPACE}ns`;
}

/** The same of a number that is a round one: `10 µs`, not `10.0 µs`. */
export function roundDuration(ns: number): string {
  return withoutZeros(duration(ns));
}

/** `50.0 %` -> `50 %`, `2.50` -> `2.5`. */
export function withoutZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?!\d)/, (_, kept: string) => (kept === '.' ? '' : kept));
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 17179869184 -> `16 GiB`. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  let step = 0;
  let rest = value;
  while (rest >= 1024 && step < BINARY.length - 1) {
    rest /= 1024;
    step++;
  }
  return `${Number.isInteger(rest) ? rest : figure(rest)}${SPACE}${BINARY[step]}`;
}

/** 0.9675 -> `96.8 %`. */
export function share(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  return `${figure(value * 100)}${SPACE}%`;
}

/** What a chart shows, beside its number. */
export type Unit = 'Gb/s' | 'IOPS' | 'cycles' | '%' | 'ns' | 'bytes' | 'pages' | 'entries' | '/s' | '';

export function withUnit(value: number | null | undefined, unit: Unit): string {
  if (unit === 'ns') return duration(value);
  if (unit === 'bytes') return bytes(value);
  if (unit === '' || value === null || value === undefined || !Number.isFinite(value)) return figure(value);
  return `${figure(value)}${unit === '/s' ? '' : SPACE}${unit}`;
}

/** `2026-11-27T14:26:31.977Z` -> `2026-11-27 14:26:31`, in UTC as all that the server says. */
export function instant(iso: string): string {
  return iso.replace('T', ' ').replace(/(\.\d+)?Z$/, '');
}
