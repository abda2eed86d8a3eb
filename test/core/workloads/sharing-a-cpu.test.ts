/**
 * Several workloads, or queues of one, on a CPU that cannot do all that they ask for. Polls take turns of `napiBudget` packets, as the
 * kernel's list of polls has it: who has had his turn stands behind all who wait. Nobody starves.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine } from '../build.ts';

const MS = 1_000_000;

function machineOf(workloads: Record<string, unknown>[]): Machine {
  return new Machine({
    machine: { cpus: 2 },
    costs: { profile: 'riommu15-brcm' },
    policy: { allocator: { kind: 'bitmap' } },
    devices: [
      { name: 'n', kind: 'nic' },
      { name: 'd', kind: 'block' },
    ],
    workloads: workloads.map((workload) => ({
      device: workload.kind === 'block' ? 'd' : 'n',
      cpus: [0],
      ...workload,
    })),
  });
}

const operationsOf = (machine: Machine, ms: number) =>
  machine.run({ forNs: ms * MS }).workloads.map(({ operations }) => operations);

const tooMuch = { kind: 'nic-rx', gbps: 40 };
const close = (actual: number, expected: number, part: number) =>
  assert.ok(Math.abs(actual - expected) <= expected * part, `${actual}, expected about ${expected}`);

describe('a receive queue that takes all that a CPU has', () => {
  for (const [name, rx] of Object.entries({
    'the plain ring': tooMuch,
    'the class that can do more': { ...tooMuch, recycle: 'none' },
    'a device with limits': { ...tooMuch, outstanding: 8 },
  })) {
    test(`${name}: another one has half of it, whichever came first`, () => {
      const [first, second] = operationsOf(machineOf([rx, tooMuch]), 40) as [number, number];
      close(first, second, 0.02);
      close(first + second, operationsOf(machineOf([tooMuch]), 40)[0]!, 0.02);
    });

    test(`${name}: with turns twice as long it has two thirds`, () => {
      const [first, second] = operationsOf(machineOf([{ ...rx, napiBudget: 128 }, tooMuch]), 40) as [number, number];
      close(first, 2 * second, 0.03);
    });

    for (const other of [
      { kind: 'nic-tx', gbps: 40 },
      { kind: 'nic-tx', gbps: 1 },
      { kind: 'nic-tx', gbps: 1, outstanding: 8 },
      { kind: 'block', disk: 'nvme' },
      { kind: 'map-benchmark', threads: 1, seconds: 1 },
    ])
      for (const order of ['first', 'second'])
        test(`${name}: ${JSON.stringify(other)}, ${order}, goes on beside it`, () => {
          const both = order === 'first' ? [other, rx] : [rx, other];
          const operations = operationsOf(machineOf(both), 20);
          // A turn of 64 packets is 0.08 ms: 20 ms have 200 turns and more.
          assert.ok(Math.min(...operations) > 200, `${operations}`);
        });
  }

  test('its own queues on one CPU get the same number of packets through', () => {
    for (const more of [{}, { recycle: 'none' }]) {
      const machine = machineOf([{ ...tooMuch, queues: 4, ringSize: 4096, ...more }]);
      const [operations] = operationsOf(machine, 4) as [number];
      // Fewer than a ring has, so that each queue's place in it says how many it had.
      const { driverNext } = machine.sim.workloadAt[0] as unknown as { driverNext: Int32Array };
      assert.equal(
        driverNext.reduce((sum, each) => sum + each, 0),
        operations,
      );
      assert.ok(operations > 40 * 64 && Math.max(...driverNext) - Math.min(...driverNext) <= 64, `${driverNext}`);
    }
  });
});

test('a sender that fills its CPU leaves a receive queue its turns, and the other way round, in equal parts', () => {
  const [tx, rx] = operationsOf(machineOf([{ kind: 'nic-tx', gbps: 40 }, tooMuch]), 40) as [number, number];
  close(tx, rx, 0.05);
});

test('two senders have equal parts', () => {
  const tx = { kind: 'nic-tx', gbps: 40 };
  const [first, second] = operationsOf(machineOf([tx, tx]), 40) as [number, number];
  close(first, second, 0.05);
});

test('turns are the same in slices', () => {
  const play = (slice: number) => {
    const machine = machineOf([tooMuch, { ...tooMuch, recycle: 'none', queues: 2 }, { kind: 'nic-tx', gbps: 5 }]);
    const results = [machine.run({ forNs: MS }, slice), machine.run({ operations: 300 }, slice)];
    return { results, digest: machine.sim.digest() };
  };
  const whole = play(1e6);
  assert.deepEqual(play(1), whole);
  assert.deepEqual(play(7), whole);
});
