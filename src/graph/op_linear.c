/* Products: y = act(x w^T + b) over the last axis, and the batched matrix product. */
#include "graph/activation.h"
#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

/* ---- linear ----------------------------------------------------------- */

static rv_status linear_infer(rv_node *node, rv_error *err)
{
    const rv_activation_attr *attr = node->attr;
    RV_TRY(rv_operand_float(node, 0, "x", 0, err));
    RV_TRY(rv_operand_float(node, 1, "w", 2, err));
    const rv_shape *x = &node->in_shape[0], *w = &node->in_shape[1];
    if (w->dim[1] != x->dim[x->rank - 1])
        return rv_operand_fail(node, 1, "w", err, "[*, %lld]", (long long)x->dim[x->rank - 1]);
    RV_TRY(rv_operand_vector(node, 2, "b", w->dim[0], err));
    if (!rv_activation_name(attr->act))
        return rv_fail(err, RV_E_ARGUMENT, "linear '%s': activation: expected one of rv_activation, found %d",
                       node->name, (int)attr->act);
    node->shape = *x;
    node->shape.dim[x->rank - 1] = w->dim[0];
    return RV_OK;
}

typedef struct linear_size {
    int64_t rows, in, out;
} linear_size;

static linear_size linear_sizes(const rv_node *node)
{
    linear_size size = {1, node->in_shape[1].dim[1], node->in_shape[1].dim[0]};
    for (int i = 0; i < node->shape.rank - 1; i++)
        size.rows *= node->shape.dim[i];
    return size;
}

static rv_cost linear_cost(const rv_node *node)
{
    const linear_size size = linear_sizes(node);
    return (rv_cost){2.0 * (double)size.rows * (double)size.in * (double)size.out, rv_node_bytes(node)};
}

/* The sums before the activation, [rows, out]. */
static size_t linear_saved(const rv_node *node)
{
    return sizeof(double) * (size_t)rv_shape_size(&node->shape);
}

static rv_status linear_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_activation_attr *attr = call->node->attr;
    const linear_size size = linear_sizes(call->node);
    const double *x = call->in[0], *w = call->in[1], *b = call->in[2]; /* [rows, in] [out, in] [out] */
    double *y = call->out, *z = call->saved;                           /* [rows, out] */
    for (int64_t r = 0; r < size.rows; r++)
        for (int64_t o = 0; o < size.out; o++) {
            double sum = b ? b[o] : 0;
            for (int64_t i = 0; i < size.in; i++)
                sum += x[r * size.in + i] * w[o * size.in + i];
            z[r * size.out + o] = sum;
            y[r * size.out + o] = rv_activation_value(attr->act, sum);
        }
    return RV_OK;
}

static rv_status linear_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_activation_attr *attr = call->node->attr;
    const linear_size size = linear_sizes(call->node);
    const double *x = call->in[0], *w = call->in[1], *z = call->saved, *gy = call->gout;
    double *gx = rv_ref_gradient(call, 0), *gw = rv_ref_gradient(call, 1), *gb = rv_ref_gradient(call, 2);
    for (int64_t r = 0; r < size.rows; r++)
        for (int64_t o = 0; o < size.out; o++) {
            const double gz = gy[r * size.out + o] * rv_activation_slope(attr->act, z[r * size.out + o]);
            for (int64_t i = 0; gx && i < size.in; i++)
                gx[r * size.in + i] += gz * w[o * size.in + i];
            for (int64_t i = 0; gw && i < size.in; i++)
                gw[o * size.in + i] += gz * x[r * size.in + i];
            if (gb)
                gb[o] += gz;
        }
    return RV_OK;
}

/* Row after row, as the sums are defined. */
static rv_status linear_factors(const rv_call *call, void *sums, int64_t used, int64_t of, rv_error *err)
{
    (void)err;
    const rv_activation_attr *attr = call->node->attr;
    const linear_size size = linear_sizes(call->node);
    const double *x = call->in[0], *z = call->saved, *gy = call->gout;
    const int64_t rows = size.rows % of == 0 ? size.rows / of * used : size.rows;
    const int64_t width = size.in + (call->in[2] != NULL);
    double *a = sums, *g = a + width * width, *count = g + size.out * size.out;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < width; i++)
            for (int64_t j = 0; j <= i; j++)
                a[i * width + j] += (i < size.in ? x[r * size.in + i] : 1) * (j < size.in ? x[r * size.in + j] : 1);
        for (int64_t o = 0; o < size.out; o++)
            for (int64_t p = 0; p <= o; p++)
                g[o * size.out + p] += gy[r * size.out + o] * rv_activation_slope(attr->act, z[r * size.out + o]) *
                                       gy[r * size.out + p] * rv_activation_slope(attr->act, z[r * size.out + p]);
    }
    *count += (double)rows;
    return RV_OK;
}

static const rv_kernels linear_ref = {
    .forward = linear_forward,
    .backward = linear_backward,
    .factors = linear_factors,
    .saved = linear_saved,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
};

