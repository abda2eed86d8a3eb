/** identity: which address a page gets, and who gets one from the fallback. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Machine } from '../../build.ts';

const GIB = 2 ** 30;

const machineOf = (spec: Record<string, unknown> = {}, device: Record<string, unknown> = {}) =>
  new Machine({
    machine: { cpus: 4, memoryBytes: 3 * GIB },
    policy: { allocator: { kind: 'identity' }, invalidation: { kind: 'strict' } },
    devices: [{ name: 'n', kind: 'custom', ...device }],
    ...spec,
  });

const map = (machine: Machine, address: number, cpu: number, lengthBytes = 4096) =>
  Number(machine.map('n', { physicalAddress: address, lengthBytes, cpu }).iova);
const inside = (machine: Machine) => machine.read({ read: 'allocator' }) as Record<string, number>;

describe('an address', () => {
  test('is the physical one on CPU 0, and as many windows up as its CPU says on the others', () => {
    const machine = machineOf();
    // 3 GiB make windows of 4.
    assert.equal(inside(machine).windowPages, 2 ** 20);
    for (const cpu of [0, 1, 2, 3]) assert.equal(map(machine, 0x1234_5678, cpu), cpu * 4 * GIB + 0x1234_5678);
    assert.deepEqual([inside(machine).identities, inside(machine).fallbacks], [4, 0]);
  });

  test('takes no search and no lock: the same few cycles however much is mapped', () => {
    const machine = machineOf();
    const costs = new Set<number>();
    for (let i = 0; i < 2000; i++) {
      const { breakdown } = machine.map('n', { physicalAddress: GIB + i * 4096, lengthBytes: 4096 });
      costs.add(breakdown.iovaAlloc!);
    }
    assert.deepEqual([...costs], [92]);
    assert.equal(machine.metrics().locks.find(({ name }) => name === 'iova-allocator')!.acquisitions, 0);
    assert.equal(machine.sim.counters.wordsScanned, 0);
  });

  test('holds for runs of several pages and for lists in one run', () => {
    const machine = machineOf();
    assert.equal(map(machine, 0x700_0000, 0, 5 * 4096), 0x700_0000);
    const list = machine.ok<{ iova: string }>({
      op: 'map',
      device: 'n',
      kind: 'sg',
      direction: 'to-device',
      segments: [
        { physicalAddress: '0x900000', lengthBytes: 8192 },
        { physicalAddress: '0x902000', lengthBytes: 4096 },
      ],
    });
    assert.equal(list.iova, '0x900000');
    const coherent = machine.map('n', { kind: 'coherent', lengthBytes: 8192 });
    const slot = machine.sim.mappings.find(coherent.id);
    assert.equal(machine.sim.mappings.page[slot], machine.sim.mappings.frame[slot]);
    assert.equal(inside(machine).fallbacks, 0);
  });

  test('is free again at unmap, for the same page alone', () => {
    const machine = machineOf();
    const mapped = machine.map('n', { physicalAddress: '0x5000000', lengthBytes: 4096 });
    machine.unmap(mapped.id);
    assert.equal(map(machine, 0x600_0000, 0), 0x600_0000);
    assert.equal(map(machine, 0x500_0000, 0), 0x500_0000);
  });
});

describe('the fallback, above the windows and by next-fit', () => {
  const FALLBACK = 16 * GIB;

  test('takes a page that its CPU has mapped already', () => {
    const machine = machineOf();
    assert.equal(map(machine, 0x500_0000, 1), 4 * GIB + 0x500_0000);
    assert.equal(map(machine, 0x500_0000, 1), FALLBACK);
    assert.equal(map(machine, 0x500_0000, 1), FALLBACK + 4096);
    assert.equal(map(machine, 0x500_0000, 2), 8 * GIB + 0x500_0000, 'another CPU has an address of its own');
    assert.deepEqual([inside(machine).identities, inside(machine).fallbacks], [2, 2]);
  });

  test('takes scattered lists, the first page, and what lies in a reserved region', () => {
    const machine = machineOf({ machine: { cpus: 4, memoryBytes: 4 * GIB } });
    const { iova } = machine.ok<{ iova: string }>({
      op: 'map',
      device: 'n',
      kind: 'sg',
      direction: 'to-device',
      segments: [
        { physicalAddress: '0x900000', lengthBytes: 4096 },
        { physicalAddress: '0xa00000', lengthBytes: 4096 },
      ],
    });
    assert.equal(Number(iova), FALLBACK);
    assert.equal(map(machine, 0, 0), FALLBACK + 2 * 4096, 'page 0 is never handed out');
    assert.equal(map(machine, 0xfee0_0000, 0), FALLBACK + 3 * 4096, 'the interrupt window');
    assert.equal(map(machine, 0xfee0_0000, 1), 4 * GIB + 0xfee0_0000);
  });

  test('lies within reach for narrow devices: what is free below their mask', () => {
    const machine = machineOf({ machine: { cpus: 2, memoryBytes: 8 * GIB } }, { dmaMaskBits: 32 });
    assert.equal(map(machine, 0x5000_0000, 0), 0x5000_0000, 'within reach, on CPU 0: its own address');
    const other = map(machine, 0x5000_0000, 1);
    assert.equal(other, 0x1000, 'the window of CPU 1 lies beyond its mask');
    assert.equal(map(machine, 5 * GIB, 0), 0x2000, 'a frame beyond its mask');
    assert.equal(map(machine, 0x2000, 0), 0x3000, 'whose own address the fallback has taken');
  });

  test('is refused nothing until all is full', () => {
    const machine = machineOf({ machine: { cpus: 1, memoryBytes: 2 ** 26 } }, { dmaMaskBits: 24 });
    const large = machine.buffer(2 ** 25);
    machine.fails({ op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer: large }, 'iova-exhausted');
  });
});

test('wide devices ask for no 32-bit address first', () => {
  const machine = machineOf();
  map(machine, 0x500_0000, 3);
  assert.equal(machine.sim.counters.allocationAttempts, 1);
});

test('wrap is refused: nothing goes round', () => {
  assert.throws(
    () => machineOf({ policy: { allocator: { kind: 'identity' }, invalidation: { kind: 'wrap' } } }),
    /policy\/invalidation\/kind/,
  );
});

test('never on identity: a page that is freed and mapped again is reached through what was cached of it', () => {
  // The address is the frame's, so the stale entry leads where the new mapping leads: neither misdirected nor blocked.
  const machine = machineOf({ policy: { allocator: { kind: 'identity' }, invalidation: { kind: 'never' } } });
  const first = machine.buffer(4096);
  const mapped = machine.map('n', { buffer: first });
  machine.touch('n', mapped.iova);
  machine.unmap(mapped.id);
  machine.ok({ op: 'free', buffer: first });
  const again = machine.map('n', { buffer: machine.buffer(4096) });
  assert.equal(again.iova, mapped.iova);
  const { verdict, from } = machine.touch('n', again.iova);
  assert.deepEqual([verdict, from], ['ok', 'iotlb']);
});
