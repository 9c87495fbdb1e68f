/* Elementwise operations in float32. */
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/elementwise.h"

static size_t elements(const rv_shape *shape)
{
    return (size_t)rv_shape_size(shape);
}

/* ---- activation ------------------------------------------------------- */

static rv_activation act_of(const rv_node *node)
{
    return ((const rv_activation_attr *)node->attr)->act;
}

static rv_status activate_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    rv_cpu()->activation->forward(act_of(call->node), elements(&call->node->shape), call->in[0], call->out,
                                  call->saved);
    return RV_OK;
}

static rv_status activate_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    if (call->gin[0])
        rv_cpu()->activation->backward(act_of(call->node), elements(&call->node->shape), call->out,
                                       call->saved, call->gout, call->gin[0], call->add[0]);
    return RV_OK;
}

/* The slope, where the result does not tell it. */
static size_t activate_saved(const rv_node *node)
{
    return rv_activation_saves(act_of(node)) ? sizeof(float) * elements(&node->shape) : 0;
}

const rv_kernels rv_activate_cpu = {.forward = activate_forward, .backward = activate_backward,
                                    .saved = activate_saved, .reads = RV_READS_OUTPUT, .in_place = true,
                                    .gradient_in_place = true};

/* ---- scale ------------------------------------------------------------ */

static float factor_of(const rv_node *node)
{
    return (float)((const rv_scale_attr *)node->attr)->factor;
}

static rv_status scale_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const size_t n = elements(&call->node->shape);
    rv_cpu()->elementwise->scale(n, n, factor_of(call->node), call->in[0], call->out, false);
    return RV_OK;
}

static rv_status scale_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const size_t n = elements(&call->node->shape);
    if (call->gin[0])
        rv_cpu()->elementwise->scale(n, n, factor_of(call->node), call->gout, call->gin[0], call->add[0]);
    return RV_OK;
}

const rv_kernels rv_scale_cpu = {.forward = scale_forward, .backward = scale_backward, .in_place = true,
                                 .gradient_in_place = true};

/* ---- sum and product of two ------------------------------------------- */

static rv_status add_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    rv_cpu()->elementwise->add(elements(&call->node->shape), elements(&call->node->in_shape[1]), call->in[0],
                               call->in[1], call->out);
    return RV_OK;
}

/* Of a value added to itself both gradients share memory, and the second adds to the first. */
static rv_status add_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const size_t n = elements(&call->node->shape), m = elements(&call->node->in_shape[1]);
    const struct rv_cpu_elementwise *kernels = rv_cpu()->elementwise;
    if (call->gin[0] && call->gin[0] != call->gout)
        kernels->scale(n, n, 1, call->gout, call->gin[0], call->add[0]);
    if (call->gin[1] && n == m)
        kernels->scale(n, n, 1, call->gout, call->gin[1], call->add[1]);
    else if (call->gin[1])
        kernels->fold(n, m, 1, call->gout, NULL, call->gin[1], call->add[1]);
    return RV_OK;
}

const rv_kernels rv_add_cpu = {.forward = add_forward, .backward = add_backward, .in_place = true,
                               .gradient_in_place = true};

static rv_status multiply_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    rv_cpu()->elementwise->multiply(elements(&call->node->shape), elements(&call->node->in_shape[1]),
                                    call->in[0], call->in[1], call->out, false);
    return RV_OK;
}

static rv_status multiply_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const size_t n = elements(&call->node->shape), m = elements(&call->node->in_shape[1]);
    const struct rv_cpu_elementwise *kernels = rv_cpu()->elementwise;
    if (call->gin[0])
        kernels->multiply(n, m, call->gout, call->in[1], call->gin[0], call->add[0]);
    if (call->gin[1] && n == m)
        kernels->multiply(n, n, call->gout, call->in[0], call->gin[1], call->add[1]);
    else if (call->gin[1])
        kernels->fold(n, m, 1, call->gout, call->in[0], call->gin[1], call->add[1]);
    return RV_OK;
}

const rv_kernels rv_multiply_cpu = {.forward = multiply_forward, .backward = multiply_backward,
                                    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1), .in_place = true};
