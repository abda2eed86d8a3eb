/** The picture of an IOVA space against a count page by page, after operations at random, under allocators and policies. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_ENTRY } from '../../../src/core/hardware/iotlb.ts';
import type { MapKind } from '../../../src/core/operations.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { Dice, Machine } from '../build.ts';
import { type Cells, counted, pageStates, unpacked } from './page-states.ts';

const PAGE = 4096;
const hex = (page: number) => `0x${(page * PAGE).toString(16)}`;

function checkAgainstPages(machine: Machine, domain: number, first: number, last: number, cells: number): Cells {
  const answer = machine.read<Cells>({
    read: 'space-cells',
    domain: `dom_${domain}`,
    from: hex(first),
    to: hex(last),
    cells,
  });
  assert.equal(answer.complete, true);
  assert.equal(answer.cellCount <= cells, true);
  const expected = counted(
    pageStates(machine.sim, domain, first, last),
    first,
    answer.cellBytes / PAGE,
    answer.cellCount,
  );
  assert.deepEqual(unpacked(answer), expected);
  const totals: Record<string, number> = {};
  for (const cell of expected)
    for (const [state, pages] of Object.entries(cell)) totals[state] = (totals[state] ?? 0) + pages;
  assert.deepEqual({ ...answer.pages }, totals);
  return answer;
}

/** Every page that hardware still translates though nothing is mapped there is drawn as stale, and no other is. */
function checkAgainstHardware(machine: Machine, domain: number, first: number, last: number): void {
  const { sim } = machine;
  const states = pageStates(sim, domain, first, last);
  for (const [page, state] of states) {
    if (state === 'live' || state === 'remapped' || state === 'dangling') continue;
    const walk = machine.read<{ present: boolean }>({ read: 'page-table', domain: `dom_${domain}`, iova: hex(page) });
    const translates =
      walk.present ||
      sim.iotlb.probe(domain, page) !== NO_ENTRY ||
      sim.domains[domain]!.deviceTlbs.some(({ deviceTlb }) => deviceTlb!.probe(domain, page) !== NO_ENTRY);
    assert.equal(state === 'stale', translates, `${hex(page)} is ${state}`);
  }
}

interface Play {
  allocator: string;
  policy: Record<string, unknown>;
  mode?: string;
  deviceTlb?: boolean;
  seed: number;
}

/** Operations at random on one device; every now and then all is checked. */
function play({ allocator, policy, mode = 'translate', deviceTlb = false, seed }: Play): Set<string> {
  const dice = new Dice(seed);
  const machine = new Machine({
    machine: { cpus: 2, memoryBytes: 2 ** 28 },
    iommu: { iotlb: { entries: 32, ways: 4 } },
    policy: { mode, allocator: { kind: allocator }, invalidation: policy },
    domains: [{ name: 'dma' }],
    devices: [
      { name: 'nic0', kind: 'nic', domain: 'dma', ...(deviceTlb && { deviceTlb: { entries: 8 } }) },
      { name: 'disk0', kind: 'block', domain: 'dma' },
    ],
  });
  const buffers = Array.from({ length: 6 }, () => machine.buffer(PAGE * (1 + dice.below(5))));
  const mapped: { id: string; iova: string; lengthBytes: number }[] = [];
  const touched = new Set<number>();
  const seen = new Set<string>();
  for (let step = 0; step < 220; step++) {
    const choice = dice.below(10);
    if (choice < 4) {
      const kind = dice.pick<MapKind>(['single', 'page', 'sg']);
      const fields =
        kind === 'sg'
          ? { segments: [{ buffer: dice.pick(buffers) }, { buffer: dice.pick(buffers) }] }
          : { buffer: dice.pick(buffers) };
      const made = machine.apply({
        op: 'map',
        device: dice.pick(['nic0', 'disk0']),
        kind,
        direction: 'bidirectional',
        cpu: dice.below(2),
        ...fields,
      });
      if (made?.status !== 'ok') continue;
      const { id, segments } = made.result as { id: string; segments: { iova: string; lengthBytes: number }[] };
      for (const { iova, lengthBytes } of segments) {
        mapped.push({ id, iova, lengthBytes });
        for (let at = 0; at < lengthBytes; at += PAGE) touched.add(Math.floor((Number(iova) + at) / PAGE));
      }
    } else if (choice < 6 && mapped.length > 0) {
      const { id } = dice.pick(mapped);
      machine.apply({ op: 'unmap', mapping: id, cpu: dice.below(2) });
      for (let at = mapped.length - 1; at >= 0; at--) if (mapped[at]!.id === id) mapped.splice(at, 1);
    } else if (choice < 9 && touched.size > 0) {
      const page = dice.pick([...touched]);
      machine.apply({ op: 'dma', device: 'nic0', iova: hex(page), lengthBytes: 64, access: 'write' });
    } else if (dice.chance(4)) machine.advance(dice.below(12_000_000));
    if (step % 44 !== 43) continue;
    // Around what was touched: with a page at either end that never was.
    const pages = [...touched];
    const first = Math.max(0, Math.min(...pages) - 2);
    const last = Math.max(...pages) + 2;
    if (last - first > 200_000) {
      const middle = dice.pick(pages);
      const answer = checkAgainstPages(machine, 0, Math.max(0, middle - 300), middle + 300, dice.pick([7, 64, 4096]));
      for (const state of Object.keys(answer.pages)) seen.add(state);
      checkAgainstHardware(machine, 0, Math.max(0, middle - 40), middle + 40);
      continue;
    }
    const answer = checkAgainstPages(machine, 0, first, last, dice.pick([1, 7, 64, 1000, 4096]));
    for (const state of Object.keys(answer.pages)) seen.add(state);
    if (mode === 'translate') checkAgainstHardware(machine, 0, Math.max(first, last - 300), last);
    checkAgainstPages(machine, 0, first + 1 + dice.below(last - first - 1), last, dice.pick([3, 50]));
  }
  return seen;
}

