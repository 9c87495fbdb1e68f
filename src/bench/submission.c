/* Reading submissions.  Invariant: what was read has only known keys, and every hyperparameter has a
 * meaning or is said to have none. */
#include "bench/submission.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"
#include "core/json.h"
#include "core/text.h"

/* ---- where they come from ------------------------------------------------------ */

rv_status rv_submission_json(const json_t *from, json_t **json, rv_error *err)
{
    const char *name = json_string_value(from), *names[256];
    int count = 0;
    *json = NULL;
    if (json_is_object(from)) {
        *json = json_deep_copy(from);
        return *json ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a submission");
    }
    if (!name)
        return rv_fail(err, RV_E_FORMAT, "a submission is a name, a file that ends in .json or an object");
    const rv_submission *known = rv_submission_find(name);
    if (known)
        return rv_json_parse(known->json, strlen(known->json), name, json, err);
    if (rv_text_match("*.json", name))
        return rv_json_read(name, json, err);
    for (; rv_submission_at(count) && count < 256; count++)
        names[count] = rv_submission_at(count)->name;
    const char *near = rv_text_nearest(name, names, count);
    return rv_fail(err, RV_E_UNKNOWN, "no submission '%.80s'%s%s%s (a file must end in .json)", name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

rv_status rv_submission_load(const char *name, char **text, rv_error *err)
{
    json_t *from = json_string(name), *json = NULL;
    rv_entrant entrant = {0};
    *text = NULL;
    rv_status status = rv_submission_json(from, &json, err);
    if (status == RV_OK)
        status = rv_entrant_read(&entrant, json, name, err);
    if (status == RV_OK) {
        *text = rv_json_text(json, 1);
        status = *text ? RV_OK : rv_fail(err, RV_E_MEMORY, "%s: no memory", name);
    }
    rv_entrant_release(&entrant);
    json_decref(json);
    json_decref(from);
    return status;
}

/* ---- reading ---------------------------------------------------------------------- */

typedef struct known_key {
    const char *name;
    json_type type;
    bool needed;
    const char *expected;
} known_key;

static bool has_type(const json_t *value, json_type type)
{
    return json_typeof(value) == type || (type == JSON_REAL && json_is_integer(value)) ||
           (type == JSON_NULL && (json_is_object(value) || json_is_array(value)));
}

/* Every key of object is in keys [count], of its type (JSON_NULL: an object or a list), and those that are
 * needed are there. */
static rv_status check_keys(const json_t *object, const known_key *keys, int count, const char *source, rv_error *err)
{
    const char *known[16];
    for (int i = 0; i < count; i++)
        known[i] = keys[i].name;
    RV_TRY(rv_keys_check(object, known, count, source, err));
    for (int i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, keys[i].name);
        if (!value && keys[i].needed)
            return rv_fail(err, RV_E_FORMAT, "%s: '%s' must be %s, and is missing", source, keys[i].name,
                           keys[i].expected);
        if (!value || has_type(value, keys[i].type))
            continue;
        char *found = rv_json_text(value, 0);
        rv_fail(err, RV_E_FORMAT, "%s: '%s' must be %s, not %.80s", source, keys[i].name, keys[i].expected,
                found ? found : "this");
        free(found);
        return RV_E_FORMAT;
    }
    return RV_OK;
}

static rv_status check_shape(const rv_entrant *e, const char *source, rv_error *err)
{
    static const known_key keys[] = {
        {"name", JSON_STRING, true, "a text"},
        {"title", JSON_STRING, true, "a text"},
        {"source", JSON_STRING, false, "a text"},
        {"notes", JSON_STRING, false, "a text"},
        {"tuning", JSON_STRING, true, "\"external\" or \"self\""},
        {"tuning_search_space", JSON_NULL, false, "an object of ranges or a list of points"},
        {"sampler", JSON_STRING, false, "the name of a sampler"},
        {"config", JSON_OBJECT, true, "an object"},
        {"cases", JSON_ARRAY, false, "a list of {\"when\", \"config\"}"},
        {"ignored", JSON_ARRAY, false, "a list of hyperparameters"},
        {"batch", JSON_OBJECT, false, "an object of factors"},
        {"overhead", JSON_REAL, false, "a number"},
        {"unsupported", JSON_STRING, false, "a text"},
    };
    static const known_key of_case[] = {{"when", JSON_OBJECT, true, "an object"}, {"config", JSON_OBJECT, true, "an object"}};
    size_t i;
    json_t *item;
    if (!json_is_object(e->json))
        return rv_fail(err, RV_E_FORMAT, "%s: a submission is a JSON object", source);
    RV_TRY(check_keys(e->json, keys, sizeof keys / sizeof keys[0], source, err));
    json_array_foreach(json_object_get(e->json, "cases"), i, item)
    {
        char where[160];
        snprintf(where, sizeof where, "%.120s: case %zu", source, i + 1);
        RV_TRY(check_keys(item, of_case, 2, where, err));
    }
    return RV_OK;
}

static rv_status read_numbers(rv_entrant *e, const char *source, rv_error *err)
{
    const char *glob;
    json_t *factor;
    e->overhead = rv_json_real(e->json, "overhead", 1);
    if (!(e->overhead > 0 && e->overhead <= 1e6))
        return rv_fail(err, RV_E_RANGE, "%s: 'overhead' must be more than 0, not %g", source, e->overhead);
    json_object_foreach(json_object_get(e->json, "batch"), glob, factor)
    {
        double number = json_is_number(factor) ? json_number_value(factor) : NAN;
        if (!(number > 0 && number <= 1e6))
            return rv_fail(err, RV_E_RANGE, "%s: 'batch.%.80s' must be a number more than 0", source, glob);
    }
    return RV_OK;
}

/* ---- hyperparameters and their meaning ------------------------------------------------ */

/* What a problem gives, for trying expressions. */
static json_t *any_problem(void)
{
    return json_pack("{s:i, s:i, s:i, s:i}", "steps", 1000, "batch", 128, "eval_every", 20, "examples", 128000);
}

static rv_status try_point(const rv_entrant *e, const json_t *point, json_t *used, rv_error *err)
{
    json_t *given = any_problem(), *config = NULL;
    rv_scope names = {.point = point, .given = given, .used = used};
    rv_status status = rv_entrant_fill(e, &names, true, &config, err);
    json_decref(config);
    json_decref(given);
    return status;
}

static rv_status check_point(const rv_entrant *e, const json_t *point, size_t number, const char *source, rv_error *err)
{
    json_t *used = json_object(), *given = any_problem(), *item;
    size_t i;
    rv_status status = try_point(e, point, used, err);
    if (status != RV_OK)
        rv_fail_prefix(err, status, "%s: point %zu: config", source, number);
    json_array_foreach(json_object_get(e->json, "ignored"), i, item)
    {
        const char *name = json_string_value(item);
        if (status == RV_OK && !json_object_get(point, name ? name : ""))
            status = rv_fail(err, RV_E_FORMAT, "%s: 'ignored' must name hyperparameters of the search space, not '%.80s'",
                             source, name ? name : "(no text)");
        else if (status == RV_OK)
            json_object_set_new(used, name, json_true());
    }
    for (int k = 0; status == RV_OK && e->has_space && k < e->space.dims; k++) {
        const char *name = rv_space_name(&e->space, k);
        if (json_object_get(given, name))
            status = rv_fail(err, RV_E_FORMAT, "%s: a hyperparameter cannot be called '%s': that is the problem's own",
                             source, name);
        else if (!json_object_get(used, name))
            status = rv_fail(err, RV_E_FORMAT, "%s: no expression uses the hyperparameter '%.80s', nor is it in 'ignored'",
                             source, name);
    }
    json_decref(used);
    json_decref(given);
    return status;
}

/* Every point of a list, or the middle of the ranges. */
static rv_status check_points(const rv_entrant *e, const char *source, rv_error *err)
{
    if (e->has_space && e->space.points > 0) {
        for (size_t i = 0; i < (size_t)e->space.points; i++)
            RV_TRY(check_point(e, json_array_get(e->space.json, i), i + 1, source, err));
        return RV_OK;
    }
    size_t dims = e->has_space ? (size_t)e->space.dims : 0;
    double *middle = malloc((dims + 1) * sizeof *middle);
    for (size_t i = 0; middle && i < dims; i++)
        middle[i] = 0.5;
    json_t *point = !middle ? NULL : dims > 0 ? rv_space_point(&e->space, middle) : json_object();
    rv_status status = point ? check_point(e, point, 1, source, err) : rv_fail(err, RV_E_MEMORY, "%s: no memory", source);
    json_decref(point);
    free(middle);
    return status;
}

rv_status rv_entrant_read(rv_entrant *e, json_t *json, const char *source, rv_error *err)
{
    *e = (rv_entrant){.json = json_incref(json)};
    RV_TRY(check_shape(e, source, err));
    e->name = json_string_value(json_object_get(json, "name"));
    const char *tuning = json_string_value(json_object_get(json, "tuning"));
    e->self_tuning = strcmp(tuning, "self") == 0;
    if (!e->self_tuning && strcmp(tuning, "external") != 0)
        return rv_fail(err, RV_E_FORMAT, "%s: 'tuning' must be \"external\" or \"self\", not \"%.80s\"", source, tuning);
    RV_TRY(read_numbers(e, source, err));
    const char *sampler = json_string_value(json_object_get(json, "sampler"));
    rv_status status = rv_point_sampler_find(sampler ? sampler : "halton", &e->sampler, err);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "%s", source);
    json_t *space = json_object_get(json, "tuning_search_space");
    if (space && e->self_tuning)
        return rv_fail(err, RV_E_FORMAT, "%s: a self-tuning submission has no 'tuning_search_space'", source);
    if (space)
        RV_TRY(rv_space_read(&e->space, space, source, err));
    e->has_space = space != NULL;
    return check_points(e, source, err);
}

void rv_entrant_release(rv_entrant *e)
{
    rv_space_release(&e->space);
    json_decref(e->json);
    *e = (rv_entrant){0};
}
