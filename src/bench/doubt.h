/* How far a score can be trusted: resampled studies, a submission or a workload left out,
 * other targets and other limits. */
#ifndef RV_BENCH_DOUBT_H
#define RV_BENCH_DOUBT_H

#include "bench/score.h"

typedef struct rv_resampled {
    int resamples, submissions;
    double *score;   /* [resamples][submissions] */
    int *rank_count; /* [submissions][submissions]: how often each had rank 1, 2, ... */
    double *lo, *hi; /* [submissions]: the middle 95 % */
    double *sd;      /* [submissions] */
    int *rank_lo, *rank_hi;
} rv_resampled;

/* Draws, for every submission and workload on its own, as many studies as there are, with
 * replacement, and scores anew: Efron 1979, "Bootstrap methods".  Resample r of a seed is a pure
 * function of (seed, r).  Medians without studies stay as they are. */
rv_status rv_resample(rv_resampled *out, const rv_score *score, const rv_ruleset *ruleset, int resamples, uint64_t seed,
                      rv_error *err);
void rv_resampled_release(rv_resampled *resampled);

/* Scores [submissions] of the same times under another board. */
rv_status rv_score_again(const rv_score *score, const rv_board *board, double *out, rv_error *err);

/* Spearman's rank correlation, equal values sharing their mean rank; NAN when either is constant. */
double rv_spearman(const double *a, const double *b, int n);

#endif
