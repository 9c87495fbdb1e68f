/* Linear layers: y = act(x w^T + b), in float32 or with products in bf16.
 *
 * float32: the library's product is faster when w stands in the order [in, out], so pack
 * transposes it once per step; rows go in blocks whose result stays in the cache until
 * bias and activation have passed over it.  bf16: x comes rounded where its producer could
 * do that, else forward rounds it and keeps that; the gradient is rounded in the pass that
 * makes it. */
#include "core/arena.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/dense.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/linear.h"
#include "tensor/kernels/cpu/product.h"

enum {
    BLOCK_BYTES = 1 << 18,  /* of a block of the result */
    LARGE_WEIGHT = 1 << 18, /* elements: beyond the second-level cache with their transpose */
    BF16_LEAST = 32         /* rows from which on rounding the weight pays */
};

typedef struct extents {
    int64_t rows, in, out;
    rv_activation act;
} extents;

static extents extents_of(const rv_node *node)
{
    const rv_activation_attr *attr = node->attr;
    extents x = {1, node->in_shape[1].dim[1], node->in_shape[1].dim[0], attr->act};
    for (int i = 0; i < node->shape.rank - 1; i++)
        x.rows *= node->shape.dim[i];
    return x;
}

/* Asked while planning only: calls look at their prepared state. */
static bool takes_bf16(const rv_node *node)
{
    const extents x = extents_of(node);
    return node->bf16 && x.rows >= BF16_LEAST && x.in > 0 && x.out > 0 && rv_dense_possible();
}

/* ---- memory ----------------------------------------------------------- */

static rv_status prepare(const rv_node *node, void **prepared, rv_error *err)
{
    const extents x = extents_of(node);
    rv_dense *dense = NULL;
    if (takes_bf16(node))
        RV_TRY(rv_dense_new(&dense, x.rows, x.in, x.out, node->wants_first, err));
    *prepared = dense;
    return RV_OK;
}

static void unprepare(void *prepared)
{
    rv_dense_free(prepared);
}

static size_t packed(const rv_node *node)
{
    const extents x = extents_of(node);
    if (takes_bf16(node)) {
        void *dense = NULL;
        const size_t bytes = prepare(node, &dense, NULL) == RV_OK ? rv_dense_packed(dense) : 0; /* which prepare reports */
        rv_dense_free(dense);
        return bytes;
    }
    /* From so many rows on (of each of some eight shards) the transposition pays. */
    const int64_t least = x.in * x.out < LARGE_WEIGHT ? 4 : 16;
    return x.rows >= least ? (size_t)(x.in * x.out) * sizeof(float) : 0;
}

static rv_status pack(const rv_node *node, const void *prepared, const void *weight, void *to, int part,
                      rv_error *err)
{
    const extents x = extents_of(node);
    if (prepared)
        return part == 0 || node->wants_first ? rv_dense_pack(prepared, part == 1, weight, to, err) : RV_OK;
    const int64_t from = x.out * part / RV_PACK_PARTS, rows = x.out * (part + 1) / RV_PACK_PARTS - from;
    rv_cpu()->gemm->transpose(rows, x.in, (const float *)weight + from * x.in, x.in, (float *)to + from, x.out);
    return RV_OK;
}

/* Where things lie.  saved: act', where the result does not tell it, in float32 or for bf16 products
 * in bf16; then x in bf16, unless it comes so.  scratch: float32 (in backward the gradient before the
 * activation, with bf16 products in forward a block of the result where that is not kept); then the
 * gradient in bf16, by rows and by pairs of rows, and the library's own. */
typedef struct places {
    size_t x_bf16, saved;
    size_t gz_bf16, gz_pairs, library;
} places;

static size_t bf16_bytes(int64_t rows, int64_t width)
{
    return rv_arena_align((size_t)(rows * rv_bf16_ld(width)) * sizeof(uint16_t));
}

/* Rows of a block of the float32 product. */
static int64_t float_block(extents e)
{
    const int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (e.out > 0 ? e.out : 1) / 16 * 16;
    return fits > 16 ? fits : 16;
}

