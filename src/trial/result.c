/* The result of a trial as JSON and back.  Invariant: the text of a finished run is
 * enough to give the same struct again, wherever its folder has moved to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "ravine/trial.h"

static const char *const outcomes[] = {
#define X(code, name) [code] = name,
    RV_OUTCOME_MAP(X)
#undef X
};
enum { OUTCOMES = (int)(sizeof outcomes / sizeof outcomes[0]) };

const char *rv_outcome_name(rv_outcome outcome)
{
    return outcomes[outcome];
}

char *rv_trial_result_json(const rv_trial_result *r)
{
    json_t *target = r->target_step < 0
                         ? json_null()
                         : json_pack("{s:I, s:I, s:o}", "step", (json_int_t)r->target_step, "examples",
                                     (json_int_t)r->target_examples, "seconds", rv_json_from_real(r->target_seconds));
    json_t *object = json_pack(
        "{s:o, s:s, s:o, s:I, s:I, s:o, s:s, s:{s:o, s:I}, s:{s:o}, s:o, s:o}", "run", rv_json_from_bytes(r->run), "outcome",
        rv_outcome_name(r->outcome), "why", rv_json_from_bytes(r->why), "steps", (json_int_t)r->steps, "examples", (json_int_t)r->examples,
        "seconds", rv_json_from_real(r->seconds), "metric", r->metric, "best", "value", rv_json_from_real(r->best),
        "step", (json_int_t)r->best_step, "final", "value", rv_json_from_real(r->final), "target", target, "weights",
        r->weights[0] == '\0' ? json_null() : rv_json_from_bytes(r->weights));
    char *text = object == NULL ? NULL : rv_json_text(object, 2);
    json_decref(object);
    return text;
}

static bool take_text(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text != NULL)
        snprintf(out, size, "%s", text);
    return text != NULL;
}

static bool take_integer(const json_t *object, const char *key, int64_t *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_integer_value(value);
    return json_is_integer(value);
}

static bool take_outcome(const json_t *object, rv_outcome *out)
{
    const char *text = json_string_value(json_object_get(object, "outcome"));
    for (int i = 0; text != NULL && i < OUTCOMES; i++)
        if (strcmp(outcomes[i], text) == 0) {
            *out = (rv_outcome)i;
            return true;
        }
    return false;
}

static bool take_result(const json_t *object, rv_trial_result *r)
{
    const json_t *best = json_object_get(object, "best"), *target = json_object_get(object, "target");
    bool whole = take_outcome(object, &r->outcome);
    whole &= take_text(object, "why", r->why, sizeof r->why);
    whole &= take_text(object, "metric", r->metric, sizeof r->metric);
    whole &= take_integer(object, "steps", &r->steps) && take_integer(object, "examples", &r->examples);
    whole &= take_integer(best, "step", &r->best_step);
    r->seconds = rv_json_real(object, "seconds", NAN);
    r->best = rv_json_real(best, "value", NAN);
    r->final = rv_json_real(json_object_get(object, "final"), "value", NAN);
    r->target_seconds = rv_json_real(target, "seconds", NAN);
    r->target_step = r->target_examples = -1;
    if (json_is_object(target))
        whole &= take_integer(target, "step", &r->target_step) && take_integer(target, "examples", &r->target_examples);
    return whole;
}

rv_status rv_trial_read(const char *run, rv_trial_result *result, rv_error *err)
{
    char path[RV_PATH_SIZE];
    json_t *object = NULL;
    *result = (rv_trial_result){0};
    RV_TRY(rv_path_join(path, run, "result.json", err));
    if (strlen(run) >= sizeof result->run)
        return rv_fail(err, RV_E_RANGE, "%s: a path of %zu bytes, at most %zu fit", run, strlen(run), sizeof result->run - 1);
    RV_TRY(rv_json_read(path, &object, err));
    bool whole = take_result(object, result);
    json_decref(object);
    if (!whole)
        return rv_fail(err, RV_E_FORMAT, "%s: not the result of a trial", path);
    snprintf(result->run, sizeof result->run, "%s", run);
    snprintf(result->weights, sizeof result->weights, "%s/weights.safetensors", run);
    if (!rv_file_exists(result->weights))
        result->weights[0] = '\0';
    return RV_OK;
}
