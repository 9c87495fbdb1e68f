/* The parts of loss-landscape: what is measured around one trained net, and between several.
 * Jobs run side by side on the pool, each with an objective of its own; they only compute.
 * What they leave behind is measured and drawn afterwards, by one thread, in order. */
#ifndef RV_STUDIES_LANDSCAPE_H
#define RV_STUDIES_LANDSCAPE_H

#include "ravine/landscape.h"
#include "studies/residual.h"

#define RV_LANDSCAPE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    INT(images, 1408, 128, 50048, 0, "digits to train on, a multiple of 128")                               \
    INT(evaluate, 704, 64, 10000, 0, "digits behind every value of a slice, a multiple of 64")              \
    INT(width, 32, 4, 512, 0, "of every layer")                                                             \
    INT(shallow, 20, 4, 110, 0, "weight layers of the smaller nets, even")                                  \
    INT(deep, 56, 4, 110, 0, "weight layers of the larger nets, even")                                      \
    INT(epochs, 80, 2, 1000, 0, "of training")                                                              \
    REAL(lr, 0.1, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "at the start of training")                       \
    INT(points, 31, 5, 251, 0, "of a plane along each axis; odd")                                           \
    INT(directions, 3, 1, 16, 0, "pairs of random directions through every net")                            \
    INT(curve, 160, 2, 1000, 0, "epochs of training a curve between two minima")
RV_PARAM_STRUCT(rv_landscape_params, RV_LANDSCAPE_PARAMS);

enum { RV_LANDSCAPE_BATCH = 128, RV_LANDSCAPE_MOST_DIRECTIONS = 16, RV_LANDSCAPE_MOST_EPOCHS = 1000, RV_LANDSCAPE_TIMES = 31 };

/* A picture: f [n, n] over x [n] and y [n], one allocation at x. */
typedef struct rv_landscape_map {
    int n;
    double *x, *y, *f;
} rv_landscape_map;

/* Fills it with the view's values over the plane, x and y from low to high.  Free map->x also after a failure. */
rv_status rv_landscape_look(rv_landscape_map *map, const rv_plane *plane, const rv_view *view, int n, const double x[2],
                            const double y[2], const volatile int *stop, rv_error *err);

/* One net: what it is, and what its job leaves behind. */
typedef struct rv_landscape_net {
    const rv_study_run *run;
    const rv_landscape_params *o;
    const char *name;
    int layers;
    bool skips;
    rv_activation act;
    bool slices;                /* random planes are wanted */
    bool trajectory;            /* its plane is wanted */
    bool curvature;             /* the Hessian's plane is wanted */
    double lr;
    uint64_t seed;

    rv_status status;
    rv_error err;
    int64_t size;
    float *w;                   /* owned [size] */
    double train, test, loss;   /* accuracies; training loss, evaluation mode */
    rv_basin basin[RV_LANDSCAPE_MOST_DIRECTIONS];
    rv_landscape_map slice;     /* along the first pair of directions */
    double share, random_share, walk_share; /* of the variance in two dimensions: trajectory, on a random plane, of a random walk */
    rv_landscape_map principal;
    double path_x[RV_LANDSCAPE_MOST_EPOCHS + 1], path_y[RV_LANDSCAPE_MOST_EPOCHS + 1];
    rv_eigen pairs[3];          /* of the training loss: the two largest, the smallest */
    double bend;                /* second difference along the first eigenvector / its eigenvalue */
    rv_landscape_map hessian;   /* along the two largest */
} rv_landscape_net;

rv_residual rv_landscape_spec(const rv_landscape_net *net);
void rv_landscape_net_job(rv_landscape_net *net); /* trains and measures; status tells */
void rv_landscape_net_release(rv_landscape_net *net);

/* Between two minima, and the planes through a third and through the curve. */
typedef struct rv_landscape_bridge {
    const rv_landscape_net *ends[2], *third; /* borrowed; third NULL: no planes are wanted */

    rv_status status;
    rv_error err;
    double t[RV_LANDSCAPE_TIMES];
    double loss[2][RV_LANDSCAPE_TIMES]; /* of training: on the segment, on the curve; statistics recomputed */
    double train[2][RV_LANDSCAPE_TIMES], test[2][RV_LANDSCAPE_TIMES]; /* accuracies */
    rv_landscape_map planes[2];         /* through three minima; of the curve */
    double corner_x[2][3], corner_y[2][3]; /* start, end, and third minimum or bend, in them */
    double curve_x[RV_LANDSCAPE_TIMES], curve_y[RV_LANDSCAPE_TIMES];
} rv_landscape_bridge;

void rv_landscape_bridge_job(rv_landscape_bridge *bridge);
void rv_landscape_bridge_release(rv_landscape_bridge *bridge);

/* Figures: of the nets of seed 0, of all seeds' nets ([seeds][count]), of all curves and the planes of the first. */
void rv_landscape_draw_nets(rv_study_run *run, const rv_landscape_net *nets, int count);
void rv_landscape_draw_shares(rv_study_run *run, const rv_landscape_net *nets, int count, int seeds);
void rv_landscape_draw_bridges(rv_study_run *run, const rv_landscape_bridge *bridges, int count);

#endif
