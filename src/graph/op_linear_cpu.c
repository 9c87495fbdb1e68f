/* Linear layers: y = act(x w^T + b), in float32 or with products in bf16.
 *
 * float32: the library's product is faster when w stands in the order [in, out], so pack
 * transposes it once per step; rows go in blocks whose result stays in the cache until
 * bias and activation have passed over it.  bf16: x comes rounded where its producer could
 * do that, else forward rounds it and keeps that; the gradient is rounded in the pass that
 * makes it.
 *
 * The cut: forward by rows, or by columns where rows are few; backward by columns of the
 * gradient before the activation, then the two products side by side, that of the weights by
 * rows of its result, the other as forward.  A library that is asked for a part need not sum
 * as it does for the whole, so a product is always asked for unit by unit. */
#include "core/arena.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_linear_cut.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/dense.h"
#include "tensor/kernels/cpu/factors.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/product.h"

enum {
    BLOCK_BYTES = 1 << 18,  /* of a block of the result */
    LARGE_WEIGHT = 1 << 18, /* elements: beyond the second-level cache with their transpose */
    BF16_LEAST = 32         /* rows from which on rounding the weight pays */
};

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

/* ---- the cut ---------------------------------------------------------- */

/* Units of the gradient of x come before those of the weights'. */
static rv_cut cut(const rv_node *node, bool backward)
{
    const parts p = parts_of(extents_of(node), takes_bf16(node));
    return backward ? (rv_cut){2, {p.start, (node->wants_first ? p.data : 0) + p.weights}} : rv_cut_of(p.forward);
}

/* ---- memory ----------------------------------------------------------- */

static rv_status prepare(const rv_node *node, void **prepared, rv_error *err)
{
    const extents x = extents_of(node);
    rv_dense *dense = NULL;
    const parts p = parts_of(x, true);
    if (takes_bf16(node))
        RV_TRY(rv_dense_new(&dense, (rv_dense_shape){x.rows, x.in, x.out, p.forward, p.weights}, node->wants_first, err));
    *prepared = dense;
    return RV_OK;
}

static void unprepare(void *prepared)
{
    rv_dense_free(prepared);
}

/* Where things lie.  saved: act', where the result does not tell it, in float32 or for bf16 products
 * in bf16; then x in bf16, unless it comes so.  scratch: the gradient before the activation, in float32
 * or in bf16 by rows and, with x, by pairs of rows.  work: a block of the float32 result where that is
 * not kept, then the library's own. */
typedef struct places {
    size_t x_bf16, saved, gz_pairs, x_pairs, scratch, library, work;
} places;

static size_t bf16_bytes(int64_t rows, int64_t width)
{
    return rv_arena_align((size_t)(rows * rv_bf16_ld(width)) * sizeof(uint16_t));
}

/* Rows of a block of the float32 product. */
static int64_t float_block(extents e)
{
    const int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (e.out > 0 ? e.out : 1) / 16 * 16;
    return parts_of(e, false).by_columns ? e.rows : fits > 16 ? fits : 16;
}

static places place(extents e, const rv_node *node, const rv_dense *dense)
{
    const size_t y = rv_arena_align((size_t)(e.rows * e.out) * sizeof(float));
    const int64_t block = dense ? rv_dense_block(dense) : float_block(e), even = e.rows + e.rows % 2;
    const bool pairs = dense && rv_dense_pairs(dense);
    places p = {0};
    p.x_bf16 = !rv_activation_saves(e.act) ? 0 : dense ? bf16_bytes(e.rows, e.out) : y;
    p.saved = p.x_bf16 + (!dense || node->in_bf16 ? 0 : bf16_bytes(e.rows, e.in));
    p.gz_pairs = dense ? bf16_bytes(e.rows, e.out) : e.act == RV_ACT_NONE ? 0 : y;
    p.x_pairs = p.gz_pairs + (pairs ? rv_arena_align((size_t)(even * e.out) * sizeof(uint16_t)) : 0);
    p.scratch = p.x_pairs + (pairs ? rv_arena_align((size_t)(even * e.in) * sizeof(uint16_t)) : 0);
    p.library = node->only_bf16 ? rv_arena_align((size_t)(block * e.out) * sizeof(float)) : 0;
    p.work = p.library + (dense ? rv_dense_scratch(dense) : 0);
    return p;
}

