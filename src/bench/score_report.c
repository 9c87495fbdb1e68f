/* A score as JSON: what `ravine score --json` prints and what tables and pages are made from.
 * Submissions stand from best to worst; equal scores stand by name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/doubt.h"
#include "core/json.h"
#include "core/text.h"

enum { MANY = 100, PROFILE_POINTS = 121, MOST_RESAMPLED = 2000 };

typedef struct report {
    const rv_trials *trials;
    const rv_ruleset *ruleset;
    const rv_score_report_options *options;
    rv_score *score;
    rv_board board;
    int *guards;
    int *order;         /* [submissions]: rows from best to worst */
    double *again;      /* [submissions] */
    rv_resampled doubt; /* resamples 0: none */
    int reference;      /* row, -1: none */
} report;

static const rv_score_cell *cell_at(const report *r, int submission, int workload)
{
    return &r->score->cells[submission * r->score->workloads + workload];
}

static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, isnan(value) ? json_null() : rv_json_from_real(value));
}

/* Names come from files: one that is no UTF-8 is told so instead of losing the whole. */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("(not UTF-8)");
}

static void put_key(json_t *object, const char *key, json_t *value)
{
    if (json_object_set(object, key, value) != 0)
        json_object_set(object, "(not UTF-8)", value);
    json_decref(value);
}

/* ---- scores ------------------------------------------------------------------ */

static json_t *study_list(const report *r, int submission, int workload)
{
    const rv_score *s = r->score;
    size_t at = (size_t)(submission * s->workloads + workload);
    json_t *list = json_array();
    for (size_t i = s->studies_at[at]; i < s->studies_at[at + 1]; i++)
        json_array_append_new(list, rv_json_from_real(s->study_times[i]));
    return list;
}

static json_t *cell_entry(const report *r, int submission, int workload)
{
    const rv_score_cell *cell = cell_at(r, submission, workload);
    json_t *entry = json_object();
    rv_text reason = {0};
    put_real(entry, "time", cell->time);
    put_real(entry, "ratio", cell->ratio);
    json_object_set_new(entry, "credit", json_real(cell->credit));
    json_object_set_new(entry, "area", json_real(cell->area));
    json_object_set_new(entry, "cause", json_string(rv_cause_name(cell->cause)));
    rv_score_why(r->score, &r->board, r->trials, submission, workload, &reason);
    if (reason.data)
        json_object_set_new(entry, "why", text_of(reason.data));
    rv_text_release(&reason);
    if (cell->studies >= 0) {
        json_object_set_new(entry, "studies", json_integer(cell->studies));
        json_object_set_new(entry, "solved", json_integer(cell->solved));
    }
    json_object_set_new(entry, "study_times", study_list(r, submission, workload));
    if (cell->setting >= 0)
        json_object_set_new(entry, "setting", text_of(r->trials->settings.name[cell->setting]));
    return entry;
}

static void put_doubt(json_t *entry, const report *r, int submission)
{
    const rv_resampled *d = &r->doubt;
    json_t *ranks = json_object();
    char key[16];
    if (d->resamples == 0) {
        json_decref(ranks);
        return;
    }
    json_object_set_new(entry, "interval", json_pack("[f, f]", d->lo[submission], d->hi[submission]));
    json_object_set_new(entry, "sd", json_real(d->sd[submission]));
    json_object_set_new(entry, "rank_interval", json_pack("[i, i]", d->rank_lo[submission], d->rank_hi[submission]));
    for (int k = 0; k < d->submissions; k++) {
        int count = d->rank_count[(size_t)submission * (size_t)d->submissions + (size_t)k];
        snprintf(key, sizeof key, "%d", k + 1);
        if (count > 0)
            json_object_set_new(ranks, key, json_real((double)count / d->resamples));
    }
    json_object_set_new(entry, "ranks", ranks);
}

static json_t *score_entry(const report *r, int submission)
{
    const rv_score *s = r->score;
    json_t *entry = json_object(), *credits = json_object(), *cells = json_object();
    for (int w = 0; w < s->workloads; w++) {
        if (w < s->base)
            put_key(credits, s->workload[w], json_real(cell_at(r, submission, w)->credit));
        put_key(cells, s->workload[w], cell_entry(r, submission, w));
    }
    json_object_set_new(entry, "submission", text_of(s->submission[submission]));
    json_object_set_new(entry, "score", json_real(s->score[submission]));
    json_object_set_new(entry, "exact", json_real(s->exact[submission]));
    json_object_set_new(entry, "rank", json_integer(s->rank[submission]));
    put_doubt(entry, r, submission);
    if (r->reference >= 0)
        put_real(entry, "speed", rv_score_speed(s, submission, r->reference));
    json_object_set_new(entry, "credits", credits);
    json_object_set_new(entry, "cells", cells);
    return entry;
}

static json_t *score_list(const report *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->score->submissions; i++)
        json_array_append_new(list, score_entry(r, r->order[i]));
    return list;
}

/* ---- the rest ---------------------------------------------------------------- */

