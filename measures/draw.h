/* Figures that measures and studies share. */
#ifndef RV_MEASURES_DRAW_H
#define RV_MEASURES_DRAW_H

#include "ravine/probe.h"
#include "report/figure.h"

/* The density of a spectrum with its standard error over the starts; the figure's y axis is logarithmic. */
void rv_draw_spectrum(rv_figure *figure, const rv_spectrum *spectrum);
/* Counts of values [n] in `bins` equal intervals between the smallest and the largest, as bars. */
void rv_draw_histogram(rv_figure *figure, const char *name, int n, const double *values, int bins);

#endif
