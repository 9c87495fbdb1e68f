/* The noise of mini-batch gradients at the point. */
#include <math.h>
#include <stdlib.h>

#include "measures/draw.h"
#include "measures/measure.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                         \
    INT(samples, 64, 4, 1000000, RV_PARAM_LOG, "mini-batches whose gradients are compared") \
    INT(bins, 20, 2, 200, 0, "of the histogram")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "noise", params, PARAMS);

static void report(rv_measure_run *run, const rv_noise *noise, int samples)
{
    double signal = noise->gradient * noise->gradient - noise->covariance / samples;
    double examples = (double)run->point.objective->examples;
    rv_measure_value(run, "gradient", noise->gradient, NAN, "norm of the mean gradient of %d mini-batches", samples);
    rv_measure_value(run, "covariance", noise->covariance, NAN, "trace of the covariance of a mini-batch gradient");
    rv_measure_value(run, "noise_scale", signal > 0 ? examples * noise->covariance / signal : INFINITY, NAN,
                     "gradient noise scale in examples: the batch at which noise and gradient are of one size");
    rv_measure_value(run, "kurtosis", noise->kurtosis, sqrt(24.0 / samples), "excess kurtosis of the error norms; 0 if they were Gaussian");
    rv_measure_value(run, "tail", noise->tail, NAN, "Hill's tail index of the error norms; below 2 the variance would be infinite");
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_noise noise;
    rv_probe_target target = run->target;
    target.batches = (int)o->samples;
    double *norms = malloc((size_t)o->samples * sizeof *norms);
    if (!norms)
        return rv_fail(err, RV_E_MEMORY, "no memory for %lld norms", (long long)o->samples);
    rv_status status = rv_probe_noise(&target, run->point.w, &noise, norms, err);
    if (status == RV_OK) {
        report(run, &noise, (int)o->samples);
        rv_figure *figure = rv_measure_figure(run, "noise", "Gradient noise", "Histogram of |gradient of a mini-batch - mean gradient|. Gaussian noise in many "
                                              "dimensions gives one narrow hump; a long right tail, a few batches that are far off.",
                                              (rv_axis){.label = "error norm"}, (rv_axis){.label = "mini-batches"});
        rv_draw_histogram(figure, "mini-batches", (int)o->samples, norms, (int)o->bins);
    }
    free(norms);
    return status;
}

const rv_measure rv_measure_noise = {
    .name = "noise",
    .title = "Gradient noise: size, histogram, kurtosis and tail index",
    .description = "Gradients of mini-batches of the training's own size against their mean.  The noise scale is examples x tr(covariance) /\n"
                   "|gradient|^2 with the noise of the mean taken off.  Kurtosis and tail index are of the error norms; a tail index of\n"
                   "few samples says little (its largest tenth decides).",
    .source = "McCandlish et al. 2018 (noise scale); Simsekli et al. 2019 (tails); Hill 1975; Kunstner et al. 2023 (histograms)",
    .params = &table,
    .usual = true,
    .run = run_measure,
};
