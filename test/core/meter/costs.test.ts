/**
 * What each call costs, to the milli-cycle, for both profiles. The numbers are those of rIOMMU (ASPLOS 2015), table 1, and of
 * EiovaR (FAST 2015), table 2; the bitmap's are assumptions.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Cost, Dice, Machine } from '../build.ts';

const ROWS = ['iovaAlloc', 'iovaFind', 'iovaFree', 'pageTable', 'invalidation', 'lockWait', 'copy', 'vmExit', 'other'];

function machineOf(
  profile: string,
  invalidation: string,
  allocator = 'rbtree-2008',
  spec: { iommu?: Record<string, unknown>; overrides?: Record<string, number>; mode?: string; cpuGhz?: number } = {},
): Machine {
  return new Machine({
    ...(spec.cpuGhz && { machine: { cpuGhz: spec.cpuGhz } }),
    iommu: { superpages: [], ...spec.iommu },
    policy: { allocator: { kind: allocator }, invalidation: { kind: invalidation }, mode: spec.mode ?? 'translate' },
    devices: [{ name: 'n', kind: 'custom' }],
    costs: { profile, overrides: spec.overrides ?? {} },
  });
}

/** Rows that are not zero; checks the sum and the names on the way. */
function rows({ costCycles, breakdown }: Cost): Record<string, number> {
  assert.deepEqual(Object.keys(breakdown).sort(), [...ROWS].sort());
  const milli = Object.values(breakdown).map((cycles) => Math.round(cycles * 1000));
  for (const [i, cycles] of Object.values(breakdown).entries()) assert.equal(cycles, milli[i]! / 1000, 'three places');
  assert.equal(costCycles, milli.reduce((sum, each) => sum + each, 0) / 1000, 'the rows sum to the total');
  return Object.fromEntries(Object.entries(breakdown).filter(([, cycles]) => cycles !== 0));
}

