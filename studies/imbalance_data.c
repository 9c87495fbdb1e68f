/* The random data and the digits with bar codes of the study class-imbalance. */
#include <math.h>
#include <stdlib.h>

#include "ravine/nn.h"
#include "studies/digits.h"
#include "studies/imbalance.h"
#include "studies/tables.h"

/* ---- random data --------------------------------------------------------------------------------- */

int rv_hierarchy_classes(int size)
{
    return (1 << size) - 1;
}

int rv_hierarchy_level(int k)
{
    int level = 0;
    while (k + 1 >= 2 << level)
        level++;
    return level;
}

double rv_hierarchy_share(int size, int k)
{
    return ldexp(1, -rv_hierarchy_level(k)) / size;
}

static void build_linear(rv_graph *graph, const rv_value *inputs, const void *params)
{
    const rv_linear_spec *spec = params;
    int64_t features = rv_graph_shape(graph, inputs[0]).dim[1];
    rv_init init = rv_init_torch_linear(features);
    rv_layer layer = {.out = spec->equal ? 1 << spec->size : rv_hierarchy_classes(spec->size), .role = RV_ROLE_HEAD, .bias = true,
                      .weight_init = init, .bias_init = init};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", inputs[0], layer), inputs[1], (rv_cross_entropy_options){0});
}

rv_status rv_imbalance_linear(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err)
{
    (void)run;
    const rv_linear_spec *spec = context;
    int classes = spec->equal ? 1 << spec->size : rv_hierarchy_classes(spec->size), n = spec->size << spec->size;
    int features = (spec->size + 1) << spec->size;
    size_t all = (size_t)n * (size_t)features;
    float *x = malloc(all * sizeof *x);
    int32_t *labels = malloc((size_t)n * sizeof *labels), *group = calloc((size_t)classes, sizeof *group);
    for (size_t i = 0; x && i < all; i++)
        x[i] = (float)rv_random_uniform((rv_random){seed, RV_RANDOM_DATA, 0}, i);
    for (int k = 0, i = 0; labels && group && k < classes; k++) {
        group[k] = spec->equal ? 0 : rv_hierarchy_level(k);
        for (int j = 0; j < (spec->equal ? spec->size : 1 << (spec->size - group[k])); j++)
            labels[i++] = k;
    }
    *problem = (rv_grouped){.group = group, .groups = spec->equal ? 1 : spec->size, .batch = n, .build = build_linear, .params = spec};
    const rv_table rows = {.dtype = RV_F32, .row = RV_SHAPE(features), .train = n, .x = x, .labels = labels, .classes = classes};
    RV_TRY(rv_source_table(&problem->source, "random features", &rows, err));
    return group ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for %d classes", classes);
}

/* ---- digits with bar codes -------------------------------------------------------------------------- */

enum { SIDE = 14, PIXELS = SIDE * SIDE, FULL = 28, DIGITS = 10 };

/* codes 1 ... 2^bits - 1: the empty code would be a plain digit */
static int barcode_classes(const rv_barcode_spec *s)
{
    return DIGITS + (s->coded ? DIGITS * ((1 << s->bits) - 1) : 0);
}

static void build_barcodes(rv_graph *graph, const rv_value *inputs, const void *params)
{
    static const int channels[2] = {8, 16};
    rv_value x = inputs[0];
    int64_t batch = rv_graph_shape(graph, x).dim[0];
    for (int i = 0; i < 2; i++) {
        int64_t in = rv_graph_shape(graph, x).dim[3];
        x = rv_nn_conv(graph, i ? "conv1" : "conv0", x, channels[i], 3, 1, i ? RV_ROLE_HIDDEN : RV_ROLE_INPUT, rv_init_torch_linear(9 * in));
        x = rv_activate(graph, x, RV_ACT_RELU);
        if (i == 0)
            x = rv_max_pool(graph, x, 2, 2, 0);
    }
    int64_t width = SIDE / 2 * (SIDE / 2) * channels[1];
    rv_init init = rv_init_torch_linear(width);
    rv_layer head = {.out = barcode_classes(params), .role = RV_ROLE_HEAD, .bias = true, .weight_init = init, .bias_init = init};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", rv_reshape(graph, x, RV_SHAPE(batch, width)), head), inputs[1], (rv_cross_entropy_options){0});
}

/* to [14, 14] <- from [28, 28], means of 2 x 2 pixels. */
static void halve(const float *from, float *to)
{
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const float *p = from + 2 * y * FULL + 2 * x;
            to[y * SIDE + x] = (p[0] + p[1] + p[FULL] + p[FULL + 1]) / 4;
        }
}

/* Plain digits in the order of the data; then for every digit and code its images.  Every image is another
 * picture; x [n, 14, 14], labels [n]. */
static rv_status draw_barcodes(const rv_source *digits, const rv_barcode_spec *s, uint64_t seed, int plain, int n, float *x, int32_t *labels,
                               rv_error *err)
{
    const float white = 2.8F; /* about the brightest pixel after standardisation */
    int filled = 0, count[DIGITS] = {0}, codes = (1 << s->bits) - 1;
    int64_t all = digits->examples[RV_SPLIT_TRAIN];
    float pixels[FULL * FULL];
    uint32_t *order = malloc((size_t)all * sizeof *order);
    if (!order)
        return rv_fail(err, RV_E_MEMORY, "no memory for an order of %lld digits", (long long)all);
    rv_random_permutation((rv_random){seed, RV_RANDOM_DATA, 1}, (uint32_t)all, order);
    for (int64_t i = 0; i < all && filled < n; i++) {
        int32_t digit;
        int64_t id = order[i];
        digits->fill(digits, RV_SPLIT_TRAIN, &id, 1, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F32, (void *const[]){pixels, &digit});
        float *to = x + (int64_t)filled * PIXELS;
        halve(pixels, to);
        labels[filled] = digit;
        if (filled >= plain) {
            if (count[digit] == codes * s->each)
                continue;
            int code = 1 + count[digit]++ / s->each;
            labels[filled] = DIGITS + digit * codes + code - 1;
            for (int bit = 0; bit < s->bits; bit++)
                to[bit] = code >> bit & 1 ? white : to[bit];
        }
        filled++;
    }
    free(order);
    return filled == n ? RV_OK : rv_fail(err, RV_E_RANGE, "bar codes: expected %d digits, found %d", n, filled);
}

rv_status rv_imbalance_barcodes(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err)
{
    const rv_barcode_spec *s = context;
    rv_source *digits;
    int classes = barcode_classes(s), plain = DIGITS * ((1 << s->bits) - 1) * s->each, n = s->coded ? 2 * plain : plain;
    float *x = malloc((size_t)n * PIXELS * sizeof *x);
    int32_t *labels = malloc((size_t)n * sizeof *labels), *group = calloc((size_t)classes, sizeof *group);
    for (int k = DIGITS; group && k < classes; k++)
        group[k] = 1;
    *problem = (rv_grouped){.group = group, .groups = s->coded ? 2 : 1, .batch = n, .build = build_barcodes, .params = s};
    const rv_table rows = {.dtype = RV_F32, .row = RV_SHAPE(SIDE, SIDE, 1), .train = n, .x = x, .labels = labels, .classes = classes};
    RV_TRY(rv_source_table(&problem->source, "digits with bar codes", &rows, err));
    if (!group)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d classes", classes);
    RV_TRY(rv_digits_source(run, 0, &digits, err));
    rv_status status = draw_barcodes(digits, s, seed, plain, n, x, labels, err);
    rv_source_free(digits);
    return status;
}
