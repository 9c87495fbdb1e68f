/* The contract between plans and kernels, watched by an operation of our own: what is made
 * once, packed by parts, kept from forward to backward, and released. */
#include "plan_session.h"

typedef struct seen {
    int prepared, released;
} seen;
static seen watched; /* kernels have no context of their own */

static rv_status probe_infer(rv_node *node, rv_error *err)
{
    (void)err;
    node->shape = node->in_shape[0];
    return RV_OK;
}

static rv_cost probe_cost(const rv_node *node)
{
    (void)node;
    return (rv_cost){0, 0};
}

static size_t probe_bytes(const rv_node *node)
{
    return sizeof(double) * (size_t)rv_shape_size(&node->in_shape[1]);
}

static int64_t probe_buffer(const rv_node *node)
{
    (void)node;
    return 2;
}

static rv_status probe_prepare(const rv_node *node, void **prepared, rv_error *err)
{
    (void)node, (void)err;
    watched.prepared++;
    *prepared = &watched;
    return RV_OK;
}

static void probe_unprepare(void *prepared)
{
    ((seen *)prepared)->released++;
}

static rv_status probe_pack(const rv_node *node, const void *prepared, const void *weight, void *packed, int part,
                            rv_error *err)
{
    assert_ptr_equal(prepared, &watched);
    for (int64_t i = part; i < rv_shape_size(&node->in_shape[1]); i += RV_PACK_PARTS) {
        if (((const double *)weight)[i] < 0)
            return rv_fail(err, RV_E_RANGE, "probe '%s': below zero", node->name);
        ((double *)packed)[i] = 10 * ((const double *)weight)[i];
    }
    return RV_OK;
}

/* Adds the packed weight (the plain one where there is none); keeps the result in saved. */
static rv_status probe_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t n = rv_shape_size(&call->node->shape);
    const double *weight = call->packed ? call->packed : call->in[1];
    for (int64_t i = 0; i < n; i++)
        ((double *)call->out)[i] = ((double *)call->saved)[i] = ((const double *)call->in[0])[i] + weight[i];
    memset(call->scratch, 0xff, probe_bytes(call->node));
    if (call->shard.training)
        ((double *)call->statistics)[0] = (double)call->node_index;
    return RV_OK;
}

static rv_status probe_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    double *g = rv_ref_gradient(call, 0), *gw = rv_ref_gradient(call, 1);
    memset(call->scratch, 0xff, probe_bytes(call->node));
    for (int64_t i = 0; i < rv_shape_size(&call->node->shape); i++) {
        if (g)
            g[i] += ((const double *)call->gout)[i];
        if (gw) /* what was saved comes back */
            gw[i] += ((const double *)call->saved)[i];
    }
    return RV_OK;
}

static const rv_kernels probe_kernels = {
    .forward = probe_forward, .backward = probe_backward,   .saved = probe_bytes,
    .scratch = probe_bytes,   .packed = probe_bytes,        .pack = probe_pack,
    .prepare = probe_prepare, .unprepare = probe_unprepare,
};
static const rv_op probe = {.name = "probe", .min_inputs = 2, .max_inputs = 2, .infer = probe_infer,
                            .cost = probe_cost, .buffer = probe_buffer, .kernels = {&probe_kernels}};

static void kernel_contract(void **state)
{
    (void)state;
    rv_graph *g = rv_graph_new();
    const rv_value x = X("x", 2), w = P("w", 2), v = P("v", 1, 2);
    const rv_value a = rv_graph_node(g, &probe, (rv_value[]){x, w}, 2, NULL, 0);
    const rv_value b = rv_graph_node(g, &probe, (rv_value[]){a, rv_reshape(g, v, RV_SHAPE(2))}, 2, NULL, 0);
    const rv_value c = rv_graph_node(g, &probe, (rv_value[]){b, rv_scale(g, w, 1)}, 2, NULL, 0); /* not packed */
    rv_graph_set_output(g, "c", c);
    rv_graph_set_loss(g, c);
    watched = (seen){0};
    session s = open_session(g, with_gradient);
    rv_error err;
    rv_pool *pool;
    double statistics[6] = {7, 7, 7, 7, 7, 7}, start[6];
    assert_int_equal(rv_pool_new(&pool, 2, NULL), RV_OK);
    assert_int_equal(rv_plan_memory(s.plan).packed, 2 * 64);
    assert_int_equal(rv_plan_buffer_size(s.plan), 6);
    rv_plan_init(s.plan, 1, s.w, start);
    assert_memory_equal(start, ((const double[]){0, 1, 0, 1, 0, 1}), sizeof start);
    memcpy(s.w, ((const double[]){1, 2}), 2 * sizeof(double));
    memcpy(s.w + 16, ((const double[]){3, 4}), 2 * sizeof(double));
    memcpy(rv_runner_input(s.runner, 0), ((const double[]){1000, 2000}), 2 * sizeof(double));

    /* Forward needs packed weights and a place for statistics. */
    assert_int_equal(rv_runner_forward(s.runner, s.w, statistics, training, s.loss, &err), RV_E_ARGUMENT);
    assert_int_equal(rv_plan_pack(s.plan, s.w, pool, &err), RV_OK);
    assert_int_equal(rv_runner_forward(s.runner, s.w, NULL, training, s.loss, &err), RV_E_ARGUMENT);
    for (int run = 0; run < 2; run++) /* the second finds its inputs as they were */
        assert_int_equal(rv_runner_forward(s.runner, s.w, statistics, training, s.loss, &err), RV_OK);
    assert_true(s.loss[0] == 1000 + 10 + 30 + 1 && s.loss[1] == 2000 + 20 + 40 + 2);
    assert_memory_equal(statistics, ((const double[]){0, 7, 1, 7, 3, 7}), sizeof statistics);
    backward(&s);
    /* w: saved of a, and through scale saved of c; v: saved of b. */
    assert_true(s.g[0] == 1010 + 1041 && s.g[1] == 2020 + 2062);
    assert_true(s.g[16] == 1040 && s.g[17] == 2060);

    s.w[16] = -1;
    assert_int_equal(rv_plan_pack(s.plan, s.w, pool, &err), RV_E_RANGE);
    assert_string_equal(err.message, "probe '#1': below zero");
    close_session(&s);
    assert_int_equal(watched.prepared, 3);
    assert_int_equal(watched.released, 3);

    rv_plan *plan;
    assert_int_equal(rv_plan_new(&plan, g, (rv_plan_options){.backend = RV_BACKEND_CPU}, &err), RV_E_UNSUPPORTED);
    assert_string_equal(err.message, "probe '#0': the backend cpu lacks the operation");
    rv_pool_free(pool);
    rv_graph_free(g);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernel_contract)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
