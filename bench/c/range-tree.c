#include "range-tree.h"

#include <stdio.h>
#include <stdlib.h>

void range_tree_init(struct range_tree *tree, int64_t capacity) {
  tree->root = NULL;
  tree->spare = NULL;
  tree->fresh = aligned_alloc(64, ((size_t)capacity * sizeof(struct range) + 63) / 64 * 64);
  if (!tree->fresh) {
    fputs("no memory for the tree\n", stderr);
    exit(1);
  }
  tree->fresh_end = tree->fresh + capacity;
}

static struct range *take_node(struct range_tree *tree) {
  struct range *node = tree->spare;
  if (node) {
    tree->spare = node->parent;
    return node;
  }
  if (tree->fresh == tree->fresh_end) {
    fputs("more ranges than the tree has room for\n", stderr);
    exit(1);
  }
  return tree->fresh++;
}

static inline int is_red(const struct range *node) { return node && node->red; }

static inline int side_of(const struct range *parent, const struct range *node) {
  return parent->child[UPPER] == node ? UPPER : LOWER;
}

/** Hangs `heir`, which may be NULL, where `node` hangs. */
static inline void replace(struct range_tree *tree, struct range *node, struct range *heir) {
  struct range *parent = node->parent;
  if (!parent)
    tree->root = heir;
  else
    parent->child[side_of(parent, node)] = heir;
  if (heir) heir->parent = parent;
}

/** `node` sinks to `side`; its child on the other side takes its place. */
static inline void rotate(struct range_tree *tree, struct range *node, int side) {
  struct range *riser = node->child[!side];
  struct range *moved = riser->child[side];
  node->child[!side] = moved;
  if (moved) moved->parent = node;
  replace(tree, node, riser);
  riser->child[side] = node;
  node->parent = riser;
}

struct range *range_tree_insert(struct range_tree *tree, struct range *below, struct range *above, int64_t first,
                                int64_t last) {
  struct range *node = take_node(tree);
  node->first = first;
  node->last = last;
  node->child[LOWER] = NULL;
  node->child[UPPER] = NULL;
  node->red = 1;
  struct range *parent;
  if (below && !below->child[UPPER]) {
    parent = below;
    parent->child[UPPER] = node;
  } else if (above) {
    parent = above;
    parent->child[LOWER] = node;
  } else {
    parent = NULL;
    tree->root = node;
  }
  node->parent = parent;

  struct range *at = node;
  while (parent && parent->red) {
    struct range *grandparent = parent->parent;
    int side = side_of(grandparent, parent);
    struct range *uncle = grandparent->child[!side];
    if (is_red(uncle)) {
      parent->red = 0;
      uncle->red = 0;
      grandparent->red = 1;
      at = grandparent;
      parent = at->parent;
      continue;
    }
    if (parent->child[!side] == at) {
      rotate(tree, parent, side);
      parent = at;
    }
    rotate(tree, grandparent, !side);
    parent->red = 0;
    grandparent->red = 1;
    break;
  }
  tree->root->red = 0;
  return node;
}

/** One black node is missing above `at` (possibly NULL), which hangs on `side` of `parent`. */
static void mend_erasure(struct range_tree *tree, struct range *at, struct range *parent) {
  while (parent && !is_red(at)) {
    int side = parent->child[UPPER] == at && parent->child[LOWER] != at ? UPPER : LOWER;
    struct range *sibling = parent->child[!side];
    if (sibling->red) {
      sibling->red = 0;
      parent->red = 1;
      rotate(tree, parent, side);
      sibling = parent->child[!side];
    }
    struct range *near = sibling->child[side];
    struct range *far = sibling->child[!side];
    if (!is_red(far)) {
      if (!is_red(near)) {
        sibling->red = 1;
        at = parent;
        parent = at->parent;
        continue;
      }
      near->red = 0;
      sibling->red = 1;
      rotate(tree, sibling, !side);
      far = sibling;
      sibling = near;
    }
    sibling->red = parent->red;
    parent->red = 0;
    far->red = 0;
    rotate(tree, parent, side);
    return;
  }
  if (at) at->red = 0;
}

void range_tree_erase(struct range_tree *tree, struct range *node) {
  struct range *child;
  struct range *parent;
  uint64_t removed_red;
  if (!node->child[LOWER] || !node->child[UPPER]) {
    child = node->child[LOWER] ? node->child[LOWER] : node->child[UPPER];
    parent = node->parent;
    removed_red = node->red;
    replace(tree, node, child);
  } else {
    struct range *heir = node->child[UPPER];
    while (heir->child[LOWER]) heir = heir->child[LOWER];
    child = heir->child[UPPER];
    removed_red = heir->red;
    if (heir->parent == node) {
      parent = heir;
    } else {
      parent = heir->parent;
      replace(tree, heir, child);
      heir->child[UPPER] = node->child[UPPER];
      heir->child[UPPER]->parent = heir;
    }
    replace(tree, node, heir);
    heir->child[LOWER] = node->child[LOWER];
    heir->child[LOWER]->parent = heir;
    heir->red = node->red;
  }
  if (!removed_red) mend_erasure(tree, child, parent);
  node->parent = tree->spare;
  tree->spare = node;
}

struct range *range_tree_find(const struct range_tree *tree, int64_t pfn) {
  struct range *node = tree->root;
  while (node) {
    if (pfn < node->first)
      node = node->child[LOWER];
    else if (pfn > node->last)
      node = node->child[UPPER];
    else
      break;
  }
  return node;
}