/* What it is once the products are made; nothing where that fails, which prepare reports. */
static places place_planned(const rv_node *node, size_t *packed)
{
    void *dense = NULL;
    const bool made = prepare(node, &dense, NULL) == RV_OK;
    const places p = made ? place(extents_of(node), node, dense) : (places){0};
    *packed = dense ? rv_dense_packed(dense) : 0;
    rv_dense_free(dense);
    return p;
}

static size_t packed(const rv_node *node)
{
    const extents x = extents_of(node);
    size_t bytes;
    place_planned(node, &bytes);
    if (takes_bf16(node))
        return bytes;
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

static size_t saved(const rv_node *node)
{
    size_t ignored;
    return place_planned(node, &ignored).saved;
}

static size_t scratch(const rv_node *node)
{
    size_t ignored;
    return place_planned(node, &ignored).scratch;
}

static size_t work(const rv_node *node)
{
    size_t ignored;
    return place_planned(node, &ignored).work;
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

static float *moved(float *base, int64_t by)
{
    return base ? base + by : NULL;
}

/* The result and what is kept of it, from a row and column on. */
static rv_linear_result result_at(const rv_call *call, extents x, int64_t row, int64_t column)
{
    const int64_t n = row * x.out + column, n_bf16 = row * rv_bf16_ld(x.out) + column;
    rv_linear_result to = {.y = moved(call->out, n), .y_bf16 = call->out_bf16 ? call->out_bf16 + n_bf16 : NULL};
    if (rv_activation_saves(x.act) && call->prepared)
        to.slope_bf16 = (uint16_t *)call->saved + n_bf16;
    else if (rv_activation_saves(x.act))
        to.slope = (float *)call->saved + n;
    return to;
}

static const uint16_t *rounded_input(const rv_call *call, const places *p)
{
    return call->in_bf16 ? call->in_bf16 : at(call->saved, p->x_bf16);
}

static rv_status rows_bf16(const rv_call *call, extents x, rv_span part, rv_error *err)
{
    const places p = place(x, call->node, call->prepared);
    const int64_t block = rv_dense_block(call->prepared), end = part.first + part.count, ld = rv_bf16_ld(x.in);
    const uint16_t *in = rounded_input(call, &p);
    if (!call->in_bf16)
        rv_cpu()->linear->round(part.count, x.in, (const float *)call->in[0] + part.first * x.in,
                                (uint16_t *)at(call->saved, p.x_bf16) + part.first * ld);
    for (int64_t r = part.first; r < end; r += block) {
        const int64_t rows = end - r < block ? end - r : block;
        const rv_linear_result to = result_at(call, x, r, 0);
        float *z = to.y ? to.y : call->work;
        RV_TRY(rv_dense_forward(call->prepared, call->packed, rows, in + r * ld, z, at(call->work, p.library), err));
        rv_cpu()->linear->finish(x.act, rows, x.out, z, call->in[2], &to);
    }
    return RV_OK;
}

static rv_status rows_f32(const rv_call *call, extents x, rv_span part, rv_error *err)
{
    const float *in = call->in[0]; /* [rows, in] */
    const rv_matrix w = call->packed ? (rv_matrix){call->packed, x.out, false} : (rv_matrix){call->in[1], x.in, true};
    const int64_t block = float_block(x), end = part.first + part.count;
    for (int64_t r = part.first; r < end; r += block) {
        const int64_t rows = end - r < block ? end - r : block;
        const rv_linear_result to = result_at(call, x, r, 0);
        float *z = to.y ? to.y : call->work;
        RV_TRY(rv_product(rows, x.out, x.in, (rv_matrix){in + r * x.in, x.in, false}, w, false, z, x.out, err));
        rv_cpu()->linear->finish(x.act, rows, x.out, z, call->in[2], &to);
    }
    return RV_OK;
}

/* Few rows: the weights of some columns, read once. */
static rv_status columns_f32(const rv_call *call, extents x, rv_span part, rv_error *err)
{
    const float *in = call->in[0], *bias = call->in[2];
    const bool kept = call->out;
    float *z = kept ? (float *)call->out + part.first : call->work;
    const int64_t ld = kept ? x.out : part.count;
    const rv_matrix w = call->packed ? (rv_matrix){(const float *)call->packed + part.first, x.out, false}
                                     : (rv_matrix){(const float *)call->in[1] + part.first * x.in, x.in, true};
    RV_TRY(rv_product(x.rows, part.count, x.in, (rv_matrix){in, x.in, false}, w, false, z, ld, err));
    for (int64_t r = 0; r < x.rows; r++) {
        const rv_linear_result to = result_at(call, x, r, part.first);
        rv_cpu()->linear->finish(x.act, 1, part.count, z + r * ld, bias ? bias + part.first : NULL, &to);
    }
    return RV_OK;
}

/* Unit u of n rows or columns of a product; those in bf16 are made evenly, of any size. */
static rv_span part_at(int64_t n, int units, const rv_call *call, int u)
{
    return rv_cut_span(n, call->prepared ? 1 : PART_STEP, units, u, u + 1);
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    const parts p = parts_of(x, call->prepared);
    for (int u = call->first; u < call->end; u++) {
        const rv_span part = part_at(p.by_columns ? x.out : x.rows, p.forward, call, u);
        if (call->prepared)
            RV_TRY(rows_bf16(call, x, part, err));
        else
            RV_TRY(p.by_columns ? columns_f32(call, x, part, err) : rows_f32(call, x, part, err));
    }
    return RV_OK;
}

/* ---- backward --------------------------------------------------------- */

/* The gradient before the activation: the one behind it when there is none. */
static const float *before_activation(const rv_call *call, extents x)
{
    return x.act == RV_ACT_NONE ? call->gout : call->scratch;
}

/* Columns of the gradient before the activation, and of the bias'. */
static void start(const rv_call *call, extents x, rv_span columns)
{
    const rv_linear_result from = result_at(call, x, 0, columns.first);
    const float *gy = (const float *)call->gout + columns.first;
    rv_linear_gradient to = {.bias = moved(call->gin[2], columns.first), .add_bias = call->add[2]};
    if (call->prepared) {
        const places p = place(x, call->node, call->prepared);
        const bool pairs = rv_dense_pairs(call->prepared);
        to.gz_bf16 = pairs && !call->gin[0] ? NULL : (uint16_t *)call->scratch + columns.first;
        to.gz_pairs = pairs && call->gin[1] ? (uint32_t *)at(call->scratch, p.gz_pairs) + columns.first : NULL;
    } else if (x.act != RV_ACT_NONE) {
        to.gz = (float *)call->scratch + columns.first;
    }
    if (to.gz || to.gz_bf16 || to.gz_pairs || to.bias)
        rv_cpu()->linear->start(x.act, x.rows, columns.count, x.out, &from, gy, &to);
}

/* Pairs of the rows of x, for the gradient of the weights. */
static void pair_input(const rv_call *call, extents x, rv_span pairs)
{
    const places p = place(x, call->node, call->prepared);
    const int64_t first = 2 * pairs.first, left = x.rows - first, ld = rv_bf16_ld(x.in);
    rv_cpu()->gemm->pair_rows(left < 2 * pairs.count ? left : 2 * pairs.count, x.in, rounded_input(call, &p) + first * ld, ld,
                              (uint32_t *)at(call->scratch, p.x_pairs) + pairs.first * x.in);
}

static rv_status data_gradient(const rv_call *call, extents x, const parts *p, int unit, rv_error *err)
{
    const rv_span part = part_at(p->by_columns ? x.in : x.rows, p->data, call, unit);
    const rv_span rows = p->by_columns ? (rv_span){0, x.rows} : part, columns = p->by_columns ? part : (rv_span){0, x.in};
    if (!call->gin[0])
        return RV_OK;
    float *gx = (float *)call->gin[0] + rows.first * x.in + columns.first;
    if (call->prepared)
        return rv_dense_data(call->prepared, call->packed, rows.count,
                             (const uint16_t *)call->scratch + rows.first * rv_bf16_ld(x.out), call->add[0], gx,
                             at(call->work, place(x, call->node, call->prepared).library), err);
    const rv_matrix gz = {before_activation(call, x) + rows.first * x.out, x.out, false};
    const rv_matrix w = {(const float *)call->in[1] + columns.first, x.in, false};
    return rv_product(rows.count, columns.count, x.out, gz, w, call->add[0], gx, x.in, err);
}

static rv_status weight_gradient(const rv_call *call, extents x, const parts *p, int unit, rv_error *err)
{
    const rv_span rows = part_at(x.out, p->weights, call, unit);
    if (!call->gin[1])
        return RV_OK;
    float *gw = (float *)call->gin[1] + rows.first * x.in;
    if (call->prepared) {
        const places where = place(x, call->node, call->prepared);
        const bool pairs = rv_dense_pairs(call->prepared);
        const void *gz = pairs ? (const void *)((uint32_t *)at(call->scratch, where.gz_pairs) + rows.first)
                               : (uint16_t *)call->scratch + rows.first;
        return rv_dense_weight(call->prepared, rows.count, gz,
                               pairs ? at(call->scratch, where.x_pairs) : (const void *)rounded_input(call, &where),
                               call->add[1], gw, at(call->work, where.library), err);
    }
    const float *gz = before_activation(call, x) + rows.first;
    return rv_product(rows.count, x.in, x.rows, (rv_matrix){gz, x.out, true}, (rv_matrix){call->in[0], x.in, false},
                      call->add[1], gw, x.in, err);
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    const parts p = parts_of(x, call->prepared);
    if (call->stage == 0) {
        start(call, x, rv_cut_span(x.out, PART_COLUMNS, p.start, call->first, call->end));
        if (call->prepared && rv_dense_pairs(call->prepared) && call->gin[1])
            pair_input(call, x, rv_cut_span((x.rows + 1) / 2, 1, p.start, call->first, call->end));
        return RV_OK;
    }
    const int data = call->node->wants_first ? p.data : 0;
    for (int u = call->first; u < call->end; u++)
        RV_TRY(u < data ? data_gradient(call, x, &p, u, err) : weight_gradient(call, x, &p, u - data, err));
    return RV_OK;
}

/* In float32 alone (factors.c): backward has left the gradient before the activation. */
static rv_status factors(const rv_call *call, void *sums, int64_t used, int64_t of, rv_error *err)
{
    const extents x = extents_of(call->node);
    const int64_t rows = x.rows % of == 0 ? x.rows / of * used : x.rows;
    return rv_factors_add((rv_factor_rows){rows, x.in, x.out, call->in[2] != NULL, call->in[0], before_activation(call, x)},
                          sums, err);
}

const rv_kernels rv_linear_cpu = {
    .forward = forward,
    .backward = backward,
    .factors = factors,
    .saved = saved,
    .scratch = scratch,
    .work = work,
    .cut = cut,
    .packed = packed,
    .pack = pack,
    .prepare = prepare,
    .unprepare = unprepare,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_OUTPUT,
    .reads_output = reads_output,
    .takes_bf16 = takes_bf16,
    .gives_bf16 = rv_cpu_always,
};
