/** replay of a capture: packets that are received land in a ring of buffers, packets that are sent are mapped until they are out. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulator, resolveSpec, restoreSimulator } from '../../../src/core/index.ts';
import { createImporter } from '../../../src/trace/importer.ts';
import { MemoryRecording, recordingsOf } from '../../../src/trace/memory-recording.ts';
import { type PacketSpec, pcapOf } from '../../../tools/prove/trace-lines/captures.ts';

type Plain = Record<string, unknown>;

const US = 1000;
const LINUX_COOKED = 113;
/** First two bytes in the cooked form: 0 was received, 4 was sent. */
const RECEIVED = Buffer.from([0, 0]);
const SENT = Buffer.from([0, 4]);

/** @param packets `[ns, bytes, was it sent]` */
function captured(packets: readonly (readonly [number, number, boolean])[], linkType = LINUX_COOKED): MemoryRecording {
  const recording = new MemoryRecording();
  const importer = createImporter({ format: 'pcap', strict: true, sink: recording.sink });
  const specs = packets.map(
    ([ns, original, sent]): PacketSpec => ({ seconds: 7, fraction: ns, original, data: sent ? SENT : RECEIVED }),
  );
  importer.write(pcapOf(specs, { nanoseconds: true, linkType }));
  importer.end();
  return recording;
}

interface Counts {
  offered: number;
  dropped: number;
}

interface Result {
  operations: number;
  offered: number;
  dropped: number;
  verdicts: Record<string, number>;
  replay: {
    event: number;
    finished: boolean;
    maps: number;
    unmaps: number;
    live: number;
    accesses: Plain;
    lagNs: { max: number };
  };
}

function machineOf(recording: MemoryRecording, fields: Plain = {}, kind = 'strict') {
  const spec = resolveSpec({
    machine: { cpus: 1 },
    policy: { allocator: { kind: 'rcache' }, invalidation: { kind } },
    devices: [{ name: 'nic', kind: 'replay' }],
    workloads: [{ kind: 'replay', device: 'nic', trace: 'it', recording: recording.digest, ringSize: 4, ...fields }],
  });
  const surroundings = { recordings: recordingsOf(recording) };
  let sim = createSimulator(spec, surroundings);
  const run = (forNs: number): Result => {
    assert.equal(sim.startRun({ forNs }).status, 'ok');
    while (!sim.stepRun(1000));
    const [result] = (sim.runResult() as unknown as { workloads: [Result & { counts: Counts }] }).workloads;
    const { offered, dropped } = result.counts;
    return { ...result, offered, dropped };
  };
  const mapped = () =>
    (sim.read({ read: 'mappings' }) as unknown as { result: { items: { lengthBytes: number }[] } }).result.items;
  const openPages = () => {
    type Metrics = { result: { exposure: { potential: { currentPages: number } } } };
    return (sim.read({ read: 'metrics' }) as unknown as Metrics).result.exposure.potential.currentPages;
  };
  return {
    run,
    mapped,
    openPages,
    digest: () => sim.digest(),
    /** Goes on as what its image becomes. */
    restore: () => {
      sim = restoreSimulator(spec, sim.save(), undefined, surroundings);
    },
  };
}

const each = (count: number, everyNs: number, bytes: number, sent: boolean) =>
  Array.from({ length: count }, (_, i) => [i * everyNs, bytes, sent] as const);

