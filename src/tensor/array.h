/* Sets of arrays while a file is read: every byte count is known before it is allocated. */
#ifndef RV_TENSOR_ARRAY_H
#define RV_TENSOR_ARRAY_H

#include "ravine/tensor.h"

/* Bytes of an array of this shape: false when an extent is negative or the product wraps. */
bool rv_array_bytes(rv_dtype dtype, const rv_shape *shape, size_t *bytes);
/* Room for count arrays without data. */
rv_status rv_array_set_init(rv_array_set *set, int count, const char *path, rv_error *err);
/* Array i of set takes a copy of bytes; 64-byte aligned. */
rv_status rv_array_set_fill(rv_array_set *set, int i, const void *bytes, size_t n, const char *path, rv_error *err);

#endif
