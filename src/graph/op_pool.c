/* Max, average and global pooling of images [n, h, w, c].
 *
 * A max pool pads with minus infinity and its gradient goes to the first maximum of the
 * window in row-major order; an average pool pads with zeros that count. */
#include <math.h>

#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

/* padding <= size / 2 keeps every window in touch with the image. */
static rv_status infer_pool(rv_node *node, rv_error *err)
{
    const rv_pool_attr *a = node->attr;
    const int64_t *x = node->in_shape[0].dim;
    if (a->size < 1 || a->stride < 1)
        return rv_fail(err, RV_E_RANGE, "%s '%s': size and stride: expected at least 1, found %d and %d",
                       node->op->name, node->name, a->size, a->stride);
    if (a->padding < 0 || a->padding > a->size / 2)
        return rv_fail(err, RV_E_RANGE, "%s '%s': padding: expected 0 to size / 2 = %d, found %d",
                       node->op->name, node->name, a->size / 2, a->padding);
    RV_TRY(rv_operand_float(node, 0, "x", 4, err));
    const int64_t least = a->size - 2 * a->padding > 1 ? a->size - 2 * a->padding : 1;
    if (x[1] < least || x[2] < least)
        return rv_operand_fail(node, 0, "x", err, "height and width >= %lld", (long long)least);
    node->shape = RV_SHAPE(x[0], (x[1] + 2 * a->padding - a->size) / a->stride + 1,
                           (x[2] + 2 * a->padding - a->size) / a->stride + 1, x[3]);
    node->dtype = RV_F32;
    return RV_OK;
}

static rv_status infer_global_pool(rv_node *node, rv_error *err)
{
    const int64_t *x = node->in_shape[0].dim;
    RV_TRY(rv_operand_float(node, 0, "x", 4, err));
    if (x[1] < 1 || x[2] < 1)
        return rv_operand_fail(node, 0, "x", err, "height and width >= 1");
    node->shape = RV_SHAPE(x[0], x[3]);
    node->dtype = RV_F32;
    return RV_OK;
}

/* One comparison or addition for each element of each window. */
static rv_cost cost_pool(const rv_node *node)
{
    const rv_pool_attr *a = node->attr;
    return (rv_cost){(double)rv_shape_size(&node->shape) * a->size * a->size, rv_node_bytes(node)};
}

static rv_cost cost_global_pool(const rv_node *node)
{
    return (rv_cost){(double)rv_shape_size(&node->in_shape[0]), rv_node_bytes(node)};
}

/* Offset in x of tap (i, j) of the window of output element `out`, or -1 when it is padding. */
static int64_t tap_offset(const rv_node *node, int64_t out, int i, int j)
{
    const rv_pool_attr *a = node->attr;
    const int64_t *x = node->in_shape[0].dim, *y = node->shape.dim;
    const int64_t channel = out % y[3], column = out / y[3] % y[2], row = out / y[3] / y[2] % y[1];
    const int64_t n = out / y[3] / y[2] / y[1];
    const int64_t h = row * a->stride - a->padding + i, w = column * a->stride - a->padding + j;
    if (h < 0 || h >= x[1] || w < 0 || w >= x[2])
        return -1;
    return ((n * x[1] + h) * x[2] + w) * x[3] + channel;
}

/* ---- max -------------------------------------------------------------- */

/* Offset in x of the first maximum of a window; a NaN is larger than everything. */
static int64_t first_maximum(const rv_node *node, const double *x, int64_t out)
{
    const rv_pool_attr *a = node->attr;
    int64_t best = -1;
    for (int i = 0; i < a->size; i++)
        for (int j = 0; j < a->size; j++) {
            const int64_t at = tap_offset(node, out, i, j);
            if (at >= 0 && (best < 0 || x[at] > x[best] || (isnan(x[at]) && !isnan(x[best]))))
                best = at;
        }
    return best;
}

