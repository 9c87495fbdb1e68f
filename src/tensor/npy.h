/* NumPy's npy: magic, version, a Python dictionary, raw data. */
#ifndef RV_TENSOR_NPY_H
#define RV_TENSOR_NPY_H

#include "core/file.h"
#include "core/text.h"
#include "ravine/tensor.h"

/* The header of array as it is written: bf16 is announced as f4. */
void rv_npy_header(const rv_array *array, rv_text *out);
/* Reads dtype and shape; *data and *bytes are what follows, exactly to the end of file. */
rv_status rv_npy_parse(const unsigned char *file, size_t size, const char *where, rv_array *array,
                       const unsigned char **data, size_t *bytes, rv_error *err);

#endif
