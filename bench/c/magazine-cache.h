/*
 * `rcache`: magazines of freed page numbers in front of the tree: for each of six sizes, two a CPU and a depot of full ones.
 *
 * Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001, in the form that Linux drivers/iommu/iova.c gives it (six sizes, 127
 * entries, a depot that is trimmed every 100 ms), written from a description of it. One thread, so no locks.
 */
#ifndef MAGAZINE_CACHE_H
#define MAGAZINE_CACHE_H

#include "tree-space.h"

enum { SIZE_CLASSES = 6, MAGAZINE_ENTRIES = 127, CPUS = 1 };

struct magazine {
  union {
    /** Entries in use, while a CPU holds it. */
    int64_t fill;
    /** The one below, while it lies in a depot, where all are full. */
    struct magazine *below;
  };
  int64_t pfn[MAGAZINE_ENTRIES];
};

struct cpu_magazines {
  struct magazine *loaded;
  struct magazine *previous;
};

struct size_class {
  struct cpu_magazines cpu[CPUS];
  struct magazine *depot;
  int64_t depot_size;
};

struct magazine_cache {
  struct tree_space space;
  struct size_class classes[SIZE_CLASSES];
};

void magazine_cache_init(struct magazine_cache *cache, int64_t capacity);
int64_t magazine_cache_allocate(struct magazine_cache *cache, int cpu, int64_t pages, int64_t limit_pfn);
/** @param pages as asked for, before rounding */
void magazine_cache_free(struct magazine_cache *cache, int cpu, int64_t pfn, int64_t pages);
/**
 * What is due 100 ms after a depot has grown: one magazine of each class whose depot holds more than there are CPUs goes back to the
 * tree.
 * @returns whether it is due again
 */
int magazine_cache_trim(struct magazine_cache *cache);
/** Everything held back goes to the tree. */
void magazine_cache_flush(struct magazine_cache *cache);

#endif
