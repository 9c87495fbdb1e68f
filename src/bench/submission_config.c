/* What a point of a submission means: its configuration on a problem.  Invariant: parameters belong to
 * the method they were given for, and what is not given is the method's default. */
#include <stdlib.h>
#include <string.h>

#include "bench/submission.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/optim.h"

/* ---- expressions and cases ------------------------------------------------------------- */

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* Whether a case applies; its hyperparameters count as used. */
static rv_status case_holds(const json_t *when, const rv_scope *names, bool *holds, rv_error *err)
{
    const char *name;
    json_t *wanted, *value;
    *holds = true;
    json_object_foreach((json_t *)(uintptr_t)when, name, wanted)
    {
        RV_TRY(rv_expression_value(name, names, &value, err));
        *holds = *holds && same_value(value, wanted);
        json_decref(value);
    }
    return RV_OK;
}

rv_status rv_entrant_fill(const rv_entrant *e, const rv_scope *names, bool all, json_t **config, rv_error *err)
{
    size_t i;
    json_t *item, *part;
    rv_status status = rv_expression_fill(json_object_get(e->json, "config"), names, config, err);
    json_array_foreach(json_object_get(e->json, "cases"), i, item)
    {
        bool holds = false;
        if (status == RV_OK)
            status = case_holds(json_object_get(item, "when"), names, &holds, err);
        if (status != RV_OK || !(holds || all))
            continue;
        status = rv_expression_fill(json_object_get(item, "config"), names, &part, err);
        if (status == RV_OK && holds && rv_config_merge(*config, part) != 0)
            status = rv_fail(err, RV_E_MEMORY, "no memory for a configuration");
        json_decref(part);
    }
    if (status != RV_OK) {
        json_decref(*config);
        *config = NULL;
    }
    return status;
}

/* ---- on a problem -------------------------------------------------------------------- */

static void drop_unknown_params(json_t *config, const rv_workload *workload)
{
    json_t *params = json_object_get(config, "workload_params"), *value;
    const char *name;
    void *next;
    json_object_foreach_safe(params, next, name, value)
        if (!workload->params || !rv_params_find(workload->params, name))
            json_object_del(params, name);
    if (params && json_object_size(params) == 0)
        json_object_del(config, "workload_params");
}

/* The defaults of a table under what config says: what a workload's recipe says about the same method
 * is the recipe's tuning, not the submission's. */
static int complete_params(json_t *config, const char *key, const rv_param_table *table)
{
    void *values = malloc(table->size + 1);
    json_t *given = json_object_get(config, key), *all = NULL;
    if (values) {
        rv_params_init(table, values);
        all = rv_params_to_json(table, values);
    }
    free(values);
    if (!all || (given && json_object_update_recursive(all, given) != 0)) {
        json_decref(all);
        return -1;
    }
    return json_object_set_new(config, key, all);
}

static rv_status complete(json_t *config, rv_error *err)
{
    const char *optimizer = json_string_value(json_object_get(config, "optimizer"));
    const char *schedule = json_string_value(json_object_get(config, "schedule"));
    const rv_method_info *method = optimizer ? rv_method_find(optimizer) : NULL;
    const rv_schedule_info *rate = schedule ? rv_schedule_find(schedule) : NULL;
    int failed = method ? complete_params(config, "optimizer_params", method->params) : 0;
    failed |= rate ? complete_params(config, "schedule_params", rate->params) : 0;
    return failed ? rv_fail(err, RV_E_MEMORY, "no memory for a configuration") : RV_OK;
}

rv_status rv_entrant_config(const rv_entrant *e, const json_t *point, const json_t *given, const rv_workload *workload,
                            json_t **config, rv_error *err)
{
    const char *why = json_string_value(json_object_get(e->json, "unsupported"));
    rv_scope names = {.point = point, .given = given};
    *config = NULL;
    if (why)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s cannot run here: %s", e->name, why);
    RV_TRY(rv_entrant_fill(e, &names, false, config, err));
    drop_unknown_params(*config, workload);
    rv_status status = complete(*config, err);
    if (status != RV_OK) {
        json_decref(*config);
        *config = NULL;
    }
    return status;
}

double rv_entrant_batch(const rv_entrant *e, const char *problem)
{
    const char *glob;
    json_t *factor;
    json_object_foreach(json_object_get(e->json, "batch"), glob, factor)
        if (rv_text_match(glob, problem))
            return json_number_value(factor);
    return 1;
}

/* ---- what is missing ------------------------------------------------------------------- */

static void add_missing(const char *name, const void *found, rv_text *out)
{
    if (!found && name && (!out->data || !strstr(out->data, name)))
        rv_text_format(out, "%s%s", out->size > 0 ? ", " : "", name);
}

/* Wrappers as a list of objects; a text of them is for the optimizer to read. */
static void add_missing_of(const json_t *config, rv_text *out)
{
    const char *optimizer = json_string_value(json_object_get(config, "optimizer"));
    const char *schedule = json_string_value(json_object_get(config, "schedule"));
    size_t i;
    json_t *wrapper;
    add_missing(optimizer, optimizer ? rv_method_find(optimizer) : NULL, out);
    add_missing(schedule, schedule ? rv_schedule_find(schedule) : NULL, out);
    json_array_foreach(json_object_get(config, "wrappers"), i, wrapper)
    {
        const char *name = json_string_value(json_object_get(wrapper, "name"));
        add_missing(name, name ? rv_wrapper_find(name) : NULL, out);
    }
}

int rv_submission_missing(const char *json, char *text, size_t size)
{
    json_t *object = NULL, *item;
    size_t i;
    rv_text out = {0};
    if (rv_json_parse(json, strlen(json), "submission", &object, NULL) == RV_OK) {
        add_missing_of(json_object_get(object, "config"), &out);
        json_array_foreach(json_object_get(object, "cases"), i, item)
            add_missing_of(json_object_get(item, "config"), &out);
    }
    json_decref(object);
    int length = snprintf(text, size, "%s", out.data ? out.data : "");
    rv_text_release(&out);
    return length;
}
