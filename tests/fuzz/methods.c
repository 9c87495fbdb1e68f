/* Rulesets, search spaces, submissions and suites: JSON that people write by hand. */
#include "bench/plan.h"
#include "bench/space.h"
#include "bench/submission.h"
#include "core/json.h"
#include "fuzz.h"
#include "ravine/score.h"

static void as_ruleset(const char *text)
{
    rv_error err = {0};
    rv_ruleset *ruleset = NULL;
    if (rv_ruleset_parse(&ruleset, text, "fuzz", &err) != RV_OK)
        fuzz_refused(&err);
    rv_ruleset_free(ruleset);
}

static void as_space(json_t *json)
{
    rv_error err = {0};
    rv_space space = {0};
    if (rv_space_read(&space, json, "fuzz", &err) != RV_OK)
        fuzz_refused(&err);
    rv_space_release(&space);
}

static void as_submission(json_t *json)
{
    rv_error err = {0};
    rv_entrant entrant = {0};
    if (rv_entrant_read(&entrant, json, "fuzz", &err) != RV_OK)
        fuzz_refused(&err);
    rv_entrant_release(&entrant);
}

/* As a suite, and as a submission of one. */
static void as_suite(const char *text)
{
    static const char frame[] = "{\"problems\": [{\"label\": \"p\", \"workload\": \"linear-regression\", \"target\": 1}],"
                                " \"submissions\": [%s]}";
    char *whole = malloc(sizeof frame + strlen(text));
    if (!whole)
        abort();
    sprintf(whole, frame, text);
    const char *const suites[] = {text, whole};
    for (int i = 0; i < 2; i++) {
        rv_error err = {0};
        rv_plan plan = {0};
        rv_bench_options options = {.jobs = 1, .studies = 2, .ruleset = i == 0 ? NULL : "external"};
        if (rv_plan_make(&plan, suites[i], &options, &err) != RV_OK)
            fuzz_refused(&err);
        rv_plan_release(&plan);
    }
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    json_t *json = NULL;
    rv_error err = {0};
    if (!text)
        abort();
    as_ruleset(text);
    if (rv_json_parse(text, strlen(text), "fuzz", &json, &err) == RV_OK) {
        as_space(json);
        as_submission(json);
        as_suite(text);
    } else {
        fuzz_refused(&err);
    }
    json_decref(json);
    free(text);
    return 0;
}
