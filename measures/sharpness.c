/* Sharpness in a box, for several sizes of the box. */
#include <math.h>

#include "measures/measure.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(epsilon, 1e-3, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "half the box, relative to |w| + 1") \
    INT(steps, 10, 1, 1000, 0, "of the ascent inside the box")                                   \
    INT(sizes, 5, 1, 30, 0, "boxes, each half as large as the one before")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "sharpness", params, PARAMS);

enum { MOST = 30 };

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    double epsilon[MOST], sharpness[MOST];
    int n = (int)o->sizes;
    for (int k = 0; k < n; k++) {
        epsilon[k] = o->epsilon / pow(2, k);
        RV_TRY(rv_measure_progress(run, (double)k / n));
        RV_TRY(rv_probe_box_sharpness(&run->target, run->point.w, epsilon[k], (int)o->steps, &sharpness[k], err));
    }
    rv_measure_value(run, "box", sharpness[0], NAN, "box sharpness in per cent, epsilon %g; a lower bound", epsilon[0]);
    if (n > 1)
        rv_measure_value(run, "box_half", sharpness[1], NAN, "box sharpness in per cent, epsilon %g; a lower bound", epsilon[1]);
    rv_figure *figure = rv_measure_figure(run, "sharpness", "Sharpness in a box", "Largest rise of the loss found within a box around the weights, "
                                          "in per cent of 1 + loss: slope 1 where the gradient decides, 2 where the curvature does.",
                                          (rv_axis){.label = "ε", .log = true}, (rv_axis){.label = "sharpness, %", .log = true});
    rv_figure_series(figure, "sharpness", RV_SERIES_BOTH, n, epsilon, sharpness);
    return RV_OK;
}

const rv_measure rv_measure_sharpness = {
    .name = "sharpness",
    .title = "Sharpness in a box around the weights, after Keskar et al.",
    .description = "100 (max f - f(w)) / (1 + f(w)) over |y_i| <= epsilon (|w_i| + 1).  The maximum is sought by steps along the sign of\n"
                   "the gradient, not by L-BFGS-B: a lower bound either way.  It is no property of the function: rescaling the\n"
                   "layers of a ReLU network changes it (Dinh et al. 2017).",
    .source = "Keskar et al. 2017, metric 2.1",
    .params = &table,
    .usual = true,
    .run = run_measure,
};
