/* Dropout in float32, with the masks of dropout.h. */
#include "graph/attr.h"
#include "graph/cut.h"
#include "graph/dropout.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/dropout.h"
#include "tensor/kernels/cpu/elementwise.h"

/* Examples of `space` rows of channels; one draw per example and channel. */
typedef struct channels {
    size_t examples, part, width; /* part: elements of an example */
} channels;

static channels channels_of(const rv_shape *shape)
{
    const size_t examples = (size_t)shape->dim[0];
    return (channels){examples, examples ? (size_t)rv_shape_size(shape) / examples : 0,
                      (size_t)shape->dim[shape->rank - 1]};
}

static rv_dropout_mask mask_of(const rv_call *call)
{
    const double rate = ((const rv_dropout_attr *)call->node->attr)->rate;
    return (rv_dropout_mask){.stream = rv_dropout_stream(call),
                             .first = rv_dropout_first(call),
                             .threshold = rv_dropout_threshold(rate),
                             .factor = (float)(1 / (1 - rate))};
}

enum { UNIT = 4096 }; /* elements; whole blocks of random numbers of the widest vectors */

static bool by_channels(const rv_node *node)
{
    return ((const rv_dropout_attr *)node->attr)->channels;
}

static rv_cut cut(const rv_node *node, bool backward)
{
    (void)backward;
    return rv_cut_of(by_channels(node) ? 1 : rv_cut_units(rv_shape_size(&node->shape), UNIT));
}

/* y (+)= x under the mask of the call; y may be x. */
static void drop_channels(const rv_call *call, const float *x, float *y, bool add)
{
    const rv_dropout_mask mask = mask_of(call);
    const channels c = channels_of(&call->node->shape);
    float *factors = call->scratch; /* [examples, width] */
    rv_cpu()->dropout->apply(&mask, c.examples * c.width, NULL, factors, false);
    for (size_t e = 0; c.width > 0 && e < c.examples; e++)
        rv_cpu()->elementwise->multiply(c.part, c.width, x + e * c.part, factors + e * c.width,
                                        y + e * c.part, add);
}

static void drop(const rv_call *call, const float *x, float *y, bool add)
{
    const rv_span span = rv_cut_span(rv_shape_size(&call->node->shape), UNIT, cut(call->node, false).units[0],
                                     call->first, call->end);
    const size_t n = (size_t)span.count;
    if (!call->shard.training) {
        rv_cpu()->elementwise->scale(n, n, 1, x + span.first, y + span.first, add);
    } else if (by_channels(call->node)) {
        drop_channels(call, x, y, add);
    } else {
        rv_dropout_mask mask = mask_of(call);
        mask.first += (uint64_t)span.first / 4;
        rv_cpu()->dropout->apply(&mask, n, x + span.first, y + span.first, add);
    }
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    (void)err;
    drop(call, call->in[0], call->out, false);
    return RV_OK;
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    (void)err;
    if (call->gin[0])
        drop(call, call->gout, call->gin[0], call->add[0]);
    return RV_OK;
}

static size_t scratch(const rv_node *node)
{
    if (!by_channels(node))
        return 0;
    const channels c = channels_of(&node->shape);
    return c.examples * c.width * sizeof(float);
}

const rv_kernels rv_dropout_cpu = {.forward = forward, .backward = backward, .scratch = scratch, .cut = cut,
                                   .in_place = true, .gradient_in_place = true};
