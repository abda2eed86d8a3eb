/** From what the arms of a reproduction came to, to what is said of each of its rows. Nothing runs here. */

import type { JobOutcome, Plain } from '../experiment.ts';
import { missingKinds } from './arm.ts';
import type { Arm, Measure, NumberRow, Reproduction, Row, ShapeRow } from './reproduction.ts';

export type Status = 'appears' | 'does not appear' | 'reported' | 'not simulated';

export interface RowResult {
  row: Row;
  /** The number, the numbers of a shape in order, or none. */
  simulated: number[];
  relativeError: number | null;
  /** null where nobody judges, or nothing could be run. */
  passed: boolean | null;
  status: Status;
  /** What is seen, for a shape; what is missing, for a row that was not simulated. */
  remark: string;
}

/** Of an arm: null while there is none. */
export type OutcomeOf = (arm: string) => JobOutcome | null;

/** A workload by its name beside those by number: `workloads.rx.iops`. */
function withNames(result: Plain): Plain {
  if (!Array.isArray(result.workloads)) return result;
  const named = result.workloads as (Plain & { name?: string; id: string })[];
  return { ...result, workloads: Object.fromEntries(named.map((each) => [each.name ?? each.id, each])) };
}

/** What measures are read from. */
class Outcomes {
  private readonly arms: Record<string, Arm>;
  private readonly outcomeOf: OutcomeOf;
  private readonly results = new Map<string, Plain>();

  constructor(arms: Record<string, Arm>, outcomeOf: OutcomeOf) {
    this.arms = arms;
    this.outcomeOf = outcomeOf;
  }

  private named(name: string): Arm {
    const arm = this.arms[name];
    if (arm === undefined) throw new Error(`no arm is named "${name}"`);
    return arm;
  }

  /** What the arms of a measure need and this version does not have. */
  missing(measure: Measure): string[] {
    if ('arm' in measure) return missingKinds(this.named(measure.arm).spec);
    return partsOf(measure).flatMap((part) => this.missing(part));
  }

  /** Why there is nothing to read of the arms of a measure. */
  absent(measure: Measure): string[] {
    if (!('arm' in measure)) return partsOf(measure).flatMap((part) => this.absent(part));
    const outcome = this.outcomeOf(measure.arm);
    if (outcome === null) return [`"${measure.arm}" has no result`];
    return outcome.ok ? [] : [`"${measure.arm}": ${outcome.detail}`];
  }

  value(measure: Measure): number {
    if ('ratio' in measure) return this.value(measure.ratio[0]) / this.value(measure.ratio[1]);
    if ('difference' in measure) return this.value(measure.difference[0]) - this.value(measure.difference[1]);
    if ('scaled' in measure) return this.value(measure.scaled[0]) * measure.scaled[1];
    if ('shifted' in measure) return this.value(measure.shifted[0]) + measure.shifted[1];
    let value: unknown = this.result(measure.arm);
    for (const member of measure.metric.split('.')) value = (value as Plain | undefined)?.[member];
    const number = typeof value === 'string' ? Number(value) : value;
    if (typeof number !== 'number' || Number.isNaN(number))
      throw new Error(`arm ${measure.arm} has no number at ${measure.metric}`);
    return number;
  }

  private result(name: string): Plain {
    let result = this.results.get(name);
    if (result === undefined) {
      const outcome = this.outcomeOf(name);
      if (outcome === null || !outcome.ok) throw new Error(`arm ${name} has no result`);
      this.results.set(name, (result = withNames(outcome.result)));
    }
    return result;
  }
}

function partsOf(measure: Measure): Measure[] {
  if ('ratio' in measure) return measure.ratio;
  if ('difference' in measure) return measure.difference;
  if ('scaled' in measure) return [measure.scaled[0]];
  return 'shifted' in measure ? [measure.shifted[0]] : [];
}

/** Slope and squared correlation of the least-squares line. */
export function line(xs: readonly number[], ys: readonly number[]): { slope: number; r2: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(xs), mean(ys)];
  let [xx, xy, yy] = [0, 0, 0];
  for (const [i, x] of xs.entries()) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (ys[i]! - meanY);
    yy += (ys[i]! - meanY) ** 2;
  }
  return { slope: xy / xx, r2: yy === 0 ? 0 : (xy * xy) / (xx * yy) };
}

function judgeNumber({ accept, published }: NumberRow, value: number): boolean | null {
  if ('report' in accept) return null;
  if ('exactly' in accept) return value === published.value;
  if ('between' in accept) return accept.between[0] <= value && value <= accept.between[1];
  if ('withinAbsolute' in accept) return Math.abs(value - published.value) <= accept.withinAbsolute;
  return Math.abs(value / published.value - 1) <= accept.within;
}

function judgeShape({ shape }: ShapeRow, values: number[]): { passed: boolean; remark: string } {
  if ('order' in shape) {
    const sign = shape.order === 'ascending' ? 1 : -1;
    return { passed: values.every((value, i) => i === 0 || sign * (value - values[i - 1]!) > 0), remark: '' };
  }
  if ('line' in shape) {
    const { slope, r2 } = line(shape.line.x, values);
    const remark = `slope ${slope.toPrecision(3)}, R² ${r2.toFixed(4)}`;
    return { passed: r2 > shape.r2Above && slope > (shape.slopeAbove ?? 0), remark };
  }
  if ('allAbove' in shape) return { passed: values.every((value) => value > shape.allAbove), remark: '' };
  return { passed: values.every((value) => value < shape.allBelow), remark: '' };
}

function measuresOf(row: Row): Measure[] {
  if ('simulated' in row) return [row.simulated];
  return 'line' in row.shape ? row.shape.line.y : row.shape.of;
}

/** A result for each row, in their order. */
export function rowResults({ arms, rows }: Reproduction, outcomeOf: OutcomeOf): RowResult[] {
  const outcomes = new Outcomes(arms, outcomeOf);
  return rows.map((row) => {
    const measures = measuresOf(row);
    const unique = (list: string[]) => [...new Set(list)];
    const missing = unique(measures.flatMap((measure) => outcomes.missing(measure)));
    if (missing.length > 0) return notSimulated(row, `there is no ${missing.join(', no ')} yet`);
    const absent = unique(measures.flatMap((measure) => outcomes.absent(measure)));
    if (absent.length > 0) return notSimulated(row, absent.join('; '));
    const simulated = measures.map((measure) => outcomes.value(measure));
    if ('shape' in row) {
      const { passed, remark } = judgeShape(row, simulated);
      return { row, simulated, relativeError: null, passed, status: statusOf(passed), remark };
    }
    const [value] = simulated as [number];
    const { value: published } = row.published;
    const passed = judgeNumber(row, value);
    const relativeError = published === 0 ? null : value / published - 1;
    return { row, simulated, relativeError, passed, status: statusOf(passed), remark: '' };
  });
}

function notSimulated(row: Row, remark: string): RowResult {
  return { row, simulated: [], relativeError: null, passed: null, status: 'not simulated', remark };
}

function statusOf(passed: boolean | null): Status {
  if (passed === null) return 'reported';
  return passed ? 'appears' : 'does not appear';
}
