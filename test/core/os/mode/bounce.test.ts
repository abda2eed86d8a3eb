/** bounce through operations and runs: what is copied when, what it costs, what a device reaches, and what happens when it is full. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveSpec } from '../../../../src/core/index.ts';
import { type Cost, Machine, type Mapped } from '../../build.ts';

function bouncing(bounce: Record<string, unknown> = {}, spec: Record<string, unknown> = {}): Machine {
  return new Machine({
    policy: { mode: 'bounce', bounce },
    devices: [
      { name: 'nic', kind: 'nic' },
      { name: 'other', kind: 'custom' },
    ],
    ...spec,
  });
}

const COPY = (bytes: number) => 50 + bytes * 0.744;
const near = (value: number) => Math.round(value * 1000) / 1000;
const directions = ['to-device', 'from-device', 'bidirectional'] as const;

describe('a mapping is a copy', () => {
  for (const direction of directions)
    test(`${direction}: copied where its direction says, to the milli-cycle`, () => {
      const machine = bouncing();
      const buffer = machine.buffer(4096);
      const mapped = machine.map('nic', { buffer, lengthBytes: 1500, direction });
      const inward = direction === 'from-device' ? 0 : near(COPY(1500));
      const outward = direction === 'to-device' ? 0 : near(COPY(1500));
      assert.equal(mapped.breakdown.copy, inward);
      assert.equal(mapped.breakdown.iovaAlloc, 96);
      assert.equal(mapped.breakdown.other, 44);
      assert.equal(mapped.costCycles, near(96 + 44 + inward));
      const unmapped = machine.unmap(mapped.id);
      assert.equal(unmapped.breakdown.copy, outward);
      assert.equal(unmapped.costCycles, near(57 + 26 + outward));
      assert.equal(unmapped.exposed, false);
      const { counters } = machine.metrics();
      assert.equal(counters.bytesCopied, direction === 'bidirectional' ? 3000 : 1500);
      assert.deepEqual(mapped.assumptions, ['copyFixed', 'slotAllocFixed', 'slotAllocStep', 'slotFree']);
    });

  test('the device sees the slot and not the buffer', () => {
    const machine = bouncing();
    const buffer = machine.buffer(4096);
    const { iova } = machine.map('nic', { buffer, lengthBytes: 1500, direction: 'from-device' });
    const piece = machine.touch('nic', iova);
    assert.equal(piece.verdict, 'ok');
    assert.equal(piece.physicalAddress, iova);
    assert.notEqual(piece.physicalAddress, `0x${machine.addressOf(buffer).toString(16)}`);
    assert.equal(machine.touch('nic', machine.addressOf(buffer)).verdict, 'fault');
  });

  test('no page table is written and nothing invalidated, whatever allocator and policy are', () => {
    for (const kind of ['strict', 'deferred-2008', 'never']) {
      const machine = bouncing({}, { policy: { mode: 'bounce', invalidation: { kind } } });
      const before = machine.metrics().counters;
      const buffer = machine.buffer(4096);
      for (let i = 0; i < 10; i++) machine.unmap(machine.map('nic', { buffer, direction: 'from-device' }).id);
      machine.advance(20_000_000);
      const after = machine.metrics();
      for (const name of ['ptesWritten', 'ptesCleared', 'descriptors', 'timersFired', 'allocationAttempts'])
        assert.equal(after.counters[name], before[name], name);
      assert.equal(after.exposure.potential.windows, 0);
      assert.equal(after.exposure.residualByteSeconds, 0);
    }
  });
});

describe('sync copies each way that the direction has', () => {
  const cases = [
    ['to-device', 'device', true],
    ['to-device', 'cpu', false],
    ['from-device', 'device', false],
    ['from-device', 'cpu', true],
    ['bidirectional', 'device', true],
    ['bidirectional', 'cpu', true],
  ] as const;
  for (const [direction, whom, copies] of cases)
    test(`${direction} for the ${whom}: ${copies ? 'copies' : 'copies nothing'}`, () => {
      const machine = bouncing();
      const { id } = machine.map('nic', { buffer: machine.buffer(4096), lengthBytes: 2000, direction });
      const synced = machine.ok<Cost>({ op: 'sync', mapping: id, for: whom, offsetBytes: 500, lengthBytes: 1000 });
      assert.equal(synced.breakdown.copy, copies ? near(COPY(1000)) : 0);
      assert.equal(synced.costCycles, synced.breakdown.copy);
      const misused = (whom === 'cpu') === (direction === 'to-device') && direction !== 'bidirectional';
      assert.deepEqual(synced.misuse?.map(({ check }) => check) ?? [], misused ? ['sync-direction'] : []);
    });

  test('what lies outside the mapped bytes is cut off and reported', () => {
    const machine = bouncing();
    const { id } = machine.map('nic', { buffer: machine.buffer(4096), lengthBytes: 1000, direction: 'from-device' });
    const sync = (offsetBytes: number, lengthBytes: number) =>
      machine.ok<Cost>({ op: 'sync', mapping: id, for: 'cpu', offsetBytes, lengthBytes });
    assert.equal(sync(900, 500).breakdown.copy, near(COPY(100)));
    assert.equal(sync(5000, 500).breakdown.copy, 0);
    assert.equal(sync(5000, 500).misuse?.[0]?.check, 'sync-range');
  });

  test('a list is copied segment by segment where the range meets it', () => {
    const machine = bouncing();
    const buffer = machine.buffer(65_536);
    const segments = [0, 8192, 16_384].map((offsetBytes) => ({ buffer, offsetBytes, lengthBytes: 1000 }));
    const { id } = machine.map('nic', { kind: 'sg', segments, direction: 'from-device' });
    const synced = machine.ok<Cost>({ op: 'sync', mapping: id, for: 'cpu', offsetBytes: 500, lengthBytes: 1000 });
    assert.equal(synced.breakdown.copy, near(2 * COPY(500)));
  });

  test('without copies a sync costs nothing', () => {
    const machine = bouncing({}, { policy: { mode: 'translate' } });
    const { id } = machine.map('nic', { buffer: machine.buffer(4096), direction: 'from-device' });
    assert.equal(machine.ok<Cost>({ op: 'sync', mapping: id, for: 'cpu' }).costCycles, 0);
  });
});

test('a list bounces segment by segment, none merged', () => {
  const machine = bouncing();
  const buffer = machine.buffer(65_536);
  const segments = [0, 4096, 8192].map((offsetBytes) => ({ buffer, offsetBytes, lengthBytes: 4096 }));
  const mapped = machine.map('nic', { kind: 'sg', segments, direction: 'to-device' });
  assert.equal(mapped.segments.length, 3);
  assert.equal(mapped.breakdown.copy, near(3 * COPY(4096)));
  for (const { iova, lengthBytes } of mapped.segments)
    assert.equal(machine.dma('nic', iova, 'read', lengthBytes).verdict, 'ok');
  assert.equal(machine.metrics().counters.bounceUsedSlots, 6);
  machine.unmap(mapped.id);
  assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
});

describe('the pool stays mapped', () => {
  test('inside the pool everything is open to every device, outside everything faults', () => {
    const machine = bouncing();
    const buffer = machine.buffer(4096);
    const { iova, id } = machine.map('nic', { buffer, lengthBytes: 100, direction: 'to-device' });
    const open = { verdict: 'unprotected', cause: 'no-protection' };
    const at = (device: string, address: number, access: 'read' | 'write') => {
      const { verdict, cause } = machine.touch(device, address, access);
      return { verdict, ...(cause !== undefined && { cause }) };
    };
    const start = Number(iova);
    assert.deepEqual(at('nic', start, 'read'), { verdict: 'ok' });
    assert.deepEqual(at('nic', start, 'write'), open, 'against the direction');
    assert.deepEqual(at('nic', start + 64, 'read'), open, 'beyond its bytes, in the same page');
    assert.deepEqual(at('nic', start + 2 ** 20, 'write'), open, 'a free slot');
    assert.deepEqual(at('other', start, 'read'), open, "another device's data");
    machine.unmap(id);
    assert.deepEqual(at('nic', start, 'read'), open, 'after the unmap');
    const end = 2 * 2 ** 20 + 64 * 2 ** 20;
    assert.deepEqual(at('nic', end - 64, 'read'), open, 'the last bytes of the pool');
    assert.equal(machine.touch('nic', end, 'read').verdict, 'fault');
    assert.equal(machine.touch('nic', 2 * 2 ** 20 - 64, 'read').verdict, 'fault');
    const { verdicts, exposure } = machine.metrics();
    assert.equal(verdicts.subpage, 0);
    assert.equal(exposure.staleAccesses, 0);
    // The access after the unmap went through and nobody noticed.
    assert.equal(exposure.attemptsAfterUnmap, 1);
    assert.equal(exposure.detectability, 0);
  });

  test('two mappings in one page stand for themselves', () => {
    const machine = bouncing();
    const buffer = machine.buffer(8192);
    const first = machine.map('nic', { buffer, lengthBytes: 2000, direction: 'from-device' });
    const second = machine.map('nic', { buffer, offsetBytes: 4096, lengthBytes: 2000, direction: 'from-device' });
    assert.equal(Number(second.iova) - Number(first.iova), 2048);
    machine.unmap(first.id);
    assert.equal(machine.touch('nic', first.iova).verdict, 'unprotected');
    assert.equal(machine.touch('nic', second.iova).verdict, 'ok');
    assert.equal(machine.metrics().counters.residualBytes, 0);
    const byAddress = { op: 'unmap', device: 'nic', lengthBytes: 2000, direction: 'from-device' } as const;
    const again = machine.ok<Cost>({ ...byAddress, iova: first.iova });
    assert.deepEqual(
      again.misuse?.map(({ check }) => check),
      ['not-mapped'],
    );
    assert.equal(machine.ok<Cost>({ ...byAddress, iova: second.iova }).misuse, undefined);
  });

  test('it is mapped in large pages', () => {
    const machine = bouncing();
    machine.touch('nic', 0x200000, 'read');
    const { entries } = machine.read<{ entries: { pageSize: string; iova: string }[] }>({ read: 'iotlb' });
    assert.deepEqual(
      entries.map(({ pageSize }) => pageSize),
      ['2MiB'],
    );
  });

  test('iommu-map keeps off it', () => {
    const machine = bouncing();
    machine.refused(
      {
        op: 'iommu-map',
        domain: 'dom_0',
        iova: '0x200000',
        physicalAddress: '0x9000000',
        lengthBytes: 4096,
        access: 'rw',
      },
      'overlap',
      '/iova',
    );
  });

  test('coherent memory is of the pool, and is not copied', () => {
    const machine = bouncing();
    const mapped = machine.map('nic', { kind: 'coherent', lengthBytes: 8192 });
    assert.equal(mapped.breakdown.copy, 0);
    assert.equal(machine.dma('nic', mapped.iova, 'write', 8192).verdict, 'ok');
    assert.equal(machine.metrics().counters.bounceUsedSlots, 4);
    assert.equal(machine.unmap(mapped.id).breakdown.copy, 0);
    assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
    machine.fails(
      { op: 'map', device: 'nic', kind: 'coherent', direction: 'bidirectional', lengthBytes: 262_145 },
      'bounce-pool-full',
    );
  });
});

describe('the pool fills', () => {
  test('it fails with its own code, is counted, and works again when something is given back', () => {
    const machine = bouncing({ poolBytes: 262_144, areas: 'one' });
    const buffer = machine.buffer(2 ** 20);
    const held: Mapped[] = [];
    for (let i = 0; i < 64; i++)
      held.push(machine.map('nic', { buffer, offsetBytes: i * 4096, lengthBytes: 4096, direction: 'to-device' }));
    const operation = {
      op: 'map',
      device: 'nic',
      kind: 'single',
      direction: 'to-device',
      buffer,
      lengthBytes: 1,
    } as const;
    const before = machine.sim.timePs;
    const problem = machine.fails(operation, 'bounce-pool-full');
    assert.match(problem.detail, /swiotlb buffer is full \(sz: 1 bytes\), total 128 \(slots\), used 128 \(slots\)/);
    assert.notEqual(machine.sim.timePs, before, 'a failure takes its time');
    const { counters } = machine.metrics();
    assert.equal(counters.bounceFailures, 1);
    assert.equal(counters.mapFailures, 1);
    assert.deepEqual([counters.bounceSlots, counters.bounceUsedSlots, counters.bounceUsedSlotsPeak], [128, 128, 128]);
    const { items } = machine.read<{ items: { type: string; code?: string }[] }>({ read: 'events' });
    assert.ok(items.some(({ type, code }) => type === 'failure' && code === 'bounce-pool-full'));
    machine.unmap(held[7]!.id);
    const space = machine.read<{ bounce: Record<string, unknown> }>({ read: 'space' });
    assert.deepEqual(space.bounce, {
      slotBytes: 2048,
      slots: 128,
      usedSlots: 126,
      usedSlotsPeak: 128,
      areas: [{ slots: 128, usedSlots: 126, nextSlot: 0 }],
    });
    machine.ok(operation);
  });

  test('256 KiB is the longest, in an empty pool too', () => {
    const machine = bouncing();
    const buffer = machine.buffer(2 ** 20);
    machine.unmap(machine.map('nic', { buffer, lengthBytes: 262_144 }).id);
    const problem = machine.fails(
      { op: 'map', device: 'nic', kind: 'single', direction: 'to-device', buffer, lengthBytes: 262_145 },
      'bounce-pool-full',
    );
    assert.match(problem.detail, /129 slots are more than a segment has, 128/);
    // It has looked at the whole pool: page by page, in all four areas.
    assert.equal(machine.metrics().counters.bounceSlotsScanned! > 16_000, true);
  });

  test('scattered slots do not help a long request', () => {
    const machine = bouncing({ poolBytes: 262_144 });
    const buffer = machine.buffer(2 ** 20);
    const held = Array.from({ length: 64 }, () => machine.map('nic', { buffer, lengthBytes: 4096 }));
    for (let i = 0; i < 64; i += 2) machine.unmap(held[i]!.id);
    assert.equal(machine.metrics().counters.bounceUsedSlots, 64);
    machine.fails(
      { op: 'map', device: 'nic', kind: 'single', direction: 'to-device', buffer, lengthBytes: 4097 },
      'bounce-pool-full',
    );
    machine.ok({ op: 'map', device: 'nic', kind: 'single', direction: 'to-device', buffer, lengthBytes: 4096 });
  });

  test('a list that does not fit gives back what it had', () => {
    const machine = bouncing({ poolBytes: 262_144 });
    const buffer = machine.buffer(2 ** 20);
    const segments = [0, 1, 2].map((i) => ({ buffer, offsetBytes: i * 131_072, lengthBytes: 131_072 }));
    machine.fails({ op: 'map', device: 'nic', kind: 'sg', direction: 'to-device', segments }, 'bounce-pool-full');
    assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
    assert.equal(machine.metrics().counters.liveMappings, 0);
    machine.ok({ op: 'map', device: 'nic', kind: 'sg', direction: 'to-device', segments: segments.slice(0, 2) });
  });

  test('a device that cannot address the pool is not helped', () => {
    const machine = bouncing({ poolBytes: 2 ** 26 }, { devices: [{ name: 'isa', kind: 'custom', dmaMaskBits: 24 }] });
    const buffer = machine.buffer(2 ** 18);
    let problem = null;
    // Slots below 16 MiB are handed out first, area by area.
    for (let cpu = 0; cpu < 4 && problem === null; cpu++) {
      const outcome = machine.apply({
        op: 'map',
        device: 'isa',
        kind: 'single',
        direction: 'to-device',
        cpu,
        buffer,
        lengthBytes: 4096,
      });
      if (outcome.status === 'failed') problem = outcome.problem;
    }
    assert.equal(problem?.code, 'mask-unreachable');
    assert.equal(machine.metrics().counters.bounceUsedSlots, 2);
  });
});

describe('misuse is found all the same', () => {
  test('overlap is of the buffers, not of the slots', () => {
    const machine = bouncing();
    const buffer = machine.buffer(4096);
    machine.map('nic', { buffer, lengthBytes: 100, direction: 'from-device' });
    const second = machine.map('nic', { buffer, offsetBytes: 50, lengthBytes: 100, direction: 'from-device' });
    assert.deepEqual(
      second.misuse?.map(({ check }) => check),
      ['overlap'],
    );
    const apart = machine.map('nic', { buffer, offsetBytes: 2048, lengthBytes: 100, direction: 'from-device' });
    assert.equal(apart.misuse, undefined);
  });

  test('a buffer that is mapped is not freed unless by force', () => {
    const machine = bouncing();
    const buffer = machine.buffer(4096);
    const { iova, id } = machine.map('nic', { buffer, direction: 'from-device' });
    machine.refused({ op: 'free', buffer }, 'buffer-mapped', '/buffer');
    const freed = machine.ok<Cost>({ op: 'free', buffer, force: true });
    assert.equal(freed.misuse?.[0]?.check, 'freed-while-mapped');
    assert.equal(machine.touch('nic', iova).verdict, 'unprotected');
    machine.unmap(id);
  });

  test('wrong length and direction', () => {
    const machine = bouncing();
    const { iova } = machine.map('nic', { buffer: machine.buffer(4096), lengthBytes: 100, direction: 'from-device' });
    const unmapped = machine.ok<Cost>({ op: 'unmap', device: 'nic', iova, lengthBytes: 99, direction: 'to-device' });
    assert.deepEqual(unmapped.misuse?.map(({ check }) => check).sort(), ['direction', 'size']);
  });
});

describe('in runs', () => {
  const traffic = () =>
    new Machine({
      policy: { mode: 'bounce' },
      devices: [{ name: 'nic', kind: 'nic' }],
      workloads: [
        { name: 'rx', kind: 'nic-rx', device: 'nic', gbps: 20, queues: 4, ringSize: 64, mappingsPerPacket: 1 },
      ],
    });

  test('packets arrive, each copied once, and none is exposed', () => {
    const machine = traffic();
    const result = machine.run({ forNs: 300_000 });
    const [rx] = result.workloads;
    assert.ok(rx!.operations > 400, `${rx!.operations} packets`);
    assert.equal(rx!.verdicts.ok, rx!.counts.offered - rx!.counts.dropped);
    assert.equal(rx!.breakdown.map.copy, 0);
    assert.equal(near(rx!.breakdown.unmap.copy!), near(COPY(1500)));
    assert.equal(rx!.exposure.potential.windows, 0);
    assert.equal(result.counts.bytesCopied, rx!.operations * 1500);
  });

  // The change of 2022: with one lock more CPUs bring little, with a lock each they all count.
  test('64 CPUs wait for one lock, and hardly for a lock each', () => {
    const of = (areas: string) => {
      const machine = new Machine({
        machine: { cpus: 64 },
        policy: { mode: 'bounce', bounce: { areas } },
        devices: [{ name: 'nic', kind: 'nic' }],
        workloads: [{ kind: 'nic-rx', device: 'nic', gbps: 400, queues: 64, ringSize: 64, mappingsPerPacket: 1 }],
      });
      const { operations } = machine.run({ forNs: 200_000 });
      const locks = machine.metrics().locks.filter(({ name }) => name.startsWith('bounce-area'));
      return { operations, locks: locks.length, waits: locks.reduce((sum, { waits }) => sum + waits, 0) };
    };
    const one = of('one');
    const each = of('per-cpu');
    assert.deepEqual([one.locks, each.locks], [1, 64]);
    assert.ok(one.waits > one.operations * 0.9, JSON.stringify(one));
    assert.ok(each.waits < each.operations * 0.05, JSON.stringify(each));
    assert.ok(each.operations > one.operations * 1.3, `${each.operations} against ${one.operations}`);
  });

  test('a ring that outgrows the pool is not filled, and the run goes on with what there is', () => {
    const grown = new Machine({
      devices: [{ name: 'nic', kind: 'nic' }],
      policy: { mode: 'bounce', bounce: { poolBytes: 262_144 } },
      workloads: [{ name: 'rx', kind: 'nic-rx', device: 'nic', gbps: 5, ringSize: 512, mappingsPerPacket: 1 }],
    });
    const result = grown.run({ forNs: 300_000 });
    assert.ok(result.counts.bounceFailures! > 0);
    assert.equal(grown.metrics().counters.bounceUsedSlotsPeak, 128);
    assert.ok(result.workloads[0]!.operations > 50);
    const { items } = grown.read<{ items: { type: string; detail?: string }[] }>({ read: 'events' });
    const full = items.filter(({ type }) => type === 'bounce-pool-full');
    assert.ok(full.length > 0 && full.length < 100, 'one event for each time that it becomes full');
    assert.match(full[0]!.detail!, /total 128 \(slots\), used 128 \(slots\)/);
  });

  for (const mapping of ['sg', 'page'] as const)
    test(`block I/O by ${mapping} reads through the pool, 512 bytes and 64 KiB`, () => {
      for (const lengthBytes of [512, 65_536]) {
        const machine = new Machine({
          policy: { mode: 'bounce' },
          devices: [{ name: 'disk', kind: 'block' }],
          workloads: [
            { kind: 'block', device: 'disk', disk: 'custom', latencyNs: 5000, depth: 8, lengthBytes, mapping },
          ],
        });
        const result = machine.run({ operations: 100 });
        const [disk] = result.workloads;
        assert.ok(disk!.operations >= 100);
        assert.equal(
          disk!.verdicts.ok,
          Object.values(disk!.verdicts).reduce((sum, count) => sum + count, 0),
        );
        assert.equal(result.counts.bytesCopied, disk!.operations * lengthBytes);
      }
    });
});

test('reset and repetition come to the same digest; what is held is in it', () => {
  const play = (machine: Machine) => {
    const buffer = machine.buffer(65_536);
    for (let i = 0; i < 5; i++) machine.map('nic', { buffer, offsetBytes: i * 3000, lengthBytes: 1000, cpu: i % 4 });
    machine.unmap('map_2_0');
    return machine.sim.digest();
  };
  assert.equal(play(bouncing()), play(bouncing()));
  const fresh = bouncing();
  const before = fresh.sim.digest();
  const { id } = fresh.map('nic', { physicalAddress: '0x9000000', lengthBytes: 100 });
  assert.notEqual(fresh.sim.digest(), before);
  fresh.unmap(id);
  assert.notEqual(fresh.sim.digest(), before, 'the index has moved on');
});

test('a domain that goes takes its copies along', () => {
  const machine = bouncing();
  machine.map('nic', { buffer: machine.buffer(4096) });
  machine.map('nic', { kind: 'coherent', lengthBytes: 4096 });
  machine.map('nic', { kind: 'sg', segments: [{ buffer: machine.buffer(100) }, { buffer: machine.buffer(100) }] });
  machine.ok({ op: 'device-remove', device: 'nic' });
  assert.equal(machine.metrics().counters.bounceUsedSlots, 0);
  assert.equal(machine.metrics().counters.liveMappings, 0);
});

describe('the spec', () => {
  const refused = (spec: Record<string, unknown>, path: string, message: RegExp) =>
    assert.throws(
      () => resolveSpec(spec),
      (error: { problems: { path: string; message: string }[] }) =>
        error.problems.some((problem) => problem.path === path && message.test(problem.message)),
    );

  test('names its parameters where they act, with their defaults', () => {
    assert.deepEqual(resolveSpec({ policy: { mode: 'bounce' } }).policy.bounce, {
      poolBytes: 67_108_864,
      areas: 'per-cpu',
    });
    assert.equal(resolveSpec({}).policy.bounce, undefined);
    assert.equal(resolveSpec({ policy: { bounce: { areas: 'one' } } }).policy.bounce!.poolBytes, 67_108_864);
  });

  test('refuses parameters of another mode, an unknown mode, a pool beyond the memory', () => {
    refused({ policy: { mode: 'shadow', bounce: { areas: 'one' } } }, '/policy/bounce', /the mode is "shadow"/);
    refused({ policy: { mode: 'bounce', shadow: { poolBytes: 2 ** 20 } } }, '/policy/shadow', /the mode is "bounce"/);
    refused({ policy: { mode: 'bouncy' } }, '/policy/mode', /known: translate, passthrough, bounce/);
    refused({ policy: { mode: 'bounce' }, machine: { memoryBytes: 2 ** 26 } }, '/policy/bounce/poolBytes', /memory/);
  });

  test('the pool keeps off reserved regions', () => {
    const machine = bouncing(
      {},
      { iommu: { reservedRegions: [{ start: '0x300000', end: '0x5fffff', type: 'reserved' }] } },
    );
    assert.equal(machine.map('nic', { buffer: machine.buffer(4096) }).iova, '0x600000');
  });
});
