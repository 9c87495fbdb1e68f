/* Losses: each leaves [2], the sum over its examples and their total weight.
 *
 * The gradient of the weight with respect to anything is zero: backward follows the
 * sum alone and scales by gout[0]. */
#include <math.h>

#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

/* ---- cross entropy ---------------------------------------------------- */

static rv_status cross_entropy_infer(rv_node *node, rv_error *err)
{
    const rv_cross_entropy_attr *attr = node->attr;
    RV_TRY(rv_operand_float(node, 0, "logits", 0, err));
    if (node->in_dtype[1] != RV_I32)
        return rv_fail(err, RV_E_SHAPE, "cross_entropy '%s': operand labels: expected i32, found %s", node->name,
                       rv_dtype_name(node->in_dtype[1]));
    rv_shape expected = node->in_shape[0];
    expected.dim[--expected.rank] = 0;
    char text[128];
    if (!rv_shape_equal(&node->in_shape[1], &expected))
        return rv_operand_fail(node, 1, "labels", err, "%s", rv_shape_text(&expected, text, sizeof text));
    if (!(attr->label_smoothing >= 0 && attr->label_smoothing < 1))
        return rv_fail(err, RV_E_RANGE, "cross_entropy '%s': label_smoothing: expected in [0, 1), found %g", node->name,
                       attr->label_smoothing);
    const rv_shape *logits = &node->in_shape[0];
    for (int64_t c = 0; attr->class_weights && c < logits->dim[logits->rank - 1]; c++)
        if (!(attr->class_weights[c] >= 0 && isfinite(attr->class_weights[c])))
            return rv_fail(err, RV_E_RANGE,
                           "cross_entropy '%s': class weight %lld: expected finite and at least 0, found %g",
                           node->name, (long long)c, attr->class_weights[c]);
    node->shape = RV_SHAPE(2);
    return RV_OK;
}

static rv_cost cross_entropy_cost(const rv_node *node)
{
    return (rv_cost){5 * (double)rv_shape_size(&node->in_shape[0]), rv_node_bytes(node)};
}

/* The mass that example with label y puts on -log p[c]: 1 - smoothing on its own class
 * and smoothing / classes on every one, each times that class's weight. */
static double class_mass(const double *weights, double smoothing, int64_t classes, int64_t y, int64_t c)
{
    return (weights ? weights[c] : 1) * ((c == y ? 1 - smoothing : 0) + smoothing / (double)classes);
}

/* What softmax exponentiates: the logit itself or, for StableMax, log s(x) = sign(x) log(1 + |x|). */
static double score(const rv_cross_entropy_attr *attr, double x)
{
    return attr->stablemax ? copysign(log1p(fabs(x)), x) : x;
}

/* Its derivative. */
static double score_slope(const rv_cross_entropy_attr *attr, double x)
{
    return attr->stablemax ? 1 / (1 + fabs(x)) : 1;
}

/* log sum exp of a row of scores, safe for any finite logits. */
static double log_sum_exp(const rv_cross_entropy_attr *attr, const double *x, int64_t n)
{
    double top = x[0], sum = 0;
    for (int64_t c = 1; c < n; c++)
        top = x[c] > top ? x[c] : top;
    top = score(attr, top); /* scores rise with their logits */
    for (int64_t c = 0; c < n; c++)
        sum += exp(score(attr, x[c]) - top);
    return top + log(sum);
}

static rv_status cross_entropy_forward(const rv_call *call, rv_error *err)
{
    const rv_node *node = call->node;
    const rv_cross_entropy_attr *attr = node->attr;
    const int64_t rows = rv_shape_size(&node->in_shape[1]), classes = node->in_shape[0].dim[node->in_shape[0].rank - 1];
    const double *logits = call->in[0]; /* [rows, classes] */
    const int32_t *labels = call->in[1];
    const double smoothing = rv_smoothing(call);
    double *out = call->out, sum = 0, weight = 0;
    for (int64_t r = 0; r < rows; r++) {
        const int32_t y = labels[r];
        if (y < 0 && attr->ignore_negative)
            continue;
        if (y < 0 || y >= classes)
            return rv_fail(err, RV_E_RANGE, "cross_entropy '%s': label %lld: expected 0 <= label < %lld, found %d",
                           node->name, (long long)r, (long long)classes, y);
        const double *x = logits + r * classes, norm = log_sum_exp(attr, x, classes);
        for (int64_t c = 0; c < classes; c++)
            sum += class_mass(attr->class_weights, smoothing, classes, y, c) * (norm - score(attr, x[c]));
        weight += attr->class_weights ? attr->class_weights[y] : 1;
    }
    out[0] = sum;
    out[1] = weight;
    return RV_OK;
}

static rv_status cross_entropy_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_node *node = call->node;
    const rv_cross_entropy_attr *attr = node->attr;
    const int64_t rows = rv_shape_size(&node->in_shape[1]), classes = node->in_shape[0].dim[node->in_shape[0].rank - 1];
    const double *logits = call->in[0], *gout = call->gout;
    const int32_t *labels = call->in[1];
    const double smoothing = rv_smoothing(call);
    double *g = rv_ref_gradient(call, 0);
    for (int64_t r = 0; g && r < rows; r++) {
        if (labels[r] < 0)
            continue;
        const double *x = logits + r * classes, norm = log_sum_exp(attr, x, classes);
        double total = 0;
        for (int64_t c = 0; c < classes; c++)
            total += class_mass(attr->class_weights, smoothing, classes, labels[r], c);
        for (int64_t c = 0; c < classes; c++)
            g[r * classes + c] += gout[0] * score_slope(attr, x[c]) *
                                  (total * exp(score(attr, x[c]) - norm) -
                                   class_mass(attr->class_weights, smoothing, classes, labels[r], c));
    }
    return RV_OK;
}

