/* Stop and go on, and any number of threads, on networks with running statistics, augmented
 * images, dropout and accumulation: slower than resume.c, the same promise. */
#include "help.h"

#include <stdio.h>

enum { STEPS = 4 };

static void check(const char *config)
{
    rv_trial_result result;
    rv_error err = {0};
    help_remove(help_path("whole"));
    shim_now = (shim){0};
    if (help_run(config, "whole", 1, NULL, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(result.outcome, RV_OUTCOME_BUDGET);
    for (int at = 1; at < STEPS; at++) {
        int stop = 0;
        help_remove(help_path("parts"));
        shim_now = (shim){.stop = &stop, .stop_at = at};
        assert_int_equal(help_run(config, "parts", at, &stop, &result, &err), RV_OK);
        assert_int_equal(result.outcome, RV_OUTCOME_INTERRUPTED);
        shim_now = (shim){0};
        assert_int_equal(help_run(config, "parts", 3, NULL, &result, &err), RV_OK);
        help_same(config, "whole", "parts");
    }
    help_remove(help_path("parts"));
    assert_int_equal(help_run(config, "parts", 7, NULL, &result, &err), RV_OK);
    help_same(config, "whole", "parts");
}

static const char train[] = "'train': {'steps': 4, 'batch': 16, 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 3,"
                            " 'target': null, 'precision': '%s'}";

static void residual_network(void **state)
{
    (void)state;
    static const char *const optimizers[] = {"sgd", "schedule_free_adamw"}; /* statistics kept; recomputed */
    for (int i = 0; i < 2; i++) {
        char config[512];
        snprintf(config, sizeof config, "{'workload': 'cifar-resnet20', 'workload_params': {'images': 128, 'evaluate': 64},"
                                        " 'optimizer': '%s', 'schedule': 'constant', %s}", optimizers[i], train);
        check(help_config(config, "f32"));
    }
}

static void reduced_precision(void **state)
{
    (void)state;
    char config[512];
    snprintf(config, sizeof config, "{'workload': 'char-lm', 'workload_params': {'layers': 2, 'width': 32, 'heads': 2,"
                                    " 'block': 16, 'dropout': 0.1, 'evaluate': 32}, %s}", train);
    check(help_config(config, "bf16"));
    check(help_config(config, "f64"));
}

static void perceptron(void **state)
{
    (void)state;
    char config[512];
    snprintf(config, sizeof config, "{'workload': 'mnist-mlp', 'workload_params': {'images': 256}, 'optimizer': 'muon', %s}",
             train);
    check(help_config(config, "f32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residual_network), cmocka_unit_test(reduced_precision), cmocka_unit_test(perceptron),
    };
    return cmocka_run_group_tests(tests, help_start, help_end);
}
