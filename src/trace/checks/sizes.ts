/** Mappings that are larger than what the IOVA allocator caches: each of them goes to the tree, under its lock. */
import { type CheckEntry, Examples } from './check.ts';
import { pageCount } from './live.ts';

/** IOVA_RANGE_CACHE_MAX_SIZE: sizes of 2^0 to 2^5 pages are cached; 128 KiB is the largest. */
const MOST_CACHED_PAGES = 32;

export const sizes: CheckEntry = {
  check: 'sizes-beyond-cache',
  title: 'Mappings beyond the sizes that the allocator caches',
  create: () => {
    const large = new Examples();
    const orders = new Map<number, number>();
    let maps = 0;
    return {
      mapped(mapping, { live }) {
        maps++;
        const pages = pageCount(mapping);
        if (pages <= MOST_CACHED_PAGES) return;
        const order = Math.ceil(Math.log2(pages));
        orders.set(order, (orders.get(order) ?? 0) + 1);
        large.add(mapping.line, () => `${live.describe(mapping)}: ${pages} pages`);
      },
      finish: () => {
        const told = [...orders]
          .sort(([a], [b]) => a - b)
          .map(([order, count]) => `${count} up to ${2 ** order * 4} KiB`)
          .join(', ');
        return large.finding(
          'sizes-beyond-cache',
          'warning',
          `Of ${maps} maps: ${told}. Linux keeps freed IOVAs of up to ${MOST_CACHED_PAGES} pages in magazines; larger ones are searched in the ` +
            'tree, and freed into it, under one lock. max_sectors_kb, or dma_opt_mapping_size, keeps block I/O below.',
        );
      },
    };
  },
};
