/**
 * Addresses known from elsewhere: worked by hand through the kernel's source (Linux 3.6 and current
 * `drivers/iommu/iova.c`, Linux 3.6 `lib/iommu-helper.c`), and the five-step example of Malka et al., FAST 2015.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type IovaAllocator, NO_PFN } from '../../../../src/core/os/iova/allocator.ts';
import { allocators } from '../../../../src/core/os/iova/index.ts';

const LAST_32BIT = 0xfffff;
const LAST_48BIT = 2 ** 36 - 1;
const FIRST_ABOVE_4G = 0x100000;

function create(kind: string, parameters: Record<string, unknown> = {}, onWrap: (() => void) | null = null) {
  const entry = allocators[kind]!;
  return entry.create({
    lastPfn: LAST_48BIT,
    maskLastPfn: LAST_48BIT,
    parameters: { ...entry.defaults, ...parameters },
    onWrap,
  });
}

/** A space below 4 GiB with the interrupt window taken out. */
function withMsi(kind: string): IovaAllocator {
  const allocator = create(kind);
  allocator.reserve(0xfee00, 0xfeeff);
  return allocator;
}

const hex = (pfns: number[]) => pfns.map((pfn) => pfn.toString(16));

function allocateEach(allocator: IovaAllocator, sizes: number[], limitPfn = LAST_32BIT): string[] {
  return hex(sizes.map((pages) => allocator.allocate(pages, limitPfn)));
}

describe('rbtree-2008', () => {
  test('sizes are rounded up to powers of two and aligned, from the top down', () => {
    const allocator = withMsi('rbtree-2008');
    assert.deepEqual(allocateEach(allocator, [1, 3, 1, 8, 5]), ['fffff', 'ffff8', 'ffff7', 'fffe8', 'fffe0']);
    assert.equal(allocator.livePages, 1 + 4 + 1 + 8 + 8);
  });

  test('page 1 stays unused: the check at the bottom asks for one page more than it needs', () => {
    const allocator = create('rbtree-2008');
    assert.deepEqual(allocateEach(allocator, [1, 1, 1], 3), ['3', '2', '0']);
  });

  test('a freed range whose successor lies above 4 GiB leaves no cached range behind', () => {
    const allocator = create('rbtree-2008');
    assert.equal(allocator.allocate(1, LAST_48BIT), LAST_48BIT);
    assert.deepEqual(allocateEach(allocator, [1]), ['fffff']);
    assert.equal(allocator.inspect().cached32Pfn, LAST_32BIT);
    allocator.free(LAST_32BIT, 1);
    assert.equal(allocator.inspect().cached32Pfn, null);
    // An earlier form of the kernel would go on below the high range and hand a 32-bit device ffffffffe.
    assert.deepEqual(allocateEach(allocator, [1, 1]), ['fffff', 'ffffe']);
  });

  test('only a limit of exactly 4 GiB uses and moves the cached range', () => {
    const allocator = create('rbtree-2008');
    assert.deepEqual(allocateEach(allocator, [1, 1, 1]), ['fffff', 'ffffe', 'ffffd']);
    assert.equal(allocator.lastNodesVisited, 0);
    assert.deepEqual(allocateEach(allocator, [1], 0xffffe), ['ffffc']);
    // fffff is skipped, ffffe and ffffd leave no room; the search ends below the lowest.
    assert.equal(allocator.lastNodesVisited, 3);
    assert.equal(allocator.inspect().cached32Pfn, 0xffffd);
  });

  test('a free at or above the cached range drags it up, one below leaves it alone', () => {
    const allocator = create('rbtree-2008');
    allocateEach(allocator, [1, 1, 1, 1, 1]);
    assert.equal(allocator.inspect().cached32Pfn, 0xffffb);
    allocator.free(0xffffd, 1);
    assert.equal(allocator.inspect().cached32Pfn, 0xffffe);
    allocator.free(0xffffb, 1);
    assert.equal(allocator.inspect().cached32Pfn, 0xffffe);
    assert.deepEqual(allocateEach(allocator, [1]), ['ffffd']);
    assert.deepEqual(allocateEach(allocator, [1]), ['ffffb']);
    assert.equal(allocator.lastNodesVisited, 1);
  });

  test('a range that starts on the last page below 4 GiB is not kept as the cached one by a free', () => {
    const allocator = create('rbtree-2008');
    allocateEach(allocator, [1, 1]);
    allocator.free(0xffffe, 1);
    assert.equal(allocator.inspect().cached32Pfn, null);
    assert.deepEqual(allocateEach(allocator, [1]), ['ffffe']);
  });
});