static rv_status forward_max_pool(const rv_call *call, rv_error *err)
{
    const double *x = call->in[0];
    double *y = call->out;
    (void)err;
    for (int64_t i = 0; i < rv_shape_size(&call->node->shape); i++)
        y[i] = x[first_maximum(call->node, x, i)];
    return RV_OK;
}

static rv_status backward_max_pool(const rv_call *call, rv_error *err)
{
    const double *x = call->in[0], *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    (void)err;
    for (int64_t i = 0; gx && i < rv_shape_size(&call->node->shape); i++)
        gx[first_maximum(call->node, x, i)] += gy[i];
    return RV_OK;
}

static const rv_kernels ref_max_pool = {
    .forward = forward_max_pool, .backward = backward_max_pool, .reads = RV_READS_INPUT(0)};

const rv_op rv_op_max_pool = {
    .name = "max_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_pool,
    .cost = cost_pool,
    .kernels = {[RV_BACKEND_REF] = &ref_max_pool, [RV_BACKEND_CPU] = &rv_max_pool_cpu}};

/* ---- average ---------------------------------------------------------- */

static rv_status forward_average_pool(const rv_call *call, rv_error *err)
{
    const rv_pool_attr *a = call->node->attr;
    const double *x = call->in[0];
    double *y = call->out;
    (void)err;
    for (int64_t out = 0; out < rv_shape_size(&call->node->shape); out++) {
        double sum = 0;
        for (int i = 0; i < a->size; i++)
            for (int j = 0; j < a->size; j++) {
                const int64_t at = tap_offset(call->node, out, i, j);
                sum += at >= 0 ? x[at] : 0;
            }
        y[out] = sum / (a->size * a->size);
    }
    return RV_OK;
}

static rv_status backward_average_pool(const rv_call *call, rv_error *err)
{
    const rv_pool_attr *a = call->node->attr;
    const double *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    (void)err;
    for (int64_t out = 0; gx && out < rv_shape_size(&call->node->shape); out++)
        for (int i = 0; i < a->size; i++)
            for (int j = 0; j < a->size; j++) {
                const int64_t at = tap_offset(call->node, out, i, j);
                if (at >= 0)
                    gx[at] += gy[out] / (a->size * a->size);
            }
    return RV_OK;
}

static const rv_kernels ref_average_pool = {.forward = forward_average_pool,
                                            .backward = backward_average_pool};

const rv_op rv_op_average_pool = {
    .name = "average_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_pool,
    .cost = cost_pool,
    .kernels = {[RV_BACKEND_REF] = &ref_average_pool, [RV_BACKEND_CPU] = &rv_average_pool_cpu}};

/* ---- global ----------------------------------------------------------- */

static rv_status forward_global_pool(const rv_call *call, rv_error *err)
{
    const int64_t *x_dim = call->node->in_shape[0].dim; /* [n, h, w, c] */
    const int64_t space = x_dim[1] * x_dim[2], channels = x_dim[3];
    const double *x = call->in[0];
    double *y = call->out; /* [n, c] */
    (void)err;
    for (int64_t n = 0; n < x_dim[0]; n++)
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int64_t s = 0; s < space; s++)
                sum += x[(n * space + s) * channels + c];
            y[n * channels + c] = sum / (double)space;
        }
    return RV_OK;
}

static rv_status backward_global_pool(const rv_call *call, rv_error *err)
{
    const int64_t *x_dim = call->node->in_shape[0].dim;
    const int64_t space = x_dim[1] * x_dim[2], channels = x_dim[3];
    const double *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0);
    (void)err;
    for (int64_t i = 0; gx && i < rv_shape_size(&call->node->in_shape[0]); i++)
        gx[i] += gy[i / channels / space * channels + i % channels] / (double)space;
    return RV_OK;
}

static const rv_kernels ref_global_pool = {.forward = forward_global_pool, .backward = backward_global_pool};

const rv_op rv_op_global_pool = {
    .name = "global_pool",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_global_pool,
    .cost = cost_global_pool,
    .kernels = {[RV_BACKEND_REF] = &ref_global_pool, [RV_BACKEND_CPU] = &rv_global_pool_cpu}};
