/* Offline placement of blocks with known lifetimes in one arena. */
#ifndef RV_GRAPH_PLACE_H
#define RV_GRAPH_PLACE_H

#include "ravine/core.h"

typedef struct rv_block {
    size_t size;     /* bytes, a multiple of the arena's alignment; may be 0 */
    int first, last; /* steps at which it is alive, both included */
    size_t offset;   /* set by rv_place */
} rv_block;

/* Sets every offset so that no two blocks alive at one step overlap.  arena: bytes
 * used; lower_bound: the largest sum of sizes alive at one step.  RV_E_MEMORY. */
rv_status rv_place(rv_block *blocks, int count, size_t *arena, size_t *lower_bound, rv_error *err);

#endif