describe('the cells of an IOVA space', () => {
  const trees = [
    { kind: 'strict' },
    { kind: 'deferred-2008' },
    { kind: 'flush-queue' },
    { kind: 'delayed', form: 'ia64', entries: 8 },
    { kind: 'delayed', form: 'parisc' },
    { kind: 'never' },
  ];
  for (const allocator of Object.keys(allocators))
    test(`count what each page is, under ${allocator}`, () => {
      const seen = new Set<string>();
      const circular = allocators[allocator]!.circular;
      for (const [at, policy] of [...trees, ...(circular ? [{ kind: 'wrap' }] : [])].entries())
        for (const state of play({ allocator, policy, seed: 31 + at })) seen.add(state);
      for (const state of ['free', 'live', 'queued', 'stale']) assert.ok(seen.has(state), `${state} was never seen`);
    });

  test('count what each page is where devices cache translations of their own', () => {
    for (const kind of ['flush-queue', 'never'])
      assert.ok(play({ allocator: 'rbtree', policy: { kind }, deviceTlb: true, seed: 5 }).has('stale'));
  });

  for (const mode of ['passthrough', 'bounce', 'shadow'])
    test(`count what each page is in mode ${mode}`, () => {
      assert.ok(play({ allocator: 'rbtree', policy: { kind: 'flush-queue' }, mode, seed: 9 }).has('live'));
    });

  test('tell a page that was mapped anew under an old translation from others', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'never' } },
      domains: [{ name: 'dma' }],
      devices: [{ name: 'nic0', kind: 'nic', domain: 'dma' }],
    });
    const [a, b] = [machine.buffer(PAGE), machine.buffer(PAGE)];
    const first = machine.map('nic0', { buffer: a });
    machine.touch('nic0', first.iova);
    machine.unmap(first.id);
    const page = Number(first.iova) / PAGE;
    assert.deepEqual(checkAgainstPages(machine, 0, page, page, 1).pages, { stale: 1 });
    const second = machine.map('nic0', { buffer: b });
    assert.equal(second.iova, first.iova);
    assert.deepEqual(checkAgainstPages(machine, 0, page, page, 1).pages, { remapped: 1 });
    assert.equal(machine.touch('nic0', first.iova).verdict, 'misdirected');
  });

  test('show what a domain of VFIO has mapped, and the memory that was freed under it', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      domains: [{ name: 'vm' }],
      devices: [{ name: 'nic0', kind: 'nic', domain: 'vm' }],
    });
    const buffer = machine.buffer(64 * PAGE);
    machine.ok({
      op: 'iommu-map',
      domain: 'vm',
      iova: '0x40000000',
      physicalAddress: machine.addressOf(buffer),
      lengthBytes: 64 * PAGE,
      access: 'rw',
    });
    const first = 0x40000;
    checkAgainstPages(machine, 0, first - 10, first + 80, 9);
    machine.ok({ op: 'iommu-unmap', domain: 'vm', iova: '0x40010000', lengthBytes: 4 * PAGE, invalidate: false });
    assert.deepEqual(checkAgainstPages(machine, 0, first - 10, first + 80, 90).pages, {
      free: 27,
      live: 60,
      unflushed: 4,
    });
    machine.ok({ op: 'free', buffer, force: true });
    assert.equal(checkAgainstPages(machine, 0, first, first + 63, 64).pages.dangling, 60);
  });

  test('are one for each page when there are fewer pages than cells, and cover a space of 48 bits in as many as were asked for', () => {
    const machine = new Machine({ domains: [{ name: 'dma' }] });
    const few = machine.read<Cells>({ read: 'space-cells', from: '0x1234', to: '0x3fff', cells: 4096 });
    assert.deepEqual([few.from, few.to, few.cellCount, few.cellBytes], ['0x1000', '0x3fff', 3, PAGE]);
    const all = machine.read<Cells>({ read: 'space-cells', cells: 4096 });
    assert.deepEqual([all.from, all.to, all.cellCount, all.cellBytes], ['0x0', '0xffffffffffff', 4096, 2 ** 36]);
    assert.equal(
      Object.values(all.pages).reduce((sum, pages) => sum + pages, 0),
      2 ** 36,
    );
  });

  test('are refused for a stretch that is none, by name', () => {
    const machine = new Machine({ domains: [{ name: 'dma' }] });
    const refused = (reading: Parameters<typeof machine.sim.read>[0]) => {
      const outcome = machine.sim.read(reading);
      assert.equal(outcome.status, 'refused');
      return (outcome as { problem: { code: string; path?: string } }).problem;
    };
    assert.equal(refused({ read: 'space-cells', from: '0x2000', to: '0x1fff' }).path, '/to');
    assert.equal(refused({ read: 'space-cells', from: '0x1000000000000' }).path, '/from');
    assert.equal(refused({ read: 'space-cells', from: 'here' }).path, '/from');
    assert.equal(refused({ read: 'space-cells', to: -1 }).path, '/to');
    assert.equal(refused({ read: 'space-cells', domain: 'nobody' }).code, 'unknown-domain');
    assert.equal(refused({ read: 'space-page', iova: '0x1000000000000' }).path, '/iova');
    assert.equal(refused({ read: 'space-page', iova: 'x' }).path, '/iova');
  });
});

