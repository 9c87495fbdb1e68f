/* Resolving a configuration.  Invariants: every name and value has passed its table, the
 * result resolves to itself, and equal configurations have equal text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trial/draft.h"
#include "trial/hash.h"

RV_PARAM_TABLE(train_table, "train", rv_train_params, RV_TRAIN_PARAMS);

const rv_param_table *rv_train_table(void)
{
    return &train_table;
}

/* ---- names ------------------------------------------------------------------- */

static rv_status find_workload(const char *name, const rv_workload **out, rv_error *err)
{
    const char *names[RV_DRAFT_NAMES];
    int count = 0;
    *out = rv_workload_find(name);
    if (*out != NULL)
        return RV_OK;
    for (; count < RV_DRAFT_NAMES && rv_workload_at(count) != NULL; count++)
        names[count] = rv_workload_at(count)->name;
    return rv_draft_unknown("workload", name, names, count, err);
}

rv_status rv_draft_find_schedule(const char *name, const rv_schedule_info **out, rv_error *err)
{
    const char *names[RV_DRAFT_NAMES];
    int count = 0;
    *out = rv_schedule_find(name);
    if (*out != NULL)
        return RV_OK;
    for (; count < RV_DRAFT_NAMES && rv_schedule_at(count) != NULL; count++)
        names[count] = rv_schedule_at(count)->name;
    return rv_draft_unknown("schedule", name, names, count, err);
}

/* "adamw@1" is the method adamw; NULL: no name, or none of ours. */
static const rv_method_info *method_of(const char *optimizer)
{
    char name[RV_NAME_SIZE];
    if (optimizer == NULL)
        return NULL;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(optimizer, "@"), optimizer);
    return rv_method_find(name);
}

static rv_status check_optimizer(const char *name, rv_error *err)
{
    const char *names[RV_DRAFT_NAMES];
    int count = 0;
    if (method_of(name) != NULL && strlen(name) < RV_NAME_SIZE)
        return RV_OK;
    for (; count < RV_DRAFT_NAMES && rv_method_at(count) != NULL; count++)
        names[count] = rv_method_at(count)->name;
    return rv_draft_unknown("optimizer", name, names, count, err);
}

/* ---- the layers -------------------------------------------------------------- */

static const char *const keys[] = {"workload",  "workload_params", "optimizer",      "optimizer_params", "optimizer_rules",
                                   "schedule",  "schedule_params", "train",       "wrappers",         "schedules", "restarts"};
enum { KEYS = (int)(sizeof keys / sizeof keys[0]), WRAPPERS = 8, RESTARTS = 10 };

static rv_status check_keys(const json_t *object, const char *source, rv_error *err)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(object))
        return rv_fail(err, RV_E_ARGUMENT, "%s: expected a JSON object", source);
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        int i = 0;
        while (i < KEYS && strcmp(keys[i], key) != 0)
            i++;
        if (i == KEYS) {
            rv_status status = rv_draft_unknown("key of a configuration", key, keys, KEYS, err);
            return rv_fail_prefix(err, status, "%s", source);
        }
        bool name = i == 0 || i == 2 || i == 5, list = i == 4 || i == RESTARTS;
        if (i == WRAPPERS && !json_is_string(value) && !json_is_array(value))
            return rv_fail(err, RV_E_ARGUMENT, "%s: \"wrappers\" must be a text or a list", source);
        if (i == WRAPPERS)
            continue;
        if (name ? !json_is_string(value) : list ? !json_is_array(value) : !json_is_object(value))
            return rv_fail(err, RV_E_ARGUMENT, "%s: \"%s\" must be %s", source, key,
                           name ? "a name" : list ? "a list" : "an object");
    }
    return RV_OK;
}

/* The name under key in config, else in recipe, else fallback. */
static const char *chosen(const json_t *config, const json_t *recipe, const char *key, const char *fallback)
{
    const char *name = json_string_value(json_object_get(config, key));
    if (name == NULL)
        name = json_string_value(json_object_get(recipe, key));
    return name == NULL ? fallback : name;
}

static rv_status set_from(const rv_param_table *table, void *values, const json_t *layer, const char *key, rv_error *err)
{
    const json_t *object = json_object_get(layer, key);
    return object == NULL ? RV_OK : rv_params_from_json(table, values, object, err);
}

