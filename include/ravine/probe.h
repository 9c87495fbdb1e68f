/* What can be measured at a point of an objective: directions, slices, curvature, spectra,
 * sharpness, gradient noise.  Everything goes through the objective's interface.
 *
 * A probe looks at one fixed function: the mean loss over `batches` mini-batches.  Its
 * vectors are float64 of the layout's size with zero gaps, whatever the objective's type;
 * only w has the objective's type.  Running statistics (batch norm) are put back after
 * every call, and training-mode losses use the statistics of the batch.  A call is for one
 * thread at a time per objective; the objective uses its own workers.  All fallible calls
 * pass on what the objective returns, and RV_E_MEMORY. */
#ifndef RAVINE_PROBE_H
#define RAVINE_PROBE_H

#include "ravine/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_probe_target {
    rv_objective *objective; /* borrowed */
    uint64_t seed;           /* of the mini-batches */
    uint64_t first;          /* step of the first of them */
    int batches;             /* >= 1 */
} rv_probe_target;

/* ---- directions and slices --------------------------------------------- */

typedef enum rv_direction {
    RV_DIRECTION_GAUSSIAN, /* N(0, 1) for every parameter */
    RV_DIRECTION_TENSOR,   /* each tensor scaled to the norm of its weights */
    RV_DIRECTION_FILTER    /* each row (filter, output unit) scaled to the norm of its weights, and zero for
                              biases, gains and shifts: Li et al. 2018, section 4 */
} rv_direction;

/* d [layout size] <- direction number index of seed at w (read by the scaled kinds; else may be NULL). */
RV_API void rv_direction_draw(const rv_objective *objective, const void *w, rv_direction kind, uint64_t seed,
                              uint64_t index, double *d);

/* values[j * nx + i] <- the metric of a split (evaluation mode, statistics of the centre) at
 * w + x[i] dx + y[j] dy.  A line: ny = 1, y and dy NULL.  A loss that is not finite is +infinity. */
RV_API rv_status rv_probe_slice(rv_objective *objective, const void *w, const double *dx, int nx, const double *x,
                                const double *dy, int ny, const double *y, rv_split split, const char *metric,
                                double *values, rv_error *err);

/* What is read off a line f [n] at ascending, equally spaced x [n], n odd, the point itself in the middle. */
RV_API double rv_line_minimum(int n, const double *x, const double *f); /* where the smallest value stands */
/* Whether a second difference within |x| < reach is negative, by more than float32 rounding (2e-6 of f). */
RV_API bool rv_line_bends_down(int n, const double *x, const double *f, double reach);
/* Length of the interval around the middle in which f < level, interpolated; up to the edge where it does not end. */
RV_API double rv_line_width(int n, const double *x, const double *f, double level);

/* ---- gradients and curvature ------------------------------------------- */

/* loss and g [layout size] of the probe's function; either may be NULL. */
RV_API rv_status rv_probe_gradient(const rv_probe_target *probe, const void *w, double *g, double *loss, rv_error *err);

/* hv <- H v: exact where the objective offers it, otherwise a central difference of gradients
 * with step cbrt(epsilon) (1 + |w| / sqrt(n)) along v / |v|: about nine digits in float64,
 * four in float32.  Both hold for smooth functions: a loss with kinks (ReLU) has no Hessian where
 * a step crosses them, and the differences are then not the products of one symmetric matrix. */
RV_API rv_status rv_probe_hessian_vector(const rv_probe_target *probe, const void *w, const double *v, double *hv,
                                         rv_error *err);

typedef struct rv_eigen {
    double value;
    double residual; /* |H v - value v|, |v| = 1: some eigenvalue is within this distance */
    int iterations;
} rv_eigen;

/* The eigenvalue of largest magnitude by power iteration from direction 0 of seed, until the
 * residual is below tolerance times |value|, at most `most` products. */
RV_API rv_status rv_probe_power(const rv_probe_target *probe, const void *w, uint64_t seed, int most, double tolerance,
                                rv_eigen *top, rv_error *err);

/* Lanczos with full reorthogonalisation from direction `index` of seed: Ritz values in
 * ascending order [steps], each with the weight it has in the start's spectral measure (they
 * sum to 1) and the bound on its distance to an eigenvalue. */
typedef struct rv_ritz {
    double value, weight, bound;
} rv_ritz;
/* made <- number of Ritz values, below steps when the space is exhausted. */
RV_API rv_status rv_probe_lanczos(const rv_probe_target *probe, const void *w, uint64_t seed, uint64_t index, int steps,
                                  rv_ritz *ritz, int *made, rv_error *err);

/* The spectral density at x [n]: Gaussians of deviation sigma at the Ritz values of `starts`
 * runs (stochastic Lanczos quadrature; Ghorbani, Krishnan, Xiao 2019).  ritz [starts][steps],
 * made [starts]; error [n] <- standard error over starts (NaN for one start). */
RV_API void rv_spectral_density(const rv_ritz *ritz, const int *made, int starts, int steps, double sigma, int n,
                                const double *x, double *density, double *error);

typedef struct rv_estimate {
    double mean, error; /* standard error */
    int samples;
} rv_estimate;

/* tr H by Hutchinson's estimator with +-1 vectors. */
RV_API rv_status rv_probe_trace(const rv_probe_target *probe, const void *w, uint64_t seed, int samples,
                                rv_estimate *trace, rv_error *err);

/* The spectrum from `starts` Lanczos runs of `steps` products each, directions 0, 1, ... of seed. */
typedef struct rv_spectrum {
    int starts, steps;
    int *made;           /* [starts], owned */
    rv_ritz *ritz;       /* [starts][steps], owned */
    rv_ritz least, most; /* the outermost Ritz values of all starts */
    rv_estimate trace;   /* by the same quadrature: n times the mean of each start's measure */
} rv_spectrum;
/* Release also after a failure. */
RV_API rv_status rv_probe_spectrum(const rv_probe_target *probe, const void *w, uint64_t seed, int starts, int steps,
                                   rv_spectrum *spectrum, rv_error *err);
RV_API void rv_spectrum_release(rv_spectrum *spectrum);
/* x [n] <- a grid over zero and the spectrum and a twentieth beyond; density and error [n] as above with a
 * deviation of `width` times that span. */
RV_API void rv_spectrum_curve(const rv_spectrum *spectrum, double width, int n, double *x, double *density,
                              double *error);

/* ---- sharpness and noise ------------------------------------------------- */

/* Keskar et al. 2017, metric 2.1 with A = I: 100 (max f - f(w)) / (1 + f(w)) over the box
 * |y_i| <= epsilon (|w_i| + 1).  Deviation: the maximum is sought by `steps` projected steps along the
 * sign of the gradient, each half a box wide, instead of ten L-BFGS-B iterations; a lower bound either way. */
RV_API rv_status rv_probe_box_sharpness(const rv_probe_target *probe, const void *w, double epsilon, int steps,
                                        double *sharpness, rv_error *err);

/* The noise of mini-batch gradients around their mean, over the probe's batches (>= 4). */
typedef struct rv_noise {
    double gradient;   /* norm of the mean gradient */
    double covariance; /* trace of the covariance of one mini-batch gradient */
    double kurtosis;   /* excess kurtosis of the error norms |g_b - mean| */
    double tail;       /* Hill's tail index of the norms over their largest tenth (at least 2) */
} rv_noise;
/* norms [batches] <- |g_b - mean|; may be NULL. */
RV_API rv_status rv_probe_noise(const rv_probe_target *probe, const void *w, rv_noise *noise, double *norms,
                                rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
