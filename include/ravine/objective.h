/* The narrow waist: an objective is a function of n parameters with a named
 * layout.  Optimizers, trials, projections, spectra and noise statistics see
 * only this; networks and analytic functions are both objectives. */
#ifndef RAVINE_OBJECTIVE_H
#define RAVINE_OBJECTIVE_H

#include "ravine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rv_split { RV_SPLIT_TRAIN, RV_SPLIT_VALIDATION, RV_SPLIT_TEST } rv_split;
RV_API const char *rv_split_name(rv_split split); /* "train", "validation", "test" */

/* Which mini-batch: a pure function of these three; nothing else is remembered. */
typedef struct rv_batch {
    uint64_t seed;
    uint64_t step;      /* 0-based */
    int part, parts;    /* micro-batch of an accumulated step: part in [0, parts), parts >= 1 */
} rv_batch;

enum { RV_MAX_METRICS = 8 };
typedef struct rv_metric {
    char name[RV_NAME_SIZE / 2]; /* "loss", "accuracy" */
    double value;
} rv_metric;
typedef struct rv_metrics {
    int count;
    rv_metric metric[RV_MAX_METRICS];
} rv_metrics;
/* The value called name, or NaN. */
RV_API double rv_metrics_get(const rv_metrics *metrics, const char *name);

typedef struct rv_objective rv_objective;
typedef struct rv_objective_methods {
    rv_status (*init)(rv_objective *, uint64_t seed, void *w, rv_error *);
    rv_status (*value_grad)(rv_objective *, const void *w, rv_batch, void *g, double *loss, rv_error *);
    rv_status (*evaluate)(rv_objective *, const void *w, rv_split, rv_metrics *, rv_error *);
    rv_status (*recompute)(rv_objective *, const void *w, rv_error *); /* NULL: no statistics */
    void (*free)(rv_objective *);
    /* hv <- exact Hessian of the mini-batch's loss times v, float64 [layout size] with zero
     * gaps, whatever the dtype.  NULL: gradients only. */
    rv_status (*hessian_vector)(rv_objective *, const void *w, rv_batch, const double *v, double *hv, rv_error *);
    /* NULL: there are no labels to draw. */
    rv_status (*sampled_grad)(rv_objective *, const void *w, rv_batch, void *g, double *loss, rv_error *);
    /* NULL: the layout names no layers. */
    rv_status (*factors)(rv_objective *, const void *w, rv_batch, bool sampled, void *g, double *loss, void *factors,
                         rv_error *);
} rv_objective_methods;

/* Filled by its constructor; read by everyone. */
struct rv_objective {
    const rv_objective_methods *methods;
    const char *name;
    const rv_layout *layout;
    rv_dtype dtype;          /* RV_F32 or RV_F64: of w, g and state */
    int64_t examples;        /* of one mini-batch (part) */
    int64_t epoch;           /* training examples in one epoch; 0: no epochs */
    double flops;            /* of one value_grad */
    void *state;             /* running statistics of batch norm, part of a checkpoint */
    int64_t state_size;      /* elements; 0: none */
    const char *data;        /* what was read or generated, "mnist: 55000 training, ..."; NULL: no data */
};

/* Initial parameters into w [layout size], gaps zero; resets the state. */
RV_API rv_status rv_objective_init(rv_objective *objective, uint64_t seed, void *w, rv_error *err);

/* Training mode: loss and g = its gradient on the batch, updates running
 * statistics.  RV_E_NUMERIC when the loss or the gradient is not finite, with
 * the name of the first operation or tensor. */
RV_API rv_status rv_objective_value_grad(rv_objective *objective, const void *w, rv_batch batch,
                                         void *g, double *loss, rv_error *err);

/* The same with labels drawn from the model's own output in place of the data's, by Philox at
 * (seed, RV_RANDOM_LABELS, step, number of the label in the batch); running statistics stay.  For B
 * labels, B times the square of g estimates the diagonal of the Gauss-Newton matrix (Gauss-Newton-Bartlett,
 * Liu et al. 2023, algorithm 2).  RV_E_UNSUPPORTED where the objective has no classes. */
RV_API rv_status rv_objective_sampled_grad(rv_objective *objective, const void *w, rv_batch batch,
                                           void *g, double *loss, rv_error *err);

/* rv_objective_value_grad, or with sampled rv_objective_sampled_grad, that also fills factors
 * [rv_layout_factors of the layout] with the factor sums of every layer (ravine/tensor.h) over the batch:
 * the same loss, gradient and statistics to the bit.  g NULL: only the factors are wanted.  The first call
 * allocates what the others use.  RV_E_UNSUPPORTED where the layout names no layers, or has no classes. */
RV_API rv_status rv_objective_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                                      double *loss, void *factors, rv_error *err);

/* Evaluation mode: no gradient, no randomness, state unchanged.  Metrics depend on
 * (w, state, split) only. */
RV_API rv_status rv_objective_evaluate(rv_objective *objective, const void *w, rv_split split,
                                       rv_metrics *metrics, rv_error *err);

/* Recomputes running statistics at w from fixed training batches: for weights
 * that were never trained with (averages, points of a landscape).  The caller
 * keeps a copy of state where it must come back. */
RV_API rv_status rv_objective_recompute(rv_objective *objective, const void *w, rv_error *err);

RV_API void rv_objective_free(rv_objective *objective); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
