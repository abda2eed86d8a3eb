/** A session is its spec plus its operations: digests, slices, suspended searches, clocks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation, Outcome } from '../../src/core/operations.ts';
import { resolveSpec, SpecError } from '../../src/core/resolve-spec.ts';
import { Simulator } from '../../src/core/simulator.ts';

const make = (input: Record<string, unknown> = {}) => new Simulator(resolveSpec(input));

function result(outcome: Outcome | null): Record<string, unknown> {
  assert.equal(outcome?.status, 'ok', JSON.stringify(outcome));
  return (outcome as { result: Record<string, unknown> }).result;
}

function refusal(outcome: Outcome | null): { code: string; path?: string } {
  assert.equal(outcome?.status, 'refused', JSON.stringify(outcome));
  return (outcome as { problem: { code: string; path?: string } }).problem;
}

const oneDevice = { devices: [{ name: 'd', kind: 'custom' }] };
const mapOne: Operation = {
  op: 'map',
  device: 'd',
  kind: 'single',
  direction: 'from-device',
  physicalAddress: '0x200000',
  lengthBytes: 1500,
};

function runAll(simulator: Simulator, request: Record<string, unknown>, step = 4000): Record<string, unknown> {
  result(simulator.startRun(request));
  while (!simulator.stepRun(step));
  return simulator.runResult();
}

const arms: [string, string][] = [
  ['rbtree-2008', 'strict'],
  ['rbtree-2008', 'deferred-2008'],
  ['rbtree', 'strict'],
  ['rbtree', 'deferred-2008'],
  ['rbtree', 'delayed'],
  ['bitmap', 'strict'],
  ['bitmap', 'deferred-2008'],
  ['bitmap', 'wrap'],
  ['bitmap', 'delayed'],
  ['bitmap', 'never'],
  ['rbtree', 'batched'],
  ['persistent', 'strict'],
  ['persistent', 'deferred-2008'],
  ['identity', 'flush-queue'],
  ['sba-ia64', 'delayed'],
];

for (const [allocator, invalidation] of arms)
  test(`a run of ${allocator} with ${invalidation} is the same whole, in slices of one event, and with searches that yield`, () => {
    const spec = {
      preset: 'thread-2008',
      policy: { allocator: { kind: allocator }, invalidation: { kind: invalidation } },
    };
    const outcomes = [
      [4000, Number.POSITIVE_INFINITY],
      [1, Number.POSITIVE_INFINITY],
      [4000, 3],
    ].map(([step, budget]) => {
      const simulator = make(spec);
      simulator.searchBudget = budget!;
      const done = runAll(simulator, { forNs: 3_000_000 }, step);
      return { digest: simulator.digest(), done };
    });
    assert.deepEqual(outcomes[1], outcomes[0]);
    assert.deepEqual(outcomes[2], outcomes[0]);
    assert.match(outcomes[0]!.digest, /^[0-9a-f]{64}$/);
  });

test('names, reads and refusals leave the digest as it is; seeds, parameters and operations do not', () => {
  const plain = make(oneDevice);
  const named = make({ name: 'x', title: 'y', devices: [{ name: 'other', kind: 'custom' }] });
  assert.equal(named.digest(), plain.digest());
  const before = plain.digest();
  for (const read of [
    'metrics',
    'iotlb',
    'walk-cache',
    'queues',
    'space',
    'allocator',
    'faults',
    'events',
    'mappings',
    'devices',
  ] as const)
    assert.equal(plain.read({ read }).status, 'ok');
  plain.read({ read: 'page-table', domain: 'dom_0', iova: '0xfffff000' });
  plain.apply({ ...mapOne, device: 'nobody' } as Operation);
  plain.apply({ op: 'unmap', mapping: 'map_0_0' });
  assert.equal(plain.digest(), before);
  assert.notEqual(make({ ...oneDevice, seed: 2 }).digest(), before);
  result(plain.apply(mapOne));
  assert.notEqual(plain.digest(), before);
});

test('a workload that is added by an operation is digested with its parameters', () => {
  const digests = [5, 10].map((gbps) => {
    const simulator = make(oneDevice);
    result(simulator.apply({ op: 'workload', kind: 'nic-rx', device: 'd', gbps }));
    return simulator.digest();
  });
  assert.notEqual(digests[0], digests[1]);
});

test('the same operations give the same digest, whatever was created and refused in between', () => {
  const history: Operation[] = [
    { op: 'buffer', lengthBytes: 5000 },
    { ...mapOne },
    { op: 'dma', device: 'd', iova: '0xfffff000', lengthBytes: 64, access: 'write' },
    { op: 'advance', ns: 12_345 },
    { op: 'unmap', mapping: 'map_0_0' },
    { op: 'dma', device: 'd', iova: '0xfffff000', lengthBytes: 64, access: 'write' },
    { op: 'advance', ns: 20_000_000 },
  ];
  const one = make(oneDevice);
  const two = make(oneDevice);
  for (const operation of history) {
    result(one.apply(operation));
    refusal(two.apply({ op: 'free', buffer: 'buf_99' }));
    result(two.apply(operation));
    two.read({ read: 'metrics' });
  }
  assert.equal(two.digest(), one.digest());
});

test('interactive operations start at session time and session time becomes their end', () => {
  const simulator = make(oneDevice);
  const mapped = result(simulator.apply(mapOne));
  // 379 + 588 + 44 cycles at 3.1 GHz, rounded half up once.
  assert.equal(mapped.costCycles, 1011);
  assert.equal(simulator.timePs, String(Math.floor((1011 * 1000) / 3.1 + 0.5)));
  const rows = Object.values(mapped.breakdown as Record<string, number>).reduce((sum, cycles) => sum + cycles, 0);
  assert.equal(rows, mapped.costCycles);
  const { timePs } = simulator;
  result(simulator.apply({ op: 'dma', device: 'd', iova: '0xfffff000', lengthBytes: 64, access: 'write' }));
  assert.equal(simulator.timePs, timePs, 'an access acts at one instant');
});

test('the 10 ms timer of deferred-2008 fires at its time and frees what waited', () => {
  const simulator = make(oneDevice);
  result(simulator.apply(mapOne));
  result(simulator.apply({ op: 'unmap', mapping: 'map_0_0' }));
  assert.equal(result(simulator.apply({ op: 'advance', ns: 9_999_000 })).fired, 0);
  assert.equal((result(simulator.read({ read: 'queues' })).flush as { entries: number }).entries, 1);
  assert.equal(result(simulator.apply({ op: 'advance', ns: 1_000 })).fired, 1);
  assert.equal((result(simulator.read({ read: 'queues' })).flush as { entries: number }).entries, 0);
});

test('the 251st unmap flushes first', () => {
  const simulator = make(oneDevice);
  for (let i = 0; i < 251; i++) {
    const { id } = result(simulator.apply(mapOne));
    result(simulator.apply({ op: 'unmap', mapping: id as string }));
    assert.equal(simulator.counters.flushesFull, i < 250 ? 0 : 1);
  }
  assert.equal(simulator.policy.queued, 1);
});

test('time goes on exactly over many days, and stops at its horizon', () => {
  const simulator = make(oneDevice);
  result(simulator.apply(mapOne));
  result(simulator.apply({ op: 'advance', ns: 8_000_000_000_000_000 }));
  assert.equal(simulator.timePs, '8000000000000326129');
  const digest = simulator.digest();
  assert.deepEqual(refusal(simulator.apply({ op: 'advance', ns: 2_000_000_000_000_000 })).code, 'horizon');
  assert.equal(simulator.digest(), digest);
});

test('a run may be cancelled anywhere, and another one goes on from there', () => {
  const simulator = make({ preset: 'thread-2008' });
  result(simulator.startRun({ forNs: 1_000_000_000 }));
  simulator.stepRun(1234);
  const share = simulator.runProgress()!;
  assert.ok(share > 0 && share < 1);
  simulator.cancelRun();
  assert.equal(simulator.runProgress(), share, 'it came no further');
  assert.ok(simulator.timeNs > 0 && simulator.timeNs < 1_000_000_000);
  result(simulator.apply({ op: 'advance', ns: 1000 }));
  const before = simulator.timeNs;
  const again = runAll(simulator, { operations: 500 });
  assert.equal(again.operations, 500);
  assert.ok(simulator.timeNs > before);
});

test('a run stops by time, by count, or by a metric, and refuses what it cannot wait for', () => {
  const simulator = make({ preset: 'thread-2008' });
  runAll(simulator, { untilNs: 2_000_000 });
  assert.equal(simulator.timeNs, 2_000_000);
  assert.equal(refusal(simulator.startRun({ untilNs: 1 })).code, 'out-of-range');
  assert.equal(refusal(simulator.startRun({ until: { metric: 'nothing.here', above: 1 } })).code, 'unknown-metric');
  runAll(simulator, { until: { metric: 'counters.unmapCalls', above: 5000 } });
  assert.ok(simulator.counters.unmapCalls > 5000);
  assert.equal(refusal(make(oneDevice).startRun({ operations: 5 })).code, 'no-workload');
});

test('a flush at wrap needs a cursor that wraps: it is refused with a tree', () => {
  assert.throws(
    () => resolveSpec({ policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'wrap' } } }),
    (error: unknown) => error instanceof SpecError && error.problems[0]!.path === '/policy/invalidation/kind',
  );
});

test('an object of another kind starts from that kind, arrays replace, objects merge', () => {
  const spec = resolveSpec({
    preset: 'thread-2008',
    policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'deferred-2008', highWater: 3 } },
    workloads: [],
    iommu: { levels: 3 },
  });
  assert.deepEqual(spec.policy.allocator, { kind: 'bitmap', apertureBytes: 2 ** 32 });
  assert.deepEqual(spec.policy.invalidation, { kind: 'deferred-2008', highWater: 3, timeoutMs: 10 });
  assert.deepEqual(spec.workloads, []);
  assert.equal(spec.devices.length, 2);
  assert.deepEqual(spec.iommu.walkCache.entriesPerLevel, [16, 16]);
  assert.equal(spec.machine.cpuGhz, 3.1);
});
