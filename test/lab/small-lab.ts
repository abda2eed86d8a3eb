/** Experiments for tests, run here and now on the core: arms from a base and what is varied, a row for each arm and seed. */
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import { coreVersion } from '../../src/core/version.ts';
import type { Arm, ExperimentData, ExperimentRequest, JobOutcome, Plain, Row } from '../../src/lab/experiment.ts';

export interface SmallExperiment {
  title?: string;
  base: Plain;
  arms: { label?: string; set: Plain }[];
  until: { operations: number } | { ns: number };
  seeds: number[];
  /** Run beside the others: the base in passthrough. */
  control?: boolean;
}

function withMembers(base: Plain, set: Plain): Plain {
  const spec = structuredClone(base);
  for (const [path, value] of Object.entries(set)) {
    const parts = path.split('.');
    const last = parts.pop()!;
    let at = spec;
    for (const part of parts) {
      const named = Array.isArray(at) ? at.find(({ name }: Plain) => name === part) : (at[part] ??= {});
      at = named as Plain;
    }
    at[last] = value;
  }
  return spec;
}

export function runSpec(spec: Plain, until: SmallExperiment['until'], seed: number): JobOutcome {
  const simulator = createSimulator(resolveSpec({ ...spec, seed }));
  const started = simulator.startRun('ns' in until ? { forNs: until.ns } : until);
  if (started.status !== 'ok') return { ok: false, code: started.problem.code, detail: started.problem.detail };
  while (!simulator.stepRun(100_000));
  const result = JSON.parse(JSON.stringify(simulator.runResult())) as Plain;
  return { ok: true, result, digest: simulator.digest(), timeNs: simulator.timeNs };
}

export function armsOf({ base, arms, control = false }: Pick<SmallExperiment, 'base' | 'arms' | 'control'>): Arm[] {
  const own = arms.map(({ label, set }, index) => ({
    id: `arm-${index + 1}`,
    label: label ?? Object.values(set).map(String).join(', '),
    control: false,
    controlId: control ? 'control' : null,
    varied: set,
    spec: withMembers(base, set),
  }));
  const set = { 'policy.mode': 'passthrough' };
  const beside: Arm = {
    id: 'control',
    label: 'control: passthrough',
    control: true,
    controlId: null,
    varied: set,
    spec: withMembers(base, set),
  };
  return control ? [...own, beside] : own;
}

export function requestOf({ base, arms, until, seeds, control = false }: SmallExperiment): ExperimentRequest {
  return { base, vary: {}, combine: 'product', arms, until, seeds, control };
}

/** @param outcome in the place of running it; null: not yet there */
export function experimentOf(
  experiment: SmallExperiment,
  outcome: (arm: Arm, seed: number) => JobOutcome | null = ({ spec }, seed) => runSpec(spec, experiment.until, seed),
): ExperimentData {
  const arms = armsOf(experiment);
  const rows: Row[] = arms.flatMap((arm, place) =>
    experiment.seeds.map((seed) => {
      const known = outcome(arm, seed);
      const state = known === null ? 'queued' : known.ok ? 'finished' : 'failed';
      return { arm: arm.id, seed, key: `${place}-${seed}`.padStart(64, '0'), state, outcome: known };
    }),
  );
  const count = (state: Row['state']) => rows.filter((row) => row.state === state).length;
  const [total, finished, failed] = [rows.length, count('finished'), count('failed')];
  return {
    document: {
      id: 'exp_1',
      ...(experiment.title !== undefined && { title: experiment.title }),
      state: finished + failed === total ? (failed > 0 ? 'failed' : 'finished') : 'running',
      createdAt: '2026-01-02T03:04:05.000Z',
      endedAt: null,
      coreVersion,
      request: requestOf(experiment),
      jobs: { total, finished, failed, cached: 0 },
      progress: (finished + failed) / total,
      arms,
    },
    rows,
  };
}

/** A run's result of which only a few numbers matter. */
export function madeUpRun(numbers: {
  operations?: number;
  throughputGbps?: number;
  cyclesPerOperation?: number;
  p99?: number;
  pageSeconds?: number;
  longestWindowNs?: number;
  staleAccesses?: number;
}): Plain {
  const { operations = 1000, throughputGbps = 10, cyclesPerOperation = 5000, p99 = 0 } = numbers;
  const { pageSeconds = 0, longestWindowNs = 0, staleAccesses = 0 } = numbers;
  const window = { pageSeconds, byteSeconds: 0, longestWindowNs, peakPages: 0, windows: 0, histogram: [] };
  const exposure = { potential: window, actual: window, staleAccesses, crossTenantAccesses: 0, detectability: null };
  const scope = {
    operations,
    throughputGbps,
    cyclesPerOperation,
    latencyNs: { count: p99 > 0 ? operations : 0, p50: p99, p99 },
    cpuUtilisation: [0.5, 1],
    breakdown: { map: {}, unmap: {} },
    iotlb: { lookups: 0, hits: 0, misses: 0 },
    exposure,
  };
  return {
    simulatedSeconds: 0.001,
    ...scope,
    iops: 0,
    counts: {},
    assumptions: [],
    verdicts: {},
    workloads: [{ id: 'wl_0', name: 'rx', kind: 'nic-rx', ...scope, counts: { maps: 0, unmaps: 0, offered: 0 } }],
  };
}

export const finished = (result: Plain): JobOutcome => ({ ok: true, result, digest: '0'.repeat(64), timeNs: 1 });
