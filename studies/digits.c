/* Builds the perceptrons and, for squared error, puts one-hot targets beside the labels. */
#include "studies/digits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/network.h"

enum { CLASSES = 10, POOL = 4 };

static rv_init init_of(const rv_digits *d, int layer, int64_t fan_in)
{
    if (d->equal)
        return (rv_init){RV_INIT_CONSTANT, 1 / (double)fan_in};
    if (d->deviation > 0)
        return rv_init_normal(d->deviation);
    return rv_init_normal((layer == 0 ? 1 : d->gain) / sqrt((double)fan_in));
}

rv_value rv_digits_build(rv_graph *graph, rv_value pixels, const rv_digits *d, bool trace)
{
    rv_shape shape = rv_graph_shape(graph, pixels);
    rv_value x = rv_average_pool(graph, pixels, POOL, POOL, 0);
    int64_t in = shape.dim[1] / POOL * (shape.dim[2] / POOL) * shape.dim[3];
    x = rv_reshape(graph, x, RV_SHAPE(shape.dim[0], in));
    for (int i = 0; i <= d->depth; i++) {
        char name[32];
        bool last = i == d->depth, normed = d->norm > (last ? 1 : 0);
        snprintf(name, sizeof name, last ? "head" : "hidden%d", i);
        rv_layer layer = {.out = last ? CLASSES : d->width, .bias = d->bias, .bias_init = rv_init_zero(),
                          .role = last ? RV_ROLE_HEAD : i == 0 ? RV_ROLE_INPUT : RV_ROLE_HIDDEN,
                          .act = last || normed ? RV_ACT_NONE : d->act, .weight_init = init_of(d, i, in)};
        x = rv_nn_linear(graph, name, x, layer);
        if (normed)
            x = rv_batch_norm(graph, x, RV_NONE, RV_NONE, 0);
        if (normed && !last)
            x = rv_activate(graph, x, d->act);
        in = layer.out;
        snprintf(name, sizeof name, "layer%d", i);
        if (trace)
            rv_graph_set_output(graph, name, x);
    }
    return x;
}

static void build(rv_graph *graph, const rv_value *inputs, const void *params)
{
    const rv_digits *d = params;
    rv_value logits = rv_digits_build(graph, inputs[0], d, false);
    if (!d->squares) {
        rv_nn_classify(graph, logits, inputs[1], (rv_cross_entropy_options){0});
        return;
    }
    rv_graph_set_output(graph, "logits", logits);
    rv_graph_set_loss(graph, rv_mse(graph, logits, inputs[1], RV_NONE));
}

/* ---- one-hot targets ----------------------------------------------------------------- */

typedef struct one_hot {
    rv_source source;
    rv_source *inner;
} one_hot;

static void one_hot_fill(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment,
                         uint64_t first, rv_dtype dtype, void *const *inputs)
{
    const one_hot *o = (const one_hot *)source;
    const int32_t *labels = inputs[2]; /* [count] */
    o->inner->fill(o->inner, split, ids, count, augment, first, dtype, (void *const[]){inputs[0], inputs[2]});
    for (int i = 0; i < count * CLASSES; i++) { /* inputs[1]: [count, 10] */
        bool yes = labels[i / CLASSES] == i % CLASSES;
        if (dtype == RV_F64)
            ((double *)inputs[1])[i] = yes;
        else
            ((float *)inputs[1])[i] = yes;
    }
}

static void one_hot_free(rv_source *source)
{
    rv_source_free(((one_hot *)source)->inner);
    free(source);
}

static rv_status wrap(rv_source **source, rv_error *err)
{
    one_hot *o = calloc(1, sizeof *o);
    if (!o) {
        rv_source_free(*source);
        return rv_fail(err, RV_E_MEMORY, "digits: no memory");
    }
    o->inner = *source;
    o->source = **source;
    o->source.inputs = 3;
    o->source.input_dtype[2] = RV_I32;
    o->source.input_shape[2] = o->source.input_shape[1];
    o->source.input_dtype[1] = RV_F32;
    o->source.input_shape[1] = RV_SHAPE(CLASSES);
    o->source.fill = one_hot_fill;
    o->source.free = one_hot_free;
    *source = &o->source;
    return RV_OK;
}

/* ---- making them --------------------------------------------------------------------- */

rv_status rv_digits_source(const rv_study_run *run, int images, rv_source **out, rv_error *err)
{
    return rv_source_images(out, run->data ? RV_IMAGES_MNIST : RV_IMAGES_GLYPHS, run->data, images, 1000, false, err);
}

rv_status rv_digits_draw(const rv_study_run *run, uint64_t seed, int rows, double *pixels, int32_t *labels, rv_error *err)
{
    rv_source *source;
    RV_TRY(rv_digits_source(run, 10000, &source, err));
    int64_t all = source->examples[RV_SPLIT_TRAIN], *ids = malloc((size_t)rows * sizeof *ids);
    uint32_t *order = malloc((size_t)all * sizeof *order);
    rv_status status = ids && order && all >= rows ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory, or fewer than %d digits", rows);
    if (status == RV_OK) {
        rv_random_permutation((rv_random){seed, RV_RANDOM_ORDER, 0}, (uint32_t)all, order);
        for (int i = 0; i < rows; i++)
            ids[i] = order[i];
        source->fill(source, RV_SPLIT_TRAIN, ids, rows, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64, (void *const[]){pixels, labels});
    }
    rv_source_free(source);
    free(ids);
    free(order);
    return status;
}

int32_t rv_digits_mislabel(int32_t label, uint64_t seed, int i, double share)
{
    rv_random coin = {seed, RV_RANDOM_NOISE, (uint64_t)i};
    return rv_random_uniform(coin, 0) < share ? (label + 1 + (int32_t)rv_random_below(coin, 1, CLASSES - 1)) % CLASSES : label;
}

rv_status rv_digits_new(const rv_study_run *run, const rv_digits *spec, rv_backend backend, rv_objective **out,
                        rv_error *err)
{
    rv_network network = {.name = "digits", .build = build, .params = spec, .batch = spec->batch, .shards = 2, .least_rows = 16,
                          .drop_last = spec->norm || spec->squares, .evaluation_rows = 100,
                          .evaluation_limit = spec->evaluate};
    if (spec->norm) /* batch statistics are those of the whole batch, as in the papers */
        network.shards = 1;
    RV_TRY(rv_digits_source(run, spec->images, &network.source, err));
    if (spec->squares)
        RV_TRY(wrap(&network.source, err));
    rv_workload_env env = {.data = run->data, .pool = run->pool, .backend = backend};
    return rv_network_new(out, &network, &env, err);
}
