/* Losses in float32.  Cross entropy keeps log sum exp (of StableMax: the sum) of every row and
 * the class weights as float; a label's own class is a correction of one element. */
#include <math.h>
#include <stdlib.h>

#include "graph/attr.h"
#include "graph/cut.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/loss.h"

/* ---- cross entropy ---------------------------------------------------- */

typedef struct extents {
    int64_t rows, classes;
} extents;

static extents extents_of(const rv_node *node)
{
    const rv_shape *logits = &node->in_shape[0];
    return (extents){rv_shape_size(&node->in_shape[1]), logits->dim[logits->rank - 1]};
}

/* What the rows share, made once per plan. */
typedef struct mass {
    double sum;     /* of the classes' weights */
    float weight[]; /* [classes] */
} mass;

static rv_status cross_entropy_prepare(const rv_node *node, void **prepared, rv_error *err)
{
    const rv_cross_entropy_attr *attr = node->attr;
    const int64_t classes = extents_of(node).classes;
    mass *m = malloc(sizeof *m + (size_t)classes * sizeof m->weight[0]);
    if (!m)
        return rv_fail(err, RV_E_MEMORY, "cross_entropy '%s': no memory for %lld class weights", node->name,
                       (long long)classes);
    m->sum = 0;
    for (int64_t c = 0; c < classes; c++) {
        const double w = attr->class_weights ? attr->class_weights[c] : 1;
        m->weight[c] = (float)w;
        m->sum += w;
    }
    *prepared = m;
    return RV_OK;
}

static size_t cross_entropy_saved(const rv_node *node)
{
    return (size_t)extents_of(node).rows * sizeof(float);
}

/* What a row adds to the pair. */
typedef struct row_sum {
    double loss, weight;
} row_sum;

static size_t cross_entropy_scratch(const rv_node *node)
{
    return (size_t)extents_of(node).rows * sizeof(row_sum);
}

/* Both directions by rows; a second stage adds the rows' losses in their order. */
enum { UNIT_ELEMENTS = 2048 };

static int row_units(extents n)
{
    const int64_t rows = n.classes > 0 ? (UNIT_ELEMENTS + n.classes - 1) / n.classes : n.rows;
    return rv_cut_units(n.rows, rows);
}

static rv_cut cross_entropy_cut(const rv_node *node, bool backward)
{
    const int units = row_units(extents_of(node));
    return backward ? rv_cut_of(units) : (rv_cut){2, {units, 1}};
}

static rv_span rows_of(const rv_call *call, extents n)
{
    return rv_cut_span(n.rows, 1, row_units(n), call->first, call->end);
}

/* How a row is judged.  Smoothing takes its share from the label's own class and spreads it over all of them. */
typedef struct share {
    double own, spread; /* on the label's class; on every class; each times the class's weight */
    bool stablemax;
} share;

static share share_of(const rv_call *call)
{
    const double smoothing = rv_smoothing(call);
    const int64_t classes = extents_of(call->node).classes;
    return (share){1 - smoothing, classes ? smoothing / (double)classes : 0,
                   ((const rv_cross_entropy_attr *)call->node->attr)->stablemax};
}

/* sum_c m_c (norm - score_c), m_c = w_c (spread + (c == y ? own : 0)); *kept: what backward needs. */
static double row_loss(share s, const mass *m, int64_t classes, const float *x, int32_t y, float *kept)
{
    float weighted = 0, *wanted = s.spread > 0 ? &weighted : NULL;
    double norm, score = (double)x[y];
    if (s.stablemax) {
        *kept = rv_cpu()->loss->stable_sum(classes, x, m->weight, wanted);
        norm = log((double)*kept);
        score = copysign(log1p(fabs(score)), score);
    } else {
        *kept = rv_cpu()->loss->log_sum_exp(classes, x, m->weight, wanted);
        norm = (double)*kept;
    }
    const double own = s.own * (double)m->weight[y] * (norm - score);
    return s.spread > 0 ? own + s.spread * (m->sum * norm - (double)weighted) : own;
}

