/* Concatenation, slices and reductions along one axis.
 *
 * A tensor is seen as [outer, extent, inner] around the axis. */
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

static int64_t outer_size(const rv_shape *shape, int axis)
{
    int64_t size = 1;
    for (int i = 0; i < axis; i++)
        size *= shape->dim[i];
    return size;
}

static int64_t inner_size(const rv_shape *shape, int axis)
{
    int64_t size = 1;
    for (int i = axis + 1; i < shape->rank; i++)
        size *= shape->dim[i];
    return size;
}

static rv_status check_axis(const rv_node *node, const char *operand, int axis, rv_error *err)
{
    RV_TRY(rv_operand_float(node, 0, operand, 0, err));
    if (axis < 0 || axis >= node->in_shape[0].rank)
        return rv_operand_fail(node, 0, operand, err, "an axis %d", axis);
    return RV_OK;
}

/* ---- concat ----------------------------------------------------------- */

static rv_status concat_infer(rv_node *node, rv_error *err)
{
    const rv_axis_attr *attr = node->attr;
    RV_TRY(check_axis(node, "a", attr->axis, err));
    RV_TRY(rv_operand_float(node, 1, "b", node->in_shape[0].rank, err));
    rv_shape expected = node->in_shape[0];
    expected.dim[attr->axis] = node->in_shape[1].dim[attr->axis];
    char text[128];
    if (!rv_shape_equal(&node->in_shape[1], &expected))
        return rv_operand_fail(node, 1, "b", err, "%s", rv_shape_text(&expected, text, sizeof text));
    node->shape = expected;
    node->shape.dim[attr->axis] += node->in_shape[0].dim[attr->axis];
    return RV_OK;
}

static rv_cost copy_cost(const rv_node *node)
{
    return (rv_cost){0, 8 * (double)rv_shape_size(&node->shape)};
}

static rv_status concat_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_node *node = call->node;
    const int axis = ((const rv_axis_attr *)node->attr)->axis;
    const int64_t outer = outer_size(&node->shape, axis), inner = inner_size(&node->shape, axis);
    const int64_t row = node->shape.dim[axis] * inner;
    int64_t start = 0;
    for (int k = 0; k < 2; k++) {
        const int64_t part = node->in_shape[k].dim[axis] * inner;
        const double *x = call->in[k];
        double *y = call->out;
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < part; i++)
                y[o * row + start + i] = x[o * part + i];
        start += part;
    }
    return RV_OK;
}

static rv_status concat_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_node *node = call->node;
    const int axis = ((const rv_axis_attr *)node->attr)->axis;
    const int64_t outer = outer_size(&node->shape, axis), inner = inner_size(&node->shape, axis);
    const int64_t row = node->shape.dim[axis] * inner;
    const double *gy = call->gout;
    int64_t start = 0;
    for (int k = 0; k < 2; k++) {
        const int64_t part = node->in_shape[k].dim[axis] * inner;
        double *g = rv_ref_gradient(call, k);
        for (int64_t o = 0; g && o < outer; o++)
            for (int64_t i = 0; i < part; i++)
                g[o * part + i] += gy[o * row + start + i];
        start += part;
    }
    return RV_OK;
}

static const rv_kernels concat_ref = {.forward = concat_forward, .backward = concat_backward};

const rv_op rv_op_concat = {
    .name = "concat",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = concat_infer,
    .cost = copy_cost,
    .kernels = {[RV_BACKEND_REF] = &concat_ref, [RV_BACKEND_CPU] = &rv_concat_cpu},
};

/* ---- slice ------------------------------------------------------------ */

static rv_status slice_infer(rv_node *node, rv_error *err)
{
    const rv_slice_attr *attr = node->attr;
    RV_TRY(check_axis(node, "x", attr->axis, err));
    const int64_t extent = node->in_shape[0].dim[attr->axis];
    if (attr->start < 0 || attr->length < 0 || attr->start > extent || attr->length > extent - attr->start)
        return rv_operand_fail(node, 0, "x", err, "%lld elements from %lld on axis %d", (long long)attr->length,
                               (long long)attr->start, attr->axis);
    node->shape = node->in_shape[0];
    node->shape.dim[attr->axis] = attr->length;
    return RV_OK;
}

