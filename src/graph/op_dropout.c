/* Dropout: in training an element is zero with probability rate and scaled by
 * 1 / (1 - rate) otherwise; the identity in evaluation.  The mask is never stored: it is
 * a function of the call and the element (dropout.h). */
#include "graph/attr.h"
#include "graph/dropout.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

static rv_status infer_dropout(rv_node *node, rv_error *err)
{
    const rv_dropout_attr *attr = node->attr;
    if (!(attr->rate >= 0 && attr->rate < 1))
        return rv_fail(err, RV_E_RANGE, "dropout '%s': rate: expected in [0, 1), found %g", node->name,
                       attr->rate);
    RV_TRY(rv_operand_float(node, 0, "x", 0, err));
    if (attr->channels && node->in_shape[0].rank < 2)
        return rv_operand_fail(node, 0, "x", err, "rank at least 2 to drop channels");
    node->shape = node->in_shape[0];
    node->dtype = RV_F32;
    return RV_OK;
}

static rv_cost cost_dropout(const rv_node *node)
{
    return (rv_cost){(double)rv_shape_size(&node->shape), rv_node_bytes(node)};
}

/* What the element at offset i of x is multiplied with. */
static double factor_at(const rv_call *call, int64_t i)
{
    const rv_dropout_attr *attr = call->node->attr;
    const rv_shape *shape = &call->node->shape;
    if (!call->shard.training)
        return 1;
    int64_t element = i;
    if (attr->channels) {
        const int64_t channels = shape->dim[shape->rank - 1];
        const int64_t example = i / (rv_shape_size(shape) / shape->dim[0]);
        element = example * channels + i % channels;
    }
    const bool keep = rv_dropout_keep(call, (uint64_t)element, rv_dropout_threshold(attr->rate));
    return keep ? 1 / (1 - attr->rate) : 0;
}

static rv_status forward_dropout(const rv_call *call, rv_error *err)
{
    const double *x = call->in[0];
    double *y = call->out;
    (void)err;
    for (int64_t i = 0; i < rv_shape_size(&call->node->shape); i++)
        y[i] = x[i] * factor_at(call, i);
    return RV_OK;
}

static rv_status backward_dropout(const rv_call *call, rv_error *err)
{
    const double *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    (void)err;
    for (int64_t i = 0; gx && i < rv_shape_size(&call->node->shape); i++)
        gx[i] += gy[i] * factor_at(call, i);
    return RV_OK;
}

static const rv_kernels ref_dropout = {
    .forward = forward_dropout, .backward = backward_dropout, .in_place = true};

const rv_op rv_op_dropout = {
    .name = "dropout",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_dropout,
    .cost = cost_dropout,
    .kernels = {[RV_BACKEND_REF] = &ref_dropout, [RV_BACKEND_CPU] = &rv_dropout_cpu}};
