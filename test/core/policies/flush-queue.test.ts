/** flush-queue: when it flushes, when addresses come back, and how long a page stays reachable. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine, type Mapped } from '../build.ts';

const MS = 1_000_000;

const queued = (fields: Record<string, unknown> = {}, cpus = 4) =>
  new Machine({
    machine: { cpus },
    policy: { invalidation: { kind: 'flush-queue', ...fields } },
    iommu: { iotlb: { entries: 1024, ways: 0 } },
    devices: [
      { name: 'n', kind: 'custom' },
      { name: 'm', kind: 'custom' },
    ],
  });

const page = (machine: Machine, device = 'n') => machine.map(device, { buffer: machine.buffer(4096) });
const allocated = (machine: Machine, domain = 0) => machine.sim.domains[domain]!.allocator!.liveRanges;

describe('a ring', () => {
  test('holds 255; the next unmap on that CPU flushes the domain and frees them all', () => {
    const machine = queued();
    for (let i = 0; i < 255; i++) machine.unmap(page(machine).id, 1);
    const { counters } = machine.sim;
    assert.deepEqual([counters.flushesFull, counters.invalidationsDomain, allocated(machine)], [0, 0, 255]);
    machine.unmap(page(machine).id, 1);
    assert.deepEqual([counters.flushesFull, counters.invalidationsDomain, allocated(machine)], [1, 1, 1]);
    assert.equal(machine.sim.policy.queued, 1);
  });

  test('is one CPU’s: the others’ entries are covered by its flush, and freed at their own next unmap', () => {
    const machine = queued();
    machine.unmap(page(machine).id, 2);
    machine.unmap(page(machine).id, 3);
    for (let i = 0; i < 256; i++) machine.unmap(page(machine).id, 1);
    assert.equal(machine.sim.counters.flushesFull, 1);
    assert.equal(machine.sim.policy.queued, 3);
    machine.unmap(page(machine).id, 2);
    assert.equal(machine.sim.policy.queued, 3, 'the covered one went, the new one came');
    assert.equal(machine.sim.counters.entriesFlushed, 256);
  });

  test('is one domain’s: the other domain is not flushed', () => {
    const machine = queued();
    const other = page(machine, 'm');
    machine.touch('m', other.iova);
    machine.unmap(other.id, 1);
    for (let i = 0; i < 256; i++) machine.unmap(page(machine).id, 1);
    assert.equal(machine.touch('m', other.iova).verdict, 'stale');
    assert.deepEqual([allocated(machine, 0), allocated(machine, 1)], [1, 1]);
  });
});

describe('the timer', () => {
  test('fires 10 ms after the first entry, flushes once and frees the rings of all CPUs', () => {
    const machine = queued();
    for (const cpu of [0, 1, 2, 3]) machine.unmap(page(machine).id, cpu);
    machine.advance(9.9 * MS);
    assert.equal(machine.sim.policy.queued, 4);
    assert.equal(machine.advance(0.2 * MS), 1);
    assert.deepEqual([machine.sim.policy.queued, allocated(machine)], [0, 0]);
    assert.equal(machine.sim.counters.invalidationsDomain, 1);
    assert.equal(machine.advance(100 * MS), 0, 'an idle machine arms none');
  });

  test('is not moved by a ring that fills up: it flushes again', () => {
    const machine = queued();
    for (let i = 0; i < 256; i++) machine.unmap(page(machine).id, 1);
    machine.advance(11 * MS);
    assert.deepEqual([machine.sim.counters.flushesFull, machine.sim.counters.flushesTimer], [1, 1]);
  });

  test('single: one ring of 32,768 and one second', () => {
    const machine = queued({ single: true });
    for (let i = 0; i < 1000; i++) machine.unmap(page(machine).id, i % 4);
    machine.advance(900 * MS);
    assert.equal(machine.sim.policy.queued, 1000);
    machine.advance(101 * MS);
    assert.equal(machine.sim.policy.queued, 0);
    assert.equal(machine.sim.policy.capacity, 32_767);
  });
});

describe('safety', () => {
  test('over random traffic no address comes back before its flush, and no window is longer than 10 ms plus operation and flush', () => {
    const machine = queued();
    const dice = new Dice(5);
    const live: Mapped[] = [];
    let longestNs = 0;
    for (let step = 0; step < 8000; step++) {
      const before = machine.sim.timeNs;
      if (live.length === 0 || (live.length < 60 && dice.chance(2))) {
        const mapped = page(machine);
        live.push(mapped);
        assert.equal(machine.touch('n', mapped.iova).verdict, 'ok', `step ${step}`);
      } else {
        const [mapped] = live.splice(dice.below(live.length), 1);
        machine.touch('n', mapped!.iova);
        machine.unmap(mapped!.id, dice.below(4));
      }
      longestNs = Math.max(longestNs, machine.sim.timeNs - before);
      if (dice.chance(40)) machine.advance(dice.below(2 * MS));
    }
    const { longestWindowNs, windows } = machine.metrics().exposure.potential;
    assert.ok(windows > 3000);
    assert.ok(machine.sim.counters.flushesTimer > 3);
    assert.ok(longestWindowNs > 5 * MS, `${longestWindowNs}`);
    // A flush is part of the longest operation.
    assert.ok(longestWindowNs <= 10 * MS + 2 * longestNs, `${longestWindowNs}, operations up to ${longestNs}`);
  });

  test('table pages that went with an unmap go back at the flush of their own domain', () => {
    const machine = queued();
    const large = machine.map('n', { buffer: machine.buffer(1024 * 4096) });
    const { tables } = machine.sim;
    machine.unmap(large.id);
    const held = tables.unlinkedTables;
    assert.ok(held > 0);
    for (let i = 0; i < 256; i++) machine.unmap(page(machine, 'm').id, 1);
    assert.equal(machine.sim.counters.flushesFull, 1);
    assert.equal(tables.unlinkedTables, held);
    machine.advance(11 * MS);
    assert.equal(tables.unlinkedTables, 0);
  });

  test('a device that moves away takes its domain’s flush along', () => {
    const machine = queued();
    const mapped = page(machine);
    machine.touch('n', mapped.iova);
    machine.unmap(mapped.id);
    machine.ok({ op: 'domain', name: 'd' });
    machine.ok({ op: 'attach', device: 'n', domain: 'd' });
    assert.equal(machine.sim.policy.queued, 0);
    assert.equal(machine.sim.counters.flushesExplicit, 1);
    assert.equal(machine.advance(20 * MS), 0, 'its timer is nobody’s');
  });
});
