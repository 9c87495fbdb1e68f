/* Attention in float32, one (example, head) at a time in the caches.
 *
 * Kept from forward to backward are the weights before dropout (and, with a soft cap,
 * the bent scores); queries and keys under norm and rotation are made again. */
#include <math.h>
#include <stdlib.h>

#include "graph/cut.h"
#include "graph/dropout.h"
#include "graph/op_attention.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/attention.h"
#include "tensor/kernels/cpu/dropout.h"
#include "tensor/kernels/cpu/linear.h"

typedef struct extents {
    int64_t batch, heads, time, width, size; /* size: of one head */
} extents;

static extents extents_of(const rv_node *node)
{
    const rv_attention_options *o = node->attr;
    const int64_t *y = node->shape.dim;
    return (extents){y[0], o->heads, y[1], y[2], y[2] / o->heads};
}

static bool entered(const rv_attention_options *o)
{
    return o->rotary || o->qk_norm;
}

/* Products in bf16, of queries, keys and values that come so. */
static bool takes_bf16(const rv_node *node)
{
    const rv_attention_options *o = node->attr;
    const extents x = extents_of(node);
    return node->bf16 && rv_cpu()->attention->forward_bf16 && !entered(o) && o->soft_cap == 0 && x.size % 2 == 0 &&
           x.time > RV_ATTENTION_SHORT;
}

static bool gives_bf16(const rv_node *node)
{
    return extents_of(node).size % 2 == 0;
}

/* ---- memory ----------------------------------------------------------- */

/* Elements kept of one head. */
static int64_t kept_elements(const rv_attention_options *o, extents x)
{
    return x.time * rv_attention_ld(x.time) * (o->soft_cap > 0 ? 2 : 1);
}

static size_t saved(const rv_node *node)
{
    const extents x = extents_of(node);
    return (size_t)(x.batch * x.heads * kept_elements(node->attr, x)) * (node->in_bf16 ? sizeof(uint16_t) : sizeof(float));
}

enum {
    MASK_SLACK = 64, /* masks start at whole runs of blocks */
    STRIP_MOST = 32  /* queries that the kernels take at once: they read what any of them sees */
};

/* What a worker needs for one head at a time. */
typedef struct workspace {
    float *mask;                  /* [time, time] and the slack before it */
    float *q, *k, *gq, *gk;       /* [time, size]; NULL: straight from and to memory */
    float *q_factor, *k_factor;   /* [time] */
    float *y;                     /* [time, size]; NULL: straight to memory */
    float *work;
} workspace;

/* Lays the workspace out from base; returns its elements. */
static int64_t lay_out(const rv_node *node, float *base, workspace *w)
{
    const rv_attention_options *o = node->attr;
    const extents x = extents_of(node);
    const int64_t part = entered(o) ? x.time * x.size : 0, factors = entered(o) ? x.time : 0;
    const int64_t sizes[] = {o->dropout > 0 ? x.time * x.time + MASK_SLACK : 0,
                             part, part, part, part, factors, factors, node->only_bf16 ? x.time * x.size : 0,
                             node->in_bf16 ? rv_attention_bf16_work(x.time, x.size) : rv_attention_work(x.time, x.size)};
    float **const places[] = {&w->mask, &w->q, &w->k, &w->gq, &w->gk, &w->q_factor, &w->k_factor, &w->y, &w->work};
    int64_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        *places[i] = base && sizes[i] ? base + at : NULL;
        at += (sizes[i] + 15) / 16 * 16;
    }
    return at;
}

static size_t work(const rv_node *node)
{
    workspace w;
    return (size_t)lay_out(node, NULL, &w) * sizeof(float);
}

/* A unit is a head of an example. */
static rv_cut cut(const rv_node *node, bool backward)
{
    const extents x = extents_of(node);
    (void)backward;
    return rv_cut_of((int)(x.batch * x.heads));
}

/* ---- rotation --------------------------------------------------------- */

