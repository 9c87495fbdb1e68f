/* The cut of every operation that declares one: units in any order, by any worker, give the
 * bits of the whole, and a part that fails gives the error of the whole.
 *
 * Each operation stands in a graph that is large enough to be cut.  It runs as a whole, then
 * shared: by one thread in the place of worker 0, 1, ..., each of which begins elsewhere, so
 * that of any two units either comes first once; and by threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/cut.h"
#include "graph/plan.h"

enum { ROWS = 200, WIDTH = 192, TIME = 40, WORKERS = 5, BAD_NONE = -1 };

static rv_value parameter(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_graph_parameter(g, name, RV_ROLE_HIDDEN, shape, (rv_init){RV_INIT_NORMAL, 0.7});
}

/* An activation of its own, behind which anything may run in place. */
static rv_value activation(rv_graph *g, const char *name, rv_shape shape)
{
    return rv_scale(g, parameter(g, name, shape), 1.25);
}

#define X(name, ...) activation(g, name, RV_SHAPE(__VA_ARGS__))
#define P(name, ...) parameter(g, name, RV_SHAPE(__VA_ARGS__))

static rv_value linear(rv_graph *g)
{
    return rv_linear(g, X("x", ROWS, WIDTH), P("w", 320, WIDTH), P("b", 320), RV_ACT_GELU);
}

static rv_value linear_plain(rv_graph *g)
{
    return rv_linear(g, X("x", ROWS, WIDTH), P("w", 333, WIDTH), RV_NONE, RV_ACT_NONE);
}

static rv_value linear_twice(rv_graph *g) /* gradients of x and w are added to */
{
    const rv_value x = X("x", 256, 256), w = P("w", 256, 256), b = P("b", 256);
    return rv_linear(g, rv_add(g, rv_linear(g, x, w, b, RV_ACT_RELU), x), w, b, RV_ACT_TANH);
}

static rv_value linear_wide(rv_graph *g) /* the sizes of bf16 parts */
{
    return rv_linear(g, X("x", 256, 384), P("w", 1024, 384), P("b", 1024), RV_ACT_RELU);
}

static rv_value matmul(rv_graph *g)
{
    return rv_matmul(g, X("a", 6, 50, 60), X("b", 6, 70, 60), false, true);
}

static rv_value attention(rv_graph *g)
{
    return rv_attention(g, X("qkv", 3, TIME, 3 * 64), (rv_attention_options){.heads = 4, .causal = true, .dropout = 0.2});
}

static rv_value attention_entered(rv_graph *g)
{
    return rv_attention(g, X("qkv", 3, TIME, 3 * 64),
                        (rv_attention_options){.heads = 4, .rotary = true, .qk_norm = true, .soft_cap = 5});
}

static rv_value chain(rv_graph *g) /* whose results live in bf16 beside bf16 products */
{
    const rv_value x = rv_layer_norm(g, X("x", 3, TIME, 64), P("gain", 64), RV_NONE, 1e-5);
    const rv_value qkv = rv_linear(g, x, P("q", 3 * 64, 64), P("c", 3 * 64), RV_ACT_NONE);
    const rv_value mixed = rv_attention(g, rv_scale(g, qkv, 1), (rv_attention_options){.heads = 2});
    const rv_value y = rv_attention(g, rv_linear(g, mixed, P("r", 3 * 64, 64), RV_NONE, RV_ACT_NONE),
                                    (rv_attention_options){.heads = 4, .causal = true, .dropout = 0.2});
    const rv_value up = rv_linear(g, y, P("u", 256, 64), P("b", 256), RV_ACT_GELU);
    return rv_linear(g, up, P("w", WIDTH, 256), RV_NONE, RV_ACT_NONE);
}

static rv_value layer_norm(rv_graph *g)
{
    return rv_layer_norm(g, X("x", ROWS, WIDTH), P("gain", WIDTH), P("shift", WIDTH), 1e-5);
}

static rv_value rms_norm(rv_graph *g)
{
    return rv_rms_norm(g, X("x", ROWS, WIDTH), P("gain", WIDTH), 1e-5);
}

static rv_value activate(rv_graph *g)
{
    return rv_activate(g, X("x", ROWS, WIDTH), RV_ACT_SILU);
}

static rv_value add(rv_graph *g)
{
    const rv_value x = X("x", ROWS, WIDTH);
    return rv_add(g, rv_add(g, x, X("y", ROWS, WIDTH)), rv_add(g, x, x));
}

static rv_value add_row(rv_graph *g)
{
    return rv_add(g, X("x", ROWS, WIDTH), P("b", WIDTH));
}