static places place(extents e, bool in_bf16, const rv_dense *dense)
{
    const size_t y = rv_arena_align((size_t)(e.rows * e.out) * sizeof(float));
    places p = {0};
    if (!dense) {
        p.saved = rv_activation_saves(e.act) ? y : 0;
        p.library = e.act == RV_ACT_NONE ? 0 : y;
        return p;
    }
    const int64_t block = rv_dense_block(dense);
    p.x_bf16 = rv_activation_saves(e.act) ? bf16_bytes(e.rows, e.out) : 0;
    p.saved = p.x_bf16 + (in_bf16 ? 0 : bf16_bytes(e.rows, e.in));
    p.gz_bf16 = rv_arena_align((size_t)(block * e.out) * sizeof(float));
    p.gz_pairs = p.gz_bf16 + bf16_bytes(block, e.out);
    p.library = p.gz_pairs + (rv_dense_pairs(dense) ? bf16_bytes(e.rows + e.rows % 2, e.out) : 0);
    return p;
}

/* What it is once the products are made; nothing where that fails, which prepare reports. */
static places place_planned(const rv_node *node, size_t *library)
{
    void *dense = NULL;
    const bool made = prepare(node, &dense, NULL) == RV_OK;
    const extents e = extents_of(node);
    const places p = made ? place(e, node->in_bf16, dense) : (places){0};
    /* A float32 product whose result is wanted in bf16 alone needs room for a block of it. */
    *library = dense ? rv_dense_scratch(dense) : node->only_bf16 ? (size_t)(float_block(e) * e.out) * sizeof(float) : 0;
    rv_dense_free(dense);
    return p;
}

static size_t saved(const rv_node *node)
{
    size_t library;
    return place_planned(node, &library).saved;
}

static size_t scratch(const rv_node *node)
{
    size_t library;
    return place_planned(node, &library).library + library;
}

static bool reads_output(const rv_node *node)
{
    const rv_activation act = extents_of(node).act;
    return act != RV_ACT_NONE && !rv_activation_saves(act);
}

/* ---- forward ---------------------------------------------------------- */

static void *at(void *base, size_t offset)
{
    return (char *)base + offset;
}

static const uint16_t *rounded_input(const rv_call *call, places p)
{
    return call->in_bf16 ? call->in_bf16 : at(call->saved, p.x_bf16);
}

/* The result from row r on; slope_bf16: beside bf16 products. */
static rv_linear_result result_at(const rv_call *call, extents x, bool bf16, int64_t r)
{
    rv_linear_result to = {.y = call->out, .y_bf16 = call->out_bf16};
    if (rv_activation_saves(x.act) && bf16)
        to.slope_bf16 = (uint16_t *)call->saved + r * rv_bf16_ld(x.out);
    else if (rv_activation_saves(x.act))
        to.slope = (float *)call->saved + r * x.out;
    to.y = to.y ? to.y + r * x.out : NULL;
    to.y_bf16 = to.y_bf16 ? to.y_bf16 + r * rv_bf16_ld(x.out) : NULL;
    return to;
}

static rv_status forward_bf16(const rv_call *call, extents x, rv_error *err)
{
    const places p = place(x, call->in_bf16 != NULL, call->prepared);
    const uint16_t *in = rounded_input(call, p);
    const int64_t block = rv_dense_block(call->prepared);
    if (!call->in_bf16)
        rv_cpu()->linear->round(x.rows, x.in, call->in[0], at(call->saved, p.x_bf16));
    for (int64_t r = 0; r < x.rows; r += block) {
        const int64_t rows = x.rows - r < block ? x.rows - r : block;
        const rv_linear_result to = result_at(call, x, true, r);
        float *z = to.y ? to.y : call->scratch;
        RV_TRY(rv_dense_forward(call->prepared, call->packed, rows, in + r * rv_bf16_ld(x.in), z,
                                at(call->scratch, p.library), err));
        rv_cpu()->linear->finish(x.act, rows, x.out, z, call->in[2], &to);
    }
    return RV_OK;
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    if (call->prepared && call->packed)
        return forward_bf16(call, x, err);
    const float *in = call->in[0]; /* [rows, in] */
    const rv_matrix w = call->packed ? (rv_matrix){call->packed, x.out, false} : (rv_matrix){call->in[1], x.in, true};
    const int64_t block = float_block(x);
    for (int64_t r = 0; r < x.rows; r += block) {
        const int64_t rows = x.rows - r < block ? x.rows - r : block;
        const rv_linear_result to = result_at(call, x, false, r);
        float *z = to.y ? to.y : call->scratch;
        RV_TRY(rv_product(rows, x.out, x.in, (rv_matrix){in + r * x.in, x.in, false}, w, false, z, x.out, err));
        rv_cpu()->linear->finish(x.act, rows, x.out, z, call->in[2], &to);
    }
    return RV_OK;
}

