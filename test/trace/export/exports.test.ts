/** Exports at a time are counted from the beginning, and their places come back however they end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveSpec } from '../../../src/core/index.ts';
import { coreVersion } from '../../../src/core/version.ts';
import type { HistoryRecord, SessionHistory } from '../../../src/host/history.ts';
import { Exports } from '../../../src/trace/export/exports.ts';

function history(operations: number): SessionHistory {
  async function* records(): AsyncGenerator<HistoryRecord[]> {
    for (let i = 0; i < operations; i++) yield [{ op: 'buffer', lengthBytes: 4096 }];
  }
  const spec = resolveSpec({ devices: [{ kind: 'nic' }] }) as unknown as Record<string, unknown>;
  return { spec, coreVersion, records: records() };
}

function opened(exports: Exports, operations = 3): AsyncIterator<string> {
  const reply = exports.open(history(operations), true);
  assert.ok(reply.ok);
  return reply.value[Symbol.asyncIterator]();
}

const isFull = (exports: Exports): boolean => {
  const reply = exports.open(history(0), true);
  if (reply.ok) void reply.value[Symbol.asyncIterator]().return?.();
  return !reply.ok && reply.problem.code === 'overloaded';
};

async function whole(text: AsyncIterator<string>): Promise<string> {
  let all = '';
  for (;;) {
    const { value, done } = await text.next();
    if (done) return all;
    all += value;
  }
}

test('one that nobody has begun to read has its place, and gives it back', async () => {
  const exports = new Exports(null, { exports: 2 });
  const [one, other] = [opened(exports), opened(exports)];
  assert.ok(isFull(exports));
  await one.return?.();
  await one.return?.();
  assert.ok(!isFull(exports));
  const third = opened(exports);
  assert.ok(isFull(exports));
  await Promise.all([other.return?.(), third.return?.()]);
  assert.ok(!isFull(exports));
});

test('one that was read to its end, or left in the middle, has none any more', async () => {
  const exports = new Exports(null, { exports: 1 });
  const text = await whole(opened(exports));
  assert.equal(text.match(/iommu_lab:buffer|iommu_lab_buffer|buffer:/g)?.length, 3, text);
  const left = opened(exports, 100_000);
  assert.ok(!(await left.next()).done);
  assert.ok(isFull(exports));
  await left.return?.();
  assert.ok(!isFull(exports));
});

test('one whose reader stands still ends, and says why', async () => {
  const exports = new Exports(null, { exports: 1, idleMs: 200 });
  const text = opened(exports, 100_000);
  await text.next();
  await new Promise((resolve) => setTimeout(resolve, 600));
  await assert.rejects(async () => {
    for (;;) if ((await text.next()).done) return;
  }, /nobody has read for 0\.2 s/);
  assert.ok(!isFull(exports));
});

test('one that takes too long, or too much memory, is cut, and says why', async () => {
  for (const [limits, says] of [
    [{ wholeMs: 1 }, /it took more than 0\.001 s/],
    // Each buffer is an object on the thread's heap.
    [{ heapMib: 24 }, /it takes more than 24 MiB of heap/],
  ] as const) {
    const exports = new Exports(null, { exports: 1, ...limits });
    await assert.rejects(whole(opened(exports, 1_000_000)), says);
    assert.ok(!isFull(exports));
  }
});
