/* From a suite to resolved configurations: problems x entrants x settings x studies.
 * Nothing runs before every configuration has resolved; one run folder is one run, whoever
 * asked for it. */
#include "bench/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"

enum { MAX_SETTINGS = 4096, MAX_TRIALS = 1000000, MAX_OVERRIDES = 34 };

/* ---- settings ----------------------------------------------------------- */

static json_t *setting_at(const json_t *grid, size_t number)
{
    json_t *setting = json_object();
    const char *key;
    json_t *values;
    json_object_foreach((json_t *)(uintptr_t)grid, key, values)
    {
        size_t n = json_array_size(values);
        json_object_set(setting, key, json_array_get(values, number % n));
        number /= n;
    }
    return setting;
}

/* The cross product of a grid, the same in every study. */
static rv_status grid_points(const json_t *grid, const char *label, rv_study_points *points, rv_error *err)
{
    size_t count = 1;
    const char *key;
    json_t *values;
    json_object_foreach((json_t *)(uintptr_t)grid, key, values)
    {
        size_t n = json_array_size(values);
        if (n == 0 || n > MAX_SETTINGS / count)
            return rv_fail(err, RV_E_FORMAT, "suite: optimizer '%s': grid of '%s' must be a list of 1 to %zu values",
                           label, key, MAX_SETTINGS / count);
        count *= n;
    }
    *points = (rv_study_points){.list = json_array(), .per_study = (int)count};
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(points->list, setting_at(grid, i)) != 0)
            return rv_plan_need(NULL, err);
    return RV_OK;
}

/* What the studies try; overrides: the entry with what it says about this problem. */
static rv_status make_points(const rv_plan *plan, int optimizer, const json_t *overrides, rv_study_points *points,
                             rv_error *err)
{
    const rv_plan_entry *entry = &plan->entry[optimizer];
    const char *label = plan->optimizer[optimizer];
    int trials = plan->ruleset->trials;
    char source[160];
    snprintf(source, sizeof source, "suite: '%.100s'", label);
    if (entry->has_space) {
        const rv_space *space = entry->submission ? &entry->entrant.space : &entry->space;
        const json_t *seed = json_object_get(plan->suite, "search_seed");
        RV_TRY(rv_space_draw(space, entry->sampler, plan->seeds, trials, (uint64_t)json_integer_value(seed), source,
                             points, err));
    } else {
        RV_TRY(grid_points(json_object_get(overrides, "grid"), label, points, err));
    }
    if (plan->strict && points->per_study > trials)
        return rv_fail(err, RV_E_RANGE, "%s has %d settings; the ruleset '%s' allows %d trials a study", source,
                       points->per_study, plan->ruleset->name, trials);
    return RV_OK;
}

/* ---- configurations ----------------------------------------------------- */

/* The optimizer's entry with what it says about this problem merged in. */
static json_t *entry_for(const rv_plan *plan, int problem, int optimizer)
{
    json_t *entry = json_deep_copy(plan->entry[optimizer].json);
    json_t *own = json_object_get(json_object_get(entry, "problems"), plan->problem[problem].label);
    json_t *copy = own ? json_deep_copy(own) : NULL;
    json_object_del(entry, "problems");
    if (copy)
        json_object_update_recursive(entry, copy);
    json_decref(copy);
    return entry;
}

/* Problem, then part; what is left open comes from the workload's recipe. */
static json_t *merge_config(const rv_plan *plan, int problem, json_t *part)
{
    const json_t *own = json_array_get(json_object_get(plan->suite, "problems"), (size_t)problem);
    json_t *config = json_deep_copy(json_object_get(own, "config"));
    if (!config)
        config = json_object();
    json_object_set_new(config, "workload", json_string(plan->problem[problem].workload));
    rv_config_merge(config, part);
    return config;
}

/* What an optimizer of the suite says of a configuration. */
static json_t *optimizer_part(const json_t *entry)
{
    static const char *const keys[] = {"optimizer", "optimizer_params", "optimizer_rules", "wrappers", "schedule",
                                       "schedule_params", "schedules", "train"};
    json_t *part = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        json_object_set(part, keys[i], json_object_get(entry, keys[i]));
    return part;
}