/* Cosines, then sines, [time, size / 2] each. */
static rv_status prepare(const rv_node *node, void **prepared, rv_error *err)
{
    const rv_attention_options *o = node->attr;
    const extents x = extents_of(node);
    const int64_t half = x.size / 2, n = x.time * half;
    *prepared = NULL;
    if (!o->rotary)
        return RV_OK;
    float *table = malloc((size_t)(2 * n + 1) * sizeof *table);
    if (!table)
        return rv_fail(err, RV_E_MEMORY, "attention '%s': no memory for %lld angles", node->name, (long long)n);
    for (int64_t t = 0; t < x.time; t++)
        for (int64_t i = 0; i < half; i++) {
            const double angle = (double)t * pow(RV_ATTENTION_ROTARY, -2.0 * (double)i / (double)x.size);
            table[t * half + i] = (float)cos(angle);
            table[n + t * half + i] = (float)sin(angle);
        }
    *prepared = table;
    return RV_OK;
}

static rv_attention_entry entry_of(const rv_call *call, extents x)
{
    const rv_attention_options *o = call->node->attr;
    const float *table = call->prepared;
    return (rv_attention_entry){.time = x.time,
                                .size = x.size,
                                .eps = o->qk_norm ? (float)RV_ATTENTION_QK_EPS : -1,
                                .cos = table,
                                .sin = table ? table + x.time * (x.size / 2) : NULL};
}

/* ---- one head --------------------------------------------------------- */

/* Elements [from, to) of the mask, from at a whole run, to where element `whole` stands at out. */
static void draw(rv_dropout_mask mask, int64_t whole, int64_t from, int64_t to, float *out)
{
    mask.first += (uint64_t)from / 4;
    rv_cpu()->dropout->apply(&mask, (size_t)(to - from), NULL, out + (from - whole), false);
}

/* The mask of head number n, or NULL; of a causal one at least what its strips read. */
static const float *draw_mask(const rv_call *call, extents x, int64_t n, const workspace *w)
{
    const rv_attention_options *o = call->node->attr;
    if (!call->shard.training || o->dropout == 0)
        return NULL;
    const int64_t first = n * x.time * x.time, whole = first / MASK_SLACK * MASK_SLACK;
    const rv_dropout_mask mask = {.stream = rv_dropout_stream(call),
                                  .first = rv_dropout_first(call),
                                  .threshold = rv_dropout_threshold(o->dropout),
                                  .factor = (float)(1 / (1 - o->dropout))};
    if (!o->causal || x.time <= MASK_SLACK)
        draw(mask, whole, whole, first + x.time * x.time, w->mask);
    for (int64_t t = 0; o->causal && x.time > MASK_SLACK && t < x.time; t++) {
        const int64_t row = first + t * x.time, sees = (t / STRIP_MOST + 1) * STRIP_MOST;
        draw(mask, whole, row / MASK_SLACK * MASK_SLACK, row + (sees < x.time ? sees : x.time), w->mask);
    }
    return w->mask + (first - whole);
}

/* Head h of example b, its queries and keys as they enter the scores. */
static rv_attention_head head_at(const rv_call *call, extents x, int64_t b, int64_t h, const workspace *w)
{
    const rv_attention_options *o = call->node->attr;
    const float *qkv = (const float *)call->in[0] + b * x.time * 3 * x.width + h * x.size; /* [time, 3, heads, size] */
    const int64_t n = b * x.heads + h;
    float *kept = (float *)call->saved + n * kept_elements(o, x);
    rv_attention_head head = {.time = x.time,
                              .size = x.size,
                              .causal = o->causal,
                              .scale = (float)(1 / sqrt((double)x.size)),
                              .cap = (float)o->soft_cap,
                              .q = qkv,
                              .k = qkv + x.width,
                              .ld_qk = 3 * x.width,
                              .v = qkv + 2 * x.width,
                              .ld_v = 3 * x.width,
                              .p = kept,
                              .bent = o->soft_cap > 0 ? kept + x.time * rv_attention_ld(x.time) : NULL,
                              .ld_p = rv_attention_ld(x.time),
                              .mask = draw_mask(call, x, n, w),
                              .work = w->work};
    if (entered(o)) {
        const rv_attention_entry entry = entry_of(call, x);
        rv_cpu()->attention->enter(&entry, head.q, head.ld_qk, w->q, w->q_factor);
        rv_cpu()->attention->enter(&entry, head.k, head.ld_qk, w->k, w->k_factor);
        head.q = w->q;
        head.k = w->k;
        head.ld_qk = x.size;
    }
    return head;
}

