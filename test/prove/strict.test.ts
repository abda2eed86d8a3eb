import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocators } from '../../src/core/os/iova/index.ts';
import { proveStrict, strictArms } from '../../tools/prove/strict.ts';

for (const [allocator, invalidation] of strictArms())
  test(`${invalidation} on ${allocator} opens no window and lets nothing through after its unmap`, () => {
    const proof = proveStrict({ operations: 40_000, seed: 1, allocator, invalidation });
    assert.equal(proof.windows, 0);
    assert.equal(proof.staleAccesses, 0);
    assert.ok(proof.attemptsAfterUnmap > 100, 'the history tried');
    assert.equal(proof.attemptsDetected, proof.attemptsAfterUnmap);
  });

for (const allocator of Object.keys(allocators))
  test(`the control: never on ${allocator} is caught`, () => {
    const proof = proveStrict({ operations: 40_000, seed: 1, allocator, invalidation: 'never' });
    assert.ok(proof.windows > 1000);
    assert.ok(proof.staleAccesses > 10);
  });

test('an allocator that keeps mappings is caught, though the policy is strict', () => {
  const proof = proveStrict({ operations: 40_000, seed: 1, allocator: 'persistent', invalidation: 'strict' });
  assert.ok(proof.windows > 1000);
  assert.ok(proof.staleAccesses > 10);
});
