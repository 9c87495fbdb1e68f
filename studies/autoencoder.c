/* A deep autoencoder of small digits, in the manner of Hinton and Salakhutdinov's, and its sparse initialisation.
 * Invariant: all networks over one set of pixels read the same memory. */
#include "studies/autoencoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/network.h"
#include "ravine/nn.h"
#include "studies/digits.h"

enum { POOL = 4, SIDE = 7, PIXELS = SIDE * SIDE, LAYERS = 6 };
static const int widths[LAYERS] = {32, 16, 8, 16, 32, PIXELS};

typedef struct pixel_source {
    rv_source source;
    const rv_pixels *pixels;
} pixel_source;

static void fill(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment, uint64_t first,
                 rv_dtype dtype, void *const *inputs)
{
    (void)split;
    (void)augment;
    (void)first;
    (void)dtype; /* float32: every trial's */
    const rv_pixels *all = ((const pixel_source *)source)->pixels;
    for (int i = 0; i < count; i++) {
        float *to = (float *)inputs[0] + i * PIXELS;
        if (ids[i] < 0)
            memset(to, 0, PIXELS * sizeof *to);
        else
            memcpy(to, all->at + ids[i] * PIXELS, PIXELS * sizeof *to);
    }
}

static void free_source(rv_source *source)
{
    free(source);
}

/* Standardised pixels [28, 28] back to [0, 1] and averaged; every set has black and white ones. */
static void average(const float *from, int64_t images, float *to)
{
    int64_t n = images * 28 * 28;
    float low = from[0], high = from[0];
    for (int64_t i = 0; i < n; i++) {
        low = fminf(low, from[i]);
        high = fmaxf(high, from[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t image = i / (28 * 28), y = i / 28 % 28, x = i % 28;
        to[image * PIXELS + y / POOL * SIDE + x / POOL] += (from[i] - low) / (high - low) / (POOL * POOL);
    }
}

rv_status rv_pixels_read(const rv_study_run *run, int64_t images, rv_pixels *out, rv_error *err)
{
    rv_source *source = NULL;
    RV_TRY(rv_digits_source(run, (int)images, &source, err));
    *out = (rv_pixels){images, calloc((size_t)images * PIXELS, sizeof(float))};
    float *raw = malloc((size_t)images * 28 * 28 * sizeof *raw);
    int32_t *labels = malloc((size_t)images * sizeof *labels);
    int64_t *ids = malloc((size_t)images * sizeof *ids);
    bool enough = out->at && raw && labels && ids;
    for (int64_t i = 0; enough && i < images; i++)
        ids[i] = i;
    if (enough) {
        source->fill(source, RV_SPLIT_TRAIN, ids, (int)images, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F32, (void *const[]){raw, labels});
        average(raw, images, out->at);
    }
    free(raw);
    free(labels);
    free(ids);
    rv_source_free(source);
    return enough ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for %lld digits", (long long)images);
}

/* The loss is the mean over pixels; the error of an image, as the paper has it, the sum. */
static void build(rv_graph *graph, const rv_value *inputs, const void *unused)
{
    (void)unused;
    rv_value x = inputs[0]; /* [rows, 49] */
    for (int i = 0; i < LAYERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", i);
        rv_layer layer = {.out = widths[i], .bias = true, .bias_init = rv_init_zero(), .weight_init = rv_init_normal(1), .act = RV_ACT_SIGMOID,
                          .role = i == 0 ? RV_ROLE_INPUT : i == LAYERS - 1 ? RV_ROLE_HEAD : RV_ROLE_HIDDEN};
        x = rv_nn_linear(graph, name, x, layer);
    }
    rv_graph_set_loss(graph, rv_mse(graph, x, inputs[0], RV_NONE));
}

rv_status rv_autoencoder_new(rv_objective **out, const rv_pixels *pixels, int64_t batch, rv_error *err)
{
    pixel_source *own = calloc(1, sizeof *own);
    if (!own)
        return rv_fail(err, RV_E_MEMORY, "no memory for a source of pixels");
    own->pixels = pixels;
    own->source = (rv_source){.inputs = 1, .input_dtype = {RV_F32}, .input_shape = {RV_SHAPE(PIXELS)}, .examples = {pixels->images},
                              .fill = fill, .free = free_source};
    rv_network network = {.name = "autoencoder", .build = build, .source = &own->source, .batch = batch, .shards = 1, .evaluation_rows = 100,
                          .evaluation_limit = pixels->images};
    rv_workload_env env = {.backend = RV_BACKEND_CPU};
    return rv_network_new(out, &network, &env, err);
}

rv_status rv_autoencoder_error(rv_objective *o, const void *w, double *error, rv_error *err)
{
    RV_TRY(rv_study_evaluate(o, w, RV_SPLIT_TRAIN, "loss", error, err));
    *error *= PIXELS;
    return RV_OK;
}

void rv_autoencoder_sparse(const rv_objective *o, uint64_t seed, int64_t incoming, double scale, float *w)
{
    uint32_t order[PIXELS];
    for (int t = 0; t < o->layout->count; t++) {
        const rv_tensor *tensor = &o->layout->tensors[t];
        if (tensor->shape.rank != 2)
            continue;
        int64_t in = tensor->shape.dim[1];
        for (int64_t unit = 0; unit < tensor->shape.dim[0]; unit++) {
            rv_random stream = {seed, RV_RANDOM_INIT, (uint64_t)(tensor->offset + unit)};
            float *row = w + tensor->offset + unit * in;
            rv_random_permutation(stream, (uint32_t)in, order);
            stream.step += (uint64_t)1 << 32; /* not the numbers that made the order */
            for (int64_t k = 0; k < in; k++)
                row[order[k]] = k < incoming ? (float)(scale * rv_random_normal(stream, (uint64_t)k)) : 0;
        }
    }
}
