/* Powers of two of page counts. */
#ifndef POWERS_H
#define POWERS_H

#include <stdint.h>

/** The exponent of the lowest power of two that is not below `pages`, which is 1 or more. */
static inline int order_of(int64_t pages) { return pages == 1 ? 0 : 64 - __builtin_clzll((uint64_t)pages - 1); }

static inline int64_t power_of_two_from(int64_t pages) { return (int64_t)1 << order_of(pages); }

#endif
