/** The device with limits, alone: against a queueing network that is told in another way, and against Little's law. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DmaEngine, hasEngine } from '../../../src/core/devices/dma-engine.ts';
import { resolveSpec } from '../../../src/core/index.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import type { WorkloadSpec } from '../../../src/core/spec.ts';
import { type Asked, playNetwork } from '../../oracles/dma-engine.ts';
import { Dice } from '../build.ts';

const simulator = new Simulator(resolveSpec({}));

interface Limits {
  outstanding: number;
  parallelWalks?: number;
  missNs: number;
  pageBaseNs: number;
  readLatencyNs: number;
  writeLatencyNs: number;
  busGbps?: number;
  busOverheadBytes: number;
}

const engineOf = (limits: Partial<Limits>) =>
  new DmaEngine(simulator, { kind: 'dma-window', device: 'n', ...limits } as WorkloadSpec);

interface Access {
  write: boolean;
  bytes: number;
  pages: number;
  walks: number;
}

/** All accesses through the engine, each issued as soon as a slot is free and not before it arrives. */
function play(engine: DmaEngine, accesses: Access[], arrivals?: number[]) {
  const issued: number[] = [];
  const landed: number[] = accesses.map(() => -1);
  const events: { at: number; order: number; slot: number }[] = [];
  let order = 0;
  let next = 0;
  let now = 0;
  const arm = (slot: number) => {
    events.push({ at: engine.at[slot]!, order: order++, slot });
    events.sort((a, b) => a.at - b.at || a.order - b.order);
  };
  engine.startRun(0);
  for (;;) {
    while (next < accesses.length && !engine.full && (arrivals === undefined || arrivals[next]! <= now)) {
      const { write, bytes, pages, walks } = accesses[next]!;
      issued.push(now);
      arm(engine.issue(now, write, next++, bytes, pages, walks, 0));
    }
    const waits = arrivals !== undefined && next < accesses.length && !engine.full;
    if (events.length === 0 && !waits) return { issued, landed, now };
    if (events.length === 0 || (waits && arrivals![next]! < events[0]!.at)) {
      now = arrivals![next]!;
      continue;
    }
    const { at, slot } = events.shift()!;
    now = at;
    if (engine.arrive(slot)) landed[engine.owner[slot]!] = now;
    else arm(slot);
  }
}

describe('against a queueing network', () => {
  for (const write of [false, true])
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
      test(`${write ? 'writes' : 'reads'}, seed ${seed}: every access is issued and lands when the network says`, () => {
        const dice = new Dice(seed * 2 + (write ? 1 : 0));
        // Odd numbers, so that moments seldom coincide: ties are the next test's.
        const limits: Limits = {
          outstanding: 1 + dice.below(24),
          ...(dice.chance(4) ? {} : { parallelWalks: 1 + dice.below(5) }),
          missNs: 211.7 + dice.below(100),
          pageBaseNs: dice.chance(2) ? 0 : 13.3,
          readLatencyNs: 401.3,
          writeLatencyNs: 307.9,
          ...(dice.chance(3) ? {} : { busGbps: 20 + dice.below(80) }),
          busOverheadBytes: dice.below(40),
        };
        const accesses: Access[] = Array.from({ length: 400 }, () => {
          const pages = 1 + dice.below(3);
          return { write, bytes: 64 + dice.below(4000), pages, walks: dice.below(pages + 1) };
        });
        let clock = 0;
        const arrivals = dice.chance(2) ? accesses.map(() => (clock += dice.below(300_001))) : undefined;
        const perByte = limits.busGbps === undefined ? 0 : 8000 / limits.busGbps;
        const expected = playNetwork(
          {
            outstanding: limits.outstanding,
            walkers: limits.parallelWalks ?? Number.POSITIVE_INFINITY,
            readLatencyPs: 401_300,
            writeLatencyPs: 307_900,
            busPs: (bytes) => (perByte === 0 ? 0 : Math.round((bytes + limits.busOverheadBytes) * perByte)),
          },
          accesses.map(
            ({ bytes, pages, walks }): Asked => ({
              write,
              bytes,
              heldPs: Math.round(limits.pageBaseNs * 1000) * pages + Math.round(limits.missNs * 1000) * walks,
            }),
          ),
          arrivals,
        );
        const { issued, landed } = play(engineOf(limits), accesses, arrivals);
        assert.deepEqual(
          issued,
          expected.map(({ issuedPs }) => issuedPs),
        );
        assert.deepEqual(
          landed,
          expected.map(({ landedPs }) => landedPs),
        );
      });
});