static rv_status choose(rv_draft *d, const json_t *config, const json_t *recipe, rv_error *err)
{
    rv_config *c = d->config;
    const char *optimizer = chosen(config, recipe, "optimizer", "adamw");
    RV_TRY(check_optimizer(optimizer, err));
    memcpy(c->optimizer, optimizer, strlen(optimizer) + 1);
    d->method = method_of(optimizer);
    RV_TRY(rv_draft_find_schedule(chosen(config, recipe, "schedule", "constant"), &c->schedule, err));
    c->workload_params = calloc(1, c->workload->params->size + 1);
    c->schedule_params = calloc(1, c->schedule->params->size + 1);
    d->optimizer_params = json_object();
    d->schedules = json_object();
    if (c->workload_params == NULL || c->schedule_params == NULL || d->optimizer_params == NULL || d->schedules == NULL)
        return rv_draft_no_memory(err);
    rv_params_init(c->workload->params, c->workload_params);
    rv_params_init(c->schedule->params, c->schedule_params);
    rv_params_init(rv_train_table(), &c->train);
    return RV_OK;
}

/* One layer of JSON.  A recipe's parameters of an optimizer or a schedule are for its own
 * optimizer and schedule only. */
static rv_status apply(rv_draft *d, const json_t *layer, bool recipe, rv_error *err)
{
    rv_config *c = d->config;
    const char *optimizer = json_string_value(json_object_get(layer, "optimizer"));
    const char *schedule = json_string_value(json_object_get(layer, "schedule"));
    bool own_optimizer = !recipe || (optimizer != NULL && method_of(optimizer) == d->method);
    bool own_schedule = !recipe || (schedule != NULL && strcmp(schedule, c->schedule->name) == 0);
    RV_TRY(set_from(c->workload->params, c->workload_params, layer, "workload_params", err));
    RV_TRY(set_from(rv_train_table(), &c->train, layer, "train", err));
    if (own_schedule)
        RV_TRY(set_from(c->schedule->params, c->schedule_params, layer, "schedule_params", err));
    const json_t *rules = json_object_get(layer, "optimizer_rules");
    if (own_optimizer && rules != NULL) {
        free(c->optimizer_rules);
        c->optimizer_rules = rv_json_text(rules, 0);
        if (c->optimizer_rules == NULL)
            return rv_draft_no_memory(err);
    }
    if (own_optimizer)
        RV_TRY(rv_draft_around(d, layer, err));
    json_t *params = json_object_get(layer, "optimizer_params");
    if (own_optimizer && params != NULL && json_object_update_recursive(d->optimizer_params, params) != 0)
        return rv_draft_no_memory(err);
    return RV_OK;
}

/* ---- the whole ------------------------------------------------------------------ */

/* The defaults of a method, all of them. */
static json_t *own_params(const rv_method_info *method)
{
    void *values = malloc(method->params->size);
    if (values == NULL)
        return NULL;
    rv_params_init(method->params, values);
    json_t *params = rv_params_to_json(method->params, values);
    free(values);
    return params;
}

/* Makes the optimizer without tensors, resolves the schedules against it, and asks what it is. */
static rv_status ask_optimizer(rv_draft *d, json_t **whole, rv_error *err)
{
    rv_config *c = d->config;
    rv_optimizer *optimizer = NULL;
    char *given = rv_json_text(d->optimizer_params, 0), *wrappers = NULL;
    rv_status status = given == NULL ? rv_draft_no_memory(err) : rv_draft_wrappers(d, &wrappers, err);
    rv_optimizer_options options = {.method = c->optimizer, .params = given, .rules = c->optimizer_rules,
                                    .wrappers = wrappers, .dtype = RV_F64};
    if (status == RV_OK)
        status = rv_optimizer_new(&optimizer, &options, NULL, 0, NULL, err);
    free(given);
    free(wrappers);
    if (status == RV_OK)
        status = rv_draft_schedules(d, optimizer, err);
    char *text = status == RV_OK ? rv_optimizer_config(optimizer) : NULL;
    rv_optimizer_free(optimizer);
    RV_TRY(status);
    if (text == NULL)
        return rv_draft_no_memory(err);
    status = rv_json_parse(text, strlen(text), "optimizer", whole, err);
    free(text);
    return status;
}

