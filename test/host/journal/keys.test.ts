/** `Idempotency-Key` across a crash: a change that the journal has is not made a second time, and its reply is the first one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Reply, SessionHost } from '../../../src/host/host.ts';
import { type Retry, underRetry } from '../../../src/host/retry.ts';
import { createHost } from '../../../src/host/session-host.ts';
import { accepted, refusal, runEnd } from '../hosts.ts';
import { crashed, folderFor } from './folders.ts';

async function hostOn(t: TestContext, folder: string, replayMs = Number.POSITIVE_INFINITY): Promise<SessionHost> {
  const host = await createHost({
    workers: 1,
    limits: { replayMs },
    journal: { path: join(folder, 's.sqlite'), sync: 'never' },
  });
  t.after(() => host.close());
  return host;
}

async function under<T>(
  key: string,
  ask: () => Promise<Reply<T>>,
  print = key,
): Promise<{ value: T; replayed: boolean }> {
  const retry: Retry = { key, print, replayed: false };
  const value = await accepted(underRetry(retry, ask));
  return { value, replayed: retry.replayed };
}

for (const replayMs of [Number.POSITIVE_INFINITY, 0])
  test(`each kind of change is made once, before a crash and after it, ${replayMs === 0 ? 'with' : 'without'} images`, async (t) => {
    const folder = folderFor(t);
    const host = await hostOn(t, folder, replayMs);
    const spec = { preset: 'thread-2008', name: 's' };
    const buffer = { op: 'buffer', lengthBytes: 4096 } as const;
    const asks: [string, (on: SessionHost) => Promise<Reply<unknown>>][] = [
      ['create', (on) => on.create(spec)],
      ['buffer', (on) => on.apply('s', buffer)],
      ['run', (on) => on.startRun('s', { operations: 20 })],
    ];
    const first = new Map<string, unknown>();
    for (const [key, ask] of asks) {
      const { value, replayed } = await under(key, () => ask(host));
      assert.equal(replayed, false, key);
      first.set(key, value);
      if (key === 'run') await runEnd(host, 's', 'run_1');
    }
    const before = await accepted(host.get('s'));
    const again = await hostOn(t, crashed(t, folder));
    for (const each of [again, host])
      for (const [key, ask] of asks) {
        const { value, replayed } = await under(key, () => ask(each));
        assert.equal(replayed, true, key);
        assert.equal((value as { id: string }).id, (first.get(key) as { id: string }).id);
        if (key === 'buffer') assert.deepEqual(value, first.get(key));
      }
    for (const each of [again, host]) {
      assert.deepEqual(await accepted(each.get('s')), before);
      assert.equal((await accepted(each.list({}))).items.length, 1);
    }
  });

test('a failure of the simulated kernel is told again; a refusal changed nothing and is tried again', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  await accepted(host.create({ name: 's', machine: { memoryBytes: 2_097_152 } }));
  const large = () =>
    underRetry({ key: 'k', print: 'p', replayed: false }, () =>
      host.apply('s', { op: 'buffer', lengthBytes: 4_194_304 }),
    );
  const code = await refusal(large());
  const { operations } = await accepted(host.get('s'));
  assert.equal(await refusal(large()), code);
  assert.equal((await accepted(host.get('s'))).operations, operations);
  const free = () =>
    underRetry({ key: 'f', print: 'p', replayed: false }, () => host.apply('s', { op: 'free', buffer: 'buf_0' }));
  assert.equal(await refusal(free()), 'unknown-buffer');
  await accepted(host.apply('s', { op: 'buffer', lengthBytes: 4096 }));
  await accepted(free());
});

test('another request under the same key is refused, after a crash, too', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  await under('c', () => host.create({ name: 's' }));
  await under('k', () => host.apply('s', { op: 'advance', ns: 5 }));
  const again = await hostOn(t, crashed(t, folder));
  for (const each of [host, again]) {
    const other = (key: string, ask: () => Promise<Reply<unknown>>) =>
      underRetry({ key, print: 'other', replayed: false }, ask);
    assert.equal(await refusal(other('k', () => each.apply('s', { op: 'advance', ns: 6 }))), 'idempotency-mismatch');
    assert.equal(await refusal(other('c', () => each.create({ name: 't' }))), 'idempotency-mismatch');
    assert.equal((await accepted(each.get('s'))).timeNs, 5);
  }
});

test('a reset is made once', async (t) => {
  const folder = folderFor(t);
  const host = await hostOn(t, folder);
  await accepted(host.create({ name: 's' }));
  await accepted(host.apply('s', { op: 'advance', ns: 5 }));
  await under('r', () => host.reset('s'));
  await accepted(host.apply('s', { op: 'advance', ns: 7 }));
  const again = await hostOn(t, crashed(t, folder));
  for (const each of [host, again]) {
    assert.equal((await under('r', () => each.reset('s'))).replayed, true);
    assert.equal((await accepted(each.get('s'))).timeNs, 7);
  }
});
