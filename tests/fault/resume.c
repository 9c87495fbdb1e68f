/* Same bits: twice, stopped at every step, with other numbers of threads, other floating-
 * point modes, other logging, and saved again (catalogue cases 20, 43-45, 47, 49, 50). */
#include "help.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "core/file.h"
#include "optim/method.h"

enum { STEPS = 6 };

/* Linear regression, or for methods that need the layers of a network a small one. */
static const char *config_for(const char *optimizer)
{
    const rv_method *method = NULL;
    if (rv_method_lookup(optimizer, &method, NULL) == RV_OK && method->layer_shape != NULL)
        return help_config("{'workload': 'modular-perceptron', 'workload_params': {'p': 7, 'hidden': 8},"
                           " 'optimizer': '%s', 'train': {'steps': %d, 'batch': 8, 'eval_every': 2,"
                           " 'log_every': 1, 'checkpoint_every': 2, 'accumulate': 2, 'clip': 0.5, 'target': null}}", optimizer, STEPS);
    return help_config("{'workload': 'linear-regression', 'optimizer': '%s', 'train': {'steps': %d, 'eval_every': 2,"
                       " 'log_every': 1, 'checkpoint_every': 2, 'accumulate': 2, 'clip': 0.5}}", optimizer, STEPS);
}

