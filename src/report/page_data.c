/* Collects runs for the page.  Curves become columns, thinned evenly in the index and in
 * its logarithm, so that both a linear and a logarithmic axis keep their shape. */
#include "report/page_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/workload.h"
#include "report/page.h"
#include "trial/runs.h"

enum { LINE_POINTS = 1000, FEWEST_POINTS = 50, PAGE_POINTS = 1000000 };

/* ---- curves ------------------------------------------------------------------ */

static json_t *rounded(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value))
        return json_integer(json_integer_value(value));
    return value ? rv_json_rounded(rv_json_real(object, key, NAN)) : json_null();
}

/* Marks at most limit of n rows: half evenly spaced, half evenly in the logarithm. */
static void choose_rows(bool *keep, size_t n, size_t limit)
{
    for (size_t i = 0; i < n; i++)
        keep[i] = n <= limit;
    if (n <= limit)
        return;
    size_t half = limit / 2;
    for (size_t i = 0; i < half; i++) {
        double share = (double)i / (double)(half - 1);
        keep[(size_t)(share * (double)(n - 1))] = true;
        keep[(size_t)(exp(share * log((double)n)) - 0.5) % n] = true;
    }
}

static void add_row(json_t *columns, const json_t *line)
{
    static const char *const coordinates[] = {"step", "examples", "seconds"};
    const json_t *values = rv_run_values(line);
    const char *key;
    json_t *value, *list;
    size_t rows = json_array_size(json_object_get(columns, "step"));
    for (int i = 0; i < 3; i++) {
        if (!json_object_get(columns, coordinates[i]))
            json_object_set_new(columns, coordinates[i], json_array());
        json_array_append_new(json_object_get(columns, coordinates[i]), rounded(line, coordinates[i]));
    }
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (rv_run_is_coordinate(key) || !(json_is_number(value) || json_is_string(value)))
            continue;
        if (!json_object_get(columns, key))
            json_object_set_new(columns, key, json_array());
        for (list = json_object_get(columns, key); json_array_size(list) < rows;)
            json_array_append_new(list, json_null());
        json_array_append_new(list, rounded(values, key));
    }
}

/* Shorter columns (a value missing at the end) are filled up. */
static void complete_columns(json_t *columns)
{
    size_t rows = json_array_size(json_object_get(columns, "step"));
    const char *key;
    json_t *list;
    json_object_foreach(columns, key, list)
    {
        while (json_array_size(list) < rows)
            json_array_append_new(list, json_null());
    }
}

static json_t *split_curve(const json_t *log, const char *split, size_t n, size_t limit)
{
    json_t *columns = json_object(), *line;
    bool *keep = malloc(n);
    size_t i, row = 0;
    if (!keep || !columns) {
        free(keep);
        json_decref(columns);
        return NULL;
    }
    choose_rows(keep, n, limit);
    json_array_foreach(log, i, line)
    {
        if (strcmp(rv_run_split(line), split) == 0 && keep[row++])
            add_row(columns, line);
    }
    complete_columns(columns);
    free(keep);
    return columns;
}

static json_t *curves(const json_t *log, size_t limit)
{
    json_t *counts = json_object(), *all = json_object(), *line, *count;
    const char *split;
    size_t i;
    json_array_foreach(log, i, line)
    {
        split = rv_run_split(line);
        json_object_set_new(counts, split, json_integer(json_integer_value(json_object_get(counts, split)) + 1));
    }
    json_object_foreach(counts, split, count)
    {
        json_object_set_new(all, split, split_curve(log, split, (size_t)json_integer_value(count), limit));
    }
    json_decref(counts);
    return all;
}

/* ---- runs -------------------------------------------------------------------- */

static rv_status add_run(json_t *list, const char *dir, const char *name, size_t limit, rv_error *err)
{
    rv_run run;
    RV_TRY(rv_run_load(&run, dir, name, err));
    json_t *entry = json_object(), *label = json_string(run.name);
    json_object_set_new(entry, "run", label ? label : json_string("(not UTF-8)"));
    json_object_set(entry, "config", run.config);
    if (run.meta)
        json_object_set(entry, "meta", run.meta);
    if (run.result)
        json_object_set(entry, "result", run.result);
    json_object_set_new(entry, "curves", curves(run.log, limit));
    rv_run_release(&run);
    if (json_array_append_new(list, entry) != 0)
        return rv_fail(err, RV_E_MEMORY, "report: no memory for run %s", name);
    return RV_OK;
}

static size_t points_per_line(size_t runs)
{
    size_t share = PAGE_POINTS / (runs ? runs : 1);
    return share > LINE_POINTS ? LINE_POINTS : share < FEWEST_POINTS ? FEWEST_POINTS : share;
}

