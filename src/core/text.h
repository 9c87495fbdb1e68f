/* Text for people: nearest names, tables that fit a terminal, numbers and durations. */
#ifndef RV_CORE_TEXT_H
#define RV_CORE_TEXT_H

#include <stdio.h>

#include "ravine/core.h"

/* The candidate nearest to name by edit distance (with transpositions); else, where none is near (more
 * than a third of its letters differ), the first that has name as a part, "mnist-mlp" for "mnist"; or NULL. */
const char *rv_text_nearest(const char *name, const char *const *candidates, int count);
/* name against a glob of '*' and '?'. */
bool rv_text_match(const char *glob, const char *name);
/* "1 h 03 min", "4.2 s", "12 ms"; "-" for NaN. */
const char *rv_text_duration(double seconds, char *text, size_t size);
/* "1.2 k", "3.4 M". */
const char *rv_text_count(double count, char *text, size_t size);
/* The whole of text as a number, in any locale: a decimal, "inf", "-inf" or "nan".
 * False for anything else, and for decimals beyond the largest double. */
bool rv_text_to_real(const char *text, double *value);

/* A growing string; data is NULL-terminated; a failed allocation sticks. */
typedef struct rv_text {
    char *data;
    size_t size, capacity;
    bool failed;
} rv_text;
void rv_text_put(rv_text *text, const char *bytes, size_t n);
void rv_text_format(rv_text *text, const char *format, ...) RV_PRINTF(2, 3);
void rv_text_release(rv_text *text);

/* A table: cells are copied; right-aligned columns are numbers. */
typedef struct rv_table rv_table;
rv_table *rv_table_new(int columns, const char *const *heads, const bool *right);
void rv_table_row(rv_table *table, const char *const *cells);
void rv_table_print(const rv_table *table, rv_text *out, bool colour);
void rv_table_free(rv_table *table);

#endif
