/** map_single, map_page, map_sg, coherent: addresses, permissions, masks, handles. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layOutSlowly, outputsSlowly } from '../../oracles/scatterlist.ts';
import { Dice, Machine } from '../build.ts';

const one = (device: Record<string, unknown> = {}, spec: Record<string, unknown> = {}) =>
  new Machine({ ...spec, devices: [{ name: 'n', kind: 'custom', ...device }] });

describe('map_single and map_page', () => {
  test('the offset in the page is kept, whole pages are mapped, direction becomes permission', () => {
    const machine = one();
    const buffer = machine.buffer(3 * 4096);
    const physical = machine.addressOf(buffer);
    for (const [direction, read, write] of [
      ['to-device', 'ok', 'fault'],
      ['from-device', 'fault', 'ok'],
      ['bidirectional', 'ok', 'ok'],
    ] as const)
      for (const kind of ['single', 'page'] as const) {
        const { iova, segments } = machine.map('n', { kind, direction, buffer, offsetBytes: 4000, lengthBytes: 200 });
        assert.equal(Number(iova) % 4096, 4000);
        assert.deepEqual(segments, [{ iova, lengthBytes: 200 }]);
        assert.equal(machine.dma('n', iova, 'read', 200).verdict, read);
        const { verdict, pages } = machine.dma('n', iova, 'write', 200);
        assert.equal(verdict, write);
        if (write === 'ok')
          assert.deepEqual(
            pages.map((piece) => Number(piece.physicalAddress)),
            [physical + 4000, physical + 4096],
          );
        // The page is mapped as a whole: what lies before and behind the 200 bytes is within reach.
        assert.equal(
          machine.touch('n', Number(iova) - 4000, read === 'ok' ? 'read' : 'write', 4000).verdict,
          'subpage',
        );
      }
    const { mapSingleCalls, mapPageCalls } = machine.sim.counters;
    assert.deepEqual([mapSingleCalls, mapPageCalls], [3, 3]);
  });

  test('a bare physical range needs no buffer', () => {
    const machine = one();
    const { iova } = machine.map('n', { physicalAddress: '0x300010', lengthBytes: 100 });
    assert.equal(machine.touch('n', iova, 'read', 100).physicalAddress, '0x300010');
    machine.refused(
      {
        op: 'map',
        device: 'n',
        kind: 'single',
        direction: 'to-device',
        physicalAddress: 2 ** 34 - 4096,
        lengthBytes: 4097,
      },
      'beyond-memory',
      '/physicalAddress',
    );
  });

  test('in passthrough the address is the physical one and nothing is written', () => {
    const machine = one({}, { policy: { mode: 'passthrough' } });
    const buffer = machine.buffer(8192);
    const { iova, costCycles } = machine.map('n', { buffer, offsetBytes: 5 });
    assert.equal(Number(iova), machine.addressOf(buffer) + 5);
    assert.equal(costCycles, 0);
    assert.equal(machine.sim.counters.ptesWritten, 0);
    const elsewhere = machine.touch('n', 0x12345000);
    assert.deepEqual(
      [elsewhere.verdict, elsewhere.cause, elsewhere.from],
      ['unprotected', 'no-protection', 'passthrough'],
    );
  });

  test('superpages are used where both addresses and the length allow', () => {
    const machine = one();
    machine.ok({ op: 'buffer', lengthBytes: 2 ** 22, physicalAddress: 2 ** 30 });
    const before = machine.sim.counters.ptesWritten;
    machine.map('n', { physicalAddress: 2 ** 30, lengthBytes: 2 ** 22 });
    assert.equal(machine.sim.counters.ptesWritten - before, 2);
    machine.map('n', { physicalAddress: 2 ** 30 + 4096, lengthBytes: 2 ** 21 });
    assert.equal(machine.sim.counters.ptesWritten - before, 2 + 512);
  });
});

describe('coherent memory', () => {
  test('comes with its mapping, read and write, whole pages, no length limit, and goes with it', () => {
    const machine = one({ maxSegmentBytes: 4096 });
    const { memory } = machine.sim;
    const before = memory.framesInUse;
    const first = machine.ok<{ id: string; iova: string }>({
      op: 'map',
      device: 'n',
      kind: 'coherent',
      direction: 'to-device',
      lengthBytes: 100_000,
    });
    assert.equal(memory.framesInUse - before, 25 + 3);
    for (const access of ['read', 'write'] as const)
      assert.equal(machine.dma('n', first.iova, access, 25 * 4096).verdict, 'ok');
    machine.unmap(first.id);
    assert.equal(memory.framesInUse - before, 3);
  });

  test('does not outlive the domain of its device', () => {
    const machine = one();
    const before = machine.sim.memory.framesInUse;
    machine.ok({ op: 'device', name: 'm', kind: 'custom' });
    machine.map('m', { kind: 'coherent', lengthBytes: 8192 });
    machine.ok({ op: 'device-remove', device: 'm' });
    assert.equal(machine.sim.memory.framesInUse, before);
  });
});

describe('map_sg', () => {
  for (const allocator of ['rbtree-2008', 'rbtree', 'bitmap'])
    test(`${allocator}: 600 random lists lie and merge as the kernel’s description has it, byte for byte`, () => {
      const dice = new Dice(allocator.length);
      let merged = 0;
      for (let round = 0; round < 60; round++) {
        const segmentBoundaryBytes = dice.pick([4096, 8192, 16384, 65536, 2 ** 20, 2 ** 32]);
        const maxSegmentBytes = dice.pick([512, 4096, 8192, 16384, 65536, 2 ** 20]);
        const machine = one({ segmentBoundaryBytes, maxSegmentBytes }, { policy: { allocator: { kind: allocator } } });
        const buffer = machine.buffer(64 * 4096);
        const base = machine.addressOf(buffer);
        for (let list = 0; list < 10; list++) {
          const contiguous = dice.chance(2);
          let at = 4096 * dice.below(8);
          const segments = Array.from({ length: 1 + dice.below(8) }, () => {
            if (!contiguous) at = dice.chance(2) ? 4096 * dice.below(50) : dice.below(50 * 4096);
            const lengthBytes = dice.pick([4096, 4096, 8192, 1, 512, 1 + dice.below(9000)]);
            const segment = { buffer, offsetBytes: at, lengthBytes };
            at += lengthBytes;
            return segment;
          });
          const entries = segments.map(({ offsetBytes, lengthBytes }) => ({
            address: BigInt(base + offsetBytes),
            length: BigInt(lengthBytes),
          }));
          const boundary = BigInt(segmentBoundaryBytes);
          const layout = layOutSlowly(entries, boundary);
          const reply = machine.map('n', { kind: 'sg', segments });
          const block = (BigInt(reply.iova) / 4096n) * 4096n;
          const expected = outputsSlowly(entries, layout, block, boundary, BigInt(maxSegmentBytes));
          assert.deepEqual(
            reply.segments,
            expected.map(({ address, length }) => ({ iova: `0x${address.toString(16)}`, lengthBytes: Number(length) })),
          );
          merged += segments.length - expected.length;
          for (const [i, { at: start }] of layout.placed.entries()) {
            const iova = block + start + (entries[i]!.address % 4096n);
            const piece = machine.touch('n', `0x${iova.toString(16)}`, 'read', 1);
            assert.equal(BigInt(piece.physicalAddress!), entries[i]!.address);
          }
          const { allocationAttempts } = machine.sim.counters;
          assert.equal(allocationAttempts, list + 1, 'one allocation a list');
          if (dice.chance(2)) machine.unmap(reply.id);
        }
      }
      assert.ok(merged > 50, 'lists that merge are among them');
    });

  test('one allocation, one unmap, one invalidation for 256 pages; page by page 256 of each', () => {
    const count = (kind: 'sg' | 'page') => {
      const machine = one({}, { policy: { invalidation: { kind: 'strict' } } });
      const pages = Array.from({ length: 256 }, () => machine.buffer(4096)).reverse();
      const ids =
        kind === 'sg'
          ? [machine.map('n', { kind, segments: pages.map((buffer) => ({ buffer })) }).id]
          : pages.map((buffer) => machine.map('n', { kind, buffer }).id);
      for (const id of ids) machine.unmap(id);
      const { allocationAttempts, ptesWritten, invalidationsRange } = machine.sim.counters;
      return [allocationAttempts, ptesWritten, invalidationsRange];
    };
    assert.deepEqual(count('sg'), [1, 256, 1]);
    assert.deepEqual(count('page'), [256, 256, 256]);
  });

  test('in passthrough a list is handed back as it came', () => {
    const machine = one({}, { policy: { mode: 'passthrough' } });
    const buffer = machine.buffer(16384);
    const base = machine.addressOf(buffer);
    const segments = [
      { buffer, offsetBytes: 8192, lengthBytes: 4096 },
      { buffer, offsetBytes: 0, lengthBytes: 4096 },
      { buffer, offsetBytes: 4096, lengthBytes: 100 },
    ];
    const mapped = machine.map('n', { kind: 'sg', segments });
    assert.deepEqual(
      mapped.segments,
      segments.map(({ offsetBytes, lengthBytes }) => ({ iova: `0x${(base + offsetBytes).toString(16)}`, lengthBytes })),
    );
    assert.equal(machine.dma('n', base, 'read', 4096 + 100).verdict, 'ok');
    assert.equal(machine.touch('n', base + 4096, 'read', 101).verdict, 'subpage');
  });

  test('lists that overlap themselves reach all of their bytes in passthrough', () => {
    const machine = one({}, { policy: { mode: 'passthrough' } });
    const buffer = machine.buffer(16384);
    const segments = [
      { buffer, offsetBytes: 0, lengthBytes: 16384 },
      { buffer, offsetBytes: 4096, lengthBytes: 100 },
    ];
    const { id } = machine.map('n', { kind: 'sg', segments });
    assert.equal(machine.dma('n', machine.addressOf(buffer), 'read', 16384).verdict, 'ok');
    machine.unmap(id);
    assert.equal(machine.dma('n', machine.addressOf(buffer), 'read', 16384).verdict, 'stale');
  });
});

describe('DMA masks and 32-bit first', () => {
  const above = (iova: string) => Number(iova) >= 2 ** 32;

  test('no address lies above the mask', () => {
    for (const kind of ['rbtree-2008', 'rbtree', 'bitmap'])
      for (const dmaMaskBits of [24, 31, 32, 40]) {
        const machine = one({ dmaMaskBits }, { policy: { allocator: { kind } } });
        const buffer = machine.buffer(16 * 4096);
        for (let i = 0; i < 100; i++) {
          const { iova } = machine.map('n', { buffer });
          assert.ok(Number(iova) + 16 * 4096 <= 2 ** dmaMaskBits, `${kind}, ${dmaMaskBits} bits: ${iova}`);
        }
      }
  });

  /** 2 GiB fit nowhere below 4 GiB: the interrupt window lies in the upper half, page 0 in the lower. */
  const tooLargeFor32Bits = { physicalAddress: 0, lengthBytes: 2 ** 31 };

  test('rbtree: the first failure below 4 GiB ends the attempts there, for this device', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'rbtree' } },
      domains: [{ name: 'shared' }],
      devices: [
        { name: 'n', kind: 'custom', domain: 'shared' },
        { name: 'm', kind: 'custom', domain: 'shared' },
      ],
    });
    const buffer = machine.buffer(4096);
    assert.ok(!above(machine.map('n', { buffer }).iova));
    assert.ok(above(machine.map('n', tooLargeFor32Bits).iova));
    assert.equal(machine.sim.counters.allocationAttempts, 3);
    assert.ok(above(machine.map('n', { buffer }).iova), 'off for good');
    assert.ok(!above(machine.map('m', { buffer }).iova), 'the other device still tries');
    assert.equal(machine.sim.counters.allocationAttempts, 5);
  });

  test('rbtree-2008: every map tries below 4 GiB first', () => {
    const machine = one();
    const buffer = machine.buffer(4096);
    assert.ok(above(machine.map('n', tooLargeFor32Bits).iova));
    assert.ok(!above(machine.map('n', { buffer }).iova));
    machine.map('n', tooLargeFor32Bits);
    assert.deepEqual([machine.sim.counters.allocationAttempts, machine.sim.counters.allocationFailures], [5, 2]);
  });

  test('a 32-bit device makes one attempt', () => {
    const machine = one({ dmaMaskBits: 32 });
    machine.fails(
      { op: 'map', device: 'n', kind: 'single', direction: 'to-device', ...tooLargeFor32Bits },
      'iova-exhausted',
    );
    assert.equal(machine.sim.counters.allocationAttempts, 1);
  });

  test('a search that yields in its second attempt costs what one costs that does not', () => {
    const cost = (searchBudget: number) => {
      const machine = one();
      const buffer = machine.buffer(4096);
      for (let i = 0; i < 40; i++) machine.map('n', { buffer });
      for (let i = 0; i < 10; i++) machine.map('n', tooLargeFor32Bits);
      machine.sim.searchBudget = searchBudget;
      // Fits into no hole of 2 GiB that is left above either, so that both attempts walk.
      const { breakdown } = machine.map('n', { physicalAddress: 0, lengthBytes: 2 ** 32 - 4096 });
      return [breakdown.iovaAlloc, machine.sim.timePs, machine.sim.digest()];
    };
    assert.deepEqual(cost(3), cost(Number.POSITIVE_INFINITY));
    assert.deepEqual(cost(1), cost(Number.POSITIVE_INFINITY));
  });
});

