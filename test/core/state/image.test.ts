/** What an image holds and what it refuses: odd values come back as they were, damaged bytes never become a simulation. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InvariantError } from '../../../src/core/assert.ts';
import {
  coreVersion,
  type ImageFault,
  readImageHeader,
  resolveSpec,
  restoreSimulator,
  StateImageError,
} from '../../../src/core/index.ts';
import type { Simulator } from '../../../src/core/simulator.ts';
import { HEADER_BYTES, seal } from '../../../src/core/state/form.ts';
import { Dice, Machine } from '../build.ts';
import { restored } from './twins.ts';

/** Where data of any form can be put: the event log keeps what it is given. */
function withData(data: Record<string, unknown>): Simulator {
  const { sim } = new Machine();
  sim.log.add('test', 0, data);
  return sim;
}
function dataOf(simulator: Simulator): Record<string, unknown> {
  const { entries } = simulator.log as unknown as { entries: { data: Record<string, unknown> }[] };
  return entries.at(-1)!.data;
}
function through(data: Record<string, unknown>): Record<string, unknown> {
  return dataOf(restored(withData(data)));
}

describe('values come back as they were', () => {
  test('numbers, with their signs and beyond 32 bits', () => {
    const numbers = [0, -0, 1, -1, 63, 64, -64, -65, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53, 0.1];
    numbers.push(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.MIN_VALUE, 1e300);
    assert.deepEqual(through({ numbers }).numbers, numbers);
  });

  test('texts of any characters, and big integers of any size', () => {
    const texts = ['', 'plain', 'é', '€', '😀', '\ud800 alone', '\0', 'plain', 'x'.repeat(10_000)];
    const big = [0n, 1n, -1n, 2n ** 64n, -(2n ** 200n) - 1n];
    assert.deepEqual(through({ texts, big }), { texts, big });
  });

  test('nothing, and no element', () => {
    const holes: unknown[] = [1];
    holes[2] = undefined;
    holes.length = 6;
    holes.push(null, true, false);
    holes.length = 11;
    const found = through({ holes, none: [], undefined }).holes as unknown[];
    assert.equal(found.length, holes.length);
    assert.deepEqual(Object.keys(found), Object.keys(holes));
    assert.deepEqual(found, holes);
    assert.ok('undefined' in through({ undefined }));
  });

  test('a list that holds little takes little, however long it is', () => {
    const sparse: unknown[] = [];
    sparse[4_000_000] = { far: true };
    sparse[4_000_010] = 1;
    const sim = withData({ sparse });
    assert.ok(sim.save().length < withData({}).save().length + 200);
    const found = dataOf(restored(sim)).sparse as unknown[];
    assert.deepEqual([found.length, Object.keys(found)], [4_000_011, ['4000000', '4000010']]);
  });

  test('one object in two places is one, and what contains itself does', () => {
    const shared = { a: 1 };
    const ring: Record<string, unknown> = { shared };
    ring.self = ring;
    const found = through({
      ring,
      again: shared,
      map: new Map<object, unknown>([[shared, ring]]),
      set: new Set([ring]),
    });
    const around = found.ring as Record<string, unknown>;
    assert.equal(around.self, around);
    assert.equal(around.shared, found.again);
    assert.equal((found.map as Map<unknown, unknown>).get(found.again), around);
    assert.ok((found.set as Set<unknown>).has(around));
  });

  test('maps and sets in their order', () => {
    const map = new Map<unknown, unknown>([
      ['b', 1],
      [2, 'two'],
      ['a', new Set([3, 1, 2])],
    ]);
    const found = through({ map }).map as typeof map;
    assert.deepEqual([...found.keys()], ['b', 2, 'a']);
    assert.deepEqual([...(found.get('a') as Set<number>)], [3, 1, 2]);
  });

  test('objects without a prototype, frozen ones, and members with any name', () => {
    const bare = Object.assign(Object.create(null), { a: 1 });
    const data = {
      bare,
      frozen: Object.freeze({ a: Object.freeze([1, 2]) }),
      odd: JSON.parse('{"__proto__":{"a":1},"b":2}'),
    };
    const found = through(data);
    assert.equal(Object.getPrototypeOf(found.bare), null);
    assert.ok(Object.isFrozen(found.frozen) && Object.isFrozen((found.frozen as { a: object }).a));
    assert.deepEqual(Object.keys(found.odd as object), ['__proto__', 'b']);
    assert.deepEqual(found, data);
  });

  test('columns of every type, bit by bit', () => {
    const bits = new Float64Array(40).fill(-0);
    new Uint32Array(bits.buffer).set([0xdeadbeef, 0xfff80001, 0, 0x80000000], 6);
    const columns = [
      bits,
      new Float64Array(1000).fill(Number.NaN, 10, 900),
      Int32Array.from({ length: 333 }, (_, i) => (i % 7 === 0 ? i : -1)),
      new Uint8Array([1, 2, 3]),
      new Uint8Array(5000).fill(7, 1, 4999),
      new Uint16Array([1, 65535, 3]),
      new Int16Array(9).fill(-5),
      new Int8Array(0),
      new Float32Array([1.5, -0]),
      new Uint32Array([2 ** 32 - 1]),
      new Uint8ClampedArray(3),
      new BigInt64Array([-1n, 5n]),
      new BigUint64Array(20).fill(2n ** 64n - 1n),
    ];
    const found = through({ columns }).columns as typeof columns;
    for (const [i, column] of columns.entries()) {
      assert.equal(Object.getPrototypeOf(found[i]), Object.getPrototypeOf(column));
      assert.deepEqual(new Uint8Array(found[i]!.buffer), new Uint8Array(column.buffer));
    }
  });

  test('views of one memory stay views of one memory', () => {
    const memory = new Float64Array(16).fill(3, 4);
    const apart = new ArrayBuffer(64);
    const data = {
      part: memory.subarray(2, 6),
      whole: memory,
      words: new Int32Array(memory.buffer),
      low: new Uint8Array(apart, 0, 10),
      high: new Uint16Array(apart, 8, 20),
    };
    const found = through(data) as typeof data;
    assert.deepEqual(found, data);
    assert.equal(found.part.buffer, found.whole.buffer);
    assert.equal(found.words.buffer, found.whole.buffer);
    assert.equal(found.low.buffer, found.high.buffer);
    assert.notEqual(found.low.buffer, found.whole.buffer);
    assert.deepEqual([found.part.byteOffset, found.high.byteOffset, found.high.length], [16, 8, 20]);
  });
});

