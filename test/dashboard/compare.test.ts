/** Two sessions on one clock, against sessions of the core; what is said of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RunResult } from '../../src/api/contract-types.ts';
import { catalog } from '../../src/core/catalog.ts';
import { resolveSpec } from '../../src/core/index.ts';
import { Simulator } from '../../src/core/simulator.ts';
import { figuresOf, joined, ratioInWords, rowsOf, specDifferences } from '../../src/dashboard/compare/figures.ts';
import { knobsOf, nameOf, specWith } from '../../src/dashboard/compare/knobs.ts';
import { Lockstep, type Sides } from '../../src/dashboard/compare/lockstep.ts';

class CoreSides implements Sides {
  readonly simulators: Simulator[];
  constructor(...specs: object[]) {
    this.simulators = specs.map((spec) => new Simulator(resolveSpec(spec as Record<string, unknown>)));
  }
  async timeOf(side: number): Promise<number> {
    return this.simulators[side]!.clock.timeNs;
  }
  async runUntil(side: number, untilNs: number): Promise<RunResult> {
    const simulator = this.simulators[side]!;
    assert.equal(simulator.startRun({ untilNs }).status, 'ok');
    while (!simulator.stepRun(100_000));
    return simulator.runResult() as unknown as RunResult;
  }
}

const spec = (kind: string) => ({ preset: 'thread-2008', policy: { invalidation: { kind } } });

describe('two sessions on one clock', () => {
  test('stand at the same time after each turn, also when one was ahead', async () => {
    const sides = new CoreSides(spec('strict'), spec('deferred-2008'));
    sides.simulators[1]!.apply({ op: 'advance', ns: 300_000 });
    const lockstep = new Lockstep(sides);
    for (let turn = 1; turn <= 4; turn++) {
      const { timeNs, all } = await lockstep.turn(500_000);
      assert.equal(timeNs, 300_000 + turn * 500_000);
      assert.deepEqual(await Promise.all([sides.timeOf(0), sides.timeOf(1)]), [timeNs, timeNs]);
      assert.ok(
        all.every(({ seconds }) => Math.abs(seconds - turn * 0.0005) < 1e-12),
        'catching up is not measured',
      );
    }
  });

  test('come in all to what the sessions themselves count', async () => {
    const sides = new CoreSides(spec('strict'), spec('deferred-2008'));
    const lockstep = new Lockstep(sides);
    let turn = await lockstep.turn(400_000);
    for (let i = 0; i < 4; i++) turn = await lockstep.turn(400_000);
    for (const side of [0, 1] as const) {
      const outcome = sides.simulators[side]!.read({ read: 'metrics' });
      assert.equal(outcome.status, 'ok');
      const session = (outcome as { result: Record<string, unknown> }).result as unknown as RunResult & {
        exposure: { potential: { pageSeconds: number }; actual: { pageSeconds: number }; staleAccesses: number };
      };
      const parts = turn.all[side];
      assert.equal(parts.staleAccesses, session.exposure.staleAccesses);
      assert.equal(parts.faults, session.verdicts!.fault);
      assert.deepEqual([parts.lookups, parts.hits], [session.iotlb!.lookups, session.iotlb!.hits]);
      assert.ok(Math.abs(parts.openPages * parts.seconds - session.exposure.potential.pageSeconds) < 1e-12);
      assert.ok(Math.abs(parts.reachablePages * parts.seconds - session.exposure.actual.pageSeconds) < 1e-12);
    }
    assert.equal(turn.all[0].openPages, 0, 'strict leaves nothing open');
    assert.ok(turn.all[1].openPages > 0);
    const rows = rowsOf(...turn.all);
    assert.equal(rows.find(({ name }) => name === 'cycles an operation')!.better, 'b');
    assert.equal(rows.find(({ name }) => name.startsWith('unmapped and not flushed'))!.better, 'a');
  });
});

describe('figures beside each other', () => {
  test('are said in words', () => {
    assert.equal(ratioInWords(10, 5), 'A is 2.00 times B');
    assert.equal(ratioInWords(5, 500), 'B is 100 times A');
    assert.equal(ratioInWords(100, 100.5), 'alike');
    assert.equal(ratioInWords(0, 0), 'alike');
    assert.equal(ratioInWords(1, 0), 'only A');
    assert.equal(ratioInWords(null, 1), 'not both');
  });

  test('of a span without operations have no cycles', () => {
    const idle = figuresOf({ simulatedSeconds: 1 } as RunResult);
    assert.equal(joined(idle, idle).cyclesPerOperation, null);
    assert.deepEqual(rowsOf(idle, idle), []);
  });

  test('stand beside what differs in the specs', () => {
    assert.deepEqual(specDifferences({ a: { b: 1, c: [1] }, d: 2 }, { a: { b: 2, c: [1] }, e: 'x' }), [
      { path: 'a.b', a: '1', b: '2' },
      { path: 'd', a: '2', b: '–' },
      { path: 'e', a: '–', b: 'x' },
    ]);
  });
});

describe('two sessions from one preset', () => {
  test('are accepted by the core with every knob, and have names that it takes', () => {
    for (const knob of knobsOf(catalog() as never))
      for (const value of knob.usual) {
        const name = nameOf(knob, value, 'x3f9');
        assert.match(name, /^[A-Za-z][A-Za-z0-9._-]{0,63}$/);
        const resolved = resolveSpec(specWith('thread-2008', knob, value, name)) as unknown as Record<string, unknown>;
        let at: unknown = resolved;
        for (const part of knob.path.split('.')) at = (at as Record<string, unknown>)[part];
        assert.equal(String(at), value, knob.path);
      }
  });
});
