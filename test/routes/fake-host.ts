/**
 * A host with one session, `ses_1` or `lab`, that remembers what it was asked and answers what the test told it to: for tests of the
 * routes alone. It simulates nothing.
 */
import { coreVersion, resolveSpec } from '../../src/core/index.ts';
import type { Operation, RunRequest } from '../../src/core/operations.ts';
import type { Reading } from '../../src/core/reading.ts';
import type {
  HostProblem,
  OpsOptions,
  Reply,
  RunDocument,
  Scraped,
  SessionDocument,
  SessionHost,
  SnapshotDocument,
} from '../../src/host/host.ts';

export const SPEC = {
  seed: 1,
  machine: { cpus: 4, cpuGhz: 3.1, memoryBytes: 17179869184, frameReuse: 'lifo' },
  iommu: {
    levels: 4,
    superpages: ['2MiB', '1GiB'],
    coherent: false,
    faultLogEntries: 256,
    reservedRegions: [{ start: '0xfee00000', end: '0xfeefffff', type: 'msi' }],
    iotlb: { entries: 64, ways: 4, replacement: 'lru' },
    walkCache: { entriesPerLevel: [16, 16, 16] },
    invalidation: {
      interface: 'queued',
      pageSelective: true,
      maxAddressMask: 18,
      cachingMode: false,
      batchDescriptors: 1,
    },
    pageTableLock: false,
    deferredFlush: true,
  },
  policy: {
    mode: 'translate',
    allocator: { kind: 'rbtree-2008' },
    invalidation: { kind: 'deferred-2008', highWater: 250, timeoutMs: 10 },
    force: false,
    forcedac: false,
  },
  tenants: [],
  domains: [],
  devices: [],
  workloads: [],
  kernelCommandLine: '',
  costs: { profile: 'riommu15-mlx', overrides: {} },
};

const IN_FORCE = { ...SPEC.policy, domainType: 'DMA-FQ' };
const POLICY = { requested: IN_FORCE, effective: IN_FORCE, why: [], warnings: [], domains: [] };

const SESSION: SessionDocument = {
  id: 'ses_1',
  name: 'lab',
  state: 'idle',
  createdAt: '2026-01-02T03:04:05.678Z',
  timeNs: 0,
  timePs: '0',
  digest: '0'.repeat(64),
  operations: 0,
  spec: SPEC,
  policy: POLICY,
  activeRun: null,
};

const RUN: RunDocument = { id: 'run_1', state: 'running', timeNs: 0, progress: 0, request: { forNs: 1 }, result: null };

/** What `apply` answers to each operation unless the test says otherwise: results in the contract's shapes. */
const RESULTS: Record<Operation['op'], Record<string, unknown>> = {
  tenant: { id: 'ten_1' },
  'tenant-remove': {},
  domain: { id: 'dom_1' },
  'domain-remove': {},
  device: { id: 'dev_1', domain: 'dom_1' },
  'device-remove': {},
  attach: { previousDomain: 'dom_1' },
  detach: { previousDomain: 'dom_1' },
  buffer: { id: 'buf_1', physicalAddress: '0x100000' },
  free: {},
  map: {
    id: 'map_1',
    iova: '0xfffff000',
    segments: [{ iova: '0xfffff000', lengthBytes: 1500 }],
    costCycles: 4618.25,
    breakdown: { iovaAlloc: 3986, pageTable: 588.25, other: 44 },
    timeNs: 1490,
  },
  unmap: { costCycles: 1, breakdown: { other: 1 }, exposed: true, timeNs: 1491 },
  dma: {
    verdict: 'fault',
    pages: [{ iova: '0x1000', memoryReferences: 1, verdict: 'fault', reason: 6 }],
    latencyNs: 3.5,
    timeNs: 0,
  },
  'iommu-map': { ptesWritten: 1, pageSizes: { '4KiB': 1 } },
  'iommu-unmap': { unmappedBytes: 4096 },
  sync: { costCycles: 10 },
  invalidate: { descriptors: 2, effectiveRange: { scope: 'domain' } },
  advance: { timeNs: 5, fired: 0 },
  workload: { id: 'wl_1' },
  'workload-remove': {},
};

const SNAPSHOT: SnapshotDocument = {
  id: 'snap_1',
  session: 'ses_1',
  createdAt: '2026-01-01T00:00:00.000Z',
  timeNs: 0,
  timePs: '0',
  digest: '0'.repeat(64),
  operations: 0,
  coreVersion: '1',
  activeRun: null,
  lengthBytes: 8192,
};