describe('handles', () => {
  test('a second unmap of a handle is refused and changes nothing; so is a handle that never was', () => {
    const machine = one();
    const { id } = machine.map('n', { buffer: machine.buffer(4096) });
    machine.unmap(id);
    for (const mapping of [
      id,
      'map_0_1',
      'map_99_0',
      'map_0',
      'map_',
      'map_0_0_0',
      'map_-1_0',
      'map_0.0_0',
      'nonsense',
    ])
      machine.refused({ op: 'unmap', mapping }, 'unknown-mapping', '/mapping');
  });

  test('a handle that was reused in another generation is not the old one', () => {
    const machine = one();
    const buffer = machine.buffer(4096);
    const first = machine.map('n', { buffer });
    machine.unmap(first.id);
    const second = machine.map('n', { buffer });
    assert.notEqual(second.id, first.id);
    machine.refused({ op: 'unmap', mapping: first.id }, 'unknown-mapping');
    machine.unmap(second.id);
  });

  test('a handle of one device is not unmapped in the name of another', () => {
    const machine = new Machine({
      devices: [
        { name: 'a', kind: 'custom' },
        { name: 'b', kind: 'custom' },
      ],
    });
    const { id } = machine.map('a', { buffer: machine.buffer(4096) });
    machine.refused({ op: 'unmap', mapping: id, device: 'b' }, 'unknown-mapping', '/mapping');
    machine.refused({ op: 'unmap', mapping: id, device: 'c' }, 'unknown-device', '/device');
    machine.ok({ op: 'unmap', mapping: id, device: 'a' });
  });

  test('free of a mapped buffer is refused; forced, the handle still works and truth ends', () => {
    const machine = one();
    const buffer = machine.buffer(4096);
    const { id, iova } = machine.map('n', { buffer });
    machine.refused({ op: 'free', buffer }, 'buffer-mapped', '/buffer');
    machine.ok({ op: 'free', buffer, force: true });
    const piece = machine.touch('n', iova);
    assert.deepEqual([piece.verdict, piece.cause], ['stale', 'freed-while-mapped']);
    assert.equal(machine.metrics().exposure.potential.windows, 0, 'no exposure of the policy');
    assert.equal(machine.sim.counters.freedWhileMapped, 1);
    machine.unmap(id);
  });
});
