/* Batched matrix products in float32, each by rv_product. */
#include "graph/attr.h"
#include "graph/cut.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/product.h"

typedef struct extents {
    int64_t batch, m, n, k;
    bool ta, tb;
} extents;

static extents extents_of(const rv_node *node)
{
    const rv_matmul_attr *attr = node->attr;
    const rv_shape *a = &node->in_shape[0], *y = &node->shape;
    extents x = {1, y->dim[y->rank - 2], y->dim[y->rank - 1], a->dim[a->rank - (attr->transpose_a ? 2 : 1)],
                 attr->transpose_a, attr->transpose_b};
    for (int i = 0; i < a->rank - 2; i++)
        x.batch *= a->dim[i];
    return x;
}

/* A unit is one product of the batch. */
static rv_cut cut(const rv_node *node, bool backward)
{
    (void)backward;
    return rv_cut_of(rv_cut_units(extents_of(node).batch, 1));
}

static rv_matrix matrix(const float *data, int64_t batch, int64_t rows, int64_t columns, bool transposed)
{
    return (rv_matrix){data + batch * rows * columns, transposed ? rows : columns, transposed};
}

static rv_matrix flipped(rv_matrix m)
{
    return (rv_matrix){m.data, m.ld, !m.transposed};
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    float *y = call->out;
    for (int64_t s = call->first; s < call->end && s < x.batch; s++)
        RV_TRY(rv_product(x.m, x.n, x.k, matrix(call->in[0], s, x.m, x.k, x.ta),
                          matrix(call->in[1], s, x.k, x.n, x.tb), false, y + s * x.m * x.n, x.n, err));
    return RV_OK;
}

/* The gradient of an operand stored as its transpose is the transposed product. */
static rv_status backward(const rv_call *call, rv_error *err)
{
    const extents x = extents_of(call->node);
    float *ga = call->gin[0], *gb = call->gin[1];
    for (int64_t s = call->first; s < call->end && s < x.batch; s++) {
        const rv_matrix gy = matrix(call->gout, s, x.m, x.n, false);
        const rv_matrix a = matrix(call->in[0], s, x.m, x.k, x.ta), b = matrix(call->in[1], s, x.k, x.n, x.tb);
        if (ga && !x.ta)
            RV_TRY(rv_product(x.m, x.k, x.n, gy, flipped(b), call->add[0], ga + s * x.m * x.k, x.k, err));
        if (ga && x.ta)
            RV_TRY(rv_product(x.k, x.m, x.n, b, flipped(gy), call->add[0], ga + s * x.m * x.k, x.m, err));
        if (gb && !x.tb)
            RV_TRY(rv_product(x.k, x.n, x.m, flipped(a), gy, call->add[1], gb + s * x.k * x.n, x.n, err));
        if (gb && x.tb)
            RV_TRY(rv_product(x.n, x.k, x.m, flipped(gy), a, call->add[1], gb + s * x.k * x.n, x.k, err));
    }
    return RV_OK;
}

const rv_kernels rv_matmul_cpu = {
    .forward = forward,
    .backward = backward,
    .cut = cut,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
};
