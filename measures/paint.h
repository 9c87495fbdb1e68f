/* Multi-point optimisation: a plane of weights is trained as a whole, so that the loss over it draws a
 * picture.  Every step takes some bright and as many dark cells of the picture on one mini-batch; the
 * first go down, the second up.
 * Source: Skorokhodov, Burtsev 2019, Loss Landscape Sightseeing with Multi-Point Optimization, section 3. */
#ifndef RV_MEASURES_PAINT_H
#define RV_MEASURES_PAINT_H

#include "probe/pattern.h"
#include "probe/pattern_plane.h"
#include "ravine/objective.h"

typedef struct rv_painter {
    rv_objective *objective; /* borrowed */
    rv_pattern pattern;
    rv_pattern_plane plane;
    void *w, *g;             /* one point, of the objective's type; owned, as all below */
    double *wide;            /* its gradient */
    float *flat, *gradient;  /* origin, right, up, scale: [3 n + 1] as the optimizer sees them */
} rv_painter;

typedef struct rv_paint_options {
    int64_t steps, cells;    /* cells of either kind in a step */
    double lr, clip;         /* of Adam; dark cells are not pushed beyond this loss */
    uint64_t seed;           /* of mini-batches and cells */
    bool fixed;              /* the middle of the plane stays where it is */
    const volatile int *stop; /* may be NULL */
    void (*progress)(void *context, double fraction); /* may be NULL */
    void *context;
} rv_paint_options;

/* Release also after a failure. */
rv_status rv_painter_init(rv_painter *painter, rv_objective *objective, rv_error *err);
void rv_painter_release(rv_painter *painter);
/* The picture, and the plane from flat: to be called when either has been set. */
void rv_painter_begin(rv_painter *painter);
/* Trains the plane.  RV_E_INTERRUPTED on a stop. */
rv_status rv_painter_run(rv_painter *painter, const rv_paint_options *options, rv_error *err);
/* w <- the point of a cell. */
void rv_painter_place(rv_painter *painter, int cell);
/* Both [cells], row by row from the top: the loss and another metric (NaN where there is none) of a split.
 * Statistics of batch norm are recomputed at every cell; they come back, as after rv_painter_run. */
rv_status rv_painter_look(rv_painter *painter, rv_split split, const char *metric, double *loss, double *other,
                          rv_error *err);

#endif
