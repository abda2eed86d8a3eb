/** Runs a reproduction in process, on the core alone: the same spec, run and result as a session over HTTP has. */

import { workloads } from '../../core/devices/index.ts';
import { createSimulator, resolveSpec } from '../../core/index.ts';
import { profiles, stepNames } from '../../core/meter/cost-profile.ts';
import { policies } from '../../core/os/invalidation/index.ts';
import { allocators } from '../../core/os/iova/index.ts';
import { modes } from '../../core/os/mode/index.ts';
import type { Arm, Measure, NumberRow, Reproduction, Row, ShapeRow, Spec } from './reproduction.ts';
import { type Pace, scriptSteps, trafficSteps } from './steps.ts';

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

const EVENTS_PER_STEP = 100_000;

type Plain = Record<string, unknown>;

interface Kind {
  schema: Plain;
}

/** Kinds, members and steps that a spec names and this version does not have, in words; empty when it can be run. */
export function missingKinds(spec: Spec): string[] {
  const policy = (spec.policy ?? {}) as { mode?: string; allocator?: Plain; invalidation?: Plain };
  const costs = (spec.costs ?? {}) as { profile?: string; overrides?: Plain };
  const missing: string[] = [];
  const want = (what: string, wanted: Plain | undefined, known: Record<string, Kind>) => {
    if (wanted === undefined) return;
    const entry = known[wanted.kind as string];
    if (entry === undefined) {
      missing.push(`${what} ${wanted.kind}`);
      return;
    }
    const members = Object.keys((entry.schema.properties ?? {}) as Plain);
    for (const member of Object.keys(wanted))
      if (!members.includes(member)) missing.push(`${member} of ${what} ${wanted.kind}`);
  };
  if (policy.mode !== undefined && !(policy.mode in modes)) missing.push(`mode ${policy.mode}`);
  want('allocator', policy.allocator, allocators);
  want('policy', policy.invalidation, policies);
  for (const workload of (spec.workloads ?? []) as Plain[]) want('workload', workload, workloads);
  if (costs.profile !== undefined && !(costs.profile in profiles)) missing.push(`profile ${costs.profile}`);
  for (const step of Object.keys(costs.overrides ?? {}))
    if (!(stepNames as string[]).includes(step)) missing.push(`step ${step}`);
  return missing;
}

/** At one go, however long it takes. */
const AT_ONE_GO: Pace = {
  build: (spec) => createSimulator(resolveSpec(spec)),
  run(simulator) {
    while (!simulator.stepRun(EVENTS_PER_STEP));
    return true;
  },
  worked: () => false,
  leave: () => {},
};

function runArm(arm: Arm): Plain {
  const steps = 'script' in arm ? scriptSteps(arm, AT_ONE_GO) : trafficSteps(arm, AT_ONE_GO);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value.result;
  }
}

/** The arms of one reproduction, each run once, when a row first asks for it. */
class Arms {
  private readonly arms: Record<string, Arm>;
  private readonly overrides: Record<string, number>;
  private readonly done = new Map<string, Plain>();

  constructor(arms: Record<string, Arm>, overrides: Record<string, number>) {
    this.arms = arms;
    this.overrides = overrides;
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
    const known = this.done.get(name);
    if (known !== undefined) return known;
    const arm = this.named(name);
    const costs = (arm.spec.costs ?? {}) as { overrides?: Record<string, number> };
    // What an arm states itself is a component of the publication, and not what is varied.
    const spec = { ...arm.spec, costs: { ...costs, overrides: { ...this.overrides, ...costs.overrides } } };
    const result = runArm({ ...arm, spec });
    this.done.set(name, result);
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

/**
 * @param overrides costs of all arms, below what an arm states itself: one end of an assumption's range (`sensitivityOf`)
 * @returns a result for each row, in their order
 */
export function reproduce({ arms, rows }: Reproduction, overrides: Record<string, number> = {}): RowResult[] {
  const results = new Arms(arms, overrides);
  return rows.map((row) => {
    const measures = measuresOf(row);
    const missing = [...new Set(measures.flatMap((measure) => results.missing(measure)))];
    if (missing.length > 0)
      return {
        row,
        simulated: [],
        relativeError: null,
        passed: null,
        status: 'not simulated',
        remark: `there is no ${missing.join(', no ')} yet`,
      };
    const simulated = measures.map((measure) => results.value(measure));
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

function statusOf(passed: boolean | null): Status {
  if (passed === null) return 'reported';
  return passed ? 'appears' : 'does not appear';
}
