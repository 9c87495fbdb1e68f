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
    void *part;          /* [layout size], gradient of a micro-batch; NULL: one batch a step */
    void *average;       /* [layout size], weights to evaluate */
    void *statistics;    /* [state_size], kept while others are evaluated; NULL: none */
    double loss;         /* of the last step, NaN: none yet */
    double session_start, reported; /* of the monotonic clock */
    int64_t session_step;
    char why[256];       /* of a divergence */
} rv_loop;

/* Trains from the tally on to the end, with evaluation, log and checkpoints. */
rv_status rv_loop_run(rv_loop *loop, rv_outcome *outcome, rv_error *err);
/* Measures a split at the weights to evaluate and logs it; updates best, final and target
 * for the validation split.  RV_E_UNSUPPORTED: there is no such split. */
rv_status rv_loop_evaluate(rv_loop *loop, rv_split split, rv_error *err);

#endif
