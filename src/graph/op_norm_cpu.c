/* Normalisations in float32: rows (layer, RMS) and columns (batch, group).
 *
 * Batch norm is group norm of one example whose groups are single channels; the
 * passes over memory are kernels, the arithmetic per channel stands here. */
#include <math.h>
#include <string.h>

#include "graph/attr.h"
#include "graph/cut.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/norm.h"

static size_t width_of(const rv_node *node)
{
    return (size_t)node->in_shape[0].dim[node->in_shape[0].rank - 1];
}

static size_t rows_of(const rv_node *node)
{
    return (size_t)rv_shape_size(&node->in_shape[0]) / width_of(node);
}

static double eps_of(const rv_node *node)
{
    return ((const rv_norm_attr *)node->attr)->eps;
}

/* Writes or adds n sums to the gradient of input i, where it is wanted. */
static void give(const rv_call *call, int i, const float *sums, size_t n)
{
    float *g = call->gin[i];
    for (size_t j = 0; g && j < n; j++)
        g[j] = (call->add[i] ? g[j] : 0) + sums[j];
}

/* ---- rows ------------------------------------------------------------- */

/* Units of so many rows, a multiple of what the kernels take together.  In backward each sums
 * what it gives to gain and shift on its own; a second stage adds the sums in order. */
enum { UNIT_ROWS = 32 };

static int rows_units(const rv_node *node)
{
    return rv_cut_units((int64_t)rows_of(node) + UNIT_ROWS - 1, UNIT_ROWS);
}

static rv_cut rows_cut(const rv_node *node, bool backward)
{
    const int units = rows_units(node);
    return backward ? (rv_cut){2, {units, 1}} : rv_cut_of(units);
}

/* The rows of units [first, end). */
static rv_norm_rows rows_norm(const rv_call *call, bool centred, size_t first, size_t end)
{
    const size_t width = width_of(call->node), all = rows_of(call->node);
    const size_t from = first * UNIT_ROWS, to = end * UNIT_ROWS < all ? end * UNIT_ROWS : all;
    return (rv_norm_rows){.rows = to - from, .width = width, .x = (const float *)call->in[0] + from * width,
                          .gain = call->in[1], .centred = centred};
}

static rv_status rows_forward(const rv_call *call, bool centred)
{
    const rv_norm_rows norm = rows_norm(call, centred, (size_t)call->first, (size_t)call->end);
    const size_t from = (size_t)call->first * UNIT_ROWS, at = from * norm.width;
    float *y = call->out;
    rv_cpu()->norm->rows_forward(&norm, call->in[2], (float)eps_of(call->node), y ? y + at : NULL,
                                 call->out_bf16 ? call->out_bf16 + at : NULL, (float *)call->saved + 2 * from);
    return RV_OK;
}

/* The sums of one unit, [2, width]. */
static float *unit_sums(const rv_call *call, size_t unit)
{
    return (float *)call->scratch + unit * 2 * width_of(call->node);
}

static void rows_gradient(const rv_call *call, bool centred, size_t unit)
{
    const rv_norm_rows norm = rows_norm(call, centred, unit, unit + 1);
    const size_t from = unit * UNIT_ROWS, at = from * norm.width;
    float *gx = call->gin[0];
    rv_cpu()->norm->rows_backward(&norm, (const float *)call->saved + 2 * from, (const float *)call->gout + at,
                                  gx ? gx + at : NULL, call->add[0], unit_sums(call, unit));
}

static rv_status rows_backward(const rv_call *call, bool centred)
{
    const size_t width = width_of(call->node), units = (size_t)rows_units(call->node);
    for (int u = call->first; call->stage == 0 && u < call->end; u++)
        rows_gradient(call, centred, (size_t)u);
    if (call->stage == 0)
        return RV_OK;
    for (size_t u = 1; u < units; u++)
        rv_cpu()->elementwise->add(2 * width, 2 * width, unit_sums(call, 0), unit_sums(call, u), unit_sums(call, 0));
    give(call, 1, unit_sums(call, 0), width);
    give(call, 2, unit_sums(call, 0) + width, width);
    return RV_OK;
}

static size_t rows_saved(const rv_node *node)
{
    return 2 * sizeof(float) * rows_of(node);
}

static size_t rows_scratch(const rv_node *node)
{
    return 2 * sizeof(float) * width_of(node) * (size_t)rows_units(node);
}

