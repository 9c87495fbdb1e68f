/* Mode connectivity: from the point over the other ones, along straight lines and along curves of low
 * loss that are trained for it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/draw.h"
#include "measures/measure.h"
#include "probe/vector.h"
#include "ravine/landscape.h"
#include "ravine/optim.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                       \
    CHOICE(kind, "bezier|chain", "bezier", "a quadratic Bezier curve, or two straight pieces with a corner") \
    INT(steps, 500, 1, 1000000, RV_PARAM_LOG, "of training a curve")                                \
    TEXT(method, "adam", "that trains it")                                                          \
    REAL(lr, 0.003, 0, 100, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "at the start; falls linearly to 0")   \
    INT(points, 21, 3, 1001, 0, "of every curve and segment, both ends among them")                 \
    INT(grid, 21, 0, 1001, 0, "points along each axis of the plane through the ends and the bend; 0: none")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "curve", params, PARAMS);

enum { SEGMENT, CURVE };
static const char *const ways[] = {"segment", "curve"};

/* From one saved point to the next, and what is seen on the way. */
typedef struct leg {
    int number, count;       /* from 1 */
    rv_curve curve;          /* owns its bend */
    int n;
    double *t, *f[2][2];     /* [n]; values by way and split, one allocation at t */
    bool seen[2];            /* splits that there are */
} leg;

static rv_status leg_init(leg *l, const rv_measure_run *run, const params *o, int number, rv_error *err)
{
    const rv_objective *objective = run->point.objective;
    const void *start = number == 1 ? run->point.w : run->others[number - 2];
    *l = (leg){.number = number, .count = run->other_count, .n = (int)o->points};
    l->curve = (rv_curve){objective->dtype, objective->layout->size, start, rv_weights_new(objective, err), run->others[number - 1],
                          (rv_curve_kind)o->kind};
    l->t = calloc(5 * (size_t)l->n, sizeof *l->t);
    if (!l->curve.bend || !l->t)
        return rv_fail(err, RV_E_MEMORY, "no memory for a curve");
    for (int k = 0; k < 4; k++)
        l->f[k / 2][k % 2] = l->t + (k + 1) * l->n;
    for (int i = 0; i < l->n; i++)
        l->t[i] = i / (l->n - 1.0);
    return RV_OK;
}

static void leg_release(leg *l)
{
    free((void *)(uintptr_t)l->curve.bend);
    free(l->t);
}

/* ---- training ------------------------------------------------------------------------- */

static rv_status descend(rv_measure_run *run, const params *o, const leg *l, rv_objective *curve, rv_optimizer *optimizer, void *bend,
                         void *g, rv_error *err)
{
    for (int64_t step = 0; step < o->steps; step++) {
        double loss;
        if (step % 20 == 0)
            RV_TRY(rv_measure_progress(run, (l->number - 1 + 0.7 * (double)step / (double)o->steps) / l->count));
        rv_optimizer_set_lr_factor(optimizer, 1 - (double)step / (double)o->steps);
        RV_TRY(rv_objective_value_grad(curve, bend, (rv_batch){.seed = (uint64_t)run->common.seed, .step = (uint64_t)step, .parts = 1}, g, &loss, err));
        RV_TRY(rv_optimizer_step_flat(optimizer, bend, g, err));
    }
    return RV_OK;
}

/* The statistics of the point come back: the measures after this one look at it. */
static rv_status train(rv_measure_run *run, const params *o, leg *l, rv_error *err)
{
    rv_objective *inner = run->point.objective, *curve = NULL;
    rv_optimizer *optimizer = NULL;
    void *statistics, *bend = (void *)(uintptr_t)l->curve.bend, *g = rv_weights_new(inner, err);
    char text[64];
    if (!g)
        return RV_E_MEMORY;
    rv_status status = rv_statistics_save(inner, &statistics, err);
    if (status != RV_OK) {
        free(g);
        return status;
    }
    snprintf(text, sizeof text, "lr=%.17g", o->lr);
    rv_optimizer_options options = {.method = o->method, .params = text, .dtype = inner->dtype, .seed = (uint64_t)run->common.seed};
    status = rv_curve_objective_new(&curve, inner, l->curve.kind, l->curve.start, l->curve.end, err);
    if (status == RV_OK)
        status = rv_objective_init(curve, (uint64_t)run->common.seed, bend, err);
    if (status == RV_OK)
        status = rv_optimizer_new_flat(&optimizer, &options, inner->layout, bend, err);
    if (status == RV_OK)
        status = descend(run, o, l, curve, optimizer, bend, g, err);
    rv_optimizer_free(optimizer);
    rv_objective_free(curve);
    rv_statistics_restore(inner, statistics);
    free(g);
    return status;
}

/* ---- looking ----------------------------------------------------------------------------- */