static rv_status slice_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_slice_attr *attr = call->node->attr;
    const rv_shape *shape = &call->node->in_shape[0];
    const int64_t outer = outer_size(shape, attr->axis), inner = inner_size(shape, attr->axis);
    const int64_t row = shape->dim[attr->axis] * inner, part = attr->length * inner;
    const double *x = call->in[0];
    double *y = call->out;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < part; i++)
            y[o * part + i] = x[o * row + attr->start * inner + i];
    return RV_OK;
}

static rv_status slice_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_slice_attr *attr = call->node->attr;
    const rv_shape *shape = &call->node->in_shape[0];
    const int64_t outer = outer_size(shape, attr->axis), inner = inner_size(shape, attr->axis);
    const int64_t row = shape->dim[attr->axis] * inner, part = attr->length * inner;
    const double *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    for (int64_t o = 0; gx && o < outer; o++)
        for (int64_t i = 0; i < part; i++)
            gx[o * row + attr->start * inner + i] += gy[o * part + i];
    return RV_OK;
}

static const rv_kernels slice_ref = {.forward = slice_forward, .backward = slice_backward};

const rv_op rv_op_slice = {
    .name = "slice",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = slice_infer,
    .cost = copy_cost,
    .kernels = {[RV_BACKEND_REF] = &slice_ref, [RV_BACKEND_CPU] = &rv_slice_cpu},
};

/* ---- reduce ----------------------------------------------------------- */

static rv_status reduce_infer(rv_node *node, rv_error *err)
{
    const rv_axis_attr *attr = node->attr;
    RV_TRY(check_axis(node, "x", attr->axis, err));
    const rv_shape *x = &node->in_shape[0];
    if (attr->kind == RV_REDUCE_MEAN && x->dim[attr->axis] == 0)
        return rv_operand_fail(node, 0, "x", err, "at least one element on axis %d for a mean", attr->axis);
    node->shape = (rv_shape){0};
    for (int i = 0; i < x->rank; i++)
        if (i != attr->axis)
            node->shape.dim[node->shape.rank++] = x->dim[i];
    return RV_OK;
}

static rv_cost reduce_cost(const rv_node *node)
{
    return (rv_cost){(double)rv_shape_size(&node->in_shape[0]), rv_node_bytes(node)};
}

static double reduce_factor(const rv_node *node)
{
    const rv_axis_attr *attr = node->attr;
    return attr->kind == RV_REDUCE_MEAN ? 1 / (double)node->in_shape[0].dim[attr->axis] : 1;
}

static rv_status reduce_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int axis = ((const rv_axis_attr *)call->node->attr)->axis;
    const rv_shape *shape = &call->node->in_shape[0];
    const int64_t outer = outer_size(shape, axis), extent = shape->dim[axis], inner = inner_size(shape, axis);
    const double *x = call->in[0];
    double *y = call->out; /* [outer, inner] */
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            double sum = 0;
            for (int64_t k = 0; k < extent; k++)
                sum += x[(o * extent + k) * inner + i];
            y[o * inner + i] = sum * reduce_factor(call->node);
        }
    return RV_OK;
}

static rv_status reduce_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int axis = ((const rv_axis_attr *)call->node->attr)->axis;
    const rv_shape *shape = &call->node->in_shape[0];
    const int64_t outer = outer_size(shape, axis), extent = shape->dim[axis], inner = inner_size(shape, axis);
    const double *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    for (int64_t o = 0; gx && o < outer; o++)
        for (int64_t k = 0; k < extent; k++)
            for (int64_t i = 0; i < inner; i++)
                gx[(o * extent + k) * inner + i] += gy[o * inner + i] * reduce_factor(call->node);
    return RV_OK;
}

static const rv_kernels reduce_ref = {.forward = reduce_forward, .backward = reduce_backward};

const rv_op rv_op_reduce = {
    .name = "reduce",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = reduce_infer,
    .cost = reduce_cost,
    .kernels = {[RV_BACKEND_REF] = &reduce_ref, [RV_BACKEND_CPU] = &rv_reduce_cpu},
};
