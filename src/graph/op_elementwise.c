/* Elementwise operations: activation, sum, product and scaling.
 *
 * The second operand of add and multiply may lack leading axes: element i of the
 * result meets element i modulo its size. */
#include "graph/activation.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

static rv_cost elementwise_cost(const rv_node *node)
{
    return (rv_cost){(double)rv_shape_size(&node->shape), rv_node_bytes(node)};
}

static rv_status operand_x(const rv_node *node, int i, const char *operand, rv_error *err)
{
    if (node->in_dtype[i] == RV_F32)
        return RV_OK;
    return rv_fail(err, RV_E_SHAPE, "%s '%s': operand %s: expected f32, found %s", node->op->name, node->name,
                   operand, rv_dtype_name(node->in_dtype[i]));
}

/* ---- one operand ------------------------------------------------------ */

static rv_status unary_infer(rv_node *node, rv_error *err)
{
    RV_TRY(operand_x(node, 0, "x", err));
    node->shape = node->in_shape[0];
    return RV_OK;
}

static rv_status activate_infer(rv_node *node, rv_error *err)
{
    const rv_activation_attr *attr = node->attr;
    if (!rv_activation_name(attr->act))
        return rv_fail(err, RV_E_ARGUMENT, "activate '%s': activation: expected one of rv_activation, found %d",
                       node->name, (int)attr->act);
    return unary_infer(node, err);
}

static rv_status activate_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_activation_attr *attr = call->node->attr;
    const int64_t n = rv_shape_size(&call->node->shape);
    const double *x = call->in[0];
    double *y = call->out;
    for (int64_t i = 0; i < n; i++)
        y[i] = rv_activation_value(attr->act, x[i]);
    return RV_OK;
}

static rv_status activate_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_activation_attr *attr = call->node->attr;
    const int64_t n = rv_shape_size(&call->node->shape);
    const double *x = call->in[0], *gy = call->gout;
    double *gx = call->gin[0];
    for (int64_t i = 0; i < n; i++)
        gx[i] = (call->add[0] ? gx[i] : 0) + gy[i] * rv_activation_slope(attr->act, x[i]);
    return RV_OK;
}

static rv_status scale_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_scale_attr *attr = call->node->attr;
    const int64_t n = rv_shape_size(&call->node->shape);
    const double *x = call->in[0];
    double *y = call->out;
    for (int64_t i = 0; i < n; i++)
        y[i] = attr->factor * x[i];
    return RV_OK;
}

static rv_status scale_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_scale_attr *attr = call->node->attr;
    const int64_t n = rv_shape_size(&call->node->shape);
    const double *gy = call->gout;
    double *gx = call->gin[0];
    for (int64_t i = 0; i < n; i++)
        gx[i] = (call->add[0] ? gx[i] : 0) + attr->factor * gy[i];
    return RV_OK;
}

/* ---- two operands ----------------------------------------------------- */

static rv_status binary_infer(rv_node *node, rv_error *err)
{
    RV_TRY(operand_x(node, 0, "a", err));
    RV_TRY(operand_x(node, 1, "b", err));
    const rv_shape *a = &node->in_shape[0], *b = &node->in_shape[1];
    bool fits = b->rank <= a->rank;
    for (int i = 1; fits && i <= b->rank; i++)
        fits = b->dim[b->rank - i] == a->dim[a->rank - i];
    char text[128];
    if (!fits)
        return rv_operand_fail(node, 1, "b", err, "%s or its last axes", rv_shape_text(a, text, sizeof text));
    node->shape = *a;
    return RV_OK;
}

static rv_status add_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t n = rv_shape_size(&call->node->shape), m = rv_shape_size(&call->node->in_shape[1]);
    const double *a = call->in[0], *b = call->in[1];
    double *y = call->out;
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i % m];
    return RV_OK;
}

static rv_status add_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t n = rv_shape_size(&call->node->shape), m = rv_shape_size(&call->node->in_shape[1]);
    const double *gy = call->gout;
    double *ga = rv_ref_gradient(call, 0), *gb = rv_ref_gradient(call, 1);
    for (int64_t i = 0; i < n; i++) {
        if (ga)
            ga[i] += gy[i];
        if (gb)
            gb[i % m] += gy[i];
    }
    return RV_OK;
}

static rv_status multiply_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t n = rv_shape_size(&call->node->shape), m = rv_shape_size(&call->node->in_shape[1]);
    const double *a = call->in[0], *b = call->in[1];
    double *y = call->out;
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i % m];
    return RV_OK;
}

static rv_status multiply_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t n = rv_shape_size(&call->node->shape), m = rv_shape_size(&call->node->in_shape[1]);
    const double *a = call->in[0], *b = call->in[1], *gy = call->gout;
    double *ga = rv_ref_gradient(call, 0), *gb = rv_ref_gradient(call, 1);
    for (int64_t i = 0; i < n; i++) {
        if (ga)
            ga[i] += gy[i] * b[i % m];
        if (gb)
            gb[i % m] += gy[i] * a[i];
    }
    return RV_OK;
}

/* ---- rows ------------------------------------------------------------- */

static const rv_kernels activate_ref = {
    .forward = activate_forward,
    .backward = activate_backward,
    .reads = RV_READS_INPUT(0),
    .in_place = true,
    .gradient_in_place = true,
};

const rv_op rv_op_activate = {
    .name = "activate",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = activate_infer,
    .cost = elementwise_cost,
    .kernels = {[RV_BACKEND_REF] = &activate_ref, [RV_BACKEND_CPU] = &rv_activate_cpu},
};

static const rv_kernels scale_ref = {
    .forward = scale_forward,
    .backward = scale_backward,
    .in_place = true,
    .gradient_in_place = true,
};

const rv_op rv_op_scale = {
    .name = "scale",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = unary_infer,
    .cost = elementwise_cost,
    .kernels = {[RV_BACKEND_REF] = &scale_ref, [RV_BACKEND_CPU] = &rv_scale_cpu},
};

static const rv_kernels add_ref = {
    .forward = add_forward,
    .backward = add_backward,
    .in_place = true,
};

const rv_op rv_op_add = {
    .name = "add",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = binary_infer,
    .cost = elementwise_cost,
    .kernels = {[RV_BACKEND_REF] = &add_ref, [RV_BACKEND_CPU] = &rv_add_cpu},
};

static const rv_kernels multiply_ref = {
    .forward = multiply_forward,
    .backward = multiply_backward,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
    .in_place = true,
};

const rv_op rv_op_multiply = {
    .name = "multiply",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = binary_infer,
    .cost = elementwise_cost,
    .kernels = {[RV_BACKEND_REF] = &multiply_ref, [RV_BACKEND_CPU] = &rv_multiply_cpu},
};
