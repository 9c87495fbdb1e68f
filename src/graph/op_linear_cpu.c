/* Linear layers in float32: y = act(x w^T + b).
 *
 * The library's product is faster when w stands in the order [in, out], so pack
 * transposes it once per step.  Rows go in blocks whose result stays in the cache
 * until bias and activation have passed over it. */
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/linear.h"
#include "tensor/kernels/cpu/product.h"

enum {
    BLOCK_BYTES = 1 << 18, /* of a block of the result */
    PACK_ROWS = 8          /* from here on the transposition pays */
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

static size_t packed(const rv_node *node)
{
    const extents x = extents_of(node);
    return x.rows >= PACK_ROWS ? (size_t)(x.in * x.out) * sizeof(float) : 0;
}

static rv_status pack(const rv_node *node, const void *prepared, const void *weight, void *to, rv_error *err)
{
    const extents x = extents_of(node);
    (void)prepared;
    (void)err;
    rv_cpu()->gemm->transpose(x.out, x.in, weight, x.in, to, x.out);
    return RV_OK;
}

/* act', where the result does not tell it. */
static size_t saved(const rv_node *node)
{
    const extents x = extents_of(node);
    return rv_activation_saves(x.act) ? (size_t)(x.rows * x.out) * sizeof(float) : 0;
}

/* The gradient before the activation. */
static size_t scratch(const rv_node *node)
{
    const extents x = extents_of(node);
    return x.act == RV_ACT_NONE ? 0 : (size_t)(x.rows * x.out) * sizeof(float);
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    const float *in = call->in[0]; /* [rows, in] */
    float *y = call->out, *slope = call->saved; /* [rows, out] */
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

static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    const float *gz = call->gout;
    if (x.act != RV_ACT_NONE || call->gin[2]) {
        float *product = x.act == RV_ACT_NONE ? NULL : call->scratch;
        rv_cpu()->linear->start(x.act, x.rows, x.out, call->out, call->saved, call->gout, product, call->add[2],
                                call->gin[2]);
        if (product)
            gz = product;
    }
    if (call->gin[0])
        RV_TRY(rv_product(x.rows, x.in, x.out, (rv_matrix){gz, x.out, false}, (rv_matrix){call->in[1], x.in, false},
                          call->add[0], call->gin[0], x.in, err));
    if (call->gin[1])
        RV_TRY(rv_product(x.out, x.in, x.rows, (rv_matrix){gz, x.out, true}, (rv_matrix){call->in[0], x.in, false},
                          call->add[1], call->gin[1], x.in, err));
    return RV_OK;
}

const rv_kernels rv_linear_cpu = {
    .forward = forward,
    .backward = backward,
    .saved = saved,
    .scratch = scratch,
    .packed = packed,
    .pack = pack,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1) | RV_READS_OUTPUT,
};
