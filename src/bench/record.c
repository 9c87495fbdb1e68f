/* Builds bench.json from a plan and what became of its trials.  Misses are the string
 * "inf", what was not run yet is "nan". */
#include "bench/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/score.h"
#include "core/json.h"

static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, rv_json_from_real(value));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    /* What is not UTF-8 must not make the record unreadable. */
    json_t *value = json_string(text);
    json_object_set_new(object, key, value ? value : json_string("(not UTF-8)"));
}

/* ---- trials -------------------------------------------------------------- */

static void put_result(json_t *entry, const rv_trial_result *result)
{
    bool reached = result->target_step >= 0;
    put_text(entry, "outcome", rv_outcome_name(result->outcome));
    put_text(entry, "why", result->why);
    json_object_set_new(entry, "steps", json_integer(result->steps));
    json_object_set_new(entry, "examples", json_integer(result->examples));
    put_real(entry, "seconds", result->seconds);
    put_real(entry, "best", result->best);
    put_real(entry, "final", result->final);
    put_real(entry, "target_step", reached ? (double)result->target_step : INFINITY);
    put_real(entry, "target_examples", reached ? (double)result->target_examples : INFINITY);
    put_real(entry, "target_seconds", reached ? result->target_seconds : INFINITY);
}

static json_t *trial_list(const rv_plan *plan, const rv_record_trial *trials)
{
    static const char *const states[] = {"pending", "done", "failed"};
    json_t *list = json_array();
    for (int i = 0; i < plan->count; i++) {
        const rv_plan_trial *planned = &plan->trials[i];
        json_t *entry = json_object();
        put_text(entry, "run", planned->id);
        json_object_set_new(entry, "problem", json_integer(planned->problem));
        json_object_set_new(entry, "optimizer", json_integer(planned->optimizer));
        json_object_set_new(entry, "point", json_integer(planned->point));
        json_object_set_new(entry, "study", json_integer(planned->study));
        json_object_set_new(entry, "seed", json_integer(planned->seed));
        put_text(entry, "state", states[trials[i].state]);
        if (trials[i].state == RV_TRIAL_DONE)
            put_result(entry, &trials[i].result);
        else if (trials[i].state == RV_TRIAL_FAILED)
            put_text(entry, "error", trials[i].error);
        json_array_append_new(list, entry);
    }
    return list;
}

/* ---- scores -------------------------------------------------------------- */

static rv_score_run score_run(const rv_record_trial *trial)
{
    rv_score_run run = {.time = {NAN, NAN, NAN}, .metric = NAN};
    const rv_trial_result *result = &trial->result;
    if (trial->state == RV_TRIAL_PENDING)
        return run;
    bool reached = trial->state == RV_TRIAL_DONE && result->target_step >= 0;
    run.time[RV_TIME_STEPS] = reached ? (double)result->target_step : INFINITY;
    run.time[RV_TIME_EXAMPLES] = reached ? (double)result->target_examples : INFINITY;
    run.time[RV_TIME_SECONDS] = reached ? result->target_seconds : INFINITY;
    if (trial->state == RV_TRIAL_DONE)
        run.metric = result->best;
    return run;
}

/* Scratch for one cell at a time. */
typedef struct workspace {
    rv_score_run *runs;     /* [seeds] */
    double *scratch;        /* [seeds] */
    rv_score_point *points; /* [largest number of settings] */
    double *times;          /* [RV_TIME_UNITS][problems][optimizers], at the best setting */
    double *score;          /* [RV_TIME_UNITS][optimizers] */
    int *rank;              /* [RV_TIME_UNITS][optimizers] */
} workspace;

static bool workspace_init(workspace *w, const rv_plan *plan)
{
    size_t most = 1, cells = (size_t)(plan->problems * plan->optimizers), n = (size_t)plan->optimizers;
    for (size_t i = 0; i < cells; i++)
        most = json_array_size(plan->settings[i]) > most ? json_array_size(plan->settings[i]) : most;
    w->runs = calloc((size_t)plan->seeds, sizeof *w->runs);
    w->scratch = calloc((size_t)plan->seeds, sizeof *w->scratch);
    w->points = calloc(most, sizeof *w->points);
    w->times = calloc(RV_TIME_UNITS * cells, sizeof *w->times);
    w->score = calloc(RV_TIME_UNITS * n, sizeof *w->score);
    w->rank = calloc(RV_TIME_UNITS * n, sizeof *w->rank);
    return w->runs && w->scratch && w->points && w->times && w->score && w->rank;
}

static void workspace_release(workspace *w)
{
    free(w->runs);
    free(w->scratch);
    free(w->points);
    free(w->times);
    free(w->score);
    free(w->rank);
}

static json_t *point_entry(const rv_score_point *point, json_t *setting)
{
    json_t *entry = json_object();
    json_object_set(entry, "settings", setting);
    json_object_set_new(entry, "n", json_integer(point->n));
    json_object_set_new(entry, "reached", json_integer(point->reached));
    for (int unit = 0; unit < RV_TIME_UNITS; unit++)
        put_real(entry, rv_time_unit_name(unit), point->time[unit]);
    put_real(entry, "metric", point->metric);
    return entry;
}

