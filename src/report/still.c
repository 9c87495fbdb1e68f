/* A still: a figure with few points, for a picture the size of a stamp.  It is the figure's
 * last frame, with the same keys, so that whoever draws figures can draw it. */

#include "core/json.h"
#include "report/figure.h"

enum { LINE_POINTS = 160, FIELD_SIDE = 60, MOST_SERIES = 40 };

/* At most limit of the values, evenly spaced, the first and the last among them. */
static json_t *thinned(const json_t *list, size_t limit)
{
    json_t *out = json_array();
    size_t n = json_array_size(list), kept = n < limit ? n : limit;
    for (size_t k = 0; k < kept; k++)
        json_array_append(out, json_array_get(list, kept > 1 ? k * (n - 1) / (kept - 1) : 0));
    return out;
}

static void add_series(json_t *out, const json_t *list)
{
    json_t *series;
    size_t k;
    json_array_foreach((json_t *)(uintptr_t)list, k, series)
    {
        if (json_array_size(out) == MOST_SERIES)
            return;
        json_array_append_new(out, json_pack("{s:O,s:O,s:o,s:o}", "name", json_object_get(series, "name"), "style",
                                             json_object_get(series, "style"), "x", thinned(json_object_get(series, "x"), LINE_POINTS), "y",
                                             thinned(json_object_get(series, "y"), LINE_POINTS)));
    }
}

static json_t *still_field(const json_t *field)
{
    json_t *rows = thinned(json_object_get(field, "z"), FIELD_SIDE), *row;
    size_t j;
    json_array_foreach(rows, j, row)
    {
        json_array_set_new(rows, j, thinned(row, FIELD_SIDE));
    }
    return json_pack("{s:O,s:o,s:o,s:o}", "log", json_object_get(field, "log"), "x", thinned(json_object_get(field, "x"), FIELD_SIDE), "y",
                     thinned(json_object_get(field, "y"), FIELD_SIDE), "z", rows);
}

json_t *rv_figure_still(const rv_figure *figure)
{
    const json_t *frames = json_object_get(figure, "frames"), *last = json_array_get(frames, json_array_size(frames) - 1);
    json_t *series = json_array();
    add_series(series, json_object_get(figure, "series"));
    add_series(series, json_object_get(last, "series"));
    json_t *out = json_pack("{s:O,s:O,s:o}", "x", json_object_get(figure, "x"), "y", json_object_get(figure, "y"), "series", series);
    if (json_object_get(figure, "field"))
        json_object_set_new(out, "field", still_field(json_object_get(figure, "field")));
    return out;
}