describe('what an image cannot have is refused by its name when it is saved', () => {
  class Stranger {}
  const refused: [string, () => Record<string, unknown>, RegExp][] = [
    ['an object of a class that nobody registered', () => ({ it: new Stranger() }), /"Stranger"/],
    ['a date', () => ({ it: new Date(0) }), /"Date"/],
    ['a map of a class of its own', () => ({ it: new (class Special extends Map {})() }), /"Special"/],
    ['a function', () => ({ it: () => {} }), /"it" of an object/],
    ['a function in a list', () => ({ it: [() => {}] }), /"0" of an object of the class "Array"/],
    ['a symbol', () => ({ it: Symbol('s') }), /"it" .* symbol/],
    ['a member named by a symbol', () => ({ it: { [Symbol('s')]: 1 } }), /cannot have/],
    ['a hidden member', () => ({ it: Object.defineProperty({}, 'x', { value: 1 }) }), /cannot have/],
    [
      'a computed member',
      () => ({
        it: {
          get x() {
            return 1;
          },
        },
      }),
      /"x" .* computed/,
    ],
    ['a list with a name', () => ({ it: Object.assign([1], { x: 1 }) }), /member of its own, "x"/],
    ['a map with a member', () => ({ it: Object.assign(new Map(), { x: 1 }) }), /"Map" with members of its own/],
    ['a data view', () => ({ it: new DataView(new ArrayBuffer(8)) }), /"it" .* kind/],
    ['shared memory', () => ({ it: new Int32Array(new SharedArrayBuffer(8)) }), /"it" .* kind/],
    ['memory that grows', () => ({ it: new Int32Array(new ArrayBuffer(8, { maxByteLength: 16 })) }), /"it" .* kind/],
  ];
  for (const [what, data, named] of refused)
    test(what, () => {
      const sim = withData(data());
      assert.throws(
        () => sim.save(),
        (error) => error instanceof InvariantError && named.test(error.message),
      );
    });

  test('a method that was put in the place of another', () => {
    const { sim } = new Machine();
    sim.memory.allocate = () => 0;
    assert.throws(() => sim.save(), /"allocate" of an object of the class "Memory" holds a function/);
  });
});