/* Medians of one optimizer on one problem; its best times go into w->times. */
static json_t *cell_entry(const rv_plan *plan, const rv_record_trial *trials, int problem, int optimizer, workspace *w)
{
    int at = problem * plan->optimizers + optimizer, points = (int)json_array_size(plan->settings[at]);
    json_t *entry = json_object(), *list = json_array();
    for (int point = 0; point < points; point++) {
        int n = 0;
        for (int i = 0; i < plan->count; i++) {
            const rv_plan_trial *t = &plan->trials[i];
            if (t->problem == problem && t->optimizer == optimizer && t->point == point)
                w->runs[n++] = score_run(&trials[i]);
        }
        w->points[point] = rv_score_summary(w->runs, n, w->scratch);
        json_array_append_new(list, point_entry(&w->points[point], json_array_get(plan->settings[at], (size_t)point)));
    }
    int best = rv_score_best(w->points, points, plan->problem[problem].maximize);
    for (int unit = 0; unit < RV_TIME_UNITS; unit++)
        w->times[(unit * plan->problems + problem) * plan->optimizers + optimizer] =
            best < 0 ? NAN : w->points[best].time[unit];
    json_object_set_new(entry, "problem", json_integer(problem));
    json_object_set_new(entry, "optimizer", json_integer(optimizer));
    json_object_set_new(entry, "best", json_integer(best));
    json_object_set_new(entry, "points", list);
    return entry;
}

static json_t *problem_list(const rv_plan *plan)
{
    json_t *list = json_array();
    for (int p = 0; p < plan->problems; p++) {
        const rv_plan_problem *problem = &plan->problem[p];
        json_t *entry = json_object();
        put_text(entry, "label", problem->label);
        put_text(entry, "workload", problem->workload);
        put_text(entry, "title", problem->title);
        put_text(entry, "metric", problem->metric);
        json_object_set_new(entry, "maximize", json_boolean(problem->maximize));
        put_real(entry, "target", problem->target);
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *optimizer_list(const rv_plan *plan, workspace *w)
{
    int n = plan->optimizers;
    for (int unit = 0; unit < RV_TIME_UNITS; unit++) {
        rv_score_profile(w->times + unit * plan->problems * n, plan->problems, n, w->score + unit * n);
        rv_score_rank(w->score + unit * n, n, w->rank + unit * n);
    }
    json_t *list = json_array();
    for (int o = 0; o < n; o++) {
        json_t *entry = json_object(), *score = json_object(), *rank = json_object();
        int reached = 0;
        for (int p = 0; p < plan->problems; p++)
            reached += isfinite(w->times[p * n + o]) != 0;
        for (int unit = 0; unit < RV_TIME_UNITS; unit++) {
            put_real(score, rv_time_unit_name(unit), w->score[unit * n + o]);
            json_object_set_new(rank, rv_time_unit_name(unit), json_integer(w->rank[unit * n + o]));
        }
        put_text(entry, "label", plan->optimizer[o]);
        json_object_set_new(entry, "reached", json_integer(reached));
        json_object_set_new(entry, "score", score);
        json_object_set_new(entry, "rank", rank);
        json_array_append_new(list, entry);
    }
    return list;
}

static json_t *scores(const rv_plan *plan, const rv_record_trial *trials)
{
    workspace w = {0};
    json_t *object = NULL;
    if (workspace_init(&w, plan)) {
        json_t *cells = json_array();
        object = json_object();
        for (int p = 0; p < plan->problems; p++)
            for (int o = 0; o < plan->optimizers; o++)
                json_array_append_new(cells, cell_entry(plan, trials, p, o, &w));
        json_object_set_new(object, "problems", problem_list(plan));
        json_object_set_new(object, "optimizers", optimizer_list(plan, &w));
        json_object_set_new(object, "cells", cells);
    }
    workspace_release(&w);
    return object;
}

/* ---- the record ---------------------------------------------------------- */

static json_t *command_line(const rv_bench_options *options)
{
    json_t *list = json_array();
    for (int i = 0; i < options->argc; i++) {
        json_t *word = json_string(options->argv[i]);
        json_array_append_new(list, word ? word : json_string("(not UTF-8)"));
    }
    return list;
}

/* "Intel(R) Xeon(R) ..., 2 cores", as people tell machines apart. */
static void machine_name(char *text, size_t size)
{
    char line[256], model[192] = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(model, sizeof model, "%.190s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file)
        fclose(file);
    snprintf(text, size, "%s, %ld cores", model, sysconf(_SC_NPROCESSORS_ONLN));
}

json_t *rv_record_make(const rv_plan *plan, const rv_record_trial *trials, const rv_bench_options *options,
                       json_t *notes)
{
    json_t *ranking = scores(plan, trials);
    if (!ranking)
        return NULL;
    bool complete = true;
    for (int i = 0; i < plan->count; i++)
        complete = complete && trials[i].state != RV_TRIAL_PENDING;
    char when[32], machine[256];
    machine_name(machine, sizeof machine);
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_t *record = json_object();
    json_object_set_new(record, "format", json_integer(1));
    put_text(record, "ravine", rv_version());
    put_text(record, "machine", machine);
    put_text(record, "finished", when);
    json_object_set_new(record, "complete", json_boolean(complete));
    json_object_set_new(record, "jobs", json_integer(options->jobs));
    json_object_set_new(record, "command", command_line(options));
    json_object_set(record, "suite", plan->suite);
    if (notes)
        json_object_set(record, "notes", notes);
    json_object_set_new(record, "trials", trial_list(plan, trials));
    json_object_set_new(record, "scores", ranking);
    return record;
}
