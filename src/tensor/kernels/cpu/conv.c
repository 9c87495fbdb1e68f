/* oneDNN convolutions: images stay channels-last, kernels take the layouts oneDNN
 * likes best; kernel gradients come back to [out, in / groups, kh, kw].
 *
 * oneDNN's execute allocates a few small objects of its own; nothing else does. */
#include "tensor/kernels/cpu/conv.h"

#include <stdlib.h>

#include "core/arena.h"
#include "tensor/kernels/cpu/elementwise.h"
#include "tensor/kernels/cpu/onednn.h"

struct rv_conv {
    rv_conv_shape shape;
    bool bf16; /* asked for, possible and faster */
    dnnl_engine_t engine;
    dnnl_memory_desc_t x, y;           /* operands of the products: f32 or bf16, nhwc */
    dnnl_memory_desc_t x32, y32;       /* what callers hold */
    dnnl_memory_desc_t kernel, bias;   /* what callers hold */
    dnnl_memory_desc_t forward_kernel, data_kernel, gradient_kernel;
    rv_step forward, data, weights;
    rv_step pack_forward, pack_data;      /* kernel -> library layouts */
    rv_step unpack, unpack_add;           /* gradient_kernel -> kernel */
    rv_step round_x, round_y;             /* f32 -> bf16 */
};

/* ---- execution -------------------------------------------------------- */

static rv_status execute(const rv_conv *conv, const rv_step *step, const rv_step_operand *operands, int count,
                         void *scratch, rv_error *err)
{
    return rv_step_run(step, conv->engine, operands, count, scratch, "convolution", err);
}

#define EXECUTE(conv, step, scratch, err, ...)                                                     \
    execute(conv, step, (const rv_step_operand[]){__VA_ARGS__},                                    \
            (int)(sizeof((const rv_step_operand[]){__VA_ARGS__}) / sizeof(rv_step_operand)), scratch, err)

/* ---- construction ----------------------------------------------------- */

static dnnl_memory_desc_t describe(int rank, const int64_t *dim, dnnl_data_type_t type,
                                   dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims;
    for (int i = 0; i < rank; i++)
        dims[i] = dim[i];
    dnnl_memory_desc_init_by_tag(&desc, rank, dims, type, tag);
    return desc;
}

static dnnl_memory_desc_t describe_kernel(const rv_conv_shape *s, dnnl_data_type_t type, bool any)
{
    const int64_t plain[] = {s->out, s->in, s->kh, s->kw};
    const int64_t grouped[] = {s->groups, s->out / s->groups, s->in / s->groups, s->kh, s->kw};
    if (s->groups == 1)
        return describe(4, plain, type, any ? dnnl_format_tag_any : dnnl_oihw);
    return describe(5, grouped, type, any ? dnnl_format_tag_any : dnnl_goihw);
}

static dnnl_status_t make_reorder(const rv_conv *conv, rv_step *step, const dnnl_memory_desc_t *from,
                                  const dnnl_memory_desc_t *to, bool add)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = rv_onednn_attributes(&attr, add);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&desc, from, conv->engine, to, conv->engine, attr);
    if (status == dnnl_success)
        status = rv_step_make(step, desc);
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

typedef struct geometry {
    dnnl_dims_t stride, dilation, padding;
} geometry;

static dnnl_status_t make_forward(rv_conv *conv, const geometry *g, const dnnl_memory_desc_t *any,
                                  dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *desc)
{
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &op, dnnl_forward_training, dnnl_convolution_direct, &conv->x, any,
        conv->shape.bias ? &conv->bias : NULL, &conv->y32, g->stride, g->dilation, g->padding, g->padding);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(desc, &op, attr, conv->engine, NULL);
    if (status != dnnl_success)
        return status;
    conv->forward_kernel = rv_onednn_query(*desc, dnnl_query_weights_md);
    return rv_step_make(&conv->forward, *desc);
}

