#include "magazine-cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "powers.h"

static struct magazine *empty_magazine(void) {
  struct magazine *magazine = malloc(sizeof *magazine);
  if (magazine) magazine->fill = 0;
  return magazine;
}

void magazine_cache_init(struct magazine_cache *cache, int64_t capacity) {
  tree_space_init(&cache->space, capacity);
  for (int i = 0; i < SIZE_CLASSES; i++) {
    struct size_class *class = &cache->classes[i];
    class->depot = NULL;
    class->depot_size = 0;
    for (int cpu = 0; cpu < CPUS; cpu++) {
      class->cpu[cpu].loaded = empty_magazine();
      class->cpu[cpu].previous = empty_magazine();
      if (!class->cpu[cpu].loaded || !class->cpu[cpu].previous) {
        fputs("no memory for magazines\n", stderr);
        exit(1);
      }
    }
  }
}

static void swap(struct cpu_magazines *own) {
  struct magazine *loaded = own->loaded;
  own->loaded = own->previous;
  own->previous = loaded;
}

/** The newest entry that ends below the limit; the top one fills the hole. */
static inline int64_t pop(struct magazine *magazine, int64_t highest_pfn) {
  const int64_t top = magazine->fill - 1;
  for (int64_t i = top; i >= 0; i--) {
    const int64_t pfn = magazine->pfn[i];
    if (pfn > highest_pfn) continue;
    magazine->pfn[i] = magazine->pfn[top];
    magazine->fill = top;
    return pfn;
  }
  return NO_PFN;
}

static inline int64_t get(struct size_class *class, int cpu, int64_t highest_pfn) {
  struct cpu_magazines *own = &class->cpu[cpu];
  if (own->loaded->fill == 0) {
    if (own->previous->fill > 0) {
      swap(own);
    } else if (class->depot) {
      free(own->loaded);
      own->loaded = class->depot;
      class->depot = own->loaded->below;
      class->depot_size--;
      own->loaded->fill = MAGAZINE_ENTRIES;
    } else {
      return NO_PFN;
    }
  }
  return pop(own->loaded, highest_pfn);
}

/** @returns whether the entry was taken */
static inline int put(struct size_class *class, int cpu, int64_t pfn) {
  struct cpu_magazines *own = &class->cpu[cpu];
  if (own->loaded->fill == MAGAZINE_ENTRIES) {
    if (own->previous->fill < MAGAZINE_ENTRIES) {
      swap(own);
    } else {
      struct magazine *empty = empty_magazine();
      if (!empty) return 0;
      own->loaded->below = class->depot;
      class->depot = own->loaded;
      class->depot_size++;
      own->loaded = empty;
    }
  }
  own->loaded->pfn[own->loaded->fill++] = pfn;
  return 1;
}

int64_t magazine_cache_allocate(struct magazine_cache *cache, int cpu, int64_t pages, int64_t limit_pfn) {
  const int order = order_of(pages);
  if (order < SIZE_CLASSES) {
    pages = (int64_t)1 << order;
    const int64_t pfn = get(&cache->classes[order], cpu, limit_pfn + 1 - pages);
    if (pfn != NO_PFN) return pfn;
  }
  const int64_t pfn = tree_space_allocate(&cache->space, pages, limit_pfn);
  if (pfn != NO_PFN) return pfn;
  magazine_cache_flush(cache);
  return tree_space_allocate(&cache->space, pages, limit_pfn);
}

void magazine_cache_free(struct magazine_cache *cache, int cpu, int64_t pfn, int64_t pages) {
  const int order = order_of(pages);
  if (order < SIZE_CLASSES && put(&cache->classes[order], cpu, pfn)) return;
  tree_space_free(&cache->space, pfn);
}

static void empty_into_tree(struct magazine_cache *cache, struct magazine *magazine) {
  for (int64_t i = 0; i < magazine->fill; i++) tree_space_free(&cache->space, magazine->pfn[i]);
  magazine->fill = 0;
}

static void empty_from_depot(struct magazine_cache *cache, struct size_class *class) {
  struct magazine *magazine = class->depot;
  class->depot = magazine->below;
  class->depot_size--;
  magazine->fill = MAGAZINE_ENTRIES;
  empty_into_tree(cache, magazine);
  free(magazine);
}

int magazine_cache_trim(struct magazine_cache *cache) {
  int again = 0;
  for (int i = 0; i < SIZE_CLASSES; i++) {
    struct size_class *class = &cache->classes[i];
    if (class->depot_size <= CPUS) continue;
    empty_from_depot(cache, class);
    again = 1;
  }
  return again;
}

void magazine_cache_flush(struct magazine_cache *cache) {
  for (int i = 0; i < SIZE_CLASSES; i++) {
    struct size_class *class = &cache->classes[i];
    for (int cpu = 0; cpu < CPUS; cpu++) {
      empty_into_tree(cache, class->cpu[cpu].loaded);
      empty_into_tree(cache, class->cpu[cpu].previous);
    }
    while (class->depot) empty_from_depot(cache, class);
  }
}
