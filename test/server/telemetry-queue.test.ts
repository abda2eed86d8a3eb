/** The queue of spans: bounded, counted, and no nuisance when the collector is away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Send, TelemetryQueue } from '../../src/server/telemetry-queue.ts';

const BOUNDS = { spans: 10, batch: 4, everyMs: 60_000, closeMs: 50 };

function queueOf(send: Send<number>, bounds: Partial<typeof BOUNDS> = {}) {
  const lines: string[] = [];
  const logger = {
    info: (_fields: object, message: string) => lines.push(`info ${message}`),
    warn: (_fields: object, message: string) => lines.push(`warn ${message}`),
  };
  return { queue: new TelemetryQueue<number>(send, logger as never, { ...BOUNDS, ...bounds }), lines };
}

test('sends batches in order, one at a time, and counts what was taken', async () => {
  const sent: number[][] = [];
  let open = 0;
  const { queue, lines } = queueOf(async (items) => {
    assert.equal(++open, 1);
    await new Promise((resolve) => setImmediate(resolve));
    open--;
    sent.push(items);
  });
  for (let i = 0; i < 7; i++) queue.push(i);
  await queue.flush();
  await queue.flush();
  assert.deepEqual(sent.flat(), [0, 1, 2, 3, 4, 5, 6]);
  assert.ok(sent.every(({ length }) => length <= BOUNDS.batch));
  assert.deepEqual(queue.figures(), { exported: 7, dropped: 0, failures: 0, queued: 0 });
  assert.deepEqual(lines, []);
});

test('while a batch is on its way no more wait than may, and the rest is dropped and counted', async () => {
  let release = (): void => {};
  const { queue } = queueOf(() => new Promise((resolve) => (release = resolve)));
  for (let i = 0; i < 100; i++) queue.push(i);
  // Four are on their way, ten wait.
  assert.deepEqual(queue.figures(), { exported: 0, dropped: 86, failures: 0, queued: 10 });
  release();
  await queue.flush();
  assert.equal(queue.figures().exported, 4);
});

test('a collector that is away is one line in the log, and one when it is back', async () => {
  let away = true;
  const { queue, lines } = queueOf(async () => {
    if (away) throw new Error('ECONNREFUSED');
  });
  for (let round = 0; round < 5; round++) {
    queue.push(round);
    await queue.flush();
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^warn the collector does not take traces/);
  assert.deepEqual(queue.figures(), { exported: 0, dropped: 5, failures: 5, queued: 0 });
  away = false;
  queue.push(5);
  await queue.flush();
  queue.push(6);
  await queue.flush();
  assert.equal(lines.length, 2);
  assert.match(lines[1]!, /^info/);
  away = true;
  queue.push(7);
  await queue.flush();
  assert.equal(lines.length, 3);
});

test('at the end what waits is sent, and after it nothing is taken', async () => {
  const sent: number[] = [];
  const { queue } = queueOf(async (items) => void sent.push(...items));
  for (let i = 0; i < 3; i++) queue.push(i);
  await queue.close();
  assert.deepEqual(sent, [0, 1, 2]);
  queue.push(3);
  await queue.close();
  assert.deepEqual([sent.length, queue.figures().dropped], [3, 1]);
});

test('a collector that never answers does not hold up the end', async () => {
  const { queue } = queueOf(() => new Promise(() => {}));
  for (let i = 0; i < 9; i++) queue.push(i);
  await queue.close();
  // Those on their way are in nobody's count: whether they arrived is not known.
  assert.deepEqual(queue.figures(), { exported: 0, dropped: 5, failures: 0, queued: 0 });
});