static json_t *workload_list(const report *r)
{
    const rv_score *s = r->score;
    json_t *list = json_array();
    for (int w = 0; w < s->workloads; w++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "workload", text_of(s->workload[w]));
        if (w >= s->base)
            json_object_set_new(entry, "guards", text_of(s->workload[r->guards[w]]));
        if (w < r->ruleset->workload_count) {
            const rv_ruleset_workload *rule = &r->ruleset->workloads[w];
            if (rule->metric)
                json_object_set_new(entry, "metric", text_of(rule->metric));
            put_real(entry, "target", rule->target);
        }
        put_real(entry, "budget", s->budget[w]);
        int solved = 0;
        double best = INFINITY;
        for (int i = 0; i < s->submissions; i++) {
            double time = cell_at(r, i, w)->time;
            solved += isfinite(time) != 0;
            best = time < best ? time : best;
        }
        json_object_set_new(entry, "solved_by", json_integer(solved));
        put_real(entry, "best", best);
        json_array_append_new(list, entry);
    }
    return list;
}

/* Cells with another number of studies than the rules have; the official scorer would refuse
 * them when it is strict. */
static json_t *departures(const report *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->score->submissions; i++)
        for (int w = 0; w < r->score->workloads; w++) {
            const rv_score_cell *cell = cell_at(r, r->order[i], w);
            if (cell->studies <= 0 || cell->studies == r->ruleset->studies)
                continue;
            json_t *entry = json_object();
            json_object_set_new(entry, "submission", text_of(r->score->submission[r->order[i]]));
            json_object_set_new(entry, "workload", text_of(r->score->workload[w]));
            json_object_set_new(entry, "studies", json_integer(cell->studies));
            json_array_append_new(list, entry);
        }
    return list;
}

static json_t *profiles(const report *r)
{
    json_t *object = json_object(), *taus = json_array(), *heights = json_object();
    for (int i = 0; i < PROFILE_POINTS; i++)
        json_array_append_new(taus, json_real(1 + (r->board.tau_max - 1) * i / (PROFILE_POINTS - 1)));
    for (int i = 0; i < r->score->submissions; i++) {
        json_t *list = json_array();
        for (int k = 0; k < PROFILE_POINTS; k++)
            json_array_append_new(list, json_real(rv_score_profile(r->score, r->order[i],
                                                                   json_real_value(json_array_get(taus, (size_t)k)))));
        put_key(heights, r->score->submission[r->order[i]], list);
    }
    json_object_set_new(object, "tau", taus);
    json_object_set_new(object, "rho", heights);
    return object;
}

/* {submission: score}, without one of them. */
static json_t *scores_of(const report *r, const double *score, int without)
{
    json_t *object = json_object();
    for (int i = 0; i < r->score->submissions; i++)
        if (r->order[i] != without)
            put_key(object, r->score->submission[r->order[i]], json_real(score[r->order[i]]));
    return object;
}

static rv_status leave_out(const report *r, json_t **out, rv_error *err)
{
    json_t *submissions = json_object(), *workloads = json_object();
    *out = json_pack("{s:o, s:o}", "submission", submissions, "workload", workloads);
    rv_board board = r->board;
    for (int i = 0; i < r->score->submissions; i++) {
        board.without_submission = r->order[i];
        RV_TRY(rv_score_again(r->score, &board, r->again, err));
        put_key(submissions, r->score->submission[r->order[i]], scores_of(r, r->again, r->order[i]));
    }
    board = r->board;
    for (int w = 0; w < r->score->base && r->score->base > 1; w++) {
        board.without_workload = w;
        RV_TRY(rv_score_again(r->score, &board, r->again, err));
        put_key(workloads, r->score->workload[w], scores_of(r, r->again, -1));
    }
    return RV_OK;
}

static void add_case(const report *r, json_t *list, const char *key, double value)
{
    json_t *entry = json_object();
    json_object_set_new(entry, key, json_real(value));
    put_real(entry, "spearman", rv_spearman(r->score->score, r->again, r->score->submissions));
    json_object_set_new(entry, "scores", scores_of(r, r->again, -1));
    json_array_append_new(list, entry);
}

/* The cut is moved with tau_max where the rules have both at the same place. */
static rv_status other_limits(const report *r, json_t *list, rv_error *err)
{
    static const double limits[] = {1.5, 2, 3, 4, 6, 8};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        rv_board board = r->board;
        board.tau_max = limits[i];
        if (r->board.cut == r->board.tau_max)
            board.cut = limits[i];
        RV_TRY(rv_score_again(r->score, &board, r->again, err));
        add_case(r, list, "tau_max", limits[i]);
    }
    return RV_OK;
}

static bool has_curves(const rv_trials *trials)
{
    return trials->points > 0;
}

