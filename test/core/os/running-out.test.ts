/**
 * Running out of frames or addresses at the first, second, third chance: the call fails as the kernel's would, nothing leaks, and
 * once all is freed the machine can be used as if nothing had been.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine, type Mapped } from '../build.ts';

const FIRST_FRAME = 256;

/** A machine with so many frames beyond the first MiB. */
const withFrames = (frames: number, spec: Record<string, unknown> = {}) =>
  new Machine({
    machine: { memoryBytes: (FIRST_FRAME + frames) * 4096 },
    iommu: { superpages: [] },
    ...spec,
    devices: [{ name: 'n', kind: 'custom' }],
  });

const noPte = (machine: Machine) => {
  const { ptesWritten, ptesCleared } = machine.sim.counters;
  return ptesWritten === ptesCleared;
};

describe('no frame for a page table', () => {
  // The root is there; a first map below 4 GiB takes three more tables, each crossing of 2 MiB another one.
  for (const left of [0, 1, 2])
    for (const kind of ['single', 'sg', 'coherent'] as const)
      test(`${kind}, ${left} frames left: fails, and the address is free again`, () => {
        const machine = withFrames(1 + left + (kind === 'coherent' ? 1 : 0));
        const { sim } = machine;
        const operation =
          kind === 'coherent'
            ? ({ op: 'map', device: 'n', kind, direction: 'bidirectional', lengthBytes: 4096 } as const)
            : ({
                op: 'map',
                device: 'n',
                kind,
                direction: 'bidirectional',
                physicalAddress: 0,
                lengthBytes: 4096,
              } as const);
        for (let again = 0; again < 3; again++) machine.fails(operation, 'no-frame');
        assert.equal(sim.domains[0]!.allocator!.liveRanges, 0);
        assert.equal(sim.mappings.count, 0);
        assert.ok(noPte(machine));
        assert.equal(sim.counters.mapFailures, 3);
        // The tables made on the way stay, as in the kernel.
        assert.equal(sim.memory.framesInUse, 1 + left);
        assert.equal(machine.metrics().exposure.potential.windows, 0);
      });

  for (const chance of [1, 2, 3])
    test(`at table ${chance} of a long map: what was written is cleared again`, () => {
      // 2,048 pages, which the bitmap aligns to their size: four leaf tables.
      const run = (frames: number) => {
        const machine = withFrames(frames, {
          policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'strict' } },
        });
        const outcome = machine.apply({
          op: 'map',
          device: 'n',
          kind: 'sg',
          direction: 'bidirectional',
          segments: Array.from({ length: 8 }, () => ({ physicalAddress: 0, lengthBytes: 256 * 4096 })),
        })!;
        return { machine, outcome };
      };
      // Root, two upper tables, and all but the last `chance` of four leaf tables.
      const { machine, outcome } = run(3 + 4 - chance);
      assert.ok(outcome.status === 'failed');
      assert.equal(outcome.problem.code, 'no-frame');
      assert.ok(noPte(machine));
      assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 0);
      assert.equal(machine.sim.memory.framesInUse, 3, 'leaf tables that the undo covers go back, upper ones stay');
      const first = machine.sim.digest();
      assert.equal(first, run(3 + 4 - chance).machine.sim.digest(), 'fails the same way each time');
      // What is left serves a smaller request.
      machine.map('n', { physicalAddress: 0, lengthBytes: 4096 });
      assert.equal(run(3 + 4).outcome.status, 'ok');
    });

  test('iommu-map: what was written is cleared again and the range can be mapped later', () => {
    const machine = withFrames(5);
    const hog = machine.buffer(4096);
    const range = {
      op: 'iommu-map',
      domain: 'dom_0',
      iova: 0x40000000,
      physicalAddress: 0,
      lengthBytes: 2 * 2 ** 21,
      access: 'rw',
    } as const;
    machine.fails(range, 'no-frame');
    assert.ok(noPte(machine));
    assert.equal(machine.touch('n', 0x40000000).verdict, 'fault');
    machine.ok({ op: 'free', buffer: hog });
    machine.ok(range);
    assert.equal(machine.touch('n', 0x40200000).verdict, 'ok');
  });

  test('a device and a domain need a root table', () => {
    const machine = withFrames(1);
    machine.fails({ op: 'device', name: 'm', kind: 'custom' }, 'no-frame');
    machine.fails({ op: 'domain', name: 'd' }, 'no-frame');
    assert.throws(() => withFrames(0), /root table/);
  });
});

describe('no IOVA', () => {
  for (const kind of ['rbtree-2008', 'rbtree', 'bitmap'])
    for (const invalidation of ['strict', 'deferred-2008', 'delayed', 'never'])
      test(`${kind}, ${invalidation}: fails when the space is full, and after freeing all of it the space is whole again`, () => {
        const machine = new Machine({
          policy: { allocator: { kind }, invalidation: { kind: invalidation } },
          devices: [{ name: 'n', kind: 'custom', dmaMaskBits: 24 }],
        });
        const buffer = machine.buffer(16 * 4096);
        const frames = () => machine.sim.memory.framesInUse;
        let atFull = 0;
        for (let round = 0; round < 3; round++) {
          const live: Mapped[] = [];
          for (;;) {
            const outcome = machine.apply({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer })!;
            if (outcome.status !== 'ok') {
              assert.ok(outcome.status === 'failed');
              assert.equal(outcome.problem.code, 'iova-exhausted');
              break;
            }
            live.push(outcome.result as unknown as Mapped);
          }
          // 4,096 pages below 16 MiB; page 0 and what alignment takes of it are not for handing out.
          assert.ok(live.length >= 253, `${live.length} ranges of 16 pages`);
          if (round === 0) atFull = live.length;
          else assert.equal(live.length, atFull, 'nothing leaked');
          for (const { id } of live) machine.unmap(id);
          machine.ok({ op: 'attach', device: 'n', domain: 'dom_0' });
          assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 0);
          assert.equal(machine.sim.mappings.count, 0);
        }
        assert.equal(frames(), 16 + machine.sim.tables.tables);
      });

  test('a failure takes time, counts and is no refusal', () => {
    const machine = new Machine({
      policy: { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 } },
      devices: [{ name: 'n', kind: 'custom' }],
    });
    const buffer = machine.buffer(300 * 4096);
    const before = machine.sim.digest();
    const { operations, timePs } = machine.sim;
    machine.fails({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer }, 'iova-exhausted');
    assert.notEqual(machine.sim.digest(), before);
    assert.equal(machine.sim.operations, operations + 1);
    assert.notEqual(machine.sim.timePs, timePs);
    assert.equal(machine.sim.counters.mapFailures, 1);
  });
});
