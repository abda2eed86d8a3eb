/** The picture of a space: where it looks, what it is given, what it says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpaceCells } from '../../src/api/contract-types.ts';
import { spaceStates } from '../../src/core/look/space-states.ts';
import { hexOf, pageOf } from '../../src/dashboard/space/address.ts';
import { addressesOf, changes, frameOf, partsInWords, partsOf, summaryOf } from '../../src/dashboard/space/frame.ts';
import { STATES } from '../../src/dashboard/space/states.ts';
import {
  cellPages,
  fitted,
  type Grid,
  lastOf,
  moved,
  rowPages,
  settled,
  stretch,
  viewPages,
  widest,
  zoomed,
} from '../../src/dashboard/space/view.ts';
import { Dice } from '../core/build.ts';

const GRIDS: Grid[] = [
  { columns: 64, rows: 44 },
  { columns: 32, rows: 48 },
];
const SPACES = [2 ** 27 - 1, 2 ** 36 - 1, 2 ** 45 - 1, 2 ** 44 - 1, 255];

describe('an address', () => {
  test('is a page and back, up to 57 bits', () => {
    for (const page of [0, 1, 0xfff, 0x100000, 2 ** 36 - 1, 2 ** 45 - 1]) {
      assert.equal(pageOf(hexOf(page)), page);
      assert.equal(pageOf(hexOf(page, 4095)), page);
    }
    assert.equal(hexOf(2 ** 45 - 1, 4095), '0x1ffffffffffffff');
    for (const text of ['', '0x', 'ffff', '0xg', '0x11112222333344445']) assert.equal(pageOf(text), null, text);
  });
});

describe('where the picture looks', () => {
  test('begins at a row, lies within the space, and asks for whole cells up to its last page', () => {
    const dice = new Dice(7);
    for (let turn = 0; turn < 4000; turn++) {
      const grid = dice.pick(GRIDS);
      const lastPage = dice.pick(SPACES);
      const view = settled(
        { first: dice.below(2 ** 40) * (dice.chance(2) ? 1 : 1000), shift: dice.below(50) },
        grid,
        lastPage,
      );
      assert.equal(view.first % rowPages(view, grid), 0);
      assert.ok(view.first >= 0 && view.first <= lastPage);
      const { first, last, cells } = stretch(view, grid, lastPage);
      assert.ok(last <= lastPage && last >= first);
      assert.ok(cells >= 1 && cells <= grid.columns * grid.rows);
      // What the server makes of it: cells of the same size.
      assert.equal(Math.ceil((last - first + 1) / cells), Math.min(cellPages(view), last - first + 1));
      const page = first + Math.min(last - first, dice.below(viewPages(view, grid)));
      for (const by of [-3, -1, 1, 3]) {
        const next = zoomed(view, by, page, grid, lastPage);
        assert.ok(
          next.first <= page && lastOf(next, grid, lastPage) >= page,
          'the page under the pointer stays in sight',
        );
      }
      const there = moved(view, 5, grid, lastPage);
      assert.ok(there.first >= view.first && there.shift === view.shift);
    }
  });

  test('is as near as a stretch allows', () => {
    for (const grid of GRIDS)
      for (const [first, last] of [
        [0xffc00, 0xfffff],
        [0, 0],
        [0x40000, 0x7ffff],
        [0, 2 ** 36 - 1],
        [2 ** 35, 2 ** 35 + 10],
      ] as const) {
        const view = fitted(first, last, grid, 2 ** 36 - 1);
        assert.ok(view.first <= first && lastOf(view, grid, 2 ** 36 - 1) >= last);
        if (view.shift > 0) {
          const nearer = settled({ first, shift: view.shift - 1 }, grid, 2 ** 36 - 1);
          assert.ok(lastOf(nearer, grid, 2 ** 36 - 1) < last);
        }
      }
  });

  test('shows all of a space at the widest', () => {
    for (const grid of GRIDS)
      for (const lastPage of SPACES) {
        const all = settled({ first: 0, shift: widest(grid, lastPage) }, grid, lastPage);
        assert.deepEqual([all.first, lastOf(all, grid, lastPage)], [0, lastPage]);
      }
  });
});

function reply(change: Partial<SpaceCells> = {}): SpaceCells {
  return {
    domain: 'dom_0',
    timeNs: 10,
    from: '0xffc00000',
    to: '0xffc07fff',
    lastIova: '0xffffffffffff',
    cellBytes: 8192,
    cellCount: 4,
    coveredTo: '0xffc07fff',
    complete: true,
    pages: { free: 5, live: 2, stale: 1 },
    cells: { free: [1, 2, 1, 0, 1, 1, 1, 2], live: [1, 0, 1, 2, 2, 0], stale: [2, 0, 1, 1, 1, 0] },
    marks: [],
    ...change,
  };
}

describe('a look at a space', () => {
  test('has in each cell what the server counted', () => {
    const frame = frameOf(reply());
    assert.deepEqual(
      [0, 1, 2, 3].map((cell) => partsInWords(partsOf(frame, cell))),
      ['2 free', '2 live', '1 stale but cached, 1 free', '2 free'],
    );
    assert.equal(addressesOf(frame, 1), '0xffc02000 to 0xffc03fff');
    assert.equal(partsInWords([{ state: 'queued', pages: 1 }]), 'queued');
  });

  test('is told in words, exposure and what is missing included', () => {
    const words = summaryOf(frameOf(reply()));
    assert.match(words, /^0xffc00000 to 0xffc07fff, 8 pages in 4 cells of 8\u202fKiB\./);
    assert.match(words, /1 stale but cached, 2 live; 62\.5\u202f% of it is free\. 1 page is still translated/);
    assert.match(
      summaryOf(frameOf(reply({ pages: { free: 8 }, cells: { free: [4, 2] } }))),
      /all of it is free.*within reach/,
    );
    assert.match(summaryOf(frameOf(reply({ complete: false, coveredTo: '0xffc03fff' }))), /up to 0xffc03fff only/);
  });

  test('shows what differs from the one before, of the same stretch', () => {
    const before = frameOf(reply());
    const after = frameOf(reply({ cells: { free: [3, 2, 1, 0], live: [3, 0, 1, 2] } }));
    assert.deepEqual([...changes(before, after)], [0, 1, 1, 1]);
    assert.deepEqual([...changes(undefined, after)], [0, 0, 0, 0]);
    assert.deepEqual([...changes(frameOf(reply({ from: '0xff000000' })), after)], [0, 0, 0, 0]);
  });

  test('knows every state of the core, each once', () => {
    assert.deepEqual(STATES.map(({ state }) => state).sort(), [...spaceStates].sort());
  });
});