static dnnl_status_t make_data(rv_conv *conv, const geometry *g, const dnnl_memory_desc_t *any,
                               dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &op, dnnl_convolution_direct, &conv->x32, any, &conv->y, g->stride, g->dilation, g->padding,
        g->padding);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &op, attr, conv->engine, forward);
    if (status == dnnl_success) {
        conv->data_kernel = rv_onednn_query(desc, dnnl_query_weights_md);
        status = rv_step_make(&conv->data, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    return status;
}

static dnnl_status_t make_weights(rv_conv *conv, const geometry *g, const dnnl_memory_desc_t *any,
                                  dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &op, dnnl_convolution_direct, &conv->x, any, conv->shape.bias ? &conv->bias : NULL, &conv->y,
        g->stride, g->dilation, g->padding, g->padding);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &op, attr, conv->engine, forward);
    if (status == dnnl_success) {
        conv->gradient_kernel = rv_onednn_query(desc, dnnl_query_diff_weights_md);
        status = rv_step_make(&conv->weights, desc);
    }
    dnnl_primitive_desc_destroy(desc);
    return status;
}

static void release_steps(rv_conv *conv)
{
    rv_step *const steps[] = {&conv->forward, &conv->data,   &conv->weights,    &conv->pack_forward, &conv->pack_data,
                           &conv->unpack,  &conv->unpack_add, &conv->round_x, &conv->round_y};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        rv_step_release(steps[i]);
    }
}

/* The three products with operands of one type. */
static dnnl_status_t make_products(rv_conv *conv, dnnl_data_type_t type)
{
    const rv_conv_shape *s = &conv->shape;
    const int64_t x[] = {s->n, s->in, s->h, s->w}, y[] = {s->n, s->out, s->oh, s->ow};
    const geometry g = {{s->stride, s->stride}, {s->dilation - 1, s->dilation - 1}, {s->padding, s->padding}};
    const dnnl_memory_desc_t any = describe_kernel(s, type, true);
    const dnnl_memory_desc_t any32 = describe_kernel(s, dnnl_f32, true);
    conv->x = describe(4, x, type, dnnl_nhwc);
    conv->y = describe(4, y, type, dnnl_nhwc);
    conv->x32 = describe(4, x, dnnl_f32, dnnl_nhwc);
    conv->y32 = describe(4, y, dnnl_f32, dnnl_nhwc);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t forward = NULL;
    dnnl_status_t status = rv_onednn_attributes(&attr, false);
    if (status == dnnl_success)
        status = make_forward(conv, &g, &any, attr, &forward);
    if (status == dnnl_success)
        status = make_data(conv, &g, &any, attr, forward);
    if (status == dnnl_success)
        status = make_weights(conv, &g, &any32, attr, forward);
    dnnl_primitive_desc_destroy(forward);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        release_steps(conv);
    return status;
}

static dnnl_status_t make_reorders(rv_conv *conv)
{
    dnnl_status_t status =
        make_reorder(conv, &conv->pack_forward, &conv->kernel, &conv->forward_kernel, false);
    if (status == dnnl_success)
        status = make_reorder(conv, &conv->pack_data, &conv->kernel, &conv->data_kernel, false);
    if (status == dnnl_success)
        status = make_reorder(conv, &conv->unpack, &conv->gradient_kernel, &conv->kernel, false);
    if (status == dnnl_success)
        status = make_reorder(conv, &conv->unpack_add, &conv->gradient_kernel, &conv->kernel, true);
    if (status == dnnl_success && conv->bf16)
        status = make_reorder(conv, &conv->round_x, &conv->x32, &conv->x, false);
    if (status == dnnl_success && conv->bf16)
        status = make_reorder(conv, &conv->round_y, &conv->y32, &conv->y, false);
    return status;
}

/* Below this many channels the bf16 gradients were measured slower than the f32 ones. */
enum { LEAST_BF16_CHANNELS = 16 };

/* oneDNN 2.6's bf16 kernel gradient (AMX) is wrong for some dilated kernels and for images
 * narrower than the stride: those stay f32. */