static void run_whole(const char *config, const char *dir, int threads)
{
    rv_trial_result result;
    rv_error err = {0};
    if (help_run(config, dir, threads, NULL, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(result.outcome, RV_OUTCOME_BUDGET);
}

/* Case 44: a session ends after every possible number of gradients, and goes on. */
static void stopped_at_every_step(const char *config, int parts)
{
    rv_trial_result result;
    help_remove(help_path("whole"));
    run_whole(config, "whole", 1);
    for (int at = 1; at <= STEPS * parts; at++) {
        int stop = 0;
        help_remove(help_path("parts"));
        shim_now = (shim){.stop = &stop, .stop_at = at};
        assert_int_equal(help_run(config, "parts", 1 + at % 3, &stop, &result, NULL), RV_OK);
        if (at <= (STEPS - 1) * parts) {
            assert_int_equal(result.outcome, RV_OUTCOME_INTERRUPTED);
            assert_int_equal(result.steps, (at + parts - 1) / parts);
        }
        shim_now = (shim){0};
        run_whole(config, "parts", 1 + (at + 1) % 3);
        help_same(config, "whole", "parts");
    }
}

static void every_optimizer(void **state)
{
    (void)state;
    for (int i = 0; rv_method_at(i) != NULL; i++)
        stopped_at_every_step(config_for(rv_method_at(i)->name), 2);
}

/* With matrices, which some methods treat by rules of their own. */
static void every_optimizer_on_matrices(void **state)
{
    (void)state;
    for (int i = 0; rv_method_at(i) != NULL; i++)
        stopped_at_every_step(help_config("{'workload': 'modular-division', 'workload_params': {'p': 7, 'layers': 1,"
                                          " 'width': 16, 'heads': 2}, 'optimizer': '%s', 'train': {'steps': %d, 'batch': 8,"
                                          " 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 3, 'target': null}}",
                                          rv_method_at(i)->name, STEPS), 1);
}

/* Around the method, with a schedule of a hyperparameter and state in bf16. */
static void every_wrapper(void **state)
{
    (void)state;
    for (int i = 0; rv_wrapper_at(i) != NULL; i++) {
        const char *name = rv_wrapper_at(i)->name;
        stopped_at_every_step(help_config("{'workload': 'linear-regression', 'optimizer': 'adamw', 'wrappers': '%s',"
                                          " 'schedules': {'beta1': 'linear(end=0.5)'},"
                                          " 'train': {'steps': %d, 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 2,"
                                          " 'state_dtype': 'bf16'}}", name, STEPS),
                              strcmp(name, "sam") == 0 ? 2 : 1);
    }
}

/* With labels drawn from the model's output every other step, in two parts of a batch. */
static void sampled_labels(void **state)
{
    (void)state;
    stopped_at_every_step(help_config("{'workload': 'modular-division', 'workload_params': {'p': 7, 'layers': 1,"
                                      " 'width': 16, 'heads': 2}, 'optimizer': 'sophia_g', 'optimizer_params':"
                                      " {'estimate': 'sampled', 'hessian_every': 2}, 'train': {'steps': %d, 'batch': 8,"
                                      " 'accumulate': 2, 'log_every': 1, 'checkpoint_every': 3, 'target': null}}", STEPS), 2);
}

/* K-FAC with factors and bases that are older than a step, of the data's labels and of drawn ones. */
static void factors(void **state)
{
    (void)state;
    for (int sampled = 0; sampled < 2; sampled++)
        stopped_at_every_step(help_config("{'workload': 'modular-division', 'workload_params': {'p': 7, 'layers': 1,"
                                          " 'width': 16, 'heads': 2}, 'optimizer': 'kfac', 'optimizer_params':"
                                          " {'factor_update_steps': 2, 'inverse_update_steps': 3, 'stagger': true,"
                                          " 'labels': '%s'}, 'train': {'steps': %d, 'batch': 8, 'accumulate': 2,"
                                          " 'log_every': 1, 'checkpoint_every': 3, 'target': null}}",
                                          sampled ? "sampled" : "data", STEPS), 2);
}

/* A restart after each second step: the checkpoint of a boundary belongs to the part that ends there. */
static void restarts(void **state)
{
    (void)state;
    stopped_at_every_step(help_config("{'workload': 'linear-regression', 'optimizer': 'adamw', 'schedule': 'linear',"
                                      " 'restarts': [{'at': 2, 'optimizer_params': {'lr': 0.1}},"
                                      " {'at': 4, 'optimizer': 'sgd', 'optimizer_params': {'lr': 0.2, 'momentum': 0.9}}],"
                                      " 'train': {'steps': %d, 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 2}}",
                                      STEPS), 1);
}

static void dropout(void **state)
{
    (void)state;
    stopped_at_every_step(help_config("{'workload': 'char-lm', 'workload_params': {'layers': 1, 'width': 16, 'heads': 2,"
                                      " 'block': 8, 'dropout': 0.2, 'evaluate': 16}, 'train': {'steps': %d, 'batch': 8,"
                                      " 'log_every': 1, 'checkpoint_every': 3}}", STEPS), 1);
}

/* One session for each step. */
static void step_by_step(void **state)
{
    (void)state;
    const char *config = config_for("adamw");
    rv_trial_result result = {.outcome = RV_OUTCOME_INTERRUPTED};
    help_remove(help_path("whole"));
    help_remove(help_path("parts"));
    run_whole(config, "whole", 1);
    for (int session = 0; session < STEPS; session++) {
        int stop = 0;
        shim_now = (shim){.stop = &stop, .stop_at = 1};
        assert_int_equal(help_run(config, "parts", 2, &stop, &result, NULL), RV_OK);
    }
    assert_int_equal(result.outcome, RV_OUTCOME_BUDGET);
    shim_now = (shim){0};
    help_same(config, "whole", "parts");
}

/* A stop before the first step leaves something to go on from; a finished run is read only. */
static void nothing_is_repeated(void **state)
{
    (void)state;
    const char *config = config_for("sgd");
    rv_trial_result first, again;
    int stop = 1;
    help_remove(help_path("once"));
    assert_int_equal(help_run(config, "once", 1, &stop, &first, NULL), RV_OK);
    assert_int_equal(first.outcome, RV_OUTCOME_INTERRUPTED);
    assert_int_equal(first.steps, 0);
    assert_int_equal(help_run(config, "once", 1, NULL, &first, NULL), RV_OK);
    shim_now = (shim){.poison_at = 1};
    assert_int_equal(help_run(config, "once", 1, &stop, &again, NULL), RV_OK);
    assert_int_equal(shim_now.gradients, 0);
    shim_now = (shim){0};
    assert_memory_equal(&first.seconds, &again.seconds, sizeof first.seconds);
    assert_int_equal(again.outcome, RV_OUTCOME_BUDGET);
    assert_string_equal(first.weights, again.weights);
}

static void any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 1, 2, 3, 7};
    const char *configs[] = {
        config_for("adamw"),
        help_config("{'workload': 'modular-division', 'workload_params': {'p': 23, 'layers': 1, 'width': 32},"
                    " 'optimizer': 'muon', 'train': {'steps': 5, 'clip': 0.1, 'log_every': 1}}"),
    };
    for (int c = 0; c < 2; c++) {
        help_remove(help_path("whole"));
        run_whole(configs[c], "whole", 1);
        for (int i = 0; i < 5; i++) {
            help_remove(help_path("other"));
            run_whole(configs[c], "other", threads[i]);
            help_same(configs[c], "whole", "other");
        }
    }
}

/* Whether a float32 array of the last checkpoint holds a denormal number. */
static bool has_denormal(const char *config, const char *dir)
{
    char id[256], path[600];
    bool found = false;
    rv_array_set set;
    rv_trial_id(config, id, sizeof id);
    snprintf(path, sizeof path, "%s/%s/checkpoint/step-000000000020.safetensors", help_path(dir), id);
    assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_OK);
    for (int i = 0; i < set.count; i++)
        for (int64_t k = 0; set.arrays[i].dtype == RV_F32 && k < rv_shape_size(&set.arrays[i].shape); k++)
            found |= fpclassify(((float *)set.arrays[i].data)[k]) == FP_SUBNORMAL;
    rv_array_set_release(&set);
    return found;
}

