/* Attention in float64, one (example, head) at a time, step by step:
 *
 *     q, k   <- rows of qkv, RMS-normalised if qk_norm, then rotated if rotary
 *     s_ij    = q_i . k_j / sqrt(d);  with a soft cap c: s_ij <- c tanh(s_ij / c)
 *     p_i     = softmax over the keys j that query i may see (j <= i if causal)
 *     y_i     = sum_j mask_ij p_ij v_j
 *
 * Everything the backward pass needs is kept: q, k, the norms' factors, s and p. */
#include <math.h>

#include "graph/dropout.h"
#include "graph/op_attention.h"
#include "graph/op_row.h"

typedef struct extents {
    int64_t batch, heads, time, width, size; /* size: of one head */
} extents;

static extents extents_of(const rv_node *node)
{
    const rv_attention_options *o = node->attr;
    const int64_t *y = node->shape.dim;
    return (extents){y[0], o->heads, y[1], y[2], y[2] / o->heads};
}

/* What is kept of one head. */
typedef struct kept {
    double *q, *k;           /* [time, size]: as they enter the scores */
    double *q_norm, *k_norm; /* [time]: factor of the RMS norm, 1 without it */
    double *s, *p;           /* [time, time]: capped scores; weights before dropout */
} kept;

static int64_t head_elements(extents x)
{
    return 2 * x.time * x.size + 2 * x.time + 2 * x.time * x.time;
}

static kept head_of(const rv_call *call, extents x, int64_t b, int64_t h)
{
    double *at = (double *)call->saved + (b * x.heads + h) * head_elements(x);
    kept head;
    head.q = at;
    head.k = head.q + x.time * x.size;
    head.q_norm = head.k + x.time * x.size;
    head.k_norm = head.q_norm + x.time;
    head.s = head.k_norm + x.time;
    head.p = head.s + x.time * x.time;
    return head;
}

/* Offset in qkv of the vector of part 0 (q), 1 (k) or 2 (v) at time t. */
static int64_t qkv_offset(extents x, int64_t b, int64_t h, int64_t t, int part)
{
    return (b * x.time + t) * 3 * x.width + part * x.width + h * x.size;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Rotates the pairs (i, i + size / 2) of v by sign * t * base^(-2 i / size). */
static void rotate(double *v, int64_t size, int64_t t, double sign)
{
    for (int64_t i = 0; i < size / 2; i++) {
        const double angle = (double)t * pow(RV_ATTENTION_ROTARY, -2.0 * (double)i / (double)size);
        const double c = cos(angle), s = sign * sin(angle);
        const double a = v[i], b = v[i + size / 2];
        v[i] = a * c - b * s;
        v[i + size / 2] = b * c + a * s;
    }
}

/* ---- forward ---------------------------------------------------------- */

/* out = raw, normalised and rotated as the options say; returns the norm's factor. */
static double enter(const rv_attention_options *o, const double *raw, double *out, int64_t size, int64_t t)
{
    double factor = 1;
    if (o->qk_norm)
        factor = 1 / sqrt(dot(raw, raw, size) / (double)size + RV_ATTENTION_QK_EPS);
    for (int64_t i = 0; i < size; i++)
        out[i] = factor * raw[i];
    if (o->rotary)
        rotate(out, size, t, 1);
    return factor;
}

/* Keys that query i sees are 0 .. visible - 1. */
static int64_t visible(const rv_attention_options *o, extents x, int64_t i)
{
    return o->causal ? i + 1 : x.time;
}

/* Scores and weights of query i. */
static void weigh(const rv_attention_options *o, extents x, kept head, int64_t i)
{
    double *s = head.s + i * x.time, *p = head.p + i * x.time;
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < visible(o, x, i); j++) {
        s[j] = dot(head.q + i * x.size, head.k + j * x.size, x.size) / sqrt((double)x.size);
        if (o->soft_cap > 0)
            s[j] = o->soft_cap * tanh(s[j] / o->soft_cap);
        most = fmax(most, s[j]);
    }
    for (int64_t j = 0; j < visible(o, x, i); j++)
        sum += exp(s[j] - most);
    for (int64_t j = 0; j < visible(o, x, i); j++)
        p[j] = exp(s[j] - most) / sum;
}

/* What dropout multiplies the weight of key j in query i with. */
static double mask(const rv_call *call, extents x, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const rv_attention_options *o = call->node->attr;
    if (!call->shard.training || o->dropout == 0)
        return 1;
    const int64_t element = ((b * x.heads + h) * x.time + i) * x.time + j;
    const bool keep = rv_dropout_keep(call, (uint64_t)element, rv_dropout_threshold(o->dropout));
    return keep ? 1 / (1 - o->dropout) : 0;
}

