/* Around one trained net: random planes and their basins, the plane of its trajectory, the
 * plane of the Hessian's largest eigenvectors. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "studies/landscape.h"

enum { LANCZOS_STEPS = 40 };

rv_status rv_landscape_look(rv_landscape_map *map, const rv_plane *plane, const rv_view *view, int n, const double x[2],
                            const double y[2], const volatile int *stop, rv_error *err)
{
    size_t side = (size_t)n;
    *map = (rv_landscape_map){.n = n, .x = malloc((side * side + 2 * side) * sizeof(double))};
    if (!map->x)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane of %d x %d", n, n);
    map->y = map->x + side;
    map->f = map->y + side;
    for (int i = 0; i < n; i++) {
        map->x[i] = x[0] + (x[1] - x[0]) * i / (n - 1);
        map->y[i] = y[0] + (y[1] - y[0]) * i / (n - 1);
    }
    return rv_plane_values(plane, view, n, map->x, n, map->y, map->f, stop, err);
}

rv_residual rv_landscape_spec(const rv_landscape_net *net)
{
    return (rv_residual){.images = (int)net->o->images, .evaluate = (int)net->o->evaluate, .batch = RV_LANDSCAPE_BATCH, .width = (int)net->o->width,
                         .layers = net->layers, .skips = net->skips, .act = net->act};
}

static rv_view training_loss(rv_objective *objective)
{
    return (rv_view){.mode = RV_VIEW_CENTRE, .probe = {.objective = objective}, .split = RV_SPLIT_TRAIN, .metric = "loss"};
}

/* ---- random planes -------------------------------------------------------------------------- */

static rv_status slices(rv_landscape_net *net, rv_objective *objective)
{
    static const double square[] = {-1, 1};
    const rv_view view = training_loss(objective);
    rv_status status = RV_OK;
    for (int d = 0; d < net->o->directions && status == RV_OK; d++) {
        rv_plane plane;
        rv_landscape_map map = {0};
        status = rv_plane_random(&plane, objective, net->w, RV_DIRECTION_FILTER, net->seed, (uint64_t)d, &net->err);
        if (status == RV_OK)
            status = rv_landscape_look(&map, &plane, &view, (int)net->o->points, square, square, net->run->options->stop, &net->err);
        if (status == RV_OK)
            net->basin[d] = rv_grid_basin(map.n, map.n, map.f, log(10), 2e-6, NULL);
        rv_plane_release(&plane);
        if (d == 0)
            net->slice = map;
        else
            free(map.x);
    }
    return status;
}

/* ---- the trajectory -------------------------------------------------------------------------- */

/* Share of the squared distances from the last point that lies in a plane through it. */
static double captured(const rv_plane *plane, const void *const *points, int count)
{
    double inside = 0, total = 0;
    rv_plane centre = *plane;
    centre.u = centre.v = calloc((size_t)plane->size, sizeof *centre.u); /* directions of length 0: the point alone */
    for (int k = 0; k < count && centre.u; k++) {
        double distance, rest;
        rv_plane_coordinates(&centre, RV_F32, points[k], NULL, NULL, &distance);
        rv_plane_coordinates(plane, RV_F32, points[k], NULL, NULL, &rest);
        inside += distance * distance - rest * rest;
        total += distance * distance;
    }
    free(centre.u);
    return inside / total;
}

/* The control: what two components hold of a Gaussian random walk of as many points. */
static rv_status walk(const rv_landscape_net *net, const rv_objective *objective, int count, double *share, rv_error *err)
{
    size_t n = (size_t)net->size;
    float *points = calloc((size_t)count * n, sizeof *points);
    const void **list = malloc((size_t)count * sizeof *list);
    double *directions = malloc(2 * n * sizeof *directions), shares[2] = {NAN, NAN};
    rv_status status = points && list && directions ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a random walk");
    for (int k = 0; k < count && status == RV_OK; k++) {
        float *point = points + (size_t)k * n;
        const float *before = k > 0 ? point - n : NULL;
        list[k] = point;
        for (size_t i = 0; before && i < n; i++)
            point[i] = before[i] + (float)rv_random_normal((rv_random){net->seed, RV_RANDOM_NOISE, (uint64_t)k}, i);
    }
    if (status == RV_OK)
        status = rv_pca(objective, list, count, 2, directions, shares, err);
    *share = shares[0] + shares[1];
    free(points);
    free(list);
    free(directions);
    return status;
}

