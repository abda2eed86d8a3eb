/** What the kernel's DMA debugging would report: carried out on the recorded mapping, listed in the reply and in the event log. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Operation } from '../../../src/core/operations.ts';
import { Machine, type Misuse } from '../build.ts';

function machineWith(device: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): Machine {
  return new Machine({ ...spec, devices: [{ name: 'n', kind: 'custom', ...device }] });
}

const checks = (machine: Machine, operation: Operation): string[] =>
  (machine.ok<{ misuse?: Misuse[] }>(operation).misuse ?? []).map(({ check }) => check);

const unmapAt = (iova: string | number, fields: Partial<Extract<Operation, { op: 'unmap' }>> = {}): Operation => ({
  op: 'unmap',
  device: 'n',
  iova,
  lengthBytes: 4096,
  direction: 'bidirectional',
  ...fields,
});

describe('misuse', () => {
  test('what is in order is not reported', () => {
    const machine = machineWith();
    const buffer = machine.buffer(8192);
    const { id, iova } = machine.map('n', { buffer, lengthBytes: 4096 });
    for (const who of ['cpu', 'device'] as const)
      assert.deepEqual(checks(machine, { op: 'sync', mapping: id, for: who, offsetBytes: 100, lengthBytes: 3996 }), []);
    assert.deepEqual(checks(machine, unmapAt(iova)), []);
    assert.equal(machine.sim.counters.misuse, 0);
  });

  test('not-mapped: an address that is none, one already unmapped, the middle of a mapping', () => {
    const machine = machineWith();
    const buffer = machine.buffer(3 * 4096);
    assert.deepEqual(checks(machine, unmapAt(0x5000)), ['not-mapped']);
    const once = machine.map('n', { buffer, lengthBytes: 4096 });
    assert.deepEqual(checks(machine, unmapAt(once.iova)), []);
    assert.deepEqual(checks(machine, unmapAt(once.iova)), ['not-mapped'], 'a second unmap of an address is misuse');
    const long = machine.map('n', { buffer });
    assert.deepEqual(checks(machine, unmapAt(Number(long.iova) + 4096, { lengthBytes: 3 * 4096 })), ['not-mapped']);
    machine.refused({ op: 'unmap', mapping: long.id }, 'unknown-mapping');
  });

  test('not-mapped: a mapping of another device of the same domain', () => {
    const machine = new Machine({
      domains: [{ name: 'd' }],
      devices: [
        { name: 'n', kind: 'custom', domain: 'd' },
        { name: 'm', kind: 'custom', domain: 'd' },
      ],
    });
    const { iova } = machine.map('m', { buffer: machine.buffer(4096) });
    assert.deepEqual(checks(machine, unmapAt(iova)), ['not-mapped']);
  });

  test('size and direction: the recorded mapping is unmapped as a whole', () => {
    const machine = machineWith();
    const { id, iova } = machine.map('n', { buffer: machine.buffer(8192), direction: 'to-device' });
    machine.touch('n', Number(iova) + 4096, 'read');
    assert.deepEqual(checks(machine, unmapAt(iova, { direction: 'from-device' })), ['size', 'direction']);
    machine.refused({ op: 'unmap', mapping: id }, 'unknown-mapping');
    assert.equal(machine.sim.mappings.count, 0);
    assert.equal(machine.sim.counters.ptesCleared, 2);
  });

  test('function: a list or coherent memory unmapped as a page', () => {
    const machine = machineWith();
    const sg = machine.map('n', { kind: 'sg', segments: [{ buffer: machine.buffer(4096) }] });
    assert.deepEqual(checks(machine, unmapAt(sg.iova)), ['function']);
    const coherent = machine.map('n', { kind: 'coherent', lengthBytes: 4096 });
    assert.deepEqual(checks(machine, unmapAt(coherent.iova)), ['function']);
  });

  test('segment-length: only of lists', () => {
    const machine = machineWith({ maxSegmentBytes: 4096 });
    const buffer = machine.buffer(8192);
    assert.deepEqual(checks(machine, { op: 'map', device: 'n', kind: 'sg', direction: 'to-device', buffer }), [
      'segment-length',
    ]);
    assert.deepEqual(checks(machine, { op: 'map', device: 'n', kind: 'single', direction: 'to-device', buffer }), []);
  });

  test('segment-boundary: by the bus address, which the allocator keeps off boundaries where it can', () => {
    const segmentBoundaryBytes = 8192;
    const machine = machineWith({ segmentBoundaryBytes });
    const buffer = machine.buffer(5 * 4096);
    const odd = machine.addressOf(buffer) % 8192 === 0 ? 4096 : 0;
    const two = { buffer, offsetBytes: odd, lengthBytes: 8192 };
    assert.deepEqual(
      checks(machine, { op: 'map', device: 'n', kind: 'sg', direction: 'to-device', segments: [two] }),
      [],
      'crosses in memory, not on the bus',
    );
    const three = { buffer, lengthBytes: 3 * 4096 };
    assert.deepEqual(
      checks(machine, { op: 'map', device: 'n', kind: 'sg', direction: 'to-device', segments: [three] }),
      ['segment-boundary'],
    );
    const direct = machineWith({ segmentBoundaryBytes }, { policy: { mode: 'passthrough' } });
    direct.ok({ op: 'buffer', lengthBytes: 8192, physicalAddress: 0x301000 });
    assert.deepEqual(
      checks(direct, {
        op: 'map',
        device: 'n',
        kind: 'sg',
        direction: 'to-device',
        segments: [{ physicalAddress: 0x301000, lengthBytes: 8192 }],
      }),
      ['segment-boundary'],
      'without translation the bus address is the one in memory',
    );
  });

  test('overlap: a cache line that the device may write is mapped twice', () => {
    const machine = machineWith();
    const buffer = machine.buffer(8192);
    const map = (offsetBytes: number, lengthBytes: number, direction: 'to-device' | 'from-device' | 'bidirectional') =>
      checks(machine, { op: 'map', device: 'n', kind: 'single', direction, buffer, offsetBytes, lengthBytes });
    assert.deepEqual(map(0, 100, 'from-device'), []);
    assert.deepEqual(map(64, 10, 'from-device'), ['overlap']);
    assert.deepEqual(map(128, 10, 'bidirectional'), [], 'another line');
    assert.deepEqual(map(0, 8192, 'to-device'), [], 'not for what the device only reads');
    assert.deepEqual(map(4096, 64, 'from-device'), [], 'nor against it');
    const [first] = [...Array(machine.sim.mappings.used).keys()];
    machine.unmap(machine.sim.mappings.handle(first!));
    assert.deepEqual(map(0, 64, 'from-device'), []);
  });

  test('overlap: with a mapping whose buffer was freed under it', () => {
    const machine = machineWith();
    const buffer = machine.buffer(4096);
    machine.map('n', { buffer });
    machine.ok({ op: 'free', buffer, force: true });
    const again = machine.buffer(4096);
    assert.deepEqual(
      checks(machine, { op: 'map', device: 'n', kind: 'single', direction: 'from-device', buffer: again }),
      ['overlap'],
    );
  });

  test('sync-range and sync-direction', () => {
    const machine = machineWith();
    const buffer = machine.buffer(8192);
    const out = machine.map('n', { buffer, lengthBytes: 4096, direction: 'to-device' });
    const inn = machine.map('n', { buffer, offsetBytes: 4096, lengthBytes: 4096, direction: 'from-device' });
    assert.deepEqual(checks(machine, { op: 'sync', mapping: out.id, for: 'device' }), []);
    assert.deepEqual(checks(machine, { op: 'sync', mapping: out.id, for: 'cpu' }), ['sync-direction']);
    assert.deepEqual(checks(machine, { op: 'sync', mapping: inn.id, for: 'cpu' }), []);
    assert.deepEqual(checks(machine, { op: 'sync', mapping: inn.id, for: 'device' }), ['sync-direction']);
    assert.deepEqual(checks(machine, { op: 'sync', mapping: inn.id, for: 'cpu', offsetBytes: 1, lengthBytes: 4096 }), [
      'sync-range',
    ]);
    assert.deepEqual(checks(machine, { op: 'sync', mapping: inn.id, for: 'cpu', offsetBytes: 4096 }), ['sync-range']);
    machine.unmap(out.id);
    machine.refused({ op: 'sync', mapping: out.id, for: 'cpu' }, 'unknown-mapping', '/mapping');
  });

  test('leak-at-detach: live mappings stay in the old domain, and can be unmapped there', () => {
    for (const leave of ['detach', 'attach', 'device-remove'] as const) {
      const machine = new Machine({
        domains: [{ name: 'd' }, { name: 'e' }],
        devices: [{ name: 'n', kind: 'custom', domain: 'd' }],
      });
      const { id } = machine.map('n', { buffer: machine.buffer(4096) });
      const operation: Operation =
        leave === 'attach' ? { op: 'attach', device: 'n', domain: 'e' } : { op: leave, device: 'n' };
      assert.deepEqual(checks(machine, operation), ['leak-at-detach'], leave);
      machine.unmap(id);
      assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 1, 'waits for the flush');
      machine.advance(10_000_000);
      assert.equal(machine.sim.domains[0]!.allocator!.liveRanges, 0);
    }
  });

  test('freed-while-mapped: by force, by a range of iommu-map, by the end of a tenant', () => {
    const machine = new Machine({ tenants: [{ name: 'vm', kind: 'vm' }], devices: [{ name: 'n', kind: 'custom' }] });
    const first = machine.buffer(4096);
    machine.map('n', { buffer: first });
    assert.deepEqual(checks(machine, { op: 'free', buffer: first, force: true }), ['freed-while-mapped']);
    const second = machine.buffer(8192);
    const range = { op: 'iommu-map', domain: 'dom_0', iova: 0x40000000, lengthBytes: 16384, access: 'rw' } as const;
    machine.ok({ ...range, physicalAddress: machine.addressOf(second) - 4096 });
    machine.refused({ op: 'free', buffer: second }, 'buffer-mapped');
    assert.deepEqual(checks(machine, { op: 'free', buffer: second, force: true }), ['freed-while-mapped']);
    const verdicts = [0, 1, 2, 3].map((page) => machine.touch('n', 0x40000000 + 4096 * page).verdict);
    assert.deepEqual(verdicts, ['ok', 'stale', 'stale', 'ok'], 'only what lay in the buffer is over');
    assert.deepEqual(checks(machine, { op: 'iommu-unmap', domain: 'dom_0', iova: 0x40000000, lengthBytes: 16384 }), []);
    machine.ok({ ...range, physicalAddress: 0x10000000 });
    const third = machine.buffer(4096, { tenant: 'vm' });
    machine.map('n', { buffer: third });
    assert.deepEqual(checks(machine, { op: 'tenant-remove', tenant: 'vm' }), ['freed-while-mapped']);
  });

  test('an address whose buffer was freed under it is still on the kernel’s record', () => {
    const machine = machineWith();
    const buffer = machine.buffer(4096);
    const { id, iova } = machine.map('n', { buffer });
    machine.ok({ op: 'free', buffer, force: true });
    assert.deepEqual(checks(machine, unmapAt(iova)), []);
    machine.refused({ op: 'unmap', mapping: id }, 'unknown-mapping');
  });

  test('every report is counted and in the event log', () => {
    const machine = machineWith();
    checks(machine, unmapAt(0x5000));
    checks(machine, unmapAt(0x6000));
    assert.equal(machine.sim.counters.misuse, 2);
    const { items } = machine.read<{ items: { type: string; check?: string }[] }>({ read: 'events' });
    assert.deepEqual(
      items.filter(({ type }) => type === 'misuse').map(({ check }) => check),
      ['not-mapped', 'not-mapped'],
    );
  });
});
