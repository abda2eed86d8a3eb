/** Every kind of workload, every preset, every golden scenario: cut at any place, they go on in a restored simulation as before. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { workloads } from '../../../src/core/devices/index.ts';
import { createSimulator, resolveSpec } from '../../../src/core/index.ts';
import { presets } from '../../../src/core/presets.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import { recordingOf, recordingsOf } from '../../../src/trace/memory-recording.ts';
import { playDirectly } from '../../scenarios/drivers.ts';
import { readScenario, scenarioNames } from '../../scenarios/scenarios.ts';
import { traffic as recordedTraffic } from '../../trace/lines.ts';
import { Dice } from '../build.ts';
import { everything, restored, Twins } from './twins.ts';

const RECORDING = recordingOf(recordedTraffic(60)).recording;
const RECORDINGS = recordingsOf(RECORDING);

const DEVICES = [
  { name: 'nic0', kind: 'nic' },
  { name: 'disk0', kind: 'block' },
  { name: 'ats0', kind: 'nic', deviceTlb: { entries: 16, ways: 4, replacement: 'random' } },
];
const LIMITS = { parallelWalks: 2, readsOutstanding: 4, writesOutstanding: 4 };
const RX = { kind: 'nic-rx', device: 'nic0', gbps: 10, ringSize: 16 };

/** By what is new in each; between them every kind in each form that has state of its own. */
const TRAFFIC: Record<string, Record<string, unknown>[]> = {
  'nic-rx': [RX],
  'nic-rx, half pages from shuffled lists': [{ ...RX, bufferBytes: 2048, recycle: 'page-pool', shuffle: 0.3 }],
  'nic-rx, header and payload': [{ ...RX, mappingsPerPacket: 2, queues: 2 }],
  'nic-tx': [{ kind: 'nic-tx', device: 'nic0', gbps: 10, ringSize: 16, queues: 2 }],
  'nic-tx, a device with limits': [{ kind: 'nic-tx', device: 'nic0', gbps: 10, ringSize: 16, ...LIMITS }],
  block: [{ kind: 'block', device: 'disk0', depth: 4, lengthBytes: 20_000, latencyNs: 2000 }],
  'block, lists, completed elsewhere': [
    { kind: 'block', device: 'disk0', disk: 'nvme', depth: 4, mapping: 'sg', completionCpus: [1], ...LIMITS },
  ],
  hostile: [
    RX,
    { kind: 'hostile', device: 'disk0', target: 'nic0', select: 'random-unmapped', accessesPerUs: 2 },
    { kind: 'hostile', device: 'disk0', target: 'nic0', select: 'live', accessesPerUs: 2 },
  ],
  'nic-rx, a device TLB': [
    { ...RX, device: 'ats0' },
    { kind: 'hostile', device: 'ats0', target: 'ats0', select: 'last-unmapped', accessesPerUs: 2 },
  ],
  'map-benchmark': [{ kind: 'map-benchmark', device: 'nic0', threads: 2 }],
  'dma-window': [{ kind: 'dma-window', device: 'nic0', windowBytes: 65_536 }],
  replay: [
    {
      kind: 'replay',
      device: 'nic0',
      trace: 'it',
      recording: RECORDING.digest,
      accesses: [{ rule: 'every-page' }, { rule: 'late', afterUnmapNs: 3000 }],
    },
  ],
};

const MACHINES: Record<string, Record<string, unknown>> = {
  plain: {},
  'rcache, flush queue': { policy: { allocator: { kind: 'rcache' }, invalidation: { kind: 'flush-queue' } } },
};

describe('traffic goes on in a restored simulation', () => {
  const seen = new Set<string>();
  for (const [machine, spec] of Object.entries(MACHINES))
    for (const [name, traffic] of Object.entries(TRAFFIC))
      test(`${name}, ${machine}`, () => {
        const input = { ...spec, machine: { cpus: 2, memoryBytes: 2 ** 28 }, devices: DEVICES, workloads: traffic };
        const original = new Simulator(resolveSpec(input), { recordings: RECORDINGS });
        const twins = new Twins(original);
        const dice = new Dice(name.length);
        for (const request of [{ forNs: 80_000 }, { operations: 50 }]) {
          twins.startRun(request, 5);
          for (let slice = 0; !twins.stepRun(1 + dice.below(60)); slice++) if (slice % 12 === 0) twins.renew();
          twins.compareAll();
          twins.renew();
        }
        assert.ok(original.run!.wireSeconds() >= 0 && (original.runResult().operations as number) >= 0);
        for (const { kind } of original.workloads.all()) seen.add(kind);
        for (const { id } of [...original.workloads.all()]) twins.apply({ op: 'workload-remove', workload: id });
        twins.compareAll();
      });

  test('no kind is left out', () => {
    assert.deepEqual([...seen].sort(), Object.keys(workloads).sort());
  });
});

describe('presets', () => {
  for (const preset of Object.keys(presets))
    test(preset, () => {
      const original = new Simulator(resolveSpec({ preset, seed: 7 }));
      if (original.workloads.size === 0) {
        original.apply({ op: 'device', name: 'nic0', kind: 'nic' });
        original.apply({ op: 'workload', ...RX } as Parameters<Simulator['apply']>[0]);
      }
      const twins = new Twins(original);
      twins.startRun({ forNs: 500_000 });
      for (let slice = 0; !twins.stepRun(500); slice++) if (slice % 4 === 0) twins.renew();
      twins.compareAll();
      assert.ok((original.runResult().operations as number) > 50);
    });
});

describe('a scenario is the same when each of its operations meets a restored simulation', () => {
  for (const name of scenarioNames())
    test(name, () => {
      const scenario = readScenario(name);
      let lines = 0;
      const played = playDirectly(scenario, (simulator) => {
        const twin = restored(simulator);
        assert.deepEqual(everything(twin), everything(simulator as Simulator));
        assert.deepEqual(twin.drainNotices(1000), simulator.drainNotices(1000));
        lines++;
        return twin;
      });
      assert.deepEqual(played, playDirectly(scenario));
      assert.equal(lines, played.replies.length);
    });

  for (const name of scenarioNames())
    test(`${name}: restored once, at any line, it goes on to the end`, () => {
      const scenario = readScenario(name);
      const whole = playDirectly(scenario);
      for (let at = 1; at <= whole.replies.length; at++)
        assert.deepEqual(
          playDirectly(scenario, (simulator, line) => (line === at ? restored(simulator) : simulator)),
          whole,
        );
    });
});

test('a reset of a restored session is that of the original: a new simulator of its spec', () => {
  const spec = resolveSpec({ preset: 'thread-2008' });
  const fresh = createSimulator(spec).digest();
  const run = createSimulator(spec);
  run.startRun({ forNs: 100_000 });
  while (!run.stepRun(1000));
  const twin = restored(run);
  assert.equal(createSimulator(twin.spec).digest(), fresh);
  assert.notEqual(twin.digest(), fresh);
});
