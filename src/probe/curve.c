/* Curves between two points, and the objective whose minimum is a curve of low loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/vector.h"
#include "ravine/landscape.h"

/* The factor of the bend in the point at t, which is also the derivative of the point by it. */
static double bend_share(rv_curve_kind kind, double t)
{
    return kind == RV_CURVE_BEZIER ? 2 * t * (1 - t) : 2 * fmin(t, 1 - t);
}

void rv_curve_point(const rv_curve *curve, double t, void *w)
{
    double a = 1 - t, b = 0, c = t;
    if (curve->bend) {
        b = bend_share(curve->kind, t);
        a = curve->kind == RV_CURVE_BEZIER ? (1 - t) * (1 - t) : fmax(1 - 2 * t, 0);
        c = curve->kind == RV_CURVE_BEZIER ? t * t : fmax(2 * t - 1, 0);
    }
    for (int64_t i = 0; i < curve->size; i++) {
        double value = a * rv_vector_at(curve->start, curve->dtype, i) + c * rv_vector_at(curve->end, curve->dtype, i);
        if (curve->bend)
            value += b * rv_vector_at(curve->bend, curve->dtype, i);
        rv_vector_set(w, curve->dtype, i, value);
    }
}

rv_status rv_curve_values(const rv_curve *curve, const rv_view *view, int count, const double *t, double *values,
                          rv_error *err)
{
    void *point = rv_weights_new(view->probe.objective, err);
    rv_status status = point ? RV_OK : RV_E_MEMORY;
    for (int k = 0; k < count && status == RV_OK; k++) {
        rv_curve_point(curve, t[k], point);
        status = rv_view_value(view, point, &values[k], err);
    }
    free(point);
    return status;
}

double rv_curve_barrier(int count, const double *t, const double *values)
{
    double barrier = 0, length = t[count - 1] - t[0];
    for (int k = 0; k < count; k++) {
        double share = (t[k] - t[0]) / length;
        barrier = fmax(barrier, values[k] - (1 - share) * values[0] - share * values[count - 1]);
    }
    return barrier;
}

/* ---- the objective -------------------------------------------------------------- */

typedef struct curve_objective {
    rv_objective base;
    rv_objective *inner; /* borrowed */
    rv_curve curve;      /* its bend is set to the weights of the call */
    void *point;         /* owned [size]: where inner is asked */
} curve_objective;

static rv_status curve_init(rv_objective *objective, uint64_t seed, void *w, rv_error *err)
{
    curve_objective *o = (curve_objective *)objective;
    RV_TRY(rv_objective_init(o->inner, seed, w, err)); /* for the statistics */
    o->curve.bend = NULL;
    rv_curve_point(&o->curve, 0.5, w);
    return RV_OK;
}

static rv_status curve_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g, double *loss,
                                  rv_error *err)
{
    curve_objective *o = (curve_objective *)objective;
    double t = rv_random_uniform((rv_random){batch.seed, RV_RANDOM_CURVE, batch.step}, 0);
    o->curve.bend = w;
    rv_curve_point(&o->curve, t, o->point);
    RV_TRY(rv_objective_value_grad(o->inner, o->point, batch, g, loss, err));
    double share = bend_share(o->curve.kind, t);
    for (int64_t i = 0; i < o->curve.size; i++)
        rv_vector_set(g, o->base.dtype, i, share * rv_vector_at(g, o->base.dtype, i));
    return RV_OK;
}

static rv_status mean_metrics(curve_objective *o, rv_split split, rv_metrics *metrics, rv_error *err)
{
    enum { TIMES = 8 };
    for (int k = 0; k < TIMES; k++) {
        rv_metrics here;
        rv_curve_point(&o->curve, (k + 0.5) / TIMES, o->point);
        RV_TRY(rv_objective_recompute(o->inner, o->point, err));
        RV_TRY(rv_objective_evaluate(o->inner, o->point, split, &here, err));
        for (int m = 0; m < here.count; m++)
            here.metric[m].value = here.metric[m].value / TIMES + (k ? metrics->metric[m].value : 0);
        *metrics = here;
    }
    return RV_OK;
}

static rv_status curve_evaluate(rv_objective *objective, const void *w, rv_split split, rv_metrics *metrics, rv_error *err)
{
    curve_objective *o = (curve_objective *)objective;
    void *statistics;
    RV_TRY(rv_statistics_save(o->inner, &statistics, err));
    o->curve.bend = w;
    rv_status status = mean_metrics(o, split, metrics, err);
    rv_statistics_restore(o->inner, statistics);
    return status;
}

static rv_status curve_recompute(rv_objective *objective, const void *w, rv_error *err)
{
    return rv_objective_recompute(((curve_objective *)objective)->inner, w, err);
}

static void curve_free(rv_objective *objective)
{
    free(((curve_objective *)objective)->point);
    free(objective);
}

static const rv_objective_methods methods = {.init = curve_init, .value_grad = curve_value_grad, .evaluate = curve_evaluate,
                                             .recompute = curve_recompute, .free = curve_free};

rv_status rv_curve_objective_new(rv_objective **out, rv_objective *inner, rv_curve_kind kind, const void *start,
                                 const void *end, rv_error *err)
{
    curve_objective *o = calloc(1, sizeof *o);
    if (!o)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for a curve", inner->name);
    o->base = *inner;
    o->base.methods = &methods;
    o->base.name = "curve";
    o->inner = inner;
    o->curve = (rv_curve){inner->dtype, inner->layout->size, start, NULL, end, kind};
    o->point = rv_weights_new(inner, err);
    if (!o->point) {
        free(o);
        return RV_E_MEMORY;
    }
    *out = &o->base;
    return RV_OK;
}
