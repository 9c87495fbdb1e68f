/* From the names and values of a reference to ours.  Invariant: nothing is guessed; a name
 * that no table has goes through as it is, and the method refuses what it does not know. */
#include "optim/verify_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "optim/verify_words.h"

typedef struct replay {
    const char *optimizer, *method, *wrapper, *params, *required, *rename; /* wrapper NULL: none */
} replay;

/* The wrapped first: they demand what tells them from the others. */
static const replay replays[] = {
#define RV_REPLAY_WRAPPED(optimizer, method, wrapper, params, required, rename) \
    {optimizer, method, wrapper, params, required, rename},
#include "optim/verify_wrappers.def"
#undef RV_REPLAY_WRAPPED
#define RV_REPLAY(optimizer, method, params, required) {optimizer, method, NULL, params, required, "{}"},
#include "optim/verify.def"
#undef RV_REPLAY
};

typedef struct mapping {
    const replay *row;
    const char *optimizer;
    const json_t *file;
    json_t *required, *rename; /* of the row */
    json_t *options;           /* of the map that is made */
} mapping;

/* ---- which row ---------------------------------------------------------- */

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b) != 0;
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; i < json_array_size(a) && same; i++)
        same = same_value(json_array_get(a, i), json_array_get(b, i));
    return same;
}

/* Whether every required value reads so in hyper or, for a wrapped method, in the reference.  It may
 * be absent, but not for a wrapped method nor where the key is "+key". */
static bool fits(const mapping *m, const json_t *hyper)
{
    const bool wrapped = m->row->wrapper != NULL;
    const char *key;
    json_t *value;
    json_object_foreach(m->required, key, value)
    {
        const bool needed = wrapped || key[0] == '+';
        const char *name = key + (key[0] == '+');
        const json_t *found = json_object_get(hyper, name);
        if (json_is_null(value))
            continue;
        if (!found && wrapped)
            found = json_object_get(json_object_get(m->file, "reference"), name);
        if (found ? !same_value(found, value) : needed)
            return false;
    }
    return true;
}

/* ---- its parameters ----------------------------------------------------- */

/* Names that references have for one or several numbers of ours. */
static const struct {
    const char *theirs, *ours[3];
} names[] = {
    {"betas", {"beta1", "beta2", "beta3"}},
    {"beta", {"beta1"}},
    {"b1", {"beta1"}},
    {"b2", {"beta2"}},
    {"learning_rate", {"lr"}},
    {"inv_update_steps", {"inverse_update_steps"}},
    {"etas", {"shrink", "grow"}},
    {"step_sizes", {"step_min", "step_max"}},
};

static bool has_param(const rv_method_info *info, const char *key)
{
    return info && rv_params_find(info->params, key);
}

/* The wrapper of the row if the parameter is its own. */
static const rv_method_info *wrapper_with(const mapping *m, const char *key)
{
    const rv_method_info *wrapper = m->row->wrapper ? rv_wrapper_find(m->row->wrapper) : NULL;
    return has_param(wrapper, key) ? wrapper : NULL;
}

/* One parameter under our name; the wrapper's own are addressed to it. */
static void put(mapping *m, const char *prefix, const char *key, json_t *value)
{
    char name[3 * RV_NAME_SIZE];
    const rv_method_info *wrapper = *prefix ? NULL : wrapper_with(m, key);
    snprintf(name, sizeof name, "%s%s%s%s", prefix, wrapper ? wrapper->name : "", wrapper ? "." : "", key);
    json_object_set(m->options, name, value);
}

/* Puts what a name of the table stands for; false: it is not there, or the method or wrapper itself has it. */
static bool put_known(mapping *m, const char *prefix, const char *key, json_t *value)
{
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] && strcmp(names[i].theirs, key) != 0)
        i++;
    if (i == sizeof names / sizeof names[0] || has_param(rv_method_find(m->row->method), key) || wrapper_with(m, key))
        return false;
    for (size_t k = 0; k < 3 && names[i].ours[k]; k++) {
        json_t *number = json_is_array(value) ? json_array_get(value, k) : k == 0 ? value : NULL;
        if (number)
            put(m, prefix, names[i].ours[k], number);
    }
    return true;
}