/* The least and the largest of x, a margin beyond. */
static void range(const double *x, int n, double ends[2])
{
    ends[0] = ends[1] = x[0];
    for (int k = 1; k < n; k++) {
        ends[0] = fmin(ends[0], x[k]);
        ends[1] = fmax(ends[1], x[k]);
    }
    double margin = 0.3 * (ends[1] - ends[0]) + 1e-6;
    ends[0] -= margin;
    ends[1] += margin;
}

static rv_status principal(rv_landscape_net *net, rv_objective *objective, const void *const *points, int count)
{
    rv_plane plane, random = {0};
    double shares[2], x[2], y[2];
    const rv_view view = training_loss(objective);
    rv_status status = rv_plane_principal(&plane, objective, points, count, shares, &net->err);
    if (status == RV_OK)
        status = rv_plane_random(&random, objective, net->w, RV_DIRECTION_GAUSSIAN, net->seed, 0, &net->err);
    if (status == RV_OK)
        status = walk(net, objective, count, &net->walk_share, &net->err);
    if (status == RV_OK) {
        net->share = shares[0] + shares[1];
        net->random_share = captured(&random, points, count);
        for (int k = 0; k < count; k++)
            rv_plane_coordinates(&plane, RV_F32, points[k], &net->path_x[k], &net->path_y[k], NULL);
        range(net->path_x, count, x);
        range(net->path_y, count, y);
        status = rv_landscape_look(&net->principal, &plane, &view, (int)net->o->points, x, y, net->run->options->stop, &net->err);
    }
    rv_plane_release(&plane);
    rv_plane_release(&random);
    return status;
}

/* ---- the Hessian ------------------------------------------------------------------------------ */

/* Training mode over one epoch's batches: the function whose Hessian it is. */
static rv_view whole_epoch(const rv_landscape_net *net, rv_objective *objective)
{
    return (rv_view){.mode = RV_VIEW_TRAINING, .probe = {.objective = objective, .batches = (int)(net->o->images / RV_LANDSCAPE_BATCH)}};
}

/* The second difference of the training loss along u where a rise of 1e-6 is due, over the eigenvalue. */
static rv_status compare_curvature(rv_landscape_net *net, const rv_plane *plane, const rv_view *view)
{
    double reach = sqrt(2e-6 / net->pairs[0].value), x[] = {-reach, 0, reach}, y[] = {0}, f[3];
    RV_TRY(rv_plane_values(plane, view, 3, x, 1, y, f, net->run->options->stop, &net->err));
    net->bend = (f[0] + f[2] - 2 * f[1]) / (reach * reach) / net->pairs[0].value;
    return RV_OK;
}

/* Eigenvectors in float64, from the weights as the training left them; plane->u and v become the first two. */
static rv_status eigenvectors(rv_landscape_net *net, rv_objective *exact, rv_plane *plane)
{
    const rv_view view = whole_epoch(net, exact);
    double *w = malloc(4 * (size_t)net->size * sizeof *w), *vectors = w + net->size;
    if (!w)
        return rv_fail(&net->err, RV_E_MEMORY, "no memory for eigenvectors");
    for (int64_t i = 0; i < net->size; i++)
        w[i] = (double)net->w[i];
    rv_status status = rv_probe_eigenvectors(&view.probe, w, net->seed, LANCZOS_STEPS, 2, 1, net->pairs, vectors, &net->err);
    if (status == RV_OK) {
        memcpy(plane->u, vectors, (size_t)net->size * sizeof *vectors);
        memcpy(plane->v, vectors + net->size, (size_t)net->size * sizeof *vectors);
        status = compare_curvature(net, plane, &view);
    }
    free(w);
    return status;
}

