/* Rows in memory as a source, and a source on loan. */
#include "studies/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct rows {
    rv_source source;
    rv_table table;
    size_t width;
} rows;

/* Row k of the table to row i of an input of type dtype; k < 0: zeros. */
static void write_row(const rows *t, int64_t k, int i, rv_dtype dtype, void *input)
{
    const bool widen = t->table.dtype == RV_F32 && dtype == RV_F64;
    const size_t bytes = t->width * (widen ? sizeof(double) : sizeof(float));
    char *to = (char *)input + (size_t)i * bytes;
    if (k < 0) {
        memset(to, 0, bytes);
    } else if (!widen) {
        memcpy(to, (const char *)t->table.x + (size_t)k * bytes, bytes);
    } else {
        const float *from = (const float *)t->table.x + (size_t)k * t->width;
        for (size_t j = 0; j < t->width; j++)
            ((double *)input)[(size_t)i * t->width + j] = (double)from[j];
    }
}

static void write_target(const rows *t, int32_t label, int i, rv_dtype dtype, void *input)
{
    for (int c = 0; c < t->table.classes; c++) {
        if (dtype == RV_F64)
            ((double *)input)[i * t->table.classes + c] = c == label;
        else
            ((float *)input)[i * t->table.classes + c] = c == label;
    }
}

static void rows_fill(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment, uint64_t first,
                      rv_dtype dtype, void *const *inputs)
{
    (void)augment, (void)first;
    const rows *t = (const rows *)source;
    int64_t begin = split == RV_SPLIT_TRAIN ? 0 : t->table.train;
    int32_t *labels = inputs[source->inputs - 1];
    for (int i = 0; i < count; i++) {
        int64_t k = ids[i] < 0 ? -1 : begin + ids[i];
        labels[i] = k < 0 ? -1 : t->table.labels[k];
        write_row(t, k, i, dtype, inputs[0]);
        if (t->table.one_hot)
            write_target(t, labels[i], i, dtype, inputs[1]);
    }
}

static void rows_free(rv_source *source)
{
    rows *t = (rows *)source;
    free(t->table.x);
    free(t->table.labels);
    free(t);
}

rv_status rv_source_table(rv_source **out, const char *description, const rv_table *table, rv_error *err)
{
    rows *t = calloc(1, sizeof *t);
    if (!t || !table->x || !table->labels) {
        free(t);
        free(table->x);
        free(table->labels);
        return rv_fail(err, RV_E_MEMORY, "no memory for %lld rows", (long long)(table->train + table->test));
    }
    t->table = *table;
    t->width = (size_t)rv_shape_size(&table->row);
    t->source = (rv_source){.inputs = 2, .input_dtype = {table->dtype, RV_I32}, .input_shape = {table->row},
                            .examples = {table->train, 0, table->test}, .classes = table->classes, .fill = rows_fill, .free = rows_free};
    if (table->one_hot) {
        t->source.inputs = 3;
        t->source.input_dtype[1] = RV_F32;
        t->source.input_dtype[2] = RV_I32;
        t->source.input_shape[1] = RV_SHAPE(table->classes);
    }
    snprintf(t->source.description, sizeof t->source.description, "%s", description);
    *out = &t->source;
    return RV_OK;
}
