/* Pooling in float32. */
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/pool.h"

static rv_pool_shape shape_of(const rv_node *node)
{
    const rv_pool_attr *a = node->attr;
    const int64_t *x = node->in_shape[0].dim, *y = node->shape.dim;
    return (rv_pool_shape){.n = x[0], .h = x[1], .w = x[2], .c = x[3], .oh = y[1], .ow = y[2],
                           .size = a->size, .stride = a->stride, .padding = a->padding};
}

static rv_status max_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_pool_shape shape = shape_of(call->node);
    rv_cpu()->pool->max_forward(&shape, call->in[0], call->out, call->saved);
    return RV_OK;
}

static rv_status max_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_pool_shape shape = shape_of(call->node);
    if (call->gin[0])
        rv_cpu()->pool->max_backward(&shape, call->saved, call->gout, call->gin[0], call->add[0]);
    return RV_OK;
}

/* The place of every maximum. */
static size_t max_saved(const rv_node *node)
{
    return sizeof(int32_t) * (size_t)rv_shape_size(&node->shape);
}

const rv_kernels rv_max_pool_cpu = {.forward = max_forward, .backward = max_backward, .saved = max_saved};

static rv_status average_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_pool_shape shape = shape_of(call->node);
    rv_cpu()->pool->average_forward(&shape, call->in[0], call->out);
    return RV_OK;
}

static rv_status average_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_pool_shape shape = shape_of(call->node);
    if (call->gin[0])
        rv_cpu()->pool->average_backward(&shape, call->gout, call->gin[0], call->add[0]);
    return RV_OK;
}

const rv_kernels rv_average_pool_cpu = {.forward = average_forward, .backward = average_backward};

/* x [n, space, c] -> y [n, c] */
static rv_status global_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t *x = call->node->in_shape[0].dim;
    const size_t c = (size_t)x[3], part = (size_t)(x[1] * x[2]) * c;
    const float share = 1 / (float)(x[1] * x[2]);
    for (size_t n = 0; c > 0 && n < (size_t)x[0]; n++)
        rv_cpu()->elementwise->fold(part, c, share, (const float *)call->in[0] + n * part, NULL,
                                    (float *)call->out + n * c, false);
    return RV_OK;
}

static rv_status global_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int64_t *x = call->node->in_shape[0].dim;
    const size_t c = (size_t)x[3], part = (size_t)(x[1] * x[2]) * c;
    const float share = 1 / (float)(x[1] * x[2]);
    for (size_t n = 0; call->gin[0] && c > 0 && n < (size_t)x[0]; n++)
        rv_cpu()->elementwise->scale(part, c, share, (const float *)call->gout + n * c,
                                     (float *)call->gin[0] + n * part, call->add[0]);
    return RV_OK;
}

const rv_kernels rv_global_pool_cpu = {.forward = global_forward, .backward = global_backward};
