/* The sum of the shards' vectors in a fixed binary tree. */
#ifndef RV_OBJECTIVE_REDUCE_H
#define RV_OBJECTIVE_REDUCE_H

#include "ravine/tensor.h"

enum { RV_SHARDS_MOST = 64 };

/* out = scale * ((v0 + v1) + (v2 + v3)) + ..., element by element; vectors [count], count a
 * power of two up to RV_SHARDS_MOST, each of size elements of dtype; out may be one of them.  Returns false when an
 * element of out is not finite. */
bool rv_reduce_shards(const void *const *vectors, int count, int64_t size, rv_dtype dtype, double scale, void *out,
                      rv_pool *pool);

#endif
