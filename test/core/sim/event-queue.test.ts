/** What is due first, against a sorted array. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EventQueue } from '../../../src/core/sim/event-queue.ts';
import { Dice } from '../build.ts';

interface Armed {
  time: number;
  order: number;
  kind: number;
  argument: number;
}

function compare(a: Armed, b: Armed): number {
  return a.time - b.time || a.order - b.order;
}

describe('event queue', () => {
  test('equal times come in the order in which they were armed', () => {
    const queue = new EventQueue();
    for (let i = 0; i < 200; i++) queue.arm(5, i, -i);
    for (let i = 0; i < 200; i++) {
      queue.take();
      assert.deepEqual([queue.takenTime, queue.takenKind, queue.takenArgument], [5, i, -i]);
    }
    assert.equal(queue.nextTime(), Number.POSITIVE_INFINITY);
  });

  test('20,000 random arms, takes, discards and rebases agree with a sorted array', () => {
    const queue = new EventQueue();
    const dice = new Dice(7);
    let model: Armed[] = [];
    let order = 0;
    let now = 0;
    for (let step = 0; step < 20_000; step++) {
      const choice = dice.below(100);
      if (choice < 55 || model.length === 0) {
        // Few distinct times, so that ties are the rule.
        const armed = {
          time: now + dice.below(40),
          order: order++,
          kind: dice.below(5),
          argument: dice.below(2 ** 31),
        };
        queue.arm(armed.time, armed.kind, armed.argument);
        model.push(armed);
      } else if (choice < 98) {
        model.sort(compare);
        const expected = model.shift()!;
        assert.equal(queue.nextTime(), expected.time);
        queue.take();
        assert.deepEqual(
          [queue.takenTime, queue.takenKind, queue.takenArgument],
          [expected.time, expected.kind, expected.argument],
        );
        now = expected.time;
      } else if (choice === 98) {
        const victim = dice.below(5);
        queue.discard((kind) => kind === victim);
        model = model.filter(({ kind }) => kind !== victim);
      } else {
        queue.rebase(now);
        for (const armed of model) armed.time -= now;
        now = 0;
      }
      assert.equal(queue.size, model.length);
    }
  });
});