/** A session with something of everything. */
function session(): Simulator {
  const machine = new Machine({
    machine: { cpus: 2, memoryBytes: 2 ** 24 },
    policy: {
      allocator: { kind: 'rcache' },
      invalidation: { kind: 'flush-queue' },
      bounce: { poolBytes: 2 ** 19 },
    },
    devices: [{ name: 'nic0', kind: 'nic' }],
  });
  machine.ok({ op: 'domain' });
  machine.ok({ op: 'device', kind: 'custom', untrusted: true });
  machine.ok({ op: 'workload', kind: 'nic-rx', device: 'nic0', ringSize: 8 });
  machine.run({ forNs: 20_000 });
  const buffer = machine.buffer(8192);
  machine.map('nic0', { buffer });
  machine.dma('nic0', '0x123000');
  return machine.sim;
}

function fault(simulator: Simulator, image: Uint8Array): ImageFault | null {
  try {
    restoreSimulator(simulator.spec, image);
  } catch (error) {
    if (error instanceof StateImageError && error.message.length > 10) return error.fault;
    throw error;
  }
  return null;
}

describe('what is no image of this simulation is refused with the reason', () => {
  const sim = session();
  const image = sim.save();
  const changed = (change: (image: Uint8Array) => void): Uint8Array => {
    const copy = image.slice();
    change(copy);
    seal(copy);
    return copy;
  };

  test('an image itself is none of that, wherever it lies in memory', () => {
    for (let offset = 0; offset < 4; offset++) {
      const moved = new Uint8Array(image.length + 8).subarray(offset, offset + image.length);
      moved.set(image);
      assert.equal(fault(sim, moved), null);
    }
  });

  test('what it is of can be read without a restore', () => {
    const header = readImageHeader(image);
    assert.equal(header.coreVersion, coreVersion);
    assert.ok(header.unfoldedBytes > image.length && header.unfoldedBytes < 2 ** 22);
  });

  test('every single byte that is another', () => {
    const dice = new Dice(1);
    const faults = new Set<ImageFault | null>();
    for (let at = 0; at < image.length; at++) {
      const copy = image.slice();
      copy[at]! ^= 1 + dice.below(255);
      faults.add(fault(sim, copy));
      if (at >= HEADER_BYTES) continue;
      for (let bit = 0; bit < 8; bit++) {
        copy[at] = image[at]! ^ (1 << bit);
        faults.add(fault(sim, copy));
      }
    }
    assert.deepEqual([...faults].sort(), ['byte-order', 'corrupt', 'foreign', 'format', 'length']);
  });

  test('every shorter one, and longer ones', () => {
    const faults = new Set<ImageFault | null>();
    for (let length = 0; length < image.length; length++) faults.add(fault(sim, image.subarray(0, length)));
    faults.add(fault(sim, Buffer.concat([image, Buffer.alloc(1)])));
    faults.add(fault(sim, Buffer.concat([image, image])));
    assert.deepEqual([...faults].sort(), ['foreign', 'length']);
  });

  test('bytes of something else', () => {
    assert.equal(fault(sim, Buffer.from('{"preset":"thread-2008"}'.padEnd(200))), 'foreign');
    assert.equal(fault(sim, new Uint8Array(1000)), 'foreign');
  });

  test('one of another form, byte order, core', () => {
    assert.equal(
      fault(
        sim,
        changed((copy) => {
          copy[8] = 2;
        }),
      ),
      'format',
    );
    assert.equal(
      fault(
        sim,
        changed((copy) => {
          copy.set([copy[11]!, copy[10]!], 10);
        }),
      ),
      'byte-order',
    );
    const other = changed((copy) => {
      copy[32 + coreVersion.length] = 0x78;
    });
    assert.equal(fault(sim, other), 'core-version');
    assert.throws(() => restoreSimulator(sim.spec, other), new RegExp(`core "${coreVersion}x".*core "${coreVersion}"`));
  });

  test('one of another spec, were it but the title', () => {
    assert.equal(fault(new Machine({ seed: 2 }).sim, image), 'other-spec');
    const named = resolveSpec({ title: 'another', ...structuredClone(sim.spec) } as Record<string, unknown>);
    assert.throws(() => restoreSimulator(named, image), { fault: 'other-spec' });
  });

  test('the order of the members of a spec is no matter', () => {
    const turned = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(turned)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, member]) => [key, turned(member)]),
            )
          : value;
    const spec = turned(sim.spec) as typeof sim.spec;
    assert.equal(restoreSimulator(spec, image).digest(), sim.digest());
  });

  test('one that unfolds to more than is allowed', () => {
    assert.throws(() => restoreSimulator(sim.spec, image, { mostBytes: 100_000 }), { fault: 'too-large' });
    const lying = changed((copy) => new DataView(copy.buffer).setFloat64(24, 10, true));
    assert.throws(() => restoreSimulator(sim.spec, lying, { mostBytes: 100_000 }), { fault: 'too-large' });
  });

  test('one that somebody has made with a true checksum does no harm: it is refused, or of some state', () => {
    const dice = new Dice(3);
    const faults: Record<string, number> = {};
    for (let i = 0; i < 400; i++) {
      const forged = changed((copy) => {
        for (let left = 1 + dice.below(3); left > 0; left--)
          copy[HEADER_BYTES + dice.below(copy.length - HEADER_BYTES)] = dice.pick([0, 1, 0x7f, 0xff, dice.below(256)]);
      });
      try {
        restoreSimulator(sim.spec, forged, { mostBytes: 2 ** 26 });
      } catch (error) {
        if (!(error instanceof StateImageError)) throw error;
        faults[error.fault] = (faults[error.fault] ?? 0) + 1;
      }
    }
    assert.ok(faults.misfit! > 50, JSON.stringify(faults));
  });
});

