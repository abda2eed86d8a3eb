/**
 * The address-mask rule in the driver's own bit arithmetic, on BigInts: Linux `drivers/iommu/intel/cache.c`,
 * `calculate_psi_aligned_address`.
 */

/** @returns base page, pages and mask of the block that one page-selective invalidation covers */
export function maskedBlock(first: bigint, pages: bigint): { base: bigint; pages: bigint; mask: number } {
  let mask = 0;
  while (1n << BigInt(mask) < pages) mask++;
  const below = (1n << BigInt(mask)) - 1n;
  if ((first & below) !== 0n) {
    const last = first + pages - 1n;
    const same = BigInt.asUintN(52, ~(first ^ last) & ~below);
    mask = 52;
    for (let bit = 0; bit < 52; bit++)
      if (same & (1n << BigInt(bit))) {
        mask = bit;
        break;
      }
  }
  const size = 1n << BigInt(mask);
  return { base: first - (first % size), pages: size, mask };
}

/** Pages that a device-TLB descriptor means, as the specification words it: the lowest bit that is 0 tells the size, if S is set. */
export function deviceBlock(page: bigint, size: boolean): { base: bigint; pages: bigint } {
  let pages = 1n;
  if (size) {
    let bit = 0n;
    while ((page >> bit) & 1n) bit++;
    pages = 1n << (bit + 1n);
  }
  return { base: page & ~(pages - 1n), pages };
}
