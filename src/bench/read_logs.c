/* AlgoPerf's logs as its repositories lay them out:
 *     [SUBMISSION/]study_K/WORKLOAD_FRAMEWORK/trial_I/eval_measurements.csv
 * A row is an evaluation; its index is its place in the file.  The time is "score", the
 * submission's own seconds.  A trial without that file left nothing and is ignored. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/read.h"
#include "core/csv.h"

static const size_t max_log = (size_t)1 << 28;

/* Whether a folder holds a folder whose name starts so. */
static bool holds(const char *path, const char *prefix)
{
    rv_names names = {0};
    bool found = false;
    if (rv_is_folder(path) && rv_read_folders(path, &names, NULL) == RV_OK)
        for (int i = 0; i < names.count && !found; i++)
            found = strncmp(names.name[i], prefix, strlen(prefix)) == 0;
    rv_names_release(&names);
    return found;
}

/* A submission holds studies; a folder of submissions holds one that does. */
bool rv_is_logs(const char *path)
{
    if (holds(path, "study_"))
        return true;
    rv_names names = {0};
    char inner[RV_PATH_SIZE];
    bool found = false;
    if (rv_read_folders(path, &names, NULL) == RV_OK)
        for (int i = 0; i < names.count && !found; i++)
            found = rv_path_join(inner, path, names.name[i], NULL) == RV_OK && holds(inner, "study_");
    rv_names_release(&names);
    return found;
}

/* "imagenet_vit_pytorch" is run on the workload imagenet_vit. */
static void strip_framework(const char *folder, char *workload, size_t size)
{
    static const char *const frameworks[] = {"_jax", "_pytorch"};
    snprintf(workload, size, "%s", folder);
    size_t n = strlen(workload);
    for (int i = 0; i < 2; i++) {
        size_t m = strlen(frameworks[i]);
        if (n > m && strcmp(workload + n - m, frameworks[i]) == 0) {
            workload[n - m] = '\0';
            return;
        }
    }
}

static bool is_trial(const char *name)
{
    return strncmp(name, "trial_", 6) == 0 && isdigit((unsigned char)name[6]) &&
           name[6 + strspn(name + 6, "0123456789")] == '\0';
}

/* ---- one trial --------------------------------------------------------------- */

static rv_status find_column(const rv_csv *csv, const char *name, const char *what, int *column, rv_error *err)
{
    *column = rv_csv_column(csv, name);
    return *column >= 0 ? RV_OK : rv_fail(err, RV_E_FORMAT, "%s:1: no column '%s' (%s)", csv->path, name, what);
}

static rv_status read_evaluations(rv_reading *r, rv_csv *csv, const rv_ruleset_workload *workload, rv_error *err)
{
    char metric[256];
    int value_column, clock_column;
    bool more = true;
    const char *clock = strcmp(r->clock, "seconds") == 0 ? "score"
                        : strcmp(r->clock, "steps") == 0 ? "global_step"
                                                         : r->clock;
    snprintf(metric, sizeof metric, "validation/%s", workload->metric);
    RV_TRY(find_column(csv, metric, "the metric", &value_column, err));
    RV_TRY(find_column(csv, clock, "the clock", &clock_column, err));
    for (int evaluation = 0;; evaluation++) {
        double value, time;
        RV_TRY(rv_csv_next(csv, &more, err));
        if (!more)
            return RV_OK;
        RV_TRY(rv_csv_real(csv, value_column, &value, err));
        RV_TRY(rv_csv_real(csv, clock_column, &time, err));
        if (time < 0)
            return rv_csv_fail(csv, err, "a time of %g", time);
        RV_TRY(rv_trials_put_point(r->trials, value, time, evaluation, err));
        r->trials->entry[r->trials->count - 1].spent = time;
    }
}

