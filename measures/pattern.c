/* A picture of the user's, drawn by the loss over a plane of the point's workload. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/draw.h"
#include "measures/measure.h"
#include "measures/paint.h"
#include "probe/vector.h"
#include "ravine/landscape.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                                    \
    TEXT(icon, "heart", "heart, smiley, or the file of a picture: lines of text, or a plain bitmap (P1), up to 32 x 32") \
    INT(steps, 1000, 1, 1000000, RV_PARAM_LOG, "of Adam on the plane")                                           \
    REAL(lr, 0.003, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of Adam")                                            \
    INT(cells, 8, 1, 50, 0, "bright and as many dark cells of a step, on one mini-batch")                        \
    REAL(clip, 2.5, 0, HUGE_VAL, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "dark cells are not pushed beyond this loss") \
    REAL(reach, 0.5, 0, 100, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "half the plane's side at the start, in norms of the weights") \
    BOOL(fixed, true, "the middle of the picture stays the point itself; else it moves as well")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "pattern", params, PARAMS);

typedef struct picture {
    double loss[RV_PATTERN_CELLS], metric[RV_PATTERN_CELLS];
} picture;

static rv_status choose(rv_pattern *pattern, const char *icon, rv_error *err)
{
    if (strcmp(icon, "heart") != 0 && strcmp(icon, "smiley") != 0)
        return rv_pattern_read(pattern, icon, err);
    rv_pattern_built_in(pattern, icon);
    return RV_OK;
}

/* The point in the middle, axes along two random directions scaled by tensor. */
static rv_status begin(rv_measure_run *run, const params *o, rv_painter *t, rv_error *err)
{
    const rv_objective *objective = run->point.objective;
    int64_t n = t->plane.n;
    double *d = rv_vector_new(objective, 1, err);
    if (!d)
        return RV_E_MEMORY;
    for (int k = 0; k < 3; k++) {
        if (k > 0)
            rv_direction_draw(objective, run->point.w, RV_DIRECTION_TENSOR, (uint64_t)run->common.seed, (uint64_t)(k - 1), d);
        for (int64_t i = 0; i < n; i++) { /* origin and right are points, up is a direction */
            double at = rv_vector_at(run->point.w, objective->dtype, i);
            t->flat[k * n + i] = (float)(k == 0 ? at : k == 1 ? at + d[i] : d[i]);
        }
    }
    free(d);
    t->flat[3 * n] = (float)(2 * o->reach / t->pattern.side);
    rv_painter_begin(t);
    return RV_OK;
}

static void show_progress(void *context, double fraction)
{
    (void)rv_measure_progress(context, fraction);
}

/* How far the point is from the plane, in norms of its weights. */
static rv_status distance(rv_measure_run *run, const rv_painter *t, rv_error *err)
{
    const rv_objective *o = run->point.objective;
    rv_plane plane;
    double x, y, far, squares = 0;
    rv_status status = rv_plane_new(&plane, o, run->point.w, err);
    for (int64_t i = 0; status == RV_OK && i < t->plane.n; i++) {
        squares += pow(plane.origin[i], 2);
        plane.origin[i] = t->plane.origin[i];
        plane.u[i] = t->plane.r[i] * t->plane.scale;
        plane.v[i] = t->plane.u[i] * t->plane.scale;
    }
    if (status == RV_OK) {
        rv_plane_coordinates(&plane, o->dtype, run->point.w, &x, &y, &far);
        rv_measure_value(run, "distance", far / sqrt(squares), NAN, "distance of the point from the plane, in norms of its weights");
        rv_measure_value(run, "cell", t->plane.scale * sqrt(rv_vector_dot(t->plane.r, t->plane.r, t->plane.n) / squares), NAN,
                         "side of a cell, in norms of the weights");
    }
    rv_plane_release(&plane);
    return status;
}

static void report(rv_measure_run *run, const rv_pattern *p, const char *split, const picture *v, const char *metric)
{
    char key[64];
    snprintf(key, sizeof key, "%s_right", split);
    rv_measure_value(run, key, rv_pattern_agreement(p, v->loss), NAN, "share of cells on the right side of the best threshold on the %s loss", split);
    for (int bright = 1; bright >= 0; bright--) {
        const char *kind = bright ? "bright" : "dark";
        snprintf(key, sizeof key, "%s_%s", split, kind);
        rv_measure_value(run, key, rv_pattern_mean(p, v->metric, bright), NAN, "mean %s %s of the %s cells", split, metric, kind);
    }
}

static rv_status look(rv_measure_run *run, rv_painter *t, rv_split split, const char *metric, rv_error *err)
{
    picture v;
    char name[64], title[160];
    rv_status status = rv_painter_look(t, split, metric, v.loss, v.metric, err);
    if (status == RV_E_UNSUPPORTED) /* no such split */
        return RV_OK;
    RV_TRY(status);
    report(run, &t->pattern, rv_split_name(split), &v, metric);
    snprintf(name, sizeof name, "pattern-%s", rv_split_name(split));
    snprintf(title, sizeof title, "The %s: %s loss", t->pattern.name, rv_split_name(split));
    rv_draw_pattern(rv_measure_figure(run, name, title, "Every cell is a network; its shade is its loss.", (rv_axis){.label = "right"},
                                      (rv_axis){.label = "up"}), &t->pattern, v.loss);
    return RV_OK;
}

static rv_status draw(rv_measure_run *run, const params *o, rv_painter *t, rv_error *err)
{
    const char *metric = rv_workload_find(run->point.workload)->metric;
    const rv_paint_options options = {.steps = o->steps, .cells = o->cells, .lr = o->lr, .clip = o->clip, .seed = (uint64_t)run->common.seed,
                                      .fixed = o->fixed, .stop = run->options->stop, .progress = show_progress, .context = run};
    picture before;
    RV_TRY(begin(run, o, t, err));
    RV_TRY(rv_painter_look(t, RV_SPLIT_TRAIN, metric, before.loss, before.metric, err));
    rv_measure_value(run, "before", rv_pattern_agreement(&t->pattern, before.loss), NAN, "share of cells on the right side before any step, train loss");
    RV_TRY(rv_painter_run(t, &options, err));
    RV_TRY(look(run, t, RV_SPLIT_TRAIN, metric, err));
    RV_TRY(look(run, t, RV_SPLIT_VALIDATION, metric, err));
    return distance(run, t, err);
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_painter t;
    rv_status status = rv_painter_init(&t, run->point.objective, err);
    if (status == RV_OK)
        status = choose(&t.pattern, o->icon, err);
    if (status == RV_OK)
        status = draw(run, o, &t, err);
    rv_painter_release(&t);
    return status;
}

const rv_measure rv_measure_pattern = {
    .name = "pattern",
    .title = "A picture drawn by the loss over a plane near the point",
    .description = "Multi-point optimisation: the middle of the plane begins at the point, its axes along two random directions; then Adam moves\n"
                   "all of them so that the loss is low in the picture's bright cells and high in its dark ones.  So a picture of a loss\n"
                   "surface shows what its plane was chosen for.  The middle stays the point itself unless pattern.fixed is false.  A step\n"
                   "costs 2 cells gradients of a mini-batch.  Statistics of batch norm are recomputed at every cell.",
    .source = "Skorokhodov, Burtsev 2019, Loss Landscape Sightseeing with Multi-Point Optimization, arXiv 1910.03867",
    .params = &table,
    .run = run_measure,
};
