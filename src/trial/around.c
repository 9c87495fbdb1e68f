/* What stands around the method in a configuration: wrappers, and schedules of single
 * hyperparameters.  Invariant: what is resolved resolves to itself. */
#include <stdlib.h>
#include <string.h>

#include "optim/spec.h"
#include "trial/draft.h"

rv_status rv_draft_around(rv_draft *d, const json_t *layer, rv_error *err)
{
    json_t *wrappers = json_object_get(layer, "wrappers"), *schedules = json_object_get(layer, "schedules");
    if (wrappers != NULL) {
        json_decref(d->wrappers);
        d->wrappers = json_incref(wrappers);
    }
    if (schedules != NULL && json_object_update(d->schedules, schedules) != 0)
        return rv_draft_no_memory(err);
    return RV_OK;
}

rv_status rv_draft_wrappers(const rv_draft *d, char **text, rv_error *err)
{
    *text = NULL;
    if (d->wrappers == NULL)
        return RV_OK;
    *text = json_is_string(d->wrappers) ? strdup(json_string_value(d->wrappers)) : rv_json_text(d->wrappers, 0);
    return *text == NULL ? rv_draft_no_memory(err) : RV_OK;
}

/* "linear(end=0.1)" or {"name", "params"} as the one item that it must be. */
static rv_status one_item(const char *name, json_t *given, json_t **item, rv_error *err)
{
    json_t *list = NULL;
    char *text = json_is_string(given) ? strdup(json_string_value(given)) : NULL;
    if (text == NULL) {
        json_t *wrapped = json_pack("[O]", given);
        text = wrapped == NULL ? NULL : rv_json_text(wrapped, 0);
        json_decref(wrapped);
    }
    if (text == NULL)
        return rv_draft_no_memory(err);
    rv_status status = rv_spec_parse(text, "schedules", &list, err);
    free(text);
    if (status == RV_OK && json_array_size(list) != 1)
        status = rv_fail(err, RV_E_ARGUMENT, "schedules: \"%s\" needs one schedule, found %zu", name, json_array_size(list));
    *item = status == RV_OK ? json_incref(json_array_get(list, 0)) : NULL;
    json_decref(list);
    return status;
}

/* "a=b,c=d" */
static rv_status set_list(const rv_param_table *table, void *values, const char *text, rv_error *err)
{
    while (text[strspn(text, " ")] != 0) {
        const char *end = rv_spec_item_end(text), *equals = strchr(text, '=');
        char name[RV_NAME_SIZE], value[RV_PARAM_TEXT_SIZE];
        if (end == NULL || equals == NULL || equals > end)
            return rv_fail(err, RV_E_ARGUMENT, "%s schedule: expected name=value, found \"%s\"", table->owner, text);
        text += strspn(text, " ");
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        snprintf(value, sizeof value, "%.*s", (int)(end - equals - 1), equals + 1);
        RV_TRY(rv_params_set(table, values, name, value, err));
        text = *end != 0 ? end + 1 : end;
    }
    return RV_OK;
}

static rv_status resolve_one(rv_scheduled *s, const char *name, const json_t *item, const rv_optimizer *optimizer,
                             rv_error *err)
{
    const json_t *params = json_object_get(item, "params");
    if (strlen(name) >= sizeof s->name)
        return rv_fail(err, RV_E_ARGUMENT, "schedules: no hyperparameter has so long a name: %.40s...", name);
    memcpy(s->name, name, strlen(name) + 1);
    RV_TRY(rv_optimizer_get(optimizer, name, &s->base, err));
    RV_TRY(rv_draft_find_schedule(json_string_value(json_object_get(item, "name")), &s->schedule, err));
    s->params = calloc(1, s->schedule->params->size + 1);
    if (s->params == NULL)
        return rv_draft_no_memory(err);
    rv_params_init(s->schedule->params, s->params);
    if (json_is_string(params))
        return set_list(s->schedule->params, s->params, json_string_value(params), err);
    return rv_params_from_json(s->schedule->params, s->params, params, err);
}

rv_status rv_draft_schedules(rv_draft *d, const rv_optimizer *optimizer, rv_error *err)
{
    rv_config *c = d->config;
    const char *name = NULL;
    json_t *given = NULL, *whole = json_object();
    c->scheduled = calloc(json_object_size(d->schedules) + 1, sizeof *c->scheduled);
    rv_status status = c->scheduled == NULL || whole == NULL ? rv_draft_no_memory(err) : RV_OK;
    json_object_foreach (status == RV_OK ? d->schedules : NULL, name, given) {
        json_t *item = NULL;
        rv_scheduled *s = &c->scheduled[c->scheduled_count++];
        status = one_item(name, given, &item, err);
        if (status == RV_OK)
            status = resolve_one(s, name, item, optimizer, err);
        json_decref(item);
        if (status != RV_OK)
            break;
        json_object_set_new(whole, name, json_pack("{s:s, s:o}", "name", s->schedule->name, "params",
                                                   rv_params_to_json(s->schedule->params, s->params)));
    }
    json_decref(d->schedules);
    d->schedules = whole;
    return status;
}

void rv_scheduled_release(rv_config *config)
{
    for (int i = 0; i < config->scheduled_count; i++)
        free(config->scheduled[i].params);
    free(config->scheduled);
}