/** What `read` answers, where it is not an empty list. */
const DOCUMENTS: Partial<Record<Reading['read'], Record<string, unknown>>> = {
  tenant: { id: 'ten_1', kind: 'vm' },
  domain: { id: 'dom_1' },
  device: { id: 'dev_1', kind: 'nic', domain: null },
  buffer: { id: 'buf_1', lengthBytes: 4096, physicalAddress: '0x100000' },
  workload: { id: 'wl_1', kind: 'nic-rx', device: 'dev_1' },
  mapping: { id: 'map_1', device: 'dev_1', kind: 'single', direction: 'to-device', iova: '0x1000', segments: [] },
  metrics: {
    timeNs: 2_000_000_000,
    iotlb: { lookups: 10, hits: 7, misses: 3 },
    verdicts: { ok: 9, stale: 1 },
    exposure: {
      actual: {
        currentPages: 4,
        histogram: [
          { from: 1000, to: 1024, count: 2 },
          { from: 2048, to: 2112, count: 1 },
        ],
      },
    },
    counters: { mapSingleCalls: 5 },
  },
  meters: {
    timeNs: 2_000_000_000,
    iotlb: { lookups: 10, hits: 7, misses: 3, hitsByPageSize: { '4KiB': 6, '2MiB': 1, '1GiB': 0 } },
    exposure: { actual: { currentPages: 4 } },
    counters: { mapSingleCalls: 5 },
    staleAccesses: { stale: { read: 1, write: 0 } },
    histograms: { staleWindow: { bounds: [1e-7, 0.0002, 10], cumulated: [0, 2, 3], count: 3, sum: 2.5 } },
    devices: [
      { device: 'dev_0', bdf: '00:01.0', name: 'a "b"\\\n', kind: 'nic', domain: 'dom_0', one: 1, liveMappings: 2 },
    ],
  },
  iotlb: { entries: [] },
  'walk-cache': { entries: [] },
  'page-table': { domain: 'dom_1', iova: '0x1000', present: false, entries: [] },
  space: { domain: 'dom_1', usedBytes: 0, largestFreeBytes: 4096, items: [] },
  'space-cells': {
    domain: 'dom_1',
    timeNs: 0,
    from: '0x1000',
    to: '0xffff',
    lastIova: '0xffffffffffff',
    cellBytes: 16384,
    cellCount: 4,
    coveredTo: '0xffff',
    complete: true,
    pages: { free: 15 },
    cells: { free: [3, 4, 1, 3] },
    marks: [{ name: 'cursor', iova: '0x1000' }],
  },
  'space-page': {
    domain: 'dom_1',
    iova: '0x1000',
    timeNs: 0,
    state: 'free',
    held: false,
    openWindows: 0,
    present: false,
    cachedIn: [],
  },
  queues: { invalidation: { interface: 'queued' }, flush: { policy: 'strict', entries: 0 } },
  allocator: { kind: 'bitmap' },
};

export class FakeHost implements SessionHost {
  readonly applied: Operation[] = [];
  readonly readings: Reading[] = [];
  /** Of each scrape, whether it was to wake the session. */
  readonly scrapes: boolean[] = [];
  targetsAsked: Parameters<SessionHost['idsOf']>[0] | null = null;
  readonly pages: { limit?: number; cursor?: string }[] = [];
  runRequest: RunRequest | null = null;
  opsOptions: OpsOptions | null = null;
  /** Answered by the next `apply`, `startRun` or `create` instead of success. */
  refuseWith: HostProblem | null = null;
  /** Answered by the next `read` of that kind instead of an empty list or object. */
  readAnswers: Partial<Record<Reading['read'], Reply>> = {};
  nextCursor: string | undefined;
  /** Thrown by the reply stream of `ops` after its first line. */
  cutShort = false;

  /** Takes back what a test told it. */
  forget(): void {
    this.refuseWith = null;
    this.readAnswers = {};
    this.nextCursor = undefined;
    this.cutShort = false;
  }

  private known<T>(session: string, value: T): Reply<T> {
    if (session === 'ses_1' || session === 'lab') {
      const problem = this.refuseWith;
      this.refuseWith = null;
      return problem === null ? { ok: true, value } : { ok: false, problem };
    }
    return { ok: false, problem: { code: 'unknown-session', detail: `no session \`${session}\`` } };
  }