describe('when', () => {
  test('no image is made of an operation in the middle of a search, and one is when it is done', () => {
    const machine = new Machine({ policy: { invalidation: { kind: 'strict' } }, devices: [{ kind: 'nic' }] });
    const buffer = machine.buffer(8192);
    for (let i = 0; i < 20; i++) machine.map('dev_0', { buffer, lengthBytes: 4096 });
    machine.unmap('map_0_0');
    const { sim } = machine;
    sim.searchBudget = 1;
    assert.ok(sim.savable);
    assert.equal(sim.apply({ op: 'map', device: 'dev_0', kind: 'single', direction: 'to-device', buffer }), null);
    assert.ok(!sim.savable);
    assert.throws(
      () => sim.save(),
      (error) => error instanceof InvariantError && /is suspended/.test(error.message),
    );
    while (sim.resume() === null);
    assert.ok(sim.savable);
    restored(sim);
  });

  test('one is made of a run in the middle of a search', () => {
    const machine = new Machine({
      policy: { invalidation: { kind: 'strict' } },
      devices: [{ kind: 'nic' }],
      workloads: [{ kind: 'block', device: 'dev_0', disk: 'nvme', depth: 4, lengthBytes: 20_000, mapping: 'sg' }],
    });
    // Holes of a page each: a list of five pages is looked for beyond them all.
    const buffer = machine.buffer(4096);
    for (let i = 0; i < 60; i++) machine.map('dev_0', { buffer });
    for (let i = 0; i < 60; i += 2) machine.unmap(`map_${i}_0`);
    const play = (from: Simulator, renew: boolean): [Record<string, unknown>, string, number] => {
      let sim = from;
      let within = 0;
      sim.searchBudget = 2;
      sim.startRun({ forNs: 100_000 });
      while (!sim.stepRun(7)) {
        const { suspended } = sim.run as unknown as { suspended: object | null };
        if (suspended === null) continue;
        within++;
        if (renew) sim = restored(sim);
      }
      return [sim.runResult(), sim.digest(), within];
    };
    const twin = restored(machine.sim);
    const whole = play(machine.sim, false);
    assert.ok(whole[2] > 10, String(whole[2]));
    assert.deepEqual(play(twin, true), whole);
  });
});
