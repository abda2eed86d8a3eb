/** What the bitmaps of the platforms do under `wrap` about a slot that is freed ahead of the cursor. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine, type Mapped } from '../build.ts';

const ENTRIES = 512;

const withBitmap = (kind: string, fields: Record<string, unknown> = {}) =>
  new Machine({
    policy: {
      invalidation: { kind: 'wrap' },
      allocator: kind === 'bitmap' ? { kind, apertureBytes: 2 ** 21 } : { kind, entries: ENTRIES, ...fields },
    },
    // So large that an entry goes only by invalidation.
    iommu: { iotlb: { entries: 1024, ways: 0 } },
    devices: [{ name: 'n', kind: 'custom' }],
  });

const page = (machine: Machine, buffer = machine.buffer(4096)) => machine.map('n', { buffer, lengthBytes: 4096 });

/** Random maps, accesses and unmaps of single pages; what honest accesses met. */
function traffic(kind: string): { misdirected: number; ok: number; machine: Machine } {
  const machine = withBitmap(kind);
  const dice = new Dice(7);
  const buffers = Array.from({ length: 96 }, () => machine.buffer(4096));
  const live: Mapped[] = [];
  let misdirected = 0;
  let ok = 0;
  for (let step = 0; step < 10_000; step++) {
    if (live.length < 20 || (live.length < 90 && dice.chance(2))) {
      const mapped = page(machine, buffers[step % 96]!);
      live.push(mapped);
      const { verdict } = machine.touch('n', mapped.iova);
      if (verdict === 'ok') ok++;
      else if (verdict === 'misdirected') misdirected++;
      else assert.fail(`${kind}, step ${step}: ${verdict}`);
    } else {
      // Used to the last, so that it is cached again though a lap has flushed it.
      const [mapped] = live.splice(dice.below(live.length), 1);
      machine.touch('n', mapped!.iova);
      machine.unmap(mapped!.id);
    }
  }
  return { misdirected, ok, machine };
}

describe('the lap hole', () => {
  for (const kind of ['bitmap', 'sba-parisc', 'sba-ia64', 'sparc-pools'])
    test(`${kind} has it: honest accesses reach the wrong page`, () => {
      const { misdirected, ok } = traffic(kind);
      assert.ok(misdirected > 10 && ok > 1000, `${misdirected} misdirected, ${ok} ok`);
    });

  for (const kind of ['gart', 'alpha', 'amd-2008'])
    test(`${kind} does not have it, for what it does about such a free`, () => {
      const { misdirected, machine } = traffic(kind);
      assert.equal(misdirected, 0);
      assert.ok(machine.sim.counters.flushesWrap > 5);
    });
});

