/* Figures as JSON: {"name", "title", "caption", "x", "y", "series", "field", "marks",
 * "frames", "trail"}.  A value that is not finite becomes null: a gap in a line. */
#include "report/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/csv.h"
#include "core/file.h"
#include "core/json.h"

static const char *const styles[] = {"line", "points", "both", "bars"};

static json_t *axis_json(rv_axis axis)
{
    json_t *out = json_pack("{s:s,s:b}", "label", axis.label, "log", axis.log);
    if (axis.low < axis.high)
        json_object_set_new(out, "range", json_pack("[f,f]", axis.low, axis.high));
    return out;
}

static json_t *numbers(int64_t n, const double *values)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(list, isfinite(values[i]) ? rv_json_rounded(values[i]) : json_null());
    return list;
}

rv_figure *rv_figure_new(const char *name, const char *title, const char *caption, rv_axis x, rv_axis y)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:[]}", "name", name, "title", title, "caption", caption, "x",
                     axis_json(x), "y", axis_json(y), "series");
}

/* Where new series go: the last frame, or the figure itself. */
static json_t *series_of(rv_figure *figure)
{
    json_t *frames = json_object_get(figure, "frames");
    json_t *owner = frames ? json_array_get(frames, json_array_size(frames) - 1) : figure;
    return json_object_get(owner, "series");
}

static json_t *add_series(rv_figure *figure, const char *name, const char *style, int64_t n, const double *x,
                          const double *y)
{
    json_t *series = json_pack("{s:s,s:s,s:o,s:o}", "name", name, "style", style, "x", numbers(n, x), "y",
                               numbers(n, y));
    json_array_append_new(series_of(figure), series);
    return series;
}

void rv_figure_series(rv_figure *figure, const char *name, rv_series_style style, int64_t n, const double *x,
                      const double *y)
{
    add_series(figure, name, styles[style], n, x, y);
}

void rv_figure_band(rv_figure *figure, const char *name, int64_t n, const double *x, const double *y,
                    const double *low, const double *high)
{
    json_t *series = add_series(figure, name, "line", n, x, y);
    json_object_set_new(series, "low", numbers(n, low));
    json_object_set_new(series, "high", numbers(n, high));
}

void rv_figure_field(rv_figure *figure, const char *label, bool log, int64_t nx, const double *x, int64_t ny,
                     const double *y, const double *z)
{
    json_t *rows = json_array();
    for (int64_t j = 0; j < ny; j++)
        json_array_append_new(rows, numbers(nx, z + j * nx));
    json_object_set_new(figure, "field", json_pack("{s:s,s:b,s:o,s:o,s:o}", "label", label, "log", log, "x",
                                                   numbers(nx, x), "y", numbers(ny, y), "z", rows));
}

void rv_figure_surface(rv_figure *figure)
{
    json_object_set_new(json_object_get(figure, "field"), "surface", json_true());
}

void rv_figure_mark(rv_figure *figure, char axis, double value, const char *label)
{
    const char name[2] = {axis, '\0'};
    if (!json_object_get(figure, "marks"))
        json_object_set_new(figure, "marks", json_array());
    json_array_append_new(json_object_get(figure, "marks"),
                          json_pack("{s:s,s:f,s:s}", "axis", name, "value", value, "label", label));
}

void rv_figure_frame(rv_figure *figure, const char *label)
{
    if (!json_object_get(figure, "frames"))
        json_object_set_new(figure, "frames", json_array());
    json_array_append_new(json_object_get(figure, "frames"), json_pack("{s:s,s:[]}", "label", label, "series"));
}

void rv_figure_trail(rv_figure *figure, const char *unit, double every)
{
    json_object_set_new(figure, "trail", json_pack("{s:s,s:f}", "unit", unit, "every", every));
}

void rv_figure_half(rv_figure *figure)
{
    json_object_set_new(figure, "half", json_true());
}

/* ---- CSV ----------------------------------------------------------------------- */

static void put_cell(rv_text *out, const json_t *list, size_t i)
{
    const json_t *value = json_array_get(list, i);
    char number[40] = "";
    if (json_is_number(value))
        rv_json_number(json_number_value(value), number, sizeof number);
    rv_text_format(out, ",%s", number);
}

static void put_series(rv_text *out, const json_t *list, const char *frame)
{
    size_t k, i;
    json_t *series, *unused;
    json_array_foreach((json_t *)(uintptr_t)list, k, series)
    {
        json_array_foreach(json_object_get(series, "x"), i, unused)
        {
            static const char *const columns[] = {"x", "y", "low", "high"};
            rv_csv_put(out, json_string_value(json_object_get(series, "name")));
            rv_text_format(out, ",");
            rv_csv_put(out, frame);
            for (int c = 0; c < 4; c++)
                put_cell(out, json_object_get(series, columns[c]), i);
            rv_text_format(out, ",\r\n");
        }
    }
}

static void put_field(rv_text *out, const json_t *field)
{
    const json_t *x = json_object_get(field, "x"), *y = json_object_get(field, "y");
    for (size_t j = 0; j < json_array_size(y); j++)
        for (size_t i = 0; i < json_array_size(x); i++) {
            rv_csv_put(out, json_string_value(json_object_get(field, "label")));
            rv_text_format(out, ",");
            put_cell(out, x, i);
            put_cell(out, y, j);
            rv_text_format(out, ",,");
            put_cell(out, json_array_get(json_object_get(field, "z"), j), i);
            rv_text_format(out, "\r\n");
        }
}

void rv_figure_csv(const rv_figure *figure, rv_text *out)
{
    size_t k;
    json_t *frame;
    rv_text_format(out, "series,frame,x,y,low,high,z\r\n");
    put_series(out, json_object_get(figure, "series"), "");
    json_array_foreach(json_object_get(figure, "frames"), k, frame)
    {
        put_series(out, json_object_get(frame, "series"), json_string_value(json_object_get(frame, "label")));
    }
    if (json_object_get(figure, "field"))
        put_field(out, json_object_get(figure, "field"));
}

/* ---- the figures of a page -------------------------------------------------------- */

json_t *rv_figures_index(const json_t *figures)
{
    json_t *list = json_array(), *figure;
    size_t i;
    json_array_foreach(figures, i, figure)
    {
        char file[128];
        snprintf(file, sizeof file, "%s.csv", json_string_value(json_object_get(figure, "name")));
        json_array_append_new(list, json_pack("{s:O,s:O,s:s}", "name", json_object_get(figure, "name"), "title",
                                              json_object_get(figure, "title"), "csv", file));
    }
    return list;
}

rv_status rv_figures_write(const json_t *figures, const char *dir, rv_error *err)
{
    json_t *figure;
    size_t i;
    json_array_foreach(figures, i, figure)
    {
        char name[256], path[RV_PATH_SIZE];
        rv_text text = {0};
        snprintf(name, sizeof name, "%s.csv", json_string_value(json_object_get(figure, "name")));
        RV_TRY(rv_path_join(path, dir, name, err));
        rv_figure_csv(figure, &text);
        rv_status status = text.failed ? rv_fail(err, RV_E_MEMORY, "%s: no memory", path)
                                       : rv_file_write(path, text.data, text.size, err);
        rv_text_release(&text);
        RV_TRY(status);
    }
    return RV_OK;
}
