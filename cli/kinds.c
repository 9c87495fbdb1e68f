/* What there is, kind by kind: the one list behind list, explain's nearest names and completion. */
#include <jansson.h>
#include <stdio.h>

#include "cli/kinds.h"
#include "ravine/bench.h"
#include "ravine/measure.h"
#include "ravine/optim.h"
#include "ravine/score.h"
#include "ravine/study.h"

/* An old version that stays registered is no entry of its own: name NULL. */
static bool info_entry(const rv_method_info *info, const rv_method_info *newest, const char **name, const char **title)
{
    if (info)
        *name = info == newest ? info->name : NULL, *title = info->title;
    return info != NULL;
}

static bool optimizer_entry(int i, const char **name, const char **title)
{
    const rv_method_info *method = rv_method_at(i);
    return info_entry(method, method ? rv_method_find(method->name) : NULL, name, title);
}

static bool wrapper_entry(int i, const char **name, const char **title)
{
    const rv_method_info *wrapper = rv_wrapper_at(i);
    return info_entry(wrapper, wrapper ? rv_wrapper_find(wrapper->name) : NULL, name, title);
}

static bool schedule_entry(int i, const char **name, const char **title)
{
    const rv_schedule_info *schedule = rv_schedule_at(i);
    if (schedule)
        *name = schedule->name, *title = schedule->title;
    return schedule != NULL;
}

static bool workload_entry(int i, const char **name, const char **title)
{
    const rv_workload *workload = rv_workload_at(i);
    if (workload)
        *name = workload->name, *title = workload->title;
    return workload != NULL;
}

static bool study_entry(int i, const char **name, const char **title)
{
    const rv_study *study = rv_study_at(i);
    if (study)
        *name = study->name, *title = study->title;
    return study != NULL;
}

static bool measure_entry(int i, const char **name, const char **title)
{
    const rv_measure *measure = rv_measure_at(i);
    if (measure)
        *name = measure->name, *title = measure->title;
    return measure != NULL;
}

static bool suite_entry(int i, const char **name, const char **title)
{
    const rv_suite *suite = rv_suite_at(i);
    if (suite)
        *name = suite->name, *title = suite->title;
    return suite != NULL;
}

/* The title in a JSON text; valid until the next call. */
static const char *title_in(const char *json)
{
    static char title[256];
    json_t *object = json_loads(json, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "title"));
    snprintf(title, sizeof title, "%s", text ? text : "");
    json_decref(object);
    return title;
}

static bool ruleset_entry(int i, const char **name, const char **title)
{
    *name = rv_ruleset_name(i);
    if (*name)
        *title = title_in(rv_ruleset_json(*name));
    return *name != NULL;
}

static bool submission_entry(int i, const char **name, const char **title)
{
    const rv_submission *submission = rv_submission_at(i);
    if (submission)
        *name = submission->name, *title = title_in(submission->json);
    return submission != NULL;
}

static bool sampler_entry(int i, const char **name, const char **title)
{
    const rv_sampler_info *sampler = rv_sampler_at(i);
    if (sampler)
        *name = sampler->name, *title = sampler->title;
    return sampler != NULL;
}

const cli_kind cli_kinds[CLI_KINDS] = {
    {"optimizers", optimizer_entry}, {"wrappers", wrapper_entry}, {"schedules", schedule_entry},
    {"workloads", workload_entry},   {"studies", study_entry},    {"measures", measure_entry},
    {"suites", suite_entry},         {"rulesets", ruleset_entry},     {"submissions", submission_entry}, {"samplers", sampler_entry},
};