static rv_status add_all_runs(json_t *list, const char *dir, rv_error *err)
{
    rv_runs runs;
    RV_TRY(rv_runs_list(&runs, dir, err));
    rv_status status = runs.count ? RV_OK : rv_fail(err, RV_E_IO, "%s: no run folder (with a config.json) here or below", dir);
    for (int i = 0; i < runs.count && status == RV_OK; i++)
        status = add_run(list, dir, runs.name[i], points_per_line((size_t)runs.count), err);
    rv_runs_release(&runs);
    return status;
}

static bool is_best(const json_t *bench, const json_t *trial)
{
    const json_t *cells = json_object_get(json_object_get(bench, "scores"), "cells");
    json_t *cell;
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        if (json_equal(json_object_get(cell, "problem"), json_object_get(trial, "problem")) &&
            json_equal(json_object_get(cell, "optimizer"), json_object_get(trial, "optimizer")))
            return json_equal(json_object_get(cell, "best"), json_object_get(trial, "point"));
    }
    return false;
}

/* A run's name comes from a file here, so it must stay inside the folder. */
static bool stays_inside(const char *name)
{
    return name && name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

static rv_status add_best_runs(json_t *list, const char *dir, const json_t *bench, rv_error *err)
{
    const json_t *trials = json_object_get(bench, "trials");
    json_t *trial;
    size_t i;
    json_array_foreach(trials, i, trial)
    {
        const char *name = json_string_value(json_object_get(trial, "run"));
        char path[2048];
        if (!stays_inside(name) || !is_best(bench, trial))
            continue;
        int n = snprintf(path, sizeof path, "%s/%s/config.json", dir, name);
        if (n < (int)sizeof path && rv_file_exists(path))
            RV_TRY(add_run(list, dir, name, LINE_POINTS, err));
    }
    return RV_OK;
}

static rv_status add_bench(json_t *data, json_t *runs, const char *dir, rv_error *err)
{
    char path[RV_PATH_SIZE];
    json_t *bench = NULL;
    RV_TRY(rv_path_join(path, dir, "bench.json", err));
    if (!rv_file_exists(path))
        return add_all_runs(runs, dir, err);
    RV_TRY(rv_json_read(path, &bench, err));
    rv_status status = add_best_runs(runs, dir, bench, err);
    json_object_set_new(data, "bench", bench);
    return status;
}

/* ---- the text ---------------------------------------------------------------- */

/* What the registry knows about the workloads of the runs: title, metric, direction. */
static json_t *workloads_of(const json_t *runs)
{
    json_t *known = json_object(), *run;
    size_t i;
    json_array_foreach(runs, i, run)
    {
        const char *name = json_string_value(json_object_get(json_object_get(run, "config"), "workload"));
        const rv_workload *workload = name ? rv_workload_find(name) : NULL;
        if (!workload || json_object_get(known, name))
            continue;
        json_t *entry = json_object();
        json_object_set_new(entry, "title", json_string(workload->title));
        json_object_set_new(entry, "metric", json_string(workload->metric));
        json_object_set_new(entry, "maximize", json_boolean(workload->maximize));
        json_object_set_new(known, name, entry);
    }
    return known;
}

/* What `ravine score -o DIR/score.json` left beside the runs. */
static rv_status add_score(json_t *data, const char *dir, rv_error *err)
{
    char path[RV_PATH_SIZE];
    json_t *score = NULL;
    RV_TRY(rv_path_join(path, dir, "score.json", err));
    if (!rv_file_exists(path))
        return RV_OK;
    RV_TRY(rv_json_read(path, &score, err));
    json_object_set_new(data, "score", score);
    return RV_OK;
}

rv_status rv_page_data(const char *dir, json_t **out, rv_error *err)
{
    json_t *data = json_object(), *runs = json_array();
    rv_page_head(data, dir);
    rv_status status = add_bench(data, runs, dir, err);
    if (status == RV_OK)
        status = add_score(data, dir, err);
    json_object_set_new(data, "workloads", workloads_of(runs));
    json_object_set_new(data, "runs", runs);
    if (status == RV_OK)
        *out = data;
    else
        json_decref(data);
    return status;
}

rv_status rv_page_score(const char *score_json, json_t **out, rv_error *err)
{
    json_t *score = NULL;
    RV_TRY(rv_json_parse(score_json, strlen(score_json), "score", &score, err));
    json_t *data = json_object();
    rv_page_head(data, "score");
    json_object_set_new(data, "score", score);
    json_object_set_new(data, "workloads", json_object());
    json_object_set_new(data, "runs", json_array());
    *out = data;
    return RV_OK;
}
