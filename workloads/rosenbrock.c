/* Rosenbrock's valley: f(x, y) = (1 - x)^2 + 100 (y - x^2)^2. */
#include <math.h>
#include <stdlib.h>

#include "objective/analytic.h"
#include "objective/metric.h"
#include "ravine/workload.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    REAL(noise, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "deviation of the noise on each partial derivative") \
    REAL(x, 0.1, -1e6, 1e6, 0, "start")                                                           \
    REAL(y, 3, -1e6, 1e6, 0, "start")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "rosenbrock", params, PARAMS);

static void start(void *context, uint64_t seed, double *w)
{
    (void)seed;
    const params *o = context;
    w[0] = o->x;
    w[1] = o->y;
}

static double value(const double *w)
{
    double valley = w[1] - w[0] * w[0];
    return (1 - w[0]) * (1 - w[0]) + 100 * valley * valley;
}

static double value_grad(void *context, const double *w, rv_batch batch, double *g)
{
    const params *o = context;
    double valley = w[1] - w[0] * w[0];
    rv_random stream = {batch.seed, RV_RANDOM_NOISE, batch.step};
    g[0] = -2 * (1 - w[0]) - 400 * w[0] * valley;
    g[1] = 200 * valley;
    for (int k = 0; k < 2 && o->noise > 0; k++)
        g[k] += o->noise * rv_random_normal(stream, (uint64_t)(2 * batch.part + k));
    return value(w);
}

static void hessian_vector(void *context, const double *w, rv_batch batch, const double *v, double *hv)
{
    (void)context; /* the noise is additive on the gradient: it has no curvature */
    (void)batch;
    hv[0] = (2 - 400 * w[1] + 1200 * w[0] * w[0]) * v[0] - 400 * w[0] * v[1];
    hv[1] = -400 * w[0] * v[0] + 200 * v[1];
}

static void evaluate(void *context, const double *w, rv_split split, rv_metrics *metrics)
{
    (void)context;
    (void)split;
    rv_metrics_put(metrics, "loss", value(w));
    rv_metrics_put(metrics, "distance", hypot(w[0] - 1, w[1] - 1));
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    params *o = malloc(sizeof *o);
    if (!o)
        return rv_fail(err, RV_E_MEMORY, "rosenbrock: no memory");
    *o = *(const params *)values;
    rv_analytic analytic = {.name = "rosenbrock", .size = 2, .examples = 1, .context = o, .start = start,
                            .value_grad = value_grad, .hessian_vector = hessian_vector, .evaluate = evaluate, .release = free};
    return rv_analytic_new(out, &analytic, rv_backend_dtype(env->backend), err);
}

const rv_workload rv_workload_rosenbrock = {
    .name = "rosenbrock",
    .title = "Rosenbrock's valley in two dimensions",
    .description = "f(x, y) = (1 - x)^2 + 100 (y - x^2)^2 from (0.1, 3), minimum 0 at (1, 1).  An illustration, not\n"
                   "evidence.  Source: Rosenbrock, \"An automatic method for finding the greatest or least value\n"
                   "of a function\", 1960; start of the course notebook SG_animation (MerkulovDaniil/optim).",
    .params = &table,
    .make = make,
    .metric = "loss",
    .recipe = "{\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": 0.003, \"weight_decay\": 0.0001},"
              " \"schedule\": \"constant\", \"train\": {\"steps\": 2000, \"eval_every\": 10, \"log_every\": 10,"
              " \"target\": 0.0001}}",
};
