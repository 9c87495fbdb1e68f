/* Ravine's own results: a benchmark (bench.json, or its folder) or any folder of runs.  A study
 * is a seed, a trial a setting.  The target is the run's own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/read.h"
#include "core/file.h"
#include "core/json.h"
#include "ravine/trial.h"
#include "ravine/workload.h"
#include "trial/runs.h"

static const char bench_file[] = "bench.json";

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

/* The record of a benchmark at a path; false when there is none. */
static bool bench_path(const char *path, char file[RV_PATH_SIZE])
{
    if (!rv_is_folder(path)) {
        snprintf(file, RV_PATH_SIZE, "%s", path);
        return ends_with(path, ".json");
    }
    return rv_path_join(file, path, bench_file, NULL) == RV_OK && rv_file_exists(file);
}

bool rv_is_runs(const char *path)
{
    char file[RV_PATH_SIZE];
    rv_runs runs;
    if (bench_path(path, file))
        return true;
    if (!rv_is_folder(path) || rv_is_logs(path) || rv_runs_list(&runs, path, NULL) != RV_OK)
        return false;
    bool found = runs.count > 0;
    rv_runs_release(&runs);
    return found;
}

/* ---- curves ------------------------------------------------------------------ */

/* Evaluations of a run's log, so that other targets can be asked for. */
static rv_status put_curve(rv_reading *r, const json_t *log, const char *metric, rv_error *err)
{
    json_t *line;
    size_t i;
    json_array_foreach(log, i, line)
    {
        if (strcmp(rv_run_split(line), "validation") != 0)
            continue;
        const char *clock = strcmp(r->clock, "steps") == 0 ? "step" : r->clock;
        double value = rv_json_real(rv_run_values(line), metric, NAN), time = rv_json_real(line, clock, NAN);
        double examples = rv_json_real(line, "examples", NAN);
        RV_TRY(rv_trials_put_point(r->trials, value, time, examples, err));
    }
    return RV_OK;
}

static rv_status check_clock(const rv_reading *r, const char *source, rv_error *err)
{
    static const char *const clocks[] = {"seconds", "examples", "steps"};
    for (int i = 0; i < 3; i++)
        if (strcmp(r->clock, clocks[i]) == 0)
            return RV_OK;
    return rv_fail(err, RV_E_ARGUMENT, "%s: Ravine's runs have the clocks seconds, examples and steps, not '%s'",
                   source, r->clock);
}

/* ---- a benchmark ------------------------------------------------------------- */

typedef struct bench {
    rv_reading *reading;
    const char *file;
    char folder[RV_PATH_SIZE]; /* of the file: runs stand beside it */
    const json_t *problems, *optimizers;
    int source;
} bench;

static const char *label_at(const json_t *list, const json_t *entry, const char *key, const json_t **item)
{
    const json_t *number = json_object_get(entry, key);
    *item = json_is_integer(number) && json_integer_value(number) >= 0
                ? json_array_get(list, (size_t)json_integer_value(number))
                : NULL;
    return json_string_value(json_object_get(*item, "label"));
}

/* The log of a trial, when its folder is still there; a name from a file must stay inside. */
static rv_status put_bench_curve(const bench *b, const json_t *entry, const json_t *problem, rv_error *err)
{
    char path[RV_PATH_SIZE], log[RV_PATH_SIZE];
    const char *name = json_string_value(json_object_get(entry, "run"));
    const char *metric = json_string_value(json_object_get(problem, "metric"));
    rv_run run;
    if (!name || !metric || name[0] == '.' || name[0] == '\0' || strchr(name, '/'))
        return RV_OK;
    RV_TRY(rv_path_join(path, b->folder, name, err));
    RV_TRY(rv_path_join(log, path, "log.jsonl", err));
    if (!rv_file_exists(log))
        return RV_OK;
    RV_TRY(rv_run_load(&run, b->folder, name, err));
    rv_status status = put_curve(b->reading, run.log, metric, err);
    rv_run_release(&run);
    return status;
}

