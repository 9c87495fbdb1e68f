/* From a suite to resolved configurations: problems x optimizers x settings x seeds.
 * Nothing runs before every configuration has resolved and every run folder differs. */
#include "bench/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"

enum { MAX_SETTINGS = 4096, MAX_TRIALS = 1000000, MAX_OVERRIDES = 34 };

static rv_status need_memory(const void *pointer, rv_error *err)
{
    return pointer ? RV_OK : rv_fail(err, RV_E_MEMORY, "suite: no memory for the plan");
}

/* ---- reading a suite --------------------------------------------------- */

static rv_status list_of(const json_t *suite, const char *key, json_t **list, rv_error *err)
{
    *list = json_object_get(suite, key);
    if (!json_is_array(*list) || json_array_size(*list) == 0)
        return rv_fail(err, RV_E_FORMAT, "suite: '%s' must be a list with at least one entry", key);
    return RV_OK;
}

static rv_status text_of(const json_t *entry, const char *where, size_t i, const char *key, const char **text,
                         rv_error *err)
{
    *text = json_string_value(json_object_get(entry, key));
    if (!*text)
        return rv_fail(err, RV_E_FORMAT, "suite: %s %zu has no text '%s'", where, i, key);
    return RV_OK;
}

static rv_status check_labels(const json_t *list, const char *where, rv_error *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *label, *other;
        RV_TRY(text_of(json_array_get(list, i), where, i, "label", &label, err));
        for (size_t k = 0; k < i; k++) {
            RV_TRY(text_of(json_array_get(list, k), where, k, "label", &other, err));
            if (strcmp(label, other) == 0)
                return rv_fail(err, RV_E_ARGUMENT, "suite: two %s are called '%s'", where, label);
        }
    }
    return RV_OK;
}

