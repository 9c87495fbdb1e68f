/* The loss over a plane through the point: random, of principal components, of eigenvectors, or through
 * other saved points. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/draw.h"
#include "measures/measure.h"
#include "ravine/landscape.h"

#define AXES "gaussian|tensor|filter|pca|hessian|points"
enum { PCA = 3, HESSIAN, POINTS }; /* in AXES, after the kinds of rv_direction */
#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                        \
    CHOICE(axes, AXES, "filter", "random directions, or what the description says of the others")    \
    INT(grid, 21, 3, 1001, 0, "points along each axis")                                              \
    REAL(reach, 1, 0, 1e6, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "to each side, in lengths of the axes; pca and points: beside the points, of their spread") \
    CHOICE(view, "centre|recomputed|training", "centre", "statistics of the point, or recomputed everywhere; or the training loss that is probed") \
    INT(index, 0, 0, 1000000, 0, "number of the random plane")                                       \
    INT(products, 40, 4, 1000, RV_PARAM_LOG, "Hessian-vector products behind the eigenvectors")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "plane", params, PARAMS);

static const char *const axis_labels[][2] = {
    {"α", "β"}, {"α", "β"}, {"α", "β"}, {"first component", "second component"},
    {"eigenvector of the largest eigenvalue", "eigenvector of the smallest"},
    {"from the point to the first other", "across, to the second"}};

/* The plane with its grid, and where the saved points lie in it, the probed one first. */
typedef struct picture {
    rv_plane plane;
    int n, points;
    double *x, *y, *f;    /* [n], [n], [n, n] */
    double *px, *py;      /* [points] */
} picture;

static rv_status too_few(const rv_measure_run *run, const char *axes, int wanted, rv_error *err)
{
    return rv_fail(err, RV_E_ARGUMENT, "plane.axes=%s: expected at least %d further points (--with CHECKPOINT), found %d", axes, wanted,
                   run->other_count);
}

/* Along the eigenvectors of the largest and the smallest eigenvalue. */
static rv_status by_eigenvectors(rv_measure_run *run, const params *o, rv_plane *plane, rv_error *err)
{
    rv_eigen pairs[2];
    RV_TRY(rv_plane_new(plane, run->point.objective, run->point.w, err));
    double *vectors = calloc((size_t)(2 * plane->size), sizeof *vectors);
    rv_status status = vectors ? rv_probe_eigenvectors(&run->target, run->point.w, (uint64_t)run->common.seed, (int)o->products, 1, 1, pairs, vectors, err)
                               : rv_fail(err, RV_E_MEMORY, "no memory for two eigenvectors");
    for (int64_t i = 0; status == RV_OK && i < plane->size; i++) {
        plane->u[i] = vectors[i];
        plane->v[i] = vectors[plane->size + i];
    }
    free(vectors);
    if (status == RV_OK) {
        rv_measure_value(run, "along_x", pairs[0].value, pairs[0].residual, "largest eigenvalue, along the first axis");
        rv_measure_value(run, "along_y", pairs[1].value, pairs[1].residual, "smallest eigenvalue, along the second axis");
    }
    return status;
}

/* Whether the last of the other points is this one. */
static bool is_last(const rv_measure_run *run)
{
    const rv_objective *o = run->point.objective;
    return memcmp(run->others[run->other_count - 1], run->point.w, (size_t)o->layout->size * rv_dtype_size(o->dtype)) == 0;
}

/* The components of the other points and, as the last, this one. */
static rv_status by_components(rv_measure_run *run, rv_plane *plane, rv_error *err)
{
    int others = run->other_count;
    double shares[2];
    if (others < 2)
        return too_few(run, "pca", 2, err);
    const void **points = calloc((size_t)others + 1, sizeof *points);
    if (!points)
        return rv_fail(err, RV_E_MEMORY, "no memory for a list of points");
    for (int i = 0; i < others; i++)
        points[i] = run->others[i];
    points[others] = run->point.w;
    int count = others + !is_last(run); /* a trajectory may end with this one */
    rv_status status = count < 3 ? too_few(run, "pca", 2, err)
                                 : rv_plane_principal(plane, run->point.objective, points, count, shares, err);
    free(points);
    if (status == RV_OK) {
        rv_measure_value(run, "first", shares[0], NAN, "share of the variance of %d points along the first component", count);
        rv_measure_value(run, "second", shares[1], NAN, "share of the variance along the second component");
    }
    return status;
}

static rv_status choose(rv_measure_run *run, const params *o, rv_plane *plane, rv_error *err)
{
    if (o->axes == PCA)
        return by_components(run, plane, err);
    if (o->axes == HESSIAN)
        return by_eigenvectors(run, o, plane, err);
    if (o->axes != POINTS)
        return rv_plane_random(plane, run->point.objective, run->point.w, (rv_direction)o->axes, (uint64_t)run->common.seed, (uint64_t)o->index, err);
    if (run->other_count < 2)
        return too_few(run, "points", 2, err);
    return rv_plane_through(plane, run->point.objective, run->point.w, run->others[0], run->others[1], err);
}

static rv_status reserve(picture *p, const params *o, int points, rv_error *err)
{
    size_t n = (size_t)o->grid, count = (size_t)points;
    p->n = (int)o->grid;
    p->points = points;
    p->x = calloc(2 * n + n * n + 2 * count, sizeof *p->x);
    if (!p->x)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane of %d x %d points", p->n, p->n);
    p->y = p->x + n;
    p->f = p->y + n;
    p->px = p->f + n * n;
    p->py = p->px + count;
    return RV_OK;
}