describe('a slot freed ahead of the cursor', () => {
  /** The cursor has wrapped and stands behind the first slots; the tenth lies ahead of it. */
  function aheadOfCursor(kind: string): { machine: Machine; ahead: Mapped } {
    const machine = withBitmap(kind);
    const first = Array.from({ length: 10 }, () => page(machine));
    machine.unmap(first[0]!.id);
    for (;;) {
      const mapped = page(machine);
      if (machine.sim.counters.flushesWrap === 1) break;
      machine.unmap(mapped.id);
    }
    return { machine, ahead: first[9]! };
  }

  test('gart: the cursor jumps behind it, so that it waits for the next lap', () => {
    const machine = withBitmap('gart');
    const [a, b, c] = [page(machine), page(machine), page(machine)];
    machine.unmap(c.id);
    assert.equal(Number(page(machine).iova), Number(c.iova) + 4096, 'not the slot that was freed last');
    machine.unmap(a.id);
    machine.unmap(b.id);
    assert.equal(Number(page(machine).iova), Number(c.iova) + 2 * 4096);
  });

  for (const kind of ['alpha', 'amd-2008'])
    test(`${kind}: just its range is flushed, in the unmap`, () => {
      const machine = withBitmap(kind);
      const mapped = page(machine);
      machine.touch('n', mapped.iova);
      const kept = page(machine);
      machine.touch('n', kept.iova);
      const { invalidationsRange } = machine.sim.counters;
      machine.unmap(mapped.id);
      assert.equal(machine.sim.counters.invalidationsRange, invalidationsRange, 'behind the cursor: nothing');
      assert.equal(machine.touch('n', mapped.iova).verdict, 'stale');
      const { machine: lap, ahead } = aheadOfCursor(kind);
      lap.touch('n', ahead.iova);
      const before = lap.sim.counters.invalidationsRange;
      const { exposed } = lap.unmap(ahead.id);
      assert.equal(exposed, false);
      assert.equal(lap.sim.counters.invalidationsRange, before + 1);
      assert.equal(lap.touch('n', ahead.iova).verdict, 'fault');
    });

  test('amd-2008 flushes its domain after a wrap, the others everything', () => {
    for (const [kind, counter] of [
      ['amd-2008', 'invalidationsDomain'],
      ['alpha', 'invalidationsGlobal'],
      ['gart', 'invalidationsGlobal'],
    ] as const) {
      const { machine } = aheadOfCursor(kind);
      assert.equal(machine.sim.counters[counter], 1, kind);
    }
  });
});

describe('a ring that is unmapped in the order in which it was mapped', () => {
  const RING = 64;

  /** Lets a ring go round until the search has wrapped three times more. */
  function threeLaps(kind: string) {
    const machine = withBitmap(kind);
    const ring = Array.from({ length: RING }, () => page(machine));
    const turn = () => {
      machine.unmap(ring.shift()!.id);
      ring.push(page(machine));
    };
    const { counters } = machine.sim;
    const cursor = () => Number(BigInt(ring.at(-1)!.iova) / 4096n);
    let laps = 0;
    while (laps < 3) {
      const before = cursor();
      turn();
      // Under gart the cursor stays among the first pages for as long as the ring leaves the end.
      if (cursor() < before) laps++;
    }
    for (let i = 0; i < RING; i++) turn();
    return counters;
  }

  test('gart flushes everything once for each of its pages that leave the end of the map', () => {
    assert.equal(threeLaps('bitmap').flushesWrap, 3);
    assert.equal(threeLaps('gart').flushesWrap, 3 * RING);
  });

  test('alpha flushes each of them in its unmap, and everything once a lap', () => {
    const { flushesWrap, invalidationsRange } = threeLaps('alpha');
    assert.deepEqual([flushesWrap, invalidationsRange], [3, 3 * (RING - 1)]);
  });

  test('what is freed newest first is behind the cursor and costs alpha nothing', () => {
    const machine = withBitmap('alpha');
    for (let i = 0; i < 3 * ENTRIES; i++) machine.unmap(page(machine).id);
    const { flushesWrap, invalidationsRange } = machine.sim.counters;
    assert.ok(flushesWrap >= 2, `${flushesWrap}`);
    assert.equal(invalidationsRange, 0);
  });
});