describe('packets that are received', () => {
  it('land one in each buffer of a ring that is full again after each, at their times', () => {
    const { run, mapped } = machineOf(captured(each(10, 100 * US, 1500, false)));
    const first = run(250 * US);
    assert.deepEqual([first.operations, first.dropped, first.replay.event], [3, 0, 3]);
    assert.deepEqual(
      mapped().map(({ lengthBytes }) => lengthBytes),
      [2048, 2048, 2048, 2048],
    );
    const rest = run(10_000 * US);
    assert.ok(rest.replay.finished);
    assert.deepEqual([rest.operations, rest.dropped, rest.replay.unmaps, rest.replay.live], [7, 0, 7, 4]);
    assert.deepEqual([rest.verdicts.ok, rest.verdicts.fault, rest.verdicts.stale], [7, 0, 0]);
    assert.equal(rest.replay.accesses.synthesised, 7);
  });

  it('come later by the inverse of the speed', () => {
    const { run } = machineOf(captured(each(10, 100 * US, 1500, false)), { speed: 0.5 });
    assert.equal(run(250 * US).operations, 2);
    assert.equal(run(200 * US).operations, 1);
  });

  it('of one moment find as many buffers as the ring has; the others are lost, and later ones are not', () => {
    const burst = [...Array.from({ length: 10 }, () => [500 * US, 1500, false] as const)];
    const later = each(3, 100 * US, 60, false).map(([ns, ...rest]) => [ns + 2000 * US, ...rest] as const);
    const { run } = machineOf(captured([[0, 60, false], ...burst, ...later]));
    const early = run(1000 * US);
    assert.deepEqual([early.operations, early.offered, early.dropped], [1 + 4, 11, 6]);
    const late = run(10_000 * US);
    assert.deepEqual([late.operations, late.offered, late.dropped, late.replay.live], [3, 3, 0, 4]);
  });

  it('that are longer than a buffer write to its end, and no byte beyond', () => {
    const { run } = machineOf(captured(each(5, 100 * US, 9000, false)), { bufferBytes: 256 });
    const { verdicts } = run(10_000 * US);
    assert.deepEqual([verdicts.ok, verdicts.fault], [5, 0]);
  });

  it('leave their buffers open under a lazy policy, and not under a strict one', () => {
    const left = (kind: string) => {
      const { run, openPages } = machineOf(captured(each(10, 100 * US, 1500, false)), {}, kind);
      assert.equal(run(1500 * US).replay.unmaps, 10);
      return openPages();
    };
    assert.deepEqual([left('strict'), left('flush-queue')], [0, 10]);
  });
});

describe('packets that are sent', () => {
  it('are mapped at their moment, read, and unmapped so long after', () => {
    const { run, mapped } = machineOf(captured(each(3, 1000 * US, 700, true)), { transmitNs: 50 * US });
    const before = run(1010 * US);
    assert.deepEqual([before.replay.maps, before.replay.unmaps, before.replay.live], [2, 1, 1]);
    assert.deepEqual(
      mapped().map(({ lengthBytes }) => lengthBytes),
      [700],
    );
    const after = run(100 * US);
    assert.deepEqual([after.replay.maps, after.replay.unmaps, after.replay.live], [0, 1, 0]);
    assert.deepEqual(mapped(), []);
    const rest = run(5000 * US);
    assert.deepEqual([rest.replay.maps, rest.replay.unmaps, rest.replay.live], [1, 1, 0]);
    assert.deepEqual([rest.verdicts.ok, rest.verdicts.fault], [1, 0]);
  });

  it('are those of Ethernet, which does not say, and need no ring', () => {
    const { run, mapped } = machineOf(captured(each(5, 100 * US, 60, false), 1), { transmitNs: 10 * US });
    const { replay } = run(5000 * US);
    assert.deepEqual([replay.maps, replay.unmaps, replay.live], [5, 5, 0]);
    assert.deepEqual(mapped(), []);
  });
});

describe('both ways at once', () => {
  const packets = Array.from(
    { length: 60 },
    (_, i) => [Math.floor(i / 3) * 40 * US + (i % 3) * 700, 60 + ((i * 331) % 1400), i % 3 === 1] as const,
  );

  it('come to the same digest from an image in their middle', () => {
    const recording = captured(packets);
    const whole = machineOf(recording);
    whole.run(400 * US);
    whole.run(5000 * US);
    const restored = machineOf(recording);
    restored.run(400 * US);
    restored.restore();
    const { replay, operations, dropped } = restored.run(5000 * US);
    assert.equal(restored.digest(), whole.digest());
    assert.ok(replay.finished);
    assert.ok(operations > 0 && dropped >= 0);
    assert.equal(replay.live, 4);
  });

  it('each packet is received, lost or sent', () => {
    const { operations, dropped, replay } = machineOf(captured(packets)).run(10_000 * US);
    const sent = packets.filter(([, , isSent]) => isSent).length;
    assert.equal(operations + dropped, packets.length);
    assert.equal(replay.maps, sent);
    assert.equal(replay.unmaps, operations);
  });
});