/* path: the folder of the trial. */
static rv_status read_trial(rv_reading *r, const char *path, rv_trial_entry *entry, rv_error *err)
{
    char file[RV_PATH_SIZE];
    const char *workload = r->trials->workloads.name[entry->workload];
    int column = rv_ruleset_find(r->ruleset, workload);
    if (column < 0 || !r->ruleset->workloads[column].metric)
        return rv_fail(err, RV_E_ARGUMENT, "%s: the ruleset %s has no metric for the workload '%s'", path,
                       r->ruleset->name, workload);
    RV_TRY(rv_path_join(file, path, "eval_measurements.csv", err));
    if (!rv_file_exists(file)) {
        r->empty++;
        return RV_OK;
    }
    rv_csv csv;
    entry->source = rv_names_put(&r->trials->sources, file);
    entry->line = 1;
    entry->time = INFINITY; /* of a file without rows: it was there, and solved nothing */
    rv_status status = rv_csv_open(&csv, file, max_log, err);
    if (status == RV_OK)
        status = rv_trials_put(r->trials, entry, err);
    if (status == RV_OK)
        status = read_evaluations(r, &csv, &r->ruleset->workloads[column], err);
    rv_trial_entry *last = status == RV_OK ? &r->trials->entry[r->trials->count - 1] : NULL;
    if (last && last->points > 0)
        last->time = NAN; /* the curve tells */
    rv_csv_close(&csv);
    return status;
}

/* ---- the folders ------------------------------------------------------------- */

static rv_status read_trials(rv_reading *r, const char *path, rv_trial_entry *entry, rv_error *err)
{
    rv_names names = {0};
    char inner[RV_PATH_SIZE];
    rv_status status = rv_read_folders(path, &names, err);
    for (int i = 0; i < names.count && status == RV_OK; i++) {
        if (!is_trial(names.name[i]))
            continue;
        status = rv_path_join(inner, path, names.name[i], err);
        if (rv_read_scans(r))
            rv_read_trial_label(r, names.name[i]);
        if (status != RV_OK || rv_read_scans(r))
            continue;
        entry->trial = rv_names_put(&r->trials->settings, names.name[i]);
        status = read_trial(r, inner, entry, err);
    }
    rv_names_release(&names);
    return status;
}

static rv_status read_workloads(rv_reading *r, const char *path, rv_trial_entry *entry, rv_error *err)
{
    rv_names names = {0};
    char inner[RV_PATH_SIZE], workload[256];
    rv_status status = rv_read_folders(path, &names, err);
    for (int i = 0; i < names.count && status == RV_OK; i++) {
        strip_framework(names.name[i], workload, sizeof workload);
        bool takes_part = rv_read_workload(r, workload);
        if (takes_part)
            entry->workload = rv_names_put(&r->trials->workloads, workload);
        status = rv_path_join(inner, path, names.name[i], err);
        if (status == RV_OK && (takes_part || rv_read_scans(r)))
            status = read_trials(r, inner, entry, err);
    }
    rv_names_release(&names);
    return status;
}

static rv_status read_submission(rv_reading *r, const char *path, const char *name, rv_error *err)
{
    rv_names names = {0};
    char inner[RV_PATH_SIZE];
    rv_trial_entry entry = {.order = NAN, .merit = NAN, .target = NAN, .source = -1};
    rv_status status = rv_read_folders(path, &names, err);
    if (!rv_read_scans(r))
        entry.submission = rv_names_put(&r->trials->submissions, name);
    for (int i = 0; i < names.count && status == RV_OK; i++) {
        if (strncmp(names.name[i], "study_", 6) != 0)
            continue;
        if (!rv_read_scans(r))
            entry.study = rv_names_put(&r->trials->studies, names.name[i]);
        status = rv_path_join(inner, path, names.name[i], err);
        if (status == RV_OK)
            status = read_workloads(r, inner, &entry, err);
    }
    rv_names_release(&names);
    return status;
}

/* The last part of a path. */
static void base_name(const char *path, char *name, size_t size)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    snprintf(name, size, "%.*s", (int)(n - from), path + from);
}

rv_status rv_read_logs(rv_reading *r, const char *path, rv_error *err)
{
    char name[256], inner[RV_PATH_SIZE];
    if (holds(path, "study_")) {
        base_name(path, name, sizeof name);
        return read_submission(r, path, name, err);
    }
    rv_names names = {0};
    rv_status status = rv_read_folders(path, &names, err);
    for (int i = 0; i < names.count && status == RV_OK; i++) {
        status = rv_path_join(inner, path, names.name[i], err);
        if (status == RV_OK && holds(inner, "study_"))
            status = read_submission(r, inner, names.name[i], err);
    }
    rv_names_release(&names);
    return status;
}
