/* Reading search spaces, and drawing from them.  Invariants: what was read can be drawn
 * without an error of its own; every value lies in its range, whatever rounding does. */
#include "bench/space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"
#include "core/json.h"

enum { MAX_DIMS = 1000, MAX_POINTS = 100000, MAX_VALUES = 10000000 };

/* ---- reading --------------------------------------------------------------- */

/* "SOURCE: 'learning_rate.max' must be EXPECTED, not FOUND" */
static rv_status unfit(const char *source, const char *name, const char *key, const char *expected, const json_t *found,
                       rv_error *err)
{
    char *text = found ? rv_json_text(found, 0) : NULL;
    rv_status status = rv_fail(err, RV_E_FORMAT, "%s: '%.80s%s%s' must be %s, %s%.80s", source, name, key ? "." : "",
                               key ? key : "", expected, found ? "not " : "and is missing", text ? text : "");
    free(text);
    return status;
}

static bool is_value(const json_t *value)
{
    return json_is_number(value) || json_is_string(value) || json_is_boolean(value);
}

static rv_status read_bound(const rv_space_dim *dim, const json_t *range, const char *key, double *bound,
                            const char *source, rv_error *err)
{
    const json_t *value = json_object_get(range, key);
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return unfit(source, dim->name, key, "a number", value, err);
    *bound = json_number_value(value);
    return RV_OK;
}

static rv_status read_range(rv_space_dim *dim, const json_t *range, const char *source, rv_error *err)
{
    RV_TRY(read_bound(dim, range, "min", &dim->min, source, err));
    RV_TRY(read_bound(dim, range, "max", &dim->max, source, err));
    const json_t *scaling = json_object_get(range, "scaling");
    const char *word = json_string_value(scaling);
    if (!word || (strcmp(word, "linear") != 0 && strcmp(word, "log") != 0))
        return unfit(source, dim->name, "scaling", "\"linear\" or \"log\"", scaling, err);
    dim->log = strcmp(word, "log") == 0;
    if (!(dim->min <= dim->max) || !isfinite(dim->max - dim->min))
        return rv_fail(err, RV_E_RANGE, "%s: '%.80s' runs from %g to %g; expected min <= max, finitely far apart", source,
                       dim->name, dim->min, dim->max);
    if (dim->log && !(dim->min > 0 && isfinite(dim->max / dim->min)))
        return rv_fail(err, RV_E_RANGE, "%s: '%.80s' is scaled by its logarithm and runs from %g to %g; expected min > 0",
                       source, dim->name, dim->min, dim->max);
    return RV_OK;
}

static rv_status read_feasible(rv_space_dim *dim, const json_t *entry, const char *source, rv_error *err)
{
    json_t *list = json_object_get(entry, "feasible_points");
    size_t n = json_array_size(list);
    if (n == 0 || n > MAX_POINTS)
        return unfit(source, dim->name, "feasible_points", "a list with at least one value", list, err);
    for (size_t i = 0; i < n; i++)
        if (!is_value(json_array_get(list, i)))
            return unfit(source, dim->name, "feasible_points", "a list of numbers, texts, true and false", list, err);
    dim->feasible = list;
    return RV_OK;
}

/* A range, or feasible points: not both. */
static rv_status check_keys(const rv_space_dim *dim, const json_t *entry, const char *source, rv_error *err)
{
    static const char *const keys[] = {"feasible_points", "min", "max", "scaling"};
    char where[256];
    snprintf(where, sizeof where, "%.150s: '%.80s'", source, dim->name);
    RV_TRY(rv_keys_check(entry, keys, 4, where, err));
    for (int i = 1; i < 4 && json_object_get(entry, keys[0]); i++)
        if (json_object_get(entry, keys[i]))
            return rv_fail(err, RV_E_FORMAT, "%s has '%s' beside 'feasible_points'; expected one or the other", where,
                           keys[i]);
    return RV_OK;
}

static rv_status read_dims(rv_space *space, const char *source, rv_error *err)
{
    size_t n = json_object_size(space->json);
    const char *name;
    json_t *entry;
    if (n == 0 || n > MAX_DIMS)
        return rv_fail(err, RV_E_FORMAT, "%s: %zu hyperparameters; expected 1 to %d", source, n, (int)MAX_DIMS);
    space->dim = calloc(n, sizeof *space->dim);
    if (!space->dim)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu hyperparameters", source, n);
    json_object_foreach(space->json, name, entry)
    {
        rv_space_dim *dim = &space->dim[space->dims++];
        dim->name = name;
        if (!json_is_object(entry))
            return unfit(source, name, NULL, "an object with min, max and scaling, or with feasible_points", entry, err);
        RV_TRY(check_keys(dim, entry, source, err));
        RV_TRY(json_object_get(entry, "feasible_points") ? read_feasible(dim, entry, source, err)
                                                         : read_range(dim, entry, source, err));
    }
    return RV_OK;
}

