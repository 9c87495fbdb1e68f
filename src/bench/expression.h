/* Values of a configuration that depend on others: "=1 - one_minus_beta1" in place of a number. */
#ifndef RV_BENCH_EXPRESSION_H
#define RV_BENCH_EXPRESSION_H

#include <jansson.h>

#include "ravine/core.h"

/* Names and their values: numbers, texts, true, false.  The first list that has a name counts. */
typedef struct rv_scope {
    const json_t *point; /* hyperparameters */
    const json_t *given; /* of the problem: steps, batch, ... */
    json_t *used;        /* object: every name that was asked for is put in; may be NULL */
} rv_scope;

/* expression: numbers, names, + - * /, parentheses, floor, ceil, round (to the nearest, ties away
 * from zero), min, max; or one name alone, which may stand for a text or a truth value.  A new
 * reference.  RV_E_FORMAT with the column, RV_E_UNKNOWN with the nearest name, RV_E_NUMERIC. */
rv_status rv_expression_value(const char *expression, const rv_scope *names, json_t **value, rv_error *err);

/* A copy of json in which every text that begins with '=' has become the value of what follows,
 * at any depth. */
rv_status rv_expression_fill(const json_t *json, const rv_scope *names, json_t **filled, rv_error *err);

#endif
