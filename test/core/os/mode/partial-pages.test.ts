/** Untrusted devices under translation: what is no whole page bounces, and so nothing beside a buffer is ever in reach. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Cost, Dice, Machine } from '../../build.ts';

function machineOf(spec: Record<string, unknown> = {}, policy: Record<string, unknown> = {}): Machine {
  return new Machine({
    policy: { invalidation: { kind: 'strict' }, allocator: { kind: 'rbtree' }, ...policy },
    devices: [
      { name: 'guest', kind: 'custom', untrusted: true },
      { name: 'own', kind: 'custom' },
    ],
    ...spec,
  });
}

const round = (value: number) => Math.round(value * 1000) / 1000;

describe('one stretch', () => {
  const cases = [
    ['to-device', 1500, 50 + 1500 * 0.744 + 2596 * 0.372, 0],
    ['from-device', 1500, 4096 * 0.372, 50 + 1500 * 0.744],
    ['bidirectional', 1500, 50 + 1500 * 0.744 + 2596 * 0.372, 50 + 1500 * 0.744],
    ['to-device', 4097, 50 + 4097 * 0.744 + 4095 * 0.372, 0],
  ] as const;
  for (const [direction, lengthBytes, inward, outward] of cases)
    test(`${lengthBytes} bytes ${direction}: copied and cleared, to the milli-cycle`, () => {
      const machine = machineOf();
      const mapped = machine.map('guest', { buffer: machine.buffer(8192), lengthBytes, direction });
      assert.equal(mapped.breakdown.copy, round(inward));
      assert.ok(mapped.assumptions!.includes('zeroByte'));
      const unmapped = machine.unmap(mapped.id);
      assert.equal(unmapped.breakdown.copy, round(outward));
      assert.equal(unmapped.breakdown.invalidation, 2127);
    });

  test('whole pages are mapped as they are', () => {
    const machine = machineOf();
    const buffer = machine.buffer(8192);
    const mapped = machine.map('guest', { buffer, direction: 'from-device' });
    assert.equal(mapped.breakdown.copy, 0);
    assert.equal(Number(machine.touch('guest', mapped.iova).physicalAddress), machine.addressOf(buffer));
    assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
  });

  test('a page that begins in its middle bounces, and the device never sees its frame', () => {
    const machine = machineOf();
    const buffer = machine.buffer(4096);
    const mapped = machine.map('guest', { buffer, offsetBytes: 2048, lengthBytes: 2048, direction: 'from-device' });
    assert.equal(Number(mapped.iova) % 4096, 0);
    const piece = machine.touch('guest', mapped.iova);
    assert.equal(piece.verdict, 'ok');
    assert.notEqual(Number(piece.physicalAddress), machine.addressOf(buffer) + 2048);
  });

  test('a trusted device beside it bounces nothing', () => {
    const machine = machineOf();
    const mapped = machine.map('own', { buffer: machine.buffer(4096), lengthBytes: 100, direction: 'from-device' });
    assert.equal(mapped.breakdown.copy, 0);
    assert.equal(machine.dma('own', Number(mapped.iova) + 100, 'write', 10).verdict, 'subpage');
  });

  test('sync copies', () => {
    const machine = machineOf();
    const { id } = machine.map('guest', { buffer: machine.buffer(4096), lengthBytes: 100, direction: 'from-device' });
    assert.equal(machine.ok<Cost>({ op: 'sync', mapping: id, for: 'cpu' }).breakdown.copy, 124.4);
    const whole = machine.map('guest', { buffer: machine.buffer(4096), direction: 'from-device' });
    assert.equal(machine.ok<Cost>({ op: 'sync', mapping: whole.id, for: 'cpu' }).breakdown.copy, 0);
  });

  test('more than 256 KiB of it fails, and a full pool does', () => {
    const machine = machineOf({}, { bounce: { poolBytes: 262_144 } });
    const buffer = machine.buffer(2 ** 20);
    const map = { op: 'map', device: 'guest', kind: 'single', direction: 'to-device', buffer } as const;
    machine.fails({ ...map, lengthBytes: 262_145 }, 'bounce-pool-full');
    for (let i = 0; i < 64; i++) machine.ok({ ...map, offsetBytes: i * 4096, lengthBytes: 1 });
    machine.fails({ ...map, lengthBytes: 1 }, 'bounce-pool-full');
    assert.equal(machine.ok<Cost>({ ...map, lengthBytes: 2 ** 20 }).breakdown.copy, 0, 'whole pages need none');
    assert.equal(machine.metrics().counters.bounceFailures, 2);
  });

  test('an address that cannot be had gives the slots back', () => {
    const machine = machineOf({}, { allocator: { kind: 'bitmap', apertureBytes: 65_536 } });
    const buffer = machine.buffer(2 ** 17);
    const map = { op: 'map', device: 'guest', kind: 'single', direction: 'to-device', buffer } as const;
    let mapped = 0;
    for (; machine.apply({ ...map, lengthBytes: 100 }).status === 'ok'; mapped++) assert.ok(mapped < 16);
    machine.fails({ ...map, lengthBytes: 100 }, 'iova-exhausted');
    assert.ok(mapped > 0);
    assert.equal(machine.metrics().counters.bounceUsedSlots, 2 * mapped);
  });
});

describe('a list', () => {
  const segments = (buffer: string) => [
    { buffer, lengthBytes: 4096 },
    { buffer, offsetBytes: 4096, lengthBytes: 100 },
    { buffer, offsetBytes: 8192, lengthBytes: 8192 },
    { buffer, offsetBytes: 20_000, lengthBytes: 5000 },
  ];

  test('is mapped segment by segment: an address, a table part and an invalidation each', () => {
    const machine = machineOf();
    const buffer = machine.buffer(65_536);
    const mapped = machine.map('guest', { kind: 'sg', segments: segments(buffer), direction: 'from-device' });
    assert.deepEqual(
      mapped.segments.map(({ lengthBytes }) => lengthBytes),
      [4096, 100, 8192, 5000],
    );
    assert.equal(mapped.breakdown.other, 4 * 44);
    assert.equal(mapped.breakdown.copy, round((4096 + 8192) * 0.372));
    assert.equal(machine.metrics().counters.bounceUsedSlots, 6);
    for (const { iova, lengthBytes } of mapped.segments) {
      assert.equal(Number(iova) % 4096, 0);
      assert.equal(machine.dma('guest', iova, 'write', lengthBytes).verdict, 'ok');
    }
    const unmapped = machine.unmap(mapped.id);
    assert.equal(unmapped.breakdown.invalidation, 4 * 2127);
    assert.equal(unmapped.breakdown.copy, round(100 + 5100 * 0.744));
    for (const { iova } of mapped.segments) assert.equal(machine.touch('guest', iova).verdict, 'fault');
    const { counters } = machine.metrics();
    assert.deepEqual([counters.bounceUsedSlots, counters.liveMappings], [0, 0]);
  });

  test('that does not fit leaves nothing behind', () => {
    const machine = machineOf({}, { bounce: { poolBytes: 262_144 } });
    const buffer = machine.buffer(2 ** 20);
    const before = machine.read<{ usedBytes: number }>({ read: 'space' }).usedBytes;
    const list = [0, 1, 2].map((i) => ({ buffer, offsetBytes: i * 200_000, lengthBytes: 100_001 }));
    machine.fails(
      { op: 'map', device: 'guest', kind: 'sg', direction: 'to-device', segments: list },
      'bounce-pool-full',
    );
    assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
    assert.equal(machine.read<{ usedBytes: number }>({ read: 'space' }).usedBytes, before);
  });

  test('goes on where a search for an address yields', () => {
    const play = (budget: number) => {
      const machine = machineOf({}, { allocator: { kind: 'rbtree-2008' } });
      const buffer = machine.buffer(65_536);
      for (let i = 0; i < 50; i++) machine.map('own', { buffer, lengthBytes: 4096 });
      machine.sim.searchBudget = budget;
      for (let i = 0; i < 5; i++) {
        const { id } = machine.map('guest', { kind: 'sg', segments: segments(buffer) });
        machine.map('guest', { buffer, lengthBytes: 10 });
        if (i % 2 === 0) machine.unmap(id);
      }
      return machine.sim.digest();
    };
    assert.equal(play(1), play(Number.POSITIVE_INFINITY));
  });
});

test('no history shows a byte beside a buffer: never a subpage verdict, never a residue', () => {
  for (const mode of ['translate', 'emulated']) {
    const machine = machineOf(
      mode === 'emulated'
        ? {
            tenants: [{ kind: 'vm' }],
            devices: [
              { name: 'guest', kind: 'custom', untrusted: true },
              { name: 'own', kind: 'custom' },
            ],
          }
        : {},
      { mode },
    );
    const dice = new Dice(7);
    const buffer = machine.buffer(2 ** 18, mode === 'emulated' ? { tenant: 'ten_1' } : {});
    const live: { id: string; iova: string; lengthBytes: number }[] = [];
    let verdicts = 0;
    for (let step = 0; step < 400; step++) {
      if (live.length < 3 || dice.chance(2)) {
        const range = () => ({ buffer, offsetBytes: dice.below(2 ** 17), lengthBytes: 1 + dice.below(9000) });
        const mapped = machine.map('guest', {
          direction: 'bidirectional',
          ...(dice.chance(3) ? { kind: 'sg' as const, segments: [range(), range()] } : range()),
        });
        live.push({ ...mapped.segments[0]!, id: mapped.id });
      } else machine.unmap(live.splice(dice.below(live.length), 1)[0]!.id);
      const { iova, lengthBytes } = dice.pick(live);
      const at = Number(iova) + dice.below(Math.ceil(lengthBytes / 4096) * 4096 - 64);
      assert.equal(machine.dma('guest', at, dice.pick(['read', 'write'] as const), 64).verdict, 'ok');
      verdicts++;
      assert.equal(machine.metrics().counters.residualBytes, 0);
    }
    const metrics = machine.metrics();
    assert.equal(metrics.verdicts.subpage, 0);
    assert.equal(metrics.verdicts.ok, verdicts + (metrics.verdicts.ok! - verdicts));
    assert.equal(metrics.exposure.residualByteSeconds, 0);
    // The control: the same bytes of a trusted device are not.
    const { iova } = machine.map('own', { buffer, offsetBytes: 100, lengthBytes: 100, direction: 'bidirectional' });
    assert.equal(machine.touch('own', Number(iova) + 100).verdict, 'subpage');
  }
});

test('packets of an untrusted NIC: copied, invalidated, nothing exposed', () => {
  const machine = new Machine({
    policy: { invalidation: { kind: 'strict' }, allocator: { kind: 'rbtree' } },
    devices: [{ name: 'nic', kind: 'nic', untrusted: true }],
    workloads: [
      { kind: 'nic-rx', device: 'nic', gbps: 1, ringSize: 64, mappingsPerPacket: 2 },
      { kind: 'block', device: 'nic', disk: 'custom', lengthBytes: 20_000, depth: 4, latencyNs: 5000 },
    ],
  });
  const result = machine.run({ forNs: 500_000 });
  assert.ok(result.workloads.every(({ operations }) => operations > 20));
  assert.equal(
    result.verdicts.ok,
    Object.values(result.verdicts).reduce((sum, count) => sum + count, 0),
  );
  assert.equal(result.exposure.potential.windows, 0);
  assert.equal(result.exposure.residualByteSeconds, 0);
  assert.ok(result.counts.bytesCopied! > 20 * 1500);
});

test('a domain that goes takes its copies along', () => {
  const machine = machineOf();
  const buffer = machine.buffer(65_536);
  machine.map('guest', { buffer, lengthBytes: 100 });
  machine.map('guest', {
    kind: 'sg',
    segments: [
      { buffer, lengthBytes: 100 },
      { buffer, offsetBytes: 4096, lengthBytes: 4096 },
    ],
  });
  machine.ok({ op: 'device-remove', device: 'guest' });
  assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
});

test('without frames for the pool there is no untrusted device', () => {
  const machine = new Machine({ machine: { memoryBytes: 2 ** 24 } });
  machine.fails({ op: 'device', kind: 'custom', untrusted: true }, 'no-frame');
  machine.ok({ op: 'device', kind: 'custom' });
});
