/* Restarts: the part after one is the run of its setting alone, and a mistaken one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/tensor.h"
#include "temp_folder.h"
#include "trial_help.h"

/* The final weights; caller releases. */
static rv_array_set trained(const char *config, rv_trial_result *result)
{
    rv_error err = {0};
    rv_array_set set = {0};
    rv_trial_options options = {.dir = test_folder, .threads = 1};
    char *text = resolve(config, NULL, &err);
    if (!text || rv_trial_run(text, &options, result, &err) != RV_OK ||
        rv_safetensors_read(result->weights, &set, &err) != RV_OK)
        fail_msg("%s", err.message);
    free(text);
    return set;
}

static void same_weights(const rv_array_set *a, const rv_array_set *b)
{
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++)
        assert_memory_equal(a->arrays[i].data, b->arrays[i].data,
                            (size_t)rv_shape_size(&a->arrays[i].shape) * rv_dtype_size(a->arrays[i].dtype));
}

/* Rosenbrock's gradient does not depend on the step, so that a part can be run on its own. */
static void a_part_is_its_own_run(void **state)
{
    (void)state;
    static const char parts[] =
        "{'workload': 'rosenbrock', 'optimizer': 'adamw', 'optimizer_params': {'lr': 0.01}, 'schedule': 'linear',"
        " 'restarts': [{'at': 10, 'optimizer_params': {'lr': 0.05, 'beta1': 0.5}, 'train': {'horizon': 40}},"
        " {'at': 30, 'optimizer': 'sgd', 'optimizer_params': {'lr': 1e-4, 'momentum': 0.5}}],"
        " 'train': {'steps': %d, 'eval_every': 5, 'target': null}}";
    static const char *const alone[] = {
        "{'workload': 'rosenbrock', 'optimizer': 'adamw', 'optimizer_params': {'lr': 0.01}, 'schedule': 'linear',"
        " 'train': {'steps': 7, 'horizon': 10, 'eval_every': 5, 'target': null}}",
        "{'workload': 'rosenbrock', 'optimizer': 'adamw', 'optimizer_params': {'lr': 0.05, 'beta1': 0.5}, 'schedule': 'linear',"
        " 'train': {'steps': 20, 'horizon': 40, 'eval_every': 5, 'target': null}}",
        "{'workload': 'rosenbrock', 'optimizer': 'sgd', 'optimizer_params': {'lr': 1e-4, 'momentum': 0.5},"
        " 'schedule': 'linear', 'train': {'steps': 25, 'eval_every': 5, 'target': null}}"};
    static const int steps[] = {7, 30, 55};
    double best[3];
    for (int i = 0; i < 3; i++) {
        char config[1024];
        rv_trial_result whole, part;
        snprintf(config, sizeof config, parts, steps[i]);
        if (i == 0) /* its end lies before the first restart: the horizon is the part's all the same */
            strcpy(strstr(config, "'target': null"), "'horizon': 10, 'target': null}}");
        rv_array_set a = trained(config, &whole), b = trained(alone[i], &part);
        same_weights(&a, &b);
        assert_int_equal(whole.steps, steps[i]);
        best[i] = whole.best;
        rv_array_set_release(&a);
        rv_array_set_release(&b);
    }
    assert_true(best[2] <= best[1]); /* the best of all parts counts */
}

static void resolved_is_fixed(void **state)
{
    (void)state;
    rv_error err = {0};
    char *once = resolve("{'workload': 'linear-regression', 'optimizer': 'adamw', 'wrappers': 'ema', 'schedule': 'linear',"
                         " 'restarts': [{'at': 5, 'schedule_params': {'end': 0.5}}, {'at': 9, 'optimizer': 'muon',"
                         " 'schedules': {'momentum': 'linear(end=0.1)'}, 'train': {'clip': 2}}]}", NULL, &err), *twice = NULL;
    if (!once || rv_trial_resolve(once, NULL, 0, &twice, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_string_equal(once, twice);
    free(once);
    free(twice);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "a step \"at\""},
        {"{'at': 0}", "a whole step after 0"},
        {"{'at': 2.5}", "a whole step"},
        {"{'at': 5}, {'at': 5}", "after 5"},
        {"{'at': 5, 'optimiser': 'sgd'}", "did you mean \"optimizer\"?"},
        {"{'at': 5, 'train': {'steps': 4}}", "training option of a restart"},
        {"{'at': 5, 'optimizer_params': {'lr': -1}}", "restart at 5"},
        {"{'at': 5, 'optimizer': 'sgdd'}", "did you mean \"sgd\"?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char config[256];
        rv_error err = {0};
        snprintf(config, sizeof config, "{'workload': 'rosenbrock', 'restarts': [%s]}", cases[i][0]);
        assert_null(resolve(config, NULL, &err));
        if (!strstr(err.message, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_part_is_its_own_run), cmocka_unit_test(resolved_is_fixed),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
