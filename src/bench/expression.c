/* A small calculator by recursive descent.  Invariants: reads within its text only, nests at most
 * MAX_DEPTH deep, and what it returns is finite. */
#include "bench/expression.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum { MAX_DEPTH = 64, MAX_NAMES = 256, NAME_SIZE = 80 };

typedef struct parser {
    const char *text, *at;
    const rv_scope *names;
    int depth;
    rv_error *err;
} parser;

static rv_status unfit(const parser *p, const char *expected)
{
    return rv_fail(p->err, RV_E_FORMAT, "\"=%.120s\", column %td: expected %s, found %s%.20s%s", p->text,
                   p->at - p->text + 2, expected, *p->at ? "\"" : "the end", p->at, *p->at ? "\"" : "");
}

static void skip_blanks(parser *p)
{
    while (*p->at == ' ')
        p->at++;
}

/* Takes the letter if it comes next. */
static bool take(parser *p, char letter)
{
    skip_blanks(p);
    if (*p->at != letter)
        return false;
    p->at++;
    return true;
}

static bool read_name(parser *p, char *name)
{
    size_t n = 0;
    skip_blanks(p);
    if (!isalpha((unsigned char)*p->at) && *p->at != '_')
        return false;
    while (isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
        n++;
    if (n >= NAME_SIZE)
        return false;
    memcpy(name, p->at, n);
    name[n] = '\0';
    p->at += n;
    return true;
}

/* ---- names ------------------------------------------------------------------- */

static rv_status find_value(const parser *p, const char *name, const json_t **value)
{
    const json_t *const lists[] = {p->names->point, p->names->given};
    const char *known[MAX_NAMES], *key;
    json_t *item;
    int count = 0;
    for (int i = 0; i < 2; i++) {
        *value = json_object_get(lists[i], name);
        if (*value) {
            if (p->names->used)
                json_object_set_new(p->names->used, name, json_true());
            return RV_OK;
        }
        json_object_foreach((json_t *)(uintptr_t)lists[i], key, item)
            if (count < MAX_NAMES)
                known[count++] = key;
    }
    const char *near = rv_text_nearest(name, known, count);
    return rv_fail(p->err, RV_E_UNKNOWN, "\"=%.120s\": no hyperparameter '%s'%s%s%s", p->text, name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static rv_status number_of(const parser *p, const char *name, double *out)
{
    const json_t *value = NULL;
    RV_TRY(find_value(p, name, &value));
    if (!json_is_number(value))
        return rv_fail(p->err, RV_E_FORMAT, "\"=%.120s\": '%s' is no number to calculate with", p->text, name);
    *out = json_number_value(value);
    return RV_OK;
}

/* ---- the grammar --------------------------------------------------------------- */

static rv_status sum(parser *p, double *out);

static const struct function {
    const char *name;
    double (*one)(double);
    double (*two)(double, double);
} functions[] = {{"floor", floor, NULL}, {"ceil", ceil, NULL}, {"round", round, NULL},
                 {"min", NULL, fmin}, {"max", NULL, fmax}};
enum { FUNCTIONS = (int)(sizeof functions / sizeof functions[0]) };

/* After "NAME(". */
static rv_status call(parser *p, const char *name, double *out)
{
    int i = 0;
    double second;
    while (i < FUNCTIONS && strcmp(functions[i].name, name) != 0)
        i++;
    if (i == FUNCTIONS)
        return rv_fail(p->err, RV_E_UNKNOWN, "\"=%.120s\": no function '%s'; there are floor, ceil, round, min, max",
                       p->text, name);
    RV_TRY(sum(p, out));
    if (functions[i].two) {
        if (!take(p, ','))
            return unfit(p, "','");
        RV_TRY(sum(p, &second));
        *out = functions[i].two(*out, second);
    } else {
        *out = functions[i].one(*out);
    }
    return take(p, ')') ? RV_OK : unfit(p, "')'");
}

static rv_status literal(parser *p, double *out)
{
    size_t n = strspn(p->at, "0123456789.");
    char text[64];
    if (n > 0 && (p->at[n] == 'e' || p->at[n] == 'E')) {
        size_t sign = p->at[n + 1] == '-' || p->at[n + 1] == '+', digits = strspn(p->at + n + 1 + sign, "0123456789");
        n += digits > 0 ? 1 + sign + digits : 0;
    }
    if (n == 0 || n >= sizeof text)
        return unfit(p, "a number, a name or '('");
    memcpy(text, p->at, n);
    text[n] = '\0';
    if (!rv_text_to_real(text, out))
        return unfit(p, "a number");
    p->at += n;
    return RV_OK;
}

static rv_status primary(parser *p, double *out)
{
    char name[NAME_SIZE];
    if (take(p, '(')) {
        RV_TRY(sum(p, out));
        return take(p, ')') ? RV_OK : unfit(p, "')'");
    }
    if (!read_name(p, name))
        return literal(p, out);
    return take(p, '(') ? call(p, name, out) : number_of(p, name, out);
}

static rv_status factor(parser *p, double *out)
{
    if (p->depth == MAX_DEPTH)
        return rv_fail(p->err, RV_E_FORMAT, "\"=%.120s\": nested more than %d deep", p->text, (int)MAX_DEPTH);
    p->depth++;
    bool minus = take(p, '-');
    RV_TRY(minus ? factor(p, out) : primary(p, out));
    *out = minus ? -*out : *out;
    p->depth--;
    return RV_OK;
}

static rv_status product(parser *p, double *out)
{
    double right;
    RV_TRY(factor(p, out));
    for (;;) {
        bool times = take(p, '*');
        if (!times && !take(p, '/'))
            return RV_OK;
        RV_TRY(factor(p, &right));
        *out = times ? *out * right : *out / right;
    }
}

static rv_status sum(parser *p, double *out)
{
    double right;
    RV_TRY(product(p, out));
    for (;;) {
        bool plus = take(p, '+');
        if (!plus && !take(p, '-'))
            return RV_OK;
        RV_TRY(product(p, &right));
        *out = plus ? *out + right : *out - right;
    }
}

rv_status rv_expression_value(const char *expression, const rv_scope *names, json_t **value, rv_error *err)
{
    parser p = {.text = expression, .at = expression, .names = names, .err = err};
    char name[NAME_SIZE];
    const json_t *found = NULL;
    double number = NAN;
    *value = NULL;
    bool alone = read_name(&p, name);
    skip_blanks(&p);
    if (alone && *p.at == '\0') {
        RV_TRY(find_value(&p, name, &found));
        *value = json_deep_copy(found);
    } else {
        p.at = expression;
        RV_TRY(sum(&p, &number));
        skip_blanks(&p);
        if (*p.at)
            return unfit(&p, "an operator or the end");
        if (!isfinite(number))
            return rv_fail(err, RV_E_NUMERIC, "\"=%.120s\" is not finite", expression);
        *value = json_real(number);
    }
    return *value ? RV_OK : rv_fail(err, RV_E_MEMORY, "\"=%.120s\": no memory", expression);
}

/* ---- filling in ------------------------------------------------------------------ */

static rv_status fill_object(json_t *object, const rv_scope *names, rv_error *err)
{
    const char *key;
    json_t *item, *filled;
    void *next;
    json_object_foreach_safe(object, next, key, item)
    {
        rv_status status = rv_expression_fill(item, names, &filled, err);
        if (status != RV_OK)
            return rv_fail_prefix(err, status, "%.80s", key);
        if (json_object_set_new(object, key, filled) != 0)
            return rv_fail(err, RV_E_MEMORY, "%.80s: no memory", key);
    }
    return RV_OK;
}

static rv_status fill_array(json_t *array, const rv_scope *names, rv_error *err)
{
    json_t *filled;
    for (size_t i = 0; i < json_array_size(array); i++) {
        RV_TRY(rv_expression_fill(json_array_get(array, i), names, &filled, err));
        if (json_array_set_new(array, i, filled) != 0)
            return rv_fail(err, RV_E_MEMORY, "no memory for an expression");
    }
    return RV_OK;
}

rv_status rv_expression_fill(const json_t *json, const rv_scope *names, json_t **filled, rv_error *err)
{
    const char *text = json_string_value(json);
    *filled = NULL;
    if (text && text[0] == '=')
        return rv_expression_value(text + 1, names, filled, err);
    *filled = json_copy((json_t *)(uintptr_t)json); /* shallow: entries are replaced one by one */
    rv_status status = *filled ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for an expression");
    if (status == RV_OK && json_is_object(*filled))
        status = fill_object(*filled, names, err);
    if (status == RV_OK && json_is_array(*filled))
        status = fill_array(*filled, names, err);
    if (status != RV_OK) {
        json_decref(*filled);
        *filled = NULL;
    }
    return status;
}