static bool in_list(const char *names, const char *label)
{
    size_t n = strlen(label);
    for (const char *p = names; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, label, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* Every name asked for must be a label of the suite. */
static rv_status check_names(const json_t *list, const char *names, rv_error *err)
{
    const char *known[256];
    int count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < 256; i++)
        known[count++] = json_string_value(json_object_get(json_array_get(list, i), "label"));
    for (const char *p = names; p;) {
        const char *end = strchr(p, ',');
        char name[RV_NAME_SIZE];
        size_t n = end ? (size_t)(end - p) : strlen(p);
        n = n < sizeof name ? n : sizeof name - 1;
        memcpy(name, p, n);
        name[n] = '\0';
        bool found = false;
        for (int i = 0; i < count; i++)
            found |= strcmp(known[i], name) == 0;
        if (!found) {
            const char *near = rv_text_nearest(name, known, count);
            return rv_fail(err, RV_E_UNKNOWN, "the suite has no optimizer '%s'%s%s%s", name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
        p = end ? end + 1 : NULL;
    }
    return RV_OK;
}

static rv_status keep_optimizers(json_t *list, const char *names, rv_error *err)
{
    RV_TRY(check_names(list, names, err));
    for (size_t i = json_array_size(list); i-- > 0;)
        if (!in_list(names, json_string_value(json_object_get(json_array_get(list, i), "label"))))
            json_array_remove(list, i);
    return RV_OK;
}

static rv_status read_problems(rv_plan *plan, const json_t *list, rv_error *err)
{
    plan->problems = (int)json_array_size(list);
    plan->problem = calloc((size_t)plan->problems, sizeof *plan->problem);
    RV_TRY(need_memory(plan->problem, err));
    for (int i = 0; i < plan->problems; i++) {
        const json_t *entry = json_array_get(list, (size_t)i);
        rv_plan_problem *problem = &plan->problem[i];
        RV_TRY(text_of(entry, "problems", (size_t)i, "label", &problem->label, err));
        RV_TRY(text_of(entry, "problems", (size_t)i, "workload", &problem->workload, err));
        const rv_workload *workload = rv_workload_find(problem->workload);
        if (!workload)
            return rv_fail(err, RV_E_UNKNOWN, "suite: problem '%s': no workload '%s'", problem->label,
                           problem->workload);
        problem->title = workload->title;
        problem->metric = workload->metric;
        problem->maximize = workload->maximize;
        problem->target = rv_json_real(entry, "target", NAN);
        if (!isfinite(problem->target))
            return rv_fail(err, RV_E_FORMAT, "suite: problem '%s' has no finite number 'target'", problem->label);
    }
    return RV_OK;
}

static rv_status read_optimizers(rv_plan *plan, const json_t *list, rv_error *err)
{
    plan->optimizers = (int)json_array_size(list);
    plan->optimizer = calloc((size_t)plan->optimizers, sizeof *plan->optimizer);
    RV_TRY(need_memory(plan->optimizer, err));
    for (int i = 0; i < plan->optimizers; i++)
        RV_TRY(text_of(json_array_get(list, (size_t)i), "optimizers", (size_t)i, "label", &plan->optimizer[i], err));
    return RV_OK;
}

static rv_status read_suite(rv_plan *plan, const char *text, const char *keep, rv_error *err)
{
    json_t *problems, *optimizers, *seeds;
    RV_TRY(rv_json_parse(text, strlen(text), "suite", &plan->suite, err));
    RV_TRY(list_of(plan->suite, "problems", &problems, err));
    RV_TRY(list_of(plan->suite, "optimizers", &optimizers, err));
    RV_TRY(list_of(plan->suite, "seeds", &seeds, err));
    RV_TRY(check_labels(problems, "problems", err));
    RV_TRY(check_labels(optimizers, "optimizers", err));
    if (keep)
        RV_TRY(keep_optimizers(optimizers, keep, err));
    plan->seeds = (int)json_array_size(seeds);
    for (int i = 0; i < plan->seeds; i++)
        if (!json_is_integer(json_array_get(seeds, (size_t)i)))
            return rv_fail(err, RV_E_FORMAT, "suite: seed %d is not an integer", i);
    RV_TRY(read_problems(plan, problems, err));
    return read_optimizers(plan, optimizers, err);
}

/* ---- settings: the cross product of a grid ------------------------------ */

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

static rv_status make_settings(const json_t *grid, const char *label, json_t **out, rv_error *err)
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
    *out = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(*out, setting_at(grid, i)) != 0)
            return need_memory(NULL, err);
    return RV_OK;
}

/* ---- configurations ----------------------------------------------------- */

/* The optimizer's entry with what it says about this problem merged in. */
static json_t *entry_for(const rv_plan *plan, int problem, int optimizer)
{
    json_t *entry = json_deep_copy(json_array_get(json_object_get(plan->suite, "optimizers"), (size_t)optimizer));
    json_t *own = json_object_get(json_object_get(entry, "problems"), plan->problem[problem].label);
    json_t *copy = own ? json_deep_copy(own) : NULL;
    json_object_del(entry, "problems");
    if (copy)
        json_object_update_recursive(entry, copy);
    json_decref(copy);
    return entry;
}

/* Problem, then optimizer; what is left open comes from the workload's recipe. */
static char *partial_config(const rv_plan *plan, int problem, const json_t *entry)
{
    static const char *const keys[] = {"optimizer", "optimizer_params", "optimizer_rules",
                                       "schedule", "schedule_params", "train", "wrappers", "schedules"};
    const json_t *own = json_array_get(json_object_get(plan->suite, "problems"), (size_t)problem);
    json_t *config = json_deep_copy(json_object_get(own, "config"));
    if (!config)
        config = json_object();
    json_object_set_new(config, "workload", json_string(plan->problem[problem].workload));
    /* Parameters belong to the method they were given for. */
    if (json_object_get(entry, "optimizer")) {
        json_object_del(config, "optimizer_params");
        json_object_del(config, "optimizer_rules");
        json_object_del(config, "wrappers");
        json_object_del(config, "schedules");
    }
    if (json_object_get(entry, "schedule"))
        json_object_del(config, "schedule_params");
    json_t *part = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(entry, keys[i]);
        if (value)
            json_object_set(part, keys[i], value);
    }
    json_object_update_recursive(config, part);
    json_decref(part);
    char *text = rv_json_text(config, 0);
    json_decref(config);
    return text;
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

static rv_status resolve(rv_plan *plan, const char *config, rv_plan_trial *trial, rv_error *err)
{
    const json_t *list = plan->settings[trial->problem * plan->optimizers + trial->optimizer];
    char *overrides[MAX_OVERRIDES], seed[64], target[64], number[40];
    int count = setting_overrides(json_array_get(list, (size_t)trial->point), overrides, MAX_OVERRIDES - 2);
    if (count < 0)
        return need_memory(NULL, err);
    rv_json_number(plan->problem[trial->problem].target, number, sizeof number);
    snprintf(target, sizeof target, "train.target=%s", number);
    snprintf(seed, sizeof seed, "train.seed=%lld", (long long)trial->seed);
    overrides[count] = target;
    overrides[count + 1] = seed;
    rv_status status = rv_trial_resolve(config, (const char *const *)overrides, count + 2, &trial->config, err);
    for (int i = 0; i < count; i++)
        free(overrides[i]);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "suite: problem '%s', optimizer '%s'",
                              plan->problem[trial->problem].label, plan->optimizer[trial->optimizer]);
    rv_trial_id(trial->config, trial->id, sizeof trial->id);
    return RV_OK;
}