/* Every point has the hyperparameters of the first. */
static rv_status read_list(rv_space *space, const char *source, rv_error *err)
{
    size_t n = json_array_size(space->json);
    const json_t *first = json_array_get(space->json, 0);
    if (n == 0 || n > MAX_POINTS)
        return rv_fail(err, RV_E_FORMAT, "%s: a list of %zu points; expected 1 to %d", source, n, (int)MAX_POINTS);
    for (size_t i = 0; i < n; i++) {
        const json_t *point = json_array_get(space->json, i);
        const char *name;
        json_t *value;
        char where[32];
        snprintf(where, sizeof where, "point %zu", i + 1);
        if (!json_is_object(point))
            return unfit(source, where, NULL, "an object", point, err);
        json_object_foreach((json_t *)(uintptr_t)point, name, value)
        {
            if (!is_value(value))
                return unfit(source, where, name, "a number, a text, true or false", value, err);
            if (!json_object_get(first, name))
                return rv_fail(err, RV_E_FORMAT, "%s: %s has '%.80s', which the first point has not", source, where, name);
        }
        json_object_foreach((json_t *)(uintptr_t)first, name, value)
            if (!json_object_get(point, name))
                return unfit(source, where, name, "given as in the first point", NULL, err);
    }
    space->points = (int)n;
    space->dims = (int)json_object_size(first);
    return RV_OK;
}

rv_status rv_space_read(rv_space *space, json_t *json, const char *source, rv_error *err)
{
    *space = (rv_space){.json = json_incref(json)};
    if (json_is_object(json))
        return read_dims(space, source, err);
    if (json_is_array(json))
        return read_list(space, source, err);
    return rv_fail(err, RV_E_FORMAT, "%s: a search space is an object of ranges or a list of points", source);
}

void rv_space_release(rv_space *space)
{
    free(space->dim);
    json_decref(space->json);
    *space = (rv_space){0};
}

const char *rv_space_name(const rv_space *space, int i)
{
    if (space->dim)
        return space->dim[i].name;
    void *at = json_object_iter(json_array_get(space->json, 0));
    for (; i > 0; i--)
        at = json_object_iter_next(json_array_get(space->json, 0), at);
    return json_object_iter_key(at);
}

/* ---- drawing ---------------------------------------------------------------- */

static json_t *value_at(const rv_space_dim *dim, double u)
{
    if (dim->feasible) {
        size_t n = json_array_size(dim->feasible), i = (size_t)floor(u * (double)n);
        return json_incref(json_array_get(dim->feasible, i < n ? i : n - 1));
    }
    double value = dim->log ? dim->min * exp(u * log(dim->max / dim->min)) : u * (dim->max - dim->min) + dim->min;
    return json_real(fmin(fmax(value, dim->min), dim->max));
}

json_t *rv_space_point(const rv_space *space, const double *u)
{
    json_t *point = json_object();
    int failed = point == NULL;
    for (int i = 0; i < space->dims; i++)
        failed |= json_object_set_new(point, space->dim[i].name, value_at(&space->dim[i], u[i]));
    if (failed) {
        json_decref(point);
        return NULL;
    }
    return point;
}

static rv_status draw_points(const rv_space *space, const rv_point_sampler *sampler, int count, uint64_t seed,
                             const char *source, json_t **list, rv_error *err)
{
    size_t dims = (size_t)space->dims;
    int *choices = calloc(dims, sizeof *choices), made = 0;
    double *u = calloc((size_t)count * dims, sizeof *u);
    *list = json_array();
    bool failed = !choices || !u || !*list;
    for (size_t i = 0; !failed && i < dims; i++)
        choices[i] = (int)json_array_size(space->dim[i].feasible);
    rv_point_request request = {.dims = space->dims, .choices = choices, .count = count, .seed = seed};
    rv_status status = failed ? RV_OK : sampler->draw(&request, u, &made, err);
    for (int i = 0; !failed && i < made; i++)
        failed = json_array_append_new(*list, rv_space_point(space, u + (size_t)i * dims)) != 0;
    free(choices);
    free(u);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "%s", source);
    return failed ? rv_fail(err, RV_E_MEMORY, "%s: no memory for %d points", source, count) : RV_OK;
}

rv_status rv_space_draw(const rv_space *space, const rv_point_sampler *sampler, int studies, int trials, uint64_t seed,
                        const char *source, rv_study_points *points, rv_error *err)
{
    *points = (rv_study_points){0};
    if (space->points > trials)
        return rv_fail(err, RV_E_RANGE, "%s: a list of %d points; a study has %d trials", source, space->points, trials);
    if (space->points > 0) {
        *points = (rv_study_points){.list = json_incref(space->json), .per_study = space->points};
        return RV_OK;
    }
    bool same = sampler->info.same_in_every_study;
    int most = MAX_VALUES / space->dims < MAX_POINTS ? MAX_VALUES / space->dims : MAX_POINTS;
    if (studies < 1 || trials < 1 || trials > most / (same ? 1 : studies))
        return rv_fail(err, RV_E_RANGE, "%s: %d studies of %d trials; at most %d points are drawn", source, studies,
                       trials, most);
    rv_status status = draw_points(space, sampler, same ? trials : trials * studies, seed, source, &points->list, err);
    if (status != RV_OK) {
        json_decref(points->list);
        points->list = NULL;
        return status;
    }
    points->per_study = same ? (int)json_array_size(points->list) : trials;
    points->stride = same ? 0 : trials;
    return RV_OK;
}