static rv_attention_bf16 head_bf16(const rv_call *call, extents x, int64_t b, int64_t h, const workspace *w)
{
    const uint16_t *qkv = call->in_bf16 + b * x.time * 3 * x.width + h * x.size;
    const int64_t n = b * x.heads + h;
    const rv_attention_options *o = call->node->attr;
    return (rv_attention_bf16){.time = x.time,
                               .size = x.size,
                               .causal = o->causal,
                               .scale = (float)(1 / sqrt((double)x.size)),
                               .q = qkv,
                               .k = qkv + x.width,
                               .v = qkv + 2 * x.width,
                               .ld = 3 * x.width,
                               .p = (uint16_t *)call->saved + n * kept_elements(o, x),
                               .mask = draw_mask(call, x, n, w),
                               .work = w->work};
}

static void forward_head(const rv_call *call, extents x, int64_t b, int64_t h, const workspace *w)
{
    const int64_t at = b * x.time * x.width + h * x.size, ld = call->out ? x.width : x.size;
    float *y = call->out ? (float *)call->out + at : w->y; /* of [batch, time, heads, size] */
    if (call->in_bf16) {
        const rv_attention_bf16 head = head_bf16(call, x, b, h, w);
        rv_cpu()->attention->forward_bf16(&head, y, ld);
    } else {
        const rv_attention_head head = head_at(call, x, b, h, w);
        rv_cpu()->attention->forward(&head, y, ld);
    }
    for (int64_t t = 0; call->out_bf16 && t < x.time; t++)
        rv_cpu()->linear->round(1, x.size, y + t * ld, call->out_bf16 + at + t * x.width);
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    workspace w;
    (void)err;
    lay_out(call->node, call->work, &w);
    for (int64_t n = call->first; n < call->end && n < x.batch * x.heads; n++)
        forward_head(call, x, n / x.heads, n % x.heads, &w);
    return RV_OK;
}

static void backward_head(const rv_call *call, extents x, int64_t b, int64_t h, const workspace *w)
{
    const rv_attention_options *o = call->node->attr;
    const int64_t at = b * x.time * 3 * x.width + h * x.size, ld = 3 * x.width;
    float *gqkv = (float *)call->gin[0] + at;
    rv_attention_gradient g = {.gy = (const float *)call->gout + b * x.time * x.width + h * x.size,
                               .ld_gy = x.width,
                               .gq = gqkv,
                               .gk = gqkv + x.width,
                               .ld_gqk = ld,
                               .add_qk = call->add[0],
                               .gv = gqkv + 2 * x.width,
                               .ld_gv = ld,
                               .add_v = call->add[0]};
    if (call->in_bf16) {
        const rv_attention_bf16 head = head_bf16(call, x, b, h, w);
        rv_cpu()->attention->backward_bf16(&head, &g);
        return;
    }
    const rv_attention_head head = head_at(call, x, b, h, w);
    const float *qkv = (const float *)call->in[0] + at;
    if (entered(o)) {
        g.gq = w->gq;
        g.gk = w->gk;
        g.ld_gqk = x.size;
        g.add_qk = false;
    }
    rv_cpu()->attention->backward(&head, &g);
    if (entered(o)) {
        const rv_attention_entry entry = entry_of(call, x);
        rv_cpu()->attention->leave(&entry, qkv, ld, w->q_factor, w->gq, call->add[0], gqkv);
        rv_cpu()->attention->leave(&entry, qkv + x.width, ld, w->k_factor, w->gk, call->add[0], gqkv + x.width);
    }
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    workspace w;
    (void)err;
    lay_out(call->node, call->work, &w);
    for (int64_t n = call->first; call->gin[0] && n < call->end && n < x.batch * x.heads; n++)
        backward_head(call, x, n / x.heads, n % x.heads, &w);
    return RV_OK;
}

const rv_kernels rv_attention_cpu = {
    .forward = forward,
    .backward = backward,
    .saved = saved,
    .work = work,
    .cut = cut,
    .prepare = prepare,
    .unprepare = free,
    .reads = RV_READS_INPUT(0),
    .takes_bf16 = takes_bf16,
    .gives_bf16 = gives_bf16,
};
