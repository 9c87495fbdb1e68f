/* Elementwise operations in float32. */
#include "graph/attr.h"
#include "graph/cut.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/elementwise.h"

static size_t elements(const rv_shape *shape)
{
    return (size_t)rv_shape_size(shape);
}

/* ---- the cut ---------------------------------------------------------- */

enum { UNIT = 4096 }; /* elements at least; a multiple of every vector */

/* Elements in which a unit begins: whole repetitions of the second operand. */
static int64_t step_of(const rv_node *node)
{
    const int64_t n = rv_shape_size(&node->shape), m = node->n_in > 1 ? rv_shape_size(&node->in_shape[1]) : n;
    return m == n || m < 1 ? UNIT : (UNIT + m - 1) / m * m;
}

static int units_of(const rv_node *node)
{
    return rv_cut_units(rv_shape_size(&node->shape), step_of(node));
}

static rv_cut cut(const rv_node *node, bool backward)
{
    /* A second operand that repeats gets a sum over the units. */
    const bool sums = backward && node->n_in > 1 && rv_shape_size(&node->shape) != rv_shape_size(&node->in_shape[1]);
    return rv_cut_of(sums ? 1 : units_of(node));
}

/* The elements of a call's units, all of them where those are not cut. */
static rv_span span_of(const rv_call *call, bool backward)
{
    return rv_cut_span(rv_shape_size(&call->node->shape), step_of(call->node), cut(call->node, backward).units[0],
                       call->first, call->end);
}

static const float *read_at(const void *array, rv_span span)
{
    return array ? (const float *)array + span.first : NULL;
}

static float *write_at(void *array, rv_span span)
{
    return array ? (float *)array + span.first : NULL;
}

/* ---- activation ------------------------------------------------------- */

static rv_activation act_of(const rv_node *node)
{
    return ((const rv_activation_attr *)node->attr)->act;
}

static rv_status activate_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, false);
    rv_cpu()->activation->forward(act_of(call->node), (size_t)span.count, read_at(call->in[0], span),
                                  write_at(call->out, span), write_at(call->saved, span));
    return RV_OK;
}

static rv_status activate_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, true);
    if (call->gin[0])
        rv_cpu()->activation->backward(act_of(call->node), (size_t)span.count, read_at(call->out, span),
                                       read_at(call->saved, span), read_at(call->gout, span),
                                       write_at(call->gin[0], span), call->add[0]);
    return RV_OK;
}

/* The slope, where the result does not tell it. */
static size_t activate_saved(const rv_node *node)
{
    return rv_activation_saves(act_of(node)) ? sizeof(float) * elements(&node->shape) : 0;
}

const rv_kernels rv_activate_cpu = {.forward = activate_forward, .backward = activate_backward,
                                    .saved = activate_saved, .cut = cut, .reads = RV_READS_OUTPUT, .in_place = true,
                                    .gradient_in_place = true};

/* ---- scale ------------------------------------------------------------ */

static float factor_of(const rv_node *node)
{
    return (float)((const rv_scale_attr *)node->attr)->factor;
}

static rv_status scale_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, false);
    const size_t n = (size_t)span.count;
    rv_cpu()->elementwise->scale(n, n, factor_of(call->node), read_at(call->in[0], span), write_at(call->out, span),
                                 false);
    return RV_OK;
}

static rv_status scale_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, true);
    const size_t n = (size_t)span.count;
    if (call->gin[0])
        rv_cpu()->elementwise->scale(n, n, factor_of(call->node), read_at(call->gout, span),
                                     write_at(call->gin[0], span), call->add[0]);
    return RV_OK;
}

const rv_kernels rv_scale_cpu = {.forward = scale_forward, .backward = scale_backward, .cut = cut, .in_place = true,
                                 .gradient_in_place = true};

/* ---- sum and product of two ------------------------------------------- */

/* The second operand from where the span begins: one that repeats is whole. */
static rv_span second_of(const rv_node *node, rv_span span)
{
    const int64_t m = rv_shape_size(&node->in_shape[1]);
    return m == rv_shape_size(&node->shape) ? span : (rv_span){0, m};
}

static rv_status add_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, false), second = second_of(call->node, span);
    if (span.count > 0)
        rv_cpu()->elementwise->add((size_t)span.count, (size_t)second.count, read_at(call->in[0], span),
                                   read_at(call->in[1], second), write_at(call->out, span));
    return RV_OK;
}

/* Of a value added to itself both gradients share memory, and the second adds to the first. */
static rv_status add_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, true), second = second_of(call->node, span);
    const size_t n = (size_t)span.count, m = (size_t)second.count;
    const struct rv_cpu_elementwise *kernels = rv_cpu()->elementwise;
    const float *gy = read_at(call->gout, span);
    if (call->gin[0] && call->gin[0] != call->gout)
        kernels->scale(n, n, 1, gy, write_at(call->gin[0], span), call->add[0]);
    if (call->gin[1] && n == m)
        kernels->scale(n, n, 1, gy, write_at(call->gin[1], second), call->add[1]);
    else if (call->gin[1])
        kernels->fold(n, m, 1, gy, NULL, call->gin[1], call->add[1]);
    return RV_OK;
}

const rv_kernels rv_add_cpu = {.forward = add_forward, .backward = add_backward, .cut = cut, .in_place = true,
                               .gradient_in_place = true};

static rv_status multiply_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, false), second = second_of(call->node, span);
    if (span.count > 0)
        rv_cpu()->elementwise->multiply((size_t)span.count, (size_t)second.count, read_at(call->in[0], span),
                                        read_at(call->in[1], second), write_at(call->out, span), false);
    return RV_OK;
}

static rv_status multiply_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_span span = span_of(call, true), second = second_of(call->node, span);
    const size_t n = (size_t)span.count, m = (size_t)second.count;
    const struct rv_cpu_elementwise *kernels = rv_cpu()->elementwise;
    const float *gy = read_at(call->gout, span), *a = read_at(call->in[0], span);
    if (call->gin[0])
        kernels->multiply(n, m, gy, read_at(call->in[1], second), write_at(call->gin[0], span), call->add[0]);
    if (call->gin[1] && n == m)
        kernels->multiply(n, n, gy, a, write_at(call->gin[1], second), call->add[1]);
    else if (call->gin[1])
        kernels->fold(n, m, 1, gy, a, call->gin[1], call->add[1]);
    return RV_OK;
}

const rv_kernels rv_multiply_cpu = {.forward = multiply_forward, .backward = multiply_backward, .cut = cut,
                                    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1), .in_place = true};
