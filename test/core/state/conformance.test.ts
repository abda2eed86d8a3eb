/** Random histories of a covering set of allocator x policy x mode x CPUs, each also played by one restored simulation after the other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { coveringSet, nameOf } from '../../../tools/prove/conformance/combinations.ts';
import { play } from '../../../tools/prove/conformance/history.ts';
import { restored } from './twins.ts';

const OPERATIONS = 24;
/** Steps from one restored simulation to the next, so that each history is cut at other places. */
const CUTS = [11, 17, 29];

describe('a history goes on in a restored simulation as it would have in the original', () => {
  for (const [i, combination] of coveringSet().entries())
    test(nameOf(combination), () => {
      const history = { combination, seed: i + 1, operations: OPERATIONS };
      const whole = play(history, 40);
      let calls = 0;
      let cuts = 0;
      const cut = play(
        {
          ...history,
          searchBudget: 3,
          renew: (simulator) => {
            if (++calls % CUTS[i % CUTS.length]! !== 0) return simulator;
            cuts++;
            return restored(simulator);
          },
        },
        40,
      );
      assert.deepEqual(cut, whole);
      assert.ok(cuts >= 2 && whole.maps > 5, JSON.stringify({ cuts, maps: whole.maps }));
    });
});