/* The wrappers as they were resolved; parameters that addressed them are now theirs. */
static rv_status complete_wrappers(rv_draft *d, const json_t *whole, rv_error *err)
{
    json_t *list = json_object_get(whole, "wrappers");
    for (int i = 0; rv_wrapper_at(i) != NULL; i++)
        json_object_del(d->optimizer_params, rv_wrapper_at(i)->name);
    json_decref(d->wrappers);
    d->wrappers = json_incref(list);
    if (list == NULL)
        return RV_OK;
    d->config->wrappers = rv_json_text(list, 0);
    return d->config->wrappers == NULL ? rv_draft_no_memory(err) : RV_OK;
}

/* Completes the optimizer's parameters: its own first, then under its name each further method
 * that a rule of its list brings in. */
static rv_status complete_optimizer(rv_draft *d, rv_error *err)
{
    rv_config *c = d->config;
    json_t *whole = NULL, *rule = NULL;
    RV_TRY(ask_optimizer(d, &whole, err));
    rv_status status = complete_wrappers(d, whole, err);
    json_t *params = c->optimizer_rules != NULL ? own_params(d->method) : json_incref(json_object_get(whole, "params"));
    int failed = params == NULL;
    size_t i = 0;
    json_array_foreach (c->optimizer_rules != NULL ? NULL : json_object_get(whole, "rules"), i, rule) {
        const char *method = json_string_value(json_object_get(rule, "method"));
        failed |= method == NULL;
        method = method == NULL ? "" : method;
        char label[RV_NAME_SIZE];
        snprintf(label, sizeof label, "%.*s", (int)strcspn(method, "@"), method);
        if (strcmp(label, d->method->name) != 0)
            failed |= json_object_set(params, label, json_object_get(rule, "params"));
    }
    if (c->optimizer_rules != NULL) /* what the rules set for their tensors stays with the rules */
        failed |= json_object_update(params, d->optimizer_params);
    c->optimizer_params = failed ? NULL : rv_json_text(params, 0);
    json_decref(d->optimizer_params);
    d->optimizer_params = params;
    json_decref(whole);
    RV_TRY(status);
    return c->optimizer_params == NULL ? rv_draft_no_memory(err) : RV_OK;
}

static rv_status write_text(rv_draft *d, const json_t *restarts, rv_error *err)
{
    rv_config *c = d->config;
    json_t *all = json_object(), *rules = NULL;
    if (c->optimizer_rules != NULL)
        RV_TRY(rv_json_parse(c->optimizer_rules, strlen(c->optimizer_rules), "optimizer_rules", &rules, err));
    int failed = json_object_set_new(all, "workload", json_string(c->workload->name));
    failed |= json_object_set_new(all, "workload_params", rv_params_to_json(c->workload->params, c->workload_params));
    failed |= json_object_set_new(all, "optimizer", json_string(c->optimizer));
    failed |= json_object_set(all, "optimizer_params", d->optimizer_params);
    failed |= rules == NULL ? 0 : json_object_set_new(all, "optimizer_rules", rules);
    if (d->wrappers != NULL)
        failed |= json_object_set(all, "wrappers", d->wrappers);
    if (json_object_size(d->schedules) > 0)
        failed |= json_object_set(all, "schedules", d->schedules);
    failed |= json_object_set_new(all, "schedule", json_string(c->schedule->name));
    failed |= json_object_set_new(all, "schedule_params", rv_params_to_json(c->schedule->params, c->schedule_params));
    failed |= json_object_set_new(all, "train", rv_params_to_json(rv_train_table(), &c->train));
    rv_status status = failed != 0 ? RV_OK : rv_draft_restarts(d, restarts, all, err);
    if (status != RV_OK) {
        json_decref(all);
        return status;
    }
    c->text = failed != 0 ? NULL : rv_json_text(all, 2);
    /* Seeds of one configuration share the hash. */
    json_object_del(json_object_get(all, "train"), "seed");
    char *seedless = failed != 0 ? NULL : rv_json_text(all, 0);
    c->hash = seedless == NULL ? 0 : rv_hash(0, seedless, strlen(seedless));
    json_decref(all);
    failed |= c->text == NULL || seedless == NULL;
    free(seedless);
    return failed ? rv_draft_no_memory(err) : RV_OK;
}