static rv_status look(rv_measure_run *run, leg *l, const char *metric, rv_error *err)
{
    static const rv_split splits[] = {RV_SPLIT_TRAIN, RV_SPLIT_VALIDATION};
    for (int way = SEGMENT; way <= CURVE; way++)
        for (int s = 0; s < 2; s++) {
            const rv_view view = {.mode = RV_VIEW_RECOMPUTED, .probe = run->target, .split = splits[s], .metric = metric};
            rv_curve curve = l->curve;
            if (way == SEGMENT)
                curve.bend = NULL;
            rv_status status = rv_curve_values(&curve, &view, l->n, l->t, l->f[way][s], err);
            l->seen[s] = status == RV_OK;
            if (status != RV_OK && status != RV_E_UNSUPPORTED) /* no such split */
                return status;
        }
    return RV_OK;
}

/* Its series in the figure, the ends of the k-th leg at k - 1 and k. */
static void draw(rv_figure *figure, const leg *l)
{
    double x[1001];
    char name[64];
    for (int i = 0; i < l->n; i++)
        x[i] = l->number - 1 + l->t[i];
    for (int s = 0; s < 2; s++) /* the ways of a split first: their colours are those of the plane */
        for (int way = SEGMENT; way <= CURVE; way++) {
            snprintf(name, sizeof name, "%s, %s", ways[way], rv_split_name(s ? RV_SPLIT_VALIDATION : RV_SPLIT_TRAIN));
            if (l->seen[s])
                rv_figure_series(figure, name, RV_SERIES_LINE, l->n, x, l->f[way][s]);
        }
    if (l->number > 1)
        rv_figure_mark(figure, 'x', l->number - 1, "");
}

static void put(rv_measure_run *run, const leg *l, const char *name, double value, const char *quantity)
{
    char key[96];
    snprintf(key, sizeof key, l->count > 1 ? "%s_%d" : "%s", name, l->number);
    rv_measure_value(run, key, value, NAN, "%s", quantity);
}

static void report(rv_measure_run *run, const leg *l)
{
    double highest = -HUGE_VAL;
    for (int i = 0; i < l->n; i++)
        highest = fmax(highest, l->f[CURVE][0][i]);
    put(run, l, "segment_barrier", rv_curve_barrier(l->n, l->t, l->f[SEGMENT][0]), "barrier of the train loss on the segment: its largest excess over the line between the ends");
    put(run, l, "curve_barrier", rv_curve_barrier(l->n, l->t, l->f[CURVE][0]), "barrier of the train loss on the curve");
    put(run, l, "curve_highest", highest, "highest train loss on the curve");
    if (l->seen[1]) {
        put(run, l, "segment_barrier_validation", rv_curve_barrier(l->n, l->t, l->f[SEGMENT][1]), "barrier of the validation loss on the segment");
        put(run, l, "curve_barrier_validation", rv_curve_barrier(l->n, l->t, l->f[CURVE][1]), "barrier of the validation loss on the curve");
    }
}

/* ---- the plane that holds the curve --------------------------------------------------------- */

typedef struct map {
    double *x, *y, *f;   /* [n], [n], [n, n]; one allocation at x */
    double *cx, *cy;     /* [points] of the curve */
    double ex[2], ey[2], bx, by; /* ends and bend */
} map;

static rv_status follow(const rv_plane *plane, const leg *l, const rv_objective *o, map *m, rv_error *err)
{
    void *w = rv_weights_new(o, err);
    if (!w)
        return RV_E_MEMORY;
    for (int i = 0; i < l->n; i++) {
        rv_curve_point(&l->curve, l->t[i], w);
        rv_plane_coordinates(plane, o->dtype, w, &m->cx[i], &m->cy[i], NULL);
    }
    free(w);
    rv_plane_coordinates(plane, o->dtype, l->curve.start, &m->ex[0], &m->ey[0], NULL);
    rv_plane_coordinates(plane, o->dtype, l->curve.end, &m->ex[1], &m->ey[1], NULL);
    rv_plane_coordinates(plane, o->dtype, l->curve.bend, &m->bx, &m->by, NULL);
    return RV_OK;
}

static void draw_plane(rv_measure_run *run, const params *o, const leg *l, const map *m)
{
    char name[48], title[96];
    int n = (int)o->grid;
    snprintf(name, sizeof name, l->count > 1 ? "curve-plane-%d" : "curve-plane", l->number);
    snprintf(title, sizeof title, "The plane that holds curve %d", l->number);
    rv_figure *figure = rv_measure_figure(run, name, l->count > 1 ? title : "The plane that holds the curve", "Train loss, logarithmic colours; batch statistics recomputed at every point.",
                                          (rv_axis){.label = "towards the other point"}, (rv_axis){.label = "towards the bend"});
    rv_figure_field(figure, "loss", true, n, m->x, n, m->y, m->f);
    rv_figure_series(figure, ways[SEGMENT], RV_SERIES_LINE, 2, m->ex, m->ey);
    rv_figure_series(figure, ways[CURVE], RV_SERIES_LINE, l->n, m->cx, m->cy);
    rv_figure_series(figure, "ends", RV_SERIES_POINTS, 2, m->ex, m->ey);
    rv_figure_series(figure, "bend", RV_SERIES_POINTS, 1, &m->bx, &m->by);
}

