/* Tables, benchmarks and AlgoPerf's logs: what is read can be scored, shown and written. */
#include "fuzz.h"
#include "ravine/score.h"

static void score(const rv_trials *trials, const rv_ruleset *ruleset)
{
    rv_error err = {0};
    char *json = NULL, *text = NULL;
    if (rv_score_report(&json, trials, ruleset, &(rv_score_report_options){.resamples = 2}, &err) != RV_OK) {
        fuzz_refused(&err);
        return;
    }
    if (rv_score_table(json, 80, true, true, &text, &err) != RV_OK)
        abort();
    free(text);
    if (rv_score_csv(json, &text, &err) != RV_OK)
        abort();
    free(text);
    free(json);
}

/* The first byte says as what the rest is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"table.csv", "bench.json", "logs/a/study_0/ogbg_jax/trial_1/eval_measurements.csv"};
    char path[128];
    rv_error err = {0};
    rv_trials *trials = NULL;
    rv_ruleset *ruleset = NULL;
    if (size == 0)
        return 0;
    const int kind = data[0] == '{' ? 1 : data[0] == 'a' ? 2 : 0; /* logs begin with accumulated_... */
    const char *source = fuzz_file(path, names[kind], data, size);
    if (kind == 2)
        path[strstr(path, "logs") - path + 4] = 0;
    if (rv_trials_read(&trials, &ruleset, &source, 1, &(rv_trials_options){0}, &err) == RV_OK)
        score(trials, ruleset);
    else
        fuzz_refused(&err);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    return 0;
}
