/* Figures that measures and studies share. */
#ifndef RV_MEASURES_DRAW_H
#define RV_MEASURES_DRAW_H

#include "probe/pattern.h"
#include "ravine/probe.h"
#include "report/figure.h"

/* The density of a spectrum with its standard error over the starts; the figure's y axis is logarithmic. */
void rv_draw_spectrum(rv_figure *figure, const rv_spectrum *spectrum);
/* Counts of values [n] in `bins` equal intervals between the smallest and the largest, as bars. */
void rv_draw_histogram(rv_figure *figure, const char *name, int n, const double *values, int bins);
/* x [n] <- a grid from low to high and `beyond` further on both sides. */
void rv_draw_span(double low, double high, double beyond, int n, double *x);
/* The loss of every cell of a picture [cells] as a field, the first row on top; half as wide as the page. */
void rv_draw_pattern(rv_figure *figure, const rv_pattern *pattern, const double *loss);

#endif