static rv_status forward_layer(const rv_call *call, rv_error *err)
{
    (void)err;
    return rows_forward(call, true);
}

static rv_status backward_layer(const rv_call *call, rv_error *err)
{
    (void)err;
    return rows_backward(call, true);
}

static rv_status forward_rms(const rv_call *call, rv_error *err)
{
    (void)err;
    return rows_forward(call, false);
}

static rv_status backward_rms(const rv_call *call, rv_error *err)
{
    (void)err;
    return rows_backward(call, false);
}

const rv_kernels rv_layer_norm_cpu = {.forward = forward_layer, .backward = backward_layer,
                                      .saved = rows_saved, .scratch = rows_scratch, .cut = rows_cut,
                                      .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
                                      .gives_bf16 = rv_cpu_always, .gradient_in_place = true};
const rv_kernels rv_rms_norm_cpu = {.forward = forward_rms, .backward = backward_rms,
                                    .saved = rows_saved, .scratch = rows_scratch, .cut = rows_cut,
                                    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
                                    .gives_bf16 = rv_cpu_always, .gradient_in_place = true};

/* ---- columns ---------------------------------------------------------- */

/* Examples of rows x width, each normalised by groups of `inner` neighbouring channels. */
typedef struct columns {
    size_t examples, rows, width, inner;
    bool running;
    bool given; /* moments are the running ones: constants to the gradient */
} columns;

static columns columns_of(const rv_node *node, bool running, bool training)
{
    const rv_norm_attr *attr = node->attr;
    const size_t examples = running ? 1 : (size_t)node->in_shape[0].dim[0];
    return (columns){.examples = examples,
                     .rows = examples ? rows_of(node) / examples : 0,
                     .width = width_of(node),
                     .inner = running ? 1 : width_of(node) / (size_t)attr->groups,
                     .running = running,
                     .given = running && !training};
}

/* From moments per channel to those of its group: mean and, in var, the biased variance. */
static void join_group(const columns *c, size_t first, float *mean, float *var)
{
    const double n = (double)c->rows * (double)c->inner;
    double centre = 0, squares = 0;
    for (size_t j = first; j < first + c->inner; j++)
        centre += mean[j] / (double)c->inner;
    for (size_t j = first; j < first + c->inner; j++)
        squares += var[j] + (double)c->rows * (mean[j] - centre) * (mean[j] - centre);
    for (size_t j = first; j < first + c->inner; j++) {
        mean[j] = (float)centre;
        var[j] = n > 0 ? (float)(squares / n) : 1;
    }
}

/* Mean and variance of one example per channel; batch norm keeps or takes the running ones. */
static void moments(const columns *c, const float *x, float *running, float *mean, float *var)
{
    if (c->given) {
        memcpy(mean, running, c->width * sizeof *mean);
        memcpy(var, running + c->width, c->width * sizeof *var);
        return;
    }
    rv_cpu()->norm->column_moments(c->rows, c->width, x, mean, var);
    for (size_t j = 0; j < c->width; j += c->inner)
        join_group(c, j, mean, var);
    const float unbiased = c->rows > 1 ? (float)((double)c->rows / (double)(c->rows - 1)) : 1;
    for (size_t j = 0; c->running && j < c->width; j++) {
        running[j] = mean[j];
        running[c->width + j] = var[j] * unbiased;
    }
}

/* saved: [examples, 2, width] of mean and 1 / sqrt(var + eps). */
static rv_status columns_forward(const rv_call *call, bool running)
{
    const columns c = columns_of(call->node, running, call->shard.training);
    const float *gain = call->in[1], *given_shift = call->in[2];
    const double eps = eps_of(call->node);
    float *factor = call->scratch, *shift = factor + c.width;
    for (size_t j = 0; j < c.width; j++)
        shift[j] = given_shift ? given_shift[j] : 0;
    for (size_t e = 0; e < c.examples; e++) {
        const size_t at = e * c.rows * c.width;
        const float *x = (const float *)call->in[0] + at;
        float *mean = (float *)call->saved + 2 * e * c.width, *scale = mean + c.width;
        moments(&c, x, call->statistics, mean, scale);
        for (size_t j = 0; j < c.width; j++) {
            scale[j] = (float)(1 / sqrt(scale[j] + eps));
            factor[j] = scale[j] * (gain ? gain[j] : 1);
        }
        rv_cpu()->norm->column_affine(c.rows, c.width, x, mean, factor, shift, (float *)call->out + at);
    }
    return RV_OK;
}

