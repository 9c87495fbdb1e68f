/* The figures of loss-landscape. */
#include <math.h>
#include <stdio.h>

#include "studies/landscape.h"

static rv_figure *map_figure(rv_study_run *run, const char *name, const char *title, const char *caption, const char *x, const char *y, const char *label,
                             const rv_landscape_map *map)
{
    rv_figure *figure = rv_study_figure(run, name, title, caption, (rv_axis){.label = x}, (rv_axis){.label = y});
    rv_figure_field(figure, label, true, map->n, map->x, map->n, map->y, map->f);
    rv_figure_half(figure);
    return figure;
}

static void draw_slice(rv_study_run *run, const rv_landscape_net *net)
{
    static const double centre[] = {0};
    char name[64], title[96];
    snprintf(name, sizeof name, "slice-%d-%s", net->layers, net->skips ? "skips" : "plain");
    snprintf(title, sizeof title, net->skips ? "%d layers with skips" : "%d layers without skips", net->layers);
    rv_figure *figure = map_figure(run, name, title, "Training loss over two filter-normalised directions through the trained net; seed 0, first pair of directions.",
                                   "α", "β", "loss", &net->slice);
    rv_figure_series(figure, "the net", RV_SERIES_POINTS, 1, centre, centre);
    rv_figure_surface(figure);
}

static void draw_trajectory(rv_study_run *run, const rv_landscape_net *net)
{
    char name[64], title[96];
    snprintf(name, sizeof name, "trajectory-%s", net->skips ? "skips" : "plain");
    snprintf(title, sizeof title, net->skips ? "The trajectory, %d layers with skips" : "The trajectory, %d layers without skips", net->layers);
    rv_figure *figure = map_figure(run, name, title,
                                   "Weights after every epoch in the plane of their first two principal components, over the training loss there (statistics of the last point). The points lie near the plane, not in it.",
                                   "first component", "second component", "loss", &net->principal);
    rv_figure_series(figure, "epochs", RV_SERIES_BOTH, net->o->epochs + 1, net->path_x, net->path_y);
}

static void draw_hessian(rv_study_run *run, const rv_landscape_net *net)
{
    char name[64], title[96];
    snprintf(name, sizeof name, "hessian-%s", net->skips ? "skips" : "plain");
    snprintf(title, sizeof title, net->skips ? "The Hessian's plane, %d layers of GELU with skips" : "The Hessian's plane, %d layers of GELU without skips", net->layers);
    map_figure(run, name, title, "Training loss along the eigenvectors of the two largest eigenvalues, to where a quadratic of that curvature would have risen by 1.",
               "first eigenvector", "second eigenvector", "loss", &net->hessian);
}

void rv_landscape_draw_nets(rv_study_run *run, const rv_landscape_net *nets, int count)
{
    for (int k = count - 1; k >= 0; k--)
        if (nets[k].slices)
            draw_slice(run, &nets[k]);
    for (int k = count - 1; k >= 0; k--)
        if (nets[k].trajectory)
            draw_trajectory(run, &nets[k]);
    for (int k = count - 1; k >= 0; k--)
        if (nets[k].curvature)
            draw_hessian(run, &nets[k]);
}

void rv_landscape_draw_shares(rv_study_run *run, const rv_landscape_net *nets, int count, int seeds)
{
    rv_figure *figure = rv_study_figure(run, "shares", "How much of the basin is not convex", "Every point is one pair of random directions through one net; side by side within a seed.",
                                        (rv_axis){.label = "training seed"}, (rv_axis){.label = "share of points below ln 10 that are not convex", .low = -0.02, .high = 1.02});
    for (int s = 0; s < seeds; s++)
        for (int k = count - 1; k >= 0; k--) {
            const rv_landscape_net *net = &nets[s * count + k];
            double x[RV_LANDSCAPE_MOST_DIRECTIONS], y[RV_LANDSCAPE_MOST_DIRECTIONS];
            for (int d = 0; d < net->o->directions; d++) {
                x[d] = s + 0.05 * (d - (double)(net->o->directions - 1) / 2);
                y[d] = net->basin[d].bent;
            }
            if (net->slices)
                rv_figure_series(figure, net->name, RV_SERIES_POINTS, net->o->directions, x, y);
        }
}

/* ---- between minima ---------------------------------------------------------------------------- */

static void draw_planes(rv_study_run *run, const rv_landscape_bridge *b)
{
    double x[4], y[4];
    rv_figure *three = map_figure(run, "minima", "Three minima", "Training loss over the plane through three nets of different seeds, statistics recomputed at every point: each lies in a basin of its own.",
                                  "distance", "distance", "loss", &b->planes[0]);
    for (int k = 0; k < 4; k++) {
        x[k] = b->corner_x[0][k % 3];
        y[k] = b->corner_y[0][k % 3];
    }
    rv_figure_series(three, "minima", RV_SERIES_POINTS, 3, x, y);
    rv_figure *curve = map_figure(run, "curve-plane", "A curve between two of them", "The plane of the trained curve: around the barrier on the segment leads a path of low loss.",
                                  "distance", "distance", "loss", &b->planes[1]);
    rv_figure_series(curve, "minima", RV_SERIES_POINTS, 2, b->corner_x[1], b->corner_y[1]);
    rv_figure_series(curve, "segment", RV_SERIES_LINE, 2, b->corner_x[1], b->corner_y[1]);
    rv_figure_series(curve, "curve", RV_SERIES_LINE, RV_LANDSCAPE_TIMES, b->curve_x, b->curve_y);
}

void rv_landscape_draw_bridges(rv_study_run *run, const rv_landscape_bridge *bridges, int count)
{
    static const char *const names[] = {"segment", "curve"};
    draw_planes(run, &bridges[0]);
    rv_figure *loss = rv_study_figure(run, "bridge-loss", "The loss between two minima", "Training loss along the segment and along the trained Bezier curve; one line of each for every pair of minima.",
                                      (rv_axis){.label = "t"}, (rv_axis){.label = "training loss", .log = true});
    rv_figure *accuracy = rv_study_figure(run, "bridge-accuracy", "and the test accuracy", "On digits that no net has seen, along the same paths.",
                                          (rv_axis){.label = "t"}, (rv_axis){.label = "test accuracy"});
    rv_figure_half(loss);
    rv_figure_half(accuracy);
    for (int s = 0; s < count; s++)
        for (int k = 0; k < 2; k++) {
            rv_figure_series(loss, names[k], RV_SERIES_LINE, RV_LANDSCAPE_TIMES, bridges[s].t, bridges[s].loss[k]);
            rv_figure_series(accuracy, names[k], RV_SERIES_LINE, RV_LANDSCAPE_TIMES, bridges[s].t, bridges[s].test[k]);
        }
}
