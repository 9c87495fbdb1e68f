/* bf16 products by the register tiles of gemm.c, which need no copies of their operands and
 * no call's worth of work to pay; where the processor has matrix tiles (AMX), by oneDNN's
 * matmul, with weights in whatever layout it likes best. */
#include "tensor/kernels/cpu/dense.h"

#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/onednn.h"
#include "tensor/kernels/cpu/pack.h"
#include "tensor/limits.h"

enum {
    PANEL = RV_PACK_WIDEST,   /* columns of packed weights for our tiles */
    BLOCK_BYTES = 3 << 15     /* of the result of a block of rows */
};

struct rv_dense {
    rv_dense_shape shape;
    const struct rv_cpu_gemm *tiles; /* NULL: oneDNN multiplies, and what follows is made */
    dnnl_engine_t engine;
    dnnl_memory_desc_t x, gy;                        /* bf16, in rows; of one part, as what follows */
    dnnl_memory_desc_t x_whole, gy_turned;           /* of the product of the weights; [out, rows] */
    dnnl_memory_desc_t y, gx, gw;                    /* float32, in rows */
    dnnl_memory_desc_t w, w_turned;                  /* float32 as callers hold it: [out, in]; [in, out] */
    dnnl_memory_desc_t forward_w, data_w;            /* as the products want it */
    rv_step forward, data, data_add, weight, weight_add;
    rv_step pack_forward, pack_data; /* not made where rv_cpu_pack writes the layout */
    bool has_data;
};

bool rv_dense_possible(void)
{
    return strcmp(rv_limits_bf16(), "none") != 0;
}

/* The kernels that multiply, NULL: oneDNN's do. */
static const struct rv_cpu_gemm *tiles_of_processor(void)
{
    return strcmp(rv_limits_bf16(), "amx") != 0 && rv_cpu()->gemm->product_bf16 ? rv_cpu()->gemm : NULL;
}

/* ---- our tiles -------------------------------------------------------- */