/* Scratch of backward, [width] each. */
typedef struct terms {
    float *gain_sum, *shift_sum; /* over examples */
    float *sum, *product;        /* of gy and gy (x - mean), over one example */
    float *factor, *offset, *slope;
} terms;

enum { TERMS = 7 };

static terms terms_in(float *scratch, size_t width)
{
    return (terms){scratch,
                   scratch + width,
                   scratch + 2 * width,
                   scratch + 3 * width,
                   scratch + 4 * width,
                   scratch + 5 * width,
                   scratch + 6 * width};
}

/* With h = (x - mean) scale and d = gy gain:
 * gx = scale (d - mean(d) - h mean(d h)) = gy factor - offset - (x - mean) slope. */
static void solve_group(const columns *c, size_t first, const float *gain, const float *scale, const terms *t)
{
    const double n = (double)c->rows * (double)c->inner;
    double mean_d = 0, mean_dh = 0;
    for (size_t j = first; !c->given && j < first + c->inner; j++) {
        mean_d += t->sum[j] * (gain ? gain[j] : 1) / n;
        mean_dh += (double)t->product[j] * scale[j] * (gain ? gain[j] : 1) / n;
    }
    for (size_t j = first; j < first + c->inner; j++) {
        t->factor[j] = scale[j] * (gain ? gain[j] : 1);
        t->offset[j] = (float)(scale[j] * mean_d);
        t->slope[j] = (float)((double)scale[j] * scale[j] * mean_dh);
    }
}

static rv_status columns_backward(const rv_call *call, bool running)
{
    const columns c = columns_of(call->node, running, call->shard.training);
    const terms t = terms_in(call->scratch, c.width);
    memset(t.gain_sum, 0, 2 * c.width * sizeof(float));
    for (size_t e = 0; e < c.examples; e++) {
        const size_t at = e * c.rows * c.width;
        const float *x = (const float *)call->in[0] + at, *gy = (const float *)call->gout + at;
        const float *mean = (const float *)call->saved + 2 * e * c.width, *scale = mean + c.width;
        rv_cpu()->norm->column_sums(c.rows, c.width, x, gy, mean, t.sum, t.product);
        for (size_t j = 0; j < c.width; j++) {
            t.gain_sum[j] += t.product[j] * scale[j];
            t.shift_sum[j] += t.sum[j];
        }
        for (size_t j = 0; j < c.width; j += c.inner)
            solve_group(&c, j, call->in[1], scale, &t);
        if (call->gin[0])
            rv_cpu()->norm->column_gradient(c.rows, c.width, x, gy, mean, t.factor, t.offset, t.slope,
                                            (float *)call->gin[0] + at, call->add[0]);
    }
    give(call, 1, t.gain_sum, c.width);
    give(call, 2, t.shift_sum, c.width);
    return RV_OK;
}

static size_t columns_scratch(const rv_node *node)
{
    return TERMS * sizeof(float) * width_of(node);
}

static size_t batch_saved(const rv_node *node)
{
    return 2 * sizeof(float) * width_of(node);
}

static size_t group_saved(const rv_node *node)
{
    return batch_saved(node) * (size_t)node->in_shape[0].dim[0];
}

static rv_status forward_batch(const rv_call *call, rv_error *err)
{
    (void)err;
    return columns_forward(call, true);
}

static rv_status backward_batch(const rv_call *call, rv_error *err)
{
    (void)err;
    return columns_backward(call, true);
}

static rv_status forward_group(const rv_call *call, rv_error *err)
{
    (void)err;
    return columns_forward(call, false);
}

static rv_status backward_group(const rv_call *call, rv_error *err)
{
    (void)err;
    return columns_backward(call, false);
}

const rv_kernels rv_batch_norm_cpu = {.forward = forward_batch, .backward = backward_batch,
                                      .saved = batch_saved, .scratch = columns_scratch,
                                      .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
                                      .gives_bf16 = rv_cpu_always, .gradient_in_place = true};
const rv_kernels rv_group_norm_cpu = {.forward = forward_group, .backward = backward_group,
                                      .saved = group_saved, .scratch = columns_scratch,
                                      .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
                                      .gives_bf16 = rv_cpu_always, .gradient_in_place = true};