/* "AdamW lr=0.01 betas=(0.9,0.999) eps=1e-8 wd=0.1 (torch)": the method that is wrapped. */
static void put_base(mapping *m, const char *text)
{
    static const struct {
        const char *theirs, *format;
        const char *ours[2];
    } keys[] = {{" lr=", "%lf", {"lr", NULL}},
                {" betas=", "(%lf,%lf)", {"beta1", "beta2"}},
                {" eps=", "%lf", {"eps", NULL}},
                {" wd=", "%lf", {"weight_decay", NULL}}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        double value[2];
        const char *at = strstr(text, keys[i].theirs);
        const int found = at ? sscanf(at + strlen(keys[i].theirs), keys[i].format, &value[0], &value[1]) : 0;
        for (int k = 0; k < found; k++)
            json_object_set_new(m->options, keys[i].ours[k], json_real(value[k]));
    }
}

/* The groups "adam" and "muon" are adamw and the method itself. */
static const char *owner_of(const mapping *m, const char *group)
{
    const char *renamed = json_string_value(json_object_get(m->rename, group));
    return strcmp(group, "adam") == 0 ? "adamw" : strcmp(group, "muon") == 0 ? m->row->method : renamed ? renamed : group;
}

static void put_all(mapping *m, const char *prefix, const json_t *hyper)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)hyper, key, value)
    {
        const char *renamed = json_string_value(json_object_get(m->rename, key));
        if (json_is_null(value) || json_object_get(m->required, key) || (*prefix && strcmp(key, "params") == 0))
            continue;
        if (!*prefix && rv_verify_word(m->optimizer, key, value, m->options))
            continue;
        if (json_is_object(value) && !*prefix) {
            char group[2 * RV_NAME_SIZE];
            snprintf(group, sizeof group, "%s.", owner_of(m, key));
            put_all(m, group, value);
        } else if (m->row->wrapper && strcmp(key, "base") == 0 && json_is_string(value)) {
            put_base(m, json_string_value(value));
        } else if (!put_known(m, prefix, key, value)) {
            put(m, prefix, renamed ? renamed : key, value);
        }
    }
}

/* ---- the whole ---------------------------------------------------------- */

/* Takes what is no parameter out of the row's parameters: "@rules", "@params". */
static rv_status take_directions(rv_verify_map *map, rv_error *err)
{
    const json_t *rules = json_object_get(map->options, "@rules");
    map->averaged = json_object_get(map->options, "@params") != NULL;
    if (rules && !(map->rules = rv_json_text(rules, 0)))
        return rv_fail(err, RV_E_MEMORY, "verify: out of memory");
    json_object_del(map->options, "@rules");
    json_object_del(map->options, "@params");
    return RV_OK;
}

static rv_status take_row(mapping *m, rv_verify_map *out, const json_t *hyper, rv_error *err)
{
    out->method = m->row->method;
    out->wrapper = m->row->wrapper;
    RV_TRY(rv_json_parse(m->row->params, strlen(m->row->params), "verify.def", &out->options, err));
    RV_TRY(rv_json_parse(m->row->rename, strlen(m->row->rename), "verify.def", &m->rename, err));
    RV_TRY(take_directions(out, err));
    m->options = out->options;
    put_all(m, "", hyper);
    return RV_OK;
}

static rv_status find_row(mapping *m, const char *path, rv_verify_map *out, const json_t *hyper, rv_error *err)
{
    for (size_t i = 0; i < sizeof replays / sizeof replays[0]; i++) {
        m->row = &replays[i];
        if (strcmp(m->row->optimizer, m->optimizer) != 0)
            continue;
        json_decref(m->required);
        m->required = NULL;
        RV_TRY(rv_json_parse(m->row->required, strlen(m->row->required), "verify.def", &m->required, err));
        if (fits(m, hyper))
            return take_row(m, out, hyper, err);
    }
    char *text = rv_json_text(hyper, 0);
    const rv_status status = rv_fail(err, RV_E_UNKNOWN, "%s: no method here replays '%s' with %s", path, m->optimizer,
                                     text ? text : "these hyperparameters");
    free(text);
    return status;
}

rv_status rv_verify_map_make(rv_verify_map *out, const char *path, const json_t *file, const char *optimizer,
                             const json_t *hyper, rv_error *err)
{
    mapping m = {.file = file, .optimizer = optimizer};
    *out = (rv_verify_map){0};
    const rv_status status = find_row(&m, path, out, hyper, err);
    json_decref(m.required);
    json_decref(m.rename);
    return status;
}

void rv_verify_map_release(rv_verify_map *map)
{
    json_decref(map->options);
    free(map->rules);
}
