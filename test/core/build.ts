/** A small machine for the tests: operations that must succeed give their result, operations that must not give their problem. */
import assert from 'node:assert/strict';
import { resolveSpec } from '../../src/core/index.ts';
import type { Direction, MapKind, MemoryRange, Operation, OperationProblem } from '../../src/core/operations.ts';
import { Simulator } from '../../src/core/simulator.ts';
import type { Address } from '../../src/core/spec.ts';

export interface Misuse {
  check: string;
  detail: string;
}
export interface Cost {
  costCycles: number;
  breakdown: Record<string, number>;
  timeNs: number;
  misuse?: Misuse[];
  assumptions?: string[];
}
export interface Mapped extends Cost {
  id: string;
  iova: string;
  segments: { iova: string; lengthBytes: number }[];
}
export interface Unmapped extends Cost {
  exposed: boolean;
}
export interface Piece {
  iova: string;
  physicalAddress?: string;
  from?: string;
  memoryReferences: number;
  verdict: string;
  cause?: string;
  reason?: number;
}
export interface Accessed {
  verdict: string;
  pages: Piece[];
  latencyNs: number;
  timeNs: number;
}
export interface BufferMade {
  id: string;
  physicalAddress: string;
}
export type MapFields = {
  kind?: MapKind;
  direction?: Direction;
  cpu?: number;
  segments?: MemoryRange[];
} & MemoryRange;

export class Machine {
  readonly sim: Simulator;

  /** @param spec partial, as people send it */
  constructor(spec: Record<string, unknown> = {}) {
    this.sim = new Simulator(resolveSpec(spec));
  }

  /** Applies one operation, going on whenever a search yields. */
  apply(operation: Operation) {
    let outcome = this.sim.apply(operation);
    while (outcome === null) outcome = this.sim.resume();
    return outcome;
  }

  ok<Result = Record<string, unknown>>(operation: Operation): Result {
    const outcome = this.apply(operation);
    assert.equal(outcome.status, 'ok', JSON.stringify({ operation, outcome }));
    return (outcome as { result: Result }).result;
  }

  /** An expected failure of the simulated kernel. */
  fails(operation: Operation, code: string): OperationProblem {
    const outcome = this.apply(operation);
    assert.equal(outcome.status, 'failed', JSON.stringify({ operation, outcome }));
    const { problem } = outcome as { problem: OperationProblem };
    assert.equal(problem.code, code, JSON.stringify({ operation, problem }));
    return problem;
  }

  /** Refused, by code and place, and without a trace in the digest. */
  refused(operation: Operation, code: string, path?: string): OperationProblem {
    const before = this.sim.digest();
    const { operations, version, timePs } = this.sim;
    const outcome = this.apply(operation);
    assert.equal(outcome.status, 'refused', JSON.stringify({ operation, outcome }));
    const { problem } = outcome as { problem: OperationProblem };
    assert.equal(problem.code, code, JSON.stringify({ operation, problem }));
    if (path !== undefined) assert.equal(problem.path, path, JSON.stringify({ operation, problem }));
    assert.ok(problem.detail.length > 0);
    assert.equal(this.sim.digest(), before, `a refused operation left a trace: ${JSON.stringify(operation)}`);
    assert.deepEqual([this.sim.operations, this.sim.version, this.sim.timePs], [operations, version, timePs]);
    return problem;
  }

  buffer(lengthBytes: number, fields: { tenant?: string; name?: string; physicalAddress?: Address } = {}): string {
    return this.ok<BufferMade>({ op: 'buffer', lengthBytes, ...fields }).id;
  }

  addressOf(buffer: string): number {
    const outcome = this.sim.read({ read: 'buffer', id: buffer });
    assert.equal(outcome.status, 'ok');
    return Number((outcome as { result: Record<string, unknown> }).result.physicalAddress);
  }

