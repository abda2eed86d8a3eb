/**
 * A page table as a Map from 4 KiB page to what it translates to: no levels, no indexes, no superpages but as a note on each page.
 */

export interface Leaf {
  /** Frame of this page. */
  frame: bigint;
  permission: number;
  /** First page and length in pages of the leaf it belongs to. */
  first: bigint;
  pages: bigint;
}

const SIZES = [1n << 18n, 1n << 9n, 1n] as const;

export class NaivePageTable {
  readonly pages = new Map<bigint, Leaf>();
  readonly hasSuperpage: (pages: bigint) => boolean;

  constructor(superpages: readonly string[]) {
    this.hasSuperpage = (pages) =>
      pages === 1n || (pages === 512n ? superpages.includes('2MiB') : superpages.includes('1GiB'));
  }

  /** Maps a range in the largest pages that divide both addresses and are not longer than what is left. @returns leaves by size */
  map(page: bigint, frame: bigint, pages: bigint, permission: number, largest = 1n << 18n): number[] {
    const counts = [0, 0, 0];
    for (let at = 0n; at < pages; ) {
      const size = SIZES.find(
        (each) =>
          each <= largest &&
          this.hasSuperpage(each) &&
          (page + at) % each === 0n &&
          (frame + at) % each === 0n &&
          pages - at >= each,
      )!;
      for (let i = 0n; i < size; i++)
        this.pages.set(page + at + i, { frame: frame + at + i, permission, first: page + at, pages: size });
      counts[size === 1n ? 0 : size === 512n ? 1 : 2]!++;
      at += size;
    }
    return counts;
  }

  /** Whether clearing [first, last] would leave half a leaf behind. */
  cuts(first: bigint, last: bigint): boolean {
    for (const edge of [first, last]) {
      const leaf = this.pages.get(edge);
      if (leaf && (leaf.first < first || leaf.first + leaf.pages - 1n > last)) return true;
    }
    return false;
  }

  /** @returns pages that were mapped */
  unmap(page: bigint, pages: bigint): number {
    let mapped = 0;
    for (let at = page; at < page + pages; at++) if (this.pages.delete(at)) mapped++;
    return mapped;
  }

  overlaps(page: bigint, pages: bigint): boolean {
    for (let at = page; at < page + pages; at++) if (this.pages.has(at)) return true;
    return false;
  }

  /** @returns the leaf that allows the access */
  translate(page: bigint, permission: number): Leaf | undefined {
    const leaf = this.pages.get(page);
    return leaf && leaf.permission & permission ? leaf : undefined;
  }
}
