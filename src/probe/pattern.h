/* A square picture in black and white, that a loss surface is to show: one of the house's own,
 * random cells, or a file of the user's. */
#ifndef RV_PROBE_PATTERN_H
#define RV_PROBE_PATTERN_H

#include "ravine/core.h"

enum { RV_PATTERN_SIDE = 32, RV_PATTERN_CELLS = RV_PATTERN_SIDE * RV_PATTERN_SIDE };

typedef struct rv_pattern {
    char name[32];
    int side, cells;                    /* cells = side * side, row by row from the top */
    bool bright[RV_PATTERN_CELLS];      /* low loss */
    int list[2][RV_PATTERN_CELLS], count[2]; /* dark, bright cells; both are there */
} rv_pattern;

/* "heart" or "smiley", 10 x 10. */
void rv_pattern_built_in(rv_pattern *pattern, const char *name);
/* Each of 10 x 10 cells bright with probability 0.4. */
void rv_pattern_random(rv_pattern *pattern, uint64_t seed);
/* A plain portable bitmap (P1; 1 is bright) or lines of text (bright: anything but space, '.' and '0';
 * short lines are filled up), made square by ground around it.  RV_E_FORMAT: empty, beyond 32 x 32, not both
 * kinds of cells; RV_E_IO. */
rv_status rv_pattern_read(rv_pattern *pattern, const char *path, rv_error *err);

/* Share of cells on their side of the best threshold on values [cells]: bright below, dark above. */
double rv_pattern_agreement(const rv_pattern *pattern, const double *values);
/* Mean of values [cells] over one kind of cells. */
double rv_pattern_mean(const rv_pattern *pattern, const double *values, bool bright);

#endif
