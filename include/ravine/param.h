/* Tables of named parameters: said once, used everywhere.
 *
 * An optimizer, schedule, workload, study or command declares its options as
 * one list.  From the list come the C struct, defaults, parsing, range errors,
 * `ravine explain`, JSON in and out, search spaces and the documentation:
 *
 *     #define SGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                        \
 *         REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG, "learning rate")          \
 *         REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer")    \
 *         BOOL(nesterov, false, "look ahead along the buffer")                \
 *         CHOICE(decay, "decoupled|l2", "decoupled", "how decay enters")
 *     RV_PARAM_STRUCT(sgd_params, SGD_PARAMS);
 *     RV_PARAM_TABLE(sgd_table, "sgd", sgd_params, SGD_PARAMS);
 *
 * A CHOICE is an int: the index of the word in its list. */
#ifndef RAVINE_PARAM_H
#define RAVINE_PARAM_H

#include "ravine/core.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_param_type {
    RV_PARAM_REAL,   /* double */
    RV_PARAM_INT,    /* int64_t */
    RV_PARAM_BOOL,   /* bool */
    RV_PARAM_CHOICE, /* int, index into choices */
    RV_PARAM_TEXT    /* char[RV_PARAM_TEXT_SIZE] */
} rv_param_type;

enum { RV_PARAM_TEXT_SIZE = 256 };

enum {
    RV_PARAM_OPEN_LO = 1, /* the lower bound itself is not allowed */
    RV_PARAM_OPEN_HI = 2, /* the upper bound itself is not allowed */
    RV_PARAM_LOG = 4      /* searched on a logarithmic scale */
};

typedef struct rv_param {
    const char *name;
    rv_param_type type;
    size_t offset;         /* of the field in the struct */
    double lo, hi;         /* bounds of REAL and INT, inclusive unless open */
    unsigned flags;
    const char *choices;   /* "a|b|c" for CHOICE, NULL otherwise */
    const char *initial;   /* the default as text, for every type */
    const char *help;      /* one line, no full stop */
} rv_param;

typedef struct rv_param_table {
    const char *owner; /* whose parameters: "adamw", "train" */
    const rv_param *rows;
    size_t count;
    size_t size; /* of the struct */
} rv_param_table;

#define RV_FIELD_REAL(name, initial, lo, hi, flags, help) double name;
#define RV_FIELD_INT(name, initial, lo, hi, flags, help) int64_t name;
#define RV_FIELD_BOOL(name, initial, help) bool name;
#define RV_FIELD_CHOICE(name, choices, initial, help) int name;
#define RV_FIELD_TEXT(name, initial, help) char name[RV_PARAM_TEXT_SIZE];

#define RV_PARAM_STRUCT(type, LIST)                                           \
    typedef struct type {                                                     \
        LIST(RV_FIELD_REAL, RV_FIELD_INT, RV_FIELD_BOOL, RV_FIELD_CHOICE, RV_FIELD_TEXT) \
    } type

/* The rows name the struct through the local typedef rv_row_owner. */
#define RV_ROW_REAL(name, initial, lo, hi, flags, help) \
    {#name, RV_PARAM_REAL, offsetof(rv_row_owner, name), lo, hi, flags, NULL, #initial, help},
#define RV_ROW_INT(name, initial, lo, hi, flags, help) \
    {#name, RV_PARAM_INT, offsetof(rv_row_owner, name), lo, hi, flags, NULL, #initial, help},
#define RV_ROW_BOOL(name, initial, help) \
    {#name, RV_PARAM_BOOL, offsetof(rv_row_owner, name), 0, 1, 0, NULL, #initial, help},
#define RV_ROW_CHOICE(name, choices, initial, help) \
    {#name, RV_PARAM_CHOICE, offsetof(rv_row_owner, name), 0, 0, 0, choices, initial, help},
#define RV_ROW_TEXT(name, initial, help) \
    {#name, RV_PARAM_TEXT, offsetof(rv_row_owner, name), 0, 0, 0, NULL, initial, help},

/* Defines `static const rv_param_table table` (one per source file). */
#define RV_PARAM_TABLE(table, owner, type, LIST)                              \
    typedef type rv_row_owner;                                                \
    static const rv_param table##_rows[] = {                                  \
        LIST(RV_ROW_REAL, RV_ROW_INT, RV_ROW_BOOL, RV_ROW_CHOICE, RV_ROW_TEXT)}; \
    static const rv_param_table table = {                                     \
        owner, table##_rows, sizeof table##_rows / sizeof table##_rows[0], sizeof(type)}

/* Fills *values with the defaults. */
RV_API void rv_params_init(const rv_param_table *table, void *values);

/* The row called name, or NULL. */
RV_API const rv_param *rv_params_find(const rv_param_table *table, const char *name);

/* Sets one value from text.  RV_E_UNKNOWN names the nearest known parameter,
 * RV_E_ARGUMENT and RV_E_RANGE name owner, parameter, bounds and what was given;
 * the value is then unchanged.  NaN is never accepted. */
RV_API rv_status rv_params_set(const rv_param_table *table, void *values, const char *name,
                               const char *text, rv_error *err);

/* Sets a REAL or INT from a number with the same checks. */
RV_API rv_status rv_params_set_number(const rv_param_table *table, void *values, const char *name,
                                      double number, rv_error *err);

/* Writes the value as text that rv_params_set reads back to the same bits
 * (shortest decimal for reals).  Returns its length, as snprintf does. */
RV_API int rv_params_get(const rv_param *row, const void *values, char *text, size_t size);

/* A self-check of the table: unique names, default inside bounds, help given. */
RV_API rv_status rv_params_check(const rv_param_table *table, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
