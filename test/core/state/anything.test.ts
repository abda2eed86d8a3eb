/** Anything a user can ask for, in any order, asked of a simulation and of one restored from it: the same replies, notices and digests. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Dice, Machine } from '../build.ts';
import { Anything, machines } from '../simulator/anything.ts';
import { Twins } from './twins.ts';

const STEPS = 120;
/** Steps from one image to the next. */
const EVERY = 40;

describe('a restored simulation answers anything as the original does', () => {
  const total = { runs: 0, withinRuns: 0 };

  for (const [name, spec] of Object.entries(machines))
    test(name, () => {
      const machine = new Machine({ ...spec, machine: { memoryBytes: 2 ** 24, ...(spec.machine as object) } });
      const dice = new Dice(name.length + 100);
      const anything = new Anything(dice, name.includes('untrusted'));
      const twins = new Twins(machine.sim);
      for (let step = 1; step <= STEPS; step++) {
        if (dice.chance(20)) {
          const budget = dice.pick([2, Number.POSITIVE_INFINITY]);
          if (twins.startRun(anything.run(), budget).status === 'refused') continue;
          total.runs++;
          for (let slices = 0; slices < 20 && !twins.stepRun(dice.pick([1, 50])); slices++) {
            if (slices % 3 !== 0) continue;
            twins.renew();
            total.withinRuns++;
          }
          if (!machine.sim.run!.ended) twins.cancelRun();
        } else twins.apply(anything.operation(), dice.pick([2, Number.POSITIVE_INFINITY]));
        if (step % EVERY === 0) {
          twins.compareAll();
          twins.renew();
        }
      }
    });

  test('runs were part of it', () => {
    assert.ok(total.runs > 50 && total.withinRuns > 50, JSON.stringify(total));
  });
});