describe('the extents of an IOVA space', () => {
  test('hold every range and everything that was ever mapped, and are no more than were asked for', () => {
    const machine = new Machine({
      machine: { memoryBytes: 2 ** 30 },
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } },
      domains: [{ name: 'vm' }],
      devices: [{ name: 'nic0', kind: 'nic', domain: 'vm' }],
    });
    const at = [0x10_0000, 0x4000_0000, 0x80_0000_0000, 0x7fff_0000_0000, 0xffff_ffff_f000];
    for (const iova of at)
      machine.ok({
        op: 'iommu-map',
        domain: 'vm',
        iova: `0x${iova.toString(16)}`,
        physicalAddress: '0x1000000',
        lengthBytes: PAGE,
        access: 'rw',
      });
    const buffer = machine.buffer(PAGE);
    const mapping = machine.map('nic0', { buffer });
    machine.unmap(mapping.id);
    for (const most of [1, 2, 3, 64]) {
      const { space } = machine.read<Cells>({ read: 'space-cells', cells: 1, extents: most });
      const { extents } = space!;
      assert.ok(extents.length <= most);
      if (most === 64)
        assert.equal(extents.length, at.length + 2, 'the five, the interrupt region, and where something was mapped');
      let before = -1;
      for (const { from, to } of extents) {
        assert.ok(Number(from) > before && Number(to) > Number(from));
        before = Number(to);
      }
      for (const iova of [...at, Number(mapping.iova), 0xfee00000])
        assert.ok(
          extents.some(({ from, to }) => Number(from) <= iova && iova <= Number(to)),
          `${iova.toString(16)} of ${most}`,
        );
    }
  });

  test('come with the figures of the whole space, as the list of ranges gives them', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'strict' } },
      domains: [{ name: 'dma' }],
      devices: [{ name: 'nic0', kind: 'nic', domain: 'dma' }],
    });
    const buffer = machine.buffer(PAGE * 3);
    const made = Array.from({ length: 40 }, () => machine.map('nic0', { buffer }));
    for (const [at, { id }] of made.entries()) if (at % 3 === 0) machine.unmap(id);
    const { space, kept, pages } = machine.read<Cells>({ read: 'space-cells', extents: 8 });
    const ranges: [number, number, number][] = [];
    machine.sim.domains[0]!.allocator!.forEachRange((...range) => ranges.push(range), Number.POSITIVE_INFINITY);
    const sizes = (reserved: boolean) =>
      ranges.filter(([, , state]) => (state === 1) === reserved).reduce((sum, [from, to]) => sum + to - from + 1, 0) *
      PAGE;
    assert.equal(space!.ranges, ranges.length);
    assert.equal(space!.usedBytes, sizes(false));
    assert.equal(space!.reservedBytes, sizes(true));
    assert.deepEqual(kept, { ranges: 14, bytes: 14 * 4 * PAGE, depotMagazines: 0 });
    assert.equal(pages.kept, 14 * 4);
    assert.equal(pages.allocated, 26, 'three pages are rounded up to four');
  });
});

