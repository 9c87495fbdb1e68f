/* Landscapes: planes and curves through the space of weights, the loss over them, and what
 * can be counted there.
 *
 * A plane is origin + x u + y v.  Its vectors are float64 of the layout's size with zero
 * gaps, whatever the objective's type; weights (void *) have the objective's type.  Which
 * function is looked at is a view.  As with all probes, running statistics (batch norm) are
 * put back after every call, a call is for one thread at a time per objective, and fallible
 * calls pass on what the objective returns, and RV_E_MEMORY. */
#ifndef RAVINE_LANDSCAPE_H
#define RAVINE_LANDSCAPE_H

#include "ravine/probe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what is looked at --------------------------------------------------- */

typedef enum rv_view_mode {
    RV_VIEW_CENTRE,    /* evaluation mode, running statistics as they are: those of the centre (Li et al. 2018) */
    RV_VIEW_RECOMPUTED, /* evaluation mode, statistics recomputed at every point: between minima those of
                           one end mean nothing at the other (Garipov et al. 2018, appendix A.2) */
    RV_VIEW_TRAINING   /* the probe's function: training mode, the mean loss of its mini-batches; this is
                          the function whose gradient and Hessian probes measure */
} rv_view_mode;

typedef struct rv_view {
    rv_view_mode mode;
    rv_probe_target probe; /* objective always; seed, first and batches for RV_VIEW_TRAINING */
    rv_split split;        /* of evaluation modes */
    const char *metric;    /* of evaluation modes: "loss" */
} rv_view;

/* The value at w; one that is not finite is +infinity. */
RV_API rv_status rv_view_value(const rv_view *view, const void *w, double *value, rv_error *err);

/* ---- planes -------------------------------------------------------------- */

typedef struct rv_plane {
    int64_t size;             /* of the layout */
    double *origin, *u, *v;   /* [size]; u and v need be neither orthogonal nor of length 1 */
} rv_plane;

/* A plane at w with u = v = 0, for the caller to fill.  Release also after a failure. */
RV_API rv_status rv_plane_new(rv_plane *plane, const rv_objective *objective, const void *w, rv_error *err);
RV_API void rv_plane_release(rv_plane *plane);

/* u, v: directions 2 index and 2 index + 1 of seed (rv_direction_draw). */
RV_API rv_status rv_plane_random(rv_plane *plane, const rv_objective *objective, const void *w, rv_direction kind,
                                 uint64_t seed, uint64_t index, rv_error *err);

/* The plane through three points: origin a, u towards b, v the rest of the way to c, both
 * of length 1 (Garipov et al. 2018, section 1).  RV_E_ARGUMENT when they lie on a line. */
RV_API rv_status rv_plane_through(rv_plane *plane, const rv_objective *objective, const void *a, const void *b,
                                  const void *c, rv_error *err);

/* The first two principal components of a trajectory, through its last point (Li et al.
 * 2018, section 7.2); shares [2]: of the variance.  points [count], count >= 3.  As rv_pca. */
RV_API rv_status rv_plane_principal(rv_plane *plane, const rv_objective *objective, const void *const *points,
                                    int count, double shares[2], rv_error *err);

/* w <- origin + x u + y v; w has the objective's type. */
RV_API void rv_plane_point(const rv_plane *plane, rv_dtype dtype, double x, double y, void *w);

/* The point of the plane nearest to w, and its distance from w; each may be NULL.  A
 * direction of length 0 gets the coordinate 0. */
RV_API void rv_plane_coordinates(const rv_plane *plane, rv_dtype dtype, const void *w, double *x, double *y,
                                 double *distance);

/* values[j * nx + i] <- the view's value at (x[i], y[j]).  stop (may be NULL) is asked
 * before every row; non-zero ends with RV_E_INTERRUPTED. */
RV_API rv_status rv_plane_values(const rv_plane *plane, const rv_view *view, int nx, const double *x, int ny,
                                 const double *y, double *values, const volatile int *stop, rv_error *err);

