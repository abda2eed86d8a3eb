/** Slices while somebody asks, and for whom a run makes way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bustle, noteCall, sharedBustle } from '../../src/host/bustle.ts';
import { Scheduler, type TurnTaker } from '../../src/host/scheduler.ts';

const USUAL_MS = 5_000;

test('slices are short from a call of any worker on, and whole again once nobody has asked for a while', () => {
  const shared = sharedBustle();
  const [one, other] = [new Bustle(shared, true), new Bustle(shared, true)];
  assert.equal(one.sliceMs(0, USUAL_MS), USUAL_MS);
  noteCall(shared);
  for (const worker of [one, other]) assert.equal(worker.sliceMs(10, USUAL_MS), 1);
  assert.equal(one.sliceMs(40, USUAL_MS), 1);
  assert.equal(one.sliceMs(60, USUAL_MS), USUAL_MS, '50 ms after the call');
  noteCall(shared);
  assert.equal(one.sliceMs(100, USUAL_MS), 1);
  assert.equal(one.sliceMs(101, 0.5), 0.5, 'never longer than was set');
});

test('a run sleeps after a slice while somebody asks, where cores are scarce', () => {
  const shared = sharedBustle();
  const [scarce, plenty] = [new Bustle(shared, true), new Bustle(shared, false)];
  const slept = (): boolean[] => [scarce.makeWay(), plenty.makeWay()];
  const turn = (nowMs: number): void => {
    for (const worker of [scarce, plenty]) worker.sliceMs(nowMs, USUAL_MS);
  };
  turn(0);
  assert.deepEqual(slept(), [false, false], 'nobody asks');
  noteCall(shared);
  turn(1);
  assert.deepEqual(slept(), [true, false]);
  turn(52);
  assert.deepEqual(slept(), [false, false], 'nobody any more');
});

test('turns get the slice that there is now', async () => {
  const shared = sharedBustle();
  const scheduler = new Scheduler(USUAL_MS, () => {}, new Bustle(shared, true));
  const slices: number[] = [];
  await new Promise<void>((resolve) => {
    const taker: TurnTaker = {
      takeTurn(deadline) {
        slices.push(deadline - performance.now());
        if (slices.length === 1) noteCall(shared);
        else resolve();
        return slices.length === 1;
      },
    };
    scheduler.request(taker);
  });
  const [first, second] = slices as [number, number];
  assert.ok(first > 1, `${first} ms`);
  assert.ok(second <= 1, `${second} ms`);
});
