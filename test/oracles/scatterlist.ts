/**
 * A scatter list laid out byte by byte, as `iommu_dma_map_sg` and `__finalise_sg` of Linux `drivers/iommu/dma-iommu.c` describe it.
 * Addresses are BigInt bytes from the start of the block; the kernel's masks are used as masks.
 */

export interface Entry {
  /** Physical bytes: address and length. */
  address: bigint;
  length: bigint;
}

export interface Placed {
  /** From the start of the block to the first page of the entry, in bytes. */
  at: bigint;
  /** Pages of its own. */
  pages: bigint;
}

export interface Layout {
  placed: Placed[];
  totalBytes: bigint;
}

const PAGE = 4096n;
const up = (bytes: bigint) => ((bytes + PAGE - 1n) / PAGE) * PAGE;

export function layOutSlowly(list: readonly Entry[], boundary: bigint): Layout {
  const mask = boundary - 1n;
  const placed: Placed[] = [];
  let total = 0n;
  for (const { address, length } of list) {
    const rounded = up((address % PAGE) + length);
    const pad = (mask - total + 1n) & mask;
    if (pad !== 0n && pad < rounded - 1n) total += pad;
    placed.push({ at: total, pages: rounded / PAGE });
    total += rounded;
  }
  return { placed, totalBytes: total };
}

/** What the driver gets back: bus address and length of each output entry. */
export function outputsSlowly(
  list: readonly Entry[],
  layout: Layout,
  iova: bigint,
  boundary: bigint,
  maxSegment: bigint,
): { address: bigint; length: bigint }[] {
  const out: { address: bigint; length: bigint }[] = [];
  let openLength = 0n;
  list.forEach(({ address, length }, i) => {
    const offset = address % PAGE;
    const bus = iova + layout.placed[i]!.at;
    // The room an entry takes in the block, padding to the next one included.
    const room = (layout.placed[i + 1]?.at ?? layout.totalBytes) - layout.placed[i]!.at;
    const joins =
      openLength > 0n && offset === 0n && (bus & (boundary - 1n)) !== 0n && maxSegment - openLength >= length;
    if (joins) {
      out.at(-1)!.length += length;
      openLength += length;
    } else {
      out.push({ address: bus + offset, length });
      openLength = length;
    }
    if (offset + length < room) openLength = 0n;
  });
  return out;
}
