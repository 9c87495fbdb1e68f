/* Which tensor gets which method, and with which parameters.  Invariant: there is one
 * group per rule, in order; parameters come from the method's defaults, then the
 * method's own rule list, then the options, then the rules that the user wrote. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "optim/optimizer.h"

int rv_groups_match(const rv_optimizer *o, const rv_tensor *tensor, bool layered)
{
    for (int k = 0; k < o->group_count; k++) {
        const rv_rule *rule = &o->groups[k].rule;
        if (rule->name && !rv_text_match(rule->name, tensor->name))
            continue;
        if ((rule->roles && !(rule->roles & RV_ROLE_BIT(tensor->role))) || (rule->layered && !layered))
            continue;
        if (tensor->shape.rank >= rule->rank_min && tensor->shape.rank <= rule->rank_max)
            return k;
    }
    return -1;
}

void rv_groups_free(rv_optimizer *o)
{
    for (int k = 0; k < rv_groups_all(o); k++) {
        rv_group *g = &o->groups[k];
        void *const owned[] = {g->glob,    g->params,   g->tensors,     g->index,    g->w,       g->g,
                               g->slots,   g->slot_shapes, g->pieces,   g->spans,    g->faults,  g->partial,
                               g->tensor_sums, g->filtered, g->scratch, g->probe.w,  g->probe.g, g->probe.own_w,
                               g->probe.own_g, g->chunks, g->decided, g->room, g->layers, g->order};
        for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
            free(owned[i]);
    }
    free(o->groups);
}

rv_status rv_group_init(rv_optimizer *o, rv_group *group, rv_error *err)
{
    const rv_method_info *info = &group->method->info;
    int same = 1;
    for (const rv_group *other = o->groups; other < group; other++)
        same += strcmp(other->method->info.name, info->name) == 0;
    if (same == 1)
        snprintf(group->label, sizeof group->label, "%s", info->name);
    else
        snprintf(group->label, sizeof group->label, "%s#%d", info->name, same);
    group->params = calloc(1, info->params->size + 1);
    if (!group->params)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_params_init(info->params, group->params);
    return RV_OK;
}

/* ---- parameters: "a=b,c=d" or JSON, flattened to names and texts -------- */

bool rv_group_addressed(const rv_optimizer *o, const rv_group *group, const char *name, const char **field)
{
    const char *dot = strchr(name, '.');
    *field = dot ? dot + 1 : name;
    if (!dot)
        return group->method == o->method && !group->wrapper;
    const size_t n = (size_t)(dot - name);
    return (strlen(group->label) == n && strncmp(name, group->label, n) == 0) ||
           (strlen(group->method->info.name) == n && strncmp(name, group->method->info.name, n) == 0);
}

rv_status rv_groups_not_addressed(const rv_optimizer *o, const char *name, rv_error *err)
{
    rv_text uses = {0};
    for (int k = 0; k < rv_groups_all(o); k++)
        rv_text_format(&uses, "%s%s", k ? ", " : "", o->groups[k].label);
    const rv_status status = rv_fail(err, RV_E_UNKNOWN, "parameter '%s': no rule uses %s%s; in use: %s", name,
                                     strchr(name, '.') ? "that method" : "method ",
                                     strchr(name, '.') ? "" : o->method->info.name, uses.data ? uses.data : "");
    rv_text_release(&uses);
    return status;
}

static rv_status set_param(rv_optimizer *o, const char *name, const char *text, rv_error *err)
{
    bool found = false;
    for (int k = 0; k < rv_groups_all(o); k++) {
        const char *field;
        rv_group *group = &o->groups[k];
        if (!rv_group_addressed(o, group, name, &field))
            continue;
        found = true;
        RV_TRY(rv_params_set(group->method->info.params, group->params, field, text, err));
    }
    return found ? RV_OK : rv_groups_not_addressed(o, name, err);
}

static rv_status set_json(rv_optimizer *o, const char *prefix, const json_t *object, rv_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char name[2 * RV_NAME_SIZE], number[40];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
        const char *text = number;
        if (json_is_object(value) && !*prefix) {
            RV_TRY(set_json(o, key, value, err));
            continue;
        }
        if (json_is_string(value))
            text = json_string_value(value);
        else if (json_is_boolean(value))
            text = json_is_true(value) ? "true" : "false";
        else if (json_is_integer(value))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        else if (json_is_real(value))
            rv_json_number(json_real_value(value), number, sizeof number);
        else
            return rv_fail(err, RV_E_ARGUMENT, "parameter '%s': expected a number, true, false or a string", name);
        RV_TRY(set_param(o, name, text, err));
    }
    return RV_OK;
}

