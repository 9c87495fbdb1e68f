/* A plane of networks that is trained as a whole: point(i, j) = origin + scale (a up + b right) for
 * the cell in row i and column j of a square, a and b counted from its middle.
 * Source: Skorokhodov, Burtsev 2019, section 3. */
#ifndef RV_PROBE_PATTERN_PLANE_H
#define RV_PROBE_PATTERN_PLANE_H

#include "ravine/core.h"

/* right = right_param - origin; up = up_param without its part along right, as long as right. */
typedef struct rv_pattern_plane {
    int64_t n;                         /* of one network's vector */
    int side;                          /* cells of a row */
    double *origin, *right, *up;       /* parameters [n], one behind the other */
    double scale;
    double *r, *u;                     /* derived [n] */
    double *g_origin, *g_right, *g_up; /* gradients [n], one behind the other; while cells are added: of origin, r, u */
    double g_scale;
    double *memory;                    /* owned; free() ends a plane */
} rv_pattern_plane;

rv_status rv_pattern_plane_init(rv_pattern_plane *plane, int64_t n, rv_error *err);
/* Directions from the parameters, and gradients to zero: before any of the following. */
void rv_pattern_plane_derive(rv_pattern_plane *plane);
/* Coordinate i of the network at a cell. */
double rv_pattern_plane_at(const rv_pattern_plane *plane, int cell, int64_t i);
/* Adds weight times g [n], the gradient at the cell's network. */
void rv_pattern_plane_add(rv_pattern_plane *plane, int cell, double weight, const double *g);
/* From the gradients of origin, r and u to those of the parameters. */
void rv_pattern_plane_finish(rv_pattern_plane *plane);

/* Linear losses over three cells of a plane of side 10: the largest relative error of their gradient against
 * differences, over every kind of parameter. */
double rv_pattern_plane_error(rv_error *err);

#endif