static rv_status read_bench_trial(const bench *b, const json_t *entry, size_t number, rv_error *err)
{
    rv_reading *r = b->reading;
    const json_t *problem, *optimizer;
    const char *workload = label_at(b->problems, entry, "problem", &problem);
    const char *submission = label_at(b->optimizers, entry, "optimizer", &optimizer);
    const char *state = json_string_value(json_object_get(entry, "state"));
    char key[64], study[32], trial[32];
    if (!workload || !submission || !state)
        return rv_fail(err, RV_E_FORMAT, "%s: trial %zu names no problem, optimizer and state", b->file, number);
    if (!rv_read_workload(r, workload))
        return RV_OK;
    bool done = strcmp(state, "done") == 0, maximize = json_is_true(json_object_get(problem, "maximize"));
    const json_t *group = json_object_get(entry, "study");
    snprintf(key, sizeof key, "target_%s", strcmp(r->clock, "steps") == 0 ? "step" : r->clock);
    snprintf(study, sizeof study, "%lld",
             (long long)json_integer_value(group ? group : json_object_get(entry, "seed")));
    snprintf(trial, sizeof trial, "%lld", (long long)json_integer_value(json_object_get(entry, "point")));
    double best = rv_json_real(entry, "best", NAN);
    rv_trial_entry t = {
        .submission = rv_names_put(&r->trials->submissions, submission),
        .workload = rv_names_put(&r->trials->workloads, workload),
        .study = rv_names_put(&r->trials->studies, study),
        .trial = rv_names_put(&r->trials->settings, trial),
        .time = done                            ? rv_json_real(entry, key, INFINITY)
                : strcmp(state, "pending") == 0 ? NAN
                                                : INFINITY,
        .order = rv_json_real(entry, "target_examples", NAN),
        .merit = !done      ? NAN
                 : maximize ? best
                            : -best,
        .spent = rv_json_real(entry, r->clock, NAN),
        .target = rv_json_real(problem, "target", NAN),
        .maximize = maximize,
        .source = b->source,
        .line = number + 1,
    };
    if (t.time < 0)
        return rv_fail(err, RV_E_FORMAT, "%s: trial %zu has a time of %g", b->file, number, t.time);
    r->empty += isnan(t.time) ? 1 : 0;
    RV_TRY(rv_trials_put(r->trials, &t, err));
    return done ? put_bench_curve(b, entry, problem, err) : RV_OK;
}

/* What the benchmark was run by, where it says so. */
static const char *ruleset_of(const json_t *record)
{
    const char *name = json_string_value(json_object_get(json_object_get(record, "suite"), "ruleset"));
    return name ? name : "";
}

static rv_status read_bench(rv_reading *r, const char *file, rv_error *err)
{
    json_t *record = NULL, *entry;
    size_t i;
    RV_TRY(rv_json_read(file, &record, err));
    const json_t *scores = json_object_get(record, "scores"), *trials = json_object_get(record, "trials");
    bench b = {.reading = r,
               .file = file,
               .problems = json_object_get(scores, "problems"),
               .optimizers = json_object_get(scores, "optimizers"),
               .source = -1};
    const char *slash = strrchr(file, '/');
    snprintf(b.folder, sizeof b.folder, "%.*s", (int)(slash ? slash - file : 1), slash ? file : ".");
    rv_status status = RV_OK;
    if (!json_is_array(trials) || !json_is_array(b.problems) || !json_is_array(b.optimizers))
        status = rv_fail(err, RV_E_FORMAT, "%s: no record of a benchmark (trials, scores.problems, scores.optimizers)",
                         file);
    else if (!rv_read_scans(r))
        status = check_clock(r, file, err);
    else if (r->own_ruleset[0] == '\0')
        snprintf(r->own_ruleset, sizeof r->own_ruleset, "%s", ruleset_of(record));
    if (status == RV_OK && !rv_read_scans(r))
        b.source = rv_names_put(&r->trials->sources, file);
    json_array_foreach(status == RV_OK ? trials : NULL, i, entry)
    {
        status = read_bench_trial(&b, entry, i, err);
        if (status != RV_OK)
            break;
    }
    json_decref(record);
    return status;
}

