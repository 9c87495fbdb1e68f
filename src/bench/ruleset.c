/* Rulesets from JSON.  Invariant: every key is known and of its type, so that a misspelt
 * rule is an error and not a rule that silently does not apply. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"

enum { MAX_DEPTH = 8, MAX_WORKLOADS = 4096 };

static rv_status bad(const char *source, const char *key, const char *expected, rv_error *err)
{
    return rv_fail(err, RV_E_FORMAT, "%s: '%s' must be %s", source, key, expected);
}

/* A number within [lo, hi]; what is absent stays as it is. */
static rv_status take_real(const json_t *object, const char *key, double lo, double hi, double *value,
                           const char *source, rv_error *err)
{
    const json_t *item = json_object_get(object, key);
    if (!item)
        return RV_OK;
    double number = json_is_number(item) ? json_number_value(item) : NAN;
    if (!(number >= lo && number <= hi))
        return rv_fail(err, RV_E_FORMAT, "%s: '%s' must be a number from %g to %g", source, key, lo, hi);
    *value = number;
    return RV_OK;
}

static rv_status take_int(const json_t *object, const char *key, int lo, int *value, const char *source, rv_error *err)
{
    double number = *value;
    RV_TRY(take_real(object, key, lo, 1e6, &number, source, err));
    if (number != floor(number))
        return bad(source, key, "a whole number", err);
    *value = (int)number;
    return RV_OK;
}

/* The place of a word in a list. */
static rv_status take_word(const json_t *value, const char *key, const char *const *words, int count, int *out,
                           const char *source, rv_error *err)
{
    const char *word = json_string_value(value);
    rv_text list = {0};
    for (int i = 0; i < count; i++) {
        if (word && strcmp(word, words[i]) == 0) {
            rv_text_release(&list);
            *out = i;
            return RV_OK;
        }
        rv_text_format(&list, "%s\"%s\"", i ? " or " : "", words[i]);
    }
    rv_status status = bad(source, key, list.failed ? "one of its words" : list.data, err);
    rv_text_release(&list);
    return status;
}

/* ---- inheritance ------------------------------------------------------------- */

/* Puts the ruleset that "extends" names under this one. */
static rv_status extend(json_t **object, const char *source, int depth, rv_error *err)
{
    const json_t *parent = json_object_get(*object, "extends");
    if (!json_is_object(*object))
        return rv_fail(err, RV_E_FORMAT, "%s: a ruleset must be a JSON object", source);
    if (!parent)
        return RV_OK;
    const char *name = json_string_value(parent), *text = name ? rv_ruleset_json(name) : NULL;
    if (!text || depth == MAX_DEPTH)
        return bad(source, "extends", "the name of a built-in ruleset", err);
    json_t *base = NULL;
    RV_TRY(rv_json_parse(text, strlen(text), name, &base, err));
    rv_status status = extend(&base, name, depth + 1, err);
    if (status == RV_OK && json_object_update_recursive(base, *object) != 0)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory", source);
    if (status != RV_OK) {
        json_decref(base);
        return status;
    }
    json_decref(*object);
    *object = base;
    return RV_OK;
}

/* ---- the parts --------------------------------------------------------------- */

