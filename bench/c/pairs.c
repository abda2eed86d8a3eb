/*
 * Frees one and allocates one, over and over: what an allocator costs alone, in C. `bench/allocators/operations.ts` makes the same
 * list of operations from the same arguments, so both hand out the same addresses if they are the same algorithm.
 *
 * Arguments: <rbtree|rcache|bitmap> <ring|random> <live> <maxPages> <unmeasured pairs> <measured pairs> <seed>
 * Prints one line: nanoseconds of processor time a measured pair, checksum over every address handed out, allocations that failed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bitmap-space.h"
#include "magazine-cache.h"
#include "tree-space.h"

#define SPACE_PAGES ((int64_t)1 << 20)
#define LIMIT_PFN (SPACE_PAGES - 1)

/** Marsaglia's xorshift with 13, 17, 5. */
static uint32_t random_state;

static uint32_t below(uint32_t bound) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return (random_state >> 16) * bound >> 16;
}

static void *room_for(size_t count, size_t size) {
  void *room = calloc(count, size);
  if (!room) {
    fputs("no memory for the operations\n", stderr);
    exit(1);
  }
  return room;
}

enum { SLOT_BITS = 16, PFN_BITS = 20 };

struct run {
  /**
   * [i]: slot, and above its bits the pages of its new allocation. The first `live` fill the slots in order, each of the others gives
   * back what its slot holds before it fills it anew.
   */
  uint32_t *operations;
  int64_t live;
  /** [slot]: address held, and above its bits how many pages; 0 when there is none. */
  uint32_t *held;
  uint32_t checksum;
  int64_t failures;
};

typedef int64_t allocate_function(void *space, int64_t pages);
typedef void free_function(void *space, int64_t pfn, int64_t pages);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/** Inlined once for each allocator, so that its functions are called directly and not through a pointer. */
ALWAYS_INLINE void play(struct run *run, void *space, allocate_function allocate, free_function give_back, int64_t from,
                        int64_t to) {
  const uint32_t *operations = run->operations;
  uint32_t *held = run->held;
  uint32_t checksum = run->checksum;
  for (int64_t i = from; i < to; i++) {
    const uint32_t slot = operations[i] & ((1u << SLOT_BITS) - 1);
    const uint32_t given = held[slot];
    if (given) give_back(space, given & LIMIT_PFN, given >> PFN_BITS);
    const uint32_t pages = operations[i] >> SLOT_BITS;
    const uint32_t pfn = (uint32_t)allocate(space, pages);
    checksum = (checksum ^ pfn) * 0x01000193u;
    if (pfn == NO_PFN) {
      held[slot] = 0;
      run->failures++;
    } else {
      held[slot] = pfn | pages << PFN_BITS;
    }
  }
  run->checksum = checksum;
}

ALWAYS_INLINE double measure(struct run *run, void *space, allocate_function allocate, free_function give_back,
                             int64_t unmeasured, int64_t measured) {
  const int64_t begin = run->live + unmeasured;
  play(run, space, allocate, give_back, 0, begin);
  struct timespec begun, ended;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
  play(run, space, allocate, give_back, begin, begin + measured);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
  for (int64_t slot = 0; slot < run->live; slot++) {
    const uint32_t given = run->held[slot];
    if (given) give_back(space, given & LIMIT_PFN, given >> PFN_BITS);
  }
  const double ns = (double)(ended.tv_sec - begun.tv_sec) * 1e9 + (double)(ended.tv_nsec - begun.tv_nsec);
  return ns / (double)measured;
}

static int64_t tree_allocate(void *space, int64_t pages) { return tree_space_allocate(space, pages, LIMIT_PFN); }
static void tree_free(void *space, int64_t pfn, int64_t pages) {
  (void)pages;
  tree_space_free(space, pfn);
}

static int64_t cache_allocate(void *space, int64_t pages) { return magazine_cache_allocate(space, 0, pages, LIMIT_PFN); }
static void cache_free(void *space, int64_t pfn, int64_t pages) { magazine_cache_free(space, 0, pfn, pages); }

static int64_t bitmap_allocate(void *space, int64_t pages) { return bitmap_space_allocate(space, pages, LIMIT_PFN); }
static void bitmap_free(void *space, int64_t pfn, int64_t pages) { bitmap_space_free(space, pfn, pages); }

static void complain(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(2);
}

static int64_t whole(const char *text, int64_t lowest, int64_t highest) {
  char *end;
  const int64_t value = strtoll(text, &end, 10);
  if (*text == 0 || *end != 0 || value < lowest || value > highest) {
    fprintf(stderr, "%s is no whole number from %" PRId64 " to %" PRId64 "\n", text, lowest, highest);
    exit(2);
  }
  return value;
}

int main(int words_given, char **words) {
  if (words_given != 8) complain("usage: pairs <rbtree|rcache|bitmap> <ring|random> <live> <maxPages> <unmeasured> <measured> <seed>");
  const char *kind = words[1];
  const int is_random = strcmp(words[2], "random") == 0;
  if (!is_random && strcmp(words[2], "ring") != 0) complain("the order is ring or random");
  struct run run = {.live = whole(words[3], 1, 1 << SLOT_BITS), .checksum = 0x811c9dc5u};
  const uint32_t max_pages = (uint32_t)whole(words[4], 1, 255);
  const int64_t unmeasured = whole(words[5], 0, 1 << 30);
  const int64_t measured = whole(words[6], 1, 1 << 30);
  random_state = (uint32_t)whole(words[7], 1, UINT32_MAX);

  const int64_t live = run.live;
  const int64_t count = live + unmeasured + measured;
  run.operations = room_for((size_t)count, sizeof(uint32_t));
  run.held = room_for((size_t)live, sizeof(uint32_t));
  for (int64_t i = 0; i < count; i++) {
    const uint32_t slot = i < live || !is_random ? (uint32_t)(i % live) : below((uint32_t)live);
    const uint32_t pages = max_pages == 1 ? 1 : 1 + below(max_pages);
    run.operations[i] = slot | pages << SLOT_BITS;
  }

  double ns = 0;
  int empty = 0;
  if (strcmp(kind, "rbtree") == 0) {
    struct tree_space space;
    tree_space_init(&space, live);
    ns = measure(&run, &space, tree_allocate, tree_free, unmeasured, measured);
    empty = tree_space_is_empty(&space);
  } else if (strcmp(kind, "rcache") == 0) {
    struct magazine_cache cache;
    // What lies in magazines is allocated as far as the tree knows.
    magazine_cache_init(&cache, SPACE_PAGES);
    ns = measure(&run, &cache, cache_allocate, cache_free, unmeasured, measured);
    while (magazine_cache_trim(&cache)) continue;
    magazine_cache_flush(&cache);
    empty = tree_space_is_empty(&cache.space);
  } else if (strcmp(kind, "bitmap") == 0) {
    struct bitmap_space space;
    bitmap_space_init(&space, SPACE_PAGES);
    ns = measure(&run, &space, bitmap_allocate, bitmap_free, unmeasured, measured);
    empty = bitmap_space_is_empty(&space);
  } else {
    complain("the allocator is rbtree, rcache or bitmap");
  }
  if (!empty) complain("addresses are missing after all were given back");
  printf("%.3f %" PRIu32 " %" PRId64 "\n", ns, run.checksum, run.failures);
  return 0;
}
