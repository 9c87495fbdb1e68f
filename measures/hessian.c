/* The Hessian at the point: its ends, trace and spectral density. */
#include <float.h>
#include <math.h>

#include "measures/draw.h"
#include "measures/measure.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    INT(products, 30, 2, 1000, RV_PARAM_LOG, "Hessian-vector products of a Lanczos run") \
    INT(starts, 3, 1, 100, 0, "Lanczos runs, each from a direction of its own")     \
    INT(samples, 10, 1, 10000, RV_PARAM_LOG, "random vectors of the trace estimate")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "hessian", params, PARAMS);

/* A Ritz value is no nearer to an eigenvalue than products with the Hessian are exact: central differences are
 * to two thirds of the digits. */
static double bound_of(const rv_measure_run *run, const rv_spectrum *s, double bound)
{
    double epsilon = run->point.objective->dtype == RV_F64 ? DBL_EPSILON : FLT_EPSILON;
    return fmax(bound, pow(epsilon, 2.0 / 3) * fmax(fabs(s->most.value), fabs(s->least.value)));
}

static void report(rv_measure_run *run, const rv_spectrum *s, rv_estimate trace)
{
    double n = (double)rv_layout_parameters(run->point.objective->layout);
    rv_measure_value(run, "lambda_max", s->most.value, bound_of(run, s, s->most.bound), "largest eigenvalue; some eigenvalue is within the error");
    rv_measure_value(run, "lambda_min", s->least.value, bound_of(run, s, s->least.bound), "smallest eigenvalue; some eigenvalue is within the error");
    rv_measure_value(run, "negative", fabs(fmin(s->least.value, 0) / s->most.value), NAN, "|smallest negative / largest eigenvalue|");
    rv_measure_value(run, "trace", trace.mean, trace.error, "trace, Hutchinson's estimate of %d vectors", trace.samples);
    rv_measure_value(run, "trace_lanczos", s->trace.mean, s->trace.error, "trace by quadrature, %d starts", s->starts);
    rv_measure_value(run, "mean_eigenvalue", trace.mean / n, trace.error / n, "mean eigenvalue");
    rv_measure_value(run, "largest_stable_lr", 2 / s->most.value, NAN, "2 / largest eigenvalue: gradient descent diverges beyond");
}

static rv_status run_measure(rv_measure_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    uint64_t seed = (uint64_t)run->common.seed;
    rv_spectrum spectrum;
    rv_estimate trace;
    rv_status status = rv_probe_spectrum(&run->target, run->point.w, seed, (int)o->starts, (int)o->products, &spectrum, err);
    if (status == RV_OK)
        status = rv_measure_progress(run, (double)(o->starts * o->products) / (double)(o->starts * o->products + o->samples));
    if (status == RV_OK) /* directions of its own: the estimates are compared */
        status = rv_probe_trace(&run->target, run->point.w, seed + 1, (int)o->samples, &trace, err);
    if (status == RV_OK) {
        report(run, &spectrum, trace);
        rv_draw_spectrum(rv_measure_figure(run, "spectrum", "The spectrum of the Hessian",
                                           "Stochastic Lanczos quadrature; band: standard error over the starts.",
                                           (rv_axis){.label = "eigenvalue"}, (rv_axis){.label = "density", .log = true}),
                         &spectrum);
    }
    rv_spectrum_release(&spectrum);
    return status;
}

const rv_measure rv_measure_hessian = {
    .name = "hessian",
    .title = "Curvature: the ends of the Hessian's spectrum, its trace and density",
    .description = "Lanczos with full reorthogonalisation from several random starts; the trace by Hutchinson's estimator beside it.\n"
                   "Products with the Hessian are exact where the workload has them, else central differences of gradients: nine\n"
                   "digits in float64 (--set train.precision=f64), four in float32.",
    .source = "Ghorbani, Krishnan, Xiao 2019; Hutchinson 1990; Cohen et al. 2021 for 2 / lambda_max",
    .params = &table,
    .usual = true,
    .run = run_measure,
};