static rv_status hessian(rv_landscape_net *net, rv_objective *objective)
{
    rv_plane plane;
    rv_objective *exact = NULL;
    const rv_residual spec = rv_landscape_spec(net);
    const rv_view view = whole_epoch(net, objective);
    rv_status status = rv_plane_new(&plane, objective, net->w, &net->err);
    if (status == RV_OK)
        status = rv_residual_new(net->run, &spec, RV_BACKEND_REF, &exact, &net->err);
    if (status == RV_OK) {
        assert(exact->layout->size == net->size); /* one layout, whatever the element type */
        status = eigenvectors(net, exact, &plane);
    }
    if (status == RV_OK && net->seed == 0) { /* to where quadratics of these curvatures have risen by 1 */
        double x = sqrt(2 / net->pairs[0].value), y = sqrt(2 / fabs(net->pairs[1].value));
        status = rv_landscape_look(&net->hessian, &plane, &view, (int)net->o->points * 2 / 3 | 1, (double[]){-x, x}, (double[]){-y, y},
                                   net->run->options->stop, &net->err);
    }
    rv_objective_free(exact);
    rv_plane_release(&plane);
    return status;
}

/* The same attempt where there is no Hessian: what the kinks of ReLU leave of an eigenvector. */
static rv_status kinks(rv_landscape_net *net, rv_objective *objective)
{
    const rv_view view = whole_epoch(net, objective);
    double *vector = malloc((size_t)net->size * sizeof *vector);
    rv_status status = vector ? rv_probe_eigenvectors(&view.probe, net->w, net->seed, LANCZOS_STEPS, 1, 0, net->pairs, vector, &net->err)
                              : rv_fail(&net->err, RV_E_MEMORY, "no memory for an eigenvector");
    free(vector);
    return status;
}

/* ---- the job ----------------------------------------------------------------------------------- */

static rv_status train(rv_landscape_net *net, rv_objective *objective, float *path)
{
    rv_residual_training training = {.lr = net->lr, .epochs = net->o->epochs, .per_epoch = net->o->images / RV_LANDSCAPE_BATCH,
                                     .seed = net->seed, .stop = net->run->options->stop, .path = path};
    RV_TRY(rv_objective_init(objective, net->seed, net->w, &net->err));
    RV_TRY(rv_residual_descend(objective, &training, net->w, &net->err));
    RV_TRY(rv_objective_recompute(objective, net->w, &net->err));
    RV_TRY(rv_study_evaluate(objective, net->w, RV_SPLIT_TRAIN, "accuracy", &net->train, &net->err));
    RV_TRY(rv_study_evaluate(objective, net->w, RV_SPLIT_TRAIN, "loss", &net->loss, &net->err));
    return rv_study_evaluate(objective, net->w, RV_SPLIT_TEST, "accuracy", &net->test, &net->err);
}

static rv_status measure(rv_landscape_net *net, rv_objective *objective, float *path, const void **points)
{
    int count = (int)net->o->epochs + 1;
    RV_TRY(train(net, objective, net->trajectory ? path : NULL));
    if (net->slices)
        RV_TRY(slices(net, objective));
    if (net->curvature)
        return hessian(net, objective);
    if (!net->trajectory)
        return RV_OK;
    for (int k = 0; k < count; k++)
        points[k] = path + k * net->size;
    RV_TRY(principal(net, objective, points, count));
    return kinks(net, objective);
}

void rv_landscape_net_job(rv_landscape_net *net)
{
    const rv_residual spec = rv_landscape_spec(net);
    rv_objective *objective = NULL;
    net->status = rv_residual_new(net->run, &spec, RV_BACKEND_CPU, &objective, &net->err);
    if (net->status != RV_OK)
        return;
    size_t count = (size_t)net->o->epochs + 1;
    net->size = objective->layout->size;
    net->w = calloc((size_t)net->size, sizeof *net->w);
    float *path = malloc((net->trajectory ? count : 1) * (size_t)net->size * sizeof *path);
    const void **points = malloc(count * sizeof *points);
    net->status = net->w && path && points ? measure(net, objective, path, points)
                                           : rv_fail(&net->err, RV_E_MEMORY, "no memory for a net and its trajectory");
    free(path);
    free(points);
    rv_objective_free(objective);
}

void rv_landscape_net_release(rv_landscape_net *net)
{
    free(net->w);
    free(net->slice.x);
    free(net->principal.x);
    free(net->hessian.x);
}
