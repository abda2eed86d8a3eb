/** Same spec, seed and operations, same digest; and what must leave no trace in it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import type { Operation, RunRequest } from '../../../src/core/operations.ts';
import type { Reading } from '../../../src/core/reading.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import { Dice, Machine } from '../build.ts';

const devices = [
  { name: 'nic0', kind: 'nic' },
  { name: 'disk0', kind: 'block' },
];
const workloads = [
  { name: 'rx', kind: 'nic-rx', device: 'nic0', ringSize: 64, gbps: 5 },
  { name: 'tx', kind: 'nic-tx', device: 'nic0', ringSize: 32, gbps: 2 },
  { name: 'disk', kind: 'block', device: 'disk0', depth: 4 },
  { name: 'probe', kind: 'hostile', device: 'nic0', select: 'random-unmapped', accessesPerUs: 0.5 },
];

/** A script of operations and runs that touches everything, the same for the same seed. */
function script(seed: number, steps = 250): (Operation | { run: RunRequest })[] {
  const dice = new Dice(seed);
  const out: (Operation | { run: RunRequest })[] = [{ op: 'tenant', name: 'guest', kind: 'vm' }];
  let buffers = 0;
  let mapped = 0;
  for (let i = 0; i < steps; i++) {
    const choice = dice.below(14);
    if (choice < 2 || buffers < 3) {
      out.push({ op: 'buffer', lengthBytes: 4096 * (1 + dice.below(4)), ...(dice.chance(2) && { tenant: 'guest' }) });
      buffers++;
    } else if (choice < 6) {
      out.push({
        op: 'map',
        device: dice.pick(['nic0', 'disk0']),
        kind: dice.pick(['single', 'page', 'sg']),
        direction: dice.pick(['to-device', 'from-device', 'bidirectional']),
        buffer: `buf_${dice.below(buffers)}`,
        cpu: dice.below(4),
      });
      mapped++;
    } else if (choice < 8)
      out.push({ op: 'unmap', mapping: `map_${dice.below(mapped + 1)}_${dice.below(3)}`, cpu: dice.below(4) });
    else if (choice < 10)
      out.push({
        op: 'dma',
        device: 'nic0',
        iova: 0xfffff000 - 4096 * dice.below(20),
        lengthBytes: 100,
        access: 'write',
      });
    else if (choice === 10) out.push({ op: 'advance', ns: dice.below(3_000_000) });
    else if (choice === 11) out.push({ op: 'free', buffer: `buf_${dice.below(buffers)}`, force: dice.chance(2) });
    else if (choice === 12) out.push({ op: 'invalidate', scope: 'global' });
    else if (dice.chance(4)) out.push({ run: dice.pick<RunRequest>([{ forNs: 300_000 }, { operations: 50 }]) });
  }
  out.push({ run: { forNs: 500_000 } });
  return out;
}

interface How {
  slice?: number;
  searchBudget?: number;
  /** Called between all steps. */
  between?: (sim: Simulator) => void;
}

function play(spec: Record<string, unknown>, steps: (Operation | { run: RunRequest })[], how: How = {}) {
  const sim = new Simulator(resolveSpec(spec));
  sim.searchBudget = how.searchBudget ?? Number.POSITIVE_INFINITY;
  const results: unknown[] = [];
  let suspended = 0;
  for (const step of steps) {
    how.between?.(sim);
    if ('run' in step) {
      assert.equal(sim.startRun(step.run as RunRequest).status, 'ok');
      while (!sim.stepRun(how.slice ?? 100_000)) {
        suspended++;
        how.between?.(sim);
      }
      results.push(sim.runResult());
      continue;
    }
    let outcome = sim.apply(step);
    while (outcome === null) {
      suspended++;
      how.between?.(sim);
      outcome = sim.resume();
    }
    results.push(outcome);
  }
  return { sim, digest: sim.digest(), results, suspended };
}

const policies: Record<string, Record<string, unknown>> = {
  'rbtree-2008 and deferred-2008': {},
  'rbtree and strict': { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
  'bitmap and wrap': { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 }, invalidation: { kind: 'wrap' } },
  'powerpc-pools and flush-queue': { allocator: { kind: 'powerpc-pools' }, invalidation: { kind: 'flush-queue' } },
  'sparc-pools and wrap': { allocator: { kind: 'sparc-pools', entries: 1024 }, invalidation: { kind: 'wrap' } },
  'sba-ia64 and delayed, ia64': {
    allocator: { kind: 'sba-ia64' },
    invalidation: { kind: 'delayed', form: 'ia64', entries: 8 },
  },
  'persistent and flush-queue': {
    allocator: { kind: 'persistent', keptMappings: 4, keptTimeoutMs: 1 },
    invalidation: { kind: 'flush-queue' },
  },
  'identity and batched': { allocator: { kind: 'identity' }, invalidation: { kind: 'batched' } },
  'bitmap and delayed': { allocator: { kind: 'bitmap' }, invalidation: { kind: 'delayed' } },
};

