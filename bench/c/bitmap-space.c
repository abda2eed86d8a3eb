#include "bitmap-space.h"

#include <stdio.h>
#include <stdlib.h>

#include "powers.h"

#define NO_PFN 0
#define NOT_FOUND (-1)

void bitmap_space_init(struct bitmap_space *space, int64_t pages) {
  space->words = calloc((size_t)(pages + 63) / 64, sizeof(uint64_t));
  if (!space->words) {
    fputs("no memory for the bitmap\n", stderr);
    exit(1);
  }
  space->pages = pages;
  space->cursor = 0;
  space->words[0] = 1;
}

/** The lowest bit from `from` up to `end` that differs from those of `flip` (all ones: a zero; zero: a one), or `end`. */
static inline int64_t next_bit(const uint64_t *words, int64_t from, int64_t end, uint64_t flip) {
  if (from >= end) return end;
  int64_t word = from >> 6;
  uint64_t bits = (words[word] ^ flip) & (~(uint64_t)0 << (from & 63));
  const int64_t last_word = (end - 1) >> 6;
  while (bits == 0) {
    if (++word > last_word) return end;
    bits = words[word] ^ flip;
  }
  const int64_t found = (word << 6) + __builtin_ctzll(bits);
  return found < end ? found : end;
}

static int64_t find_area(const uint64_t *words, int64_t size, int64_t start, int64_t pages, int64_t align_mask) {
  for (;;) {
    const int64_t index = (next_bit(words, start, size, ~(uint64_t)0) + align_mask) & ~align_mask;
    const int64_t end = index + pages;
    if (end > size) return NOT_FOUND;
    const int64_t obstacle = next_bit(words, index, end, 0);
    if (obstacle == end) return index;
    start = obstacle + 1;
  }
}

int64_t bitmap_space_allocate(struct bitmap_space *space, int64_t pages, int64_t limit_pfn) {
  const int64_t size = (space->pages < limit_pfn + 1 ? space->pages : limit_pfn + 1) - 1;
  const int64_t align_mask = power_of_two_from(pages) - 1;
  int64_t index = find_area(space->words, size, space->cursor, pages, align_mask);
  if (index == NOT_FOUND) index = find_area(space->words, size, 0, pages, align_mask);
  if (index == NOT_FOUND) return NO_PFN;
  const int64_t end = index + pages;
  for (int64_t at = index; at < end;) {
    const int64_t word_end = (at | 63) + 1;
    const int64_t piece = (word_end < end ? word_end : end) - at;
    space->words[at >> 6] |= ~(uint64_t)0 >> (64 - piece) << (at & 63);
    at += piece;
  }
  space->cursor = end;
  return index;
}

void bitmap_space_free(struct bitmap_space *space, int64_t pfn, int64_t pages) {
  const int64_t end = pfn + pages;
  for (int64_t at = pfn; at < end;) {
    const int64_t word_end = (at | 63) + 1;
    const int64_t piece = (word_end < end ? word_end : end) - at;
    space->words[at >> 6] &= ~(~(uint64_t)0 >> (64 - piece) << (at & 63));
    at += piece;
  }
}

int bitmap_space_is_empty(const struct bitmap_space *space) {
  for (int64_t word = 0; word < (space->pages + 63) / 64; word++)
    if (space->words[word] != (word == 0)) return 0;
  return 1;
}