const rv_op rv_op_linear = {
    .name = "linear",
    .min_inputs = 2,
    .max_inputs = 3,
    .infer = linear_infer,
    .cost = linear_cost,
    .kernels = {[RV_BACKEND_REF] = &linear_ref, [RV_BACKEND_CPU] = &rv_linear_cpu},
};

/* ---- matmul ----------------------------------------------------------- */

typedef struct matmul_size {
    int64_t batch, m, n, k;
} matmul_size;

static matmul_size matmul_sizes(const rv_node *node)
{
    const rv_matmul_attr *attr = node->attr;
    const rv_shape *a = &node->in_shape[0], *b = &node->in_shape[1];
    matmul_size size = {1, a->dim[a->rank - (attr->transpose_a ? 1 : 2)],
                        b->dim[b->rank - (attr->transpose_b ? 2 : 1)],
                        a->dim[a->rank - (attr->transpose_a ? 2 : 1)]};
    for (int i = 0; i < a->rank - 2; i++)
        size.batch *= a->dim[i];
    return size;
}

static rv_status matmul_infer(rv_node *node, rv_error *err)
{
    const rv_matmul_attr *attr = node->attr;
    RV_TRY(rv_operand_float(node, 0, "a", 0, err));
    const rv_shape *a = &node->in_shape[0], *b = &node->in_shape[1];
    if (a->rank < 2)
        return rv_operand_fail(node, 0, "a", err, "rank at least 2");
    RV_TRY(rv_operand_float(node, 1, "b", a->rank, err));
    const matmul_size size = matmul_sizes(node);
    rv_shape expected = *a;
    expected.dim[a->rank - 2] = attr->transpose_b ? size.n : size.k;
    expected.dim[a->rank - 1] = attr->transpose_b ? size.k : size.n;
    char text[128];
    if (!rv_shape_equal(b, &expected))
        return rv_operand_fail(node, 1, "b", err, "%s", rv_shape_text(&expected, text, sizeof text));
    node->shape = *a;
    node->shape.dim[a->rank - 2] = size.m;
    node->shape.dim[a->rank - 1] = size.n;
    return RV_OK;
}

static rv_cost matmul_cost(const rv_node *node)
{
    const matmul_size size = matmul_sizes(node);
    return (rv_cost){2.0 * (double)size.batch * (double)size.m * (double)size.n * (double)size.k,
                     rv_node_bytes(node)};
}

/* Where element (i, p) of a and (p, j) of b stand, transposed or not. */
static int64_t at_a(const matmul_size *size, bool transposed, int64_t batch, int64_t i, int64_t p)
{
    return batch * size->m * size->k + (transposed ? p * size->m + i : i * size->k + p);
}

static int64_t at_b(const matmul_size *size, bool transposed, int64_t batch, int64_t p, int64_t j)
{
    return batch * size->k * size->n + (transposed ? j * size->k + p : p * size->n + j);
}

static rv_status matmul_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_matmul_attr *attr = call->node->attr;
    const matmul_size size = matmul_sizes(call->node);
    const double *a = call->in[0], *b = call->in[1];
    double *y = call->out; /* [batch, m, n] */
    for (int64_t s = 0; s < size.batch; s++)
        for (int64_t i = 0; i < size.m; i++)
            for (int64_t j = 0; j < size.n; j++) {
                double sum = 0;
                for (int64_t p = 0; p < size.k; p++)
                    sum += a[at_a(&size, attr->transpose_a, s, i, p)] * b[at_b(&size, attr->transpose_b, s, p, j)];
                y[(s * size.m + i) * size.n + j] = sum;
            }
    return RV_OK;
}

static rv_status matmul_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_matmul_attr *attr = call->node->attr;
    const matmul_size size = matmul_sizes(call->node);
    const double *a = call->in[0], *b = call->in[1], *gy = call->gout;
    double *ga = rv_ref_gradient(call, 0), *gb = rv_ref_gradient(call, 1);
    for (int64_t s = 0; s < size.batch; s++)
        for (int64_t i = 0; i < size.m; i++)
            for (int64_t j = 0; j < size.n; j++)
                for (int64_t p = 0; p < size.k; p++) {
                    const double g = gy[(s * size.m + i) * size.n + j];
                    const int64_t ip = at_a(&size, attr->transpose_a, s, i, p);
                    const int64_t pj = at_b(&size, attr->transpose_b, s, p, j);
                    if (ga)
                        ga[ip] += g * b[pj];
                    if (gb)
                        gb[pj] += g * a[ip];
                }
    return RV_OK;
}

static const rv_kernels matmul_ref = {
    .forward = matmul_forward,
    .backward = matmul_backward,
    .reads = RV_READS_INPUT(0) | RV_READS_INPUT(1),
};

const rv_op rv_op_matmul = {
    .name = "matmul",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = matmul_infer,
    .cost = matmul_cost,
    .kernels = {[RV_BACKEND_REF] = &matmul_ref, [RV_BACKEND_CPU] = &rv_matmul_cpu},
};
