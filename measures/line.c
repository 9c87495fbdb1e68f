/* The loss along lines through the point: random ones, or towards other saved points. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/measure.h"
#include "probe/vector.h"
#include "ravine/landscape.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                       \
    CHOICE(direction, "gaussian|tensor|filter", "filter", "random directions: as they are, scaled by tensor, or by filter") \
    INT(directions, 5, 1, 1000, 0, "random lines; none where --with names other points")            \
    INT(points, 31, 5, 1001, 0, "of a line, odd")                                                   \
    REAL(reach, 1, 0, 1e6, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of a line to each side; towards another point, which stands at 1") \
    CHOICE(view, "centre|recomputed|training", "centre", "statistics of the point, or recomputed everywhere; or the training loss that is probed, with dropout") \
    TEXT(metric, "loss", "of the evaluation; training has its loss")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "line", params, PARAMS);

typedef struct reading {
    int lines, bent;
    double far, width; /* largest |place of the minimum|; mean width at +10 % */
} reading;

/* line->u: the direction. */
static rv_status one_line(rv_measure_run *run, const params *o, const rv_plane *line, const double *x, const char *name,
                          rv_figure *figure, reading *r, rv_error *err)
{
    static const rv_split splits[] = {RV_SPLIT_TRAIN, RV_SPLIT_VALIDATION};
    static const double across = 0;
    int n = (int)o->points, count = o->view == RV_VIEW_TRAINING ? 1 : 2;
    double *f = malloc((size_t)n * sizeof *f);
    rv_status status = f ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a line of %d points", n);
    for (int s = 0; s < count && status == RV_OK; s++) {
        char label[96];
        const rv_view view = {.mode = (rv_view_mode)o->view, .probe = run->target, .split = splits[s], .metric = o->metric};
        status = rv_plane_values(line, &view, n, x, 1, &across, f, run->options->stop, err);
        if (status == RV_E_UNSUPPORTED) { /* no such split */
            status = RV_OK;
            continue;
        }
        snprintf(label, sizeof label, name ? "%s, to %.60s" : "%s", count == 1 ? "training mode" : rv_split_name(splits[s]), name);
        if (status == RV_OK)
            rv_figure_series(figure, label, RV_SERIES_LINE, n, x, f);
        if (s == 0 && status == RV_OK) {
            r->lines++;
            r->bent += rv_line_bends_down(n, x, f, HUGE_VAL);
            r->far = fmax(r->far, fabs(rv_line_minimum(n, x, f)));
            r->width += rv_line_width(n, x, f, 1.1 * f[n / 2]);
        }
    }
    free(f);
    return status;
}

/* d <- from the point to another. */
static void towards(const rv_measure_run *run, const void *other, double *d)
{
    const rv_objective *o = run->point.objective;
    for (int64_t i = 0; i < o->layout->size; i++)
        d[i] = rv_vector_at(other, o->dtype, i) - rv_vector_at(run->point.w, o->dtype, i);
}

/* The last part of a path, for a legend. */
static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static rv_status all_lines(rv_measure_run *run, const params *o, double *x, rv_plane *line, rv_figure *figure, reading *r,
                           rv_error *err)
{
    int others = run->other_count, lines = others > 0 ? others : (int)o->directions;
    for (int i = 0; i < o->points; i++)
        x[i] = o->reach * (2.0 * i / (double)(o->points - 1) - 1);
    for (int k = 0; k < lines; k++) {
        RV_TRY(rv_measure_progress(run, (double)k / lines));
        if (others > 0)
            towards(run, run->others[k], line->u);
        else
            rv_direction_draw(run->point.objective, run->point.w, (rv_direction)o->direction, (uint64_t)run->common.seed,
                              (uint64_t)k, line->u);
        RV_TRY(one_line(run, o, line, x, others > 0 ? short_name(run->other_names[k]) : NULL, figure, r, err));
    }
    return RV_OK;
}

static rv_status check_metric(rv_measure_run *run, const params *o, rv_error *err)
{
    rv_metrics metrics;
    RV_TRY(rv_objective_evaluate(run->point.objective, run->point.w, RV_SPLIT_VALIDATION, &metrics, err));
    rv_text list = {0};
    for (int i = 0; i < metrics.count; i++) {
        if (strcmp(metrics.metric[i].name, o->metric) == 0) {
            rv_text_release(&list);
            return RV_OK;
        }
        rv_text_format(&list, "%s%s", i ? ", " : "", metrics.metric[i].name);
    }
    rv_status status = rv_fail(err, RV_E_UNKNOWN, "line.metric: expected one of %s, found '%s'", list.data ? list.data : "none", o->metric);
    rv_text_release(&list);
    return status;
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    bool to = run->other_count > 0;
    if (o->points % 2 == 0)
        return rv_fail(err, RV_E_RANGE, "line.points: expected an odd number, so that the point is in the middle, found %lld",
                       (long long)o->points);
    if (o->view == RV_VIEW_TRAINING && strcmp(o->metric, "loss") != 0)
        return rv_fail(err, RV_E_ARGUMENT, "line.view=training: expected line.metric=loss, found %s", o->metric);
    RV_TRY(check_metric(run, o, err));
    rv_figure *figure = rv_measure_figure(run, "line", to ? "The loss towards other points" : "The loss along random lines",
                                          to ? "0 is the point, 1 the other one." : "Through the point at 0.",
                                          (rv_axis){.label = "α"}, (rv_axis){.label = o->metric});
    rv_figure_mark(figure, 'x', 0, "");
    double *x = calloc((size_t)o->points, sizeof *x);
    rv_plane line = {0};
    reading r = {0};
    rv_status status = x ? rv_plane_new(&line, run->point.objective, run->point.w, err) : rv_fail(err, RV_E_MEMORY, "no memory for a line");
    if (status == RV_OK)
        status = all_lines(run, o, x, &line, figure, &r, err);
    rv_plane_release(&line);
    free(x);
    if (status == RV_OK && r.lines > 0) {
        rv_measure_value(run, "minimum", r.far, NAN, "largest |alpha| of the minima of %d lines, %s", r.lines,
                         o->view == RV_VIEW_TRAINING ? "training mode" : "training split");
        rv_measure_value(run, "bent", (double)r.bent / r.lines, NAN, "share of lines that bend down somewhere");
        rv_measure_value(run, "width", r.width / r.lines, NAN, "mean width at 10 %% above the point, at most %g", 2 * o->reach);
    }
    return status;
}

const rv_measure rv_measure_line = {
    .name = "line",
    .title = "The loss along lines, random or towards other saved points",
    .description = "Training and validation split in evaluation mode; with line.view=training the loss that is trained, with dropout\n"
                   "and batch statistics of its own.  Random directions are scaled by filter (Li et al. 2018: each row to\n"
                   "the norm of its weights, biases and gains left alone) unless line.direction says otherwise.  With --with POINT the line\n"
                   "goes through that point at alpha = 1.",
    .source = "Goodfellow, Vinyals, Saxe 2015; Li et al. 2018, section 4",
    .params = &table,
    .usual = true,
    .run = run_measure,
};