static const rv_kernels cross_entropy_ref = {
    .forward = cross_entropy_forward,
    .backward = cross_entropy_backward,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
};

const rv_op rv_op_cross_entropy = {
    .name = "cross_entropy",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = cross_entropy_infer,
    .cost = cross_entropy_cost,
    .kernels = {[RV_BACKEND_REF] = &cross_entropy_ref, [RV_BACKEND_CPU] = &rv_cross_entropy_cpu},
};

/* ---- pointwise losses: sum of weight * loss(x, target) ---------------- */

typedef struct point {
    double loss, dx, dtarget;
} point;

static point mse_point(double x, double t)
{
    return (point){(x - t) * (x - t), 2 * (x - t), 2 * (t - x)};
}

static point l1_point(double x, double t)
{
    const double sign = (x > t) - (x < t);
    return (point){fabs(x - t), sign, -sign};
}

/* -t log s(x) - (1 - t) log(1 - s(x)) = max(x, 0) - x t + log(1 + e^-|x|), s the sigmoid. */
static point binary_point(double x, double t)
{
    const double e = exp(-fabs(x)), s = x >= 0 ? 1 / (1 + e) : e / (1 + e);
    return (point){(x < 0 ? 0 : x) - x * t + log1p(e), s - t, -x};
}

static rv_status pointwise_infer(rv_node *node, rv_error *err)
{
    static const char *const names[] = {"x", "target", "weight"};
    char text[128];
    for (int i = 0; i < 3; i++) {
        if (node->in[i] == RV_NONE)
            continue;
        RV_TRY(rv_operand_float(node, i, names[i], node->in_shape[0].rank, err));
        if (!rv_shape_equal(&node->in_shape[i], &node->in_shape[0]))
            return rv_operand_fail(node, i, names[i], err, "%s", rv_shape_text(&node->in_shape[0], text, sizeof text));
    }
    node->shape = RV_SHAPE(2);
    return RV_OK;
}

static rv_cost pointwise_cost(const rv_node *node)
{
    return (rv_cost){3 * (double)rv_shape_size(&node->in_shape[0]), rv_node_bytes(node)};
}

static rv_status pointwise_forward(const rv_call *call, point (*at)(double, double))
{
    const int64_t n = rv_shape_size(&call->node->in_shape[0]);
    const double *x = call->in[0], *target = call->in[1], *weight = call->in[2];
    double *out = call->out;
    out[0] = out[1] = 0;
    for (int64_t i = 0; i < n; i++) {
        const double w = weight ? weight[i] : 1;
        out[0] += w * at(x[i], target[i]).loss;
        out[1] += w;
    }
    return RV_OK;
}

static rv_status pointwise_backward(const rv_call *call, point (*at)(double, double))
{
    const int64_t n = rv_shape_size(&call->node->in_shape[0]);
    const double *x = call->in[0], *target = call->in[1], *weight = call->in[2];
    const double g = ((const double *)call->gout)[0];
    double *gx = rv_ref_gradient(call, 0), *gt = rv_ref_gradient(call, 1), *gw = rv_ref_gradient(call, 2);
    for (int64_t i = 0; i < n; i++) {
        const point p = at(x[i], target[i]);
        const double w = weight ? weight[i] : 1;
        if (gx)
            gx[i] += g * w * p.dx;
        if (gt)
            gt[i] += g * w * p.dtarget;
        if (gw)
            gw[i] += g * p.loss;
    }
    return RV_OK;
}

static rv_status mse_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_forward(call, mse_point);
}

static rv_status mse_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_backward(call, mse_point);
}

static rv_status l1_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_forward(call, l1_point);
}

static rv_status l1_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_backward(call, l1_point);
}

static rv_status binary_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_forward(call, binary_point);
}

static rv_status binary_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    return pointwise_backward(call, binary_point);
}

#define READS_ALL (RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_INPUT(2))
static const rv_kernels mse_ref = {.forward = mse_forward, .backward = mse_backward, .reads = READS_ALL};
static const rv_kernels l1_ref = {.forward = l1_forward, .backward = l1_backward, .reads = READS_ALL};
static const rv_kernels binary_ref = {.forward = binary_forward, .backward = binary_backward, .reads = READS_ALL};

#define POINTWISE(op, ref)                                                        \
    const rv_op rv_op_##op = {                                                    \
        .name = #op,                                                              \
        .min_inputs = 2,                                                          \
        .max_inputs = 3,                                                          \
        .infer = pointwise_infer,                                                 \
        .cost = pointwise_cost,                                                   \
        .kernels = {[RV_BACKEND_REF] = &ref, [RV_BACKEND_CPU] = &rv_##op##_cpu},  \
    };
POINTWISE(mse, mse_ref)
POINTWISE(l1, l1_ref)
POINTWISE(binary_cross_entropy, binary_ref)