static int64_t blocks(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

/* Elements of a panel of packed weights, and bytes of all of b [k, n]. */
static int64_t panel_stride(int64_t k)
{
    return blocks(k, RV_PACK_DEPTH) * RV_PACK_DEPTH * PANEL;
}

static size_t panels_bytes(int64_t k, int64_t n)
{
    return (size_t)(panel_stride(k) * blocks(n, PANEL)) * sizeof(uint16_t);
}

/* c [m, n] (+)= a [m, k] b, a in rows, b in panels. */
static void multiply(const rv_dense *d, int64_t m, int64_t n, int64_t k, const uint16_t *a, const uint16_t *b, bool add,
                     float *c)
{
    for (int64_t j = 0; j < n; j += PANEL, b += panel_stride(k))
        d->tiles->product_bf16(m, n - j < PANEL ? n - j : PANEL, blocks(k, 2), a, rv_bf16_ld(k) / 2, 1, b, PANEL, add,
                               c + j, n);
}

/* ---- oneDNN ----------------------------------------------------------- */

/* [rows, columns] in rows, or (turned) the transpose of what lies so; ld elements to a row. */
static dnnl_memory_desc_t describe(int64_t rows, int64_t columns, int64_t ld, dnnl_data_type_t type, bool turned)
{
    dnnl_memory_desc_t desc;
    const dnnl_dims_t dims = {rows, columns}, strides = {turned ? 1 : ld, turned ? ld : 1};
    dnnl_memory_desc_init_by_strides(&desc, 2, dims, type, strides);
    return desc;
}

/* c (+)= a b; b with a layout left open gets the library's choice. */
static dnnl_status_t make_product(const rv_dense *dense, rv_step *step, const dnnl_memory_desc_t *a,
                                  dnnl_memory_desc_t *b, const dnnl_memory_desc_t *c, bool add)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_matmul_desc_t op;
    dnnl_status_t status = rv_onednn_attributes(&attr, add);
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(&op, a, b, NULL, c);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &op, attr, dense->engine, NULL);
    if (status == dnnl_success) {
        *b = rv_onednn_query(desc, dnnl_query_weights_md);
        status = rv_step_make(step, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

static dnnl_status_t make_pack(const rv_dense *dense, rv_step *step, const dnnl_memory_desc_t *from,
                               const dnnl_memory_desc_t *to)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = rv_onednn_attributes(&attr, false);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&desc, from, dense->engine, to, dense->engine, attr);
    if (status == dnnl_success)
        status = rv_step_make(step, desc);
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* Whether the layout is that of rv_cpu_pack, b being desc in rows; then its block and stride. */
static bool is_pairs(const dnnl_memory_desc_t *desc, int64_t *block, int64_t *stride)
{
    const dnnl_blocking_desc_t *b = &desc->format_desc.blocking;
    if (desc->format_kind != dnnl_blocked || b->inner_nblks != 3 || b->inner_idxs[0] != 0 || b->inner_idxs[1] != 1 ||
        b->inner_idxs[2] != 0 || b->inner_blks[0] * b->inner_blks[2] != RV_PACK_DEPTH || b->inner_blks[2] != 2)
        return false;
    *block = b->inner_blks[1];
    *stride = b->strides[1];
    return *block % 16 == 0 && *block <= RV_PACK_WIDEST && b->strides[0] == RV_PACK_DEPTH * *block;
}

/* The products with gy and w, which give the gradient of x. */
static dnnl_status_t make_data(rv_dense *d)
{
    int64_t block, stride;
    dnnl_status_t status = make_product(d, &d->data, &d->gy, &d->data_w, &d->gx, false);
    if (status == dnnl_success)
        status = make_product(d, &d->data_add, &d->gy, &d->data_w, &d->gx, true);
    if (status == dnnl_success && !is_pairs(&d->data_w, &block, &stride))
        status = make_pack(d, &d->pack_data, &d->w, &d->data_w);
    return status;
}

static dnnl_status_t make(rv_dense *d)
{
    const int64_t in = d->shape.in, out = d->shape.out, in_ld = rv_bf16_ld(in), out_ld = rv_bf16_ld(out);
    const int64_t rows = d->shape.rows / d->shape.row_parts, part = out / d->shape.weight_parts;
    int64_t block, stride;
    const dnnl_dims_t forward = {in, out}, data = {out, in};
    d->x = describe(rows, in, in_ld, dnnl_bf16, false);
    d->gy = describe(rows, out, out_ld, dnnl_bf16, false);
    d->x_whole = describe(d->shape.rows, in, in_ld, dnnl_bf16, false);
    d->gy_turned = describe(part, d->shape.rows, out_ld, dnnl_bf16, true);
    d->y = describe(rows, out, out, dnnl_f32, false);
    d->gx = describe(rows, in, in, dnnl_f32, false);
    d->gw = describe(part, in, in, dnnl_f32, false);
    d->w = describe(out, in, in, dnnl_f32, false);
    d->w_turned = describe(in, out, in, dnnl_f32, true);
    dnnl_memory_desc_t x = d->x_whole;
    dnnl_status_t status = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&d->forward_w, 2, forward, dnnl_bf16, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&d->data_w, 2, data, dnnl_bf16, dnnl_format_tag_any);
    if (status == dnnl_success)
        status = make_product(d, &d->forward, &d->x, &d->forward_w, &d->y, false);
    if (status == dnnl_success && d->has_data)
        status = make_data(d);
    if (status == dnnl_success)
        status = make_product(d, &d->weight, &d->gy_turned, &x, &d->gw, false);
    if (status == dnnl_success)
        status = make_product(d, &d->weight_add, &d->gy_turned, &x, &d->gw, true);
    if (status == dnnl_success && !is_pairs(&d->forward_w, &block, &stride))
        status = make_pack(d, &d->pack_forward, &d->w_turned, &d->forward_w);
    return status;
}

rv_status rv_dense_new(rv_dense **made, rv_dense_shape shape, bool data, rv_error *err)
{
    *made = NULL;
    rv_dense *dense = calloc(1, sizeof *dense);
    if (!dense)
        return rv_fail(err, RV_E_MEMORY, "bf16 products: out of memory");
    *dense = (rv_dense){.shape = shape, .tiles = tiles_of_processor(), .has_data = data};
    const int threads = rv_onednn_threads(1); /* oneDNN plans for the number it sees */
    const rv_status status = dense->tiles ? RV_OK : rv_onednn_check(make(dense), "bf16 products", err);
    rv_onednn_threads(threads);
    if (status == RV_OK)
        *made = dense;
    else
        rv_dense_free(dense);
    return status;
}

enum { STEPS = 7 };

static void steps_of(const rv_dense *d, const rv_step *steps[STEPS])
{
    const rv_step *const all[STEPS] = {&d->forward, &d->data, &d->data_add, &d->weight, &d->weight_add,
                                       &d->pack_forward, &d->pack_data};
    memcpy(steps, all, sizeof all);
}

void rv_dense_free(rv_dense *dense)
{
    if (!dense)
        return;
    const rv_step *steps[STEPS];
    steps_of(dense, steps);
    for (int i = 0; i < STEPS; i++)
        rv_step_release((rv_step *)(uintptr_t)steps[i]);
    dnnl_engine_destroy(dense->engine);
    free(dense);
}

/* ---- calls ------------------------------------------------------------ */

static size_t forward_bytes(const rv_dense *d)
{
    return rv_arena_align(d->tiles ? panels_bytes(d->shape.in, d->shape.out) : dnnl_memory_desc_get_size(&d->forward_w));
}

