/* The loop that studies train with: one objective, one optimizer, everything in memory.
 * A trial (src/trial) is for runs that are kept; here only what is observed remains. */
#ifndef RV_STUDIES_DESCEND_H
#define RV_STUDIES_DESCEND_H

#include "ravine/objective.h"
#include "ravine/optim.h"
#include "ravine/workload.h"
#include "studies/study.h"

typedef struct rv_descent rv_descent;
struct rv_descent {
    rv_objective *objective;   /* borrowed */
    const char *method, *params;
    const char *rules;         /* as rv_optimizer_options has them; NULL: the method's own */
    const char *wrappers;      /* around the method: "sam(rho=0.05)"; NULL: none */
    uint64_t seed;             /* of the mini-batches */
    int64_t steps;
    /* Learning rates are multiplied by factor(context, step); NULL: 1. */
    double (*factor)(const void *context, int64_t step);
    /* Sees the weights before step number `step` with that step's mini-batch loss, and at
     * last the final ones (step == steps, loss NaN).  A status other than RV_OK ends it; may be NULL. */
    rv_status (*observe)(void *context, int64_t step, const void *w, double loss, rv_error *err);
    /* Sees the new optimizer before the first step; may be NULL. */
    void (*prepare)(void *context, rv_optimizer *optimizer);
    void *context;
    bool diverged;             /* out: a loss, gradient or update was not finite */
    int64_t made;              /* out: steps made */
};

/* Trains w [layout size] in place.  Divergence is an outcome, not an error: w then holds the
 * last finite weights. */
rv_status rv_descend(rv_descent *descent, void *w, rv_error *err);

/* The objective of a registered workload with "name=value,.." set, in the run's environment. */
rv_status rv_study_objective(const rv_study_run *run, const char *workload, const char *params,
                             rv_backend backend, int64_t batch, rv_objective **out, rv_error *err);

/* value of one metric on a split */
rv_status rv_study_evaluate(rv_objective *objective, const void *w, rv_split split, const char *metric,
                            double *value, rv_error *err);

/* Memory for the objective's vector, zeroed; caller frees.  NULL: out of memory, told in err. */
void *rv_study_vector(const rv_objective *objective, rv_error *err);

#endif