describe('looking at a space', () => {
  test('leaves no trace in the digest, in the midst of a run as at any other time', () => {
    const spec = {
      policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } },
      devices: [{ name: 'nic0', kind: 'nic' }],
      workloads: [
        { name: 'rx', kind: 'nic-rx', device: 'nic0', ringSize: 64, gbps: 5 },
        { name: 'probe', kind: 'hostile', device: 'nic0', select: 'random-unmapped', accessesPerUs: 0.5 },
      ],
    };
    const [watched, left] = [new Machine(spec), new Machine(spec)];
    const lookAround = () => {
      const { cells, from } = watched.read<Cells>({
        read: 'space-cells',
        from: '0xff000000',
        to: '0xffffffff',
        extents: 64,
      });
      assert.ok(Object.keys(cells).length > 0 && from === '0xff000000');
      watched.read({ read: 'space-page', iova: '0xfffff000' });
      watched.read({ read: 'space-cells', from: '0x0', cells: 4096 });
    };
    for (const machine of [watched, left]) {
      assert.equal(machine.sim.startRun({ forNs: 400_000 }).status, 'ok');
      while (!machine.sim.stepRun(300)) if (machine === watched) lookAround();
    }
    lookAround();
    assert.equal(watched.sim.digest(), left.sim.digest());
  });
});

describe('one page of a space', () => {
  test('is told with its mapping, its times, and what translates it', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } },
      domains: [{ name: 'dma' }],
      devices: [{ name: 'nic0', kind: 'nic', domain: 'dma' }],
    });
    const mapping = machine.map('nic0', { buffer: machine.buffer(PAGE), direction: 'from-device' });
    const look = () => machine.read<Record<string, unknown>>({ read: 'space-page', domain: 'dma', iova: mapping.iova });
    const before = look();
    assert.deepEqual([before.state, before.held, before.present, before.openWindows], ['live', false, true, 0]);
    assert.equal((before.mapping as { id: string }).id, mapping.id);
    assert.deepEqual(before.cachedIn, []);
    machine.touch('nic0', mapping.iova);
    const cached = look().cachedIn as { cache: string; stale: boolean }[];
    assert.deepEqual([...new Set(cached.map(({ cache }) => cache))], ['iotlb', 'walk-cache']);
    assert.ok(cached.every(({ stale }) => !stale));
    machine.unmap(mapping.id);
    const stale = look();
    assert.deepEqual([stale.state, stale.held, stale.present, stale.openWindows], ['stale', true, false, 1]);
    assert.equal(stale.mapping, undefined);
    assert.equal(stale.exposedSinceNs, stale.lastUnmapNs);
    assert.equal((stale.cachedIn as { cache: string; stale: boolean }[])[0]!.stale, true);
    machine.advance(11_000_000);
    const over = look();
    assert.deepEqual([over.state, over.held, over.openWindows, over.direction], ['free', false, 0, 'from-device']);
  });
});
