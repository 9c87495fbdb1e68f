/* A score: medians through the rules, and what can be asked of it afterwards. */
#include "bench/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *rv_cause_name(rv_cause cause)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        RV_CAUSE_MAP(X)
#undef X
    };
    return names[cause];
}

static rv_status no_memory(rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "score: no memory");
}

/* ---- rules ------------------------------------------------------------------- */

rv_board rv_score_board(const rv_score *score, const rv_ruleset *ruleset, int *guards)
{
    for (int w = 0; w < score->workloads; w++)
        guards[w] = w < score->base ? -1 : rv_ruleset_find(ruleset, ruleset->workloads[w].guards);
    return (rv_board){.ruleset = ruleset,
                      .submissions = score->submissions,
                      .workloads = score->workloads,
                      .base = score->base,
                      .guards = guards,
                      .tau_max = ruleset->tau_max,
                      .cut = ruleset->cut,
                      .without_submission = -1,
                      .without_workload = -1};
}

/* scratch [submissions] */
static void fill_cells(rv_score *s, const rv_board *b, const rv_verdict *v, double *scratch)
{
    for (int i = 0; i < s->submissions; i++)
        for (int w = 0; w < s->workloads; w++) {
            int at = i * s->workloads + w;
            rv_score_cell *cell = &s->cells[at];
            bool kept = isfinite(v->kept[at]);
            cell->ratio = !kept ? INFINITY : v->kept[at] == v->best[w] ? 1 : v->kept[at] / v->best[w];
            cell->credit = kept ? rv_score_credit(cell->ratio, b->tau_max) : 0;
            cell->area = kept ? rv_score_area(cell->ratio, b->tau_max, b->ruleset->points) : 0;
            cell->cause = v->cause[at];
            cell->beyond = v->beyond[at];
        }
    rv_score_rank(s->score, s->submissions, s->rank, scratch);
}

static rv_status judge(rv_score *s, const rv_ruleset *ruleset, rv_error *err)
{
    size_t cells = (size_t)s->submissions * (size_t)s->workloads, n = (size_t)s->submissions;
    double *real = malloc((3 * cells + (size_t)s->workloads + n + 1) * sizeof *real);
    int *guards = malloc(((size_t)s->workloads + 1) * sizeof *guards);
    rv_cause *cause = malloc((cells + 1) * sizeof *cause);
    s->score = calloc(n + 1, sizeof *s->score);
    s->exact = calloc(n + 1, sizeof *s->exact);
    s->rank = calloc(n + 1, sizeof *s->rank);
    bool ready = real && guards && cause && s->score && s->exact && s->rank;
    if (ready) {
        rv_board board = rv_score_board(s, ruleset, guards);
        rv_verdict verdict = {.kept = real + cells,
                              .beyond = real + 2 * cells,
                              .best = real + 3 * cells,
                              .score = s->score,
                              .exact = s->exact,
                              .cause = cause};
        for (size_t c = 0; c < cells; c++)
            real[c] = s->cells[c].time;
        rv_board_apply(&board, real, &verdict);
        fill_cells(s, &board, &verdict, real);
    }
    free(real);
    free(guards);
    free(cause);
    return ready ? RV_OK : no_memory(err);
}

/* ---- the whole --------------------------------------------------------------- */

rv_status rv_score_make_at(rv_score **out, const rv_trials *trials, const rv_ruleset *ruleset, double slack,
                           rv_error *err)
{
    rv_score *score = calloc(1, sizeof *score);
    rv_status status = score ? rv_score_medians(score, trials, ruleset, slack, err) : no_memory(err);
    if (status == RV_OK)
        status = judge(score, ruleset, err);
    if (status != RV_OK)
        rv_score_free(score);
    *out = status == RV_OK ? score : NULL;
    return status;
}

rv_status rv_score_make(rv_score **out, const rv_trials *trials, const rv_ruleset *ruleset, rv_error *err)
{
    return rv_score_make_at(out, trials, ruleset, 0, err);
}

void rv_score_free(rv_score *score)
{
    if (!score)
        return;
    free(score->submission);
    free(score->workload);
    free(score->cells);
    free(score->budget);
    free(score->score);
    free(score->exact);
    free(score->rank);
    free(score->study_times);
    free(score->study);
    free(score->studies_at);
    free(score);
}

static int find_name(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int rv_score_find(const rv_score *score, const char *submission)
{
    return find_name(score->submission, score->submissions, submission);
}

int rv_score_find_workload(const rv_score *score, const char *workload)
{
    return find_name(score->workload, score->workloads, workload);
}

double rv_score_profile(const rv_score *score, int submission, double tau)
{
    int within = 0;
    for (int w = 0; w < score->base; w++)
        within += score->cells[submission * score->workloads + w].ratio <= tau;
    return (double)within / score->base;
}

double rv_score_speed(const rv_score *score, int submission, int reference)
{
    double sum = 0;
    for (int w = 0; w < score->base; w++) {
        double own = score->cells[submission * score->workloads + w].time;
        double other = score->cells[reference * score->workloads + w].time;
        sum += log((isfinite(own) ? own : score->budget[w]) / (isfinite(other) ? other : score->budget[w]));
    }
    return exp(sum / score->base);
}
