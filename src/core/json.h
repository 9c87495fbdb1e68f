/* jansson values in, deterministic text out: keys in insertion order, numbers as
 * the shortest decimal that reads back to the same bits, NaN and infinities as
 * the strings "nan", "inf", "-inf" (JSON has no numbers for them). */
#ifndef RV_CORE_JSON_H
#define RV_CORE_JSON_H

#include <jansson.h>

#include "ravine/param.h"

/* Text of at most 1 GiB; depth is limited by jansson.  Errors name source, line, column. */
rv_status rv_json_parse(const char *text, size_t length, const char *source, json_t **out, rv_error *err);
rv_status rv_json_read(const char *path, json_t **out, rv_error *err);
/* One line without spaces; indent > 0: that many spaces a level.  Caller frees. NULL: out of memory. */
char *rv_json_text(const json_t *value, int indent);
/* Shortest decimal that strtod reads back; returns the length. */
int rv_json_number(double value, char *text, size_t size);
/* A real (or its string form "nan", "inf", "-inf"); fallback when absent or of another type. */
double rv_json_real(const json_t *object, const char *key, double fallback);
double rv_json_value(const json_t *value, double fallback); /* of the value itself; NULL is absent */
json_t *rv_json_from_real(double value);
/* Names of files and words of a command line, which may be any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *rv_json_from_bytes(const char *bytes);
/* The same with six significant digits: more than a screen shows, and a third of the bytes. */
json_t *rv_json_rounded(double value);

/* Parameters of a table as a JSON object, and back with every check of rv_params_set. */
json_t *rv_params_to_json(const rv_param_table *table, const void *values);
rv_status rv_params_from_json(const rv_param_table *table, void *values, const json_t *object, rv_error *err);

#endif
