/* "scores" of bench.json: medians of every setting for people to read, and the score of the
 * ruleset on all three clocks.  Which setting counts is the scorer's choice, not this file's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/record.h"
#include "bench/score.h"
#include "core/json.h"

enum { CLOCKS = 3 };
static const char *const clock_name[CLOCKS] = {"examples", "seconds", "steps"};

typedef struct scoring {
    const rv_plan *plan;
    const rv_record_trial *results;
    rv_ruleset *ruleset;
    rv_trials *trials[CLOCKS];
    rv_score *score[CLOCKS];
    double *scratch; /* [plan->count] */
} scoring;

static double time_to_target(const scoring *s, int number, int clock)
{
    const rv_record_trial *trial = &s->results[number];
    const rv_trial_result *r = &trial->result;
    if (trial->state == RV_TRIAL_PENDING)
        return NAN;
    if (trial->state == RV_TRIAL_FAILED || r->target_step < 0)
        return INFINITY;
    double overhead = rv_plan_overhead(s->plan, s->plan->trials[number].optimizer);
    return clock == 0 ? (double)r->target_examples * overhead : clock == 1 ? r->target_seconds : (double)r->target_step;
}

static double best_value(const rv_record_trial *trial)
{
    return trial->state == RV_TRIAL_DONE ? trial->result.best : NAN;
}

static rv_status score_clock(scoring *s, int clock, rv_error *err)
{
    char study[32], point[32];
    RV_TRY(rv_trials_new(&s->trials[clock], err));
    for (int i = 0; i < s->plan->count; i++) {
        const rv_plan_trial *t = &s->plan->trials[i];
        const rv_plan_problem *problem = &s->plan->problem[t->problem];
        double best = best_value(&s->results[i]);
        snprintf(study, sizeof study, "%lld", (long long)t->seed);
        snprintf(point, sizeof point, "%d", t->point);
        rv_trial_row row = {.submission = s->plan->optimizer[t->optimizer], .workload = problem->label, .study = study,
                            .trial = point, .time = time_to_target(s, i, clock),
                            .order = time_to_target(s, i, 0), .merit = problem->maximize ? best : -best};
        RV_TRY(rv_trials_add(s->trials[clock], &row, err));
    }
    return rv_score_make(&s->score[clock], s->trials[clock], s->ruleset, err);
}

/* The cell of a problem and an optimizer on a clock. */
static const rv_score_cell *cell_of(const scoring *s, int clock, int problem, int optimizer)
{
    const rv_score *score = s->score[clock];
    int row = rv_score_find(score, s->plan->optimizer[optimizer]);
    int column = rv_score_find_workload(score, s->plan->problem[problem].label);
    return row < 0 || column < 0 ? NULL : &score->cells[row * score->workloads + column];
}

/* ---- JSON -------------------------------------------------------------------- */

/* Medians over the seeds of one setting; what has not run is left out. */
static json_t *point_entry(const scoring *s, int problem, int optimizer, int point, json_t *setting)
{
    json_t *entry = json_object();
    int n = 0, reached = 0;
    json_object_set(entry, "settings", setting);
    json_object_set_new(entry, "n", json_null()); /* keys in their order */
    for (int column = 0; column <= CLOCKS; column++) {
        n = reached = 0;
        for (int i = 0; i < s->plan->count; i++) {
            const rv_plan_trial *t = &s->plan->trials[i];
            if (t->problem != problem || t->optimizer != optimizer || t->point != point ||
                s->results[i].state == RV_TRIAL_PENDING)
                continue;
            s->scratch[n++] = column < CLOCKS ? time_to_target(s, i, column) : best_value(&s->results[i]);
            reached += isfinite(time_to_target(s, i, 0)) != 0;
        }
        json_object_set_new(entry, "reached", json_integer(reached));
        json_object_set_new(entry, column < CLOCKS ? clock_name[column] : "metric",
                            rv_json_from_real(rv_score_median(s->scratch, n)));
    }
    json_object_set_new(entry, "n", json_integer(n));
    return entry;
}

/* Whether trial i did better than k: sooner at the target, or neither there and nearer to it. */
static bool did_better(const scoring *s, int i, int k)
{
    double a = time_to_target(s, i, 0), b = time_to_target(s, k, 0);
    double x = best_value(&s->results[i]), y = best_value(&s->results[k]);
    if (isnan(a) || isnan(b) || a != b)
        return !isnan(a) && !(a >= b);
    bool maximize = s->plan->problem[s->plan->trials[i].problem].maximize;
    return isnan(x) || isnan(y) ? !isnan(x) && isnan(y) : maximize ? x > y : x < y;
}

/* Where every study picks its own: the setting that was picked most often, among equals the first; -1:
 * none has run. */