for (const profile of ['riommu15-mlx', 'riommu15-brcm'])
  describe(profile, () => {
    test('strict with the tree', () => {
      const machine = machineOf(profile, 'strict');
      const buffer = machine.buffer(5 * 4096);
      const one = machine.map('n', { buffer, lengthBytes: 4096 });
      assert.deepEqual(rows(one), { iovaAlloc: 379, pageTable: 588, other: 44 });
      assert.deepEqual(rows(machine.unmap(one.id)), {
        iovaFind: 249,
        iovaFree: 159,
        pageTable: 438,
        invalidation: 2127,
        other: 26,
      });
      const five = machine.map('n', { buffer });
      assert.deepEqual(rows(five), { iovaAlloc: 379, pageTable: 588 + 4 * 133, other: 44 });
      assert.deepEqual(rows(machine.unmap(five.id)), {
        iovaFind: 249,
        iovaFree: 159,
        pageTable: 438 + 4 * 133,
        invalidation: 2127,
        other: 26,
      });
    });

    test('each predecessor step of the tree adds 49.4', () => {
      const machine = machineOf(profile, 'strict');
      // 2 GiB find no place below 4 GiB, and 4 GiB none between those: a short search below, and a longer one from the top down.
      for (let i = 0; i < 7; i++) machine.map('n', { physicalAddress: 0, lengthBytes: 2 ** 31 });
      const before = machine.sim.counters.nodesVisited;
      const { breakdown } = machine.map('n', { physicalAddress: 0, lengthBytes: 2 ** 32 - 4096 });
      const steps = machine.sim.counters.nodesVisited - before;
      assert.ok(steps > 5);
      assert.equal(breakdown.iovaAlloc, Math.round(2 * 379_000 + steps * 49_400) / 1000);
    });

    test('deferred: queueing instead of the invalidation, the flush to whom it befalls', () => {
      const machine = machineOf(profile, 'deferred-2008');
      const buffer = machine.buffer(4096);
      const cycle = () => machine.unmap(machine.map('n', { buffer }).id);
      const usual = { iovaFind: 249, pageTable: 438, invalidation: 9, other: 196.5 };
      for (let i = 0; i < 250; i++) assert.deepEqual(rows(cycle()), usual);
      assert.deepEqual(rows(cycle()), { ...usual, invalidation: 9 + 2127, iovaFree: 250 * 159 });
    });

    test('a timer’s flush goes to its CPU and to no operation', () => {
      const machine = machineOf(profile, 'deferred-2008');
      const buffer = machine.buffer(4096);
      for (let i = 0; i < 3; i++) machine.unmap(machine.map('n', { buffer }).id, 1);
      const busy = machine.sim.cpuBusyPs[1]!;
      assert.equal(machine.advance(10_000_000), 1);
      assert.equal(machine.sim.cpuBusyPs[1]! - busy, Math.round(((2127 + 3 * 159) * 1e6) / 3100));
    });

    test('the bitmap: words scanned, no find, and its assumptions named', () => {
      const machine = machineOf(profile, 'strict', 'bitmap');
      const buffer = machine.buffer(8192);
      const mapped = machine.map('n', { buffer });
      const { lastWordsScanned } = machine.sim.domains[0]!.allocator!;
      assert.ok(lastWordsScanned >= 1);
      assert.deepEqual(rows(mapped), { iovaAlloc: 92 + 4 * lastWordsScanned, pageTable: 588 + 133, other: 44 });
      assert.ok(mapped.assumptions?.includes('bitmapAllocFixed') && mapped.assumptions.includes('bitmapAllocWord'));
      const unmapped = machine.unmap(mapped.id);
      assert.deepEqual(rows(unmapped), { iovaFree: 57, pageTable: 438 + 133, invalidation: 2127, other: 26 });
      assert.ok(unmapped.assumptions?.includes('bitmapFree'));
      assert.ok(unmapped.assumptions?.includes('unmapFurtherPte'));
    });

    test('a coherent walk saves 275 a call, not a PTE', () => {
      const machine = machineOf(profile, 'strict', 'rbtree', { iommu: { coherent: true } });
      const mapped = machine.map('n', { buffer: machine.buffer(3 * 4096) });
      assert.equal(mapped.breakdown.pageTable, 588 + 2 * 133 - 275);
      assert.equal(machine.unmap(mapped.id).breakdown.pageTable, 438 + 2 * 133 - 275);
    });

    test('caching mode invalidates at map too', () => {
      const machine = machineOf(profile, 'strict', 'rbtree', { iommu: { invalidation: { cachingMode: true } } });
      assert.equal(machine.map('n', { buffer: machine.buffer(4096) }).breakdown.invalidation, 2127);
    });

    test('the other operations answer a cost as well; tenants, domains, devices and buffers cost nothing', () => {
      const machine = machineOf(profile, 'strict');
      const free = machine.sim.timePs;
      machine.ok({ op: 'tenant', kind: 'vm' });
      machine.ok({ op: 'domain', name: 'd' });
      machine.ok({ op: 'device', name: 'm', kind: 'custom' });
      machine.ok({ op: 'free', buffer: machine.buffer(4096) });
      assert.equal(machine.sim.timePs, free);
      const range = { domain: 'dom_0', iova: 0x40000000, lengthBytes: 2 * 4096 } as const;
      assert.deepEqual(rows(machine.ok({ op: 'iommu-map', ...range, physicalAddress: 0, access: 'r' })), {
        pageTable: 588 + 133,
      });
      assert.deepEqual(rows(machine.ok({ op: 'invalidate', scope: 'range', ...range })), { invalidation: 2127 });
      assert.deepEqual(rows(machine.ok({ op: 'iommu-unmap', ...range })), { pageTable: 438 + 133, invalidation: 2127 });
      assert.ok(machine.ok<Cost>({ op: 'attach', device: 'n', domain: 'd' }).costCycles >= 2127);
      assert.ok(machine.ok<Cost>({ op: 'detach', device: 'n' }).costCycles >= 2127);
    });

    test('passthrough maps for nothing', () => {
      const machine = machineOf(profile, 'strict', 'rbtree', { mode: 'passthrough' });
      const mapped = machine.map('n', { buffer: machine.buffer(8192) });
      assert.deepEqual([mapped.costCycles, machine.unmap(mapped.id).costCycles], [0, 0]);
    });
  });