static rv_status other_targets(const report *r, json_t *list, rv_error *err)
{
    static const double slacks[] = {-0.01, -0.005, -0.0025, -0.001, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05};
    for (size_t i = 0; has_curves(r->trials) && i < sizeof slacks / sizeof slacks[0]; i++) {
        rv_score *score;
        RV_TRY(rv_score_make_at(&score, r->trials, r->ruleset, slacks[i], err));
        memcpy(r->again, score->score, (size_t)score->submissions * sizeof *score->score);
        rv_score_free(score);
        add_case(r, list, "target_easier_by", slacks[i]);
    }
    return RV_OK;
}

static rv_status sensitivity(const report *r, json_t **out, rv_error *err)
{
    json_t *limits = json_array(), *targets = json_array();
    *out = json_pack("{s:o, s:o}", "tau_max", limits, "target", targets);
    RV_TRY(other_limits(r, limits, err));
    return other_targets(r, targets, err);
}

/* ---- the whole --------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b, void *context)
{
    const rv_score *score = context;
    int x = *(const int *)a, y = *(const int *)b;
    if (score->score[x] != score->score[y])
        return score->score[x] > score->score[y] ? -1 : 1;
    return (x > y) - (x < y); /* rows stand by name */
}

static rv_status find_reference(report *r, rv_error *err)
{
    const char *name = r->options->reference;
    r->reference = rv_score_find(r->score, name ? name : "baseline");
    if (name && r->reference < 0) {
        const char *near = rv_text_nearest(name, r->score->submission, r->score->submissions);
        return rv_fail(err, RV_E_UNKNOWN, "no submission '%s'%s%s%s", name, near ? "; did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    }
    if (r->reference < 0)
        r->reference = r->order[0];
    return RV_OK;
}

static rv_status prepare(report *r, rv_error *err)
{
    RV_TRY(rv_score_make(&r->score, r->trials, r->ruleset, err));
    size_t n = (size_t)r->score->submissions;
    r->guards = malloc(((size_t)r->score->workloads + 1) * sizeof *r->guards);
    r->order = malloc((n + 1) * sizeof *r->order);
    r->again = malloc((n + 1) * sizeof *r->again);
    if (!r->guards || !r->order || !r->again)
        return rv_fail(err, RV_E_MEMORY, "score: no memory");
    r->board = rv_score_board(r->score, r->ruleset, r->guards);
    for (int i = 0; i < r->score->submissions; i++)
        r->order[i] = i;
    qsort_r(r->order, n, sizeof *r->order, compare_rows, r->score);
    RV_TRY(find_reference(r, err));
    bool studies = r->score->studies_at[n * (size_t)r->score->workloads] > 0;
    if (r->options->resamples < 1 || !studies || r->score->submissions > MOST_RESAMPLED)
        return RV_OK;
    return rv_resample(&r->doubt, r->score, r->ruleset, r->options->resamples, r->options->seed, err);
}

static rv_status write_doubt(const report *r, json_t *object, rv_error *err)
{
    json_t *part = NULL;
    rv_status status = RV_OK;
    if (r->doubt.resamples > 0)
        json_object_set_new(object, "uncertainty",
                            json_pack("{s:i, s:I, s:s}", "resamples", r->doubt.resamples, "seed",
                                      (json_int_t)r->options->seed, "interval",
                                      "middle 95 % of scores over resampled studies"));
    if (r->score->submissions <= MANY) {
        status = leave_out(r, &part, err);
        json_object_set_new(object, "without", part);
        part = NULL;
    }
    if (status == RV_OK) {
        status = sensitivity(r, &part, err);
        json_object_set_new(object, "sensitivity", part);
    }
    return status;
}

static rv_status write_report(const report *r, char **json, rv_error *err)
{
    const rv_ruleset *rules = r->ruleset;
    json_t *object = json_object();
    json_object_set_new(object, "ruleset", text_of(rules->name));
    json_object_set_new(object, "title", text_of(rules->title));
    json_object_set_new(object, "clock", text_of(r->trials->clock_name));
    json_object_set_new(object, "tau_max", json_real(rules->tau_max));
    json_object_set_new(object, "points", json_integer(rules->points));
    json_object_set_new(object, "reference", text_of(r->score->submission[r->reference]));
    json_object_set_new(object, "studies", json_integer(rules->studies));
    json_object_set_new(object, "scores", score_list(r));
    json_object_set_new(object, "departures", departures(r));
    json_object_set_new(object, "workloads", workload_list(r));
    json_object_set_new(object, "profiles", profiles(r));
    rv_status status = write_doubt(r, object, err);
    *json = status == RV_OK ? rv_json_text(object, 0) : NULL;
    json_decref(object);
    return status == RV_OK && !*json ? rv_fail(err, RV_E_MEMORY, "score: no memory for the report") : status;
}

rv_status rv_score_report(char **json, const rv_trials *trials, const rv_ruleset *ruleset,
                          const rv_score_report_options *options, rv_error *err)
{
    report r = {.trials = trials, .ruleset = ruleset, .options = options};
    *json = NULL;
    rv_status status = prepare(&r, err);
    if (status == RV_OK)
        status = write_report(&r, json, err);
    rv_score_free(r.score);
    rv_resampled_release(&r.doubt);
    free(r.guards);
    free(r.order);
    free(r.again);
    return status;
}
