/* The training loop on things already made: objective, optimizer, weights, log. */
#ifndef RV_TRIAL_LOOP_H
#define RV_TRIAL_LOOP_H

#include "core/arena.h"
#include "trial/checkpoint.h"
#include "trial/folder.h"

typedef struct rv_loop {
    const rv_config *config;
    const rv_trial_options *options;
    rv_pool *pool;
    rv_objective *objective;
    rv_optimizer *optimizer;
    rv_log *log;
    rv_snapshot snapshot;
    rv_tally tally;
    rv_arena arena;      /* holds the five below */
    void *w, *g;         /* [layout size] */
    void *micro;         /* [layout size], gradient of a micro-batch; NULL: one batch a step */
    void *average;       /* [layout size], weights to evaluate */
    void *statistics;    /* [state_size], kept while others are evaluated; NULL: none */
    rv_arena factors;    /* two vectors of factor sums: of the step, of a micro-batch; empty: nobody looks */
    bool have_factors;   /* the first is that of the step being made */
    const rv_config *part_config; /* of the restart in force, or config */
    int part_number;     /* restarts made */
    int64_t part_start;  /* step after which it began: schedules count from there */
    double loss;         /* of the last step, NaN: none yet */
    double session_start, reported; /* of the monotonic clock */
    int64_t session_step;
    char why[256];       /* of a divergence */
} rv_loop;

/* restart.c: makes the optimizer of the part that led to `step`, unless it is there (loop is void for
 * rv_snapshot.enter); begins the part that is due at the tally's step; the steps over which its
 * schedules run. */
rv_status rv_loop_enter(void *loop, int64_t step, rv_error *err);
rv_status rv_loop_restart(rv_loop *loop, rv_error *err);
int64_t rv_loop_horizon(const rv_loop *loop);

/* Bytes of a vector of factor sums; 0: the objective has no layers. */
static inline size_t rv_loop_factor_bytes(const rv_loop *loop)
{
    const rv_objective *o = loop->objective;
    return rv_arena_align((size_t)rv_layout_factors(o->layout) * rv_dtype_size(o->dtype));
}

/* Trains from the tally on to the end, with evaluation, log and checkpoints. */
rv_status rv_loop_run(rv_loop *loop, rv_outcome *outcome, rv_error *err);
/* Measures a split at the weights to evaluate and logs it; updates best, final and target
 * for the validation split.  RV_E_UNSUPPORTED: there is no such split. */
rv_status rv_loop_evaluate(rv_loop *loop, rv_split split, rv_error *err);

#endif
