/*
 * `rbtree`: page numbers from a tree of ranges, top-down from one of two cached nodes.
 *
 * Written from the description of Linux drivers/iommu/iova.c (4.15 and later) that src/core/os/iova/rbtree.ts follows too. No locks, no
 * counters, no suspension of a search: what the measured algorithm costs without what a simulator adds.
 */
#ifndef TREE_SPACE_H
#define TREE_SPACE_H

#include "range-tree.h"

/** "No address": page 0 is never handed out. */
#define NO_PFN 0

struct tree_space {
  struct range_tree tree;
  /** Above every page there is. */
  struct range *anchor;
  /** Where searches begin, below 4 GiB and above. */
  struct range *cached;
  struct range *cached32;
  /** Requests of so many pages or more are known to fail below 4 GiB. */
  int64_t max32_pages;
};

void tree_space_init(struct tree_space *space, int64_t capacity);
int64_t tree_space_allocate(struct tree_space *space, int64_t pages, int64_t limit_pfn);
void tree_space_free(struct tree_space *space, int64_t pfn);
/** Whether nothing is allocated. */
int tree_space_is_empty(const struct tree_space *space);

#endif
