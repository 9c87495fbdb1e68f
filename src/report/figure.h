/* A small model of a figure: axes, series of points, a field over a plane, reference
 * lines, frames of an animation.  It is kept as the JSON that the page draws, so there is
 * one description of a figure; numbers have the six digits that a screen shows. */
#ifndef RV_REPORT_FIGURE_H
#define RV_REPORT_FIGURE_H

#include <jansson.h>

#include "core/text.h"

typedef struct rv_axis {
    const char *label;
    bool log;
    double low, high; /* shown range; equal: chosen by the page */
} rv_axis;

typedef enum rv_series_style { RV_SERIES_LINE, RV_SERIES_POINTS, RV_SERIES_BOTH, RV_SERIES_BARS } rv_series_style;

typedef json_t rv_figure; /* owned by whoever made it: json_decref */

/* name: of its CSV file, without ending.  NULL when out of memory, which all calls below accept. */
rv_figure *rv_figure_new(const char *name, const char *title, const char *caption, rv_axis x, rv_axis y);
/* One series of n points.  The same name has the same colour within a figure. */
void rv_figure_series(rv_figure *figure, const char *name, rv_series_style style, int64_t n, const double *x,
                      const double *y);
/* A line with a band from low to high around it. */
void rv_figure_band(rv_figure *figure, const char *name, int64_t n, const double *x, const double *y,
                    const double *low, const double *high);
/* A field z [ny, nx] over the plane, drawn below the series; at most one. */
void rv_figure_field(rv_figure *figure, const char *label, bool log, int64_t nx, const double *x, int64_t ny,
                     const double *y, const double *z);
/* The field is first shown as a surface that can be turned; page and reader can switch to the map. */
void rv_figure_surface(rv_figure *figure);
/* A reference line at x or y = value. */
void rv_figure_mark(rv_figure *figure, char axis, double value, const char *label);
/* Series added after this belong to this frame (a position of the slider). */
void rv_figure_frame(rv_figure *figure, const char *label);
/* The slider draws every series up to its k-th point; unit: what k counts, each standing for `every`. */
void rv_figure_trail(rv_figure *figure, const char *unit, double every);
/* Thinner, as one of several that stand side by side. */
void rv_figure_half(rv_figure *figure);

/* The figure with few points, for a small picture; the caller owns it. */
json_t *rv_figure_still(const rv_figure *figure);
/* The figure's numbers as CSV (RFC 4180): series, frame, x, y, low, high, z. */
void rv_figure_csv(const rv_figure *figure, rv_text *out);

/* Of a page's figures [figure, ..]: [{"name", "title", "csv"}, ..], and DIR/<name>.csv of each. */
json_t *rv_figures_index(const json_t *figures);
rv_status rv_figures_write(const json_t *figures, const char *dir, rv_error *err);

#endif