  async validate(): Promise<Reply> {
    return { ok: true, value: { ...SPEC, policy: { ...SPEC.policy, ...POLICY } } };
  }
  async create(): Promise<Reply<SessionDocument>> {
    return this.known('ses_1', SESSION);
  }
  async list(page: { limit?: number; cursor?: string }) {
    this.pages.push(page);
    const items = [SESSION];
    return this.known('ses_1', this.nextCursor === undefined ? { items } : { items, nextCursor: this.nextCursor });
  }
  async get(session: string) {
    return this.known(session, SESSION);
  }
  async rename(session: string, change: { name?: string; title?: string }) {
    return this.known(session, { ...SESSION, ...change });
  }
  async delete(session: string) {
    return this.known(session, { id: 'ses_1' });
  }
  async reset(session: string) {
    return this.known(session, SESSION);
  }
  async apply(session: string, operation: Operation): Promise<Reply> {
    this.applied.push(operation);
    return this.known(session, RESULTS[operation.op]);
  }
  async read(session: string, reading: Reading): Promise<Reply> {
    this.readings.push(reading);
    const told = this.readAnswers[reading.read];
    if (told !== undefined) return told;
    return this.known(session, DOCUMENTS[reading.read] ?? { items: [] });
  }
  async scrape(session: string, wake: boolean): Promise<Reply<Scraped>> {
    this.scrapes.push(wake);
    const { id, name = null, spec } = SESSION;
    const meters = wake ? (DOCUMENTS.meters as Record<string, unknown>) : null;
    return this.known(session, { id, name, spec, meters });
  }
  idsOf(asked: Parameters<SessionHost['idsOf']>[0]): string[] {
    this.targetsAsked = asked;
    return ['ses_1', 'ses_2'].slice(0, asked.limit);
  }
  async startRun(session: string, request: RunRequest) {
    this.runRequest = request;
    return this.known(session, RUN);
  }
  async listRuns(session: string) {
    return this.known(session, { items: [RUN] });
  }
  async getRun(session: string, run: string) {
    const failed: RunDocument = { ...RUN, state: 'failed', problem: { code: 'session-failed', detail: 'set aside' } };
    if (run === 'run_1') return this.known(session, failed);
    return { ok: false, problem: { code: 'unknown-run', detail: `no run \`${run}\`` } } as const;
  }
  async deleteRun(session: string) {
    return this.known(session, { ...RUN, state: 'cancelled' as const });
  }

  async takeSnapshot(session: string, given: { title?: string }) {
    return this.known(session, { ...SNAPSHOT, ...given });
  }
  async listSnapshots(session: string) {
    return this.known(session, { items: [SNAPSHOT] });
  }
  async downloadSnapshot(session: string, snapshot: string) {
    if (snapshot === 'snap_1') return this.known(session, this.written());
    return { ok: false, problem: { code: 'unknown-snapshot', detail: `no snapshot \`${snapshot}\`` } } as const;
  }
  private async *written(): AsyncIterable<Uint8Array> {
    const { coreVersion, digest } = SNAPSHOT;
    const file = { format: 'iommu-lab/snapshot', formatVersion: 1, coreVersion, digest, spec: SPEC, records: [] };
    yield Buffer.from(JSON.stringify(file));
  }
  async history(session: string) {
    async function* records() {
      yield [{ op: 'advance' as const, ns: 1000 }];
    }
    return this.known(session, {
      spec: resolveSpec({}) as unknown as Record<string, unknown>,
      coreVersion,
      records: records(),
    });
  }
  async deleteSnapshot(session: string) {
    return this.known(session, SNAPSHOT);
  }
  async findSnapshot(snapshot: string) {
    return snapshot === 'snap_1' ? SNAPSHOT : null;
  }

  /** Echoes: each line of the body as the result of a reply line. */
  async ops(
    session: string,
    body: AsyncIterable<Uint8Array>,
    options: OpsOptions,
  ): Promise<Reply<AsyncIterable<Uint8Array>>> {
    this.opsOptions = options;
    return this.known(session, this.echo(body, options.format));
  }
  private async *echo(body: AsyncIterable<Uint8Array>, format: 'ndjson' | 'array'): AsyncIterable<Uint8Array> {
    const decoder = new TextDecoder();
    let rest = '';
    let line = 0;
    for await (const bytes of body) {
      rest += decoder.decode(bytes, { stream: true });
      if (format === 'array') continue;
      const lines = rest.split('\n');
      rest = lines.pop() as string;
      for (const text of lines) yield this.replyLine(++line, text);
      if (this.cutShort) throw new Error('the worker died');
    }
    if (format === 'array') {
      const replies = (JSON.parse(rest) as { op: string }[]).map((result, i) => ({
        line: i + 1,
        op: result.op,
        ok: true,
        result,
      }));
      yield Buffer.from(JSON.stringify(replies));
    } else if (rest !== '') yield this.replyLine(++line, rest);
  }
  private replyLine(line: number, text: string): Uint8Array {
    const result = JSON.parse(text);
    return Buffer.from(`${JSON.stringify({ line, op: result.op, ok: true, result })}\n`);
  }

  resolve(session: string) {
    return session === 'ses_1' || session === 'lab' ? 'ses_1' : null;
  }
  ownerOf() {
    return 'local';
  }
  countOf() {
    return 1;
  }
  storedBytesOf() {
    return 0;
  }
  govern(): void {}
  epochOf() {
    return 'epoch-1';
  }
  listen(): void {}
  status() {
    const counts = {
      sessions: 1,
      awake: 1,
      recovering: 0,
      workers: 1,
      workersAlive: 1,
      activeRuns: 0,
      paused: 0,
      storedBytes: 0,
      expired: 0,
      pendingCalls: 0,
    };
    return { ready: true, storageTrouble: null, ...counts };
  }
  async answered() {
    return { ok: true as const, value: { lines: [], dropped: false } };
  }
  async close(): Promise<void> {}
}
