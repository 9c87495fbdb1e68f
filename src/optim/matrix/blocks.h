/* Cutting a tensor, or each of its parts, into blocks: axes may first be merged, then every
 * axis is cut into pieces of at most `limit` (the last piece may be shorter).  Each block has
 * one factor per axis. */
#ifndef RV_OPTIM_MATRIX_BLOCKS_H
#define RV_OPTIM_MATRIX_BLOCKS_H

#include "ravine/tensor.h"

/* Merging drops axes of length 1 and joins neighbours while their product is at most the
 * limit, beginning at the last axis (kernel axes first) or at the first one. */
typedef enum rv_merging { RV_MERGE_NONE, RV_MERGE_RIGHT, RV_MERGE_LEFT } rv_merging;
#define RV_MERGING_WORDS "none|right|left"

typedef struct rv_blocking {
    rv_merging merging;
    int64_t limit;         /* of an axis, and of a product when merging; 0: axes are not cut */
    int64_t merge_limit;   /* of a product, where it is another; 0: limit */
    int64_t bare_above;    /* longer axes have no factor; 0: all have one */
    bool bare_vectors;     /* nor have blocks of one axis */
    int64_t merge_to;      /* merging ends at this many axes */
    bool diagonal_vectors; /* a block of one axis has the diagonal of its factor only */
} rv_blocking;

typedef struct rv_subblock {
    int rank;                     /* 1 for a scalar */
    int64_t length[RV_MAX_RANK];  /* extents */
    int64_t start[RV_MAX_RANK];
    int64_t stride[RV_MAX_RANK];  /* of the merged part */
    int64_t size, rows, columns;  /* rows of `columns` consecutive elements */
    int64_t base;                 /* of its part in the tensor, in elements */
    int64_t factors;              /* where its factors start, in elements */
    bool diagonal;                /* factors are vectors */
    bool bare[RV_MAX_RANK];       /* the axis has no factor */
} rv_subblock;

/* The shape of one part after merging. */
rv_shape rv_blocks_view(const rv_tensor *tensor, const rv_blocking *how);
int rv_blocks_count(const rv_tensor *tensor, const rv_blocking *how);
/* Elements of all factors: the sum of squared extents over axes and blocks. */
int64_t rv_blocks_factors(const rv_tensor *tensor, const rv_blocking *how);
/* Elements of the largest block and its longest extent. */
void rv_blocks_largest(const rv_tensor *tensor, const rv_blocking *how, int64_t *size, int64_t *longest);
void rv_block_find(const rv_tensor *tensor, const rv_blocking *how, int number, rv_subblock *block);
/* Elements of the factor of one axis, and of all before it. */
int64_t rv_block_factor(const rv_subblock *block, int axis);
int64_t rv_block_factors_before(const rv_subblock *block, int axis);
/* Where a row of the block starts in the tensor. */
int64_t rv_block_offset(const rv_subblock *block, int64_t row);

#endif