static rv_status parse_workload(rv_ruleset_workload *w, const json_t *entry, double factor, const char *source,
                                rv_error *err)
{
    static const char *const keys[] = {"guards", "metric", "better", "target", "budget", "steps"};
    static const char *const directions[] = {"lower", "higher"};
    char where[300];
    snprintf(where, sizeof where, "%.200s: workload '%.80s'", source, w->name);
    if (!json_is_object(entry))
        return rv_fail(err, RV_E_FORMAT, "%s must be a JSON object", where);
    RV_TRY(rv_keys_check(entry, keys, 6, where, err));
    const json_t *guards = json_object_get(entry, "guards"), *metric = json_object_get(entry, "metric");
    if ((guards && !json_is_string(guards)) || (metric && !json_is_string(metric)))
        return bad(where, guards && !json_is_string(guards) ? "guards" : "metric", "text", err);
    w->guards = json_string_value(guards);
    w->metric = json_string_value(metric);
    w->target = w->budget = w->steps = NAN;
    int direction = 0;
    if (json_object_get(entry, "better"))
        RV_TRY(take_word(json_object_get(entry, "better"), "better", directions, 2, &direction, where, err));
    w->maximize = direction == 1;
    RV_TRY(take_real(entry, "target", -HUGE_VAL, HUGE_VAL, &w->target, where, err));
    RV_TRY(take_real(entry, "budget", 0, 1e12, &w->budget, where, err));
    RV_TRY(take_real(entry, "steps", 0, 1e15, &w->steps, where, err));
    w->budget *= factor;
    w->steps = floor(w->steps * factor);
    return RV_OK;
}

/* Base workloads first, each group in the order of the file. */
static rv_status parse_workloads(rv_ruleset *r, const json_t *list, const char *source, rv_error *err)
{
    const char *name;
    json_t *entry;
    if (!json_is_object(list) || json_object_size(list) > MAX_WORKLOADS)
        return bad(source, "workloads", "a JSON object", err);
    r->workloads = calloc(json_object_size(list) + 1, sizeof *r->workloads);
    if (!r->workloads)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its workloads", source);
    for (int held_out = 0; held_out < 2; held_out++) {
        json_object_foreach((json_t *)(uintptr_t)list, name, entry)
        {
            if ((json_object_get(entry, "guards") != NULL) != held_out)
                continue;
            rv_ruleset_workload *w = &r->workloads[r->workload_count++];
            w->name = name;
            RV_TRY(parse_workload(w, entry, r->budget_factor, source, err));
        }
        if (!held_out)
            r->base_count = r->workload_count;
    }
    for (int i = r->base_count; i < r->workload_count; i++) {
        int base = rv_ruleset_find(r, r->workloads[i].guards);
        if (base < 0 || base >= r->base_count)
            return rv_fail(err, RV_E_FORMAT, "%s: '%s' guards '%s', which is no base workload", source,
                           r->workloads[i].name, r->workloads[i].guards);
    }
    return RV_OK;
}

static rv_status parse_rules(rv_ruleset *r, const json_t *list, const char *source, rv_error *err)
{
    static const char *const names[] = {"held_out_needs_base", "cut", "base_needs_held_out"};
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count > RV_SCORE_RULES)
        return bad(source, "rules", "a list of at most three rules", err);
    for (size_t i = 0; i < count; i++) {
        int rule = 0;
        RV_TRY(take_word(json_array_get(list, i), "rules", names, RV_SCORE_RULES, &rule, source, err));
        for (int k = 0; k < r->rule_count; k++)
            if ((int)r->rules[k] == rule)
                return bad(source, "rules", "a list in which no rule stands twice", err);
        r->rules[r->rule_count++] = (rv_score_rule)rule;
    }
    return RV_OK;
}

static rv_status parse_texts(rv_ruleset *r, const json_t *object, const char *source, rv_error *err)
{
    const struct {
        const char *key, **to;
    } texts[] = {{"name", &r->name}, {"title", &r->title}, {"source", &r->source}, {"clock", &r->clock}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i].to = json_string_value(json_object_get(object, texts[i].key));
        if (!*texts[i].to)
            return bad(source, texts[i].key, "text", err);
    }
    return RV_OK;
}

