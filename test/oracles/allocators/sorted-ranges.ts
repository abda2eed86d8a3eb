/**
 * The ranges of an IOVA space as a plain sorted array: what the kernel's red-black tree holds, with nothing that could
 * go wrong in a tree. Every lookup is a linear search.
 *
 * Source of `reserve`: Linux 3.6 `drivers/iommu/iova.c`, `reserve_iova`. That kernel gives no reservation back;
 * `unreserve` is the lab's own and follows the rule for freeing.
 */

/** A closed range of page numbers. */
export interface Range {
  lo: number;
  hi: number;
  reserved: boolean;
  /** Freed by its user and kept by a cache. */
  cached?: boolean;
}

/** What every model of an allocator can do; the names are those of the real interface, without budget and digest. */
export interface AllocatorModel {
  /** @returns lowest page number, or 0 when there is none */
  allocate(pages: number, limitPfn: number): number;
  free(pfn: number, pages: number): void;
  reserve(firstPfn: number, lastPfn: number): void;
  unreserve(firstPfn: number, lastPfn: number): void;
  /** All ranges in rising order. */
  ranges(): Range[];
  /**
   * Ranges that the last `allocate` looked at, found too near and left for their predecessor. The range at which a
   * search stops is not one of them, nor is the range it starts from. 0 for ever in a bitmap.
   */
  lastSteps: number;
}

export function nextPowerOfTwo(pages: number): number {
  let size = 1;
  while (size < pages) size += size;
  return size;
}

export class SortedRanges {
  /** Rising, disjoint; neighbours that touch stay apart, as two nodes of the tree would. */
  readonly list: Range[] = [];

  insert(range: Range): void {
    let index = 0;
    while (index < this.list.length && this.list[index]!.lo < range.lo) index++;
    this.list.splice(index, 0, range);
  }

  remove(range: Range): void {
    this.list.splice(this.list.indexOf(range), 1);
  }

  /** The next higher range, or null. */
  successor(range: Range): Range | null {
    return this.list[this.list.indexOf(range) + 1] ?? null;
  }

  /** The ranges below `range` from the highest down; all of them when `range` is null. */
  below(range: Range | null): Range[] {
    const end = range === null ? this.list.length : this.list.indexOf(range);
    return this.list.slice(0, end).reverse();
  }

  startingAt(lo: number): Range {
    const found = this.list.find((range) => range.lo === lo);
    if (found === undefined) throw new Error(`no range starts at ${lo.toString(16)}`);
    return found;
  }

  /** Ranges met on the way up are stretched downwards over the new one; what is left above the last one is inserted. */
  reserve(firstPfn: number, lastPfn: number): void {
    let first = firstPfn;
    for (const range of this.list) {
      if (range.hi < first || range.lo > lastPfn) continue;
      if (!range.reserved) throw new Error('the tests reserve no allocated page');
      if (first < range.lo) range.lo = first;
      if (lastPfn <= range.hi) return;
      first = range.hi + 1;
    }
    this.insert({ lo: first, hi: lastPfn, reserved: true });
  }

  /**
   * Gives back a piece of every reserved range it touches: what stays below and above becomes a range of its own first,
   * then the piece leaves as any freed range does.
   *
   * @param forget what the allocator does with its cached ranges when one is about to leave
   */
  unreserve(firstPfn: number, lastPfn: number, forget: (range: Range) => void): void {
    for (const range of [...this.list]) {
      if (!range.reserved || range.hi < firstPfn || range.lo > lastPfn) continue;
      let piece = range;
      if (range.lo < firstPfn) {
        piece = { lo: firstPfn, hi: range.hi, reserved: true };
        range.hi = firstPfn - 1;
        this.insert(piece);
      }
      if (piece.hi > lastPfn) {
        this.insert({ lo: lastPfn + 1, hi: piece.hi, reserved: true });
        piece.hi = lastPfn;
      }
      forget(piece);
      this.remove(piece);
    }
  }
}