describe('rbtree', () => {
  test('starts are aligned to the next power of two, sizes stay, a free above lifts the search', () => {
    const allocator = withMsi('rbtree');
    assert.deepEqual(allocateEach(allocator, [1, 1, 8, 1, 1, 4]), [
      'fffff',
      'ffffe',
      'ffff0',
      'fffef',
      'fffee',
      'fffe8',
    ]);
    allocator.free(0xffffe, 1);
    assert.deepEqual(allocateEach(allocator, [1, 1]), ['ffffe', 'ffffd']);
  });

  test('large ranges hop over the interrupt window', () => {
    assert.deepEqual(allocateEach(withMsi('rbtree'), [0x800, 0x400, 0x1000]), ['ff800', 'ff400', 'fd000']);
    // The same after smaller ones: 0x400 pages no longer fit between ff000 and the window.
    const allocator = withMsi('rbtree');
    allocateEach(allocator, [1, 1, 8, 1, 1, 4]);
    assert.deepEqual(allocateEach(allocator, [0x800, 0x400, 0x1000]), ['ff000', 'fe800', 'fd000']);
  });

  test('pages lost to alignment are found by the second look above the cached range', () => {
    const allocator = create('rbtree');
    assert.deepEqual(allocateEach(allocator, [1, 1, 8]), ['fffff', 'ffffe', 'ffff0']);
    allocator.reserve(1, 0xfffef);
    // Below ffff0 one range to pass, then from the anchor fffff and ffffe; the pages from ffffd down were padding.
    assert.deepEqual(allocateEach(allocator, [1]), ['ffffd']);
    assert.equal(allocator.lastNodesVisited, 3);
    assert.equal(allocator.inspect().cached32Pfn, 0xffffd);
    assert.deepEqual(allocateEach(allocator, [1, 1, 1, 1, 1, 1]), ['ffffc', 'ffffb', 'ffffa', 'ffff9', 'ffff8', '0']);
  });

  test('there is no second look when the search began at the anchor', () => {
    const allocator = create('rbtree');
    for (const [first, last] of [
      [1, 0x7ffff],
      [0x80000, 0xbffff],
      [0xc0000, LAST_32BIT],
    ] as const) {
      allocator.reserve(first, last);
    }
    assert.equal(allocator.allocate(1, LAST_32BIT), NO_PFN);
    assert.equal(allocator.lastNodesVisited, 3);
  });

  test('a size known not to fit below 4 GiB is refused without a search until something there is freed', () => {
    const allocator = create('rbtree');
    allocator.reserve(1, 0xffeff);
    const held = allocator.allocate(0x80, LAST_32BIT);
    assert.equal(held, 0xfff80);
    assert.equal(allocator.allocate(0x100, LAST_32BIT), NO_PFN);
    assert.ok(allocator.lastNodesVisited > 0);
    assert.equal(allocator.inspect().max32AllocSize, 0x100);
    const searched = allocator.nodesVisited;
    assert.equal(allocator.allocate(0x100, LAST_32BIT), NO_PFN);
    assert.equal(allocator.allocate(0x200, LAST_32BIT), NO_PFN);
    assert.equal(allocator.lastNodesVisited, 0);
    assert.equal(allocator.nodesVisited, searched);
    // The known size stays the smallest that failed, not the last that was asked for.
    assert.equal(allocator.inspect().max32AllocSize, 0x100);
    // Smaller ones are searched for, and other limits know nothing of it.
    assert.equal(allocator.allocate(0x40, LAST_32BIT), 0xfff40);
    const high = allocator.allocate(0x100, LAST_48BIT);
    assert.equal(high, 2 ** 36 - 0x100);
    allocator.free(high, 0x100);
    assert.equal(allocator.inspect().max32AllocSize, 0x100);
    allocator.free(0xfff40, 0x40);
    assert.equal(allocator.inspect().max32AllocSize, FIRST_ABOVE_4G);
    assert.equal(allocator.allocate(0x100, LAST_32BIT), NO_PFN);
    allocator.free(held, 0x80);
    assert.equal(allocator.allocate(0x100, LAST_32BIT), 0xfff00);
  });

  test('ranges above and below 4 GiB have cached ranges of their own', () => {
    const allocator = create('rbtree');
    assert.deepEqual(allocateEach(allocator, [1, 1], LAST_48BIT), ['fffffffff', 'ffffffffe']);
    assert.deepEqual(allocateEach(allocator, [1]), ['fffff']);
    assert.equal(allocator.inspect().cachedPfn, LAST_48BIT - 1);
    assert.equal(allocator.inspect().cached32Pfn, LAST_32BIT);
    // The cached range below 4 GiB may be followed by one above; freeing it still moves on.
    allocator.free(LAST_32BIT, 1);
    assert.equal(allocator.inspect().cached32Pfn, LAST_48BIT - 1);
    allocator.free(LAST_48BIT - 1, 1);
    assert.equal(allocator.inspect().cachedPfn, LAST_48BIT);
    assert.equal(allocator.inspect().cached32Pfn, LAST_48BIT);
    assert.deepEqual(allocateEach(allocator, [1]), ['fffff']);
  });
});

