/* Rows of a table chosen by integer ids; an id outside the table is an error of the run. */
#include "graph/op_cpu.h"
#include "graph/op_row.h"

static rv_status embedding_infer(rv_node *node, rv_error *err)
{
    const rv_shape *ids = &node->in_shape[0], *table = &node->in_shape[1];
    if (node->in_dtype[0] != RV_I32)
        return rv_fail(err, RV_E_SHAPE, "embedding '%s': operand ids: expected i32, found %s", node->name,
                       rv_dtype_name(node->in_dtype[0]));
    if (ids->rank >= RV_MAX_RANK)
        return rv_operand_fail(node, 0, "ids", err, "rank at most %d", RV_MAX_RANK - 1);
    RV_TRY(rv_operand_float(node, 1, "table", 2, err));
    node->shape = *ids;
    node->shape.dim[node->shape.rank++] = table->dim[1];
    return RV_OK;
}

static rv_cost embedding_cost(const rv_node *node)
{
    const double out = (double)rv_shape_size(&node->shape), ids = (double)rv_shape_size(&node->in_shape[0]);
    return (rv_cost){0, 4 * (2 * out + ids)}; /* only the rows that are asked for are read */
}

static rv_status embedding_forward(const rv_call *call, rv_error *err)
{
    const rv_node *node = call->node;
    const int64_t count = rv_shape_size(&node->in_shape[0]);
    const int64_t tokens = node->in_shape[1].dim[0], width = node->in_shape[1].dim[1];
    const int32_t *ids = call->in[0];
    const double *table = call->in[1]; /* [tokens, width] */
    double *y = call->out;             /* [count, width] */
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= tokens)
            return rv_fail(err, RV_E_RANGE, "embedding '%s': id %lld: expected 0 <= id < %lld, found %d", node->name,
                           (long long)i, (long long)tokens, ids[i]);
        for (int64_t c = 0; c < width; c++)
            y[i * width + c] = table[ids[i] * width + c];
    }
    return RV_OK;
}

static rv_status embedding_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t count = rv_shape_size(&call->node->in_shape[0]);
    const int64_t width = call->node->in_shape[1].dim[1];
    const int32_t *ids = call->in[0];
    const double *gy = call->gout;
    double *g = rv_ref_gradient(call, 1);
    for (int64_t i = 0; g && i < count; i++)
        for (int64_t c = 0; c < width; c++)
            g[ids[i] * width + c] += gy[i * width + c];
    return RV_OK;
}

static const rv_kernels embedding_ref = {
    .forward = embedding_forward,
    .backward = embedding_backward,
    .reads = RV_READS_INPUT(0),
};

const rv_op rv_op_embedding = {
    .name = "embedding",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = embedding_infer,
    .cost = embedding_cost,
    .kernels = {[RV_BACKEND_REF] = &embedding_ref, [RV_BACKEND_CPU] = &rv_embedding_cpu},
};
