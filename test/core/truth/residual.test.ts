/** Bytes of unmapped buffers that a neighbour's live mapping of the same page still reaches, against sets of single bytes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ByteSet } from '../../../src/core/truth/byte-set.ts';
import { Dice, Machine } from '../build.ts';

describe('residual exposure', () => {
  test('a set of bytes is a set of bytes', () => {
    const dice = new Dice(1);
    const bytes = new ByteSet();
    const naive = new Set<number>();
    for (let step = 0; step < 5000; step++) {
      const start = dice.below(200);
      const end = start + dice.below(60);
      const choice = dice.below(50);
      if (choice === 0) {
        bytes.clear();
        naive.clear();
      } else if (choice < 25) {
        bytes.add(start, end);
        for (let byte = start; byte < end; byte++) naive.add(byte);
      } else {
        bytes.remove(start, end);
        for (let byte = start; byte < end; byte++) naive.delete(byte);
      }
      assert.equal(bytes.size, naive.size, `step ${step}`);
    }
  });

  test('half a page stays reachable through the other half, until that is unmapped or it is mapped again', () => {
    const machine = new Machine({
      policy: { invalidation: { kind: 'strict' } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const page = machine.buffer(4096);
    const half = (offsetBytes: number) => machine.map('n', { buffer: page, offsetBytes, lengthBytes: 2048 });
    const residual = () => machine.sim.oracle.residual.current;
    const [low, high] = [half(0), half(2048)];
    machine.unmap(low.id);
    assert.equal(residual(), 2048);
    // Strict does not prevent it: the device reaches the unmapped half through its neighbour's mapping.
    const base = BigInt(high.iova) - 2048n;
    assert.equal(machine.touch('n', `0x${base.toString(16)}`).verdict, 'subpage');
    const again = half(0);
    assert.equal(residual(), 0);
    machine.unmap(again.id);
    assert.equal(residual(), 2048);
    machine.unmap(high.id);
    assert.equal(residual(), 0);
    assert.equal(machine.metrics().exposure.potential.windows, 0);
  });

  test('3,000 random maps, unmaps and forced frees of shared pages integrate to the same byte-seconds as sets of bytes', () => {
    const machine = new Machine({
      policy: { invalidation: { kind: 'strict' } },
      devices: [
        { name: 'a', kind: 'custom' },
        { name: 'b', kind: 'custom' },
      ],
    });
    const dice = new Dice(5);
    const { sim } = machine;
    const now = () => BigInt(sim.timePs);
    let buffers: { id: string; frame: number }[] = [];
    let live: { id: string; first: number; last: number; over: boolean }[] = [];
    /** [frame]: bytes that were unmapped while others were not. */
    const left = new Map<number, Set<number>>();
    let area = 0n;
    let at = 0n;
    const settle = (moment: bigint) => {
      let level = 0;
      for (const bytes of left.values()) level += bytes.size;
      area += BigInt(level) * (moment - at);
      at = moment;
    };
    const frameOf = (byte: number) => Math.floor(byte / 4096);
    const end = (first: number, last: number) => {
      for (let frame = frameOf(first); frame <= frameOf(last); frame++) {
        if (!live.some((each) => !each.over && frameOf(each.first) <= frame && frameOf(each.last) >= frame)) {
          left.delete(frame);
          continue;
        }
        const bytes = left.get(frame) ?? new Set<number>();
        for (let byte = Math.max(first, frame * 4096); byte <= Math.min(last, frame * 4096 + 4095); byte++)
          bytes.add(byte);
        left.set(frame, bytes);
      }
    };
    for (let step = 0; step < 3000; step++) {
      const choice = dice.below(20);
      if (buffers.length < 3) {
        const id = machine.buffer(8192);
        buffers.push({ id, frame: machine.addressOf(id) / 4096 });
      } else if (choice < 9) {
        const { id: buffer, frame } = dice.pick(buffers);
        const offsetBytes = 512 * dice.below(16);
        const lengthBytes = Math.min(8192 - offsetBytes, 512 * (1 + dice.below(8)));
        const { id } = machine.map(dice.pick(['a', 'b']), { buffer, offsetBytes, lengthBytes });
        settle(now());
        const first = frame * 4096 + offsetBytes;
        const last = first + lengthBytes - 1;
        for (const bytes of left.values()) for (let byte = first; byte <= last; byte++) bytes.delete(byte);
        live.push({ id, first, last, over: false });
      } else if (choice < 18 && live.length > 0) {
        const [gone] = live.splice(dice.below(live.length), 1);
        machine.unmap(gone!.id);
        settle(now());
        if (!gone!.over) end(gone!.first, gone!.last);
      } else if (choice === 18) {
        const gone = dice.pick(buffers);
        buffers = buffers.filter((each) => each !== gone);
        machine.ok({ op: 'free', buffer: gone.id, force: true });
        settle(now());
        for (const each of live.filter(({ over }) => !over).sort()) {
          if (frameOf(each.first) > gone.frame + 1 || frameOf(each.last) < gone.frame) continue;
          each.over = true;
          end(each.first, each.last);
        }
      } else {
        machine.advance(dice.below(5000));
        settle(now());
      }
      let level = 0;
      for (const bytes of left.values()) level += bytes.size;
      assert.equal(sim.oracle.residual.current, level, `step ${step}`);
      assert.equal(sim.oracle.residual.exactAt(sim.clock.now), area, `step ${step}`);
      live = [...live];
    }
    assert.ok(area > 0n);
  });
});
