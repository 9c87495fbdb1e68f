/* A plan with its runner and vectors, as the tests of plans want it; all static. */
#ifndef RV_TEST_PLAN_SESSION_H
#define RV_TEST_PLAN_SESSION_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "graph/op_row.h"

static const rv_plan_options with_gradient = {.backend = RV_BACKEND_REF, .gradient = true};
__attribute__((unused)) static const rv_plan_options forward_only = {.backend = RV_BACKEND_REF};
static const rv_shard training = {.seed = 1, .training = true};

static inline rv_value parameter(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_graph_parameter(g, name, RV_ROLE_HIDDEN, shape, (rv_init){RV_INIT_NORMAL, 0.7});
}

#define P(name, ...) parameter(g, name, RV_SHAPE(__VA_ARGS__))
#define X(name, ...) rv_graph_input(g, name, RV_F32, RV_SHAPE(__VA_ARGS__))
#define IDS(name, ...) rv_graph_input(g, name, RV_I32, RV_SHAPE(__VA_ARGS__))

static inline void loss_against(rv_graph *g, rv_value y)
{
    rv_graph_set_loss(g, rv_mse(g, y, rv_graph_input(g, "goal", RV_F32, rv_graph_shape(g, y)), RV_NONE));
}

typedef struct session {
    rv_plan *plan;
    rv_runner *runner;
    const rv_layout *layout;
    double *w, *g;
    double loss[2];
} session;

static inline session open_session(const rv_graph *graph, rv_plan_options options)
{
    session s = {0};
    rv_error err = {0};
    if (rv_plan_new(&s.plan, graph, options, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_runner_new(&s.runner, s.plan, &err), RV_OK);
    s.layout = rv_plan_layout(s.plan);
    s.w = calloc((size_t)s.layout->size + 1, sizeof *s.w);
    s.g = calloc((size_t)s.layout->size + 1, sizeof *s.g);
    assert_true(s.w && s.g);
    rv_plan_init(s.plan, 3, s.w, NULL);
    for (int i = 0; i < graph->input_list.count; i++) {
        const rv_graph_value *value = rv_graph_at(graph, graph->inputs[i].value);
        const rv_random stream = {5, RV_RANDOM_DATA, (uint64_t)i};
        for (int64_t k = 0; k < rv_shape_size(&value->shape); k++)
            if (value->dtype == RV_I32)
                ((int32_t *)rv_runner_input(s.runner, i))[k] = (int32_t)rv_random_below(stream, (uint64_t)k, 3);
            else
                ((double *)rv_runner_input(s.runner, i))[k] = rv_random_normal(stream, (uint64_t)k);
    }
    return s;
}

static inline void close_session(session *s)
{
    rv_runner_free(s->runner);
    rv_plan_free(s->plan);
    free(s->w);
    free(s->g);
}

static inline double forward(session *s)
{
    rv_error err = {0};
    if (rv_runner_forward(s->runner, s->w, NULL, training, s->loss, &err) != RV_OK)
        fail_msg("%s", err.message);
    return s->loss[0];
}

static inline void backward(session *s)
{
    rv_error err = {0};
    for (int64_t i = 0; i < s->layout->size; i++)
        s->g[i] = NAN; /* everything must be written */
    if (rv_runner_backward(s->runner, s->w, s->g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

#endif
