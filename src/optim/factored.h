/* A second moment kept as sums over two axes of a tensor, in tiles that workers share.  Invariant:
 * tiles follow from the shape, and their sums are added in double in a fixed order. */
#ifndef RV_OPTIM_FACTORED_H
#define RV_OPTIM_FACTORED_H

#include "optim/method.h"

/* A tensor seen as [outer, a, mid, b, inner], factored over a and b: rows are what b is summed out
 * of, [outer, a, mid, inner], and columns [outer, mid, b, inner]. */
typedef struct rv_factor_view {
    int64_t outer, a, mid, b, inner;
    bool factored;
} rv_factor_view;

/* Tiles of the panels [a, b inner] that a tensor consists of, one for each pair of outer and mid. */
typedef struct rv_factor_grid {
    int64_t panels, together; /* panels in all, and of a task where they are small */
    int64_t lines, width;     /* of a tile */
    int64_t down, across;     /* tiles of a panel */
} rv_factor_grid;

/* What a tensor has during a step. */
typedef struct rv_factor_room {
    rv_factor_view view;
    rv_factor_grid grid;
    int first_task;                 /* of its tiles */
    double rate, keep;              /* for the method */
    double *row_sums, *column_sums; /* [across][rows], [down][columns] */
    void *row, *column;             /* [rows], [columns] of the type of the run: roots */
} rv_factor_room;

int64_t rv_factor_rows(const rv_factor_view *v);
int64_t rv_factor_columns(const rv_factor_view *v);
/* Bytes of a room with what stands behind it. */
size_t rv_factor_room_size(const rv_factor_view *v, rv_dtype dtype);
/* Tasks of rv_factor_observe; 0 where nothing is factored. */
int rv_factor_tiles(const rv_factor_view *v);
void rv_factor_furnish(rv_factor_room *room, const rv_factor_view *v, rv_dtype dtype, int first_task);

/* g^2 + add of a tile into the sums; RV_FAULT_GRADIENT where g is not finite. */
rv_fault rv_factor_observe(const rv_factor_room *room, rv_dtype dtype, const void *g, double add, int tile);
/* Once all tiles are observed: the slots move by weight towards the means of rows and columns, and
 * roots become sqrt(mean(row)/row), that mean over a and at least `least`, and 1/sqrt(column). */
void rv_factor_roots(const rv_factor_room *room, rv_dtype dtype, void *row_slot, void *column_slot, double weight,
                     double least);

#endif
