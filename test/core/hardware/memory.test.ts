/** The page allocator against lists. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Memory, NO_FRAME } from '../../../src/core/hardware/memory.ts';
import { RandomStream } from '../../../src/core/sim/random.ts';
import { NaiveMemory } from '../../oracles/memory.ts';
import { Dice, Machine } from '../build.ts';

const MIB = 2 ** 20;

describe('memory', () => {
  for (const reuse of ['lifo', 'fifo', 'random'] as const)
    test(`${reuse}: 20,000 random hand-outs, returns and claims give the frames and owners of a list`, () => {
      const bytes = 3 * MIB;
      const memory = new Memory(bytes, reuse, new RandomStream(1, 'frames'));
      const naive = new NaiveMemory(bytes, reuse, new RandomStream(1, 'frames'));
      const dice = new Dice(31);
      const held: { first: number; length: number; owner: number }[] = [];
      let failures = 0;
      for (let step = 0; step < 20_000; step++) {
        const length = dice.pick([1, 1, 1, 2, 3, 8]);
        const owner = dice.below(40);
        const choice = dice.below(100);
        if (choice < 50) {
          const expected = naive.allocate(length, owner);
          const first = memory.allocate(length, owner);
          assert.equal(first, expected ?? NO_FRAME, `step ${step}`);
          if (expected === null) failures++;
          else held.push({ first, length, owner });
        } else if (choice < 52) {
          const first = dice.below(bytes / 4096);
          assert.equal(memory.available(first, length), naive.isFree(first, length), `step ${step}`);
          if (naive.isFree(first, length)) {
            memory.claim(first, length, owner);
            naive.claim(first, length, owner);
            held.push({ first, length, owner });
          }
        } else if (held.length > 0) {
          const [block] = held.splice(dice.below(held.length), 1);
          memory.giveBack(block!.first, block!.length);
          naive.giveBack(block!.first, block!.length);
        }
        if (step % 500 === 0) {
          assert.equal(memory.framesInUse, naive.inUse);
          assert.equal(memory.handOuts, naive.handOuts);
          for (let frame = 0; frame < bytes / 4096; frame++) {
            assert.equal(memory.ownerOf(frame), naive.frame(frame).owner, `owner of frame ${frame} at step ${step}`);
            assert.equal(memory.handedOutAt(frame), naive.frame(frame).handedOut);
          }
          for (let tenant = 0; tenant < 40; tenant++) {
            const frames = held.filter((block) => block.owner === tenant).reduce((sum, block) => sum + block.length, 0);
            assert.equal(memory.tenantFrames[tenant] ?? 0, frames, `frames of tenant ${tenant}`);
          }
        }
      }
      assert.ok(failures > 10, 'memory never ran out');
    });

  test('the first frame lies at 1 MiB, tables come from the same pool', () => {
    const machine = new Machine({ devices: [{ name: 'n', kind: 'custom' }] });
    // The root table of the device's own domain took the first one.
    assert.equal(machine.addressOf(machine.buffer(4096)), MIB + 4096);
  });

  test('a 1 TiB machine costs what is touched', () => {
    const memory = new Memory(2 ** 40, 'lifo', new RandomStream(1, 'frames'));
    memory.claim(2 ** 28 - 3, 3, 1);
    assert.equal(memory.ownerOf(2 ** 28 - 1), 1);
    assert.equal(memory.available(2 ** 28 - 1, 2), false);
  });

  test('a freed block of another length is not cut up', () => {
    const machine = new Machine();
    const long = machine.buffer(8 * 4096);
    const address = machine.addressOf(long);
    machine.ok({ op: 'free', buffer: long });
    assert.notEqual(machine.addressOf(machine.buffer(4096)), address);
    assert.equal(machine.addressOf(machine.buffer(8 * 4096)), address);
  });

  test('a quota counts whole frames and gives way when they come back', () => {
    const machine = new Machine({ tenants: [{ name: 'guest', kind: 'vm', memoryBytes: 8192 }] });
    const first = machine.buffer(1, { tenant: 'guest' });
    machine.buffer(4096, { tenant: 'guest' });
    machine.fails({ op: 'buffer', lengthBytes: 1, tenant: 'guest' }, 'quota-exceeded');
    machine.ok({ op: 'free', buffer: first });
    machine.buffer(1, { tenant: 'guest' });
    const { usedBytes } = machine.read({ read: 'tenant', id: 'guest' });
    assert.equal(usedBytes, 8192);
  });

  test('a buffer at an address of the caller’s choice must be free, on a frame, and in the machine', () => {
    const machine = new Machine({ machine: { memoryBytes: 2 * MIB } });
    machine.buffer(4096, { physicalAddress: '0x180000' });
    machine.refused({ op: 'buffer', lengthBytes: 8192, physicalAddress: '0x17f000' }, 'overlap', '/physicalAddress');
    machine.refused({ op: 'buffer', lengthBytes: 1, physicalAddress: '0x180001' }, 'misaligned', '/physicalAddress');
    machine.refused(
      { op: 'buffer', lengthBytes: 8192, physicalAddress: '0x1ff000' },
      'beyond-memory',
      '/physicalAddress',
    );
    machine.refused({ op: 'buffer', lengthBytes: 1, physicalAddress: '0xx' }, 'invalid-address', '/physicalAddress');
    // Fresh frames step over the one that is taken: 128 lie before it, 127 after.
    for (let i = 0; i < 127; i++) assert.equal(machine.addressOf(machine.buffer(8192)) % 8192, i < 64 ? 0 : 4096);
    machine.fails({ op: 'buffer', lengthBytes: 8192 }, 'no-frame');
    machine.buffer(4096);
    machine.fails({ op: 'buffer', lengthBytes: 4096 }, 'no-frame');
  });
});