describe('pools', () => {
  // Together they need the one lock for longer than a packet takes: 32 times about 150 of its 3,400 cycles.
  const cpus = Array.from({ length: 32 }, (_, cpu) => cpu);
  const waitsOf = (kind: string) => {
    const machine = new Machine({
      machine: { cpus: 32 },
      costs: { profile: 'riommu15-brcm' },
      policy: { invalidation: { kind: 'never' }, allocator: { kind } },
      devices: [{ name: 'n', kind: 'nic' }],
      workloads: [{ kind: 'nic-rx', device: 'n', gbps: 400, queues: 32, ringSize: 64, cpus }],
    });
    machine.run({ forNs: 1_000_000 });
    const locks = machine.metrics().locks.filter(({ name }) => name.startsWith('iova-'));
    return { locks: locks.length, waits: locks.reduce((sum, { waits }) => sum + waits, 0) };
  };

  test('CPUs that wait for one lock under bitmap have locks of their own', () => {
    const one = waitsOf('bitmap');
    const own = waitsOf('sparc-pools');
    assert.deepEqual([one.locks, own.locks], [1, 17], '16 pools and the large one');
    assert.ok(one.waits > 100, `${one.waits}`);
    assert.ok(own.waits < one.waits / 4, `${own.waits} against ${one.waits}`);
  });

  test('powerpc-pools is refused under wrap: its platform has no flush there', () => {
    assert.throws(() => withBitmap('powerpc-pools'), /policy\/invalidation\/kind/);
  });

  test('powerpc-pools: a single page passes over a block of 16', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'powerpc-pools' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    assert.deepEqual(
      [page(machine), page(machine), page(machine)].map(({ iova }) => iova),
      ['0x1000', '0x10000', '0x20000'],
    );
  });
});

describe('pathologies', () => {
  test('amd-2008: a map that fails owes a flush, the next unmap forgets it, and the device reaches the wrong page', () => {
    const machine = withBitmap('amd-2008');
    const [victim, other] = [page(machine), page(machine)];
    machine.touch('n', victim.iova);
    machine.unmap(victim.id);
    const large = machine.buffer(600 * 4096);
    machine.fails(
      { op: 'map', device: 'n', kind: 'single', direction: 'bidirectional', buffer: large },
      'iova-exhausted',
    );
    assert.equal(machine.sim.counters.flushesWrap, 0, 'it wrapped, and has not flushed');
    machine.unmap(other.id);
    const again = page(machine);
    assert.equal(again.iova, victim.iova);
    assert.equal(machine.sim.counters.flushesWrap, 0);
    assert.equal(machine.touch('n', again.iova).verdict, 'misdirected');
  });

  test('sba-ia64: a page that was just freed is handed out again with no lap and no flush', () => {
    const machine = withBitmap('sba-ia64');
    const victim = page(machine);
    machine.touch('n', victim.iova);
    machine.unmap(victim.id);
    const heir = page(machine);
    assert.equal(heir.iova, victim.iova);
    assert.equal(machine.sim.counters.flushesWrap, 0);
    assert.equal(machine.touch('n', heir.iova).verdict, 'misdirected');
  });

  test('gart: fullFlush flushes at every allocation', () => {
    const machine = withBitmap('gart', { fullFlush: true });
    for (let i = 0; i < 5; i++) machine.unmap(page(machine).id);
    assert.equal(machine.sim.counters.flushesWrap, 5);
  });

  test('gart: the first 32 pages are kept back', () => {
    assert.equal(page(withBitmap('gart')).iova, '0x20000');
  });

  test('sba-parisc: single pages scattered over the map leave no room for more than half a word', () => {
    const machine = withBitmap('sba-parisc');
    const all = Array.from({ length: ENTRIES - 1 }, () => page(machine));
    for (const mapped of all.filter((_, nth) => nth % 32 !== 0)) machine.unmap(mapped.id);
    const large = { op: 'map', device: 'n', kind: 'single', direction: 'bidirectional' } as const;
    machine.fails({ ...large, buffer: machine.buffer(33 * 4096) }, 'iova-exhausted');
    machine.map('n', { buffer: machine.buffer(16 * 4096) });
  });

  test('amd-2008: a device without room makes all its ranges before it gives up', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'amd-2008' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const ranges = () => (machine.read({ read: 'allocator', domain: 'dom_0' }) as { ranges?: number }).ranges;
    page(machine);
    assert.equal(ranges(), 1);
    const large = machine.buffer(40_000 * 4096);
    machine.fails(
      { op: 'map', device: 'n', kind: 'single', direction: 'bidirectional', buffer: large },
      'iova-exhausted',
    );
    assert.equal(ranges(), 32);
  });
});