static bool wants_bf16(const rv_conv_shape *s)
{
    return s->bf16 && s->dilation == 1 && s->w >= s->stride && s->in / s->groups >= LEAST_BF16_CHANNELS;
}

static dnnl_status_t make(rv_conv *conv)
{
    const int64_t channels[] = {conv->shape.out};
    conv->kernel = describe_kernel(&conv->shape, dnnl_f32, false);
    conv->bias = describe(1, channels, dnnl_f32, dnnl_a);
    dnnl_status_t status = dnnl_engine_create(&conv->engine, dnnl_cpu, 0);
    if (status != dnnl_success)
        return status;
    conv->bf16 = wants_bf16(&conv->shape) && make_products(conv, dnnl_bf16) == dnnl_success;
    if (!conv->bf16)
        status = make_products(conv, dnnl_f32);
    return status == dnnl_success ? make_reorders(conv) : status;
}

rv_status rv_conv_new(rv_conv **out, const rv_conv_shape *shape, rv_error *err)
{
    *out = NULL;
    rv_conv *conv = calloc(1, sizeof *conv);
    if (!conv)
        return rv_fail(err, RV_E_MEMORY, "convolution: out of memory");
    conv->shape = *shape;
    /* oneDNN plans for the number of threads it sees. */
    const int threads = rv_onednn_threads(1);
    const rv_status status = rv_onednn_check(make(conv), "convolution", err);
    rv_onednn_threads(threads);
    if (status != RV_OK)
        rv_conv_free(conv);
    else
        *out = conv;
    return status;
}

void rv_conv_free(rv_conv *conv)
{
    if (!conv)
        return;
    release_steps(conv);
    if (conv->engine)
        dnnl_engine_destroy(conv->engine);
    free(conv);
}

/* ---- memory ----------------------------------------------------------- */

static size_t aligned_size(const dnnl_memory_desc_t *desc)
{
    return rv_arena_align(dnnl_memory_desc_get_size(desc));
}

size_t rv_conv_packed(const rv_conv *conv)
{
    return aligned_size(&conv->forward_kernel) + aligned_size(&conv->data_kernel);
}

size_t rv_conv_rounded(const rv_conv *conv)
{
    return conv->bf16 ? aligned_size(&conv->x) : 0;
}

/* Backward's scratch: gy in bf16, the kernel's and bias's gradients, x's gradient when it
 * is added; then the library's own. */
typedef struct places {
    size_t gy, kernel, bias, x, library, end;
} places;

static places place(const rv_conv *conv)
{
    const rv_step *const steps[] = {&conv->forward, &conv->data, &conv->weights, &conv->unpack, &conv->unpack_add};
    places p = {0};
    p.kernel = conv->bf16 ? aligned_size(&conv->y) : 0;
    p.bias = p.kernel + aligned_size(&conv->gradient_kernel);
    p.x = p.bias + aligned_size(&conv->bias);
    p.library = p.x + aligned_size(&conv->x32);
    p.end = p.library;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const size_t end = p.library + rv_step_scratch(steps[i]);
        p.end = p.end > end ? p.end : end;
    }
    return p;
}

size_t rv_conv_scratch(const rv_conv *conv)
{
    return place(conv).end;
}

/* ---- calls ------------------------------------------------------------ */

rv_status rv_conv_pack(const rv_conv *conv, const float *kernel, void *packed, rv_error *err)
{
    char *data_kernel = (char *)packed + aligned_size(&conv->forward_kernel);
    RV_TRY(EXECUTE(conv, &conv->pack_forward, NULL, err, {DNNL_ARG_FROM, &conv->kernel, kernel},
                   {DNNL_ARG_TO, &conv->forward_kernel, packed}));
    return EXECUTE(conv, &conv->pack_data, NULL, err, {DNNL_ARG_FROM, &conv->kernel, kernel},
                   {DNNL_ARG_TO, &conv->data_kernel, data_kernel});
}

