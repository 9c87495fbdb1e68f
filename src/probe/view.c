/* The function that a landscape shows, at one point.  A value that is not finite is
 * +infinity, so that far fields of a plane end nothing. */
#include "ravine/landscape.h"

#include <math.h>

#include "probe/vector.h"

static rv_status evaluated(const rv_view *view, const void *w, double *value, rv_error *err)
{
    rv_metrics metrics;
    RV_TRY(rv_objective_evaluate(view->probe.objective, w, view->split, &metrics, err));
    *value = rv_metrics_get(&metrics, view->metric);
    return RV_OK;
}

static rv_status recomputed(const rv_view *view, const void *w, double *value, rv_error *err)
{
    void *statistics;
    RV_TRY(rv_statistics_save(view->probe.objective, &statistics, err));
    rv_status status = rv_objective_recompute(view->probe.objective, w, err);
    if (status == RV_OK)
        status = evaluated(view, w, value, err);
    rv_statistics_restore(view->probe.objective, statistics);
    return status;
}

rv_status rv_view_value(const rv_view *view, const void *w, double *value, rv_error *err)
{
    rv_status status;
    if (view->mode == RV_VIEW_TRAINING)
        status = rv_probe_gradient(&view->probe, w, NULL, value, err);
    else
        status = view->mode == RV_VIEW_CENTRE ? evaluated(view, w, value, err) : recomputed(view, w, value, err);
    if (status == RV_E_NUMERIC || (status == RV_OK && isnan(*value)))
        *value = INFINITY;
    return status == RV_E_NUMERIC ? RV_OK : status;
}