  map(device: string, fields: MapFields): Mapped {
    return this.ok<Mapped>({ op: 'map', device, kind: 'single', direction: 'bidirectional', ...fields });
  }

  unmap(mapping: string, cpu = 0): Unmapped {
    return this.ok<Unmapped>({ op: 'unmap', mapping, cpu });
  }

  dma(device: string, iova: Address, access: 'read' | 'write' = 'write', lengthBytes = 64): Accessed {
    return this.ok<Accessed>({ op: 'dma', device, iova, lengthBytes, access });
  }

  /** The one piece of an access that stays within a page. */
  touch(device: string, iova: Address, access: 'read' | 'write' = 'write', lengthBytes = 64): Piece {
    const { pages } = this.dma(device, iova, access, lengthBytes);
    assert.equal(pages.length, 1);
    return pages[0]!;
  }

  advance(ns: number): number {
    return this.ok<{ fired: number }>({ op: 'advance', ns }).fired;
  }

  read<Result = Record<string, unknown>>(reading: Parameters<Simulator['read']>[0]): Result {
    const outcome = this.sim.read(reading);
    assert.equal(outcome.status, 'ok', JSON.stringify({ reading, outcome }));
    return (outcome as { result: Result }).result;
  }

  metrics(): Metrics {
    return this.read<Metrics>({ read: 'metrics' });
  }

  /** Runs to the end and gives the result. */
  run(request: Parameters<Simulator['startRun']>[0], slice = 100_000): Metrics {
    const started = this.sim.startRun(request);
    assert.equal(started.status, 'ok', JSON.stringify(started));
    for (let steps = 0; !this.sim.stepRun(slice); steps++) assert.ok(steps < 1e7, 'the run does not end');
    return this.sim.runResult() as unknown as Metrics;
  }

  /** Lowest pages that the first domain's allocator is given back from now on, in that order. */
  watchFrees(): number[] {
    const domain = this.sim.domains[0]!;
    domain.space(0);
    const { free } = domain.iova!;
    const freed: number[] = [];
    Object.assign(domain.iova!, {
      free(pfn: number, pages: number) {
        freed.push(pfn);
        free(pfn, pages);
      },
    });
    return freed;
  }
}

export interface Windows {
  pageSeconds: number;
  byteSeconds: number;
  currentPages: number;
  peakPages: number;
  longestWindowNs: number;
  windows: number;
  histogram: { from: number; to: number; count: number }[];
}
export interface Quantiles {
  count: number;
  min: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}
export interface WorkloadMetrics {
  id: string;
  kind: string;
  operations: number;
  throughputGbps: number;
  iops: number;
  latencyNs: Quantiles;
  cpuUtilisation: number[];
  cyclesPerOperation: number | null;
  breakdown: { map: Record<string, number>; unmap: Record<string, number> };
  counts: { maps: number; unmaps: number; mapFailures: number; offered: number; dropped: number };
  iotlb: { lookups: number; hits: number; misses: number };
  exposure: {
    potential: Windows;
    actual: Windows;
    staleAccesses: number;
    crossTenantAccesses: number;
    attemptsAfterUnmap: number;
    detectability: number | null;
  };
  verdicts: Record<string, number>;
}
export interface Metrics extends Omit<WorkloadMetrics, 'id' | 'kind' | 'counts' | 'exposure'> {
  simulatedSeconds: number;
  counts: Record<string, number>;
  counters: Record<string, number>;
  locks: { name: string; acquisitions: number; waits: number; waitNs: number; waitCycles: number }[];
  exposure: WorkloadMetrics['exposure'] & { residualByteSeconds: number };
  workloads: WorkloadMetrics[];
  assumptions: string[];
}

/** Deterministic choices for random histories: mulberry32, which shares nothing with the simulator's own generator. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  chance(outOf: number): boolean {
    return this.below(outOf) === 0;
  }

  pick<Thing>(things: readonly Thing[]): Thing {
    return things[this.below(things.length)]!;
  }
}
