/**
 * A simulator that models nothing and is as slow, as long-winded or as broken as a test wants: the host must not care. Loaded by
 * session workers in place of the core.
 *
 * - `map` on device `bug` throws, on `crash` ends the whole thread, on `full` fails as `iova-exhausted`;
 * - `advance` by `LONG_NS` suspends for `spec.fake.suspensions` calls of `resume`, each `spec.fake.resumeMs` of work;
 * - a run of `operations: n` has n events of `spec.fake.eventUs` each; `until: {metric: "bug"}` throws at its tenth event;
 * - it says that it takes `spec.fake.bytesEach` bytes for each operation and event, that a buffer of n bytes has n / 4096 frames,
 *   and how many mappings are live;
 * - a `dma` gives a `stale` verdict and a notice of it.
 */
import { createHash } from 'node:crypto';
import { threadId } from 'node:worker_threads';
import type { Operation, OperationProblem, Outcome, RunRequest } from '../../src/core/operations.ts';
import type { Reading } from '../../src/core/reading.ts';
import type { Footprint, Notice, SimulatorApi } from '../../src/core/simulator-api.ts';
import type { ResolvedSpec } from '../../src/core/spec.ts';

export const coreVersion = 'fake';
/** `advance` by this much takes many calls. */
export const LONG_NS = 1_000_000;
const RING = 1000;

interface FakeSpec {
  suspensions: number;
  resumeMs: number;
  eventUs: number;
  bytesEach: number;
}
const DEFAULTS: FakeSpec = { suspensions: 50, resumeMs: 2, eventUs: 1, bytesEach: 0 };

class SpecError extends Error {
  readonly problems: { path: string; message: string }[];
  constructor(problems: { path: string; message: string }[]) {
    super('the spec cannot be simulated');
    this.name = 'SpecError';
    this.problems = problems;
  }
}

export function resolveSpec(input: Record<string, unknown>): ResolvedSpec {
  if (typeof input.seed === 'number' && input.seed < 0) {
    throw new SpecError([{ path: '/seed', message: 'must not be negative' }]);
  }
  const spec = { seed: 1, ...input, fake: { ...DEFAULTS, ...(input.fake as Partial<FakeSpec> | undefined) } };
  return spec as unknown as ResolvedSpec;
}

export function createSimulator(spec: ResolvedSpec): SimulatorApi {
  if (spec.seed === 13) throw new SpecError([{ path: '/seed', message: 'brings bad luck' }]);
  return new FakeSimulator(spec);
}

export function restoreSimulator(spec: ResolvedSpec, image: Uint8Array): SimulatorApi {
  return FakeSimulator.from(spec, JSON.parse(new TextDecoder().decode(image)));
}

