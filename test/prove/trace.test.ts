import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { proveTrace } from '../../tools/prove/trace.ts';
import { newFolder } from '../trace/archive/archives.ts';

test('a recording arrives whole through a server that is killed twice, packed in two ways', async (t) => {
  const proof = await proveTrace({ bytes: 6_000_000, seed: 3, folder: join(newFolder(t), 'proof') });
  assert.deepEqual(proof.complaints, []);
  assert.deepEqual([proof.recordings, proof.kills], [2, 4]);
  assert.ok(proof.lines > 80_000 && proof.records > 40_000);
});
