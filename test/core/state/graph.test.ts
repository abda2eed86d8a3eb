/**
 * What `state/classes.ts` takes for granted of the objects of a simulation: two of them share nothing that changes, whether built of the
 * same spec or restored from each other, and the only functions in them are those that the constructors put there.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import { fixedOf, found, made } from '../../../src/core/state/classes.ts';
import { recordingOf, recordingsOf } from '../../../src/trace/memory-recording.ts';
import { coveringSet, nameOf } from '../../../tools/prove/conformance/combinations.ts';
import { specOf } from '../../../tools/prove/conformance/history.ts';
import { traffic as recordedTraffic } from '../../trace/lines.ts';
import { Dice, Machine } from '../build.ts';
import { Anything, machines } from '../simulator/anything.ts';
import { restored } from './twins.ts';

const CORE = join(import.meta.dirname, '../../../src/core');

const traffic = [
  { kind: 'nic-rx', device: 'a', tenant: 'guest' },
  { kind: 'nic-rx', device: 'a', tenant: 'guest', bufferBytes: 2048 },
  { kind: 'nic-tx', device: 'a', tenant: 'guest', readsOutstanding: 4 },
  { kind: 'block', device: 'c', tenant: 'guest' },
  { kind: 'hostile', device: 'c', target: 'a', select: 'last-unmapped' },
  { kind: 'map-benchmark', device: 'a', tenant: 'guest' },
  { kind: 'dma-window', device: 'a', tenant: 'guest' },
];

/** Every object that can be reached, and a way to it. */
function reachable(root: object): Map<object, string> {
  const ways = new Map<object, string>([[root, '']]);
  for (const [object, way] of ways) {
    const reach = (value: unknown, key: unknown) => {
      if (typeof value === 'object' && value !== null && !ways.has(value)) ways.set(value, `${way}.${String(key)}`);
    };
    if (ArrayBuffer.isView(object)) {
      reach(object.buffer, 'buffer');
      continue;
    }
    if (object instanceof Map)
      for (const [key, value] of object) {
        reach(key, 'key');
        reach(value, key);
      }
    if (object instanceof Set) for (const value of object) reach(value, 'element');
    for (const [key, value] of Object.entries(object)) reach(value, key);
  }
  return ways;
}

/** Ways to what two simulations have in common but may not. */
function shared(one: Simulator, other: Simulator): string[] {
  const fixed = new Set(fixedOf(one));
  const here = reachable(one);
  return [...reachable(other)]
    .filter(([object]) => here.has(object) && !fixed.has(object) && !Object.isFrozen(object))
    .map(([, way]) => way);
}

describe('two simulations have nothing in common but what never changes', () => {
  const registered = new Set([...Object.keys(found), ...Object.keys(made)]);
  const met = new Set<string>();
  const note = (simulator: Simulator) => {
    for (const object of reachable(simulator).keys()) met.add(Object.getPrototypeOf(object)?.constructor.name);
  };

  for (const [name, spec] of Object.entries(machines))
    test(name, () => {
      const resolved = resolveSpec({ ...spec, machine: { memoryBytes: 2 ** 24, ...(spec.machine as object) } });
      const sim = new Simulator(resolved);
      assert.deepEqual(shared(sim, new Simulator(resolved)), []);
      const dice = new Dice(5);
      const anything = new Anything(dice, name.includes('untrusted'));
      for (let step = 0; step < 150; step++) sim.apply(anything.operation());
      if (sim.startRun({ forNs: 20_000 }).status === 'ok') while (!sim.stepRun(1000));
      assert.deepEqual(shared(sim, restored(sim)), []);
      assert.deepEqual(shared(sim, new Simulator(resolved)), []);
      note(sim);
    });

  test('every allocator, policy and mode, with every kind of traffic', () => {
    for (const combination of coveringSet()) {
      if (combination.cpus > 4) continue;
      const spec = resolveSpec({ ...specOf(combination), workloads: traffic });
      const sim = new Simulator(spec);
      assert.deepEqual(shared(sim, new Simulator(spec)), [], nameOf(combination));
      note(sim);
    }
  });

  test('a recording that is replayed', () => {
    const { recording } = recordingOf(recordedTraffic(20));
    const workloads = [{ kind: 'replay', device: 'dev', trace: 'it', recording: recording.digest }];
    const resolved = resolveSpec({ devices: [{ name: 'dev', kind: 'replay' }], workloads });
    const surroundings = { recordings: recordingsOf(recording) };
    const sim = new Simulator(resolved, surroundings);
    assert.equal(sim.startRun({ forNs: 1_000_000 }).status, 'ok');
    while (!sim.stepRun(1000));
    // The recording itself never changes.
    const ways = (other: Simulator) => shared(sim, other).filter((way) => !way.includes('recording'));
    assert.deepEqual(ways(restored(sim)), []);
    assert.deepEqual(ways(new Simulator(resolved, surroundings)), []);
    note(sim);
  });

  test('what is left of a frame that two mappings shared', () => {
    const machine = new Machine({ devices: [{ kind: 'nic', deviceTlb: { entries: 16, ways: 4 } }] });
    const buffer = machine.buffer(4096);
    for (const offsetBytes of [0, 2048]) machine.map('dev_0', { buffer, offsetBytes, lengthBytes: 2048 });
    machine.unmap('map_0_0');
    assert.deepEqual(shared(machine.sim, restored(machine.sim)), []);
    note(machine.sim);
  });

  test('no class is registered that there is not', () => {
    assert.deepEqual([...registered].filter((name) => !met.has(name)).sort(), []);
  });

  test('each registered class is one of the core, and its name that of one class alone', () => {
    const names = globSync('**/*.ts', { cwd: CORE }).flatMap((file) =>
      [...readFileSync(join(CORE, file), 'utf8').matchAll(/^(?:export )?(?:abstract )?class (\w+)/gm)].map(
        (match) => match[1]!,
      ),
    );
    assert.equal(new Set(names).size, names.length);
    const foreign = new Set(['XoroShiro128Plus']);
    assert.deepEqual(
      [...registered].filter((name) => !names.includes(name) && !foreign.has(name)),
      [],
    );
    assert.deepEqual(
      Object.keys(found).filter((name) => name in made),
      [],
      'found or made, not both',
    );
  });

  test('what is made has the class that it is made for', () => {
    const sim = new Simulator(resolveSpec({ domains: [{}] }));
    for (const [name, make] of Object.entries(made)) assert.equal(make(sim).constructor.name, name);
  });
});