const readings: Reading[] = [
  { read: 'metrics' },
  { read: 'iotlb' },
  { read: 'walk-cache' },
  { read: 'queues' },
  { read: 'space' },
  { read: 'allocator' },
  { read: 'page-table', domain: 'dom_0', iova: '0xfffff000' },
  { read: 'page-table', domain: 'dom_1', iova: '0x12345678000' },
  { read: 'faults' },
  { read: 'events' },
  { read: 'mappings' },
  { read: 'mappings', device: 'nic0', limit: 2 },
  { read: 'tenants' },
  { read: 'domains' },
  { read: 'devices' },
  { read: 'buffers' },
  { read: 'workloads' },
  { read: 'device', id: 'nic0' },
  { read: 'buffer', id: 'buf_999' },
  { read: 'mapping', id: 'map_0_0' },
];

describe('determinism', () => {
  for (const [name, policy] of Object.entries(policies)) {
    const spec = { policy, devices, workloads, machine: { memoryBytes: 2 ** 28 } };

    test(`${name}: two sessions agree in digest, replies and results, another seed does not`, () => {
      const steps = script(1);
      const a = play(spec, steps);
      const b = play(spec, steps);
      assert.equal(a.digest, b.digest);
      assert.deepEqual(a.results, b.results);
      assert.notEqual(play({ ...spec, seed: 2 }, steps).digest, a.digest);
      assert.notEqual(play(spec, script(2)).digest, a.digest);
    });

    test(`${name}: runs sliced event by event and searches that yield every 3 steps give the same digest and results`, () => {
      const steps = script(3);
      const whole = play(spec, steps);
      for (const how of [{ slice: 1 }, { slice: 7, searchBudget: 3 }, { searchBudget: 1 }]) {
        const cut = play(spec, steps, how);
        assert.equal(cut.digest, whole.digest, JSON.stringify(how));
        assert.deepEqual(cut.results, whole.results, JSON.stringify(how));
        assert.ok(cut.suspended > 100 || how.slice === undefined);
      }
    });

    test(`${name}: reading everything between all steps, slices and suspensions leaves no trace`, () => {
      const steps = script(4, 120);
      const quiet = play(spec, steps);
      let reads = 0;
      const read = (sim: Simulator) => {
        if (reads++ % 5 !== 0) return;
        for (const reading of readings) sim.read(reading);
        sim.runProgress();
        sim.drainNotices(10);
        if (sim.run !== null) sim.runResult();
      };
      const curious = play(spec, steps, { slice: 500, searchBudget: 5, between: read });
      assert.ok(reads > 100);
      assert.equal(curious.digest, quiet.digest);
      assert.deepEqual(curious.results, quiet.results);
    });
  }

  test('a read does not move the digest of the moment', () => {
    const { sim } = play({ devices, workloads }, script(5));
    const before = sim.digest();
    for (const reading of readings) {
      sim.read(reading);
      assert.equal(sim.digest(), before, JSON.stringify(reading));
    }
  });

  test('names and titles do not act; nor does what the same machine is called by in operations', () => {
    const named = (prefix: string) => {
      const machine = new Machine({
        name: `${prefix}-session`,
        title: `A session called ${prefix}`,
        domains: [{ name: `${prefix}-domain` }],
        devices: [{ name: `${prefix}-nic`, kind: 'nic', domain: `${prefix}-domain` }],
        workloads: [{ name: `${prefix}-rx`, kind: 'nic-rx', device: `${prefix}-nic`, ringSize: 16 }],
      });
      machine.ok({ op: 'tenant', name: `${prefix}-guest`, kind: 'vm' });
      const buffer = machine.buffer(4096, { name: `${prefix}-buffer`, tenant: `${prefix}-guest` });
      machine.map(`${prefix}-nic`, { buffer });
      machine.run({ forNs: 100_000 });
      return machine.sim.digest();
    };
    assert.equal(named('a'), named('another'));
  });

  test('how a spec was written does not act: order of members, defaults spelt out', () => {
    const short = new Machine({ seed: 7 }).sim.digest();
    const long = new Machine({
      costs: { overrides: {}, profile: 'riommu15-mlx' },
      policy: { invalidation: { timeoutMs: 10, highWater: 250, kind: 'deferred-2008' } },
      seed: 7,
      machine: { frameReuse: 'lifo', cpus: 4 },
    }).sim.digest();
    assert.equal(short, long);
  });

  test('what acts in a spec shows: each of these sessions has a digest of its own', () => {
    const specs: Record<string, unknown>[] = [
      {},
      { seed: 2 },
      { machine: { cpus: 2 } },
      { machine: { cpuGhz: 2 } },
      { machine: { memoryBytes: 2 ** 30 } },
      { machine: { frameReuse: 'fifo' } },
      { iommu: { levels: 5 } },
      { iommu: { superpages: [] } },
      { iommu: { coherent: true } },
      { iommu: { iotlb: { entries: 32 } } },
      { iommu: { iotlb: { replacement: 'fifo' } } },
      { iommu: { invalidation: { maxAddressMask: 9 } } },
      { policy: { mode: 'passthrough' } },
      { policy: { mode: 'bounce' } },
      { policy: { mode: 'bounce', bounce: { areas: 'one' } } },
      { policy: { mode: 'shadow' } },
      { policy: { mode: 'shadow', shadow: { poolBytes: 2 ** 20 } } },
      { policy: { mode: 'direct' } },
      { policy: { mode: 'emulated' } },
      { policy: { mode: 'emulated', emulated: { handling: 'sidecore' } } },
      { policy: { mode: 'paravirtual' } },
      { policy: { mode: 'nested' } },
      { policy: { mode: 'nested', nested: { propagate: false } } },
      { policy: { allocator: { kind: 'rbtree' } } },
      { policy: { invalidation: { highWater: 100 } } },
      { costs: { profile: 'riommu15-brcm' } },
      { costs: { overrides: { packet: 1 } } },
      { tenants: [{ kind: 'vm' }] },
      { domains: [{}] },
      { devices: [{ kind: 'nic' }] },
      { devices: [{ kind: 'block' }] },
      { devices: [{ kind: 'nic', dmaMaskBits: 32 }] },
      { devices: [{ kind: 'nic', untrusted: true }] },
    ];
    const digests = specs.map((spec) => new Machine(spec).sim.digest());
    assert.equal(new Set(digests).size, specs.length);
  });

  test('every operation that is carried out moves the digest', () => {
    const machine = new Machine({ devices: [{ name: 'n', kind: 'custom' }] });
    const seen = new Set([machine.sim.digest()]);
    const moved = (operation: Operation) => {
      machine.ok(operation);
      const digest = machine.sim.digest();
      assert.ok(!seen.has(digest), JSON.stringify(operation));
      seen.add(digest);
    };
    moved({ op: 'tenant', kind: 'vm' });
    moved({ op: 'domain' });
    moved({ op: 'device', kind: 'custom' });
    moved({ op: 'buffer', lengthBytes: 4096 });
    moved({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer: 'buf_0' });
    moved({ op: 'sync', mapping: 'map_0_0', for: 'device' });
    moved({ op: 'dma', device: 'n', iova: 0xfffff000, lengthBytes: 1, access: 'read' });
    moved({ op: 'dma', device: 'n', iova: 0xfffff000, lengthBytes: 1, access: 'read' });
    moved({ op: 'dma', device: 'n', iova: 0xfffff000, lengthBytes: 1, access: 'write' });
    moved({ op: 'unmap', mapping: 'map_0_0' });
    moved({ op: 'unmap', device: 'n', iova: 0, lengthBytes: 1, direction: 'to-device' });
    moved({ op: 'iommu-map', domain: 'dom_0', iova: 0x1000, physicalAddress: 0, lengthBytes: 4096, access: 'r' });
    moved({ op: 'iommu-unmap', domain: 'dom_0', iova: 0x1000, lengthBytes: 4096 });
    moved({ op: 'invalidate', scope: 'global' });
    moved({ op: 'advance', ns: 1 });
    moved({ op: 'attach', device: 'n', domain: 'dom_1' });
    moved({ op: 'detach', device: 'n' });
    moved({ op: 'workload', kind: 'nic-rx', device: 'n', ringSize: 8 });
    moved({ op: 'workload-remove', workload: 'wl_0' });
    moved({ op: 'free', buffer: 'buf_0' });
    moved({ op: 'device-remove', device: 'n' });
    moved({ op: 'domain-remove', domain: 'dom_0' });
    moved({ op: 'tenant-remove', tenant: 'ten_1' });
  });
});