static void place(rv_measure_run *run, const params *o, picture *p)
{
    rv_dtype dtype = run->point.objective->dtype;
    double low[2] = {0, 0}, high[2] = {0, 0}, far = 0;
    bool given = o->axes == PCA || o->axes == POINTS;
    for (int i = 0; i < p->points; i++) {
        double distance;
        rv_plane_coordinates(&p->plane, dtype, i ? run->others[i - 1] : run->point.w, &p->px[i], &p->py[i], &distance);
        far = fmax(far, distance);
        low[0] = fmin(low[0], p->px[i]);
        low[1] = fmin(low[1], p->py[i]);
        high[0] = fmax(high[0], p->px[i]);
        high[1] = fmax(high[1], p->py[i]);
    }
    if (p->points > 1)
        rv_measure_value(run, "distance", far, NAN, "largest distance of a saved point from the plane");
    rv_draw_span(given ? low[0] : 0, given ? high[0] : 0, given ? o->reach * (high[0] - low[0]) / 2 : o->reach, p->n, p->x);
    rv_draw_span(given ? low[1] : 0, given ? high[1] : 0, given ? o->reach * (high[1] - low[1]) / 2 : o->reach, p->n, p->y);
}

/* One split: its figure, and what can be counted in it. */
static rv_status one_field(rv_measure_run *run, const params *o, picture *p, rv_split split, double centre, rv_error *err)
{
    char name[64], title[96], key[64];
    bool training = o->view == RV_VIEW_TRAINING;
    rv_view view = {.mode = (rv_view_mode)o->view, .probe = run->target, .split = split, .metric = "loss"};
    RV_TRY(rv_plane_values(&p->plane, &view, p->n, p->x, p->n, p->y, p->f, run->options->stop, err));
    int best = 0;
    for (int k = 0; k < p->n * p->n; k++)
        best = p->f[k] < p->f[best] ? k : best;
    rv_basin basin = rv_grid_basin(p->n, p->n, p->f, 2 * centre, 2e-6, NULL);
    snprintf(key, sizeof key, "%s_minimum", rv_split_name(split));
    rv_measure_value(run, key, p->f[best], NAN, "smallest loss of the grid, at (%.3g, %.3g)", p->x[best % p->n], p->y[best / p->n]);
    snprintf(key, sizeof key, "%s_basin", rv_split_name(split));
    rv_measure_value(run, key, basin.area, NAN, "share of the grid below twice the loss at the point");
    snprintf(key, sizeof key, "%s_bent", rv_split_name(split));
    rv_measure_value(run, key, basin.bent_all, NAN, "share of the grid that is curved downwards");
    snprintf(name, sizeof name, "plane-%s", rv_split_name(split));
    snprintf(title, sizeof title, "The loss over a plane, %s", training ? "probed mini-batches" : rv_split_name(split));
    rv_figure *figure = rv_measure_figure(run, name, title, "Logarithmic colours.",
                                          (rv_axis){.label = axis_labels[o->axes][0]}, (rv_axis){.label = axis_labels[o->axes][1]});
    rv_figure_field(figure, "loss", true, p->n, p->x, p->n, p->y, p->f);
    if (p->points > 1)
        rv_figure_series(figure, o->axes == PCA ? "trajectory" : "other points", o->axes == PCA ? RV_SERIES_BOTH : RV_SERIES_POINTS,
                         p->points - 1, p->px + 1, p->py + 1);
    rv_figure_series(figure, "the point", RV_SERIES_POINTS, 1, p->px, p->py);
    rv_figure_half(figure);
    return RV_OK;
}

static rv_status both_fields(rv_measure_run *run, const params *o, picture *p, rv_error *err)
{
    static const rv_split splits[] = {RV_SPLIT_TRAIN, RV_SPLIT_VALIDATION};
    int count = o->view == RV_VIEW_TRAINING ? 1 : 2;
    for (int s = 0; s < count; s++) {
        rv_view view = {.mode = (rv_view_mode)o->view, .probe = run->target, .split = splits[s], .metric = "loss"};
        double centre;
        RV_TRY(rv_measure_progress(run, (double)s / count));
        rv_status status = rv_view_value(&view, run->point.w, &centre, err);
        if (status == RV_OK)
            status = one_field(run, o, p, splits[s], centre, err);
        if (status != RV_OK && status != RV_E_UNSUPPORTED) /* no such split */
            return status;
    }
    return RV_OK;
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    picture p = {.n = 0};
    rv_status status = choose(run, o, &p.plane, err);
    if (status == RV_OK)
        status = reserve(&p, o, 1 + run->other_count, err);
    if (status == RV_OK) {
        place(run, o, &p);
        status = both_fields(run, o, &p, err);
    }
    free(p.x);
    rv_plane_release(&p.plane);
    return status;
}

const rv_measure rv_measure_plane = {
    .name = "plane",
    .title = "The loss over a plane: random, of principal components, of eigenvectors, through other points",
    .description = "gaussian, tensor, filter: two random directions, scaled so (Li et al. 2018).  hessian: the eigenvectors of the largest and\n"
                   "the smallest eigenvalue, of length 1.  pca: the first two principal components of this point and those of --with in\n"
                   "their order, which is how trajectories are drawn: 'ravine train --keep STEPS', then --with RUN/trajectory.  points: the plane through this point and the first two of --with.  A smooth plane says\n"
                   "little about the directions that are not shown.",
    .source = "Li et al. 2018; Garipov et al. 2018",
    .params = &table,
    .run = run_measure,
};
