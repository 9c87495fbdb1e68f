/* Builds the nets (act(bn(w act(bn(w x))) + x) a block) and trains them. */
#include "studies/residual.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "objective/network.h"

enum { CLASSES = 10, POOL = 4 };

static rv_value layer(rv_graph *graph, rv_value x, int64_t in, int64_t out, int number, rv_role role)
{
    char name[32];
    snprintf(name, sizeof name, "layer%d", number);
    x = rv_nn_linear(graph, name, x, (rv_layer){.out = out, .role = role, .weight_init = rv_init_he(in)});
    snprintf(name, sizeof name, "norm%d", number);
    return rv_nn_batch_norm(graph, name, x);
}

static void build(rv_graph *graph, const rv_value *inputs, const void *params)
{
    const rv_residual *spec = params;
    rv_shape shape = rv_graph_shape(graph, inputs[0]);
    int64_t in = shape.dim[1] / POOL * (shape.dim[2] / POOL) * shape.dim[3], width = spec->width;
    rv_value x = rv_reshape(graph, rv_average_pool(graph, inputs[0], POOL, POOL, 0), RV_SHAPE(shape.dim[0], in));
    x = rv_activate(graph, layer(graph, x, in, width, 0, RV_ROLE_INPUT), spec->act);
    for (int i = 1; i + 2 < spec->layers; i += 2) {
        rv_value y = rv_activate(graph, layer(graph, x, width, width, i, RV_ROLE_HIDDEN), spec->act);
        y = layer(graph, y, width, width, i + 1, RV_ROLE_HIDDEN);
        x = rv_activate(graph, spec->skips ? rv_add(graph, y, x) : y, spec->act);
    }
    rv_layer head = {.out = CLASSES, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_normal(1e-3), .bias_init = rv_init_zero()};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", x, head), inputs[1], (rv_cross_entropy_options){0});
}

rv_status rv_residual_new(const rv_study_run *run, const rv_residual *spec, rv_backend backend, rv_objective **out, rv_error *err)
{
    rv_network network = {.name = "residual", .build = build, .params = spec, .batch = spec->batch, .shards = 1, /* batch statistics of the whole batch */
                          .least_rows = 16, .drop_last = true, .evaluation_rows = 64, .evaluation_limit = spec->evaluate};
    RV_TRY(rv_digits_source(run, spec->images, &network.source, err));
    rv_workload_env env = {.data = run->data, .backend = backend};
    return rv_network_new(out, &network, &env, err);
}

/* ---- training -------------------------------------------------------------------------------- */

typedef struct record {
    const rv_residual_training *t;
    int64_t size, next; /* of a vector; the next of the path to be written */
} record;

static double factor(const void *context, int64_t step)
{
    const rv_residual_training *t = ((const record *)context)->t;
    double done = (double)step / (double)(t->epochs * t->per_epoch);
    return pow(0.1, (done >= 0.5) + (done >= 0.75) + (done >= 11.0 / 12));
}

static rv_status observe(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    record *r = context;
    (void)loss;
    (void)err;
    if (step % r->t->per_epoch == 0 && r->t->path)
        memcpy(r->t->path + r->next++ * r->size, w, (size_t)r->size * sizeof(float));
    return r->t->stop && *r->t->stop ? RV_E_INTERRUPTED : RV_OK;
}

rv_status rv_residual_descend(rv_objective *objective, const rv_residual_training *t, float *w, rv_error *err)
{
    char text[96];
    record r = {.t = t, .size = objective->layout->size};
    snprintf(text, sizeof text, "lr=%.17g,momentum=0.9,nesterov=true,weight_decay=5e-4", t->lr);
    rv_descent d = {.objective = objective, .method = "sgd", .params = text, .seed = t->seed, .steps = t->epochs * t->per_epoch,
                    .factor = factor, .observe = observe, .context = &r};
    RV_TRY(rv_descend(&d, w, err));
    while (t->path && r.next <= t->epochs)
        observe(&r, 0, w, 0, err);
    return RV_OK;
}