static rv_value multiply(rv_graph *g)
{
    return rv_multiply(g, X("x", ROWS, WIDTH), X("y", ROWS, WIDTH));
}

static rv_value multiply_row(rv_graph *g)
{
    return rv_multiply(g, X("x", ROWS, WIDTH), P("b", WIDTH));
}

static rv_value scale(rv_graph *g)
{
    return rv_scale(g, X("x", ROWS, WIDTH), -0.5);
}

static rv_value dropout(rv_graph *g)
{
    return rv_dropout(g, X("x", ROWS, WIDTH), 0.3, false);
}

static rv_value ids(rv_graph *g, const char *name)
{
    return rv_graph_input(g, name, RV_I32, RV_SHAPE(ROWS));
}

static rv_value embedding(rv_graph *g)
{
    return rv_embedding(g, ids(g, "ids"), P("table", 50, WIDTH));
}

static rv_value cross_entropy_of(rv_graph *g, rv_cross_entropy_options options)
{
    return rv_cross_entropy(g, X("x", ROWS, 50), ids(g, "ids"), options);
}

static rv_value cross_entropy(rv_graph *g)
{
    return cross_entropy_of(g, (rv_cross_entropy_options){.label_smoothing = 0.1});
}

static rv_value stablemax(rv_graph *g)
{
    return cross_entropy_of(g, (rv_cross_entropy_options){.stablemax = true, .ignore_negative = true});
}

typedef struct cut_case {
    const char *name;
    rv_value (*build)(rv_graph *g);
    bool loss;           /* the result is one already */
    bool whole_backward; /* one unit by declaration: it sums over what could be cut */
} cut_case;

