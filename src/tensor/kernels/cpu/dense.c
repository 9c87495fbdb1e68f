/* bf16 products by oneDNN's matmul: weights in whatever layout it likes best, activations
 * and results in rows. */
#include "tensor/kernels/cpu/dense.h"

#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "tensor/kernels/cpu/onednn.h"
#include "tensor/kernels/cpu/pack.h"
#include "tensor/limits.h"

struct rv_dense {
    dnnl_engine_t engine;
    rv_dense_shape shape;
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

/* [rows, columns] in rows, or (turned) the transpose of what lies so, ld elements in a row. */
static dnnl_memory_desc_t describe_in(int64_t rows, int64_t columns, int64_t ld, dnnl_data_type_t type, bool turned)
{
    dnnl_memory_desc_t desc;
    const dnnl_dims_t dims = {rows, columns}, strides = {turned ? 1 : ld, turned ? ld : 1};
    dnnl_memory_desc_init_by_strides(&desc, 2, dims, type, strides);
    return desc;
}

static dnnl_memory_desc_t describe(int64_t rows, int64_t columns, dnnl_data_type_t type, bool turned)
{
    return describe_in(rows, columns, turned ? rows : columns, type, turned);
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
    int64_t block, stride;
    const int64_t in = d->shape.in, out = d->shape.out;
    const int64_t rows = d->shape.rows / d->shape.row_parts, part = out / d->shape.weight_parts;
    const dnnl_dims_t forward = {in, out}, data = {out, in};
    d->x = describe(rows, in, dnnl_bf16, false);
    d->gy = describe(rows, out, dnnl_bf16, false);
    d->x_whole = describe(d->shape.rows, in, dnnl_bf16, false);
    d->gy_turned = describe_in(part, d->shape.rows, out, dnnl_bf16, true);
    d->y = describe(rows, out, dnnl_f32, false);
    d->gx = describe(rows, in, dnnl_f32, false);
    d->gw = describe(part, in, dnnl_f32, false);
    d->w = describe(out, in, dnnl_f32, false);
    d->w_turned = describe(in, out, dnnl_f32, true);
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
    dense->shape = shape;
    dense->has_data = data;
    const int threads = rv_onednn_threads(1); /* oneDNN plans for the number it sees */
    const rv_status status = rv_onednn_check(make(dense), "bf16 products", err);
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

static size_t forward_bytes(const rv_dense *dense)
{
    return rv_arena_align(dnnl_memory_desc_get_size(&dense->forward_w));
}

size_t rv_dense_packed(const rv_dense *dense)
{
    return forward_bytes(dense) + (dense->has_data ? rv_arena_align(dnnl_memory_desc_get_size(&dense->data_w)) : 0);
}

size_t rv_dense_scratch(const rv_dense *dense)
{
    const rv_step *steps[STEPS];
    size_t most = 0;
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
    int64_t block, stride;
    if (!is_pairs(desc, &block, &stride))
        return data ? run_pack(dense, &dense->pack_data, &dense->w, w, desc, to, err)
                    : run_pack(dense, &dense->pack_forward, &dense->w_turned, w, desc, to, err);
    (data ? rv_cpu()->pack->straight : rv_cpu()->pack->turned)(desc->dims[0], desc->dims[1], w, block, stride, to);
    return RV_OK;
}

static rv_status run_product(const rv_dense *d, const rv_step *step, rv_step_operand a, rv_step_operand b,
                             rv_step_operand c, void *scratch, rv_error *err)
{
    const rv_step_operand operands[] = {a, b, c};
    return rv_step_run(step, d->engine, operands, 3, scratch, "bf16 product", err);
}

/* Elements before part `part` of n in `parts` of so many elements each. */
static int64_t before(int part, int64_t n, int parts, int64_t each)
{
    return n / parts * part * each;
}

rv_status rv_dense_forward(const rv_dense *dense, int part, const void *packed, const uint16_t *x, float *y,
                           void *scratch, rv_error *err)
{
    const rv_dense_shape *s = &dense->shape;
    return run_product(dense, &dense->forward,
                       (rv_step_operand){DNNL_ARG_SRC, &dense->x, x + before(part, s->rows, s->row_parts, s->in)},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->forward_w, packed},
                       (rv_step_operand){DNNL_ARG_DST, &dense->y, y + before(part, s->rows, s->row_parts, s->out)},
                       scratch, err);
}

rv_status rv_dense_data(const rv_dense *dense, int part, const void *packed, const uint16_t *gy, bool add, float *gx,
                        void *scratch, rv_error *err)
{
    const rv_dense_shape *s = &dense->shape;
    const char *w = (const char *)packed + forward_bytes(dense);
    return run_product(dense, add ? &dense->data_add : &dense->data,
                       (rv_step_operand){DNNL_ARG_SRC, &dense->gy, gy + before(part, s->rows, s->row_parts, s->out)},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->data_w, w},
                       (rv_step_operand){DNNL_ARG_DST, &dense->gx, gx + before(part, s->rows, s->row_parts, s->in)},
                       scratch, err);
}

rv_status rv_dense_weight(const rv_dense *dense, int part, const uint16_t *gy, const uint16_t *x, bool add, float *gw,
                          void *scratch, rv_error *err)
{
    const rv_dense_shape *s = &dense->shape;
    return run_product(dense, add ? &dense->weight_add : &dense->weight,
                       (rv_step_operand){DNNL_ARG_SRC, &dense->gy_turned, gy + before(part, s->out, s->weight_parts, 1)},
                       (rv_step_operand){DNNL_ARG_WEIGHTS, &dense->x_whole, x},
                       (rv_step_operand){DNNL_ARG_DST, &dense->gw, gw + before(part, s->out, s->weight_parts, s->in)},
                       scratch, err);
}