/* Gradients of noise alone, near 1e-20, have denormal squares in float32.  The caller's
 * flush-to-zero and rounding modes must neither matter nor be lost. */
static void floating_point_modes(void **state)
{
    (void)state;
#if defined(__SSE__)
    const char *config = help_config("{'workload': 'rosenbrock', 'workload_params': {'x': 1, 'y': 1, 'noise': 1e-20},"
                                     " 'optimizer': 'adamw', 'optimizer_params': {'lr': 1e-9, 'eps': 1e-30},"
                                     " 'train': {'steps': 20, 'log_every': 1, 'target': null}}");
    static const unsigned modes[] = {0x9FC0, 0x8040, 0x7F80, 0x3F80}; /* FTZ and DAZ; roundings */
    unsigned before = _mm_getcsr();
    help_remove(help_path("whole"));
    run_whole(config, "whole", 2);
    assert_true(has_denormal(config, "whole"));
    for (int i = 0; i < 4; i++) {
        help_remove(help_path("other"));
        _mm_setcsr(modes[i] | 0x1F80);
        run_whole(config, "other", 2);
        unsigned after = _mm_getcsr();
        _mm_setcsr(before);
        assert_int_equal(after & ~0x3Fu, (modes[i] | 0x1F80) & ~0x3Fu); /* sticky flags aside */
        help_same(config, "whole", "other");
    }
#else
    skip();
#endif
}

/* Case 50: how often is logged, evaluated and saved leaves the weights alone. */
static void watching_changes_nothing(void **state)
{
    (void)state;
    static const char every[] = "{'workload': 'linear-regression', 'optimizer': '%s', 'train': {'steps': 20,"
                                " 'eval_every': %d, 'log_every': %d, 'checkpoint_every': %d, 'target': null}}";
    static const char *const optimizers[] = {"adamw", "schedule_free_adamw"};
    for (int i = 0; i < 2; i++) {
        const char *busy = help_config(every, optimizers[i], 1, 1, 1);
        const char *quiet = help_config(every, optimizers[i], 1000, 1000, 1000);
        rv_trial_result a, b;
        rv_array_set x, y;
        assert_int_equal(help_run(busy, "busy", 1, NULL, &a, NULL), RV_OK);
        assert_int_equal(help_run(quiet, "quiet", 1, NULL, &b, NULL), RV_OK);
        assert_int_equal(rv_safetensors_read(a.weights, &x, NULL), RV_OK);
        assert_int_equal(rv_safetensors_read(b.weights, &y, NULL), RV_OK);
        assert_int_equal(x.count, y.count);
        for (int k = 0; k < x.count; k++)
            assert_memory_equal(x.arrays[k].data, y.arrays[k].data,
                                (size_t)rv_shape_size(&x.arrays[k].shape) * rv_dtype_size(x.arrays[k].dtype));
        rv_array_set_release(&x);
        rv_array_set_release(&y);
        assert_memory_equal(&a.final, &b.final, sizeof a.final);
    }
}

/* Case 49: a checkpoint that was loaded and is saved again is the same file. */
static void saved_again(void **state)
{
    (void)state;
    for (int i = 0; rv_method_at(i) != NULL; i++) {
        const char *config = config_for(rv_method_at(i)->name);
        char id[256], path[600];
        int stop = 0;
        rv_trial_result result;
        rv_reader a, b;
        help_remove(help_path("again"));
        shim_now = (shim){.stop = &stop, .stop_at = 5};
        assert_int_equal(help_run(config, "again", 1, &stop, &result, NULL), RV_OK);
        shim_now = (shim){0};
        rv_trial_id(config, id, sizeof id);
        snprintf(path, sizeof path, "%s/%s/checkpoint/step-000000000003.safetensors", help_path("again"), id);
        assert_int_equal(rv_reader_open_plain(&a, path, 1 << 20, NULL), RV_OK);
        rv_array_set set;
        assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_OK);
        assert_int_equal(rv_safetensors_write(path, set.arrays, set.count, set.metadata, NULL), RV_OK);
        rv_array_set_release(&set);
        assert_int_equal(rv_reader_open_plain(&b, path, 1 << 20, NULL), RV_OK);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        rv_reader_close(&a);
        rv_reader_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer),       cmocka_unit_test(step_by_step),
        cmocka_unit_test(every_optimizer_on_matrices), cmocka_unit_test(every_wrapper), cmocka_unit_test(restarts),
        cmocka_unit_test(dropout), cmocka_unit_test(sampled_labels), cmocka_unit_test(factors),
        cmocka_unit_test(nothing_is_repeated),   cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(floating_point_modes),  cmocka_unit_test(watching_changes_nothing),
        cmocka_unit_test(saved_again),
    };
    return cmocka_run_group_tests(tests, help_start, help_end);
}
