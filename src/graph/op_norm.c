/* Layer, RMS, batch and group norm: y = (x - mean) / sqrt(var + eps) * gain + shift.
 *
 * The four differ only in which elements share a mean and variance, so one forward and
 * one backward run over "sets"; a channel is an offset modulo the last axis in all four. */
#include <math.h>

#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

/* Which elements of x belong to one set: `outer` runs of `inner` neighbours, `width` apart. */
typedef struct sets {
    int64_t count, outer, inner, width;
    int64_t groups; /* of channels; sets g, g + groups, ... share channels */
    int64_t span;   /* elements between two sets of the same channels */
    bool centred;   /* a mean is subtracted */
    bool running;   /* statistics of batch norm */
} sets;

static int64_t set_size(const sets *s)
{
    return s->outer * s->inner;
}

/* Offset of the first element of set number i. */
static int64_t set_base(const sets *s, int64_t i)
{
    return i / s->groups * s->span + i % s->groups * s->inner;
}

/* Offset of element e of a set from its base. */
static int64_t set_offset(const sets *s, int64_t e)
{
    return e / s->inner * s->width + e % s->inner;
}

static int64_t last_axis(const rv_node *node)
{
    return node->in_shape[0].dim[node->in_shape[0].rank - 1];
}

static int64_t row_count(const rv_node *node)
{
    int64_t rows = 1;
    for (int i = 0; i < node->in_shape[0].rank - 1; i++)
        rows *= node->in_shape[0].dim[i];
    return rows;
}

static sets sets_of_rows(const rv_node *node)
{
    const int64_t width = last_axis(node);
    return (sets){.count = row_count(node),
                  .outer = 1,
                  .inner = width,
                  .width = width,
                  .groups = 1,
                  .span = width,
                  .centred = true};
}

static sets sets_of_rms(const rv_node *node)
{
    sets s = sets_of_rows(node);
    s.centred = false;
    return s;
}

static sets sets_of_channels(const rv_node *node)
{
    const int64_t width = last_axis(node);
    return (sets){.count = width,
                  .outer = row_count(node),
                  .inner = 1,
                  .width = width,
                  .groups = width,
                  .centred = true,
                  .running = true};
}

static sets sets_of_groups(const rv_node *node)
{
    const rv_norm_attr *attr = node->attr;
    const int64_t width = last_axis(node), batch = node->in_shape[0].dim[0];
    const int64_t space = batch ? row_count(node) / batch : 0;
    return (sets){.count = batch * attr->groups,
                  .outer = space,
                  .inner = width / attr->groups,
                  .width = width,
                  .groups = attr->groups,
                  .span = space * width,
                  .centred = true};
}

/* ---- shapes and cost -------------------------------------------------- */

static rv_status infer_norm(rv_node *node, rv_error *err)
{
    const rv_norm_attr *attr = node->attr;
    RV_TRY(rv_operand_float(node, 0, "x", 0, err));
    if (last_axis(node) < 1)
        return rv_operand_fail(node, 0, "x", err, "a last axis of at least 1");
    if (!(attr->eps >= 0) || isinf(attr->eps))
        return rv_fail(err, RV_E_RANGE, "%s '%s': eps: expected a finite number >= 0, found %g",
                       node->op->name, node->name, attr->eps);
    RV_TRY(rv_operand_vector(node, 1, "gain", last_axis(node), err));
    RV_TRY(rv_operand_vector(node, 2, "shift", last_axis(node), err));
    node->shape = node->in_shape[0];
    node->dtype = RV_F32;
    return RV_OK;
}

static rv_status infer_group_norm(rv_node *node, rv_error *err)
{
    const rv_norm_attr *attr = node->attr;
    if (attr->groups < 1)
        return rv_fail(err, RV_E_RANGE, "%s '%s': groups: expected at least 1, found %d", node->op->name,
                       node->name, attr->groups);
    RV_TRY(infer_norm(node, err));
    if (node->in_shape[0].rank < 2)
        return rv_operand_fail(node, 0, "x", err, "rank at least 2");
    if (last_axis(node) % attr->groups != 0)
        return rv_operand_fail(node, 0, "x", err, "a last axis divisible by %d groups", attr->groups);
    return RV_OK;
}

/* Per element: one addition for the mean, three operations for the variance, two to
 * normalise, one each for gain and shift. */
static rv_cost cost_norm(const rv_node *node)
{
    const double per = 6 + (node->in[1] != RV_NONE) + (node->in[2] != RV_NONE);
    return (rv_cost){per * (double)rv_shape_size(&node->shape), rv_node_bytes(node)};
}

static int64_t buffer_batch(const rv_node *node)
{
    return 2 * last_axis(node);
}

/* ---- reference -------------------------------------------------------- */

typedef struct moments {
    double mean, var;
} moments;

/* Mean (0 unless centred) and biased variance around it; (0, 1) of nothing. */
static moments moments_of(const sets *s, const double *x)
{
    const int64_t n = set_size(s);
    moments m = {0, 0};
    if (n == 0)
        return (moments){0, 1};
    for (int64_t e = 0; s->centred && e < n; e++)
        m.mean += x[set_offset(s, e)] / (double)n;
    for (int64_t e = 0; e < n; e++) {
        const double centred = x[set_offset(s, e)] - m.mean;
        m.var += centred * centred / (double)n;
    }
    return m;
}

