/* Convolution in float32 (or bf16 products): the node's shape handed to the kernels. */
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/conv.h"

static rv_conv_shape shape_of(const rv_node *node)
{
    const rv_conv_options *o = node->attr;
    const int64_t *x = node->in_shape[0].dim, *k = node->in_shape[1].dim, *y = node->shape.dim;
    return (rv_conv_shape){.n = x[0], .h = x[1], .w = x[2], .in = x[3], .oh = y[1], .ow = y[2], .out = y[3],
                           .kh = k[2], .kw = k[3], .stride = o->stride, .padding = o->padding,
                           .dilation = o->dilation, .groups = o->groups,
                           .bias = node->in[2] != RV_NONE, .bf16 = node->bf16};
}

static bool is_empty(const rv_node *node)
{
    return node->in_shape[0].dim[0] == 0;
}

static rv_status prepare(const rv_node *node, void **prepared, rv_error *err)
{
    const rv_conv_shape shape = shape_of(node);
    rv_conv *conv = NULL;
    if (!is_empty(node))
        RV_TRY(rv_conv_new(&conv, &shape, err));
    *prepared = conv;
    return RV_OK;
}

static void unprepare(void *prepared)
{
    rv_conv_free(prepared);
}

/* A size that only the made primitives know; 0 when they cannot be made, which prepare reports. */
static size_t ask(const rv_node *node, size_t (*size)(const rv_conv *conv))
{
    void *conv = NULL;
    if (prepare(node, &conv, NULL) != RV_OK || !conv)
        return 0;
    const size_t bytes = size(conv);
    rv_conv_free(conv);
    return bytes;
}

static size_t packed_size(const rv_node *node)
{
    return ask(node, rv_conv_packed);
}

/* The library's, then room for a kernel that is not a parameter and so not packed ahead. */
static size_t scratch_size(const rv_node *node)
{
    return rv_arena_align(ask(node, rv_conv_scratch)) + packed_size(node);
}

static size_t saved_size(const rv_node *node)
{
    return node->bf16 ? ask(node, rv_conv_rounded) : 0;
}

static rv_status pack(const rv_node *node, const void *prepared, const void *weight, void *packed, int part,
                      rv_error *err)
{
    return is_empty(node) || part > 0 ? RV_OK : rv_conv_pack(prepared, weight, packed, err);
}

/* The packed kernel of a call. */
static rv_status kernel_of(const rv_call *call, const void **kernel, rv_error *err)
{
    *kernel = call->packed;
    if (call->packed)
        return RV_OK;
    void *room = (char *)call->scratch + rv_arena_align(rv_conv_scratch(call->prepared));
    *kernel = room;
    return rv_conv_pack(call->prepared, call->in[1], room, err);
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const void *kernel;
    if (is_empty(call->node))
        return RV_OK;
    RV_TRY(kernel_of(call, &kernel, err));
    return rv_conv_forward(call->prepared, kernel, call->in[0], call->in[2], call->out, call->saved,
                           call->scratch, err);
}

/* The sum over no examples. */
static void clear(const rv_call *call, int i)
{
    if (call->gin[i] && !call->add[i])
        memset(call->gin[i], 0, sizeof(float) * (size_t)rv_shape_size(&call->node->in_shape[i]));
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const void *kernel;
    if (is_empty(call->node)) {
        clear(call, 1);
        clear(call, 2);
        return RV_OK;
    }
    const rv_conv_gradients gradients = {.x = call->gin[0], .kernel = call->gin[1], .bias = call->gin[2],
                                         .add_x = call->add[0], .add_kernel = call->add[1],
                                         .add_bias = call->add[2]};
    RV_TRY(kernel_of(call, &kernel, err));
    return rv_conv_backward(call->prepared, kernel, call->in[0], call->saved, call->gout, &gradients,
                            call->scratch, err);
}

const rv_kernels rv_conv2d_cpu = {.forward = forward, .backward = backward, .saved = saved_size,
                                  .scratch = scratch_size, .packed = packed_size, .pack = pack,
                                  .prepare = prepare, .unprepare = unprepare, .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1)};
