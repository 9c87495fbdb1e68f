/* Sources over rows in memory, and sources that several objectives share. */
#ifndef RV_STUDIES_TABLES_H
#define RV_STUDIES_TABLES_H

#include "ravine/data.h"

typedef struct rv_table {
    rv_dtype dtype;      /* of x: RV_F32 or RV_I32 */
    rv_shape row;
    int64_t train, test; /* rows of the splits, in this order */
    void *x;             /* [train + test, row] */
    int32_t *labels;     /* [train + test] */
    int classes;
    bool one_hot;        /* inputs are rows, one-hot targets and labels; otherwise rows and labels */
} rv_table;

/* Owns x and labels, from malloc, also when it fails; either may be NULL: RV_E_MEMORY. */
rv_status rv_source_table(rv_source **out, const char *description, const rv_table *table, rv_error *err);

#endif
