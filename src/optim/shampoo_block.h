/* Cutting a tensor, or each of its parts, into blocks of at most `limit` along every axis
 * (the last piece of an axis may be shorter), each with one factor matrix per axis. */
#ifndef RV_OPTIM_SHAMPOO_BLOCK_H
#define RV_OPTIM_SHAMPOO_BLOCK_H

#include "ravine/tensor.h"

typedef struct rv_subblock {
    int rank;                     /* 1 for a scalar */
    int64_t length[RV_MAX_RANK];  /* extents */
    int64_t start[RV_MAX_RANK];
    int64_t stride[RV_MAX_RANK];  /* of the tensor */
    int64_t size, rows, columns;  /* rows of `columns` consecutive elements */
    int64_t factors;              /* where its factors start, in elements */
} rv_subblock;

int rv_blocks_count(const rv_tensor *tensor, int64_t limit);
/* Elements of all factors: the sum of squared extents over axes and blocks. */
int64_t rv_blocks_factors(const rv_tensor *tensor, int64_t limit);
/* Elements of the largest block and its longest extent. */
void rv_blocks_largest(const rv_tensor *tensor, int64_t limit, int64_t *size, int64_t *longest);
void rv_block_find(const rv_tensor *tensor, int64_t limit, int number, rv_subblock *block);
/* Where a row of the block starts in the tensor. */
int64_t rv_block_offset(const rv_subblock *block, int64_t row);

#endif
