/* Overrides: one name, one value, into the table it belongs to.  Invariant: a value has
 * passed its table, or, where it addresses another method's rule, passes when the
 * optimizer is made. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "optim/spec.h"
#include "trial/draft.h"

rv_status rv_draft_unknown(const char *what, const char *name, const char *const *names, int count, rv_error *err)
{
    const char *nearest = rv_text_nearest(name, names, count);
    return rv_fail(err, RV_E_UNKNOWN, "no %s is called \"%.80s\"%s%s%s", what, name,
                   nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
}

rv_status rv_draft_no_memory(rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "no memory for a configuration");
}

/* As a configuration file would say it: 0.1, true, "released". */
static json_t *value_from_text(const char *text)
{
    double number = 0;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(text[0] == 't');
    if (rv_text_to_real(text, &number) && isfinite(number))
        return json_real(number);
    return json_string(text);
}

/* name may be "lr" or "adamw.lr": the latter belongs to the method of another rule. */
static rv_status set_optimizer(rv_draft *d, const char *name, const char *value, rv_error *err)
{
    json_t *object = d->optimizer_params;
    const char *dot = strchr(name, '.');
    if (dot == NULL && rv_params_find(d->method->params, name) == NULL)
        return rv_params_set(d->method->params, NULL, name, value, err); /* refuses the name */
    if (dot != NULL) {
        char method[RV_NAME_SIZE];
        snprintf(method, sizeof method, "%.*s", (int)(dot - name), name);
        object = json_object_get(d->optimizer_params, method);
        if (object == NULL) {
            object = json_object();
            if (json_object_set_new(d->optimizer_params, method, object) != 0)
                return rv_draft_no_memory(err);
        }
        name = dot + 1;
    }
    return json_object_set_new(object, name, value_from_text(value)) == 0 ? RV_OK : rv_draft_no_memory(err);
}

/* The parameter is in none of the four tables: names the nearest of them all. */
static rv_status unknown_anywhere(const rv_draft *d, const char *name, rv_error *err)
{
    const rv_param_table *tables[] = {d->method->params, d->config->schedule->params, rv_train_table(),
                                      d->config->workload->params};
    const char *names[RV_DRAFT_NAMES];
    int count = 0;
    for (int t = 0; t < 4; t++)
        for (size_t i = 0; i < tables[t]->count && count < RV_DRAFT_NAMES; i++)
            names[count++] = tables[t]->rows[i].name;
    rv_status status = rv_draft_unknown("parameter", name, names, count, err);
    if (rv_text_nearest(name, names, count) == NULL)
        return rv_fail(err, status, "neither %s nor its schedule %s, train or %s has a parameter \"%.80s\"; explain tells which they have",
                       d->method->name, d->config->schedule->name, d->config->workload->name, name);
    return rv_fail_prefix(err, status, "%s, %s schedule, train and %s", d->method->name, d->config->schedule->name,
                          d->config->workload->name);
}

/* "wrappers" and "schedules.momentum"; *taken: it was one of them. */
static rv_status set_around(rv_draft *d, const char *name, const char *value, bool *taken, rv_error *err)
{
    const char *prefix = "schedules.";
    *taken = true;
    if (strcmp(name, "wrappers") == 0) {
        json_decref(d->wrappers);
        d->wrappers = json_string(value);
        return d->wrappers == NULL ? rv_draft_no_memory(err) : RV_OK;
    }
    if (strncmp(name, prefix, strlen(prefix)) == 0)
        return json_object_set_new(d->schedules, name + strlen(prefix), json_string(value)) == 0 ? RV_OK
                                                                                                   : rv_draft_no_memory(err);
    *taken = false;
    return RV_OK;
}

static rv_status set_named(rv_draft *d, const char *name, const char *value, rv_error *err)
{
    rv_config *c = d->config;
    bool taken = false;
    RV_TRY(set_around(d, name, value, &taken, err));
    if (taken)
        return RV_OK;
    const struct {
        const char *prefix;
        const rv_param_table *table;
        void *values; /* NULL: the optimizer's */
    } rooms[] = {
        {"optimizer.", d->method->params, NULL},
        {"schedule.", c->schedule->params, c->schedule_params},
        {"train.", rv_train_table(), &c->train},
        {"workload.", c->workload->params, c->workload_params},
    };
    bool dotted = strchr(name, '.') != NULL;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        size_t n = strlen(rooms[i].prefix);
        bool named = strncmp(name, rooms[i].prefix, n) == 0;
        if (!named && (dotted || rv_params_find(rooms[i].table, name) == NULL))
            continue;
        const char *field = named ? name + n : name;
        if (rooms[i].values == NULL)
            return set_optimizer(d, field, value, err);
        return rv_params_set(rooms[i].table, rooms[i].values, field, value, err);
    }
    return dotted ? set_optimizer(d, name, value, err) : unknown_anywhere(d, name, err);
}

rv_status rv_draft_set(rv_draft *d, const char *text, rv_error *err)
{
    char name[2 * RV_NAME_SIZE];
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name)
        return rv_fail(err, RV_E_ARGUMENT, "expected name=value, found \"%.80s\"", text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    return set_named(d, name, equals + 1, err);
}

/* RAVINE_SET="lr=1e-3,train.steps=200" */
rv_status rv_draft_set_environment(rv_draft *d, rv_error *err)
{
    const char *text = getenv("RAVINE_SET");
    rv_status status = RV_OK;
    while (text != NULL && status == RV_OK && text[strspn(text, " ,")] != 0) {
        text += strspn(text, " ,");
        const char *end = rv_spec_item_end(text); /* commas in parentheses belong to a list of wrappers */
        char *item = end == NULL ? strdup(text) : strndup(text, (size_t)(end - text));
        status = item == NULL ? rv_draft_no_memory(err) : rv_draft_set(d, item, err);
        free(item);
        text = end;
    }
    return status == RV_OK ? RV_OK : rv_fail_prefix(err, status, "RAVINE_SET");
}
