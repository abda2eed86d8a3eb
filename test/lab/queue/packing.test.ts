import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { JobOutcome } from '../../../src/lab/experiment.ts';
import { outcomeOf, packed, unpacked } from '../../../src/lab/queue/packing.ts';

const GOOD: JobOutcome = { ok: true, result: { a: [0.1 + 0.2, 1e300, 5e-324] }, digest: 'a'.repeat(64), timeNs: 1.5 };

test('what is packed is unpacked as it was, up to a length', async () => {
  const value = { text: 'ä'.repeat(100), number: 5e-324 };
  const length = Buffer.byteLength(JSON.stringify(value));
  assert.deepEqual(await unpacked((await packed(value, length))!, length), value);
  assert.equal(await packed(value, length - 1), null);
  assert.equal(await unpacked((await packed(value, length))!, length - 1), null);
});

test('a little that unpacks to very much is refused before it does', async () => {
  const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024, ' '));
  assert.ok(bomb.length < 100_000);
  assert.equal(await unpacked(bomb, 1024 * 1024), null);
});

test('an outcome is one only in its form', async () => {
  const read = async (value: unknown) => await outcomeOf((await packed(value, 1_000_000))!);
  assert.deepEqual(await read(GOOD), GOOD);
  const failed = { ok: false, code: 'iova-exhausted', detail: 'no' };
  assert.deepEqual(await read(failed), failed);
  assert.deepEqual(await read({ ...failed, more: 1 }), failed);
  for (const bad of [
    null,
    [],
    'text',
    {},
    { ...GOOD, digest: 'A'.repeat(64) },
    { ...GOOD, result: [] },
    { ...GOOD, timeNs: -1 },
    { ...GOOD, timeNs: '1' },
    { ...GOOD, ok: 1 },
    { ...failed, code: 'No Code' },
    { ...failed, detail: 7 },
  ])
    assert.equal(await read(bad), null, JSON.stringify(bad));
  for (const bytes of ['', 'no gzip', gzipSync('{')]) assert.equal(await outcomeOf(Buffer.from(bytes)), null);
});
