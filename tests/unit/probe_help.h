/* Objectives with closed forms, a small network, and checks, for the tests of probes. */
#ifndef TESTS_UNIT_PROBE_HELP_H
#define TESTS_UNIT_PROBE_HELP_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objective/analytic.h"
#include "objective/metric.h"
#include "objective/network.h"
#include "ravine/ravine.h"

enum { DIM = 12, SIZE = 16 };

/* f = x' A x / 2 + sum of x^4 / 24 scaled by quartic, + noise in the gradient. */
typedef struct quadratic {
    double a[DIM * DIM], quartic, noise;
    double tail; /* > 0: the noise is a Pareto length along the first axis instead */
} quadratic;

static inline double value_grad(void *context, const double *x, rv_batch batch, double *g)
{
    const quadratic *q = context;
    double f = 0;
    for (int i = 0; i < DIM; i++) {
        g[i] = q->quartic * x[i] * x[i] * x[i] / 6;
        f += q->quartic * pow(x[i], 4) / 24;
        for (int j = 0; j < DIM; j++)
            g[i] += q->a[i * DIM + j] * x[j];
        for (int j = 0; j < DIM; j++)
            f += x[i] * q->a[i * DIM + j] * x[j] / 2;
    }
    rv_random stream = {batch.seed, RV_RANDOM_NOISE, batch.step};
    for (int i = 0; i < DIM && q->tail == 0; i++)
        g[i] += q->noise * rv_random_normal(stream, (uint64_t)i);
    if (q->tail > 0)
        g[0] += (rv_random_uniform(stream, 1) < 0.5 ? -1 : 1) * pow(1 - rv_random_uniform(stream, 0), -1 / q->tail);
    return f;
}

static inline void evaluate(void *context, const double *x, rv_split split, rv_metrics *metrics)
{
    double g[DIM];
    (void)split;
    rv_metrics_put(metrics, "loss", value_grad(context, x, (rv_batch){.parts = 1}, g));
}

static inline void start(void *context, uint64_t seed, double *x)
{
    (void)context;
    for (int i = 0; i < DIM; i++)
        x[i] = rv_random_normal((rv_random){seed, RV_RANDOM_INIT, 0}, (uint64_t)i);
}

static inline rv_objective *make_quadratic(quadratic *q, rv_dtype dtype)
{
    rv_objective *o;
    rv_error err;
    rv_analytic analytic = {.name = "quadratic", .size = DIM, .examples = 1, .context = q, .start = start,
                            .value_grad = value_grad, .evaluate = evaluate};
    assert_int_equal(rv_analytic_new(&o, &analytic, dtype, &err), RV_OK);
    return o;
}

static inline void fill_symmetric(quadratic *q)
{
    for (int i = 0; i < DIM; i++)
        for (int j = 0; j <= i; j++)
            q->a[i * DIM + j] = q->a[j * DIM + i] =
                rv_random_normal((rv_random){5, RV_RANDOM_DATA, 0}, (uint64_t)(i * DIM + j));
}

static inline void ok(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s", err->message);
}

static inline void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("expected %.15g within %g, found %.15g", expected, tolerance, found);
}

/* ---- a small network: 4 inputs, 5 units, 10 classes, batch norm on request --------------- */

static inline void build(rv_graph *graph, const rv_value *inputs, const void *params)
{
    const bool *normed = params;
    rv_shape shape = rv_graph_shape(graph, inputs[0]);
    rv_value x = rv_average_pool(graph, inputs[0], shape.dim[1] / 2, shape.dim[1] / 2, 0);
    x = rv_reshape(graph, x, RV_SHAPE(shape.dim[0], 4 * shape.dim[3]));
    rv_layer hidden = {.out = 5, .role = RV_ROLE_INPUT, .bias = true, .act = *normed ? RV_ACT_NONE : RV_ACT_TANH,
                       .weight_init = rv_init_normal(0.8), .bias_init = rv_init_normal(0.1)};
    x = rv_nn_linear(graph, "hidden", x, hidden);
    if (*normed)
        x = rv_activate(graph, rv_nn_batch_norm(graph, "norm", x), RV_ACT_TANH);
    rv_layer head = {.out = 10, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_normal(0.7),
                     .bias_init = rv_init_normal(0.1)};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", x, head), inputs[1], (rv_cross_entropy_options){0});
}

static inline rv_objective *make_network(bool normed)
{
    rv_error err;
    rv_objective *o;
    rv_network network = {.name = "small", .build = build, .params = &normed, .batch = 16, .shards = 2,
                          .drop_last = true, .evaluation_rows = 16};
    ok(rv_source_images(&network.source, RV_IMAGES_GLYPHS, NULL, 64, 64, false, &err), &err);
    ok(rv_network_new(&o, &network, &(rv_workload_env){.backend = RV_BACKEND_REF}, &err), &err);
    return o;
}

#endif
