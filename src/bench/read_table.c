/* Tables: a row is a trial, or the median of a submission on a workload, or, in the wide form,
 * all medians of a submission.  Invariant: a column is found by its name, never by its place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/read.h"
#include "core/csv.h"
#include "core/text.h"

static const size_t max_table = (size_t)1 << 30;

/* Names that a column may have, the better one first. */
static const char *const submissions[] = {"submission", "optimizer", NULL};
static const char *const workloads[] = {"workload", "problem", NULL};
static const char *const studies[] = {"study", "seed", NULL};
static const char *const settings[] = {"trial", "setting", "point", NULL};
static const char *const orders[] = {"eval_index", "evaluation", NULL};
static const char *const seconds[] = {"time_to_target_s", "median_time_s", "target_seconds", "time_to_target",
                                      "seconds",          "score",         "time",           NULL};
static const char *const examples[] = {"target_examples", "examples", NULL};
static const char *const steps[] = {"target_step", "steps", "median_refbatch_steps", "global_step", NULL};

typedef struct table {
    rv_reading *reading;
    rv_csv csv;
    int submission, workload, study, setting, order, tuning, scored; /* columns, -1: none */
    int time, evals, fallback, per_study;
    int factor; /* the time is time x factor: steps x batch size */
    int studies_told, solved_told;
    int source;
} table;

static int column_of(const rv_csv *csv, const char *const *names)
{
    for (; *names; names++)
        if (rv_csv_column(csv, *names) >= 0)
            return rv_csv_column(csv, *names);
    return -1;
}

static rv_status find_clock(table *t, rv_error *err)
{
    const char *clock = t->reading->clock;
    t->factor = -1;
    t->fallback = column_of(&t->csv, seconds);
    if (strcmp(clock, "seconds") == 0)
        t->time = t->fallback;
    else if (strcmp(clock, "examples") == 0)
        t->time = column_of(&t->csv, examples);
    else if (strcmp(clock, "steps") == 0)
        t->time = column_of(&t->csv, steps);
    else
        t->time = rv_csv_column(&t->csv, clock);
    if (t->time < 0 && strcmp(clock, "examples") == 0) {
        t->time = rv_csv_column(&t->csv, "grad_steps");
        t->factor = rv_csv_column(&t->csv, "batch_size");
        t->time = t->factor < 0 ? -1 : t->time;
    }
    /* In a table of medians the column of study times is in seconds. */
    if (t->time != t->fallback)
        t->per_study = -1;
    if (t->time >= 0)
        return RV_OK;
    return rv_fail(err, RV_E_FORMAT, "%s:1: no column for the clock '%s'%s%s%s", t->csv.path, clock,
                   t->fallback >= 0 ? "; '" : "", t->fallback >= 0 ? t->csv.head[t->fallback] : "",
                   t->fallback >= 0 ? "' is one of seconds (--clock seconds)" : "");
}

static rv_status find_columns(table *t, rv_error *err)
{
    static const char *const evals[] = {"n_evals", NULL};
    t->submission = column_of(&t->csv, submissions);
    t->workload = column_of(&t->csv, workloads);
    t->study = column_of(&t->csv, studies);
    t->setting = column_of(&t->csv, settings);
    t->order = column_of(&t->csv, orders);
    t->evals = column_of(&t->csv, evals);
    t->tuning = rv_csv_column(&t->csv, "ruleset");
    t->scored = rv_csv_column(&t->csv, "is_scored");
    t->per_study = rv_csv_column(&t->csv, "per_study_time_s");
    t->studies_told = rv_csv_column(&t->csv, "n_studies");
    t->solved_told = rv_csv_column(&t->csv, "n_solved");
    if (t->submission < 0 && t->workload < 0 && t->csv.columns > 1)
        t->submission = t->csv.head[0][0] == '\0' ? 0 : -1; /* an index without a name, as pandas writes it */
    if (t->submission < 0)
        return rv_fail(err, RV_E_FORMAT,
                       "%s:1: no column 'submission'; a table to score has submission, workload, study, "
                       "trial and a time, or submission and a column per workload",
                       t->csv.path);
    return RV_OK;
}

