/* The scorer's inside: a matrix of times goes in, credits come out.  Everything that scores
 * again (resampling, leaving out, other limits) calls rv_board_apply, so there is one set of
 * rules. */
#ifndef RV_BENCH_SCORE_H
#define RV_BENCH_SCORE_H

#include "bench/trials.h"
#include "core/text.h"

/* What the rules need to know beside the times. */
typedef struct rv_board {
    const rv_ruleset *ruleset;
    int submissions, workloads, base;
    const int *guards;     /* [workloads]: the base column that a held-out one guards, else -1 */
    double tau_max, cut;
    int without_submission; /* left out of the pool, -1: nobody */
    int without_workload;   /* a base column that does not count, -1: none */
} rv_board;

/* What the rules say; all but kept and score may be NULL. */
typedef struct rv_verdict {
    double *kept;     /* [submissions][workloads]: times that survive; INFINITY else */
    double *score;    /* [submissions]: mean area */
    double *exact;    /* [submissions]: mean credit */
    rv_cause *cause;  /* [submissions][workloads] */
    double *beyond;   /* [submissions][workloads]: ratio to the fastest before the cut */
    double *best;     /* [workloads]: the fastest that survives */
} rv_verdict;

/* times [submissions][workloads]: INFINITY a miss, NAN no trial. */
void rv_board_apply(const rv_board *board, const double *times, const rv_verdict *verdict);

/* max(0, (tau_max - ratio) / (tau_max - 1)), and the same by a trapezoid over points ratios
 * (0: exact) of the step function "ratio <= tau". */
double rv_score_credit(double ratio, double tau_max);
double rv_score_area(double ratio, double tau_max, int points);

/* The median as numpy has it; values is sorted in place, NaN are left out; NaN when none is left. */
double rv_score_median(double *values, int n);
/* rank [n]: 1 + the number of scores that are higher; equal scores share a rank.  scratch [n]. */
void rv_score_rank(const double *score, int n, int *rank, double *scratch);

/* Fills a zeroed score with its shape, study times and medians; release it also after a failure. */
rv_status rv_score_medians(rv_score *score, const rv_trials *trials, const rv_ruleset *ruleset, double slack, rv_error *err);
/* rv_score_make with targets made easier by slack (negative: harder), a share of their size. */
rv_status rv_score_make_at(rv_score **out, const rv_trials *trials, const rv_ruleset *ruleset, double slack, rv_error *err);
/* The board of a score; guards [workloads] is filled and borrowed. */
rv_board rv_score_board(const rv_score *score, const rv_ruleset *ruleset, int *guards);
/* Row of a submission and column of a workload; -1: none. */
int rv_score_find(const rv_score *score, const char *submission);
int rv_score_find_workload(const rv_score *score, const char *workload);

/* Appends why a cell has no credit, nothing when it has one: "missed in studies 1, 4 of 5". */
void rv_score_why(const rv_score *score, const rv_board *board, const rv_trials *trials, int submission, int workload,
                  rv_text *out);

#endif