static bool statistics_given(const sets *s, const rv_call *call)
{
    return s->running && !call->shard.training;
}

/* Batch norm in evaluation reads the running moments; in training it leaves the batch's,
 * the variance with the unbiased factor n / (n - 1). */
static moments moments_of_set(const sets *s, const rv_call *call, int64_t i, const double *x)
{
    double *running = call->statistics; /* [mean width, var width] */
    if (statistics_given(s, call))
        return (moments){running[i], running[s->count + i]};
    const moments m = moments_of(s, x);
    if (s->running) {
        const double n = (double)set_size(s);
        running[i] = m.mean;
        running[s->count + i] = n > 1 ? m.var * n / (n - 1) : m.var;
    }
    return m;
}

/* saved: [sets] of (mean, 1 / sqrt(var + eps)). */
static void normalise(const sets *s, const rv_call *call)
{
    const rv_norm_attr *attr = call->node->attr;
    const double *x = call->in[0], *gain = call->in[1], *shift = call->in[2];
    double *y = call->out, *saved = call->saved;
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t base = set_base(s, i);
        const moments m = moments_of_set(s, call, i, x + base);
        const double scale = 1 / sqrt(m.var + attr->eps);
        for (int64_t e = 0; e < set_size(s); e++) {
            const int64_t at = base + set_offset(s, e), channel = at % s->width;
            y[at] = (x[at] - m.mean) * scale;
            y[at] *= gain ? gain[channel] : 1;
            y[at] += shift ? shift[channel] : 0;
        }
        saved[2 * i] = m.mean;
        saved[2 * i + 1] = scale;
    }
}

/* With h = (x - mean) * scale and d = gy * gain:
 * gx = scale * (d - mean(d) - h * mean(d * h)), without the term of whatever is constant. */
static void backward_of_set(const sets *s, const rv_call *call, int64_t i, double *gx, double *ggain,
                            double *gshift)
{
    const double *x = call->in[0], *gain = call->in[1], *gy = call->gout, *saved = call->saved;
    const double mean = saved[2 * i], scale = saved[2 * i + 1];
    const int64_t base = set_base(s, i), n = set_size(s);
    double mean_d = 0, mean_dh = 0;
    for (int64_t e = 0; e < n; e++) {
        const int64_t at = base + set_offset(s, e), channel = at % s->width;
        const double h = (x[at] - mean) * scale, d = gy[at] * (gain ? gain[channel] : 1);
        mean_d += d / (double)n;
        mean_dh += d * h / (double)n;
        if (ggain)
            ggain[channel] += gy[at] * h;
        if (gshift)
            gshift[channel] += gy[at];
    }
    if (!s->centred || statistics_given(s, call))
        mean_d = 0;
    if (statistics_given(s, call))
        mean_dh = 0;
    for (int64_t e = 0; gx && e < n; e++) {
        const int64_t at = base + set_offset(s, e), channel = at % s->width;
        const double h = (x[at] - mean) * scale, d = gy[at] * (gain ? gain[channel] : 1);
        gx[at] += scale * (d - mean_d - h * mean_dh);
    }
}

static void denormalise(const sets *s, const rv_call *call)
{
    double *gx = rv_ref_gradient(call, 0);
    double *ggain = rv_ref_gradient(call, 1), *gshift = rv_ref_gradient(call, 2);
    for (int64_t i = 0; i < s->count; i++)
        backward_of_set(s, call, i, gx, ggain, gshift);
}

/* The kernels and the row of one norm; `sets_of` is all that tells it from the others. */
#define NORM(op, sets_of, most_inputs, infer_rule, buffer_rule)                                              \
    static rv_status forward_##op(const rv_call *call, rv_error *err)                                        \
    {                                                                                                        \
        const sets s = sets_of(call->node);                                                                  \
        (void)err;                                                                                           \
        normalise(&s, call);                                                                                 \
        return RV_OK;                                                                                        \
    }                                                                                                        \
    static rv_status backward_##op(const rv_call *call, rv_error *err)                                       \
    {                                                                                                        \
        const sets s = sets_of(call->node);                                                                  \
        (void)err;                                                                                           \
        denormalise(&s, call);                                                                               \
        return RV_OK;                                                                                        \
    }                                                                                                        \
    static size_t saved_##op(const rv_node *node)                                                            \
    {                                                                                                        \
        return 2 * sizeof(double) * (size_t)sets_of(node).count;                                             \
    }                                                                                                        \
    static const rv_kernels ref_##op = {.forward = forward_##op,                                             \
                                        .backward = backward_##op,                                           \
                                        .saved = saved_##op,                                                 \
                                        .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1)};                     \
    const rv_op rv_op_##op = {.name = #op,                                                                   \
                              .min_inputs = 1,                                                               \
                              .max_inputs = most_inputs,                                                     \
                              .infer = infer_rule,                                                           \
                              .cost = cost_norm,                                                             \
                              .buffer = buffer_rule,                                                         \
                              .kernels = {[RV_BACKEND_REF] = &ref_##op, [RV_BACKEND_CPU] = &rv_##op##_cpu}}

NORM(layer_norm, sets_of_rows, 3, infer_norm, NULL);
NORM(rms_norm, sets_of_rms, 2, infer_norm, NULL);
NORM(batch_norm, sets_of_channels, 3, infer_norm, buffer_batch);
NORM(group_norm, sets_of_groups, 3, infer_group_norm, NULL);