static rv_status resolve(rv_draft *d, const json_t *config, bool environment, const char *const *overrides, int count,
                         rv_error *err)
{
    rv_config *c = d->config;
    json_t *recipe = NULL;
    RV_TRY(check_keys(config, "configuration", err));
    const char *workload = json_string_value(json_object_get(config, "workload"));
    if (workload == NULL)
        return rv_fail(err, RV_E_ARGUMENT, "configuration: \"workload\" is missing");
    RV_TRY(find_workload(workload, &c->workload, err));
    const char *text = c->workload->recipe == NULL ? "{}" : c->workload->recipe;
    RV_TRY(rv_json_parse(text, strlen(text), c->workload->name, &recipe, err));
    rv_status status = check_keys(recipe, c->workload->name, err);
    if (status == RV_OK)
        status = choose(d, config, recipe, err);
    if (status == RV_OK)
        status = apply(d, recipe, true, err);
    if (status == RV_OK)
        status = apply(d, config, false, err);
    json_decref(recipe);
    RV_TRY(status);
    if (environment)
        RV_TRY(rv_draft_set_environment(d, err));
    for (int i = 0; i < count; i++)
        RV_TRY(rv_draft_set(d, overrides[i], err));
    RV_TRY(complete_optimizer(d, err));
    return write_text(d, json_object_get(config, "restarts"), err);
}

rv_status rv_config_resolve(rv_config *config, const char *text, bool environment, const char *const *overrides,
                            int count, rv_error *err)
{
    *config = (rv_config){0};
    json_t *given = NULL;
    RV_TRY(rv_json_parse(text, strlen(text), "configuration", &given, err));
    rv_draft d = {.config = config};
    rv_status status = resolve(&d, given, environment, overrides, count, err);
    json_decref(d.optimizer_params);
    json_decref(d.wrappers);
    json_decref(d.schedules);
    json_decref(given);
    return status;
}

void rv_config_release(rv_config *config)
{
    free(config->workload_params);
    free(config->optimizer_params);
    free(config->optimizer_rules);
    free(config->schedule_params);
    free(config->wrappers);
    rv_scheduled_release(config);
    rv_restarts_release(config);
    free(config->text);
    *config = (rv_config){0};
}

rv_status rv_config_objective(const rv_config *config, const char *data, rv_pool *pool,
                              void (*note)(void *, const char *), void *context, rv_objective **out, rv_error *err)
{
    enum { F32, BF16, F64 }; /* as in the table */
    const rv_train_params *p = &config->train;
    rv_workload_env env = {.data = data,
                           .pool = pool,
                           .backend = p->precision == F64 ? RV_BACKEND_REF : RV_BACKEND_CPU,
                           .bf16 = p->precision == BF16,
                           .batch = p->batch,
                           .note = note,
                           .note_context = context};
    return config->workload->make(config->workload_params, &env, out, err);
}

rv_dtype rv_config_state_dtype(const rv_config *config)
{
    return config->train.state_dtype == 1 ? RV_BF16 : RV_F32;
}

void rv_config_id(const rv_config *config, char *id, size_t size)
{
    snprintf(id, size, "%s-%s-%08x-s%lld", config->workload->name, config->optimizer, (unsigned)config->hash,
             (long long)config->train.seed);
}

rv_status rv_trial_resolve(const char *config, const char *const *overrides, int count, char **resolved, rv_error *err)
{
    rv_config whole;
    *resolved = NULL;
    rv_status status = rv_config_resolve(&whole, config, true, overrides, count, err);
    if (status == RV_OK) {
        *resolved = whole.text;
        whole.text = NULL;
    }
    rv_config_release(&whole);
    return status;
}

void rv_trial_id(const char *resolved, char *id, size_t size)
{
    rv_config config;
    if (rv_config_resolve(&config, resolved, false, NULL, 0, NULL) == RV_OK)
        rv_config_id(&config, id, size);
    else
        snprintf(id, size, "invalid");
    rv_config_release(&config);
}