/* Before its seed, target and overrides: the configuration of one trial as text. */
static rv_status partial_config(const rv_plan *plan, const rv_plan_trial *trial, const json_t *overrides,
                                const json_t *point, char **text, rv_error *err)
{
    const rv_plan_entry *entry = &plan->entry[trial->optimizer];
    const rv_plan_problem *problem = &plan->problem[trial->problem];
    json_t *part = NULL, *given;
    *text = NULL;
    if (entry->submission) {
        given = rv_plan_given(problem, entry);
        rv_status status = rv_entrant_config(&entry->entrant, point, given, problem->registered, &part, err);
        json_decref(given);
        RV_TRY(status);
    } else {
        part = optimizer_part(overrides);
    }
    json_t *config = merge_config(plan, trial->problem, part);
    json_decref(part);
    rv_status status = rv_plan_budget(plan, trial->problem, trial->optimizer, config, err);
    if (status == RV_OK)
        *text = rv_json_text(config, 0);
    json_decref(config);
    RV_TRY(status);
    return rv_plan_need(*text, err);
}

/* "lr=0.001" for each key of a setting; returns their number, -1 without memory. */
static int setting_overrides(const json_t *setting, char **overrides, int capacity)
{
    const char *key;
    json_t *value;
    int count = 0;
    json_object_foreach((json_t *)(uintptr_t)setting, key, value)
    {
        rv_text text = {0};
        char *number = json_is_string(value) ? NULL : rv_json_text(value, 0);
        const char *shown = json_is_string(value) ? json_string_value(value) : number;
        rv_text_format(&text, "%s=%s", key, shown ? shown : "");
        free(number);
        if (text.failed || !shown || count == capacity) {
            rv_text_release(&text);
            return -1;
        }
        overrides[count++] = text.data;
    }
    return count;
}

static rv_status resolve(const rv_plan *plan, const json_t *overrides_of_entry, const json_t *point, rv_plan_trial *trial,
                         rv_error *err)
{
    char *overrides[MAX_OVERRIDES] = {NULL}, seed[64], target[64], number[40], *config = NULL;
    /* A submission's expressions have the point already. */
    int count = plan->entry[trial->optimizer].submission ? 0 : setting_overrides(point, overrides, MAX_OVERRIDES - 2);
    rv_status status = count < 0 ? rv_plan_need(NULL, err)
                                 : partial_config(plan, trial, overrides_of_entry, point, &config, err);
    count = count < 0 ? 0 : count;
    rv_json_number(plan->problem[trial->problem].target, number, sizeof number);
    snprintf(target, sizeof target, "train.target=%s", number);
    snprintf(seed, sizeof seed, "train.seed=%lld", (long long)trial->seed);
    overrides[count] = target;
    overrides[count + 1] = seed;
    if (status == RV_OK)
        status = rv_trial_resolve(config, (const char *const *)overrides, count + 2, &trial->config, err);
    for (int i = 0; i < count; i++)
        free(overrides[i]);
    free(config);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "suite: problem '%s', %s '%s'", plan->problem[trial->problem].label,
                              plan->entry[trial->optimizer].submission ? "submission" : "optimizer",
                              plan->optimizer[trial->optimizer]);
    rv_trial_id(trial->config, trial->id, sizeof trial->id);
    return RV_OK;
}

/* ---- the plan ----------------------------------------------------------- */

typedef struct cell {
    json_t *entry; /* of an optimizer, for this problem */
    rv_study_points points;
} cell;

static rv_status plan_cells(rv_plan *plan, cell *cells, size_t *total, rv_error *err)
{
    *total = 0;
    for (int p = 0; p < plan->problems; p++)
        for (int o = 0; o < plan->optimizers; o++) {
            int at = p * plan->optimizers + o;
            cells[at].entry = entry_for(plan, p, o);
            rv_status status = make_points(plan, o, cells[at].entry, &cells[at].points, err);
            plan->settings[at] = cells[at].points.list;
            RV_TRY(status);
            *total += (size_t)cells[at].points.per_study * (size_t)plan->seeds;
        }
    if (*total > MAX_TRIALS)
        return rv_fail(err, RV_E_RANGE, "suite: %zu trials; at most %d are planned at once", *total, MAX_TRIALS);
    return RV_OK;
}

