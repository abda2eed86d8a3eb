/**
 * Allocator x policy x mode x CPUs: a covering set, each pair of values together once. The full matrix is `npm run prove -- conformance`.
 * Digests are those of `digests.json`. Broken policies and allocators are put into the registries for a moment: they must be complained of.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ImmediatePolicy } from '../../src/core/os/invalidation/immediate.ts';
import { policies } from '../../src/core/os/invalidation/index.ts';
import type { PolicyEntry } from '../../src/core/os/invalidation/policy.ts';
import type { AllocatorEntry, IovaAllocator } from '../../src/core/os/iova/allocator.ts';
import { allocators } from '../../src/core/os/iova/index.ts';
import { allCombinations, coveringSet, impossible, nameOf } from '../../tools/prove/conformance/combinations.ts';
import { conform } from '../../tools/prove/conformance/conform.ts';
import { knownDigests, OPERATIONS, SEED } from './digests.ts';

const digests = knownDigests();

describe('what can be combined keeps every invariant', () => {
  for (const combination of coveringSet())
    test(nameOf(combination), () => {
      const found = conform(combination, SEED, OPERATIONS);
      assert.deepEqual(found.complaints, []);
      assert.equal(found.digest, digests[nameOf(combination)], 'the digest that it has always had');
      assert.ok(!found.refused && found.maps > 50 && found.misuse > 5 && found.packets > 0, JSON.stringify(found));
    });
});

test('a history that once differed in slices: a ring is set up where its searches yield', () => {
  const combination = { allocator: 'rbtree', invalidation: 'deferred-2008', mode: 'translate', cpus: 2 };
  assert.deepEqual(conform(combination, 2, 120).complaints, []);
});

test('what cannot be combined is refused with its reason', () => {
  const refused = allCombinations().filter((combination) => impossible(combination) !== null && combination.cpus === 1);
  assert.ok(refused.length > 0);
  for (const combination of refused) {
    const found = conform(combination, 1, 1);
    assert.deepEqual(found.complaints, []);
    assert.ok(found.refused);
  }
});

/** Complaints about a policy or an allocator that stands in the registry for as long as it takes. */
function complaintsAbout(broken: { policy?: PolicyEntry; allocator?: AllocatorEntry }): string[] {
  const { policy, allocator } = broken;
  try {
    if (policy) policies[policy.kind] = policy;
    if (allocator) allocators[allocator.kind] = allocator;
    const combination = {
      mode: 'translate',
      cpus: 2,
      allocator: allocator?.kind ?? 'rbtree',
      invalidation: policy?.kind ?? 'strict',
    };
    return conform(combination, 1, OPERATIONS).complaints;
  } finally {
    if (policy) delete policies[policy.kind];
    if (allocator) delete allocators[allocator.kind];
  }
}

describe('what is broken is complained of', () => {
  const policy = (kind: string, unmapped: ImmediatePolicy['unmapped']): PolicyEntry => ({
    ...policies.strict!,
    kind,
    create: (parts) =>
      new (class extends ImmediatePolicy {
        unmapped = unmapped;
      })(parts),
  });

  test('a policy that forgets the flush', () => {
    const found = complaintsAbout({
      policy: policy('forgets', function (this: ImmediatePolicy, domain, pfn, pages) {
        this.parts.tables.releaseUnlinked();
        this.parts.freeIova(domain, pfn, pages);
      }),
    });
    assert.match(found.join('\n'), /through after its unmap/);
    assert.match(found.join('\n'), /came back while a stale translation/);
  });

  test('a policy that flushes all but the last page', () => {
    const found = complaintsAbout({
      policy: policy('falls-short', function (this: ImmediatePolicy, domain, pfn, pages) {
        if (pages > 1) this.parts.flush.range(domain, pfn, pages - 1, false);
        this.parts.tables.releaseUnlinked();
        this.parts.freeIova(domain, pfn, pages);
      }),
    });
    assert.notDeepEqual(found, []);
  });

  test('a policy that keeps an address now and then', () => {
    let calls = 0;
    const found = complaintsAbout({
      policy: policy('keeps', function (this: ImmediatePolicy, domain, pfn, pages) {
        this.parts.flush.range(domain, pfn, pages, false);
        this.parts.tables.releaseUnlinked();
        if (++calls % 50 !== 0) this.parts.freeIova(domain, pfn, pages);
      }),
    });
    assert.match(found.join('\n'), /are lost/);
  });

  test('a policy that keeps table pages', () => {
    const found = complaintsAbout({
      policy: policy('hoards', function (this: ImmediatePolicy, domain, pfn, pages) {
        this.parts.flush.range(domain, pfn, pages, false);
        this.parts.freeIova(domain, pfn, pages);
        if (Math.abs(pfn % 7) === 3) this.parts.tables.create(1, domain.index, 0);
      }),
    });
    assert.match(found.join('\n'), /table pages are left|frames are lost/);
  });

  const allocator = (kind: string, change: (sound: IovaAllocator) => void): AllocatorEntry => ({
    ...allocators.rbtree!,
    kind,
    create: (setup) => {
      const sound = allocators.rbtree!.create(setup);
      change(sound);
      return sound;
    },
  });

  test('an allocator that hands out a live address now and then', () => {
    const found = complaintsAbout({
      allocator: allocator('doubles', (sound) => {
        const allocate = sound.allocate.bind(sound);
        let last = 0;
        let calls = 0;
        sound.allocate = (pages, limitPfn) => {
          if (++calls % 20 === 0 && pages === 1) return last;
          last = allocate(pages, limitPfn);
          return last;
        };
      }),
    });
    assert.notDeepEqual(found, []);
  });

  test('an allocator that forgets the limit', () => {
    const found = complaintsAbout({
      allocator: allocator('unlimited', (sound) => {
        const allocate = sound.allocate.bind(sound);
        sound.allocate = (pages) => allocate(pages, 2 ** 36 - 1);
      }),
    });
    assert.match(found.join('\n'), /beyond the 32 bits/);
  });
});