/* What the eye would judge in the picture of f [ny, nx], counted over its inner points.  A
 * point is bent where the matrix of second differences has an eigenvalue below -tolerance
 * times the largest |f| of the nine points (2e-6: above the rounding of float32 losses); the
 * sign of that eigenvalue does not depend on the spacing.  Points with a neighbour that is not finite are not judged.
 * mask (may be NULL) [ny, nx]: only points where it is true are counted. */
typedef struct rv_basin {
    double area;     /* share of all nx x ny points (of the mask) with f < level */
    double bent;     /* share of the judged inner points with f < level that are bent; NaN: there are none */
    double bent_all; /* share of all judged inner points that are bent */
    int judged;      /* inner points with f < level that were judged */
} rv_basin;
RV_API rv_basin rv_grid_basin(int nx, int ny, const double *f, double level, double tolerance, const bool *mask);

/* ---- principal components -------------------------------------------------- */

/* Principal components of count points [objective's type, layout size], about their mean, by
 * the eigenvectors of their Gram matrix.  directions [wanted][size]: orthonormal, signs such
 * that points[0] has no negative coordinate, zero beyond the rank; shares [wanted]: of the
 * total variance.  1 <= wanted <= count, count >= 2. */
RV_API rv_status rv_pca(const rv_objective *objective, const void *const *points, int count, int wanted,
                        double *directions, double *shares, rv_error *err);

/* ---- curvature ------------------------------------------------------------- */

/* Ritz pairs of `steps` Lanczos steps from direction 0 of seed: the `top` largest
 * eigenvalues, in descending order, then the `bottom` smallest, in ascending order; their
 * vectors [top + bottom][size], of length 1.  residual: |H v - value v| by a product of its own; where
 * products are not those of one symmetric matrix (kinks) it says so; the recurrence's bound does not.
 * RV_E_ARGUMENT when the Krylov space has fewer than top + bottom dimensions. */
RV_API rv_status rv_probe_eigenvectors(const rv_probe_target *probe, const void *w, uint64_t seed, int steps, int top,
                                       int bottom, rv_eigen *pairs, double *vectors, rv_error *err);

/* ---- curves ---------------------------------------------------------------- */

typedef enum rv_curve_kind {
    RV_CURVE_BEZIER, /* (1 - t)^2 start + 2 t (1 - t) bend + t^2 end */
    RV_CURVE_CHAIN   /* straight from start to bend, which is at t = 1/2, and on to end */
} rv_curve_kind;

/* A curve of Garipov et al. 2018, section 3.2, or, with bend NULL, the segment from start to end; all
 * borrowed, of the objective's type. */
typedef struct rv_curve {
    rv_dtype dtype;
    int64_t size;
    const void *start, *bend, *end;
    rv_curve_kind kind;
} rv_curve;

RV_API void rv_curve_point(const rv_curve *curve, double t, void *w);
/* values [count] <- the view's value at t [count]. */
RV_API rv_status rv_curve_values(const rv_curve *curve, const rv_view *view, int count, const double *t,
                                 double *values, rv_error *err);
/* The largest excess of values [count] over the linear interpolation between the first and
 * the last of them, at least 0 (Entezari et al. 2022, definition 2.1). */
RV_API double rv_curve_barrier(int count, const double *t, const double *values);

/* The objective of finding such a curve (Garipov et al. 2018, eq. 2): its parameters are the
 * bend, in inner's layout; a mini-batch draws one t uniformly from (seed, step) and has the
 * loss of inner at that point of the curve.  init: the middle of the segment, whatever the seed.
 * evaluate: the means of inner's metrics over eight t, statistics recomputed at each.
 * Borrows inner, start and end, which must outlive it. */
RV_API rv_status rv_curve_objective_new(rv_objective **out, rv_objective *inner, rv_curve_kind kind, const void *start,
                                        const void *end, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