static rv_status parse(rv_ruleset *r, const json_t *object, const char *source, rv_error *err)
{
    static const char *const keys[] = {"name",    "title",         "source", "extends",  "tuning", "studies",
                                       "trials",  "budget_factor", "clock",  "pick",     "rules",  "cut",
                                       "tau_max", "points",        "miss",   "workloads"};
    static const char *const tunings[] = {"external", "self"}, *const picks[] = {"evaluation", "time", "setting"};
    int tuning = 0, pick = 0;
    char where[300];
    snprintf(where, sizeof where, "%.200s: a ruleset", source);
    RV_TRY(rv_keys_check(object, keys, sizeof keys / sizeof keys[0], where, err));
    RV_TRY(parse_texts(r, object, source, err));
    RV_TRY(take_word(json_object_get(object, "tuning"), "tuning", tunings, 2, &tuning, source, err));
    RV_TRY(take_word(json_object_get(object, "pick"), "pick", picks, 3, &pick, source, err));
    r->self_tuning = tuning == 1;
    r->pick = (rv_pick)pick;
    RV_TRY(take_int(object, "studies", 1, &r->studies, source, err));
    RV_TRY(take_int(object, "trials", 1, &r->trials, source, err));
    RV_TRY(take_int(object, "points", 0, &r->points, source, err));
    RV_TRY(take_real(object, "budget_factor", 1e-6, 1e6, &r->budget_factor, source, err));
    RV_TRY(take_real(object, "cut", 1, 1e12, &r->cut, source, err));
    RV_TRY(take_real(object, "tau_max", 1, 1e12, &r->tau_max, source, err));
    RV_TRY(take_real(object, "miss", 0, 1e12, &r->miss, source, err));
    if (!(r->tau_max > 1))
        return bad(source, "tau_max", "more than 1", err);
    if (r->points == 1)
        return bad(source, "points", "0 (the exact integral) or at least 2", err);
    RV_TRY(parse_rules(r, json_object_get(object, "rules"), source, err));
    return parse_workloads(r, json_object_get(object, "workloads"), source, err);
}

/* Takes the reference to object. */
static rv_status make(rv_ruleset **out, json_t *object, const char *source, rv_error *err)
{
    rv_status status = extend(&object, source, 0, err);
    rv_ruleset *r = status == RV_OK ? calloc(1, sizeof *r) : NULL;
    if (status == RV_OK && !r)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory", source);
    if (status != RV_OK) {
        json_decref(object);
        return status;
    }
    *r = (rv_ruleset){.studies = 1, .trials = 1, .budget_factor = 1, .cut = 4, .tau_max = 4, .owner = object};
    status = parse(r, object, source, err);
    if (status != RV_OK) {
        rv_ruleset_free(r);
        return status;
    }
    *out = r;
    return RV_OK;
}

rv_status rv_ruleset_parse(rv_ruleset **out, const char *json, const char *source, rv_error *err)
{
    json_t *object = NULL;
    *out = NULL;
    RV_TRY(rv_json_parse(json, strlen(json), source, &object, err));
    return make(out, object, source, err);
}

rv_status rv_ruleset_load(rv_ruleset **out, const char *name, rv_error *err)
{
    const char *text = rv_ruleset_json(name), *names[64];
    int count = 0;
    json_t *object = NULL;
    *out = NULL;
    if (text)
        return rv_ruleset_parse(out, text, name, err);
    size_t length = strlen(name);
    if (length >= 5 && strcmp(name + length - 5, ".json") == 0) {
        RV_TRY(rv_json_read(name, &object, err));
        return make(out, object, name, err);
    }
    for (; rv_ruleset_name(count) && count < 62; count++)
        names[count] = rv_ruleset_name(count);
    names[count++] = "external"; /* what callers take for the fitting one of that tuning */
    names[count++] = "self";
    const char *near = rv_text_nearest(name, names, count);
    return rv_fail(err, RV_E_UNKNOWN, "no ruleset '%s'%s%s%s (a file must end in .json)", name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

void rv_ruleset_free(rv_ruleset *ruleset)
{
    if (!ruleset)
        return;
    json_decref(ruleset->owner);
    free(ruleset->workloads);
    free(ruleset);
}

int rv_ruleset_find(const rv_ruleset *ruleset, const char *workload)
{
    for (int i = 0; i < ruleset->workload_count; i++)
        if (strcmp(ruleset->workloads[i].name, workload) == 0)
            return i;
    return -1;
}
