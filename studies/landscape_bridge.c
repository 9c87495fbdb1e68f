/* Between minima: the straight segment, a quadratic Bezier curve trained for low loss (Garipov
 * et al. 2018), and the planes of three minima and of the curve.  Statistics of batch norm are
 * recomputed at every point. */
#include <math.h>
#include <stdlib.h>

#include "studies/landscape.h"

static rv_status along(rv_landscape_bridge *b, rv_objective *objective, const float *bend, int which)
{
    const struct {
        rv_split split;
        const char *metric;
        double *values;
    } looks[] = {{RV_SPLIT_TRAIN, "loss", b->loss[which]},
                 {RV_SPLIT_TRAIN, "accuracy", b->train[which]},
                 {RV_SPLIT_TEST, "accuracy", b->test[which]}};
    rv_curve curve = {RV_F32, objective->layout->size, b->ends[0]->w, bend, b->ends[1]->w, RV_CURVE_BEZIER};
    for (int k = 0; k < 3; k++) {
        rv_view view = {.mode = RV_VIEW_RECOMPUTED, .probe = {.objective = objective}, .split = looks[k].split, .metric = looks[k].metric};
        RV_TRY(rv_curve_values(&curve, &view, RV_LANDSCAPE_TIMES, b->t, looks[k].values, &b->err));
    }
    return RV_OK;
}

/* The plane through both ends and a third point, a quarter of its size beyond them. */
static rv_status look(rv_landscape_bridge *b, rv_objective *objective, const float *third, const float *bend, int which)
{
    rv_plane plane;
    double *cx = b->corner_x[which], *cy = b->corner_y[which], x[2], y[2];
    const float *corners[] = {b->ends[0]->w, b->ends[1]->w, third};
    const rv_view view = {.mode = RV_VIEW_RECOMPUTED, .probe = {.objective = objective}, .split = RV_SPLIT_TRAIN, .metric = "loss"};
    rv_status status = rv_plane_through(&plane, objective, corners[0], corners[1], corners[2], &b->err);
    if (status == RV_OK) {
        for (int k = 0; k < 3; k++)
            rv_plane_coordinates(&plane, RV_F32, corners[k], &cx[k], &cy[k], NULL);
        double margin = 0.25 * fmax(cx[1], cy[2]);
        x[0] = fmin(0, cx[2]) - margin;
        x[1] = fmax(cx[1], cx[2]) + margin;
        y[0] = -margin;
        y[1] = cy[2] + margin;
        status = rv_landscape_look(&b->planes[which], &plane, &view, (int)b->ends[0]->o->points, x, y, b->ends[0]->run->options->stop, &b->err);
    }
    if (status == RV_OK && bend) {
        rv_curve curve = {RV_F32, plane.size, corners[0], bend, corners[1], RV_CURVE_BEZIER};
        float *point = rv_study_vector(objective, &b->err);
        for (int k = 0; k < RV_LANDSCAPE_TIMES && point; k++) {
            rv_curve_point(&curve, b->t[k], point);
            rv_plane_coordinates(&plane, RV_F32, point, &b->curve_x[k], &b->curve_y[k], NULL);
        }
        status = point ? RV_OK : RV_E_MEMORY;
        free(point);
    }
    rv_plane_release(&plane);
    return status;
}

static rv_status connect(rv_landscape_bridge *b, rv_objective *objective, rv_objective *curve, float *bend)
{
    const rv_landscape_net *net = b->ends[0];
    rv_residual_training training = {.lr = net->lr, .epochs = net->o->curve, .per_epoch = net->o->images / RV_LANDSCAPE_BATCH,
                                     .seed = net->seed, .stop = net->run->options->stop};
    RV_TRY(rv_objective_init(curve, net->seed, bend, &b->err));
    RV_TRY(rv_residual_descend(curve, &training, bend, &b->err));
    RV_TRY(along(b, objective, NULL, 0));
    RV_TRY(along(b, objective, bend, 1));
    if (b->third) {
        RV_TRY(look(b, objective, b->third->w, NULL, 0));
        RV_TRY(look(b, objective, bend, bend, 1));
    }
    return RV_OK;
}

void rv_landscape_bridge_job(rv_landscape_bridge *b)
{
    const rv_landscape_net *net = b->ends[0];
    const rv_residual spec = rv_landscape_spec(net);
    rv_objective *objective = NULL, *curve = NULL;
    for (int k = 0; k < RV_LANDSCAPE_TIMES; k++)
        b->t[k] = k / (RV_LANDSCAPE_TIMES - 1.0);
    b->status = rv_residual_new(net->run, &spec, RV_BACKEND_CPU, &objective, &b->err);
    if (b->status == RV_OK)
        b->status = rv_curve_objective_new(&curve, objective, RV_CURVE_BEZIER, net->w, b->ends[1]->w, &b->err);
    if (b->status == RV_OK) {
        float *bend = rv_study_vector(objective, &b->err);
        b->status = bend ? connect(b, objective, curve, bend) : RV_E_MEMORY;
        free(bend);
    }
    rv_objective_free(curve);
    rv_objective_free(objective);
}

void rv_landscape_bridge_release(rv_landscape_bridge *b)
{
    free(b->planes[0].x);
    free(b->planes[1].x);
}