static int picked_most(const scoring *s, int problem, int optimizer)
{
    size_t points = json_array_size(s->plan->settings[problem * s->plan->optimizers + optimizer]);
    int most = -1;
    for (size_t i = 0; i < points; i++)
        s->scratch[i] = 0;
    for (int study = 0; study < s->plan->seeds; study++) {
        int best = -1;
        for (int i = 0; i < s->plan->count; i++) {
            const rv_plan_trial *t = &s->plan->trials[i];
            if (t->problem == problem && t->optimizer == optimizer && t->study == study &&
                s->results[i].state != RV_TRIAL_PENDING && (best < 0 || did_better(s, i, best)))
                best = i;
        }
        if (best >= 0)
            s->scratch[s->plan->trials[best].point]++;
    }
    for (size_t i = 0; i < points; i++)
        if (s->scratch[i] > (most < 0 ? 0 : s->scratch[most]))
            most = (int)i;
    return most;
}

static json_t *cell_entry(const scoring *s, int problem, int optimizer)
{
    json_t *entry = json_object(), *list = json_array(), *time = json_object();
    json_t *settings = s->plan->settings[problem * s->plan->optimizers + optimizer];
    const rv_score_cell *cell = cell_of(s, 0, problem, optimizer);
    int best = s->ruleset->pick != RV_PICK_SETTING ? picked_most(s, problem, optimizer)
               : cell && cell->setting >= 0        ? atoi(s->trials[0]->settings.name[cell->setting])
                                                   : -1;
    for (int clock = 0; clock < CLOCKS; clock++) {
        const rv_score_cell *c = cell_of(s, clock, problem, optimizer);
        json_object_set_new(time, clock_name[clock], rv_json_from_real(c ? c->time : NAN));
    }
    for (size_t i = 0; i < json_array_size(settings); i++)
        json_array_append_new(list, point_entry(s, problem, optimizer, (int)i, json_array_get(settings, i)));
    json_object_set_new(entry, "problem", json_integer(problem));
    json_object_set_new(entry, "optimizer", json_integer(optimizer));
    json_object_set_new(entry, "best", json_integer(best));
    json_object_set_new(entry, "time", time);
    json_object_set_new(entry, "cause", json_string(rv_cause_name(cell ? cell->cause : RV_CAUSE_NO_TRIAL)));
    json_object_set_new(entry, "points", list);
    return entry;
}

static json_t *problem_entry(const rv_plan_problem *problem)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "label", problem->label, "workload", problem->workload, "title",
                     problem->title, "metric", problem->metric, "maximize", problem->maximize, "target",
                     rv_json_from_real(problem->target));
}

static json_t *optimizer_entry(const scoring *s, int optimizer)
{
    json_t *entry = json_object(), *score = json_object(), *rank = json_object();
    int reached = 0;
    for (int p = 0; p < s->plan->problems; p++) {
        const rv_score_cell *cell = cell_of(s, 0, p, optimizer);
        reached += cell && isfinite(cell->time);
    }
    for (int clock = 0; clock < CLOCKS; clock++) {
        int row = rv_score_find(s->score[clock], s->plan->optimizer[optimizer]);
        json_object_set_new(score, clock_name[clock], rv_json_from_real(s->score[clock]->score[row]));
        json_object_set_new(rank, clock_name[clock], json_integer(s->score[clock]->rank[row]));
    }
    json_object_set_new(entry, "label", json_string(s->plan->optimizer[optimizer]));
    json_object_set_new(entry, "reached", json_integer(reached));
    json_object_set_new(entry, "score", score);
    json_object_set_new(entry, "rank", rank);
    return entry;
}

static json_t *write_scores(const scoring *s)
{
    json_t *object = json_object(), *problems = json_array(), *optimizers = json_array(), *cells = json_array();
    for (int p = 0; p < s->plan->problems; p++) {
        json_array_append_new(problems, problem_entry(&s->plan->problem[p]));
        for (int o = 0; o < s->plan->optimizers; o++)
            json_array_append_new(cells, cell_entry(s, p, o));
    }
    for (int o = 0; o < s->plan->optimizers; o++)
        json_array_append_new(optimizers, optimizer_entry(s, o));
    json_object_set_new(object, "ruleset", json_string(s->ruleset->name));
    json_object_set_new(object, "problems", problems);
    json_object_set_new(object, "optimizers", optimizers);
    json_object_set_new(object, "cells", cells);
    return object;
}

json_t *rv_record_scores(const rv_plan *plan, const rv_record_trial *trials, const char *ruleset)
{
    scoring s = {.plan = plan, .results = trials, .scratch = malloc(((size_t)plan->count + 1) * sizeof *s.scratch)};
    rv_status status = s.scratch ? rv_ruleset_load(&s.ruleset, ruleset, NULL) : RV_E_MEMORY;
    for (int clock = 0; clock < CLOCKS && status == RV_OK; clock++)
        status = score_clock(&s, clock, NULL);
    json_t *object = status == RV_OK ? write_scores(&s) : NULL;
    for (int clock = 0; clock < CLOCKS; clock++) {
        rv_score_free(s.score[clock]);
        rv_trials_free(s.trials[clock]);
    }
    rv_ruleset_free(s.ruleset);
    free(s.scratch);
    return object;
}
