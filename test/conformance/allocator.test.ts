/** Every allocator of the registry, and broken ones that must not get through, against the common checks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AllocatorEntry, type IovaAllocator, NO_PFN, SUSPENDED } from '../../src/core/os/iova/allocator.ts';
import { allocators as registry } from '../../src/core/os/iova/index.ts';
import { allocatorChecks, type Create, SPACE } from './allocator.ts';

const allocators = Object.values(registry);

function creator(entry: AllocatorEntry): Create {
  return () => entry.create({ ...SPACE, parameters: entry.defaults, onWrap: null });
}

test('the registry lists each kind under the name its schema and defaults give', () => {
  assert.notDeepEqual(allocators, []);
  for (const [key, { kind, defaults, schema, source }] of Object.entries(registry)) {
    assert.equal(kind, key);
    assert.equal(defaults.kind, kind);
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual((schema.properties as Record<string, unknown>).kind, { const: kind });
    assert.notEqual(source, '');
  }
});

for (const entry of allocators) {
  describe(`the allocator ${entry.kind}`, () => {
    for (const check of allocatorChecks) {
      test(check.title, () => assert.deepEqual(check.complaints(creator(entry), entry), []));
    }
  });
}

/** What a broken allocator does in place of the sound one. */
type Fault = (sound: IovaAllocator) => Partial<IovaAllocator>;

/** The sound allocator with some members replaced; all others, counters included, act on the sound one. */
function broken(create: Create, fault: Fault): Create {
  return () => {
    const sound = create();
    const replaced = fault(sound);
    return new Proxy(sound, {
      get(target, name) {
        if (name in replaced) return Reflect.get(replaced, name);
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
      set: (target, name, value) => Reflect.set(target, name, value, target),
    });
  };
}

const faults: Record<string, Fault> = {
  'hands out a live range now and then': (sound) => {
    let previous = NO_PFN;
    let calls = 0;
    return {
      allocate(pages, limitPfn) {
        if (++calls % 40 === 0 && previous !== NO_PFN) return previous;
        const pfn = sound.allocate(pages, limitPfn);
        if (pfn !== SUSPENDED) previous = pfn;
        return pfn;
      },
    };
  },
  'ignores reservations': () => ({ reserve() {} }),
  'never gives back a reserved range': () => ({ unreserve() {} }),
  'forgets what is freed': () => ({ free() {} }),
  'ignores the limit': (sound) => ({ allocate: (pages) => sound.allocate(pages, SPACE.lastPfn) }),
  'does not align': (sound) => ({
    allocate(pages, limitPfn) {
      const pfn = sound.allocate(pages + 1, limitPfn);
      return pfn > NO_PFN ? pfn + 1 : pfn;
    },
  }),
  'refuses the last free page': (sound) => ({
    allocate: (pages, limitPfn) => (sound.liveRanges % 64 === 63 ? NO_PFN : sound.allocate(pages, limitPfn)),
  }),
  'takes a page when it fails': (sound) => ({
    allocate(pages, limitPfn) {
      const pfn = sound.allocate(pages, limitPfn);
      if (pfn === NO_PFN && !sound.overlaps(0x200000, 0x200000)) sound.reserve(0x200000, 0x200000);
      return pfn;
    },
  }),
  'hides the highest range from the listing': (sound) => ({
    forEachRange(visit, limit) {
      const found: Parameters<typeof visit>[] = [];
      sound.forEachRange((...range) => found.push(range), Infinity);
      for (const range of found.slice(0, -1).slice(0, limit)) visit(...range);
    },
  }),
  'finds no overlap with single pages': (sound) => ({
    overlaps: (first, last) => first !== last && sound.overlaps(first, last),
  }),
  'keeps the state out of the digest': (sound) => ({ digest: (sink) => sink.number(sound.liveRanges) }),
  'starts again after each suspension, and counts it': (sound) => {
    let extra = 0;
    return {
      allocate(pages, limitPfn) {
        const pfn = sound.allocate(pages, limitPfn);
        if (pfn === SUSPENDED) extra++;
        return pfn;
      },
      get nodesVisited() {
        return sound.nodesVisited + extra;
      },
    };
  },
};

describe('a broken allocator is caught', () => {
  for (const entry of allocators) {
    for (const [what, fault] of Object.entries(faults)) {
      // A search that never suspends cannot get this wrong.
      if (what.startsWith('starts again') && !suspends(creator(entry))) continue;
      // What aligns nothing cannot fail to.
      if (what === 'does not align' && !entry.aligned) continue;
      test(`${entry.kind} that ${what}`, () => {
        const create = broken(creator(entry), fault);
        const caught = allocatorChecks.some((check) => {
          try {
            return check.complaints(create, entry).length > 0;
          } catch {
            // The sound allocator under the fault tripped over an assertion of its own: no merit of this check.
            return false;
          }
        });
        assert.ok(caught, 'no check complains');
      });
    }
  }
});

/** Whether a search past three ranges stops after one step. */
function suspends(create: Create): boolean {
  const allocator = create();
  for (const first of [0xffff0, 0xfffe0, 0xfffd0]) allocator.reserve(first, first + 0xf);
  allocator.budget = 1;
  return allocator.allocate(1, 0xfffff) === SUSPENDED;
}