/* ---- backward --------------------------------------------------------- */

/* Block by block of rows, so that a gradient is in the caches when the next product reads it. */
static rv_status backward_bf16(const rv_call *call, extents x, rv_error *err)
{
    const rv_dense *dense = call->prepared;
    const places p = place(x, call->in_bf16 != NULL, dense);
    const int64_t block = rv_dense_block(dense);
    const bool pairs = rv_dense_pairs(dense) && call->gin[1];
    uint32_t *gz_pairs = at(call->scratch, p.gz_pairs);
    void *library = at(call->scratch, p.library);
    rv_linear_gradient to = {.gz_bf16 = call->gin[0] || !pairs ? at(call->scratch, p.gz_bf16) : NULL,
                             .bias = call->gin[2], .add_bias = call->add[2]};
    for (int64_t r = 0; r < x.rows; r += block, to.add_bias = true) {
        const int64_t rows = x.rows - r < block ? x.rows - r : block;
        const rv_linear_result from = result_at(call, x, true, r);
        to.gz_pairs = pairs ? gz_pairs + r / 2 * x.out : NULL;
        rv_cpu()->linear->start(x.act, rows, x.out, &from, (const float *)call->gout + r * x.out, &to);
        if (call->gin[0])
            RV_TRY(rv_dense_data(dense, call->packed, rows, to.gz_bf16, call->add[0], (float *)call->gin[0] + r * x.in,
                                 library, err));
    }
    return call->gin[1] ? rv_dense_weight(dense, pairs ? (const void *)gz_pairs : to.gz_bf16, rounded_input(call, p),
                                          call->add[1], call->gin[1], library, err)
                        : RV_OK;
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    if (call->prepared && call->packed)
        return backward_bf16(call, x, err);
    /* The gradient before the activation is the one behind it when there is none. */
    const rv_linear_result from = result_at(call, x, false, 0);
    const rv_linear_gradient to = {.gz = x.act == RV_ACT_NONE ? NULL : call->scratch, .bias = call->gin[2],
                                   .add_bias = call->add[2]};
    const float *gz = to.gz ? to.gz : call->gout;
    if (to.gz || to.bias)
        rv_cpu()->linear->start(x.act, x.rows, x.out, &from, call->gout, &to);
    if (call->gin[0])
        RV_TRY(rv_product(x.rows, x.in, x.out, (rv_matrix){gz, x.out, false}, (rv_matrix){call->in[1], x.in, false},
                          call->add[0], call->gin[0], x.in, err));
    return call->gin[1] ? rv_product(x.out, x.in, x.rows, (rv_matrix){gz, x.out, true},
                                     (rv_matrix){call->in[0], x.in, false}, call->add[1], call->gin[1], x.in, err)
                        : RV_OK;
}

const rv_kernels rv_linear_cpu = {
    .forward = forward,
    .backward = backward,
    .saved = saved,
    .scratch = scratch,
    .packed = packed,
    .pack = pack,
    .prepare = prepare,
    .unprepare = unprepare,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_OUTPUT,
    .reads_output = reads_output,
    .takes_bf16 = takes_bf16,
    .gives_bf16 = rv_cpu_always,
};