describe('the five steps of EiovaR, with the cached node C', () => {
  /** Pages 150 to 400 live, C at 152: the ring below was filled first, then 152 was freed and taken again. */
  function rings(kind: string): IovaAllocator {
    const allocator = create(kind);
    allocator.reserve(401, LAST_32BIT);
    for (let pfn = 400; pfn >= 150; pfn--) assert.equal(allocator.allocate(1, LAST_32BIT), pfn);
    allocator.free(152, 1);
    assert.equal(allocator.allocate(1, LAST_32BIT), 152);
    assert.equal(allocator.inspect().cached32Pfn, 152);
    return allocator;
  }

  const steps = ['free 151', 'free 300', 'allocate', 'free 150', 'allocate'] as const;

  function table(allocator: IovaAllocator, omitted: string): (string | number)[][] {
    return steps
      .filter((step) => step !== omitted)
      .map((step) => {
        const before = allocator.nodesVisited;
        let returned: number | string = '-';
        if (step === 'allocate') returned = allocator.allocate(1, LAST_32BIT);
        else allocator.free(Number(step.slice('free '.length)), 1);
        return [step, returned, allocator.inspect().cached32Pfn as number, allocator.nodesVisited - before];
      });
  }

  for (const kind of ['rbtree-2008', 'rbtree']) {
    test(`${kind}: one ring alone frees and allocates without a search`, () => {
      assert.deepEqual(table(rings(kind), 'free 300'), [
        ['free 151', '-', 152, 0],
        ['allocate', 151, 151, 0],
        ['free 150', '-', 151, 0],
        ['allocate', 150, 150, 0],
      ]);
    });

    test(`${kind}: one transmit page freed above costs the receive ring a walk down to it`, () => {
      assert.deepEqual(table(rings(kind), ''), [
        ['free 151', '-', 152, 0],
        ['free 300', '-', 301, 0],
        ['allocate', 300, 300, 0],
        ['free 150', '-', 300, 0],
        // Passes 299 down to 152.
        ['allocate', 151, 151, 148],
      ]);
    });
  }
});

