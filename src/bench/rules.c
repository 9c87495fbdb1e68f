/* From times to credits.  Invariant: a credit is taken away only by a rule of the ruleset, in
 * the ruleset's order, and what a rule sees is what the rules before it left. */
#include <math.h>
#include <stdlib.h>

#include "bench/score.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Studies are few: by insertion, without a call per comparison. */
static void sort_few(double *values, int n)
{
    for (int i = 1; i < n; i++) {
        double value = values[i];
        int at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

double rv_score_median(double *values, int n)
{
    enum { FEW = 16 };
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(values[i]))
            values[kept++] = values[i];
    if (kept == 0)
        return NAN;
    if (kept <= FEW)
        sort_few(values, kept);
    else
        qsort(values, (size_t)kept, sizeof *values, compare_doubles);
    return kept % 2 == 1 ? values[kept / 2] : (values[kept / 2 - 1] + values[kept / 2]) / 2;
}

double rv_score_credit(double ratio, double tau_max)
{
    return ratio < tau_max ? (tau_max - ratio) / (tau_max - 1) : 0;
}

/* Grid point number i, as numpy.linspace(1, tau_max, points) has it. */
static double tau_at(int i, double tau_max, int points)
{
    return i == points - 1 ? tau_max : 1 + i * ((tau_max - 1) / (points - 1));
}

double rv_score_area(double ratio, double tau_max, int points)
{
    if (points == 0)
        return rv_score_credit(ratio, tau_max);
    if (!(ratio <= tau_max))
        return 0;
    int first = (int)((ratio - 1) / (tau_max - 1) * (points - 1)); /* the first point at or behind the ratio */
    while (first > 0 && ratio <= tau_at(first - 1, tau_max, points))
        first--;
    while (ratio > tau_at(first, tau_max, points))
        first++;
    double from = tau_at(first, tau_max, points), area = tau_max - from;
    if (first > 0)
        area += (from - tau_at(first - 1, tau_max, points)) / 2;
    return area / (tau_max - 1);
}

void rv_score_rank(const double *score, int n, int *rank, double *scratch)
{
    for (int i = 0; i < n; i++)
        scratch[i] = -score[i];
    qsort(scratch, (size_t)n, sizeof *scratch, compare_doubles);
    for (int i = 0; i < n; i++) {
        int lo = 0, hi = n; /* the first that is not higher */
        while (lo < hi) {
            int mid = lo + (hi - lo) / 2;
            if (scratch[mid] < -score[i])
                lo = mid + 1;
            else
                hi = mid;
        }
        rank[i] = lo + 1;
    }
}

/* ---- the rules --------------------------------------------------------------- */

static void kill(const rv_board *b, const rv_verdict *v, int submission, int workload, rv_cause cause)
{
    int at = submission * b->workloads + workload;
    if (!isfinite(v->kept[at]))
        return;
    v->kept[at] = INFINITY;
    if (v->cause)
        v->cause[at] = cause;
}

/* Takes workload `to` from everyone who does not hold `from`. */
static void require(const rv_board *b, const rv_verdict *v, int from, int to, rv_cause cause)
{
    for (int s = 0; s < b->submissions; s++)
        if (!isfinite(v->kept[s * b->workloads + from]))
            kill(b, v, s, to, cause);
}

static double fastest(const rv_board *b, const double *kept, int workload)
{
    double best = INFINITY;
    for (int s = 0; s < b->submissions; s++)
        if (kept[s * b->workloads + workload] < best)
            best = kept[s * b->workloads + workload];
    return best;
}

static double ratio_to(double time, double best)
{
    return time == best ? 1 : time / best; /* 0 / 0 and the like: nobody is faster */
}

static void note_beyond(const rv_board *b, const rv_verdict *v, int workload)
{
    if (!v->beyond)
        return;
    double best = fastest(b, v->kept, workload);
    for (int s = 0; s < b->submissions; s++) {
        double time = v->kept[s * b->workloads + workload];
        v->beyond[s * b->workloads + workload] = isfinite(time) ? ratio_to(time, best) : NAN;
    }
}

static void cut_slow(const rv_board *b, const rv_verdict *v, int workload)
{
    double limit = b->cut * fastest(b, v->kept, workload);
    note_beyond(b, v, workload);
    for (int s = 0; s < b->submissions; s++)
        if (v->kept[s * b->workloads + workload] > limit)
            kill(b, v, s, workload, RV_CAUSE_CUT);
}

static void apply_rule(const rv_board *b, const rv_verdict *v, rv_score_rule rule)
{
    for (int w = 0; w < b->workloads; w++) {
        if (rule == RV_RULE_CUT) {
            cut_slow(b, v, w);
        } else if (b->guards[w] >= 0) {
            bool base = rule == RV_RULE_BASE_NEEDS_HELD_OUT;
            require(b, v, base ? w : b->guards[w], base ? b->guards[w] : w, base ? RV_CAUSE_HELD_OUT : RV_CAUSE_BASE);
        }
    }
}

static void start(const rv_board *b, const double *times, const rv_verdict *v)
{
    for (int s = 0; s < b->submissions; s++)
        for (int w = 0; w < b->workloads; w++) {
            int at = s * b->workloads + w;
            v->kept[at] = s == b->without_submission || isnan(times[at]) ? INFINITY : times[at];
            if (v->cause)
                v->cause[at] = isnan(times[at])      ? RV_CAUSE_NO_TRIAL
                               : isfinite(times[at]) ? RV_CAUSE_NONE
                                                     : RV_CAUSE_MISSED;
        }
}

/* On a grid of 2^-40, where a sum is exact and thus the same in any order: submissions with equal
 * profiles tie, whatever workloads their credits come from. */
static double on_grid(double area)
{
    return ldexp(rint(ldexp(area, 40)), -40);
}

void rv_board_apply(const rv_board *b, const double *times, const rv_verdict *v)
{
    start(b, times, v);
    for (int w = 0; w < b->workloads; w++)
        note_beyond(b, v, w);
    for (int i = 0; i < b->ruleset->rule_count; i++)
        apply_rule(b, v, b->ruleset->rules[i]);
    int counted = b->base - (b->without_workload >= 0);
    for (int s = 0; s < b->submissions; s++) {
        v->score[s] = 0;
        if (v->exact)
            v->exact[s] = 0;
    }
    for (int w = 0; w < b->workloads; w++) {
        double best = fastest(b, v->kept, w);
        if (v->best)
            v->best[w] = best;
        for (int s = 0; s < b->submissions && w < b->base && w != b->without_workload; s++) {
            double time = v->kept[s * b->workloads + w], ratio = isfinite(time) ? ratio_to(time, best) : INFINITY;
            v->score[s] += on_grid(rv_score_area(ratio, b->tau_max, b->ruleset->points));
            if (v->exact)
                v->exact[s] += on_grid(rv_score_credit(ratio, b->tau_max));
        }
    }
    for (int s = 0; s < b->submissions && counted > 0; s++) {
        v->score[s] /= counted;
        if (v->exact)
            v->exact[s] /= counted;
    }
}
