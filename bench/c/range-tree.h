/*
 * Disjoint closed ranges of page numbers in a red-black tree of linked nodes.
 *
 * Source: Cormen et al., "Introduction to Algorithms", chapter 13; written for this bench, after nobody's code. Both directions of
 * the rules are one piece of code over `child[side]`. Neighbours are found by climbing, as a tree has them for nothing.
 */
#ifndef RANGE_TREE_H
#define RANGE_TREE_H

#include <stdint.h>

enum { LOWER = 0, UPPER = 1 };

struct range {
  struct range *parent;
  /** The subtrees of lower and of higher ranges. */
  struct range *child[2];
  /** Lowest and highest page, inclusive. */
  int64_t first;
  int64_t last;
  uint64_t red;
};

struct range_tree {
  struct range *root;
  /** Erased nodes, newest first, linked by `parent`; what a kernel's slab would be. */
  struct range *spare;
  /** Nodes of the block that were never handed out. */
  struct range *fresh;
  struct range *fresh_end;
};

/** Room for so many ranges at a time. */
void range_tree_init(struct range_tree *tree, int64_t capacity);

/**
 * Adds a range between two neighbours, either of which may be NULL. Of two neighbours in order one lies in the other's subtree, so one
 * of the two facing links is empty, and no descent is needed.
 */
struct range *range_tree_insert(struct range_tree *tree, struct range *below, struct range *above, int64_t first,
                                int64_t last);

void range_tree_erase(struct range_tree *tree, struct range *node);

/** The range that contains the page, or NULL. */
struct range *range_tree_find(const struct range_tree *tree, int64_t pfn);

/** The next lower (LOWER) or higher (UPPER) range, or NULL. */
static inline struct range *range_tree_step(struct range *node, int side) {
  struct range *at = node->child[side];
  if (at) {
    while (at->child[!side]) at = at->child[!side];
    return at;
  }
  struct range *parent = node->parent;
  while (parent && parent->child[side] == node) {
    node = parent;
    parent = node->parent;
  }
  return parent;
}

#endif