function ok(result: Record<string, unknown>): Outcome {
  return { status: 'ok', result };
}
function refused(problem: OperationProblem): Outcome {
  return { status: 'refused', problem };
}
function burn(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

class FakeSimulator implements SimulatorApi {
  readonly spec: ResolvedSpec;
  timeNs = 0;
  operations = 0;
  version = 0;
  searchBudget = 0;
  private readonly fake: FakeSpec;
  private readonly applied: string[] = [];
  private readonly live = new Set<string>();
  private notices: Notice[] = [];
  private dropped = 0;
  private ids = 0;
  private suspensionsLeft = -1;
  private request: RunRequest | null = null;
  private events = 0;
  framesInUse = 0;

  constructor(spec: ResolvedSpec) {
    this.spec = spec;
    this.fake = (spec as unknown as { fake: FakeSpec }).fake;
  }

  static from(spec: ResolvedSpec, { live, ...fields }: { live: string[] }): FakeSimulator {
    const simulator = Object.assign(new FakeSimulator(spec), fields);
    for (const id of live) simulator.live.add(id);
    return simulator;
  }

  get savable(): boolean {
    return this.suspensionsLeft < 0;
  }

  save(): Uint8Array {
    const { spec: _spec, fake: _fake, live, ...fields } = this;
    return new TextEncoder().encode(JSON.stringify({ ...fields, live: [...live] }));
  }

  get timePs(): string {
    return String(BigInt(this.timeNs) * 1000n);
  }

  policyReport(): Record<string, unknown> {
    return {};
  }

  apply(operation: Operation): Outcome | null {
    if (this.suspensionsLeft >= 0) throw new Error('apply while suspended');
    if (this.request !== null) throw new Error('apply during a run');
    if ('as' in operation) throw new Error('a label reached the simulator');
    const outcome = this.carryOut(operation);
    if (outcome !== null && outcome.status !== 'refused') this.count(operation);
    return outcome;
  }

  private count(operation: Operation): void {
    this.operations++;
    this.version++;
    this.applied.push(JSON.stringify(operation));
  }

  private carryOut(operation: Operation): Outcome | null {
    switch (operation.op) {
      case 'advance':
        if (operation.ns === LONG_NS) {
          this.suspensionsLeft = this.fake.suspensions;
          return null;
        }
        this.timeNs += operation.ns;
        return ok({ timeNs: this.timeNs, fired: 0 });
      case 'buffer':
        this.framesInUse += operation.lengthBytes / 4096;
        return ok({ id: `buf_${++this.ids}`, physicalAddress: '0x100000' });
      case 'map':
        return this.map(operation.device, operation.lengthBytes ?? 4096);
      case 'unmap':
        if (!this.live.delete(operation.mapping ?? '')) {
          return refused({ code: 'unknown-mapping', detail: `no mapping ${operation.mapping}`, path: '/mapping' });
        }
        return ok({ costCycles: 10, breakdown: {}, exposed: true, timeNs: this.timeNs });
      case 'dma':
        this.notice({ iova: String(operation.iova), verdict: 'stale' });
        return ok({ verdict: 'stale', iova: operation.iova, pages: [], latencyNs: 1, timeNs: this.timeNs });
      default:
        return ok({ id: `new_${++this.ids}` });
    }
  }

  private map(device: string, lengthBytes: number): Outcome {
    if (device === 'bug') throw new Error('the tree lost its root');
    if (device === 'crash') process.exit(7);
    if (device === 'slow') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lengthBytes);
    if (device === 'full') return { status: 'failed', problem: { code: 'iova-exhausted', detail: 'no IOVA left' } };
    const id = `map_${++this.ids}`;
    this.live.add(id);
    const iova = `0x${(this.ids * 4096).toString(16)}`;
    const second = `0x${(this.ids * 4096 + 0x1000000).toString(16)}`;
    const segments = [
      { iova, lengthBytes },
      { iova: second, lengthBytes },
    ];
    return ok({ id, iova, segments, costCycles: 12.345, breakdown: { iovaAlloc: 12.345 }, timeNs: this.timeNs });
  }

  private notice(data: Record<string, unknown>): void {
    if (this.notices.length < RING) this.notices.push({ topic: 'verdicts', timeNs: this.timeNs, data });
    else this.dropped++;
  }

  resume(): Outcome | null {
    if (this.suspensionsLeft < 0) throw new Error('nothing to resume');
    burn(this.fake.resumeMs);
    if (this.suspensionsLeft-- > 0) return null;
    this.timeNs += LONG_NS;
    this.count({ op: 'advance', ns: LONG_NS });
    return ok({ timeNs: this.timeNs, fired: 0 });
  }

  read(reading: Reading): Outcome {
    switch (reading.read) {
      case 'metrics':
      case 'meters':
        return ok({ timeNs: this.timeNs, operations: this.operations, thread: threadId });
      case 'events':
        return ok({ items: this.applied.map((text) => JSON.parse(text)) });
      case 'device':
        if (reading.id === 'bug') throw new Error('a reading went wrong');
        return refused({ code: 'unknown-device', detail: `no device ${reading.id}` });
      default:
        return ok({ items: [] });
    }
  }

  digest(): string {
    return createHash('sha256')
      .update(JSON.stringify([this.spec.seed, this.timeNs, this.applied]))
      .digest('hex');
  }

  startRun(request: RunRequest): Outcome {
    if (request.untilNs !== undefined && request.untilNs < this.timeNs) {
      return refused({ code: 'horizon', detail: 'that time has passed', path: '/untilNs' });
    }
    this.request = request;
    this.events = 0;
    this.version++;
    return ok({});
  }

  get runEvents(): number {
    return this.events;
  }

  stepRun(events: number): boolean {
    const { request } = this;
    if (request === null) throw new Error('no run');
    for (let i = 0; i < events; i++) {
      if (this.events >= (request.operations ?? Number.POSITIVE_INFINITY)) {
        this.request = null;
        return true;
      }
      burn(this.fake.eventUs / 1000);
      this.events++;
      this.timeNs++;
      this.version++;
      this.notice({ event: this.events });
      if (request.until?.metric === 'bug' && this.events === 10) throw new Error('the ring overran');
    }
    return false;
  }

  cancelRun(): void {
    this.request = null;
    this.version++;
  }

  runProgress(): number | null {
    const operations = this.request?.operations;
    return operations === undefined ? null : this.events / operations;
  }

  runResult(): Record<string, unknown> {
    return { operations: this.events };
  }

  runWireSeconds(): number {
    return this.events * 1e-6;
  }

  get liveMappings(): number {
    return this.live.size;
  }

  measure(): Footprint {
    return { step: () => (this.operations + this.events) * this.fake.bytesEach };
  }

  drainNotices(limit: number): { notices: Notice[]; dropped: number } {
    if (this.suspensionsLeft >= 0) throw new Error('drained while suspended');
    const notices = this.notices.slice(0, limit);
    this.notices = this.notices.slice(limit);
    const { dropped } = this;
    this.dropped = 0;
    return { notices, dropped };
  }
}
