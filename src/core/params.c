/* Tables of parameters: defaults, parsing, bounds, text.  Invariant: a refused value
 * leaves the struct as it was, and what params_get writes, params_set reads back. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "ravine/param.h"

enum { NUMBER_SIZE = 40, NAMES_MAX = 256 };

static void *field(const rv_param *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *field_const(const rv_param *row, const void *values)
{
    return (const char *)values + row->offset;
}

/* A default of NAN declares that the parameter may be absent: "none". */
static bool may_be_none(const rv_param *row)
{
    return row->type == RV_PARAM_REAL && strcmp(row->initial, "NAN") == 0;
}

/* Defaults are C tokens as the table spells them. */
static bool number_from_default(const char *text, double *value)
{
    if (strcmp(text, "NAN") == 0)
        *value = (double)NAN;
    else if (strcmp(text, "HUGE_VAL") == 0 || strcmp(text, "INFINITY") == 0)
        *value = HUGE_VAL;
    else
        return rv_text_to_real(text, value);
    return true;
}

static bool bool_from_text(const char *text, bool *value)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool no = strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    *value = yes;
    return yes || no;
}

/* The index of word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t length = strlen(word);
    int index = 0;
    for (const char *at = choices;; index++) {
        size_t n = strcspn(at, "|");
        if (n == length && strncmp(at, word, n) == 0)
            return index;
        if (at[n] == '\0')
            return -1;
        at += n + 1;
    }
}

static void choice_word(const char *choices, int index, const char **word, int *length)
{
    const char *at = choices;
    while (index-- > 0)
        at += strcspn(at, "|") + 1;
    *word = at;
    *length = (int)strcspn(at, "|");
}

static bool inside(const rv_param *row, double v)
{
    bool above = (row->flags & RV_PARAM_OPEN_LO) ? v > row->lo : v >= row->lo;
    bool below = (row->flags & RV_PARAM_OPEN_HI) ? v < row->hi : v <= row->hi;
    return above && below;
}

/* "in (0, 1]", as far as there are bounds. */
static void bounds_text(const rv_param *row, char *text, size_t size)
{
    char lo[NUMBER_SIZE], hi[NUMBER_SIZE];
    rv_json_number(row->lo, lo, sizeof lo);
    rv_json_number(row->hi, hi, sizeof hi);
    snprintf(text, size, "%s in %c%s, %s%c", row->type == RV_PARAM_INT ? "an integer" : "a number",
             row->flags & RV_PARAM_OPEN_LO ? '(' : '[', lo, hi, row->flags & RV_PARAM_OPEN_HI ? ')' : ']');
}

static rv_status refuse(const rv_param_table *table, const rv_param *row, rv_status status, const char *given,
                        rv_error *err)
{
    char expected[RV_PARAM_TEXT_SIZE];
    switch (row->type) {
    case RV_PARAM_REAL:
    case RV_PARAM_INT:
        bounds_text(row, expected, sizeof expected);
        break;
    case RV_PARAM_BOOL:
        snprintf(expected, sizeof expected, "true or false");
        break;
    case RV_PARAM_CHOICE:
        snprintf(expected, sizeof expected, "one of %s", row->choices);
        break;
    case RV_PARAM_TEXT:
        snprintf(expected, sizeof expected, "text of at most %d bytes", RV_PARAM_TEXT_SIZE - 1);
        break;
    }
    return rv_fail(err, status, "%s: %s must be %s%s, not \"%.80s\"", table->owner, row->name, expected,
                   may_be_none(row) ? " or none" : "", given);
}

static void store_number(const rv_param *row, void *values, double number)
{
    if (row->type == RV_PARAM_REAL) {
        memcpy(field(row, values), &number, sizeof number);
    } else {
        int64_t integer = (int64_t)number;
        memcpy(field(row, values), &integer, sizeof integer);
    }
}

static rv_status set_number(const rv_param_table *table, const rv_param *row, void *values, double number,
                            const char *given, rv_error *err)
{
    /* Beyond 2^53 a double no longer tells integers apart. */
    bool integral = number == floor(number) && fabs(number) <= 0x1p53;
    if (isnan(number) || (row->type == RV_PARAM_INT && isfinite(number) && !integral))
        return refuse(table, row, RV_E_ARGUMENT, given, err);
    if (!inside(row, number))
        return refuse(table, row, RV_E_RANGE, given, err);
    store_number(row, values, number);
    return RV_OK;
}

static rv_status set_text(const rv_param_table *table, const rv_param *row, void *values, const char *text,
                          rv_error *err)
{
    double number = 0;
    bool yes = false;
    int index = 0;
    switch (row->type) {
    case RV_PARAM_REAL:
        if (may_be_none(row) && strcmp(text, "none") == 0) {
            store_number(row, values, (double)NAN);
            return RV_OK;
        }
        /* fall through */
    case RV_PARAM_INT:
        if (!rv_text_to_real(text, &number))
            return refuse(table, row, RV_E_ARGUMENT, text, err);
        return set_number(table, row, values, number, text, err);
    case RV_PARAM_BOOL:
        if (!bool_from_text(text, &yes))
            return refuse(table, row, RV_E_ARGUMENT, text, err);
        memcpy(field(row, values), &yes, sizeof yes);
        return RV_OK;
    case RV_PARAM_CHOICE:
        index = choice_index(row->choices, text);
        if (index < 0)
            return refuse(table, row, RV_E_ARGUMENT, text, err);
        memcpy(field(row, values), &index, sizeof index);
        return RV_OK;
    case RV_PARAM_TEXT:
        if (strlen(text) >= RV_PARAM_TEXT_SIZE)
            return refuse(table, row, RV_E_RANGE, text, err);
        memset(field(row, values), 0, RV_PARAM_TEXT_SIZE);
        memcpy(field(row, values), text, strlen(text));
        return RV_OK;
    }
    return RV_E_ARGUMENT;
}