#define CASE(title, ...) {.name = #title, .build = title, __VA_ARGS__}
static const cut_case cases[] = {
    CASE(linear),      CASE(linear_plain), CASE(linear_twice),        CASE(linear_wide),
    CASE(chain),
    CASE(matmul),      CASE(attention),    CASE(attention_entered),   CASE(layer_norm),
    CASE(rms_norm),    CASE(activate),     CASE(add),                 CASE(add_row, .whole_backward = true),
    CASE(multiply),    CASE(scale),        CASE(dropout),             CASE(multiply_row, .whole_backward = true),
    CASE(embedding, .whole_backward = true), CASE(cross_entropy, .loss = true), CASE(stablemax, .loss = true),
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* ---- one run ---------------------------------------------------------- */

typedef struct outcome {
    float *y, *g;
    size_t y_bytes, g_bytes;
    double loss[2];
    rv_status status;
    rv_error error;
} outcome;

static rv_graph *build(const cut_case *c)
{
    rv_error err = {0};
    rv_graph *g = rv_graph_new();
    const rv_value y = c->build(g);
    rv_graph_set_output(g, "y", y);
    rv_graph_set_loss(g, c->loss ? y : rv_mse(g, y, rv_scale(g, y, 0), RV_NONE));
    if (rv_graph_status(g, &err) != RV_OK)
        fail_msg("%s: %s", c->name, err.message);
    return g;
}

static void fill_ids(const rv_graph *graph, rv_runner *runner, int bad)
{
    for (int i = 0; i < graph->input_list.count; i++)
        for (int k = 0; k < ROWS; k++)
            ((int32_t *)rv_runner_input(runner, i))[k] =
                bad != BAD_NONE && k >= bad ? 1000 + k : (int32_t)rv_random_below((rv_random){5, RV_RANDOM_DATA, 0}, (uint64_t)k, 50);
}

static void *vector(size_t bytes)
{
    float *v = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(v);
    for (size_t i = 0; i < bytes / sizeof *v; i++)
        v[i] = NAN;
    return v;
}

/* Twice over, for a runner is used again and again. */
static outcome run(const rv_graph *graph, rv_plan *plan, rv_pool *pool, int bad)
{
    outcome o = {.g_bytes = (size_t)plan->layout.size * sizeof(float)};
    rv_runner *runner = NULL;
    const rv_shape shape = rv_graph_shape(graph, graph->outputs[0].value);
    o.y_bytes = (size_t)rv_shape_size(&shape) * sizeof(float);
    float *w = vector(o.g_bytes);
    o.y = vector(o.y_bytes);
    o.g = vector(o.g_bytes);
    assert_int_equal(rv_runner_new_over(&runner, plan, pool, &o.error), RV_OK);
    rv_plan_init(plan, 3, w, NULL);
    assert_int_equal(rv_plan_pack(plan, w, NULL, &o.error), RV_OK);
    for (int time = 0; time < 2 && o.status == RV_OK; time++) {
        fill_ids(graph, runner, bad);
        const rv_shard shard = {.seed = 1, .step = (uint64_t)time, .shard = 2, .training = true};
        o.status = rv_runner_forward(runner, w, NULL, shard, o.loss, &o.error);
        if (o.status == RV_OK) {
            memcpy(o.y, rv_runner_output(runner, "y"), o.y_bytes);
            o.status = rv_runner_backward(runner, w, o.g, &o.error);
        }
    }
    rv_runner_free(runner);
    free(w);
    return o;
}

static void release(outcome *o)
{
    free(o->y);
    free(o->g);
}

static void same(const cut_case *c, const outcome *whole, const outcome *shared)
{
    if (whole->status != shared->status)
        fail_msg("%s: status %d, shared %d: %s", c->name, whole->status, shared->status, shared->error.message);
    if (whole->status != RV_OK) {
        assert_string_equal(whole->error.message, shared->error.message);
        return;
    }
    if (memcmp(whole->y, shared->y, whole->y_bytes) != 0)
        fail_msg("%s: other bits in the result", c->name);
    if (memcmp(whole->g, shared->g, whole->g_bytes) != 0)
        fail_msg("%s: other bits in a gradient", c->name);
    assert_memory_equal(whole->loss, shared->loss, sizeof whole->loss);
}

/* ---- the tests -------------------------------------------------------- */

/* Tasks one after the other; *runner is the worker of the first, which finds all the work. */
static void one_by_one(void *runner, int tasks, rv_task *task, void *context)
{
    for (int i = 0; i < tasks; i++)
        task(context, i, (*(int *)runner + i) % tasks);
}

static void check_shared(const cut_case *c, const rv_graph *graph, rv_plan *plan, int bad)
{
    outcome whole = run(graph, plan, NULL, bad);
    assert_true(bad == BAD_NONE ? whole.status == RV_OK : whole.status == RV_E_RANGE);
    for (int worker = 0; worker <= WORKERS; worker++) {
        rv_pool *pool = NULL;
        if (worker < WORKERS)
            assert_int_equal(rv_pool_new_over(&pool, WORKERS, one_by_one, &worker, NULL), RV_OK);
        else
            assert_int_equal(rv_pool_new(&pool, 3, NULL), RV_OK);
        outcome shared = run(graph, plan, pool, bad);
        same(c, &whole, &shared);
        release(&shared);
        rv_pool_free(pool);
    }
    release(&whole);
}

/* The test would say nothing about an operation that is not cut. */
static void check_units(const cut_case *c, const rv_plan *plan)
{
    const rv_node *node = &plan->program.nodes[plan->program.forward - (c->loss ? 1 : 3)];
    const rv_kernels *kernels = node->op->kernels[RV_BACKEND_CPU];
    for (int backward = 0; backward < 2; backward++) {
        const rv_cut cut = rv_cut_asked(kernels, node, backward);
        const int units = cut.units[0] > cut.units[cut.stages - 1] ? cut.units[0] : cut.units[cut.stages - 1];
        if (units < 2 && !(backward && c->whole_backward))
            fail_msg("%s: %s: %s is one unit", c->name, node->op->name, backward ? "backward" : "forward");
    }
}

static void each_part(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int bf16 = 0; bf16 < 2; bf16++) {
            rv_error err = {0};
            rv_plan *plan = NULL;
            rv_graph *graph = build(&cases[i]);
            const rv_plan_options options = {.backend = RV_BACKEND_CPU, .gradient = true, .bf16 = bf16};
            if (rv_plan_new(&plan, graph, options, &err) != RV_OK)
                fail_msg("%s: %s", cases[i].name, err.message);
            if (!bf16 || cases[i].build == linear_wide)
                check_units(&cases[i], plan);
            check_shared(&cases[i], graph, plan, BAD_NONE);
            rv_plan_free(plan);
            rv_graph_free(graph);
        }
}

/* Of several rows that are wrong the first is named. */
static void part_that_fails(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        if (cases[i].build != embedding && cases[i].build != cross_entropy)
            continue;
        rv_plan *plan = NULL;
        rv_graph *graph = build(&cases[i]);
        assert_int_equal(rv_plan_new(&plan, graph, (rv_plan_options){RV_BACKEND_CPU, true, false}, NULL), RV_OK);
        for (int bad = 7; bad < ROWS; bad += 64)
            check_shared(&cases[i], graph, plan, bad);
        rv_plan_free(plan);
        rv_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_part), cmocka_unit_test(part_that_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