static rv_status plan_trials(rv_plan *plan, const cell *cells, size_t total, rv_error *err)
{
    const json_t *seeds = json_object_get(plan->suite, "seeds");
    plan->trials = calloc(total, sizeof *plan->trials);
    RV_TRY(rv_plan_need(plan->trials, err));
    for (int s = 0; s < plan->seeds; s++)
        for (int at = 0; at < plan->problems * plan->optimizers; at++)
            for (int i = 0; i < cells[at].points.per_study; i++) {
                rv_plan_trial *trial = &plan->trials[plan->count++];
                trial->problem = at / plan->optimizers;
                trial->optimizer = at % plan->optimizers;
                trial->point = s * cells[at].points.stride + i;
                trial->study = s;
                trial->same_as = -1;
                trial->seed = json_integer_value(json_array_get(seeds, (size_t)s));
                const json_t *point = json_array_get(plan->settings[at], (size_t)trial->point);
                RV_TRY(resolve(plan, cells[at].entry, point, trial, err));
            }
    return RV_OK;
}

/* By folder, and within one in order of the plan. */
static int compare_ids(const void *a, const void *b)
{
    const rv_plan_trial *x = *(const rv_plan_trial *const *)a, *y = *(const rv_plan_trial *const *)b;
    int order = strcmp(x->id, y->id);
    return order ? order : (x > y) - (x < y);
}

/* Two entrants, two drawn points, or two points of a submission that differ in what the workload has
 * not, may come to the same run: it is made once.  Twice the same setting in a grid is a mistake. */
static rv_status share_runs(rv_plan *plan, const cell *cells, rv_error *err)
{
    rv_plan_trial **sorted = malloc((size_t)plan->count * sizeof *sorted);
    RV_TRY(rv_plan_need(sorted, err));
    for (int i = 0; i < plan->count; i++)
        sorted[i] = &plan->trials[i];
    qsort(sorted, (size_t)plan->count, sizeof *sorted, compare_ids);
    rv_status status = RV_OK;
    for (int i = 1, first = 0; i < plan->count && status == RV_OK; i++) {
        const rv_plan_trial *earlier = sorted[i - 1];
        rv_plan_trial *t = sorted[i];
        if (strcmp(earlier->id, t->id) != 0) {
            first = i;
            continue;
        }
        t->same_as = (int)(sorted[first] - plan->trials);
        bool fixed = cells[t->problem * plan->optimizers + t->optimizer].points.stride == 0;
        if (fixed && !plan->entry[t->optimizer].submission && earlier->problem == t->problem && earlier->optimizer == t->optimizer)
            status = rv_fail(err, RV_E_ARGUMENT, "suite: two settings of '%s' on '%s' are the same trial (%s)",
                             plan->optimizer[t->optimizer], plan->problem[t->problem].label, t->id);
    }
    free(sorted);
    return status;
}

rv_status rv_plan_make(rv_plan *plan, const char *suite_json, const rv_bench_options *options, rv_error *err)
{
    *plan = (rv_plan){0};
    RV_TRY(rv_suite_read(plan, suite_json, options, err));
    size_t count = (size_t)plan->problems * (size_t)plan->optimizers, total = 0;
    plan->settings = calloc(count, sizeof *plan->settings);
    cell *cells = calloc(count, sizeof *cells);
    rv_status status = rv_plan_need(plan->settings && cells ? cells : NULL, err);
    if (status == RV_OK)
        status = plan_cells(plan, cells, &total, err);
    if (status == RV_OK)
        status = plan_trials(plan, cells, total, err);
    if (status == RV_OK)
        status = share_runs(plan, cells, err);
    for (size_t i = 0; cells && i < count; i++)
        json_decref(cells[i].entry);
    free(cells);
    return status;
}

void rv_plan_release(rv_plan *plan)
{
    for (int i = 0; i < plan->count; i++)
        free(plan->trials[i].config);
    for (int i = 0; plan->settings && i < plan->problems * plan->optimizers; i++)
        json_decref(plan->settings[i]);
    for (int o = 0; plan->entry && o < plan->optimizers; o++) {
        rv_entrant_release(&plan->entry[o].entrant);
        rv_space_release(&plan->entry[o].space);
    }
    free(plan->trials);
    free(plan->settings);
    free(plan->entry);
    free(plan->problem);
    free(plan->optimizer);
    rv_ruleset_free(plan->ruleset);
    json_decref(plan->suite);
    *plan = (rv_plan){0};
}