static void forward_head(const rv_call *call, extents x, int64_t b, int64_t h)
{
    const rv_attention_options *o = call->node->attr;
    const double *qkv = call->in[0]; /* [batch, time, 3, heads, size] */
    double *y = call->out;           /* [batch, time, heads, size] */
    const kept head = head_of(call, x, b, h);
    for (int64_t t = 0; t < x.time; t++) {
        head.q_norm[t] = enter(o, qkv + qkv_offset(x, b, h, t, 0), head.q + t * x.size, x.size, t);
        head.k_norm[t] = enter(o, qkv + qkv_offset(x, b, h, t, 1), head.k + t * x.size, x.size, t);
    }
    for (int64_t i = 0; i < x.time; i++) {
        double *row = y + (b * x.time + i) * x.width + h * x.size;
        weigh(o, x, head, i);
        memset(row, 0, sizeof *row * (size_t)x.size);
        for (int64_t j = 0; j < visible(o, x, i); j++) {
            const double weight = mask(call, x, b, h, i, j) * head.p[i * x.time + j];
            const double *v = qkv + qkv_offset(x, b, h, j, 2);
            for (int64_t c = 0; c < x.size; c++)
                row[c] += weight * v[c];
        }
    }
}

static rv_status forward_attention(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    (void)err;
    for (int64_t b = 0; b < x.batch; b++)
        for (int64_t h = 0; h < x.heads; h++)
            forward_head(call, x, b, h);
    return RV_OK;
}

/* ---- backward --------------------------------------------------------- */

/* Adds to graw the gradient through `enter`, given that of its result (which is spoilt). */
static void leave(const rv_attention_options *o, const double *raw, double factor, double *g, double *graw,
                  int64_t size, int64_t t)
{
    if (o->rotary)
        rotate(g, size, t, -1);
    const double along = o->qk_norm ? factor * dot(g, raw, size) / (double)size : 0;
    for (int64_t i = 0; i < size; i++)
        graw[i] += factor * (g[i] - factor * raw[i] * along);
}

/* The gradient of the scores of query i before cap and scale, into gs [time]. */
static void score_gradient(const rv_call *call, extents x, int64_t b, int64_t h, int64_t i, double *gs)
{
    const rv_attention_options *o = call->node->attr;
    const double *qkv = call->in[0];
    const double *gy = (const double *)call->gout + (b * x.time + i) * x.width + h * x.size;
    const kept head = head_of(call, x, b, h);
    const double *p = head.p + i * x.time, *s = head.s + i * x.time;
    double mean = 0;
    for (int64_t j = 0; j < visible(o, x, i); j++) {
        gs[j] = mask(call, x, b, h, i, j) * dot(gy, qkv + qkv_offset(x, b, h, j, 2), x.size);
        mean += p[j] * gs[j];
    }
    for (int64_t j = 0; j < visible(o, x, i); j++) {
        const double bent = o->soft_cap > 0 ? s[j] / o->soft_cap : 0; /* the tanh */
        gs[j] = p[j] * (gs[j] - mean) * (1 - bent * bent) / sqrt((double)x.size);
    }
}

/* scratch: gradients of q and k [time, size] each, then of one row of scores [time]. */
static void backward_head(const rv_call *call, extents x, int64_t b, int64_t h, double *gqkv)
{
    const rv_attention_options *o = call->node->attr;
    const double *qkv = call->in[0], *gy = call->gout;
    const kept head = head_of(call, x, b, h);
    double *gq = call->scratch, *gk = gq + x.time * x.size, *gs = gk + x.time * x.size;
    memset(gq, 0, sizeof *gq * (size_t)(2 * x.time * x.size));
    for (int64_t i = 0; i < x.time; i++) {
        const double *gy_i = gy + (b * x.time + i) * x.width + h * x.size;
        score_gradient(call, x, b, h, i, gs);
        for (int64_t j = 0; j < visible(o, x, i); j++) {
            const double weight = mask(call, x, b, h, i, j) * head.p[i * x.time + j];
            double *gv = gqkv + qkv_offset(x, b, h, j, 2);
            for (int64_t c = 0; c < x.size; c++) {
                gv[c] += weight * gy_i[c];
                gq[i * x.size + c] += gs[j] * head.k[j * x.size + c];
                gk[j * x.size + c] += gs[j] * head.q[i * x.size + c];
            }
        }
    }
    for (int64_t t = 0; t < x.time; t++) {
        const int64_t q = qkv_offset(x, b, h, t, 0), k = qkv_offset(x, b, h, t, 1);
        leave(o, qkv + q, head.q_norm[t], gq + t * x.size, gqkv + q, x.size, t);
        leave(o, qkv + k, head.k_norm[t], gk + t * x.size, gqkv + k, x.size, t);
    }
}

static rv_status backward_attention(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    double *gqkv = rv_ref_gradient(call, 0);
    (void)err;
    for (int64_t b = 0; gqkv && b < x.batch; b++)
        for (int64_t h = 0; h < x.heads; h++)
            backward_head(call, x, b, h, gqkv);
    return RV_OK;
}

static size_t saved_attention(const rv_node *node)
{
    const extents x = extents_of(node);
    return sizeof(double) * (size_t)(x.batch * x.heads * head_elements(x));
}

static size_t scratch_attention(const rv_node *node)
{
    const extents x = extents_of(node);
    return sizeof(double) * (size_t)(2 * x.time * x.size + x.time);
}

const rv_kernels rv_attention_ref = {.forward = forward_attention,
                                     .backward = backward_attention,
                                     .saved = saved_attention,
                                     .scratch = scratch_attention,
                                     .reads = RV_READS_INPUT(0)};