static rv_status set_list(rv_optimizer *o, char *list, rv_error *err)
{
    char *rest = NULL;
    for (char *item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
        item += strspn(item, " \t\n");
        if (!*item)
            continue;
        char *equals = strchr(item, '=');
        if (!equals)
            return rv_fail(err, RV_E_ARGUMENT, "parameter '%s': expected name=value", item);
        char *end = equals;
        while (end > item && strchr(" \t\n", end[-1]))
            end--;
        *end = 0;
        char *value = equals + 1 + strspn(equals + 1, " \t\n");
        for (end = value + strlen(value); end > value && strchr(" \t\n", end[-1]);)
            *--end = 0;
        RV_TRY(set_param(o, item, value, err));
    }
    return RV_OK;
}

static rv_status set_text(rv_optimizer *o, const char *text, rv_error *err)
{
    if (!text)
        return RV_OK;
    if (text[strspn(text, " \t\n")] == '{') {
        json_t *object = NULL;
        RV_TRY(rv_json_parse(text, strlen(text), "optimizer parameters", &object, err));
        const rv_status status = set_json(o, "", object, err);
        json_decref(object);
        return status;
    }
    char *copy = strdup(text);
    if (!copy)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    const rv_status status = set_list(o, copy, err);
    free(copy);
    return status;
}

/* Parameters of one rule, addressed to its own group. */
static rv_status set_rule_text(rv_group *group, const char *text, rv_error *err)
{
    rv_optimizer only = {.method = group->method, .group_count = 1, .groups = group};
    return set_text(&only, text, err);
}

rv_status rv_group_set_json(rv_group *group, const json_t *params, rv_error *err)
{
    rv_optimizer only = {.method = group->method, .group_count = 1, .groups = group};
    if (json_is_string(params))
        return set_rule_text(group, json_string_value(params), err);
    if (!json_is_object(params))
        return rv_fail(err, RV_E_ARGUMENT, "rule: params must be an object or \"name=value,...\"");
    return set_json(&only, "", params, err);
}

/* ---- rules ------------------------------------------------------------- */