static double length_of(const leg *l, const map *m)
{
    double length = 0;
    for (int i = 1; i < l->n; i++)
        length += hypot(m->cx[i] - m->cx[i - 1], m->cy[i] - m->cy[i - 1]);
    return length / hypot(m->ex[1] - m->ex[0], m->ey[1] - m->ey[0]);
}

/* What stands in the plane, and the loss over it where a grid is wanted. */
static rv_status fill_map(rv_measure_run *run, const params *o, const leg *l, const rv_plane *plane, map *m, rv_error *err)
{
    int n = (int)o->grid;
    const rv_view view = {.mode = RV_VIEW_RECOMPUTED, .probe = run->target, .split = RV_SPLIT_TRAIN, .metric = "loss"};
    m->x = calloc((size_t)(2 * n + n * n + 2 * l->n), sizeof *m->x);
    if (!m->x)
        return rv_fail(err, RV_E_MEMORY, "no memory for the plane of a curve");
    m->y = m->x + n;
    m->f = m->y + n;
    m->cx = m->f + n * n;
    m->cy = m->cx + l->n;
    RV_TRY(follow(plane, l, run->point.objective, m, err));
    put(run, l, "length", length_of(l, m), "length of the curve, in lengths of the segment");
    if (n < 2)
        return RV_OK;
    double margin = 0.2 * fmax(m->ex[1], m->by);
    rv_draw_span(fmin(0, m->bx), fmax(m->ex[1], m->bx), margin, n, m->x);
    rv_draw_span(0, m->by, margin, n, m->y);
    RV_TRY(rv_plane_values(plane, &view, n, m->x, n, m->y, m->f, run->options->stop, err));
    draw_plane(run, o, l, m);
    return RV_OK;
}

static rv_status plane_of(rv_measure_run *run, const params *o, const leg *l, rv_error *err)
{
    rv_plane plane;
    rv_error why = {0};
    map m = {.x = NULL};
    rv_status status = rv_plane_through(&plane, run->point.objective, l->curve.start, l->curve.end, l->curve.bend, &why);
    if (status == RV_OK)
        status = fill_map(run, o, l, &plane, &m, err);
    else if (status == RV_E_ARGUMENT) { /* the bend did not leave the segment, so there is no plane to show */
        rv_measure_note(run, "curve %d is straight: no plane holds it", l->number);
        status = RV_OK;
    } else {
        rv_fail(err, status, "%s", why.message);
    }
    free(m.x);
    rv_plane_release(&plane);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

typedef struct pictures {
    rv_figure *loss, *metric; /* metric NULL: the workload's is the loss */
    const char *name;         /* of the metric */
} pictures;

static pictures make_pictures(rv_measure_run *run)
{
    static const char caption[] = "From the point (0) to the others in their order (1, ...); batch statistics recomputed everywhere.";
    pictures p = {.name = rv_workload_find(run->point.workload)->metric};
    const char *title = run->other_count > 1 ? "The loss between the points" : "The loss between the two points";
    p.loss = rv_measure_figure(run, "curve", title, caption, (rv_axis){.label = "t"}, (rv_axis){.label = "loss"});
    if (strcmp(p.name, "loss") != 0)
        p.metric = rv_measure_figure(run, "curve-metric", "The metric between them", caption, (rv_axis){.label = "t"}, (rv_axis){.label = p.name});
    if (p.metric) {
        rv_figure_half(p.loss);
        rv_figure_half(p.metric);
    }
    return p;
}

static rv_status one_leg(rv_measure_run *run, const params *o, int number, const pictures *p, rv_error *err)
{
    leg l;
    rv_status status = leg_init(&l, run, o, number, err);
    if (status == RV_OK)
        status = train(run, o, &l, err);
    if (status == RV_OK)
        status = rv_measure_progress(run, (number - 0.3) / l.count);
    if (status == RV_OK && p->metric) {
        status = look(run, &l, p->name, err);
        if (status == RV_OK)
            draw(p->metric, &l);
    }
    if (status == RV_OK)
        status = look(run, &l, "loss", err);
    if (status == RV_OK) {
        draw(p->loss, &l);
        report(run, &l);
        status = plane_of(run, o, &l, err);
    }
    leg_release(&l);
    return status;
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const pictures p = make_pictures(run);
    for (int k = 1; k <= run->other_count; k++)
        RV_TRY(one_leg(run, values, k, &p, err));
    return RV_OK;
}

const rv_measure rv_measure_curve = {
    .name = "curve",
    .title = "Mode connectivity: curves of low loss between saved points, beside straight lines",
    .description = "From the point to the first of --with, on to the second, and so on.  A curve has one free point, its bend, which begins in the\n"
                   "middle of the segment and is trained on the mean loss over the curve: one t and one mini-batch a step.  A barrier is the\n"
                   "largest excess over the straight line between the losses of the ends.  Statistics of batch norm are recomputed at every\n"
                   "point, as they mean nothing between minima.",
    .source = "Garipov et al. 2018, section 3; Entezari et al. 2022 for the barrier",
    .params = &table,
    .others = 1,
    .run = run_measure,
};