/* ---- single runs ------------------------------------------------------------- */

static const char *text_in(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* The name of a run without its seed: what all seeds of a setting share. */
static void setting_name(const char *run, char *name, size_t size)
{
    const char *base = strrchr(run, '/') ? strrchr(run, '/') + 1 : run, *seed = NULL;
    for (const char *at = base; (at = strstr(at, "-s")) != NULL; at++)
        seed = at;
    snprintf(name, size, "%.*s", (int)(seed ? seed - base : (long)strlen(base)), base);
}

static double spent_of(const rv_trial_result *result, const char *clock)
{
    return strcmp(clock, "seconds") == 0    ? result->seconds
           : strcmp(clock, "examples") == 0 ? (double)result->examples
                                            : (double)result->steps;
}

static double time_of(const rv_trial_result *result, const char *clock)
{
    if (result->target_step < 0)
        return INFINITY;
    return strcmp(clock, "seconds") == 0    ? result->target_seconds
           : strcmp(clock, "examples") == 0 ? (double)result->target_examples
                                            : (double)result->target_step;
}

static rv_status put_run(rv_reading *r, const rv_run *run, const char *folder, rv_error *err)
{
    const json_t *train = json_object_get(run->config, "train");
    const char *workload = text_in(run->config, "workload"), *optimizer = text_in(run->config, "optimizer");
    const rv_workload *known = workload ? rv_workload_find(workload) : NULL;
    char study[32], setting[256];
    rv_trial_result result;
    if (!workload || !optimizer)
        return rv_fail(err, RV_E_FORMAT, "%s/config.json: no workload and optimizer", folder);
    if (!rv_read_workload(r, workload))
        return RV_OK;
    bool finished =
        run->result && rv_trial_read(folder, &result, NULL) == RV_OK && result.outcome != RV_OUTCOME_INTERRUPTED;
    r->empty += !finished;
    snprintf(study, sizeof study, "%lld", (long long)json_integer_value(json_object_get(train, "seed")));
    setting_name(run->name, setting, sizeof setting);
    bool maximize = known && known->maximize;
    rv_trial_entry t = {
        .submission = rv_names_put(&r->trials->submissions, optimizer),
        .workload = rv_names_put(&r->trials->workloads, workload),
        .study = rv_names_put(&r->trials->studies, study),
        .trial = rv_names_put(&r->trials->settings, setting),
        .time = finished ? time_of(&result, r->clock) : NAN,
        .order = !finished                ? NAN
                 : result.target_step < 0 ? INFINITY
                                          : (double)result.target_examples,
        .merit = !finished  ? NAN
                 : maximize ? result.best
                            : -result.best,
        .spent = finished ? spent_of(&result, r->clock) : NAN,
        .target = rv_json_real(train, "target", NAN),
        .maximize = maximize,
        .source = rv_names_put(&r->trials->sources, folder),
        .line = 1,
    };
    RV_TRY(rv_trials_put(r->trials, &t, err));
    return finished && known && !isnan(t.target) ? put_curve(r, run->log, known->metric, err) : RV_OK;
}

static rv_status read_run(rv_reading *r, const char *dir, const char *name, rv_error *err)
{
    char folder[RV_PATH_SIZE];
    rv_run run;
    RV_TRY(rv_path_join(folder, dir, name, err));
    RV_TRY(rv_run_load(&run, dir, name, err));
    rv_status status = put_run(r, &run, folder, err);
    rv_run_release(&run);
    return status;
}

rv_status rv_read_runs(rv_reading *r, const char *path, rv_error *err)
{
    char file[RV_PATH_SIZE];
    rv_runs runs;
    r->ravine = true;
    if (bench_path(path, file))
        return read_bench(r, file, err);
    if (!rv_read_scans(r))
        RV_TRY(check_clock(r, path, err));
    RV_TRY(rv_runs_list(&runs, path, err));
    rv_status status = RV_OK;
    for (int i = 0; i < runs.count && status == RV_OK; i++)
        status = read_run(r, path, runs.name[i], err);
    rv_runs_release(&runs);
    return status;
}