describe('bitmap', () => {
  test('the last slot is never handed out, nor is page 0', () => {
    const allocator = create('bitmap', { apertureBytes: 2 ** 20 });
    const found = Array.from({ length: 255 }, () => allocator.allocate(1, LAST_32BIT));
    assert.deepEqual(
      found.slice(0, 254),
      Array.from({ length: 254 }, (_, index) => index + 1),
    );
    assert.equal(found[254], NO_PFN);
    assert.equal(allocator.overlaps(255, 255), false);
  });

  test('a limit below the end of the map loses its own last slot', () => {
    const allocator = create('bitmap');
    assert.deepEqual(allocateEach(allocator, [1, 1, 1], 3), ['1', '2', '0']);
  });

  test('starts are aligned to the next power of two, sizes stay', () => {
    const allocator = create('bitmap');
    assert.deepEqual(allocateEach(allocator, [1, 3, 1, 5, 1]), ['1', '4', '7', '8', 'd']);
    assert.equal(allocator.livePages, 11);
    // The gaps that alignment left stay behind the cursor.
    assert.equal(allocator.overlaps(2, 3), false);
  });

  test('the cursor moves with allocations only: a freed page waits until the lap is over', () => {
    let wraps = 0;
    const allocator = create('bitmap', { apertureBytes: 2 ** 20 }, () => void wraps++);
    allocateEach(allocator, [1, 1, 1, 1]);
    assert.equal(allocator.inspect().cursorPfn, 5);
    allocator.free(2, 1);
    allocator.free(4, 1);
    assert.equal(allocator.inspect().cursorPfn, 5);
    for (let pfn = 5; pfn <= 254; pfn++) assert.equal(allocator.allocate(1, LAST_32BIT), pfn);
    assert.equal(wraps, 0);
    assert.deepEqual(allocateEach(allocator, [1]), ['2']);
    assert.equal(wraps, 1);
    assert.deepEqual(allocateEach(allocator, [1]), ['4']);
    assert.equal(wraps, 1);
    // Full: the first search fails again, and so does the second.
    assert.deepEqual(allocateEach(allocator, [1]), ['0']);
    assert.equal(wraps, 2);
    assert.equal(allocator.inspect().cursorPfn, 5);
  });

  test('a page freed ahead of the cursor is handed out within the lap, with no wrap in between', () => {
    let wraps = 0;
    const allocator = create('bitmap', { apertureBytes: 2 ** 20 }, () => void wraps++);
    allocateEach(
      allocator,
      Array.from({ length: 254 }, () => 1),
    );
    allocator.free(1, 1);
    assert.deepEqual(allocateEach(allocator, [1]), ['1']);
    assert.equal(wraps, 1);
    allocator.free(200, 1);
    assert.deepEqual(allocateEach(allocator, [1]), ['c8']);
    assert.equal(wraps, 1);
  });

  test('the wrap is reported between the two searches, so what it frees can be found', () => {
    let allocator: IovaAllocator | null = null;
    const held: number[] = [];
    allocator = create('bitmap', { apertureBytes: 2 ** 20 }, () => {
      for (const pfn of held.splice(0)) allocator!.free(pfn, 1);
    });
    for (let count = 0; count < 254; count++) held.push(allocator.allocate(1, LAST_32BIT));
    assert.deepEqual(allocateEach(allocator, [1]), ['1']);
    assert.equal(allocator.liveRanges, 1);
  });

  test('the map ends where the first of aperture, domain width and device mask does', () => {
    const { create: build, defaults } = allocators.bitmap!;
    for (const [lastPfn, maskLastPfn, apertureBytes] of [
      [0x1ff, LAST_48BIT, 2 ** 32],
      [LAST_48BIT, 0x1ff, 2 ** 32],
      [LAST_48BIT, LAST_48BIT, 0x200000],
    ] as const) {
      const allocator = build({ lastPfn, maskLastPfn, parameters: { ...defaults, apertureBytes }, onWrap: null });
      for (let pfn = 1; pfn <= 0x1fe; pfn++) assert.equal(allocator.allocate(1, LAST_48BIT), pfn);
      assert.equal(allocator.allocate(1, LAST_48BIT), NO_PFN);
    }
  });

  test('a cursor beyond the limit of a narrow device wraps at once', () => {
    let wraps = 0;
    const allocator = create('bitmap', {}, () => void wraps++);
    allocateEach(allocator, [0x1000, 0x1000]);
    assert.deepEqual(allocateEach(allocator, [1], 0xfff), ['1']);
    assert.equal(wraps, 1);
    assert.equal(allocator.inspect().cursorPfn, 2);
  });
});

