/* A plane of weights, trained.  Invariant: the optimizer's floats are the parameters; the plane's doubles
 * follow them after every step. */
#include "measures/paint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "probe/vector.h"
#include "ravine/optim.h"

rv_status rv_painter_init(rv_painter *t, rv_objective *objective, rv_error *err)
{
    *t = (rv_painter){.objective = objective};
    RV_TRY(rv_pattern_plane_init(&t->plane, objective->layout->size, err));
    size_t n = (size_t)t->plane.n;
    t->w = rv_weights_new(objective, err);
    t->g = rv_weights_new(objective, err);
    t->wide = calloc(n, sizeof *t->wide);
    t->flat = calloc(3 * n + 1, sizeof *t->flat);
    t->gradient = calloc(3 * n + 1, sizeof *t->gradient);
    return t->w && t->g && t->wide && t->flat && t->gradient ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a plane");
}

void rv_painter_release(rv_painter *t)
{
    free(t->plane.memory);
    free(t->w);
    free(t->g);
    free(t->wide);
    free(t->flat);
    free(t->gradient);
    *t = (rv_painter){0};
}

/* Between the plane's doubles and the optimizer's floats. */
static void exchange(rv_painter *t, bool to_optimizer)
{
    int64_t n = 3 * t->plane.n;
    for (int64_t i = 0; i < n; i++) {
        if (to_optimizer)
            t->gradient[i] = (float)t->plane.g_origin[i]; /* the three gradients follow each other, as the parameters do */
        else
            t->plane.origin[i] = t->flat[i];
    }
    if (to_optimizer)
        t->gradient[n] = (float)t->plane.g_scale;
    else
        t->plane.scale = t->flat[n];
}

void rv_painter_begin(rv_painter *t)
{
    t->plane.side = t->pattern.side;
    exchange(t, false);
    rv_pattern_plane_derive(&t->plane);
}

void rv_painter_place(rv_painter *t, int cell)
{
    for (int64_t i = 0; i < t->plane.n; i++)
        rv_vector_set(t->w, t->objective->dtype, i, rv_pattern_plane_at(&t->plane, cell, i));
}

/* One step's gradient: `cells` bright cells go down, as many dark ones up, all on one mini-batch. */
static rv_status accumulate(rv_painter *t, const rv_paint_options *o, int64_t step, rv_error *err)
{
    rv_batch batch = {.seed = o->seed, .step = (uint64_t)step, .parts = 1};
    rv_pattern_plane_derive(&t->plane);
    for (int k = 0; k < 2 * o->cells; k++) {
        double loss;
        bool bright = k % 2;
        uint64_t pick = rv_random_below((rv_random){o->seed, RV_RANDOM_ORDER, (uint64_t)step}, (uint64_t)k, (uint64_t)t->pattern.count[bright]);
        int cell = t->pattern.list[bright][pick];
        rv_painter_place(t, cell);
        RV_TRY(rv_objective_value_grad(t->objective, t->w, batch, t->g, &loss, err));
        if (!bright && loss >= o->clip)
            continue; /* no gradient beyond the clip */
        for (int64_t i = 0; i < t->plane.n; i++)
            t->wide[i] = rv_vector_at(t->g, t->objective->dtype, i);
        rv_pattern_plane_add(&t->plane, cell, (bright ? 1.0 : -1.0) / (double)o->cells, t->wide);
    }
    rv_pattern_plane_finish(&t->plane);
    for (int64_t i = 0; o->fixed && i < t->plane.n; i++)
        t->plane.g_origin[i] = 0; /* without a gradient Adam makes no step */
    return RV_OK;
}

static bool stopped(const rv_paint_options *o, int64_t step)
{
    if (step % 50 == 0 && o->progress)
        o->progress(o->context, (double)step / (double)o->steps);
    return step % 10 == 0 && o->stop && *o->stop;
}

static rv_status descend(rv_painter *t, const rv_paint_options *o, rv_optimizer *adam, void *const *w, const void *const *g,
                         rv_error *err)
{
    for (int64_t step = 0; step < o->steps; step++) {
        if (stopped(o, step))
            return RV_E_INTERRUPTED;
        RV_TRY(accumulate(t, o, step, err));
        exchange(t, true);
        RV_TRY(rv_optimizer_step(adam, w, g, err));
        exchange(t, false);
    }
    return RV_OK;
}

rv_status rv_painter_run(rv_painter *t, const rv_paint_options *o, rv_error *err)
{
    int64_t n = t->plane.n;
    char text[64];
    snprintf(text, sizeof text, "lr=%.17g,weight_decay=0", o->lr);
    rv_tensor tensors[] = {{.name = "origin", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)}, {.name = "right", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)},
                           {.name = "up", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)}, {.name = "scale", .role = RV_ROLE_POINT, .shape = RV_SHAPE(1)}};
    void *w[] = {t->flat, t->flat + n, t->flat + 2 * n, t->flat + 3 * n};
    const void *g[] = {t->gradient, t->gradient + n, t->gradient + 2 * n, t->gradient + 3 * n};
    rv_optimizer_options options = {.method = "adamw", .params = text, .dtype = RV_F32};
    rv_optimizer *adam;
    void *statistics;
    RV_TRY(rv_statistics_save(t->objective, &statistics, err));
    rv_status status = rv_optimizer_new(&adam, &options, tensors, 4, (const void *const *)w, err);
    if (status == RV_OK) {
        status = descend(t, o, adam, w, g, err);
        rv_pattern_plane_derive(&t->plane);
        rv_optimizer_free(adam);
    }
    rv_statistics_restore(t->objective, statistics);
    return status;
}

static rv_status look_at(rv_painter *t, int cell, rv_split split, rv_metrics *metrics, rv_error *err)
{
    rv_painter_place(t, cell);
    if (t->objective->state_size > 0)
        RV_TRY(rv_objective_recompute(t->objective, t->w, err));
    return rv_objective_evaluate(t->objective, t->w, split, metrics, err);
}

rv_status rv_painter_look(rv_painter *t, rv_split split, const char *metric, double *loss, double *other, rv_error *err)
{
    void *statistics;
    RV_TRY(rv_statistics_save(t->objective, &statistics, err));
    rv_status status = RV_OK;
    for (int k = 0; k < t->pattern.cells && status == RV_OK; k++) {
        rv_metrics metrics = {0};
        status = look_at(t, k, split, &metrics, err);
        loss[k] = rv_metrics_get(&metrics, "loss");
        other[k] = rv_metrics_get(&metrics, metric);
    }
    rv_statistics_restore(t->objective, statistics);
    return status;
}
