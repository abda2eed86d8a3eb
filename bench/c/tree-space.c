#include "tree-space.h"

#include <stdlib.h>

#include "powers.h"

static const int64_t FIRST_64BIT_PFN = 0x100000;
static const int64_t START_PFN = 1;
/** One more than this is still exact, and no page. */
static const int64_t ANCHOR_PFN = ((int64_t)1 << 52) - 1;

void tree_space_init(struct tree_space *space, int64_t capacity) {
  range_tree_init(&space->tree, capacity + 1);
  space->anchor = range_tree_insert(&space->tree, NULL, NULL, ANCHOR_PFN, ANCHOR_PFN);
  space->cached = space->anchor;
  space->cached32 = space->anchor;
  space->max32_pages = FIRST_64BIT_PFN;
}

int64_t tree_space_allocate(struct tree_space *space, int64_t pages, int64_t limit_pfn) {
  const int64_t limit = limit_pfn + 1;
  const int64_t align_mask = power_of_two_from(pages) - 1;
  const int below_4g = limit <= FIRST_64BIT_PFN;
  if (below_4g && pages >= space->max32_pages) return NO_PFN;

  struct range *above = below_4g ? space->cached32 : space->cached;
  int64_t retry_from = above->last + 1;
  int64_t high = limit;
  int64_t low = START_PFN;
  int64_t pfn;
  struct range *below;
  for (;;) {
    for (;;) {
      if (above->first < high) high = above->first;
      pfn = (high - pages) & ~align_mask;
      below = range_tree_step(above, LOWER);
      if (!below || pfn > below->last || pfn < low) break;
      above = below;
    }
    if (high >= pages && pfn >= low) break;
    if (retry_from >= limit) {
      space->max32_pages = pages;
      return NO_PFN;
    }
    // The second and last look: above the cached node, from the anchor down.
    low = retry_from;
    retry_from = limit;
    high = limit;
    above = space->anchor;
  }
  struct range *taken = range_tree_insert(&space->tree, below, above, pfn, pfn + pages - 1);
  if (pfn + pages <= FIRST_64BIT_PFN)
    space->cached32 = taken;
  else
    space->cached = taken;
  return pfn;
}

void tree_space_free(struct tree_space *space, int64_t pfn) {
  struct range *node = range_tree_find(&space->tree, pfn);
  if (!node) abort();
  if (node == space->cached32 || (node->last < FIRST_64BIT_PFN && node->first >= space->cached32->first))
    space->cached32 = range_tree_step(node, UPPER);
  if (node->first < FIRST_64BIT_PFN) space->max32_pages = FIRST_64BIT_PFN;
  if (node->first >= space->cached->first) space->cached = range_tree_step(node, UPPER);
  range_tree_erase(&space->tree, node);
}

int tree_space_is_empty(const struct tree_space *space) {
  const struct range *root = space->tree.root;
  return root == space->anchor && !root->child[LOWER] && !root->child[UPPER];
}
