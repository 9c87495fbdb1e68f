/* What a runner is, to the files that run, look into and explain it (runner.c, runner_finite.c). */
#ifndef RV_GRAPH_RUNNER_H
#define RV_GRAPH_RUNNER_H

#include "core/crew.h"
#include "graph/plan.h"

/* Part of the flat vector that no backward kernel writes: set to zero. */
typedef struct rv_gap {
    int64_t start, count; /* elements */
} rv_gap;

struct rv_runner {
    const rv_plan *plan;
    rv_arena arena; /* blocks of the plan, then the workers' own memory */
    rv_call *calls; /* [call_count], of them the first forward_calls are forward */
    int *step_of;   /* [call_count] in the program */
    int forward_calls, call_count;
    rv_crew *crew;  /* NULL: one worker runs alone */
    int *pieces;    /* [call_count] that a crew divides the units into */
    rv_gap *gaps;
    int gap_count;
    const void *w;  /* of the last forward */
    bool ran;       /* a forward whose backward has not run */
    struct tap {
        void *factors; /* NULL: none */
        int64_t used, of;
    } tap;          /* of rv_runner_tap */
};

static inline const rv_kernels *rv_runner_kernels(const rv_runner *runner, const rv_call *call)
{
    return call->node->op->kernels[runner->plan->options.backend];
}

/* Element i of floats of the backend's type. */
static inline double rv_plan_element_at(const rv_plan *plan, const void *vector, int64_t i)
{
    return plan->element == sizeof(double) ? ((const double *)vector)[i] : (double)((const float *)vector)[i];
}

/* RV_E_NUMERIC with the first of inputs, parameters and results that is not finite, for a forward whose loss was
 * not; runs the forward calls again. */
rv_status rv_runner_name_not_finite(rv_runner *runner, rv_error *err);

#endif
