/** From what is written in the form of a run to a request. Pure. */
import type { RunRequest } from '../../api/contract-types.ts';

export type Stop = 'forNs' | 'untilNs' | 'operations' | 'above' | 'below';

export const STOPS: Record<Stop, { words: string; amount: string; example: string; metric?: true }> = {
  forNs: { words: 'for a simulated time', amount: 'How long', example: '100 ms' },
  untilNs: { words: 'until a simulated time', amount: 'Until', example: '1 s' },
  operations: { words: 'until packets and I/Os are done', amount: 'How many', example: '100000' },
  above: { words: 'until a metric is above', amount: 'Above', example: '0', metric: true },
  below: { words: 'until a metric is below', amount: 'Below', example: '0', metric: true },
};

const UNITS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3_600e9 };

/** `1.5 ms` -> 1500000; a number alone is nanoseconds. Null: no time. */
export function nanosecondsOf(text: string): number | null {
  const found = /^([0-9][0-9_,]*(?:\.[0-9]+)?(?:e[0-9]+)?)\s*(ns|us|µs|μs|ms|s|min|h)?$/i.exec(text.trim());
  if (found === null) return null;
  const value =
    Number((found[1] as string).replaceAll(/[_,]/g, '')) * (UNITS[found[2]?.toLowerCase() ?? 'ns'] as number);
  return Number.isFinite(value) ? Math.round(value) : null;
}

export function requestOf(stop: Stop, amount: string, metric: string): RunRequest | { problem: string } {
  if (stop === 'forNs' || stop === 'untilNs') {
    const ns = nanosecondsOf(amount);
    if (ns === null || ns <= 0) return { problem: `"${amount}" is no time: 100 ms, 2 s, 500000.` };
    return { [stop]: ns };
  }
  const value = Number(amount.trim().replaceAll(/[_,]/g, ''));
  if (amount.trim() === '' || !Number.isFinite(value)) return { problem: `"${amount}" is no number.` };
  if (stop === 'operations') return { operations: value };
  if (metric.trim() === '') return { problem: 'Say which metric, as exposure.staleAccesses.' };
  return { until: { metric: metric.trim(), [stop]: value } };
}