/* ---- the plan ----------------------------------------------------------- */

typedef struct cell {
    char *config; /* partial */
    size_t points;
} cell;

static rv_status plan_cells(rv_plan *plan, cell *cells, size_t *total, rv_error *err)
{
    *total = 0;
    for (int p = 0; p < plan->problems; p++)
        for (int o = 0; o < plan->optimizers; o++) {
            int at = p * plan->optimizers + o;
            json_t *entry = entry_for(plan, p, o);
            rv_status status = make_settings(json_object_get(entry, "grid"), plan->optimizer[o], &plan->settings[at], err);
            cells[at].config = status == RV_OK ? partial_config(plan, p, entry) : NULL;
            json_decref(entry);
            RV_TRY(status);
            RV_TRY(need_memory(cells[at].config, err));
            cells[at].points = json_array_size(plan->settings[at]);
            *total += cells[at].points * (size_t)plan->seeds;
        }
    if (*total > MAX_TRIALS)
        return rv_fail(err, RV_E_RANGE, "suite: %zu trials; at most %d are planned at once", *total, MAX_TRIALS);
    return RV_OK;
}

static rv_status plan_trials(rv_plan *plan, const cell *cells, size_t total, rv_error *err)
{
    const json_t *seeds = json_object_get(plan->suite, "seeds");
    plan->trials = calloc(total, sizeof *plan->trials);
    RV_TRY(need_memory(plan->trials, err));
    for (int s = 0; s < plan->seeds; s++)
        for (int at = 0; at < plan->problems * plan->optimizers; at++)
            for (size_t point = 0; point < cells[at].points; point++) {
                rv_plan_trial *trial = &plan->trials[plan->count++];
                trial->problem = at / plan->optimizers;
                trial->optimizer = at % plan->optimizers;
                trial->point = (int)point;
                trial->seed = json_integer_value(json_array_get(seeds, (size_t)s));
                RV_TRY(resolve(plan, cells[at].config, trial, err));
            }
    return RV_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(const rv_plan_trial *const *)a)->id, (*(const rv_plan_trial *const *)b)->id);
}

/* Two trials in one folder would write over each other. */
static rv_status check_distinct(const rv_plan *plan, rv_error *err)
{
    const rv_plan_trial **sorted = malloc((size_t)plan->count * sizeof *sorted);
    RV_TRY(need_memory(sorted, err));
    for (int i = 0; i < plan->count; i++)
        sorted[i] = &plan->trials[i];
    qsort(sorted, (size_t)plan->count, sizeof *sorted, compare_ids);
    rv_status status = RV_OK;
    for (int i = 1; i < plan->count && status == RV_OK; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            status = rv_fail(err, RV_E_ARGUMENT, "suite: '%s' and '%s' on '%s' are the same trial (%s)",
                             plan->optimizer[sorted[i - 1]->optimizer], plan->optimizer[sorted[i]->optimizer],
                             plan->problem[sorted[i]->problem].label, sorted[i]->id);
    free(sorted);
    return status;
}

rv_status rv_plan_make(rv_plan *plan, const char *suite_json, const char *optimizers, rv_error *err)
{
    *plan = (rv_plan){0};
    RV_TRY(read_suite(plan, suite_json, optimizers, err));
    size_t cells_count = (size_t)plan->problems * (size_t)plan->optimizers, total = 0;
    plan->settings = calloc(cells_count, sizeof *plan->settings);
    cell *cells = calloc(cells_count, sizeof *cells);
    rv_status status = need_memory(plan->settings && cells ? cells : NULL, err);
    if (status == RV_OK)
        status = plan_cells(plan, cells, &total, err);
    if (status == RV_OK)
        status = plan_trials(plan, cells, total, err);
    for (size_t i = 0; cells && i < cells_count; i++)
        free(cells[i].config);
    free(cells);
    return status == RV_OK ? check_distinct(plan, err) : status;
}

void rv_plan_release(rv_plan *plan)
{
    for (int i = 0; i < plan->count; i++)
        free(plan->trials[i].config);
    for (int i = 0; plan->settings && i < plan->problems * plan->optimizers; i++)
        json_decref(plan->settings[i]);
    free(plan->trials);
    free(plan->settings);
    free(plan->problem);
    free(plan->optimizer);
    json_decref(plan->suite);
    *plan = (rv_plan){0};
}
