/* Linear layers: y = act(x w^T + b), in float32 or with products in bf16.
 *
 * float32: the library's product is faster when w stands in the order [in, out], so pack
 * transposes it once per step; rows go in blocks whose result stays in the cache until
 * bias and activation have passed over it.  bf16: x is rounded once, in forward, and
 * kept; the gradient is rounded in the pass that makes it. */
#include "core/arena.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/dense.h"
#include "tensor/kernels/cpu/factors.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/linear.h"
#include "tensor/kernels/cpu/product.h"

enum {
    BLOCK_BYTES = 1 << 18,  /* of a block of the result */
    LARGE_WEIGHT = 1 << 18, /* elements: beyond the second-level cache with their transpose */
    BF16_LEAST = 32,        /* rows from which on rounding the weight pays */
    BF16_ROWS = 48          /* from here on a sum over the rows is faster in bf16 */
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

/* A size that only the made products know; 0 when they cannot be made, which prepare reports. */
static size_t ask(const rv_node *node, size_t (*size)(const rv_dense *dense))
{
    void *dense = NULL;
    if (prepare(node, &dense, NULL) != RV_OK || !dense)
        return 0;
    const size_t bytes = size(dense);
    rv_dense_free(dense);
    return bytes;
}

static size_t packed(const rv_node *node)
{
    const extents x = extents_of(node);
    if (takes_bf16(node))
        return ask(node, rv_dense_packed);
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

/* Where things lie: act' (where the result does not tell it) and x in bf16 in `saved`;
 * the gradient before the activation and the library's own in `scratch`. */
typedef struct places {
    size_t x_bf16, saved;               /* act' is first */
    size_t gz_bf16, library;            /* gz is first */
} places;

static places place(extents e, bool bf16)
{
    const size_t y = (size_t)(e.rows * e.out), x = (size_t)(e.rows * e.in);
    places p = {0};
    p.x_bf16 = rv_activation_saves(e.act) ? rv_arena_align(y * sizeof(float)) : 0;
    p.saved = p.x_bf16 + (bf16 ? x * sizeof(uint16_t) : 0);
    p.gz_bf16 = e.act == RV_ACT_NONE ? 0 : rv_arena_align(y * sizeof(float));
    p.library = p.gz_bf16 + (bf16 ? rv_arena_align(y * sizeof(uint16_t)) : 0);
    return p;
}

static size_t saved(const rv_node *node)
{
    return place(extents_of(node), takes_bf16(node)).saved;
}

static size_t scratch(const rv_node *node)
{
    const bool bf16 = takes_bf16(node);
    return place(extents_of(node), bf16).library + (bf16 ? ask(node, rv_dense_scratch) : 0);
}

/* ---- forward ---------------------------------------------------------- */

static void *at(void *base, size_t offset)
{
    return (char *)base + offset;
}

static float *slope_of(const rv_call *call, rv_activation act)
{
    return rv_activation_saves(act) ? call->saved : NULL;
}

static rv_status forward_bf16(const rv_call *call, extents x, rv_error *err)
{
    const places p = place(x, true);
    uint16_t *rounded = at(call->saved, p.x_bf16);
    rv_cpu()->linear->round(x.rows * x.in, call->in[0], rounded);
    RV_TRY(rv_dense_forward(call->prepared, call->packed, rounded, call->out, at(call->scratch, p.library), err));
    rv_cpu()->linear->finish(x.act, x.rows, x.out, call->out, call->in[2], slope_of(call, x.act));
    return RV_OK;
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    if (call->prepared && call->packed)
        return forward_bf16(call, x, err);
    const float *in = call->in[0];                        /* [rows, in] */
    float *y = call->out, *slope = slope_of(call, x.act); /* [rows, out] */
    const rv_matrix w = call->packed ? (rv_matrix){call->packed, x.out, false} : (rv_matrix){call->in[1], x.in, true};
    const int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (x.out > 0 ? x.out : 1) / 16 * 16;
    const int64_t block = fits > 16 ? fits : 16;
    for (int64_t r = 0; r < x.rows; r += block) {
        const int64_t rows = x.rows - r < block ? x.rows - r : block;
        RV_TRY(rv_product(rows, x.out, x.in, (rv_matrix){in + r * x.in, x.in, false}, w, false, y + r * x.out, x.out,
                          err));
        rv_cpu()->linear->finish(x.act, rows, x.out, y + r * x.out, call->in[2], slope ? slope + r * x.out : NULL);
    }
    return RV_OK;
}

/* ---- backward --------------------------------------------------------- */

static rv_status weight_gradient(const rv_call *call, extents x, const float *gz, rv_error *err)
{
    if (!call->gin[1])
        return RV_OK;
    return rv_product(x.out, x.in, x.rows, (rv_matrix){gz, x.out, true}, (rv_matrix){call->in[0], x.in, false},
                      call->add[1], call->gin[1], x.in, err);
}

/* The gradient before the activation: the one behind it when there is none. */
static const float *start(const rv_call *call, extents x, uint16_t *gz_bf16)
{
    float *gz = x.act == RV_ACT_NONE ? NULL : call->scratch;
    if (gz || gz_bf16 || call->gin[2])
        rv_cpu()->linear->start(x.act, x.rows, x.out, call->out, call->saved, call->gout,
                                gz_bf16 && x.rows >= BF16_ROWS ? NULL : gz, gz_bf16, call->add[2], call->gin[2]);
    return gz ? gz : call->gout;
}

static rv_status backward_bf16(const rv_call *call, extents x, rv_error *err)
{
    const places p = place(x, true);
    uint16_t *gz_bf16 = at(call->scratch, p.gz_bf16);
    void *library = at(call->scratch, p.library);
    const float *gz = start(call, x, gz_bf16);
    if (call->gin[0])
        RV_TRY(rv_dense_data(call->prepared, call->packed, gz_bf16, call->add[0], call->gin[0], library, err));
    if (x.rows < BF16_ROWS)
        return weight_gradient(call, x, gz, err);
    return call->gin[1] ? rv_dense_weight(call->prepared, gz_bf16, at(call->saved, p.x_bf16), call->add[1],
                                          call->gin[1], library, err)
                        : RV_OK;
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    if (call->prepared && call->packed)
        return backward_bf16(call, x, err);
    const float *gz = start(call, x, NULL);
    if (call->gin[0])
        RV_TRY(rv_product(x.rows, x.in, x.out, (rv_matrix){gz, x.out, false}, (rv_matrix){call->in[1], x.in, false},
                          call->add[0], call->gin[0], x.in, err));
    return weight_gradient(call, x, gz, err);
}

/* The gradient before the activation is made once more, over scratch: backward may have left it
 * in bf16 only. */
static rv_status factors(const rv_call *call, void *sums, int64_t used, int64_t of, rv_error *err)
{
    const extents x = extents_of(call->node);
    const float *gz = call->gout;
    if (x.act != RV_ACT_NONE) {
        rv_cpu()->linear->start(x.act, x.rows, x.out, call->out, call->saved, call->gout, call->scratch, NULL, false, NULL);
        gz = call->scratch;
    }
    const int64_t rows = x.rows % of == 0 ? x.rows / of * used : x.rows;
    return rv_factors_add((rv_factor_rows){rows, x.in, x.out, call->in[2] != NULL, call->in[0], gz}, sums, err);
}

const rv_kernels rv_linear_cpu = {
    .forward = forward,
    .backward = backward,
    .factors = factors,
    .saved = saved,
    .scratch = scratch,
    .packed = packed,
    .pack = pack,
    .prepare = prepare,
    .unprepare = unprepare,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_OUTPUT,
};
