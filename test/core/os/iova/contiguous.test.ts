/** contiguous: neighbours for the pages of a descriptor, one invalidation for all of them, and what it costs in addresses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../../build.ts';

const PAGE = 4096;

const machineOf = (allocator: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  new Machine({
    machine: { cpus: 4 },
    policy: { allocator: { kind: 'contiguous', ...allocator }, invalidation: { kind: 'batched' } },
    devices: [{ name: 'n', kind: 'custom' }],
    ...spec,
  });
const map = (machine: Machine, cpu = 0, lengthBytes = PAGE) =>
  machine.map('n', { physicalAddress: '0x4000000', lengthBytes, cpu });
const pageOf = ({ iova }: { iova: string }) => Number(iova) / PAGE;
const inside = (machine: Machine) => machine.read({ read: 'allocator' }) as Record<string, number>;

/** As a driver gives the pages of one descriptor back. */
function together(machine: Machine, mapped: readonly { id: string }[]): void {
  const { sim } = machine;
  const slots = Int32Array.from(mapped, ({ id }) => sim.mappings.find(id));
  sim.begin(0);
  sim.dma.unmapTogether(slots, slots.length, sim.devices.find('n')!);
  sim.end();
}

for (const over of ['rbtree', 'maple', 'rcache'])
  describe(`over ${over}`, () => {
    test('64 pages that a CPU maps one by one are neighbours, rising, aligned as a whole', () => {
      const machine = machineOf({ over });
      for (let descriptor = 0; descriptor < 3; descriptor++) {
        const pages = Array.from({ length: 64 }, () => pageOf(map(machine)));
        assert.equal(pages[0]! % 64, 0);
        assert.deepEqual(
          pages,
          Array.from({ length: 64 }, (_, i) => pages[0]! + i),
        );
      }
      assert.equal(inside(machine).chunks, 3);
    });

    test('each CPU has a chunk of its own; longer requests leave it alone', () => {
      const machine = machineOf({ over });
      const first = [0, 1, 2].map((cpu) => pageOf(map(machine, cpu)));
      map(machine, 1, 5 * PAGE);
      const second = [0, 1, 2].map((cpu) => pageOf(map(machine, cpu)));
      assert.deepEqual(
        second,
        first.map((page) => page + 1),
      );
      assert.equal(new Set(first.map((page) => Math.floor(page / 64))).size, 3);
    });

    test('a chunk goes back when all its pages have been handed out and freed, and no sooner', () => {
      const machine = machineOf({ over });
      const mapped = Array.from({ length: 64 }, () => map(machine));
      for (const { id } of mapped.slice(1)) machine.unmap(id);
      assert.equal(inside(machine).chunks, 1, 'one page keeps 63 others');
      assert.equal(inside(machine).cachedPages, 63);
      machine.unmap(mapped[0]!.id);
      assert.equal(inside(machine).chunks, 0);
      const begun = map(machine);
      machine.unmap(begun.id);
      assert.equal(inside(machine).chunks, 1, 'what is begun goes on');
      assert.equal(pageOf(map(machine)), pageOf(begun) + 1);
    });

    test('pages of the chunk that nobody has are in the way of iommu-map', () => {
      const machine = machineOf({ over });
      const { iova } = map(machine);
      const range = { domain: 'dom_0', physicalAddress: '0x200000', lengthBytes: PAGE, access: 'r' } as const;
      machine.refused({ op: 'iommu-map', iova: Number(iova) + 5 * PAGE, ...range }, 'overlap', '/iova');
      const { items } = machine.read<{ items: { state: string; lengthBytes: number }[] }>({ read: 'space' });
      assert.ok(items.some(({ state, lengthBytes }) => state === 'cached' && lengthBytes === 63 * PAGE));
    });
  });

test('a narrow device and a wide one have chunks of their own', () => {
  const machine = machineOf(
    {},
    {
      domains: [{ name: 'd' }],
      devices: [
        { name: 'n', kind: 'custom', domain: 'd', dmaMaskBits: 48 },
        { name: 'narrow', kind: 'custom', domain: 'd', dmaMaskBits: 32 },
      ],
      iommu: { reservedRegions: [{ start: '0x1000', end: '0xffffffff', type: 'reserved' }] },
    },
  );
  const wide = map(machine);
  assert.ok(pageOf(wide) > 0xfffff);
  machine.fails(
    { op: 'map', device: 'narrow', kind: 'single', direction: 'to-device', physicalAddress: '0x0', lengthBytes: 64 },
    'iova-exhausted',
  );
  assert.equal(pageOf(map(machine)), pageOf(wide) + 1, 'the failure has left its chunk alone');
});

test('where no chunk fits, single pages are taken', () => {
  const machine = machineOf(
    {},
    { iommu: { reservedRegions: [{ start: '0x20000', end: '0xffffffffffff', type: 'reserved' }] } },
  );
  const pages = Array.from({ length: 31 }, () => pageOf(map(machine)));
  assert.equal(new Set(pages).size, 31);
  assert.equal(inside(machine).chunks, 0);
});

describe('F&S: with batched there is one invalidation a descriptor', () => {
  /** A ring of descriptors of 64 pages, posted and completed, while another CPU maps and unmaps small things. */
  const commandsPerDescriptor = (allocator: Record<string, unknown>, invalidation: string) => {
    const machine = new Machine({
      machine: { cpus: 2 },
      policy: { allocator, invalidation: { kind: invalidation } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const dice = new Dice(8);
    const small = Array.from({ length: 100 }, () => map(machine, 1));
    const page = () => {
      if (dice.chance(8)) {
        small.push(map(machine, 1));
        machine.unmap(small.splice(dice.below(small.length), 1)[0]!.id, 1);
      }
      return map(machine);
    };
    const post = () => Array.from({ length: 64 }, page);
    const ring = Array.from({ length: 8 }, post);
    let commands = 0;
    for (let done = 0; done < 40; done++) {
      const before = machine.sim.counters.invalidationsRange;
      together(machine, ring.shift()!);
      commands += machine.sim.counters.invalidationsRange - before;
      ring.push(post());
    }
    return commands / 40;
  };

  test('and with a tree, or with strict, there are more', () => {
    assert.equal(commandsPerDescriptor({ kind: 'contiguous' }, 'batched'), 1);
    assert.equal(commandsPerDescriptor({ kind: 'contiguous', over: 'rbtree' }, 'batched'), 1);
    assert.equal(commandsPerDescriptor({ kind: 'contiguous' }, 'strict'), 64);
    const tree = commandsPerDescriptor({ kind: 'rbtree' }, 'batched');
    assert.ok(tree > 10 && tree < 64, `${tree}`);
    const magazines = commandsPerDescriptor({ kind: 'rcache' }, 'batched');
    assert.ok(magazines > 1 && magazines < 64, `${magazines}`);
  });
});
