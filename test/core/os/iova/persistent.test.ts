/** persistent: what a map of the same memory saves, what makes room for it, and who reaches the memory meanwhile. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KeptMappings, NO_KEPT } from '../../../../src/core/os/iova/kept-mappings.ts';
import { Dice, Machine } from '../../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

const machineOf = (
  allocator: Record<string, unknown> = {},
  spec: Record<string, unknown> = {},
  invalidation: Record<string, unknown> = { kind: 'strict' },
) =>
  new Machine({
    policy: { allocator: { kind: 'persistent', ...allocator }, invalidation },
    iommu: { iotlb: { entries: 1024, ways: 0 } },
    devices: [{ name: 'n', kind: 'custom' }],
    ...spec,
  });
const inside = (machine: Machine) => machine.read({ read: 'allocator', domain: 'dom_0' }) as Record<string, number>;

describe('a map of the same memory', () => {
  test('finds address and PTEs as they were: no search, no table write, no invalidation', () => {
    const machine = machineOf();
    const buffer = machine.buffer(3 * PAGE);
    const first = machine.map('n', { buffer });
    machine.unmap(first.id);
    const { ptesWritten, ptesCleared, allocationAttempts, invalidationsRange } = machine.sim.counters;
    const again = machine.map('n', { buffer });
    assert.equal(again.iova, first.iova);
    assert.notEqual(again.id, first.id);
    const { counters } = machine.sim;
    assert.deepEqual(
      [counters.ptesWritten, counters.ptesCleared, counters.allocationAttempts, counters.invalidationsRange],
      [ptesWritten, ptesCleared, allocationAttempts, invalidationsRange],
    );
    assert.equal(again.costCycles, 92 + 44);
    assert.deepEqual([inside(machine).keptHits, inside(machine).keptMisses], [1, 1]);
    assert.equal(machine.touch('n', again.iova).verdict, 'ok');
    assert.equal(machine.metrics().exposure.potential.currentPages, 0, 'its window is over');
  });

  test('must be of all of it, with the same permission, within the device’s reach', () => {
    const machine = machineOf(
      {},
      {
        domains: [{ name: 'd' }],
        devices: [
          { name: 'n', kind: 'custom', domain: 'd' },
          { name: 'narrow', kind: 'custom', domain: 'd', dmaMaskBits: 31 },
        ],
      },
    );
    const buffer = machine.buffer(2 * PAGE);
    const whole = machine.map('n', { buffer });
    machine.unmap(whole.id);
    for (const other of [
      machine.map('n', { buffer, lengthBytes: PAGE }),
      machine.map('n', { buffer, offsetBytes: PAGE }),
      machine.map('n', { buffer, direction: 'to-device' }),
      machine.map('narrow', { buffer }),
    ])
      assert.notEqual(other.iova, whole.iova);
    assert.equal(inside(machine).keptHits, 0);
    // Bytes do not matter, pages do.
    const part = machine.map('n', { buffer, offsetBytes: 100, lengthBytes: 2 * PAGE - 200 });
    assert.equal(Number(part.iova), Number(whole.iova) + 100);
    assert.equal(inside(machine).keptHits, 1);
    assert.equal(machine.touch('n', part.iova, 'write', 64).verdict, 'ok');
    assert.equal(machine.touch('n', whole.iova, 'write', 64).verdict, 'subpage');
  });

  test('may come from a list in one run; lists in pieces and coherent memory are not kept', () => {
    const machine = machineOf();
    const buffer = machine.buffer(2 * PAGE);
    const { id, iova } = machine.map('n', { buffer });
    machine.unmap(id);
    const list = (segments: { buffer: string; offsetBytes?: number; lengthBytes?: number }[]) =>
      machine.ok<{ id: string; iova: string }>({
        op: 'map',
        device: 'n',
        kind: 'sg',
        direction: 'bidirectional',
        segments,
      });
    const run = list([
      { buffer, lengthBytes: PAGE },
      { buffer, offsetBytes: PAGE, lengthBytes: PAGE },
    ]);
    assert.equal(run.iova, iova);
    machine.unmap(run.id);
    assert.equal(inside(machine).keptMappings, 1);
    const pieces = list([
      { buffer, offsetBytes: PAGE, lengthBytes: PAGE },
      { buffer, lengthBytes: PAGE },
    ]);
    assert.equal(machine.unmap(pieces.id).exposed, false);
    const coherent = machine.map('n', { kind: 'coherent', lengthBytes: PAGE });
    assert.equal(machine.unmap(coherent.id).exposed, false);
    assert.equal(inside(machine).keptMappings, 1);
  });

  test('asks a caching-mode hypervisor for nothing', () => {
    const machine = machineOf({}, { iommu: { invalidation: { cachingMode: true } } });
    const buffer = machine.buffer(PAGE);
    machine.unmap(machine.map('n', { buffer }).id);
    const { descriptors } = machine.sim.counters;
    assert.ok(descriptors > 0);
    machine.map('n', { buffer });
    assert.equal(machine.sim.counters.descriptors, descriptors);
  });
});

describe('what is kept', () => {
  test('makes room from its oldest end, torn down as the policy has it', () => {
    const machine = machineOf({ keptMappings: 3 });
    const buffers = Array.from({ length: 5 }, () => machine.buffer(PAGE));
    const mapped = buffers.map((buffer) => machine.map('n', { buffer }));
    for (const { iova } of mapped) machine.touch('n', iova);
    for (const { id } of mapped) assert.equal(machine.unmap(id).exposed, true);
    assert.deepEqual([inside(machine).keptMappings, inside(machine).keptEvicted], [3, 2]);
    assert.deepEqual(
      mapped.map(({ iova }) => machine.touch('n', iova).verdict),
      ['fault', 'fault', 'stale', 'stale', 'stale'],
    );
    assert.equal(machine.sim.counters.invalidationsRange, 2);
    assert.equal(inside(machine).liveRanges, 3);
  });

  test('goes when its time is over, and no sooner', () => {
    const machine = machineOf({ keptTimeoutMs: 10 });
    const mapped = [0, 4, 8].map((ms) => {
      machine.advance(Math.max(0, ms * MS - machine.sim.timeNs));
      const one = machine.map('n', { buffer: machine.buffer(PAGE) });
      machine.unmap(one.id);
      return one;
    });
    const verdicts = () => mapped.map(({ iova }) => machine.touch('n', iova).verdict);
    machine.advance(9.9 * MS - machine.sim.timeNs);
    assert.deepEqual(verdicts(), ['stale', 'stale', 'stale']);
    machine.advance(10.1 * MS - machine.sim.timeNs);
    assert.deepEqual(verdicts(), ['fault', 'stale', 'stale']);
    machine.advance(14.1 * MS - machine.sim.timeNs);
    assert.deepEqual(verdicts(), ['fault', 'fault', 'stale']);
    machine.advance(20 * MS);
    assert.deepEqual(verdicts(), ['fault', 'fault', 'fault']);
    assert.deepEqual([inside(machine).keptExpired, inside(machine).liveRanges], [3, 0]);
    assert.equal(machine.advance(100 * MS), 0, 'nothing kept, no timer');
    const { longestWindowNs } = machine.metrics().exposure.potential;
    assert.ok(longestWindowNs >= 10 * MS && longestWindowNs < 10.01 * MS, `${longestWindowNs}`);
  });

  test('never expires by default', () => {
    const machine = machineOf();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(PAGE) });
    machine.unmap(id);
    assert.equal(machine.advance(3600 * 1000 * MS), 0);
    assert.equal(machine.touch('n', iova).verdict, 'stale');
  });

  test('goes with a device that leaves the domain, and with the domain', () => {
    const machine = machineOf();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(PAGE) });
    machine.touch('n', iova);
    machine.unmap(id);
    machine.ok({ op: 'detach', device: 'n' });
    assert.deepEqual(
      [inside(machine).keptMappings, inside(machine).liveRanges, inside(machine).keptDrained],
      [0, 0, 1],
    );
    assert.equal(machine.metrics().exposure.potential.currentPages, 0);
    assert.equal(machine.sim.iotlb.probe(0, Number(iova) / PAGE), -1);
  });

  test('is in the way of iommu-map and of iommu-unmap', () => {
    const machine = machineOf();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(PAGE) });
    machine.unmap(id);
    const range = { domain: 'dom_0', iova, lengthBytes: PAGE };
    machine.refused({ op: 'iommu-map', ...range, physicalAddress: '0x200000', access: 'r' }, 'overlap', '/iova');
    machine.refused({ op: 'iommu-unmap', ...range }, 'overlap', '/iova');
  });

  test('waits for the flush of a deferring policy once it is torn down', () => {
    const machine = machineOf({ keptMappings: 1 }, {}, { kind: 'deferred-2008' });
    const mapped = [0, 1].map(() => machine.map('n', { buffer: machine.buffer(PAGE) }));
    for (const { iova } of mapped) machine.touch('n', iova);
    for (const { id } of mapped) machine.unmap(id);
    // The first was torn down: its PTE is gone, its entry is cached, its address waits.
    assert.deepEqual([machine.sim.policy.queued, inside(machine).liveRanges], [1, 2]);
    assert.deepEqual(
      mapped.map(({ iova }) => machine.touch('n', iova).verdict),
      ['stale', 'stale'],
    );
    machine.advance(11 * MS);
    assert.deepEqual(
      mapped.map(({ iova }) => machine.touch('n', iova).verdict),
      ['fault', 'stale'],
    );
  });
});

describe('its pathology, under strict', () => {
  test('the frame goes to another tenant and the device still reaches it', () => {
    const machine = machineOf(
      {},
      {
        tenants: [
          { name: 'a', kind: 'vm' },
          { name: 'b', kind: 'vm' },
        ],
      },
    );
    const buffer = machine.buffer(PAGE, { tenant: 'a' });
    const { id, iova } = machine.map('n', { buffer });
    machine.unmap(id);
    machine.ok({ op: 'free', buffer });
    const theirs = machine.buffer(PAGE, { tenant: 'b' });
    const { verdict, cause, from } = machine.touch('n', iova);
    assert.deepEqual([verdict, cause, from], ['stale-cross-tenant', 'pte', 'walk']);
    machine.ok({ op: 'free', buffer: theirs });
    machine.buffer(PAGE, { tenant: 'a' });
    assert.equal(machine.touch('n', iova).verdict, 'stale-reused');
  });

  test('a driver whose buffers never come back pays for keeping and for tearing down', () => {
    const costOf = (kind: string, again: boolean) => {
      const machine = new Machine({
        policy: {
          allocator: { kind, ...(kind === 'persistent' && { keptMappings: 16 }) },
          invalidation: { kind: 'strict' },
        },
        devices: [{ name: 'n', kind: 'custom' }],
      });
      const buffers = Array.from({ length: again ? 8 : 2000 }, () => machine.buffer(PAGE));
      let cycles = 0;
      for (let i = 0; i < 2000; i++) {
        const { id, costCycles } = machine.map('n', { buffer: buffers[i % buffers.length]! });
        cycles += costCycles + machine.unmap(id).costCycles;
      }
      return cycles / 2000;
    };
    assert.ok(costOf('persistent', true) < costOf('rbtree', true) / 5);
    assert.ok(costOf('persistent', false) > costOf('rbtree', false));
  });
});

test('the hit rate of optimistic teardown follows the driver’s pool: all of it fits, or none of it comes back in time', () => {
  const hitRate = (pool: number) => {
    const machine = machineOf({ keptMappings: 256 });
    const buffers = Array.from({ length: pool }, () => machine.buffer(PAGE));
    for (let i = 0; i < 4 * pool; i++) machine.unmap(machine.map('n', { buffer: buffers[i % pool]! }).id);
    const { keptHits, keptMisses } = inside(machine);
    return keptHits! / (keptHits! + keptMisses!);
  };
  assert.equal(hitRate(256), 3 / 4);
  assert.equal(hitRate(257), 0);
});

test('the columns keep what a plain list keeps', () => {
  const kept = new KeptMappings(40);
  const list: { page: number; frame: number; pages: number; permission: number; since: number }[] = [];
  const dice = new Dice(4);
  let hits = 0;
  for (let step = 0; step < 20_000; step++) {
    const frame = dice.below(12) + (dice.chance(3) ? 2 ** 38 : 0);
    const pages = 1 + dice.below(2);
    const permission = 1 + dice.below(3);
    const choice = dice.below(10);
    if (choice < 5) {
      if (kept.full) {
        const slot = kept.first;
        const oldest = list.shift()!;
        assert.deepEqual(
          [kept.pageOf(slot), kept.pagesOf(slot), kept.sinceOf(slot)],
          [oldest.page, oldest.pages, oldest.since],
        );
        kept.remove(slot);
      }
      kept.keep(step + 1, frame, pages, permission, step);
      list.push({ page: step + 1, frame, pages, permission, since: step });
    } else {
      const lastPfn = dice.chance(2) ? step - 20 : 2 ** 36;
      const at = list.findLastIndex(
        (each) =>
          each.frame === frame &&
          each.pages === pages &&
          each.permission === permission &&
          each.page + pages - 1 <= lastPfn,
      );
      const found = kept.take(frame, pages, permission, lastPfn);
      assert.equal(found, at < 0 ? NO_KEPT : list[at]!.page);
      if (at >= 0) {
        list.splice(at, 1);
        hits++;
      }
    }
    assert.equal(kept.count, list.length);
    assert.equal(
      kept.pagesKept,
      list.reduce((sum, each) => sum + each.pages, 0),
    );
    const [from, to] = [step - 30, step - 25];
    assert.equal(
      kept.holds(from, to),
      list.some((each) => each.page <= to && each.page + each.pages - 1 >= from),
    );
  }
  assert.ok(hits > 1000);
});