describe('by hand', () => {
  const reads = (count: number, walks: number, bytes = 64): Access[] =>
    Array.from({ length: count }, () => ({ write: false, bytes, pages: 1, walks }));

  test('one at a time: latency and walk, one after the other', () => {
    const { landed } = play(engineOf({ outstanding: 1, readLatencyNs: 603, missNs: 230 }), [
      ...reads(2, 0),
      ...reads(1, 1),
    ]);
    assert.deepEqual(landed, [603_000, 1_206_000, 2_039_000]);
  });

  test('two walkers, five misses at once: they land in pairs', () => {
    const { landed } = play(
      engineOf({ outstanding: 8, parallelWalks: 2, readLatencyNs: 100, missNs: 50 }),
      reads(5, 1),
    );
    assert.deepEqual(landed, [150_000, 150_000, 200_000, 200_000, 250_000]);
  });

  test('one walker, l0 and lm: a page every l0 + M lm, as F&S has it', () => {
    const engine = engineOf({ outstanding: 4, parallelWalks: 1, pageBaseNs: 65, missNs: 197, writeLatencyNs: 0 });
    const { now } = play(
      engine,
      Array.from({ length: 1000 }, () => ({ write: true, bytes: 4096, pages: 1, walks: 2 })),
    );
    assert.equal(now, 1000 * (65 + 2 * 197) * 1000);
  });

  test('a read that hits overtakes one that misses, and the bus carries what is there first', () => {
    const engine = engineOf({ outstanding: 2, readLatencyNs: 100, missNs: 500, busGbps: 8, busOverheadBytes: 0 });
    const { landed } = play(engine, [...reads(1, 1, 100), ...reads(1, 0, 100)]);
    assert.deepEqual(landed, [700_000, 200_000]);
  });

  test('a write passes the bus first, a read last; overhead passes with each', () => {
    for (const write of [false, true]) {
      const engine = engineOf({
        outstanding: 2,
        readLatencyNs: 100,
        writeLatencyNs: 100,
        missNs: 30,
        busGbps: 8,
        busOverheadBytes: 24,
      });
      const { landed } = play(
        engine,
        Array.from({ length: 2 }, () => ({ write, bytes: 176, pages: 1, walks: 1 })),
      );
      assert.deepEqual(landed, [330_000, 530_000], write ? 'writes' : 'reads');
    }
  });
});

test('Little’s law: accesses on their way = rate x time, whatever limits', () => {
  for (const limits of [
    { outstanding: 16, readLatencyNs: 603, missNs: 230 },
    { outstanding: 16, parallelWalks: 2, readLatencyNs: 603, missNs: 230 },
    { outstanding: 16, readLatencyNs: 603, missNs: 230, busGbps: 10 },
  ]) {
    const dice = new Dice(9);
    const engine = engineOf(limits);
    const accesses = Array.from({ length: 5000 }, () => ({
      write: false,
      bytes: 64,
      pages: 1,
      walks: dice.below(2),
    }));
    const { issued, landed, now } = play(engine, accesses);
    const { outstandingMean, outstandingPeak } = engine.report(now, now) as Record<string, number>;
    const meanPs = landed.reduce((sum, at, i) => sum + at - issued[i]!, 0) / accesses.length;
    const law = (accesses.length / now) * meanPs;
    assert.ok(Math.abs(outstandingMean! - law) < 1e-9 * law, `${outstandingMean}, by the law ${law}`);
    assert.equal(outstandingPeak, 16);
  }
});

test('times that fall while accesses are on their way change nothing else', () => {
  const limits = { outstanding: 4, parallelWalks: 1, readLatencyNs: 100, missNs: 70, busGbps: 8 };
  const whole = engineOf(limits);
  const moved = engineOf(limits);
  const slots = [0, 1, 2].map((owner) => {
    const slot = whole.issue(owner * 1000, false, owner, 64, 1, 1, 0);
    assert.equal(moved.issue(owner * 1000, false, owner, 64, 1, 1, 0), slot);
    return slot;
  });
  moved.rebase(-5_000_000);
  for (const slot of slots) {
    assert.equal(whole.arrive(slot), moved.arrive(slot));
    assert.equal(moved.at[slot]! - whole.at[slot]!, 5_000_000);
  }
});

test('a workload has limits when it names one of them', () => {
  assert.equal(hasEngine({ kind: 'nic-rx', gbps: 10 }), false);
  assert.equal(hasEngine({ parallelWalks: 1 }), true);
  assert.equal(hasEngine({ writeLatencyNs: 0 }), true);
});