static rv_tuning tuning_of(const table *t)
{
    const char *text = t->tuning < 0 ? "" : t->csv.field[t->tuning];
    return strstr(text, "self") ? RV_TUNING_SELF : strstr(text, "external") ? RV_TUNING_EXTERNAL : RV_TUNING_UNKNOWN;
}

static rv_status check_time(const table *t, double time, rv_error *err)
{
    return time < 0 ? rv_csv_fail(&t->csv, err, "a time of %g", time) : RV_OK;
}

/* ---- a trial a row ----------------------------------------------------------- */

/* An empty time is a miss where the trial left evaluations or another clock says so, and
 * otherwise a trial that left nothing. */
static rv_status trial_time(const table *t, double *time, rv_error *err)
{
    double factor = 1, evals = NAN, other = NAN;
    RV_TRY(rv_csv_real(&t->csv, t->time, time, err));
    if (t->factor >= 0)
        RV_TRY(rv_csv_real(&t->csv, t->factor, &factor, err));
    if (t->evals >= 0)
        RV_TRY(rv_csv_real(&t->csv, t->evals, &evals, err));
    if (t->fallback >= 0)
        RV_TRY(rv_csv_real(&t->csv, t->fallback, &other, err));
    *time *= factor;
    if (t->evals >= 0 && !(evals > 0))
        *time = NAN;
    else if (isnan(*time) && (t->evals >= 0 || isinf(other)))
        *time = INFINITY;
    return check_time(t, *time, err);
}

static rv_status read_trial(table *t, rv_error *err)
{
    rv_trials *trials = t->reading->trials;
    rv_trial_entry entry = {.order = NAN, .merit = NAN, .target = NAN, .source = t->source, .line = t->csv.line};
    RV_TRY(trial_time(t, &entry.time, err));
    if (isnan(entry.time))
        t->reading->empty++;
    if (t->order >= 0)
        RV_TRY(rv_csv_real(&t->csv, t->order, &entry.order, err));
    if (t->order >= 0 && isfinite(entry.time) && isnan(entry.order))
        return rv_csv_fail(&t->csv, err, "no '%s' of a trial that reached the target", t->csv.head[t->order]);
    t->reading->unindexed += t->order < 0 && t->setting >= 0;
    entry.tuning = tuning_of(t);
    entry.submission = rv_names_put(&trials->submissions, t->csv.field[t->submission]);
    entry.workload = rv_names_put(&trials->workloads, t->csv.field[t->workload]);
    entry.study = rv_names_put(&trials->studies, t->study < 0 ? "" : t->csv.field[t->study]);
    entry.trial = rv_names_put(&trials->settings, t->setting < 0 ? "" : t->csv.field[t->setting]);
    return rv_trials_put(trials, &entry, err);
}

/* ---- a median a row ---------------------------------------------------------- */

/* "5407;inf;5281": one time per study. */
static rv_status read_studies(table *t, const rv_cell_entry *cell, rv_error *err)
{
    rv_trials *trials = t->reading->trials;
    char study[16];
    const char *at = t->csv.field[t->per_study];
    for (int i = 0; *at; i++) {
        char token[64] = "";
        size_t n = strcspn(at, ";");
        memcpy(token, at, n < sizeof token ? n : sizeof token - 1);
        rv_trial_entry entry = {.submission = cell->submission,
                                .workload = cell->workload,
                                .order = NAN,
                                .merit = NAN,
                                .target = NAN,
                                .tuning = cell->tuning,
                                .source = t->source,
                                .line = t->csv.line};
        if (!rv_text_to_real(token, &entry.time) || !(entry.time >= 0))
            return rv_csv_fail(&t->csv, err, "'%.80s' is no list of times (column %s)", t->csv.field[t->per_study],
                               t->csv.head[t->per_study]);
        snprintf(study, sizeof study, "%d", i);
        entry.study = rv_names_put(&trials->studies, study);
        entry.trial = rv_names_put(&trials->settings, "");
        RV_TRY(rv_trials_put(trials, &entry, err));
        at += at[n] ? n + 1 : n;
    }
    return RV_OK;
}

static rv_status read_count(const table *t, int column, int *count, rv_error *err)
{
    double told = NAN;
    if (column >= 0)
        RV_TRY(rv_csv_real(&t->csv, column, &told, err));
    if (told < 0 || told > 1e9)
        return rv_csv_fail(&t->csv, err, "a count of %g", told);
    *count = isnan(told) ? -1 : (int)told;
    return RV_OK;
}