test('only the tree of 2008 asks below 4 GiB on every map, and only the bitmap has a cursor that wraps', () => {
  const rows = ['rbtree-2008', 'rbtree', 'bitmap'].map((kind) => [
    kind,
    allocators[kind]!.always32BitFirst,
    allocators[kind]!.circular,
  ]);
  assert.deepEqual(rows, [
    ['rbtree-2008', true, false],
    ['rbtree', false, false],
    ['bitmap', false, true],
  ]);
});

describe('pools and a mask that ends where the map ends', () => {
  // 2^20 entries, and a device of 32 bits: the large pool's end is no lower than the mask, so after a failure the kernel goes on in
  // the first pool, from its start to the end of the map.
  for (const kind of ['sparc-pools', 'powerpc-pools']) {
    test(`${kind}: a long request that the large pool cannot serve is served from entry 1 up, but not under a wider mask`, () => {
      const allocator = create(kind);
      const pages = 2 ** 17;
      // The last quarter is 2^18 entries; of those the last one is never used.
      assert.equal(allocator.allocate(pages, LAST_32BIT), 0xc0000);
      if (kind === 'sparc-pools') assert.equal(allocator.allocate(pages, LAST_48BIT), NO_PFN);
      assert.equal(allocator.allocate(pages, LAST_32BIT), 1);
      allocator.free(1, pages);
      // The first pool's hint moved behind the range: out of SPARC's small pool, so that its search starts anew.
      assert.equal(allocator.allocate(1, LAST_32BIT), kind === 'sparc-pools' ? 1 : 2 ** 17 + 1);
    });
  }
});

