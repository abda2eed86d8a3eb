/** batched: what is given back together is invalidated together, and nothing outlives the call. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine, type Mapped } from '../build.ts';

const PAGE = 4096;

const gathering = (spec: Record<string, unknown> = {}, kind = 'batched') =>
  new Machine({
    policy: { allocator: { kind: 'rbtree' }, invalidation: { kind } },
    devices: [{ name: 'n', kind: 'custom' }],
    ...spec,
    iommu: { iotlb: { entries: 1024, ways: 0 }, ...(spec.iommu as object) },
  });

/** Gives mappings back together, as the driver of a receive descriptor does. @returns whether anything is exposed */
function together(machine: Machine, mapped: readonly { id: string }[], device = 'n'): boolean {
  const { sim } = machine;
  const slots = Int32Array.from(mapped, ({ id }) => sim.mappings.find(id));
  assert.ok(slots.every((slot) => slot >= 0));
  sim.begin(0);
  sim.dma.unmapTogether(slots, slots.length, sim.devices.find(device)!);
  sim.end();
  return sim.dma.lastExposed;
}

const pages = (machine: Machine, count: number) =>
  Array.from({ length: count }, () => machine.map('n', { buffer: machine.buffer(PAGE) }));

/** Commands that the mappings take, in the order in which they are given back: runs of ranges that touch what was gathered. */
function gathers(mapped: readonly { iova: number; pages: number }[]): number {
  let commands = 0;
  let open: { from: number; to: number } | null = null;
  for (const { iova, pages: count } of mapped) {
    const [from, to] = [iova, iova + count * PAGE];
    if (open !== null && from <= open.to && to >= open.from)
      open = { from: Math.min(from, open.from), to: Math.max(to, open.to) };
    else {
      commands++;
      open = { from, to };
    }
  }
  return commands;
}

describe('what is given back together', () => {
  test('goes in one command where addresses are neighbours, whichever way they run', () => {
    for (const turn of [false, true]) {
      const machine = gathering();
      const mapped = pages(machine, 64);
      for (const { iova } of mapped) machine.touch('n', iova);
      assert.equal(together(machine, turn ? [...mapped].reverse() : mapped), false);
      const { invalidationsRange, unmapCalls } = machine.sim.counters;
      assert.deepEqual([invalidationsRange, unmapCalls], [1, 64]);
      for (const { iova } of mapped) assert.equal(machine.touch('n', iova).verdict, 'fault');
      assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 0);
    }
  });

  test('goes in one command a run where it is scattered; a range apart sends what was gathered before', () => {
    const machine = gathering();
    const mapped = pages(machine, 12);
    const given = [mapped[0]!, mapped[1]!, mapped[4]!, mapped[5]!, mapped[6]!, mapped[2]!, mapped[9]!];
    together(machine, given);
    assert.equal(machine.sim.counters.invalidationsRange, 4, 'pages 0 1, 4 5 6, 2, 9');
  });

  test('keeps the paths to tables, unless a table page was freed', () => {
    const machine = gathering({ iommu: { superpages: [] } });
    const paths = () => machine.read<{ entries: unknown[] }>({ read: 'walk-cache' }).entries.length;
    const mapped = pages(machine, 4);
    machine.touch('n', mapped[0]!.iova);
    assert.equal(paths(), 3);
    together(machine, mapped);
    assert.equal(paths(), 3);
    const large = machine.map('n', { buffer: machine.buffer(2 ** 21) });
    const small = pages(machine, 1);
    machine.touch('n', large.iova);
    together(machine, [large, ...small]);
    assert.equal(machine.sim.counters.tablePagesFreed, 1);
    assert.equal(machine.sim.tables.unlinkedTables, 0);
    const { entries } = machine.read<{ entries: { tableLevel: number; iova: string }[] }>({ read: 'walk-cache' });
    assert.ok(entries.every(({ tableLevel, iova }) => tableLevel !== 1 || iova !== large.iova));
  });

  test('does no harm to what lies in between: live entries stay cached, open windows stay open', () => {
    const machine = gathering();
    // Eight pages apart, so that no command is widened to what lies between.
    const mapped = pages(machine, 25);
    machine.ok({
      op: 'iommu-map',
      domain: 'dom_0',
      iova: '0x40000000',
      physicalAddress: '0x200000',
      lengthBytes: PAGE,
      access: 'rw',
    });
    machine.touch('n', '0x40000000');
    machine.ok({
      op: 'iommu-unmap',
      domain: 'dom_0',
      iova: '0x40000000',
      lengthBytes: PAGE,
      invalidate: false,
    });
    for (const { iova } of mapped) machine.touch('n', iova);
    const far = machine.map('n', { physicalAddress: '0x300000', lengthBytes: PAGE });
    const low = machine.sim.mappings.page[machine.sim.mappings.find(far.id)]!;
    assert.ok(low > 0x40000, 'the window lies below all of them');
    const given = [0, 8, 16, 24].map((at) => mapped[at]!);
    assert.equal(together(machine, given), false);
    assert.equal(machine.sim.counters.invalidationsRange, 4);
    const kept = mapped.filter((each) => !given.includes(each));
    for (const { iova } of kept) {
      const { verdict, pages: pieces } = machine.dma('n', iova);
      assert.deepEqual([verdict, pieces[0]!.from], ['ok', 'iotlb']);
    }
    for (const { iova } of given) assert.equal(machine.touch('n', iova).verdict, 'fault');
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.windows, potential.currentPages, actual.currentPages], [1, 1, 1]);
    assert.equal(machine.touch('n', '0x40000000').verdict, 'stale');
  });

  test('opens windows on what no command covered, and on that alone', () => {
    // A window between two ranges that are given back: the bounding range of both covers it, no command does.
    const machine = gathering();
    const mapped = pages(machine, 3);
    const [a, b, c] = mapped.map(({ iova }) => Number(iova)) as [number, number, number];
    assert.deepEqual([a - b, b - c], [PAGE, PAGE]);
    machine.touch('n', b);
    // The policy forgets the second of two ranges.
    const { sim } = machine;
    const range = sim.flush.range.bind(sim.flush);
    let calls = 0;
    sim.flush.range = (...command) => {
      if (++calls !== 2) range(...command);
    };
    machine.touch('n', a);
    machine.touch('n', c);
    assert.equal(together(machine, [mapped[0]!, mapped[2]!]), true);
    const { potential, actual } = machine.metrics().exposure;
    assert.deepEqual([potential.windows, actual.windows], [1, 1]);
    assert.equal(machine.touch('n', a).verdict, 'fault');
    assert.equal(machine.touch('n', c).verdict, 'stale');
    assert.equal(machine.touch('n', b).verdict, 'ok');
  });

  test('is one unmap after the other where mappings were left behind in another domain', () => {
    const machine = gathering();
    const left = pages(machine, 2);
    machine.ok({ op: 'domain', name: 'd' });
    machine.ok({ op: 'attach', device: 'n', domain: 'd' });
    const here = pages(machine, 2);
    const before = machine.sim.counters.invalidationsRange;
    together(machine, [here[0]!, left[0]!, here[1]!, left[1]!]);
    assert.equal(machine.sim.counters.invalidationsRange - before, 4);
    for (const domain of machine.sim.domains) assert.equal(domain.allocator!.liveRanges, 0);
  });

  test('is one unmap after the other under a policy that does not gather; exposed says whether any of it is', () => {
    const machine = gathering({}, 'never');
    const mapped = pages(machine, 3);
    machine.touch('n', mapped[0]!.iova);
    assert.equal(together(machine, mapped), true, 'the first is cached, the last is not');
    assert.equal(machine.metrics().exposure.potential.windows, 3);
  });

  test('costs one wait, where strict waits each time', () => {
    const waits = (kind: string) => {
      const machine = gathering({}, kind);
      const mapped = pages(machine, 64);
      const before = machine.sim.clock.now;
      together(machine, mapped);
      return machine.sim.clock.now - before;
    };
    const [one, each] = [waits('batched'), waits('strict')];
    const ps = (cycles: number) => (cycles * 1000) / 3.1;
    assert.ok(Math.abs(each - one - ps(63 * 2127)) < 100, `${each} against ${one}`);
  });
});