static void set_default(const rv_param_table *table, const rv_param *row, void *values)
{
    double number = 0;
    if (row->type == RV_PARAM_REAL || row->type == RV_PARAM_INT) {
        bool parsed = number_from_default(row->initial, &number);
        assert(parsed);
        if (parsed)
            store_number(row, values, number);
    } else {
        rv_status status = set_text(table, row, values, row->initial, NULL);
        assert(status == RV_OK);
        (void)status;
    }
}

void rv_params_init(const rv_param_table *table, void *values)
{
    memset(values, 0, table->size);
    for (size_t i = 0; i < table->count; i++)
        set_default(table, &table->rows[i], values);
}

const rv_param *rv_params_find(const rv_param_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    return NULL;
}

static rv_status find_or_fail(const rv_param_table *table, const char *name, const rv_param **row, rv_error *err)
{
    *row = rv_params_find(table, name);
    if (*row != NULL)
        return RV_OK;
    const char *names[NAMES_MAX] = {NULL};
    int count = table->count < NAMES_MAX ? (int)table->count : NAMES_MAX;
    for (int i = 0; i < count; i++)
        names[i] = table->rows[i].name;
    const char *nearest = rv_text_nearest(name, names, count);
    if (nearest != NULL)
        return rv_fail(err, RV_E_UNKNOWN, "%s has no parameter \"%.80s\"; did you mean \"%s\"?", table->owner,
                       name, nearest);
    rv_text list = {0};
    for (int i = 0; i < count; i++)
        rv_text_format(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    rv_status status = rv_fail(err, RV_E_UNKNOWN, "%s has no parameter \"%.80s\"; it has %.600s", table->owner, name,
                               count > 0 && list.data ? list.data : "none");
    rv_text_release(&list);
    return status;
}

rv_status rv_params_set(const rv_param_table *table, void *values, const char *name, const char *text,
                        rv_error *err)
{
    const rv_param *row = NULL;
    RV_TRY(find_or_fail(table, name, &row, err));
    return set_text(table, row, values, text, err);
}

rv_status rv_params_set_number(const rv_param_table *table, void *values, const char *name, double number,
                               rv_error *err)
{
    const rv_param *row = NULL;
    RV_TRY(find_or_fail(table, name, &row, err));
    char given[NUMBER_SIZE];
    rv_json_number(number, given, sizeof given);
    if (row->type != RV_PARAM_REAL && row->type != RV_PARAM_INT)
        return refuse(table, row, RV_E_ARGUMENT, given, err);
    return set_number(table, row, values, number, given, err);
}

int rv_params_get(const rv_param *row, const void *values, char *text, size_t size)
{
    const void *at = field_const(row, values);
    double real = 0;
    int64_t integer = 0;
    bool yes = false;
    int index = 0, length = 0;
    const char *word = "";
    switch (row->type) {
    case RV_PARAM_REAL:
        memcpy(&real, at, sizeof real);
        return isnan(real) ? snprintf(text, size, "none") : rv_json_number(real, text, size);
    case RV_PARAM_INT:
        memcpy(&integer, at, sizeof integer);
        return snprintf(text, size, "%lld", (long long)integer);
    case RV_PARAM_BOOL:
        memcpy(&yes, at, sizeof yes);
        return snprintf(text, size, "%s", yes ? "true" : "false");
    case RV_PARAM_CHOICE:
        memcpy(&index, at, sizeof index);
        choice_word(row->choices, index, &word, &length);
        return snprintf(text, size, "%.*s", length, word);
    case RV_PARAM_TEXT:
        return snprintf(text, size, "%s", (const char *)at);
    }
    return 0;
}

/* ---- self-check ---------------------------------------------------------- */

static rv_status check_row(const rv_param_table *table, const rv_param *row, void *values, rv_error *err)
{
    if (row->help == NULL || row->help[0] == '\0')
        return rv_fail(err, RV_E_ARGUMENT, "%s: %s has no help", table->owner, row->name);
    if (may_be_none(row))
        return RV_OK;
    if (row->type == RV_PARAM_REAL || row->type == RV_PARAM_INT) {
        double number = 0;
        if (!number_from_default(row->initial, &number))
            return refuse(table, row, RV_E_ARGUMENT, row->initial, err);
        return set_number(table, row, values, number, row->initial, err);
    }
    return set_text(table, row, values, row->initial, err);
}

rv_status rv_params_check(const rv_param_table *table, rv_error *err)
{
    void *values = calloc(1, table->size);
    if (values == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu bytes of parameters", table->owner, table->size);
    rv_status status = RV_OK;
    for (size_t i = 0; i < table->count && status == RV_OK; i++) {
        const rv_param *row = &table->rows[i];
        if (rv_params_find(table, row->name) != row)
            status = rv_fail(err, RV_E_ARGUMENT, "%s: %s is declared twice", table->owner, row->name);
        else
            status = check_row(table, row, values, err);
    }
    free(values);
    return status;
}