describe('maple', () => {
  test('the highest gap that is wide enough, aligned down from its top', () => {
    const allocator = withMsi('maple');
    // After 8 at ffff0 the six pages above it are a gap like any other; 3 pages want 6 of them and no longer find those.
    assert.deepEqual(allocateEach(allocator, [1, 1, 8, 1, 3, 2, 5]), [
      'fffff',
      'ffffe',
      'ffff0',
      'ffffd',
      'fffec',
      'ffffa',
      'fffe0',
    ]);
    assert.equal(allocator.livePages, 1 + 1 + 8 + 1 + 3 + 2 + 5);
    // Above the interrupt window there is no gap of 2 x 4096 - 1 pages left.
    assert.deepEqual(allocateEach(allocator, [0x1000]), ['fd000']);
  });

  test('n aligned pages want a gap of 2n - 1: a hole that they would fill is refused', () => {
    const allocator = create('maple');
    allocator.reserve(1, 0x7fff);
    allocator.reserve(0x8008, LAST_48BIT);
    assert.equal(allocator.allocate(8, LAST_32BIT), NO_PFN);
    assert.equal(allocator.inspect().max32AllocSize, 8);
    assert.deepEqual(allocateEach(allocator, [4]), ['8004']);
    assert.equal(allocator.allocate(4, LAST_32BIT), NO_PFN);
    assert.deepEqual(allocateEach(allocator, [2, 1, 1]), ['8002', '8001', '8000']);
  });

  test('the gap in which the limit lies counts up to the limit, from page 1 on', () => {
    assert.equal(create('maple').allocate(4, 6), NO_PFN);
    const allocator = create('maple');
    assert.deepEqual(allocateEach(allocator, [4], 7), ['4']);
    assert.deepEqual(allocateEach(allocator, [2], 3), ['2']);
    assert.deepEqual(allocateEach(allocator, [1, 1], 3), ['1', '0']);
    // One page failed at a very low limit: from then on it is refused below 4 GiB, although there is room.
    assert.deepEqual(allocateEach(allocator, [1], 10), ['0']);
  });

  test('a size that failed is remembered only when the limit was below 4 GiB, and forgotten with a free below it', () => {
    const allocator = create('maple');
    const pfn = allocator.allocate(1, LAST_32BIT);
    allocator.reserve(1, LAST_32BIT - 1);
    allocator.reserve(FIRST_ABOVE_4G, LAST_48BIT);
    assert.equal(allocator.allocate(1, LAST_48BIT), NO_PFN);
    assert.equal(allocator.inspect().max32AllocSize, FIRST_ABOVE_4G);
    assert.equal(allocator.allocate(2, LAST_32BIT), NO_PFN);
    assert.equal(allocator.inspect().max32AllocSize, 2);
    allocator.free(pfn, 1);
    assert.equal(allocator.inspect().max32AllocSize, FIRST_ABOVE_4G);
    assert.deepEqual(allocateEach(allocator, [1]), ['fffff']);
  });
});

describe('eiovar', () => {
  test('the five steps of FAST 2015: transmit takes a receive address, and no search follows', () => {
    const allocator = create('eiovar');
    allocator.reserve(1, 149);
    for (let pfn = 300; pfn >= 150; pfn--) assert.equal(allocator.allocate(1, 300), pfn);
    const before = allocator.nodesVisited;
    allocator.free(151, 1);
    allocator.free(300, 1);
    assert.equal(allocator.allocate(1, LAST_32BIT), 300);
    allocator.free(150, 1);
    assert.equal(allocator.allocate(1, LAST_32BIT), 150);
    assert.equal(allocator.allocate(1, LAST_32BIT), 151);
    assert.equal(allocator.nodesVisited, before);
  });

  test('rounded sizes share a list, and each list hands out its newest range that the limit allows', () => {
    const allocator = create('eiovar');
    assert.deepEqual(allocateEach(allocator, [5, 8, 3]), ['ffff8', 'ffff0', 'fffec']);
    const high = allocator.allocate(8, LAST_48BIT);
    assert.equal(high, LAST_48BIT - 7);
    allocator.free(0xffff8, 5);
    allocator.free(0xffff0, 8);
    allocator.free(high, 8);
    assert.deepEqual(allocateEach(allocator, [7, 4]), ['ffff0', 'fffe8']);
    assert.deepEqual(allocateEach(allocator, [6, 6], LAST_48BIT), [high.toString(16), 'ffff8']);
    assert.equal(allocator.cachedRanges, 0);
  });

  test('what is kept goes back when the tree has nothing, whoever might try again', () => {
    const allocator = create('eiovar');
    allocator.reserve(1, 0xfffef);
    const pages = Array.from({ length: 16 }, () => allocator.allocate(1, LAST_32BIT));
    assert.ok(!pages.includes(NO_PFN));
    for (const pfn of pages) allocator.free(pfn, 1);
    assert.equal(allocator.cachedRanges, 16);
    allocator.call.lastAttempt = false;
    // The bottom check of 2008 counts from page 1 alone, so that 16 pages above a reservation fit.
    assert.equal(allocator.allocate(8, LAST_32BIT), 0xffff8);
    assert.equal(allocator.cachedRanges, 0);
    assert.equal(allocator.inspect().cachedRangesPeak, 16);
  });
});