rv_status rv_conv_forward(const rv_conv *conv, const void *packed, const float *x, const float *bias,
                          float *y, void *rounded, void *scratch, rv_error *err)
{
    char *library = (char *)scratch + place(conv).library;
    if (conv->bf16)
        RV_TRY(EXECUTE(conv, &conv->round_x, NULL, err, {DNNL_ARG_FROM, &conv->x32, x},
                       {DNNL_ARG_TO, &conv->x, rounded}));
    const rv_step_operand operands[] = {{DNNL_ARG_SRC, &conv->x, conv->bf16 ? rounded : x},
                                {DNNL_ARG_WEIGHTS, &conv->forward_kernel, packed},
                                {DNNL_ARG_DST, &conv->y32, y},
                                {DNNL_ARG_BIAS, &conv->bias, bias}};
    return execute(conv, &conv->forward, operands, conv->shape.bias ? 4 : 3, library, err);
}

static void add_to(float *sum, const float *term, int64_t n)
{
    rv_cpu()->elementwise->scale((size_t)n, (size_t)n, 1, term, sum, true);
}

static rv_status backward_data(const rv_conv *conv, const void *packed, const void *gy,
                               const rv_conv_gradients *g, char *scratch, rv_error *err)
{
    const rv_conv_shape *s = &conv->shape;
    const places p = place(conv);
    const char *kernel = (const char *)packed + aligned_size(&conv->forward_kernel);
    float *gx = g->add_x ? (float *)(void *)(scratch + p.x) : g->x;
    RV_TRY(EXECUTE(conv, &conv->data, scratch + p.library, err, {DNNL_ARG_DIFF_DST, &conv->y, gy},
                   {DNNL_ARG_WEIGHTS, &conv->data_kernel, kernel}, {DNNL_ARG_DIFF_SRC, &conv->x32, gx}));
    if (g->add_x)
        add_to(g->x, gx, s->n * s->h * s->w * s->in);
    return RV_OK;
}

static rv_status backward_kernel(const rv_conv *conv, const void *x, const void *gy,
                                 const rv_conv_gradients *g, char *scratch, rv_error *err)
{
    const places p = place(conv);
    const rv_step *unpack = g->add_kernel ? &conv->unpack_add : &conv->unpack;
    float *gbias = g->bias && !g->add_bias ? g->bias : (float *)(void *)(scratch + p.bias);
    const rv_step_operand operands[] = {{DNNL_ARG_SRC, &conv->x, x},
                                {DNNL_ARG_DIFF_DST, &conv->y, gy},
                                {DNNL_ARG_DIFF_WEIGHTS, &conv->gradient_kernel, scratch + p.kernel},
                                {DNNL_ARG_DIFF_BIAS, &conv->bias, gbias}};
    RV_TRY(execute(conv, &conv->weights, operands, conv->shape.bias ? 4 : 3, scratch + p.library, err));
    if (g->bias && g->add_bias)
        add_to(g->bias, gbias, conv->shape.out);
    if (!g->kernel)
        return RV_OK;
    return EXECUTE(conv, unpack, scratch + p.library, err,
                   {DNNL_ARG_FROM, &conv->gradient_kernel, scratch + p.kernel},
                   {DNNL_ARG_TO, &conv->kernel, g->kernel});
}

rv_status rv_conv_backward(const rv_conv *conv, const void *packed, const float *x, const void *rounded,
                           const float *gy, const rv_conv_gradients *gradients, void *scratch, rv_error *err)
{
    const void *operand_gy = gy;
    if (conv->bf16) {
        operand_gy = scratch;
        RV_TRY(EXECUTE(conv, &conv->round_y, NULL, err, {DNNL_ARG_FROM, &conv->y32, gy},
                       {DNNL_ARG_TO, &conv->y, scratch}));
    }
    if (gradients->x)
        RV_TRY(backward_data(conv, packed, operand_gy, gradients, scratch, err));
    if (gradients->kernel || gradients->bias)
        RV_TRY(backward_kernel(conv, conv->bf16 ? rounded : x, operand_gy, gradients, scratch, err));
    return RV_OK;
}
