/** Runs a reproduction in process, on the core alone: the same spec, run and result as a session over HTTP has. */

import { workloads } from '../../core/devices/index.ts';
import { createSimulator, resolveSpec } from '../../core/index.ts';
import { profiles, stepNames } from '../../core/meter/cost-profile.ts';
import type { Operation, Outcome } from '../../core/operations.ts';
import { policies } from '../../core/os/invalidation/index.ts';
import { allocators } from '../../core/os/iova/index.ts';
import type { SimulatorApi } from '../../core/simulator-api.ts';
import { LabelTable } from '../../host/labels.ts';
import type { Arm, Measure, NumberRow, Reproduction, Row, RunArm, ScriptArm, ShapeRow, Spec } from './reproduction.ts';

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
const LABEL_BYTES = 64 * 1024 * 1024;

type Plain = Record<string, unknown>;

interface Kind {
  schema: Plain;
}

/** Kinds, members and steps that a spec names and this version does not have, in words; empty when it can be run. */
export function missingKinds(spec: Spec): string[] {
  const policy = (spec.policy ?? {}) as { allocator?: Plain; invalidation?: Plain };
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
  want('allocator', policy.allocator, allocators);
  want('policy', policy.invalidation, policies);
  for (const workload of (spec.workloads ?? []) as Plain[]) want('workload', workload, workloads);
  if (costs.profile !== undefined && !(costs.profile in profiles)) missing.push(`profile ${costs.profile}`);
  for (const step of Object.keys(costs.overrides ?? {}))
    if (!(stepNames as string[]).includes(step)) missing.push(`step ${step}`);
  return missing;
}

function expectOk(outcome: Outcome): Plain {
  if (outcome.status !== 'ok') throw new Error(`not carried out: ${JSON.stringify(outcome.problem)}`);
  return outcome.result;
}

/** A workload by its name beside those by number: `workloads.rx.iops`. */
function withNames(result: Plain): Plain {
  const named = result.workloads as (Plain & { name?: string; id: string })[];
  return { ...result, workloads: Object.fromEntries(named.map((each) => [each.name ?? each.id, each])) };
}

function runTraffic({ spec, before = [], run }: RunArm): Plain {
  const simulator = createSimulator(resolveSpec(spec));
  for (const request of [...before, run]) {
    expectOk(simulator.startRun(request));
    while (!simulator.stepRun(EVENTS_PER_STEP));
  }
  return withNames(simulator.runResult());
}

interface Phase {
  maps: number;
  iovaAlloc: { mean: number; longest: number; searches: number };
}

/** An allocation that looked at more than this many cycles' worth of nodes was a search. */
const SEARCH_CYCLES = 1000;

function apply(simulator: SimulatorApi, operation: Operation): Plain {
  let outcome = simulator.apply(operation);
  while (outcome === null) outcome = simulator.resume();
  return expectOk(outcome);
}

function runScript({ spec, script }: ScriptArm): Plain {
  const simulator = createSimulator(resolveSpec(spec));
  const labels = new LabelTable(LABEL_BYTES);
  const results: Plain = {};
  let phase: Phase | null = null;
  for (const step of script()) {
    if ('phase' in step) {
      phase = { maps: 0, iovaAlloc: { mean: 0, longest: 0, searches: 0 } };
      results[step.phase] = phase;
      continue;
    }
    if ('read' in step) {
      results[step.as] = expectOk(simulator.read(step.read));
      continue;
    }
    const operation = { ...step.do };
    labels.resolve(operation);
    const result = apply(simulator, operation as Operation);
    if (step.as !== undefined) {
      labels.define(step.as, result, JSON.stringify(result));
      results[step.as] = result;
    }
    if (phase === null || operation.op !== 'map') continue;
    const { iovaAlloc } = result.breakdown as Record<string, number>;
    phase.iovaAlloc.mean = (phase.iovaAlloc.mean * phase.maps + iovaAlloc!) / (phase.maps + 1);
    phase.iovaAlloc.longest = Math.max(phase.iovaAlloc.longest, iovaAlloc!);
    if (iovaAlloc! > SEARCH_CYCLES) phase.iovaAlloc.searches++;
    phase.maps++;
  }
  return results;
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
    const result = 'script' in arm ? runScript({ ...arm, spec }) : runTraffic({ ...arm, spec });
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
