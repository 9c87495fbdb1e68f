/* Linear layers: y = act(x w^T + b), in float32 or with products in bf16.
 *
 * float32: the library's product is faster when w stands in the order [in, out], so pack
 * transposes it once per step; rows go in blocks whose result stays in the cache until
 * bias and activation have passed over it.  bf16: x is rounded once, in forward, and
 * kept; the gradient is rounded in the pass that makes it.
 *
 * The cut: forward by rows, or by columns where rows are few; backward by columns of the
 * gradient before the activation, then the two products side by side, that of the weights by
 * rows of its result, the other as forward.  A library that is asked for a part need not sum
 * as it does for the whole, so a product is always asked for unit by unit. */
#include "core/arena.h"
#include "graph/attr.h"
#include "graph/cut.h"
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
    BF16_ROWS = 48,         /* from here on a sum over the rows is faster in bf16 */
    PART_STEP = 16,         /* rows or columns at which parts of a product begin */
    PART_COLUMNS = 64,      /* of the gradient before the activation */
    PART_WEIGHTS = 3 << 15  /* read for few rows, which takes longer than to multiply them */
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

/* ---- the cut ---------------------------------------------------------- */

/* The smallest part that is worth a call of the library, and the largest worth having. */
typedef struct grain {
    int64_t rows, weight_rows; /* of a result; below that each of them costs more */
    int64_t least, most;       /* multiply-adds; measured: at the least a cut costs a percent or two */
} grain;
static const grain grain_f32 = {32, 32, 1 << 21, 1 << 23}, grain_bf16 = {64, 128, 1 << 24, 1 << 25};

/* Units of a product with so many rows in its result: eight, unless the grain is against it. */
static int product_units(int64_t rows, int64_t least_rows, int64_t multiply_adds, grain g)
{
    int64_t part = multiply_adds / 8;
    part = part < g.least ? g.least : part > g.most ? g.most : part;
    const int64_t units = multiply_adds / part, fit = rows / least_rows;
    return rv_cut_units(units < fit ? units : fit, 1);
}

/* The next smaller number that divides n: made products are of one size. */
static int even(int64_t n, int units)
{
    while (units > 1 && n % units != 0)
        units--;
    return units;
}

typedef struct parts {
    bool by_columns;                   /* forward and the gradient of x, else by rows */
    int forward, data, weights, start; /* units */
} parts;

static parts parts_of(extents x, bool bf16)
{
    const grain g = bf16 ? grain_bf16 : grain_f32;
    const int64_t work = x.rows * x.in * x.out;
    const int start = rv_cut_units(x.out, PART_COLUMNS);
    if (!bf16 && x.rows < 2 * g.rows) {
        const int units = rv_cut_units(x.in * x.out, PART_WEIGHTS);
        const int out = rv_cut_units(x.out / g.rows < units ? x.out / g.rows : units, 1);
        return (parts){true, out, rv_cut_units(x.in / g.rows < units ? x.in / g.rows : units, 1), out, start};
    }
    const int rows = product_units(x.rows, g.rows, work, g), weights = product_units(x.out, g.weight_rows, work, g);
    if (bf16)
        return (parts){false, even(x.rows, rows), even(x.rows, rows), even(x.out, weights), start};
    return (parts){false, rows, rows, weights, start};
}

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
 * the gradient before the activation in `scratch`, the library's own in `work`. */
typedef struct places {
    size_t x_bf16, saved;    /* act' is first */
    size_t gz_bf16, scratch; /* gz is first */
} places;

static places place(extents e, bool bf16)
{
    const size_t y = (size_t)(e.rows * e.out), x = (size_t)(e.rows * e.in);
    places p = {0};
    p.x_bf16 = rv_activation_saves(e.act) ? rv_arena_align(y * sizeof(float)) : 0;
    p.saved = p.x_bf16 + (bf16 ? x * sizeof(uint16_t) : 0);
    p.gz_bf16 = e.act == RV_ACT_NONE ? 0 : rv_arena_align(y * sizeof(float));
    p.scratch = p.gz_bf16 + (bf16 ? y * sizeof(uint16_t) : 0);
    return p;
}

static size_t saved(const rv_node *node)
{
    return place(extents_of(node), takes_bf16(node)).saved;
}

static size_t scratch(const rv_node *node)
{
    return place(extents_of(node), takes_bf16(node)).scratch;
}