static size_t data_bytes(const rv_dense *d)
{
    return rv_arena_align(d->tiles ? panels_bytes(d->shape.out, d->shape.in) : dnnl_memory_desc_get_size(&d->data_w));
}

size_t rv_dense_packed(const rv_dense *dense)
{
    return forward_bytes(dense) + (dense->has_data ? data_bytes(dense) : 0);
}

size_t rv_dense_scratch(const rv_dense *dense)
{
    const rv_step *steps[STEPS];
    size_t most = 0;
    if (dense->tiles)
        return 0;
    steps_of(dense, steps);
    for (int i = 0; i < STEPS; i++)
        most = rv_step_scratch(steps[i]) > most ? rv_step_scratch(steps[i]) : most;
    return most;
}

static rv_status run_pack(const rv_dense *d, const rv_step *step, const dnnl_memory_desc_t *from, const void *w,
                          const dnnl_memory_desc_t *to, void *packed, rv_error *err)
{
    const rv_step_operand operands[] = {{DNNL_ARG_FROM, from, w}, {DNNL_ARG_TO, to, packed}};
    return rv_step_run(step, d->engine, operands, 2, NULL, "bf16 weights", err);
}

rv_status rv_dense_pack(const rv_dense *dense, bool data, const float *w, void *packed, rv_error *err)
{
    const dnnl_memory_desc_t *desc = data ? &dense->data_w : &dense->forward_w;
    void *to = data ? (char *)packed + forward_bytes(dense) : packed;
    const int64_t k = data ? dense->shape.out : dense->shape.in, n = data ? dense->shape.in : dense->shape.out;
    int64_t block = PANEL, stride = panel_stride(k);
    if (!dense->tiles && !is_pairs(desc, &block, &stride))
        return data ? run_pack(dense, &dense->pack_data, &dense->w, w, desc, to, err)
                    : run_pack(dense, &dense->pack_forward, &dense->w_turned, w, desc, to, err);
    (data ? rv_cpu()->pack->straight : rv_cpu()->pack->turned)(k, n, w, block, stride, to);
    return RV_OK;
}

static rv_status run_product(const rv_dense *d, const rv_step *step, rv_step_operand a, rv_step_operand b,
                             rv_step_operand c, void *scratch, rv_error *err)
{
    const rv_step_operand operands[] = {a, b, c};
    return rv_step_run(step, d->engine, operands, 3, scratch, "bf16 product", err);
}

int64_t rv_dense_block(const rv_dense *dense)
{
    const int64_t part = dense->shape.rows / dense->shape.row_parts;
    const int64_t fits = BLOCK_BYTES / (int64_t)sizeof(float) / dense->shape.out / 12 * 12; /* whole tiles */
    return !dense->tiles || fits > part ? part : fits > 24 ? fits : 24;
}

rv_status rv_dense_forward(const rv_dense *dense, const void *packed, int64_t rows, const uint16_t *x, float *y,
                           void *scratch, rv_error *err)
{
    if (dense->tiles) {
        multiply(dense, rows, dense->shape.out, dense->shape.in, x, packed, false, y);
        return RV_OK;
    }
    return run_product(dense, &dense->forward, (rv_step_operand){DNNL_ARG_SRC, &dense->x, x},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->forward_w, packed},
                       (rv_step_operand){DNNL_ARG_DST, &dense->y, y}, scratch, err);
}

rv_status rv_dense_data(const rv_dense *dense, const void *packed, int64_t rows, const uint16_t *gy, bool add, float *gx,
                        void *scratch, rv_error *err)
{
    const void *w = (const char *)packed + forward_bytes(dense);
    if (dense->tiles) {
        multiply(dense, rows, dense->shape.in, dense->shape.out, gy, w, add, gx);
        return RV_OK;
    }
    return run_product(dense, add ? &dense->data_add : &dense->data, (rv_step_operand){DNNL_ARG_SRC, &dense->gy, gy},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->data_w, w},
                       (rv_step_operand){DNNL_ARG_DST, &dense->gx, gx}, scratch, err);
}

bool rv_dense_pairs(const rv_dense *dense)
{
    return dense->tiles;
}

rv_status rv_dense_weight(const rv_dense *dense, int64_t rows, const void *gy, const void *x, bool add, float *gw,
                          void *scratch, rv_error *err)
{
    const rv_dense_shape *s = &dense->shape;
    if (dense->tiles) {
        dense->tiles->product_bf16(rows, s->in, blocks(s->rows, 2), gy, 1, s->out, x, s->in, add, gw, s->in);
        return RV_OK;
    }
    return run_product(dense, add ? &dense->weight_add : &dense->weight,
                       (rv_step_operand){DNNL_ARG_SRC, &dense->gy_turned, gy},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->x_whole, x},
                       (rv_step_operand){DNNL_ARG_DST, &dense->gw, gw}, scratch, err);
}
