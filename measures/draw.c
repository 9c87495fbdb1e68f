/* Figures that measures and studies share. */
#include "measures/draw.h"

#include <math.h>

enum { GRID = 400, MOST_BINS = 200 };

void rv_draw_spectrum(rv_figure *figure, const rv_spectrum *spectrum)
{
    double x[GRID], density[GRID], error[GRID], low[GRID], high[GRID];
    rv_spectrum_curve(spectrum, 0.01, GRID, x, density, error);
    for (int i = 0; i < GRID; i++) {
        double spread = isnan(error[i]) ? 0 : error[i];
        density[i] = fmax(density[i], 1e-9);
        low[i] = fmax(density[i] - spread, 1e-9);
        high[i] = density[i] + spread;
    }
    rv_figure_band(figure, "density", GRID, x, density, low, high);
}

void rv_draw_histogram(rv_figure *figure, const char *name, int n, const double *values, int bins)
{
    double x[MOST_BINS], count[MOST_BINS], low = HUGE_VAL, high = -HUGE_VAL;
    bins = bins < MOST_BINS ? bins : MOST_BINS;
    for (int i = 0; i < n; i++) {
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    double width = high > low ? (high - low) / bins : 1;
    for (int b = 0; b < bins; b++) {
        x[b] = low + (b + 0.5) * width;
        count[b] = 0;
    }
    for (int i = 0; i < n; i++) {
        int b = (int)((values[i] - low) / width);
        count[b < bins ? b : bins - 1]++;
    }
    rv_figure_series(figure, name, RV_SERIES_BARS, bins, x, count);
}

void rv_draw_span(double low, double high, double beyond, int n, double *x)
{
    for (int i = 0; i < n; i++)
        x[i] = low - beyond + (high - low + 2 * beyond) * i / (n - 1);
}

void rv_draw_pattern(rv_figure *figure, const rv_pattern *p, const double *loss)
{
    double axis[RV_PATTERN_SIDE], z[RV_PATTERN_CELLS];
    const int side = p->side;
    for (int i = 0; i < side; i++)
        axis[i] = i;
    for (int k = 0; k < p->cells; k++) /* pictures are written from the top, axes from below */
        z[(side - 1 - k / side) * side + k % side] = loss[k];
    rv_figure_field(figure, "loss", true, side, axis, side, axis, z);
    rv_figure_half(figure);
}