static rv_status read_median(table *t, rv_error *err)
{
    rv_trials *trials = t->reading->trials;
    rv_cell_entry cell = {.source = t->source, .line = t->csv.line, .tuning = tuning_of(t)};
    RV_TRY(rv_csv_real(&t->csv, t->time, &cell.time, err));
    RV_TRY(check_time(t, cell.time, err));
    RV_TRY(read_count(t, t->studies_told, &cell.studies, err));
    RV_TRY(read_count(t, t->solved_told, &cell.solved, err));
    cell.submission = rv_names_put(&trials->submissions, t->csv.field[t->submission]);
    cell.workload = rv_names_put(&trials->workloads, t->csv.field[t->workload]);
    RV_TRY(rv_trials_put_cell(trials, &cell, err));
    return t->per_study < 0 ? RV_OK : read_studies(t, &cell, err);
}

static rv_status read_wide(table *t, rv_error *err)
{
    rv_trials *trials = t->reading->trials;
    for (int i = 0; i < t->csv.columns; i++) {
        if (i == t->submission || i == t->tuning || !rv_read_workload(t->reading, t->csv.head[i]))
            continue;
        rv_cell_entry cell = {
            .source = t->source, .line = t->csv.line, .studies = -1, .solved = -1, .tuning = tuning_of(t)};
        RV_TRY(rv_csv_real(&t->csv, i, &cell.time, err));
        RV_TRY(check_time(t, cell.time, err));
        cell.submission = rv_names_put(&trials->submissions, t->csv.field[t->submission]);
        cell.workload = rv_names_put(&trials->workloads, t->csv.head[i]);
        RV_TRY(rv_trials_put_cell(trials, &cell, err));
    }
    return RV_OK;
}

/* ---- rows -------------------------------------------------------------------- */

static rv_status read_row(table *t, rv_error *err)
{
    rv_reading *r = t->reading;
    bool wide = t->workload < 0, trial = t->study >= 0 || t->setting >= 0;
    if (t->csv.field[t->submission][0] == '\0')
        return rv_csv_fail(&t->csv, err, "no submission");
    if (!wide && t->csv.field[t->workload][0] == '\0')
        return rv_csv_fail(&t->csv, err, "no workload");
    if (t->scored >= 0 && strcmp(t->csv.field[t->scored], "0") == 0) {
        r->unscored += !rv_read_scans(r);
        return RV_OK;
    }
    if (!rv_read_tuning(r, tuning_of(t)))
        return RV_OK;
    if (rv_read_scans(r) && trial)
        rv_read_trial_label(r, t->setting < 0 ? "" : t->csv.field[t->setting]);
    if (wide && !rv_read_scans(r))
        return read_wide(t, err);
    for (int i = 0; wide && i < t->csv.columns; i++)
        if (i != t->submission && i != t->tuning)
            rv_read_workload(r, t->csv.head[i]);
    if (wide || !rv_read_workload(r, t->csv.field[t->workload]))
        return RV_OK;
    return trial ? read_trial(t, err) : read_median(t, err);
}

static rv_status read_rows(table *t, rv_error *err)
{
    bool more = true;
    RV_TRY(find_columns(t, err));
    if (!rv_read_scans(t->reading)) {
        if (t->workload >= 0)
            RV_TRY(find_clock(t, err));
        t->source = rv_names_put(&t->reading->trials->sources, t->csv.path);
        if (t->source < 0)
            return rv_fail(err, RV_E_MEMORY, "%s: no memory", t->csv.path);
    }
    for (;;) {
        RV_TRY(rv_csv_next(&t->csv, &more, err));
        if (!more)
            break;
        RV_TRY(read_row(t, err));
    }
    return t->csv.torn ? rv_csv_fail(&t->csv, err, "the last line is torn") : RV_OK;
}

rv_status rv_read_table(rv_reading *reading, const char *path, rv_error *err)
{
    table t = {.reading = reading};
    rv_status status = rv_csv_open(&t.csv, path, max_table, err);
    if (status == RV_OK)
        status = read_rows(&t, err);
    rv_csv_close(&t.csv);
    return status;
}
