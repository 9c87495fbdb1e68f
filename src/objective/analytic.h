/* Objectives given by a formula over one short vector, computed in double and
 * offered in either element type. */
#ifndef RV_OBJECTIVE_ANALYTIC_H
#define RV_OBJECTIVE_ANALYTIC_H

#include "ravine/objective.h"

typedef struct rv_analytic rv_analytic;
struct rv_analytic {
    const char *name;
    int64_t size;       /* of the point x */
    int64_t examples;   /* of a mini-batch; 1 where there are none */
    int64_t epoch;      /* 0: no epochs */
    void *context;      /* owned: freed by release */
    void (*start)(void *context, uint64_t seed, double *x);
    double (*value_grad)(void *context, const double *x, rv_batch batch, double *g);
    /* hv <- exact Hessian of the batch's loss times v; NULL: gradients only */
    void (*hessian_vector)(void *context, const double *x, rv_batch batch, const double *v, double *hv);
    void (*evaluate)(void *context, const double *x, rv_split split, rv_metrics *metrics);
    void (*release)(void *context); /* NULL: nothing to free */
};

/* The objective owns context from here on, also when it fails. */
rv_status rv_analytic_new(rv_objective **out, const rv_analytic *analytic, rv_dtype dtype, rv_error *err);

#endif