describe('cost profiles', () => {
  test('an override replaces one step and takes it off the assumptions', () => {
    const machine = machineOf('riommu15-mlx', 'strict', 'bitmap', {
      overrides: { invalidation: 100.125, bitmapFree: 1 },
    });
    const { id } = machine.map('n', { buffer: machine.buffer(4096) });
    const unmapped = machine.unmap(id);
    assert.deepEqual(rows(unmapped), { iovaFree: 1, pageTable: 438, invalidation: 100.125, other: 26 });
    assert.ok(!unmapped.assumptions?.includes('bitmapFree'));
    assert.throws(
      () => machineOf('riommu15-mlx', 'strict', 'bitmap', { overrides: { nonsense: 1 } }),
      /overrides\/nonsense/,
    );
    assert.throws(() => machineOf('nonsense', 'strict'), /costs\/profile/);
  });

  test('the clock is the profile’s unless given, and time is the sum rounded half up once', () => {
    const dice = new Dice(8);
    for (const cpuGhz of [undefined, 2.4, 0.7, 3.333]) {
      const machine = machineOf('riommu15-mlx', 'deferred-2008', 'rbtree-2008', cpuGhz === undefined ? {} : { cpuGhz });
      const milliGhz = BigInt(Math.round((cpuGhz ?? 3.1) * 1000));
      const buffer = machine.buffer(64 * 4096);
      for (let i = 0; i < 300; i++) {
        let before = BigInt(machine.sim.timePs);
        const took = (cost: Cost) => {
          const milliCycles = BigInt(Math.round(cost.costCycles * 1000));
          const expected = (2n * milliCycles * 1000n + milliGhz) / (2n * milliGhz);
          assert.equal(BigInt(machine.sim.timePs) - before, expected);
          assert.equal(BigInt(cost.timeNs), BigInt(machine.sim.timePs) / 1000n);
          before = BigInt(machine.sim.timePs);
        };
        const mapped = machine.map('n', { buffer, lengthBytes: 4096 * (1 + dice.below(64)) });
        took(mapped);
        took(machine.unmap(mapped.id));
      }
    }
  });

  test('interactive operations on different CPUs never wait for a lock', () => {
    const machine = machineOf('riommu15-mlx', 'deferred-2008');
    const buffer = machine.buffer(4096);
    for (let i = 0; i < 40; i++) {
      const mapped = machine.map('n', { buffer, cpu: i % 4 });
      assert.equal(mapped.breakdown.lockWait, 0);
      assert.equal(machine.unmap(mapped.id, (i + 1) % 4).breakdown.lockWait, 0);
    }
    assert.ok(machine.metrics().locks.every(({ waits }) => waits === 0));
  });

  test('every number has a source; assumptions have a range and a reason', () => {
    for (const profile of ['riommu15-mlx', 'riommu15-brcm']) {
      const { steps } = machineOf(profile, 'strict').sim.profile;
      for (const [name, { cycles, source, range, why }] of Object.entries(steps)) {
        assert.ok(source.length > 0, name);
        if (source !== 'assumption') continue;
        assert.ok(why && range?.length === 2 && range[0]! <= cycles && cycles <= range[1]!, name);
      }
    }
  });

  test('CPUs are never busier than the time there was', () => {
    const machine = machineOf('riommu15-mlx', 'strict');
    const buffer = machine.buffer(4096);
    for (let i = 0; i < 10; i++) machine.unmap(machine.map('n', { buffer }).id);
    for (const utilisation of machine.metrics().cpuUtilisation) assert.ok(utilisation <= 1, `${utilisation}`);
  });
});
