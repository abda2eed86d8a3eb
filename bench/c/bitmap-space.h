/*
 * `bitmap`: one bit a page in 64-bit words, next fit from a cursor that wraps; the last page is never handed out.
 *
 * Written from the description of the area search in Linux 3.6 lib/iommu-helper.c that src/core/sim/bitmap.ts follows too. No counters.
 */
#ifndef BITMAP_SPACE_H
#define BITMAP_SPACE_H

#include <stdint.h>

struct bitmap_space {
  uint64_t *words;
  int64_t pages;
  /** Where the next search begins: behind the last allocation. */
  int64_t cursor;
};

void bitmap_space_init(struct bitmap_space *space, int64_t pages);
int64_t bitmap_space_allocate(struct bitmap_space *space, int64_t pages, int64_t limit_pfn);
void bitmap_space_free(struct bitmap_space *space, int64_t pfn, int64_t pages);
/** Whether nothing is allocated. */
int bitmap_space_is_empty(const struct bitmap_space *space);

#endif