static rv_status role_bit(const char *name, unsigned *bits, rv_error *err)
{
    const char *names[RV_ROLE_COUNT];
    for (int i = 0; i < RV_ROLE_COUNT; i++) {
        names[i] = rv_role_name((rv_role)i);
        if (name && strcmp(name, names[i]) == 0) {
            *bits |= RV_ROLE_BIT(i);
            return RV_OK;
        }
    }
    const char *near = name ? rv_text_nearest(name, names, RV_ROLE_COUNT) : NULL;
    return rv_fail(err, RV_E_UNKNOWN, "rule: no role is called '%s'%s%s%s", name ? name : "(not a string)",
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static rv_status rule_roles(const json_t *value, unsigned *bits, rv_error *err)
{
    if (!json_is_array(value))
        return role_bit(json_string_value(value), bits, err);
    for (size_t i = 0; i < json_array_size(value); i++)
        RV_TRY(role_bit(json_string_value(json_array_get(value, i)), bits, err));
    return RV_OK;
}

static rv_status rule_rank(const json_t *value, rv_rule *rule, rv_error *err)
{
    const json_t *lo = value, *hi = value;
    if (json_array_size(value) == 2) {
        lo = json_array_get(value, 0);
        hi = json_array_get(value, 1);
    }
    if (!json_is_integer(lo) || !json_is_integer(hi) || json_integer_value(lo) < 0 ||
        json_integer_value(hi) > RV_MAX_RANK || json_integer_value(lo) > json_integer_value(hi))
        return rv_fail(err, RV_E_ARGUMENT, "rule: rank must be N or [MIN, MAX] between 0 and %d", RV_MAX_RANK);
    rule->rank_min = (int)json_integer_value(lo);
    rule->rank_max = (int)json_integer_value(hi);
    return RV_OK;
}

static rv_status group_from_json(rv_optimizer *o, rv_group *group, const json_t *object, rv_error *err)
{
    static const char *const keys[] = {"name", "role", "rank", "layer", "method", "params"};
    const char *key;
    json_t *value;
    if (!json_is_object(object) || !json_is_string(json_object_get(object, "method")))
        return rv_fail(err, RV_E_ARGUMENT, "rule %d: expected an object with \"method\"", (int)(group - o->groups));
    group->rule.rank_max = RV_MAX_RANK;
    RV_TRY(rv_method_lookup(json_string_value(json_object_get(object, "method")), &group->method, err));
    RV_TRY(rv_group_init(o, group, err));
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (strcmp(key, "name") == 0) {
            group->glob = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
            if (!group->glob)
                return rv_fail(err, RV_E_ARGUMENT, "rule: name must be a glob");
            group->rule.name = group->glob;
        } else if (strcmp(key, "role") == 0) {
            RV_TRY(rule_roles(value, &group->rule.roles, err));
        } else if (strcmp(key, "rank") == 0) {
            RV_TRY(rule_rank(value, &group->rule, err));
        } else if (strcmp(key, "layer") == 0) {
            if (!json_is_boolean(value))
                return rv_fail(err, RV_E_ARGUMENT, "rule: layer must be true or false");
            group->rule.layered = json_is_true(value);
        } else if (strcmp(key, "method") != 0 && strcmp(key, "params") != 0) {
            const char *near = rv_text_nearest(key, keys, sizeof keys / sizeof keys[0]);
            return rv_fail(err, RV_E_UNKNOWN, "rule: no key is called '%s'%s%s%s", key,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
    }
    return RV_OK;
}

static rv_status groups_from_json(rv_optimizer *o, const json_t *list, rv_error *err)
{
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > 4096)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer rules: expected a list of 1 to 4096 rules");
    o->groups = calloc(json_array_size(list) + RV_MAX_WRAPPERS, sizeof *o->groups);
    if (!o->groups)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (size_t i = 0; i < json_array_size(list); i++) {
        o->group_count++;
        RV_TRY(group_from_json(o, &o->groups[i], json_array_get(list, i), err));
    }
    return RV_OK;
}

static rv_status set_rules_own(rv_optimizer *o, const json_t *list, rv_error *err)
{
    for (int k = 0; k < o->group_count; k++) {
        const json_t *own = json_object_get(json_array_get(list, (size_t)k), "params");
        if (own)
            RV_TRY(rv_group_set_json(&o->groups[k], own, err));
    }
    return RV_OK;
}

static rv_status groups_of_method(rv_optimizer *o, rv_error *err)
{
    const rv_rule all = {.rank_max = RV_MAX_RANK};
    const rv_rule *rules = o->method->rules ? o->method->rules : &all;
    const int count = o->method->rules ? o->method->rule_count : 1;
    o->groups = calloc((size_t)count + RV_MAX_WRAPPERS, sizeof *o->groups);
    if (!o->groups)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int k = 0; k < count; k++) {
        o->group_count++;
        o->groups[k].rule = rules[k];
        if (rules[k].method)
            RV_TRY(rv_method_lookup(rules[k].method, &o->groups[k].method, err));
        else
            o->groups[k].method = o->method;
        RV_TRY(rv_group_init(o, &o->groups[k], err));
        RV_TRY(set_rule_text(&o->groups[k], rules[k].params, err));
    }
    return RV_OK;
}

rv_status rv_groups_new(rv_optimizer *o, const rv_optimizer_options *options, rv_error *err)
{
    json_t *list = NULL;
    if (options->rules)
        RV_TRY(rv_json_parse(options->rules, strlen(options->rules), "optimizer rules", &list, err));
    rv_status status = list ? groups_from_json(o, list, err) : groups_of_method(o, err);
    if (status == RV_OK)
        status = rv_wrappers_new(o, options->wrappers, err);
    if (status == RV_OK)
        status = set_text(o, options->params, err);
    if (status == RV_OK && list)
        status = set_rules_own(o, list, err);
    json_decref(list);
    RV_TRY(status);
    for (int k = 0; k < rv_groups_all(o); k++)
        if (o->groups[k].method->check)
            RV_TRY(o->groups[k].method->check(o->groups[k].params, err));
    return RV_OK;
}