static size_t work(const rv_node *node)
{
    return takes_bf16(node) ? ask(node, rv_dense_scratch) : 0;
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

static rv_status rows_bf16(const rv_call *call, extents x, int unit, rv_span rows, rv_error *err)
{
    uint16_t *rounded = at(call->saved, place(x, true).x_bf16); /* [rows, in] */
    float *slope = slope_of(call, x.act), *y = call->out;       /* [rows, out] */
    const int64_t from = rows.first * x.out;
    rv_cpu()->linear->round(rows.count * x.in, (const float *)call->in[0] + rows.first * x.in,
                            rounded + rows.first * x.in);
    RV_TRY(rv_dense_forward(call->prepared, unit, call->packed, rounded, y, call->work, err));
    rv_cpu()->linear->finish(x.act, rows.count, x.out, y + from, call->in[2], slope ? slope + from : NULL);
    return RV_OK;
}

static rv_status rows_f32(const rv_call *call, extents x, rv_span part, rv_error *err)
{
    const float *in = call->in[0];                        /* [rows, in] */
    float *y = call->out, *slope = slope_of(call, x.act); /* [rows, out] */
    const rv_matrix w = call->packed ? (rv_matrix){call->packed, x.out, false} : (rv_matrix){call->in[1], x.in, true};
    const int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / (x.out > 0 ? x.out : 1) / 16 * 16;
    const int64_t block = fits > 16 ? fits : 16, end = part.first + part.count;
    for (int64_t r = part.first; r < end; r += block) {
        const int64_t rows = end - r < block ? end - r : block;
        RV_TRY(rv_product(rows, x.out, x.in, (rv_matrix){in + r * x.in, x.in, false}, w, false, y + r * x.out, x.out,
                          err));
        rv_cpu()->linear->finish(x.act, rows, x.out, y + r * x.out, call->in[2], slope ? slope + r * x.out : NULL);
    }
    return RV_OK;
}

/* Few rows: the weights of some columns, read once. */
static rv_status columns_f32(const rv_call *call, extents x, rv_span part, rv_error *err)
{
    const float *in = call->in[0], *bias = call->in[2];
    float *y = (float *)call->out + part.first, *slope = slope_of(call, x.act);
    const rv_matrix w = call->packed ? (rv_matrix){(const float *)call->packed + part.first, x.out, false}
                                     : (rv_matrix){(const float *)call->in[1] + part.first * x.in, x.in, true};
    RV_TRY(rv_product(x.rows, part.count, x.in, (rv_matrix){in, x.in, false}, w, false, y, x.out, err));
    for (int64_t r = 0; r < x.rows; r++)
        rv_cpu()->linear->finish(x.act, 1, part.count, y + r * x.out, bias ? bias + part.first : NULL,
                                 slope ? slope + r * x.out + part.first : NULL);
    return RV_OK;
}

/* Whether the products of this call are those in bf16. */
static bool is_bf16(const rv_call *call)
{
    return call->prepared && call->packed;
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
        if (is_bf16(call))
            RV_TRY(rows_bf16(call, x, u, part, err));
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

static float *moved(float *base, int64_t by)
{
    return base ? base + by : NULL;
}

/* Columns of the gradient before the activation, and of the bias'. */
static void start(const rv_call *call, extents x, rv_span columns)
{
    const bool bf16 = is_bf16(call);
    const int64_t at_column = columns.first;
    uint16_t *gz_bf16 = bf16 ? at(call->scratch, place(x, true).gz_bf16) : NULL;
    float *gz = x.act == RV_ACT_NONE || (bf16 && x.rows >= BF16_ROWS) ? NULL : call->scratch;
    if (gz || gz_bf16 || call->gin[2])
        rv_cpu()->linear->start(x.act, x.rows, columns.count, x.out, (const float *)call->out + at_column,
                                moved(slope_of(call, x.act), at_column), (const float *)call->gout + at_column,
                                moved(gz, at_column), gz_bf16 ? gz_bf16 + at_column : NULL, call->add[2],
                                moved(call->gin[2], at_column));
}

static rv_status data_gradient(const rv_call *call, extents x, const parts *p, int unit, rv_error *err)
{
    const rv_span part = part_at(p->by_columns ? x.in : x.rows, p->data, call, unit);
    const rv_span rows = p->by_columns ? (rv_span){0, x.rows} : part, columns = p->by_columns ? part : (rv_span){0, x.in};
    if (!call->gin[0])
        return RV_OK;
    if (is_bf16(call))
        return rv_dense_data(call->prepared, unit, call->packed, at(call->scratch, place(x, true).gz_bf16),
                             call->add[0], call->gin[0], call->work, err);
    const rv_matrix gz = {before_activation(call, x) + rows.first * x.out, x.out, false};
    const rv_matrix w = {(const float *)call->in[1] + columns.first, x.in, false};
    return rv_product(rows.count, columns.count, x.out, gz, w, call->add[0],
                      (float *)call->gin[0] + rows.first * x.in + columns.first, x.in, err);
}

static rv_status weight_gradient(const rv_call *call, extents x, const parts *p, int unit, rv_error *err)
{
    const rv_span rows = part_at(x.out, p->weights, call, unit);
    if (!call->gin[1])
        return RV_OK;
    if (is_bf16(call) && x.rows >= BF16_ROWS) {
        const places where = place(x, true);
        return rv_dense_weight(call->prepared, unit, at(call->scratch, where.gz_bf16), at(call->saved, where.x_bf16),
                               call->add[1], call->gin[1], call->work, err);
    }
    const float *gz = before_activation(call, x) + rows.first;
    return rv_product(rows.count, x.in, x.rows, (rv_matrix){gz, x.out, true}, (rv_matrix){call->in[0], x.in, false},
                      call->add[1], (float *)call->gin[1] + rows.first * x.in, x.in, err);
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    const parts p = parts_of(x, call->prepared);
    if (call->stage == 0) {
        start(call, x, rv_cut_span(x.out, PART_COLUMNS, p.start, call->first, call->end));
        return RV_OK;
    }
    const int data = call->node->wants_first ? p.data : 0;
    for (int u = call->first; u < call->end; u++)
        RV_TRY(u < data ? data_gradient(call, x, &p, u, err) : weight_gradient(call, x, &p, u - data, err));
    return RV_OK;
}

/* The gradient before the activation is made once more, over scratch: backward may have left it
 * in bf16 only. */
static rv_status factors(const rv_call *call, void *sums, int64_t used, int64_t of, rv_error *err)
{
    const extents x = extents_of(call->node);
    const float *gz = call->gout;
    if (x.act != RV_ACT_NONE) {
        rv_cpu()->linear->start(x.act, x.rows, x.out, x.out, call->out, call->saved, call->gout, call->scratch, NULL, false,
                                NULL);
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
    .work = work,
    .cut = cut,
    .packed = packed,
    .pack = pack,
    .prepare = prepare,
    .unprepare = unprepare,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_OUTPUT,
};
