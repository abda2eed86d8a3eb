/** What cannot be done is refused by code and place, and changes nothing: digest, clock, counters stay as they were. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveSpec, SpecError } from '../../../src/core/index.ts';
import type { Operation } from '../../../src/core/operations.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import { Machine } from '../build.ts';

function busyMachine(): Machine {
  const machine = new Machine({
    tenants: [{ name: 'guest', kind: 'vm' }],
    domains: [{ name: 'spare' }],
    devices: [
      { name: 'n', kind: 'nic' },
      { name: 'm', kind: 'custom' },
    ],
    workloads: [
      { name: 'rx', kind: 'nic-rx', device: 'n', ringSize: 16, tenant: 'guest' },
      { name: 'probe', kind: 'hostile', device: 'm', target: 'n' },
    ],
  });
  machine.run({ forNs: 100_000 });
  const buffer = machine.buffer(8192, { name: 'mine' });
  machine.map('m', { buffer });
  machine.unmap(machine.map('m', { buffer }).id);
  return machine;
}

const refusals: [operation: Operation, code: string, path?: string][] = [
  [{ op: 'tenant', name: 'guest', kind: 'vm' }, 'name-taken', '/name'],
  [{ op: 'tenant', name: 'ten_9', kind: 'vm' }, 'invalid-name', '/name'],
  [{ op: 'tenant-remove', tenant: 'nobody' }, 'unknown-tenant', '/tenant'],
  [{ op: 'tenant-remove', tenant: 'guest' }, 'in-use', '/tenant'],
  [{ op: 'domain', name: 'spare' }, 'name-taken', '/name'],
  [{ op: 'domain', name: 'dom_' }, 'invalid-name', '/name'],
  [{ op: 'domain', tenant: 'nobody' }, 'unknown-tenant', '/tenant'],
  [{ op: 'domain-remove', domain: 'nowhere' }, 'unknown-domain', '/domain'],
  [{ op: 'domain-remove', domain: 'dom_1' }, 'in-use', '/domain'],
  [{ op: 'device', name: 'n', kind: 'nic' }, 'name-taken', '/name'],
  [{ op: 'device', name: 'dev_77', kind: 'nic' }, 'invalid-name', '/name'],
  [{ op: 'device', kind: 'nic', domain: 'nowhere' }, 'unknown-domain', '/domain'],
  [{ op: 'device', kind: 'nic', bdf: '00:02.0' }, 'name-taken', '/bdf'],
  [{ op: 'device-remove', device: 'nobody' }, 'unknown-device', '/device'],
  [{ op: 'device-remove', device: 'n' }, 'in-use', '/device'],
  [{ op: 'device-remove', device: 'm' }, 'in-use', '/device'],
  [{ op: 'attach', device: 'nobody', domain: 'spare' }, 'unknown-device', '/device'],
  [{ op: 'attach', device: 'm', domain: 'nowhere' }, 'unknown-domain', '/domain'],
  [{ op: 'detach', device: 'nobody' }, 'unknown-device', '/device'],
  [{ op: 'buffer', lengthBytes: 1, name: 'mine' }, 'name-taken', '/name'],
  [{ op: 'buffer', lengthBytes: 1, tenant: 'nobody' }, 'unknown-tenant', '/tenant'],
  [{ op: 'free', buffer: 'nothing' }, 'unknown-buffer', '/buffer'],
  [{ op: 'free', buffer: 'buf_99' }, 'unknown-buffer', '/buffer'],
  [{ op: 'free', buffer: 'mine' }, 'buffer-mapped', '/buffer'],
  [{ op: 'map', device: 'nobody', kind: 'page', direction: 'to-device', buffer: 'mine' }, 'unknown-device', '/device'],
  [{ op: 'map', device: 'm', kind: 'page', direction: 'to-device', buffer: 'nothing' }, 'unknown-buffer', '/buffer'],
  [{ op: 'map', device: 'm', kind: 'page', direction: 'to-device' }, 'invalid-operation', '/buffer'],
  [{ op: 'map', device: 'm', kind: 'page', direction: 'to-device', buffer: 'mine', cpu: 4 }, 'out-of-range', '/cpu'],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', buffer: 'mine', offsetBytes: 8192 },
    'out-of-range',
    '/offsetBytes',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', buffer: 'mine', offsetBytes: 1, lengthBytes: 8192 },
    'out-of-range',
    '/lengthBytes',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', physicalAddress: 0 },
    'invalid-operation',
    '/lengthBytes',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', physicalAddress: '0xzz', lengthBytes: 1 },
    'invalid-address',
    '/physicalAddress',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', physicalAddress: 2 ** 34, lengthBytes: 1 },
    'beyond-memory',
    '/physicalAddress',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', physicalAddress: 0, lengthBytes: 2 ** 32 + 1 },
    'too-many-pages',
    '/lengthBytes',
  ],
  [
    { op: 'map', device: 'm', kind: 'page', direction: 'to-device', segments: [{ buffer: 'mine' }] },
    'invalid-operation',
    '/segments',
  ],
  [{ op: 'map', device: 'm', kind: 'sg', direction: 'to-device', segments: [] }, 'invalid-operation', '/segments'],
  [
    {
      op: 'map',
      device: 'm',
      kind: 'sg',
      direction: 'to-device',
      segments: [{ buffer: 'mine' }, { buffer: 'nothing' }],
    },
    'unknown-buffer',
    '/segments/1/buffer',
  ],
  [
    {
      op: 'map',
      device: 'm',
      kind: 'sg',
      direction: 'to-device',
      segments: [{ buffer: 'mine' }, { buffer: 'mine', lengthBytes: 8193 }],
    },
    'out-of-range',
    '/segments/1/lengthBytes',
  ],
  [
    {
      op: 'map',
      device: 'm',
      kind: 'sg',
      direction: 'to-device',
      segments: [0, 1].map(() => ({ physicalAddress: 0, lengthBytes: 2 ** 32 })),
    },
    'too-many-pages',
    '/segments',
  ],
  [{ op: 'map', device: 'm', kind: 'coherent', direction: 'to-device' }, 'invalid-operation', '/lengthBytes'],
  [
    { op: 'map', device: 'm', kind: 'coherent', direction: 'to-device', lengthBytes: 1, buffer: 'mine' },
    'invalid-operation',
    '/buffer',
  ],
  [
    { op: 'map', device: 'm', kind: 'coherent', direction: 'to-device', lengthBytes: 2 ** 32 + 1 },
    'too-many-pages',
    '/lengthBytes',
  ],
  [{ op: 'unmap', mapping: 'map_1000_0' }, 'unknown-mapping', '/mapping'],
  [{ op: 'unmap', mapping: 'map_0_0', cpu: 64 }, 'out-of-range', '/cpu'],
  [{ op: 'unmap', mapping: 'map_0_0', iova: 0 }, 'invalid-operation', '/iova'],
  [{ op: 'unmap', device: 'm', iova: 0, lengthBytes: 1 }, 'invalid-operation', '/direction'],
  [{ op: 'unmap', device: 'nobody', iova: 0, lengthBytes: 1, direction: 'to-device' }, 'unknown-device', '/device'],
  [{ op: 'unmap', device: 'm', iova: 'here', lengthBytes: 1, direction: 'to-device' }, 'invalid-address', '/iova'],
  [{ op: 'dma', device: 'nobody', iova: 0, lengthBytes: 1, access: 'read' }, 'unknown-device', '/device'],
  [{ op: 'dma', device: 'm', iova: -1, lengthBytes: 1, access: 'read' }, 'invalid-address', '/iova'],
  [
    { op: 'dma', device: 'm', iova: '0xffffffffffffffff', lengthBytes: 2, access: 'read' },
    'invalid-address',
    '/lengthBytes',
  ],
  [{ op: 'sync', mapping: 'map_1000_0', for: 'cpu' }, 'unknown-mapping', '/mapping'],
  [{ op: 'advance', ns: Number.MAX_SAFE_INTEGER }, 'horizon', '/ns'],
  [{ op: 'workload', kind: 'nic-rx', device: 'nobody' }, 'unknown-device', '/device'],
  [{ op: 'workload', kind: 'nonsense', device: 'm' }, 'invalid-operation', '/kind'],
  [{ op: 'workload', kind: 'nic-rx', device: 'm', name: 'rx' }, 'name-taken', '/name'],
  [{ op: 'workload', kind: 'nic-rx', device: 'm', tenant: 'nobody' }, 'unknown-tenant', '/tenant'],
  [{ op: 'workload', kind: 'nic-rx', device: 'm', cpus: [0, 4] }, 'out-of-range', '/cpus/1'],
  [{ op: 'workload', kind: 'hostile', device: 'm', target: 'nobody' }, 'unknown-device', '/target'],
  // Each number is within its bounds.
  [{ op: 'workload', kind: 'nic-rx', device: 'm', ringSize: 2 ** 20, queues: 2 }, 'invalid-operation', '/ringSize'],
  [
    { op: 'workload', kind: 'nic-rx', device: 'm', ringSize: 4096, queues: 1, pagesPerDescriptor: 512 },
    'invalid-operation',
    '/ringSize',
  ],
  [
    { op: 'workload', kind: 'nic-rx', device: 'm', recycle: 'page-pool', poolPages: 2 ** 19, queues: 4 },
    'invalid-operation',
    '/poolPages',
  ],
  [
    { op: 'workload', kind: 'nic-rx', device: 'm', frameBytes: 64, outstanding: 1, nicBufferBytes: 2 ** 30 },
    'invalid-operation',
    '/nicBufferBytes',
  ],
  [{ op: 'workload', kind: 'nic-tx', device: 'm', ringSize: 2 ** 20, queues: 2 }, 'invalid-operation', '/ringSize'],
  [
    { op: 'workload', kind: 'block', device: 'm', lengthBytes: 4_194_304, depth: 4096, jobs: 1 },
    'invalid-operation',
    '/depth',
  ],
  [{ op: 'workload-remove', workload: 'wl_99' }, 'unknown-workload', '/workload'],
];

describe('refusals', () => {
  test(`${refusals.length} operations that cannot be done are refused without a trace`, () => {
    const machine = busyMachine();
    for (const [operation, code, path] of refusals) machine.refused(operation, code, path);
  });

  test('what a workload has mapped is its driver’s to unmap', () => {
    const machine = busyMachine();
    const { items } = machine.read<{ items: { id: string; iova: string }[] }>({
      read: 'mappings',
      device: 'n',
      limit: 1,
    });
    const [{ id, iova }] = items as [{ id: string; iova: string }];
    machine.refused({ op: 'unmap', mapping: id }, 'in-use', '/mapping');
    machine.refused({ op: 'unmap', device: 'n', iova, lengthBytes: 1500, direction: 'from-device' }, 'in-use', '/iova');
    machine.run({ forNs: 100_000 });
  });

  test('a domain that a workload’s device left with its ring still mapped there cannot be removed under it', () => {
    const machine = busyMachine();
    machine.ok({ op: 'attach', device: 'n', domain: 'spare' });
    machine.refused({ op: 'domain-remove', domain: 'dom_1' }, 'in-use', '/domain');
    machine.run({ forNs: 100_000 });
    machine.ok({ op: 'workload-remove', workload: 'rx' });
    machine.ok({ op: 'domain-remove', domain: 'dom_1' });
  });

  test('without a domain a device neither maps nor unmaps by address, nor does its workload run', () => {
    const machine = busyMachine();
    machine.ok({ op: 'detach', device: 'm' });
    machine.refused({ op: 'detach', device: 'm' }, 'device-detached', '/device');
    machine.refused(
      { op: 'map', device: 'm', kind: 'page', direction: 'to-device', buffer: 'mine' },
      'device-detached',
      '/device',
    );
    machine.refused(
      { op: 'unmap', device: 'm', iova: 0, lengthBytes: 1, direction: 'to-device' },
      'device-detached',
      '/device',
    );
    machine.run({ forNs: 1000 });
    machine.ok({ op: 'detach', device: 'n' });
    const before = machine.sim.digest();
    const started = machine.sim.startRun({ forNs: 1000 });
    assert.ok(started.status === 'refused' && started.problem.code === 'device-detached');
    assert.equal(machine.sim.digest(), before);
  });

  test('runs that cannot start are refused without a trace', () => {
    const machine = busyMachine();
    const idle = new Machine({ devices: [{ name: 'n', kind: 'nic' }] });
    const hostileOnly = new Machine({
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [{ kind: 'hostile', device: 'n' }],
    });
    for (const [where, request, code] of [
      [machine, { untilNs: 1 }, 'out-of-range'],
      [machine, { forNs: Number.MAX_SAFE_INTEGER }, 'horizon'],
      [machine, { until: { metric: 'no.such.thing', above: 1 } }, 'unknown-metric'],
      [machine, { until: { metric: 'exposure', above: 1 } }, 'unknown-metric'],
      [idle, { operations: 1 }, 'no-workload'],
      [idle, { until: { metric: 'timeNs', above: 1 } }, 'no-workload'],
      [hostileOnly, { operations: 1 }, 'no-workload'],
    ] as const) {
      const before = where.sim.digest();
      const { operations, version } = where.sim;
      const outcome = where.sim.startRun(request);
      assert.ok(outcome.status === 'refused', JSON.stringify(request));
      assert.equal(outcome.problem.code, code, JSON.stringify(request));
      assert.equal(where.sim.digest(), before);
      assert.deepEqual([where.sim.operations, where.sim.version], [operations, version]);
    }
  });

  test('while a run is active every operation and every other run is refused', () => {
    const machine = busyMachine();
    assert.equal(machine.sim.startRun({ forNs: 1e6 }).status, 'ok');
    machine.sim.stepRun(10);
    machine.refused({ op: 'advance', ns: 1 }, 'run-active');
    machine.refused({ op: 'tenant', kind: 'vm' }, 'run-active');
    const second = machine.sim.startRun({ forNs: 1 });
    assert.ok(second.status === 'refused' && second.problem.code === 'run-active');
    machine.sim.cancelRun();
    machine.advance(1);
  });

  test('unknown things are not found by reads either', () => {
    const { sim } = busyMachine();
    const before = sim.digest();
    for (const [reading, code] of [
      [{ read: 'tenant', id: 'nobody' }, 'unknown-tenant'],
      [{ read: 'domain', id: 'dom_77' }, 'unknown-domain'],
      [{ read: 'device', id: 'buf_0' }, 'unknown-device'],
      [{ read: 'buffer', id: 'nothing' }, 'unknown-buffer'],
      [{ read: 'workload', id: 'wl_9' }, 'unknown-workload'],
      [{ read: 'mapping', id: 'map_9999_0' }, 'unknown-mapping'],
      [{ read: 'mappings', device: 'nobody' }, 'unknown-device'],
      [{ read: 'page-table', domain: 'nowhere', iova: 0 }, 'unknown-domain'],
      [{ read: 'page-table', domain: 'dom_0', iova: 'here' }, 'invalid-address'],
      [{ read: 'events', cursor: 'nonsense' }, 'invalid-cursor'],
      [{ read: 'space', cursor: 'nonsense' }, 'invalid-cursor'],
    ] as const) {
      const outcome = sim.read(reading);
      assert.ok(outcome.status === 'refused', JSON.stringify(reading));
      assert.equal(outcome.problem.code, code);
    }
    assert.equal(sim.digest(), before);
  });
});

describe('a spec that cannot be', () => {
  const refusedSpec = (spec: Record<string, unknown>, path: string) =>
    assert.throws(
      () => new Simulator(resolveSpec(spec)),
      (error) => error instanceof SpecError && error.problems.some((problem) => problem.path === path),
      JSON.stringify(spec),
    );

  test('is refused by member', () => {
    refusedSpec({ preset: 'nonsense' }, '/preset');
    refusedSpec({ machine: { cpuGhz: 3.00001 } }, '/machine/cpuGhz');
    refusedSpec({ machine: { memoryBytes: 5000 } }, '/machine/memoryBytes');
    refusedSpec({ iommu: { iotlb: { entries: 10, ways: 4 } } }, '/iommu/iotlb/ways');
    refusedSpec({ iommu: { iotlb: { entries: 12, ways: 3, replacement: 'plru' } } }, '/iommu/iotlb/replacement');
    refusedSpec(
      { iommu: { levels: 5, walkCache: { entriesPerLevel: [1, 1, 1] } } },
      '/iommu/walkCache/entriesPerLevel',
    );
    refusedSpec(
      { iommu: { reservedRegions: [{ start: '0x1', end: '0xfff', type: 'msi' }] } },
      '/iommu/reservedRegions/0/start',
    );
    refusedSpec(
      { iommu: { reservedRegions: [{ start: '0x1000', end: '0x1ffe', type: 'msi' }] } },
      '/iommu/reservedRegions/0/end',
    );
    refusedSpec(
      { iommu: { reservedRegions: [{ start: '0x2000', end: '0xfff', type: 'msi' }] } },
      '/iommu/reservedRegions/0/end',
    );
    refusedSpec({ policy: { allocator: { kind: 'nonsense' } } }, '/policy/allocator/kind');
    refusedSpec({ policy: { invalidation: { kind: 'nonsense' } } }, '/policy/invalidation/kind');
    refusedSpec({ devices: [{ kind: 'nic' }, { kind: 'nic', domain: 'nowhere' }] }, '/devices/1/domain');
    refusedSpec(
      { devices: [{ name: 'n', kind: 'nic' }], workloads: [{ kind: 'nic-rx', device: 'm' }] },
      '/workloads/0/device',
    );
  });

  test('objects merge, arrays replace, another kind starts from its own defaults', () => {
    const spec = resolveSpec({
      iommu: { iotlb: { entries: 128 }, superpages: [] },
      policy: { invalidation: { kind: 'strict' }, allocator: { kind: 'bitmap' } },
    });
    assert.deepEqual(spec.iommu.iotlb, { entries: 128, ways: 4, replacement: 'lru' });
    assert.deepEqual(spec.iommu.superpages, []);
    assert.deepEqual(spec.policy.invalidation, { kind: 'strict' });
    assert.deepEqual(spec.policy.allocator, { kind: 'bitmap', apertureBytes: 2 ** 32 });
    assert.equal(resolveSpec({ iommu: { levels: 3 } }).iommu.walkCache.entriesPerLevel.length, 2);
    assert.equal(resolveSpec({ costs: { profile: 'riommu15-brcm' } }).machine.cpuGhz, 3.1);
    assert.deepEqual(resolveSpec({}).policy.invalidation, { kind: 'deferred-2008', highWater: 250, timeoutMs: 10 });
  });

  test('the resolved document resolves to itself', () => {
    for (const input of [
      {},
      { preset: 'thread-2008' },
      { iommu: { levels: 5 }, costs: { profile: 'riommu15-brcm' } },
    ]) {
      const once = resolveSpec(input);
      assert.deepEqual(resolveSpec(once as unknown as Record<string, unknown>), once);
    }
  });
});

test('a range that meets what a bounce machine has in the way leaves no trace, though nothing had used its domain', () => {
  const machine = new Machine({ policy: { mode: 'bounce' }, domains: [{ name: 'shared' }, { name: 'own' }] });
  const before = machine.sim.digest();
  const map = {
    op: 'iommu-map',
    domain: 'own',
    iova: 0,
    physicalAddress: 0,
    lengthBytes: 2 ** 26,
    access: 'r',
  } as const;
  machine.refused(map, 'overlap', '/iova');
  assert.equal(machine.sim.digest(), before);
});
