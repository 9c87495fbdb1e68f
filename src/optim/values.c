/* Parameters while training, and the configuration as it was resolved.  Invariant: a
 * value that was set passes the same checks as at configuration and leaves the state's
 * shapes as they are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "optim/optimizer.h"

void rv_optimizer_set_lr_factor(rv_optimizer *o, double factor)
{
    o->lr_factor = factor;
}

static bool same_slots(const rv_group *group)
{
    for (int i = 0; i < group->count; i++) {
        for (int k = 0; k < group->method->slot_count; k++) {
            rv_shape shape = {0};
            const rv_shape *have = &group->slot_shapes[i * group->method->slot_count + k];
            const bool present = rv_group_slot_shape(group, i, k, &shape);
            if (present != (have->rank >= 0) || (present && !rv_shape_equal(&shape, have)))
                return false;
        }
    }
    return true;
}

static rv_status set_in_group(rv_group *group, const char *field, double value, rv_error *err)
{
    const rv_param_table *table = group->method->info.params;
    const rv_param *row = rv_params_find(table, field);
    char before[RV_PARAM_TEXT_SIZE] = "";
    if (row)
        rv_params_get(row, group->params, before, sizeof before);
    RV_TRY(rv_params_set_number(table, group->params, field, value, err));
    rv_status status = group->method->check ? group->method->check(group->params, err) : RV_OK;
    if (status == RV_OK && !same_slots(group))
        status = rv_fail(err, RV_E_ARGUMENT,
                         "%s.%s: this change needs other state; give it when the optimizer is made", group->label, field);
    if (status != RV_OK)
        (void)rv_params_set(table, group->params, field, before, NULL);
    return status;
}

rv_status rv_optimizer_set(rv_optimizer *o, const char *name, double value, rv_error *err)
{
    bool found = false;
    for (int k = 0; k < rv_groups_all(o); k++) {
        const char *field;
        if (!rv_group_addressed(o, &o->groups[k], name, &field))
            continue;
        found = true;
        RV_TRY(set_in_group(&o->groups[k], field, value, err));
    }
    return found ? RV_OK : rv_groups_not_addressed(o, name, err);
}

rv_status rv_optimizer_get(const rv_optimizer *o, const char *name, double *value, rv_error *err)
{
    for (int k = 0; k < rv_groups_all(o); k++) {
        const rv_group *group = &o->groups[k];
        const char *field;
        if (!rv_group_addressed(o, group, name, &field))
            continue;
        const rv_param *row = rv_params_find(group->method->info.params, field);
        if (!row)
            return rv_fail(err, RV_E_UNKNOWN, "%s has no parameter '%s'", group->label, field);
        const char *at = (const char *)group->params + row->offset;
        switch (row->type) {
        case RV_PARAM_REAL: *value = *(const double *)at; break;
        case RV_PARAM_INT: *value = (double)*(const int64_t *)at; break;
        case RV_PARAM_BOOL: *value = *(const bool *)at; break;
        case RV_PARAM_CHOICE: *value = *(const int *)at; break;
        case RV_PARAM_TEXT: return rv_fail(err, RV_E_ARGUMENT, "%s.%s is not a number", group->label, field);
        }
        if (strcmp(field, "lr") == 0)
            *value *= o->lr_factor;
        return RV_OK;
    }
    return rv_groups_not_addressed(o, name, err);
}

/* ---- what was made ----------------------------------------------------- */

static double param_or_nan(const rv_group *group, const char *name)
{
    const rv_param *row = rv_params_find(group->method->info.params, name);
    return row ? *(const double *)((const char *)group->params + row->offset) : (double)NAN;
}

int rv_optimizer_rows(const rv_optimizer *o, rv_optimizer_row *rows, int capacity)
{
    for (int k = 0; k < rv_groups_all(o); k++) {
        const rv_group *group = &o->groups[k];
        for (int i = 0; i < group->count; i++) {
            if (group->index[i] >= capacity)
                continue;
            size_t bytes = 0;
            for (int s = 0; s < group->method->slot_count; s++)
                bytes += rv_slot_bytes(o, group, i, s);
            if (group->wrapper) {
                rows[group->index[i]].bytes += bytes;
                continue;
            }
            rows[group->index[i]] = (rv_optimizer_row){.tensor = group->tensors[i].name,
                                                       .role = rv_role_name(group->tensors[i].role),
                                                       .method = group->method->info.name,
                                                       .shape = group->tensors[i].shape,
                                                       .lr = param_or_nan(group, "lr"),
                                                       .weight_decay = param_or_nan(group, "weight_decay"),
                                                       .bytes = bytes};
        }
    }
    return o->count;
}

static json_t *rule_json(const rv_group *group)
{
    json_t *rule = json_object();
    if (group->rule.name)
        json_object_set_new(rule, "name", json_string(group->rule.name));
    if (group->rule.roles) {
        json_t *roles = json_array();
        for (int i = 0; i < RV_ROLE_COUNT; i++)
            if (group->rule.roles & RV_ROLE_BIT(i))
                json_array_append_new(roles, json_string(rv_role_name((rv_role)i)));
        json_object_set_new(rule, "role", roles);
    }
    if (group->rule.rank_min > 0 || group->rule.rank_max < RV_MAX_RANK)
        json_object_set_new(rule, "rank", json_pack("[i,i]", group->rule.rank_min, group->rule.rank_max));
    if (group->rule.layered)
        json_object_set_new(rule, "layer", json_true());
    json_object_set_new(rule, "method",
                        json_sprintf("%s@%d", group->method->info.name, group->method->info.version));
    json_object_set_new(rule, "params", rv_params_to_json(group->method->info.params, group->params));
    return rule;
}

static json_t *wrappers_json(const rv_optimizer *o)
{
    json_t *list = json_array();
    for (int k = o->group_count; k < rv_groups_all(o); k++) {
        const rv_group *group = &o->groups[k];
        json_t *params = rv_params_to_json(group->method->info.params, group->params);
        json_array_append_new(list, json_pack("{s:o, s:o}", "name",
                                              json_sprintf("%s@%d", group->method->info.name, group->method->info.version),
                                              "params", params));
    }
    return list;
}

char *rv_optimizer_config(const rv_optimizer *o)
{
    json_t *config = json_object(), *rules = json_array();
    json_t *params = NULL;
    for (int k = 0; k < o->group_count; k++) {
        if (!params && o->groups[k].method == o->method)
            params = rv_params_to_json(o->method->info.params, o->groups[k].params);
        json_array_append_new(rules, rule_json(&o->groups[k]));
    }
    json_object_set_new(config, "method", json_string(o->method->info.name));
    json_object_set_new(config, "version", json_integer(o->method->info.version));
    json_object_set_new(config, "params", params ? params : json_object());
    if (o->state_dtype == RV_BF16)
        json_object_set_new(config, "state_dtype", json_string(rv_dtype_name(o->state_dtype)));
    if (o->wrapper_count > 0)
        json_object_set_new(config, "wrappers", wrappers_json(o));
    json_object_set_new(config, "rules", rules);
    char *text = rv_json_text(config, 0);
    json_decref(config);
    return text;
}