test('100,000 random operations, single and together, expose nothing for a moment', () => {
  const machine = gathering({ machine: { frameReuse: 'random' } });
  const dice = new Dice(6);
  const live: (Mapped & { pages: number })[] = [];
  const past: string[] = [];
  const buffers = Array.from({ length: 16 }, () => machine.buffer(8 * PAGE));
  let expected = 0;
  for (let step = 0; step < 100_000; step++) {
    const choice = dice.below(10);
    if (choice < 4 && live.length < 200) {
      const count = dice.pick([1, 1, 1, 2, 8]);
      const mapped = machine.map('n', { buffer: dice.pick(buffers), lengthBytes: count * PAGE });
      live.push({ ...mapped, pages: count });
    } else if (choice < 5 && live.length > 80) {
      const given = Array.from({ length: 1 + dice.below(64) }, () => live.splice(dice.below(live.length), 1)[0]!);
      if (dice.chance(2)) given.sort((a, b) => Number(a.iova) - Number(b.iova));
      assert.equal(together(machine, given), false);
      expected += gathers(given.map(({ iova, pages: count }) => ({ iova: Number(iova), pages: count })));
      past.push(...given.map(({ iova }) => iova));
      past.splice(0, past.length - 100);
    } else if (choice < 6 && live.length > 20) {
      const [gone] = live.splice(dice.below(live.length), 1);
      assert.equal(machine.unmap(gone!.id).exposed, false);
      expected++;
      past.push(gone!.iova);
    } else if (live.length > 0) {
      const again = past.length > 0 && choice === 9;
      const { verdict } = machine.touch('n', again ? dice.pick(past) : dice.pick(live).iova);
      assert.ok(verdict === 'ok' || (again && verdict === 'fault'), verdict);
    }
  }
  assert.equal(machine.sim.counters.invalidationsRange, expected, 'as many commands as there are runs of neighbours');
  assert.ok(expected > 5000);
  const { potential, actual, staleAccesses } = machine.metrics().exposure;
  for (const { windows, pageSeconds } of [potential, actual]) assert.deepEqual([windows, pageSeconds], [0, 0]);
  assert.equal(staleAccesses, 0);
});
