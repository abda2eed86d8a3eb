/** delayed, in its ia64 form: PTEs that stand until the 64th unmap, and what the oracle says of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../build.ts';

const MS = 1_000_000;
const PAGE = 4096;

const ia64 = (fields: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  new Machine({
    policy: {
      allocator: { kind: 'sba-ia64', ...(fields.allocator as object) },
      invalidation: { kind: 'delayed', form: 'ia64', ...(fields.invalidation as object) },
    },
    devices: [{ name: 'n', kind: 'custom' }],
    ...spec,
  });

const page = (machine: Machine) => machine.map('n', { buffer: machine.buffer(PAGE) });
const allocated = (machine: Machine) => machine.sim.domains[0]!.allocator!.liveRanges;

describe('the batch', () => {
  test('has 64 entries where the parisc form has 16, and as many as are asked for in both', () => {
    const sizeOf = (invalidation: Record<string, unknown>) =>
      new Machine({ policy: { invalidation } }).sim.policy.capacity;
    assert.equal(sizeOf({ kind: 'delayed' }), 16);
    assert.equal(sizeOf({ kind: 'delayed', form: 'ia64' }), 64);
    assert.equal(sizeOf({ kind: 'delayed', form: 'ia64', entries: 16 }), 16);
    assert.equal(sizeOf({ kind: 'delayed', entries: 64 }), 64);
    assert.equal(
      new Machine({ policy: { invalidation: { kind: 'delayed', form: 'ia64' } } }).sim.spec.policy.invalidation.entries,
      64,
    );
  });

  test('leaves PTE, cached translation and address as they are until the 64th; then all go, the newest address first', () => {
    const machine = ia64();
    const { sim } = machine;
    const freed = machine.watchFrees();
    const mapped = Array.from({ length: 64 }, () => page(machine));
    for (const { iova } of mapped.slice(0, 10)) machine.touch('n', iova);
    for (const { id } of mapped.slice(0, 63)) assert.equal(machine.unmap(id).exposed, true);
    assert.deepEqual([sim.counters.ptesCleared, sim.counters.invalidationsRange, freed.length], [0, 0, 0]);
    for (const { iova } of mapped) {
      const { verdict } = machine.touch('n', iova);
      assert.equal(verdict, iova === mapped[63]!.iova ? 'ok' : 'stale');
    }
    assert.equal(machine.unmap(mapped[63]!.id).exposed, false, 'the 64th is purged before it returns');
    assert.deepEqual(freed, mapped.map(({ iova }) => Number(iova) / PAGE).reverse());
    assert.deepEqual([sim.counters.ptesCleared, sim.counters.invalidationsRange, sim.policy.queued], [64, 64, 0]);
    for (const { iova } of mapped) assert.equal(machine.touch('n', iova).verdict, 'fault');
    assert.equal(sim.counters.flushesBatch, 1);
  });

  test('waits once for all purges', () => {
    const machine = ia64();
    const mapped = Array.from({ length: 64 }, () => page(machine));
    const costs = mapped.map(({ id }) => machine.unmap(id).breakdown);
    const { invalidation, pageTable } = costs[0]!;
    assert.deepEqual([invalidation, pageTable], [9, 0], 'noted, and nothing cleared');
    assert.equal(costs[63]!.invalidation, 9 + 2127);
    assert.equal(costs[63]!.pageTable, 64 * 438);
  });

  test('has no timer: an idle device leaves it where it is, and within reach', () => {
    const machine = ia64();
    const { id, iova } = page(machine);
    machine.unmap(id);
    assert.equal(machine.advance(3600 * 1000 * MS), 0);
    assert.equal(machine.touch('n', iova).verdict, 'stale');
    const { potential, actual } = machine.metrics().exposure;
    assert.ok(actual.pageSeconds > 3599 && actual.pageSeconds === potential.pageSeconds);
    machine.ok({ op: 'detach', device: 'n' });
    assert.deepEqual([machine.sim.policy.queued, machine.sim.counters.ptesCleared], [0, 1]);
    assert.equal(machine.metrics().exposure.potential.currentPages, 0);
  });
});

describe('a PTE that stands', () => {
  test('serves a device that never cached it: stale by pte, where other policies fault', () => {
    const machine = ia64();
    const { id, iova } = page(machine);
    machine.unmap(id);
    const { verdict, cause, from } = machine.touch('n', iova);
    assert.deepEqual([verdict, cause, from], ['stale', 'pte', 'walk']);
    const again = machine.touch('n', iova);
    assert.deepEqual([again.verdict, again.cause], ['stale', 'iotlb']);
    const parisc = new Machine({
      policy: { invalidation: { kind: 'delayed' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const other = page(parisc);
    parisc.unmap(other.id);
    assert.equal(parisc.touch('n', other.iova).verdict, 'fault');
  });

  test('leads to whoever has the frame by then: another buffer, another tenant', () => {
    const machine = ia64(
      {},
      {
        tenants: [
          { name: 'a', kind: 'vm' },
          { name: 'b', kind: 'vm' },
        ],
      },
    );
    const lost = (next: string) => {
      const buffer = machine.buffer(PAGE, { tenant: 'a' });
      const { id, iova } = machine.map('n', { buffer });
      machine.unmap(id);
      machine.ok({ op: 'free', buffer });
      const taken = machine.buffer(PAGE, { tenant: next });
      return { ...machine.touch('n', iova), taken };
    };
    const reused = lost('a');
    assert.deepEqual([reused.verdict, reused.cause], ['stale-reused', 'pte']);
    const crossed = lost('b');
    assert.deepEqual([crossed.verdict, crossed.cause], ['stale-cross-tenant', 'pte']);
  });

  test('is not ended by an invalidation: what is walked anew is not gone', () => {
    const machine = ia64();
    const { id, iova } = page(machine);
    machine.touch('n', iova);
    machine.unmap(id);
    machine.ok({ op: 'invalidate', scope: 'global' });
    machine.ok({ op: 'invalidate', scope: 'domain', domain: 'dom_0' });
    machine.ok({ op: 'invalidate', scope: 'range', domain: 'dom_0', iova, lengthBytes: PAGE });
    assert.equal(machine.metrics().exposure.potential.currentPages, 1);
    assert.equal(machine.metrics().exposure.actual.currentPages, 1);
    assert.equal(machine.touch('n', iova).verdict, 'stale');
  });

  test('hands its window over to what is cached of it, which ends with the purge', () => {
    const machine = ia64({ invalidation: { entries: 3 } });
    const mapped = Array.from({ length: 3 }, () => page(machine));
    machine.touch('n', mapped[0]!.iova);
    // A driver that clears and forgets to purge: the window goes on for what is cached and ends for what is not.
    const { unit } = machine.sim;
    const range = unit.range.bind(unit);
    unit.range = () => {};
    for (const { id } of mapped) machine.unmap(id);
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.currentPages, actual.currentPages], [3, 1]);
    assert.deepEqual(
      mapped.map(({ iova }) => machine.touch('n', iova).verdict),
      ['stale', 'fault', 'fault'],
    );
    unit.range = range;
    machine.ok({ op: 'invalidate', scope: 'global' });
    assert.equal(machine.metrics().exposure.potential.currentPages, 0);
  });

  test('is in the way of iommu-map and of iommu-unmap', () => {
    const machine = ia64();
    const { id, iova } = page(machine);
    machine.unmap(id);
    const range = { domain: 'dom_0', iova, lengthBytes: PAGE };
    machine.refused({ op: 'iommu-map', ...range, physicalAddress: '0x200000', access: 'r' }, 'overlap', '/iova');
    machine.refused({ op: 'iommu-unmap', ...range }, 'overlap', '/iova');
    machine.refused({ op: 'iommu-unmap', ...range, iova: '0x0', lengthBytes: 2 ** 30 }, 'overlap', '/iova');
    const again = machine.ok<{ misuse: { check: string }[] }>({
      op: 'unmap',
      device: 'n',
      iova,
      lengthBytes: PAGE,
      direction: 'bidirectional',
    });
    assert.deepEqual(
      again.misuse.map(({ check }) => check),
      ['not-mapped'],
    );
  });

  test('stands for every page of a long range', () => {
    const machine = ia64();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(100 * PAGE) });
    machine.unmap(id);
    const { pages } = machine.dma('n', iova, 'write', 100 * PAGE);
    assert.ok(pages.every(({ verdict, cause }) => verdict === 'stale' && cause === 'pte'));
    assert.equal(machine.metrics().exposure.actual.peakPages, 100);
  });
});

describe('an allocation that finds nothing', () => {
  const full = (kind: string, form: string) => {
    const machine = new Machine({
      policy: { allocator: { kind, entries: 256 }, invalidation: { kind: 'delayed', form, entries: 200 } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const buffer = machine.buffer(PAGE);
    const mapped = Array.from({ length: 255 }, () => machine.map('n', { buffer }));
    for (const { id } of mapped.slice(0, 150)) machine.unmap(id);
    return { machine, buffer };
  };

  test('of sba-ia64 purges and frees what is held back, and tries a third time', () => {
    const { machine, buffer } = full('sba-ia64', 'ia64');
    const before = machine.sim.counters.wordsScanned;
    const { breakdown } = machine.map('n', { buffer });
    assert.equal(machine.sim.policy.queued, 0);
    assert.equal(machine.sim.counters.flushesExplicit, 1);
    assert.equal(allocated(machine), 255 - 150 + 1);
    // From the hint in the last of four words, over all four, and one word of the third pass.
    assert.equal(machine.sim.counters.wordsScanned - before, 1 + 4 + 1);
    assert.ok(breakdown.iovaFree! > 0 && breakdown.invalidation! >= 2127);
    assert.equal(machine.sim.counters.allocationFailures, 0);
  });

  test('of sba-ia64 over the other form of the list gives up: that is parisc’s, which nobody drains', () => {
    const { machine, buffer } = full('sba-ia64', 'parisc');
    machine.fails({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer }, 'iova-exhausted');
    assert.equal(machine.sim.policy.queued, 150);
  });

  test('of sba-parisc gives up', () => {
    const { machine, buffer } = full('sba-parisc', 'ia64');
    machine.fails({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer }, 'iova-exhausted');
    assert.equal(machine.sim.policy.queued, 150);
  });
});

test('over random traffic every address waits for its purge: honest accesses are never misdirected', () => {
  const machine = ia64({ invalidation: { entries: 10 } }, { iommu: { iotlb: { entries: 1024, ways: 0 } } });
  const dice = new Dice(2);
  const buffers = Array.from({ length: 40 }, () => machine.buffer(PAGE));
  const live: { id: string; iova: string }[] = [];
  for (let step = 0; step < 5000; step++) {
    if (live.length < 5 || (live.length < 30 && dice.chance(2))) {
      const mapped = machine.map('n', { buffer: dice.pick(buffers) });
      live.push(mapped);
      assert.equal(machine.touch('n', mapped.iova).verdict, 'ok', `step ${step}`);
    } else machine.unmap(live.splice(dice.below(live.length), 1)[0]!.id);
  }
  assert.ok(machine.sim.counters.flushesBatch > 100);
});