static rv_status judge_rows(const rv_call *call, row_sum *sums, rv_error *err)
{
    const rv_node *node = call->node;
    const bool ignores = ((const rv_cross_entropy_attr *)node->attr)->ignore_negative;
    const mass *m = call->prepared;
    const extents n = extents_of(node);
    const share s = share_of(call);
    const rv_span rows = rows_of(call, n);
    const float *logits = call->in[0]; /* [rows, classes] */
    const int32_t *labels = call->in[1];
    float *norms = call->saved;
    for (int64_t r = rows.first; r < rows.first + rows.count; r++) {
        const int32_t y = labels[r];
        sums[r] = (row_sum){0, 0};
        if (y < 0 && ignores)
            continue;
        if (y < 0 || y >= n.classes)
            return rv_fail(err, RV_E_RANGE, "cross_entropy '%s': label %lld: expected 0 <= label < %lld, found %d",
                           node->name, (long long)r, (long long)n.classes, y);
        float kept;
        sums[r] = (row_sum){row_loss(s, m, n.classes, logits + r * n.classes, y, &kept), (double)m->weight[y]};
        if (norms)
            norms[r] = kept;
    }
    return RV_OK;
}

static rv_status cross_entropy_forward(const rv_call *call, rv_error *err)
{
    const int64_t rows = extents_of(call->node).rows;
    row_sum *sums = call->scratch, total = {0, 0};
    float *out = call->out;
    if (call->stage == 0)
        return judge_rows(call, sums, err);
    for (int64_t r = 0; r < rows; r++)
        total = (row_sum){total.loss + sums[r].loss, total.weight + sums[r].weight};
    out[0] = (float)total.loss;
    out[1] = (float)total.weight;
    return RV_OK;
}

static void clear(float *g, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        g[i] = 0;
}

static rv_status cross_entropy_backward(const rv_call *call, rv_error *err)
{
    const mass *m = call->prepared;
    const extents n = extents_of(call->node);
    const share s = share_of(call);
    const float *logits = call->in[0], *norms = call->saved, scale = ((const float *)call->gout)[0];
    const int32_t *labels = call->in[1];
    const struct rv_cpu_loss *loss = rv_cpu()->loss;
    rv_row_gradient *gradient = s.stablemax ? loss->stablemax_gradient : loss->softmax_gradient;
    const rv_span rows = rows_of(call, n);
    (void)err;
    for (int64_t r = rows.first; call->gin[0] && r < rows.first + rows.count; r++) {
        float *g = (float *)call->gin[0] + r * n.classes;
        const int32_t y = labels[r];
        if (y < 0) {
            if (!call->add[0])
                clear(g, n.classes);
            continue;
        }
        const double own = s.own * (double)m->weight[y];
        const float *x = logits + r * n.classes, slope = s.stablemax ? 1 / (1 + fabsf(x[y])) : 1;
        gradient(n.classes, x, norms[r], scale, (float)(own + s.spread * m->sum), (float)s.spread, m->weight,
                 call->add[0], g);
        g[y] -= scale * (float)own * slope;
    }
    return RV_OK;
}

const rv_kernels rv_cross_entropy_cpu = {
    .forward = cross_entropy_forward,
    .backward = cross_entropy_backward,
    .saved = cross_entropy_saved,
    .scratch = cross_entropy_scratch,
    .cut = cross_entropy_cut,
    .prepare = cross_entropy_prepare,
    .unprepare = free,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
};

/* ---- losses of single values ------------------------------------------ */

static rv_status point_forward(const rv_call *call, rv_point_loss kind)
{
    float *out = call->out;
    double weight;
    out[0] = (float)rv_cpu()->loss->point(kind, rv_shape_size(&call->node->in_shape[0]), call->in[0], call->in[1],
                                          call->in[2], &weight);
    out[1] = (float)weight;
    return RV_OK;
}

static rv_status point_backward(const rv_call *call, rv_point_loss kind)
{
    float *const gradients[3] = {call->gin[0], call->gin[1], call->gin[2]};
    rv_cpu()->loss->point_gradient(kind, rv_shape_size(&call->node->in_shape[0]), call->in[0], call->in[1],
                                   call->in[2], ((const float *)call->gout)[0], gradients, call->add);
    return RV_OK;
}

#define POINT_LOSS(op, kind)                                                  \
    static rv_status op##_forward(const rv_call *call, rv_error *err)         \
    {                                                                         \
        (void)err;                                                            \
        return point_forward(call, kind);                                     \
    }                                                                         \
    static rv_status op##_backward(const rv_call *call, rv_error *err)        \
    {                                                                         \
        (void)err;                                                            \
        return point_backward(call, kind);                                    \
    }                                                                         \
    const rv_kernels rv_##op##_cpu = {                                        \
        .forward = op##_forward,                                              \
        .backward = op##_backward,                                            \
        .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_INPUT(2),   \
    };

POINT_LOSS(mse, RV_POINT_MSE)
POINT_LOSS(l1, RV_POINT_L1)
POINT_LOSS(binary_cross_entropy, RV_POINT_BINARY)
