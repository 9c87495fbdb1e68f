/* Two-dimensional convolution (cross-correlation) of images [n, h, w, in] with kernels
 * [out, in / groups, kh, kw]; what lies outside the image is zero. */
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

/* Positions of a window of `size` taps on an axis, or less than 1 when none fits. */
static int64_t positions(int64_t extent, int64_t size, const rv_conv_options *o)
{
    const int64_t room = extent + 2 * o->padding - o->dilation * (size - 1) - 1;
    return room < 0 ? 0 : room / o->stride + 1;
}

static rv_status check_options(const rv_node *node, rv_error *err)
{
    const rv_conv_options *o = node->attr;
    const struct {
        const char *name;
        int value, least;
    } rows[] = {{"stride", o->stride, 1},
                {"padding", o->padding, 0},
                {"dilation", o->dilation, 1},
                {"groups", o->groups, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].value < rows[i].least)
            return rv_fail(err, RV_E_RANGE, "conv2d '%s': %s: expected at least %d, found %d", node->name,
                           rows[i].name, rows[i].least, rows[i].value);
    return RV_OK;
}

static rv_status infer_conv2d(rv_node *node, rv_error *err)
{
    const rv_conv_options *o = node->attr;
    const int64_t *x = node->in_shape[0].dim, *k = node->in_shape[1].dim;
    RV_TRY(check_options(node, err));
    RV_TRY(rv_operand_float(node, 0, "x", 4, err));
    RV_TRY(rv_operand_float(node, 1, "kernel", 4, err));
    if (x[3] < 1 || x[3] % o->groups != 0)
        return rv_operand_fail(node, 0, "x", err, "channels divisible by %d groups", o->groups);
    if (k[0] < 1 || k[0] % o->groups != 0 || k[1] != x[3] / o->groups || k[2] < 1 || k[3] < 1) {
        const int64_t fit = k[0] - k[0] % o->groups; /* the nearest number of outputs that would do */
        return rv_operand_fail(node, 1, "kernel", err, "[%lld, %lld, *, *]",
                               (long long)(fit > 0 ? fit : o->groups), (long long)(x[3] / o->groups));
    }
    RV_TRY(rv_operand_vector(node, 2, "bias", k[0], err));
    const int64_t height = positions(x[1], k[2], o), width = positions(x[2], k[3], o);
    if (height < 1 || width < 1)
        return rv_operand_fail(node, 0, "x", err, "height >= %lld and width >= %lld",
                               (long long)(o->dilation * (k[2] - 1) + 1 - 2 * o->padding),
                               (long long)(o->dilation * (k[3] - 1) + 1 - 2 * o->padding));
    node->shape = RV_SHAPE(x[0], height, width, k[0]);
    node->dtype = RV_F32;
    return RV_OK;
}

static rv_cost cost_conv2d(const rv_node *node)
{
    const int64_t *k = node->in_shape[1].dim;
    const double outputs = (double)rv_shape_size(&node->shape);
    const double flops = 2 * outputs * (double)(k[1] * k[2] * k[3]) + (node->in[2] != RV_NONE ? outputs : 0);
    return (rv_cost){flops, rv_node_bytes(node)};
}

/* One product of the sum: offsets of its output, input and kernel element. */
typedef struct tap {
    int64_t y, x, k;
} tap;

typedef void tap_action(const rv_call *call, tap at);

/* Calls action for every kernel tap of the output at (n, row, column, channel) that lies inside. */
static void each_tap_of(const rv_call *call, tap_action *action, int64_t n, int64_t row, int64_t column,
                        int64_t channel)
{
    const rv_conv_options *o = call->node->attr;
    const int64_t *x = call->node->in_shape[0].dim, *k = call->node->in_shape[1].dim;
    const int64_t *y = call->node->shape.dim;
    const int64_t first = channel / (k[0] / o->groups) * k[1]; /* input channel of the group */
    for (int64_t c = 0; c < k[1]; c++)
        for (int64_t i = 0; i < k[2]; i++)
            for (int64_t j = 0; j < k[3]; j++) {
                const int64_t h = row * o->stride - o->padding + i * o->dilation;
                const int64_t w = column * o->stride - o->padding + j * o->dilation;
                if (h < 0 || h >= x[1] || w < 0 || w >= x[2])
                    continue;
                action(call, (tap){.y = ((n * y[1] + row) * y[2] + column) * y[3] + channel,
                                   .x = ((n * x[1] + h) * x[2] + w) * x[3] + first + c,
                                   .k = ((channel * k[1] + c) * k[2] + i) * k[3] + j});
            }
}

static void each_tap(const rv_call *call, tap_action *action)
{
    const int64_t *y = call->node->shape.dim;
    for (int64_t n = 0; n < y[0]; n++)
        for (int64_t row = 0; row < y[1]; row++)
            for (int64_t column = 0; column < y[2]; column++)
                for (int64_t channel = 0; channel < y[3]; channel++)
                    each_tap_of(call, action, n, row, column, channel);
}

static void add_product(const rv_call *call, tap at)
{
    const double *x = call->in[0], *k = call->in[1];
    ((double *)call->out)[at.y] += x[at.x] * k[at.k];
}

static void add_to_gx(const rv_call *call, tap at)
{
    const double *gy = call->gout, *k = call->in[1];
    ((double *)call->gin[0])[at.x] += gy[at.y] * k[at.k];
}

static void add_to_gk(const rv_call *call, tap at)
{
    const double *gy = call->gout, *x = call->in[0];
    ((double *)call->gin[1])[at.k] += gy[at.y] * x[at.x];
}

static rv_status forward_conv2d(const rv_call *call, rv_error *err)
{
    const double *bias = call->in[2];
    double *y = call->out;
    const int64_t channels = call->node->shape.dim[3];
    (void)err;
    for (int64_t i = 0; i < rv_shape_size(&call->node->shape); i++)
        y[i] = bias ? bias[i % channels] : 0;
    each_tap(call, add_product);
    return RV_OK;
}

static rv_status backward_conv2d(const rv_call *call, rv_error *err)
{
    const double *gy = call->gout;
    const int64_t channels = call->node->shape.dim[3];
    (void)err;
    if (rv_ref_gradient(call, 0))
        each_tap(call, add_to_gx);
    if (rv_ref_gradient(call, 1))
        each_tap(call, add_to_gk);
    double *gbias = rv_ref_gradient(call, 2);
    for (int64_t i = 0; gbias && i < rv_shape_size(&call->node->shape); i++)
        gbias[i % channels] += gy[i];
    return RV_OK;
}

static const rv_kernels ref_conv2d = {
    .forward = forward_conv2d, .backward = backward_conv2d, .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1)};

const rv_op rv_op_conv2d = {.name = "conv2d",
                            .min_inputs = 2,
                            .max_inputs = 3,
                            .infer = infer_conv2d,
                            .cost = cost_conv2d,
                            .kernels = {[RV_BACKEND_REF] = &ref_conv2d, [RV_BACKEND_CPU] = &rv_conv2d_cpu}};
