/* A trial that is paused at a step and measured at its evaluations: neither changes what it computes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "objective/metric.h"
#include "trial/runs.h"
#include "ravine/trial.h"
#include "temp_folder.h"

static const char config[] = "{\"workload\": \"rosenbrock\", \"train\": {\"steps\": 20, \"eval_every\": 4, \"log_every\": 1, \"stop_at_target\": false}}";

static rv_status measure(void *context, rv_objective *objective, const void *w, rv_metrics *metrics, rv_error *err)
{
    (void)objective, (void)err;
    ++*(int *)context;
    rv_metrics_put(metrics, "first", ((const double *)w)[0]);
    return RV_OK;
}

static rv_trial_result run(const char *folder, rv_trial_options options)
{
    char path[128];
    rv_error err = {0};
    rv_trial_result result;
    snprintf(path, sizeof path, "%s/%s", test_folder, folder);
    options.dir = path;
    options.threads = 1;
    if (rv_trial_run(config, &options, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    return result;
}

static rv_run load(const rv_trial_result *result)
{
    rv_run log;
    assert_int_equal(rv_run_load(&log, result->run, ".", NULL), RV_OK);
    return log;
}

/* Lines of two logs agree but for the seconds. */
static void same_logs(const rv_run *a, const rv_run *b)
{
    size_t i;
    json_t *line;
    assert_int_equal(json_array_size(a->log), json_array_size(b->log));
    json_array_foreach(a->log, i, line)
    {
        json_t *other = json_array_get(b->log, i);
        json_object_del(line, "seconds");
        json_object_del(other, "seconds");
        assert_true(json_equal(line, other));
    }
}

static void paused_and_resumed(void **state)
{
    (void)state;
    int whole_calls = 0, calls = 0;
    rv_trial_result whole = run("whole", (rv_trial_options){.measure = measure, .context = &whole_calls});
    rv_trial_result part = run("parts", (rv_trial_options){.measure = measure, .context = &calls, .pause = 7});
    assert_int_equal(part.outcome, RV_OUTCOME_INTERRUPTED);
    assert_int_equal(part.steps, 7);
    /* Once more is once more the same; an earlier pause does not go back. */
    assert_int_equal(run("parts", (rv_trial_options){.pause = 7}).steps, 7);
    assert_int_equal(run("parts", (rv_trial_options){.pause = 3}).steps, 7);
    part = run("parts", (rv_trial_options){.measure = measure, .context = &calls, .pause = 20});
    assert_int_equal(part.outcome, RV_OUTCOME_BUDGET);
    assert_true(part.final == whole.final);
    assert_int_equal(calls, whole_calls);
    rv_run a = load(&whole), b = load(&part);
    same_logs(&a, &b);
    rv_run_release(&a);
    rv_run_release(&b);
}

/* The measure stands beside the metrics of every evaluation of the validation split, at the weights that are evaluated. */
static void measured_at_evaluations(void **state)
{
    (void)state;
    int calls = 0;
    size_t i;
    json_t *line;
    rv_trial_result result = run("measured", (rv_trial_options){.measure = measure, .context = &calls});
    rv_run log = load(&result);
    int seen = 0;
    json_array_foreach(log.log, i, line)
    {
        const json_t *first = json_object_get(rv_run_values(line), "first");
        bool evaluation = strcmp(rv_run_split(line), rv_split_name(RV_SPLIT_VALIDATION)) == 0;
        assert_true(evaluation == (first != NULL));
        seen += evaluation;
    }
    assert_int_equal(seen, 6); /* after steps 1, 4, 8, 12, 16, 20 */
    assert_int_equal(calls, seen);
    rv_run_release(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(paused_and_resumed), cmocka_unit_test(measured_at_evaluations)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
