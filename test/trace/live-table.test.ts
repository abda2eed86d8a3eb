import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LiveTable, NONE } from '../../src/trace/live-table.ts';
import { diceOf } from '../../tools/prove/dice.ts';

interface Entry {
  page: number;
  key: number;
  extent: number;
  event: number;
}

describe('a table of what is live', () => {
  it('finds what a list finds that is searched from its end', () => {
    const dice = diceOf(3);
    const table = new LiveTable();
    let list: Entry[] = [];
    for (let event = 0; event < 30_000; event++) {
      const page = dice(3) === 0 ? 2 ** 51 + dice(50) : dice(200);
      const key = dice(3);
      const extent = 1 + dice(2);
      const is = (each: Entry) => each.page === page && each.key === key;
      const expected = list.findLast((each) => is(each) && each.extent === extent) ?? list.findLast(is);
      const slot = table.find(page, key, extent);
      assert.equal(slot === NONE ? undefined : table.event[slot], expected?.event);
      // Grows first, then shrinks, then grows again.
      if (dice(10) < (event % 10_000 < 5000 ? 7 : 3)) {
        table.add(page, key, extent, event, 0, 0);
        list.push({ page, key, extent, event });
      } else if (slot !== NONE) {
        table.remove(slot);
        list = list.filter((each) => each !== expected);
      }
      assert.equal(table.live, list.length);
    }
  });

  it('tells all of a key, the newest first, and keeps what was moved', () => {
    const table = new LiveTable();
    for (let event = 0; event < 100; event++) table.add(7, 1, 1, event, 0, 0);
    const order: number[] = [];
    for (let slot = table.findNext(7, 1, NONE); slot !== NONE; slot = table.findNext(7, 1, slot))
      order.push(table.event[slot]!);
    assert.deepEqual(
      order,
      Array.from({ length: 100 }, (_, i) => 99 - i),
    );
    const slot = table.find(7, 1, 1);
    table.moveTo(slot, 9, 3);
    assert.equal(table.event[table.find(9, 1, 3)], 99);
    assert.equal(table.event[table.find(7, 1, 1)], 98);
  });
});
