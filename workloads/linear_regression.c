/* Least squares on a cloud of points, the setting of the lecture's SGD animation. */
#include <math.h>
#include <stdlib.h>

#include "objective/analytic.h"
#include "objective/metric.h"
#include "ravine/workload.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    INT(points, 100, 2, 1000000, 0, "number of points")                                          \
    INT(features, 1, 1, 64, 0, "of a point, beside the constant")                                \
    REAL(noise, 0.2, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "deviation of the targets; 0: interpolation") \
    INT(batch, 2, 1, 1000000, 0, "points of a mini-batch, drawn without replacement")            \
    INT(cloud, 228, 0, 4294967295, 0, "seed of the points")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "linear-regression", params, PARAMS);

typedef struct cloud {
    int64_t points, width, batch; /* width = features + 1 */
    double *x;                    /* [points, width], last column 1 */
    double *y;                    /* [points] */
    uint32_t *order;              /* [points], scratch */
} cloud;

static void release(void *context)
{
    cloud *c = context;
    free(c->x);
    free(c->y);
    free(c->order);
    free(c);
}

static double residual(const cloud *c, const double *w, int64_t i)
{
    double r = -c->y[i];
    for (int64_t k = 0; k < c->width; k++)
        r += c->x[i * c->width + k] * w[k];
    return r;
}

/* The animation's start, (5.5, 1.5); further weights start at 0. */
static void start(void *context, uint64_t seed, double *w)
{
    (void)seed;
    const cloud *c = context;
    for (int64_t k = 0; k < c->width; k++)
        w[k] = k == 0 ? 5.5 : k == 1 ? 1.5 : 0;
}

/* Draws the order of the batch, unless it is all points; returns its size. */
static int64_t draw_batch(cloud *c, rv_batch batch)
{
    int64_t n = c->batch < c->points ? c->batch : c->points;
    if (n < c->points) {
        rv_random stream = {batch.seed, RV_RANDOM_ORDER,
                            batch.step * (uint64_t)batch.parts + (uint64_t)batch.part};
        rv_random_permutation(stream, (uint32_t)c->points, c->order);
    }
    return n;
}

/* The point that is number j of a batch of n. */
static int64_t point_of(const cloud *c, int64_t n, int64_t j)
{
    return n < c->points ? (int64_t)c->order[j] : j;
}

/* f = 1 / (2 b) sum r^2 over b points drawn without replacement. */
static double value_grad(void *context, const double *w, rv_batch batch, double *g)
{
    cloud *c = context;
    int64_t n = draw_batch(c, batch);
    double loss = 0;
    for (int64_t k = 0; k < c->width; k++)
        g[k] = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t i = point_of(c, n, j);
        double r = residual(c, w, i);
        loss += r * r / (2 * (double)n);
        for (int64_t k = 0; k < c->width; k++)
            g[k] += r * c->x[i * c->width + k] / (double)n;
    }
    return loss;
}

/* 1 / b sum x (x' v) */
static void hessian_vector(void *context, const double *w, rv_batch batch, const double *v, double *hv)
{
    (void)w;
    cloud *c = context;
    int64_t n = draw_batch(c, batch);
    for (int64_t k = 0; k < c->width; k++)
        hv[k] = 0;
    for (int64_t j = 0; j < n; j++) {
        const double *x = c->x + point_of(c, n, j) * c->width;
        double along = 0;
        for (int64_t k = 0; k < c->width; k++)
            along += x[k] * v[k];
        for (int64_t k = 0; k < c->width; k++)
            hv[k] += along * x[k] / (double)n;
    }
}

static void evaluate(void *context, const double *w, rv_split split, rv_metrics *metrics)
{
    (void)split;
    const cloud *c = context;
    double loss = 0;
    for (int64_t i = 0; i < c->points; i++)
        loss += pow(residual(c, w, i), 2) / (2 * (double)c->points);
    rv_metrics_put(metrics, "loss", loss);
}

static void draw(cloud *c, const params *o)
{
    rv_random stream = {(uint64_t)o->cloud, RV_RANDOM_DATA, 0};
    rv_random noise = {(uint64_t)o->cloud, RV_RANDOM_DATA, 1};
    for (int64_t i = 0; i < c->points; i++) {
        c->y[i] = o->noise * rv_random_normal(noise, (uint64_t)i) + 4; /* true weights 3, ..., 3, 4 */
        for (int64_t k = 0; k < c->width; k++) {
            bool constant = k == c->width - 1;
            double x = constant ? 1 : rv_random_uniform(stream, (uint64_t)(i * c->width + k)) - 0.5;
            c->x[i * c->width + k] = x;
            c->y[i] += constant ? 0 : 3 * x;
        }
    }
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    cloud *c = calloc(1, sizeof *c);
    if (!c)
        return rv_fail(err, RV_E_MEMORY, "linear-regression: no memory");
    *c = (cloud){.points = o->points, .width = o->features + 1, .batch = env->batch > 0 ? env->batch : o->batch};
    c->x = malloc((size_t)(c->points * c->width) * sizeof *c->x);
    c->y = malloc((size_t)c->points * sizeof *c->y);
    c->order = malloc((size_t)c->points * sizeof *c->order);
    if (!c->x || !c->y || !c->order) {
        release(c);
        return rv_fail(err, RV_E_MEMORY, "linear-regression: no memory for %lld points", (long long)o->points);
    }
    draw(c, o);
    rv_analytic analytic = {.name = "linear-regression", .size = c->width, .examples = c->batch,
                            .epoch = c->points, .context = c, .start = start, .value_grad = value_grad,
                            .hessian_vector = hessian_vector,
                            .evaluate = evaluate, .release = release};
    return rv_analytic_new(out, &analytic, rv_backend_dtype(env->backend), err);
}

const rv_workload rv_workload_linear_regression = {
    .name = "linear-regression",
    .title = "Least squares on 100 points",
    .description = "f(w) = 1 / (2 N) |X w - y|^2, x uniform on (-0.5, 0.5) with a constant column, y with noise 0.2;\n"
                   "batch 2 without replacement, start (5.5, 1.5).  With a constant step SGD reaches a ball of\n"
                   "noise, not the minimum; noise=0 is the control.  Source: the course notebook\n"
                   "SGD_2d_visualization (MerkulovDaniil/optim).",
    .params = &table,
    .make = make,
    .metric = "loss",
    .recipe = "{\"optimizer\": \"sgd\", \"optimizer_params\": {\"lr\": 0.3}, \"schedule\": \"constant\","
              " \"train\": {\"steps\": 300, \"eval_every\": 1, \"log_every\": 1}}",
};
