/* Trials of a study: curves do not depend on workers, finished runs are read back, stopped ones go on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "studies/modular.h"

enum { RUNS = 3 };
static char dir[] = "/tmp/ravine-modular-XXXXXX";

typedef struct setting {
    rv_study_options options;
    rv_study_run run;
    rv_modular_run runs[RUNS];
    char path[128];
} setting;

/* Three tiny runs in their own folder: two perceptrons and a transformer that is paused. */
static void prepare(setting *t, const char *folder, int workers, const volatile int *stop)
{
    static const char *const configs[RUNS] = {
        "{\"workload\":\"modular-perceptron\",\"workload_params\":{\"p\":7,\"hidden\":8},\"train\":{\"steps\":20,\"eval_every\":5}}",
        "{\"workload\":\"modular-perceptron\",\"workload_params\":{\"p\":7,\"hidden\":8,\"loss\":\"stablemax\"},"
        "\"train\":{\"steps\":20,\"eval_every\":5}}",
        "{\"workload\":\"modular-division\",\"workload_params\":{\"p\":7,\"width\":8,\"heads\":2},"
        "\"train\":{\"steps\":20,\"eval_every\":5,\"batch\":8}}"};
    memset(t, 0, sizeof *t);
    snprintf(t->path, sizeof t->path, "%s/%s", dir, folder);
    t->options = (rv_study_options){.dir = t->path, .stop = stop};
    t->run = (rv_study_run){.options = &t->options};
    assert_int_equal(rv_pool_new(&t->run.pool, workers, NULL), RV_OK);
    for (int i = 0; i < RUNS; i++) {
        snprintf(t->runs[i].config, sizeof t->runs[i].config, "%s", configs[i]);
        t->runs[i].expected = 20;
    }
    t->runs[2].pause = 10;
}

static void release(setting *t)
{
    for (int i = 0; i < RUNS; i++)
        rv_modular_release(&t->runs[i]);
    rv_pool_free(t->run.pool);
}

static void run_all(setting *t)
{
    rv_error err = {0};
    if (rv_modular_run_all(&t->run, t->runs, RUNS, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static void same_curves(const rv_modular_run *a, const rv_modular_run *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->step, b->step, (size_t)a->n * sizeof *a->step);
    for (int m = 0; m < RV_MEASURES; m++)
        assert_memory_equal(a->value[m], b->value[m], (size_t)a->n * sizeof *a->value[m]);
}

static void workers_change_nothing(void **state)
{
    (void)state;
    setting one, three, again;
    prepare(&one, "one", 1, NULL);
    prepare(&three, "three", 3, NULL);
    run_all(&one);
    run_all(&three);
    for (int i = 0; i < RUNS; i++)
        same_curves(&one.runs[i], &three.runs[i]);
    assert_true(one.runs[0].over && !one.runs[2].over);
    assert_int_equal(one.runs[0].n, 5); /* steps 1, 5, 10, 15, 20 */
    assert_int_equal(one.runs[2].n, 3);
    assert_true(one.runs[0].value[RV_TRAIN_LOSS][4] != one.runs[1].value[RV_TRAIN_LOSS][4]);
    assert_true(one.runs[0].value[RV_WEIGHT_NORM][0] > 0);
    prepare(&again, "one", 1, NULL);
    run_all(&again); /* only read */
    for (int i = 0; i < RUNS; i++)
        same_curves(&one.runs[i], &again.runs[i]);
    release(&one);
    release(&three);
    release(&again);
}

static void goes_on(void **state)
{
    (void)state;
    setting paused, whole;
    prepare(&paused, "paused", 1, NULL);
    prepare(&whole, "whole", 1, NULL);
    whole.runs[2].pause = 0;
    run_all(&paused);
    run_all(&whole);
    paused.runs[2].pause = 0;
    assert_int_equal(rv_modular_go_on(&paused.run, &paused.runs[2], NULL), RV_OK);
    assert_true(paused.runs[2].over);
    same_curves(&paused.runs[2], &whole.runs[2]);
    release(&paused);
    release(&whole);
}

/* A stop is an interruption of the whole, but only the present state of a long run. */
static void stops(void **state)
{
    (void)state;
    volatile int stop = 1;
    setting t;
    prepare(&t, "stopped", 1, &stop);
    assert_int_equal(rv_modular_run_all(&t.run, t.runs, RUNS, NULL), RV_E_INTERRUPTED);
    stop = 0;
    run_all(&t);
    stop = 1;
    t.runs[2].pause = 0;
    assert_int_equal(rv_modular_go_on(&t.run, &t.runs[2], NULL), RV_OK);
    assert_false(t.runs[2].over);
    assert_int_equal(t.runs[2].n, 3);
    release(&t);
}

static void reads_curves(void **state)
{
    (void)state;
    double step[] = {1, 10, 20, 30}, value[] = {0.1, 0.4, 0.995, 0.7};
    rv_modular_run r = {.n = 4, .step = step, .value = {[RV_TRAIN_ACCURACY] = value}};
    assert_true(rv_modular_reached(&r, RV_TRAIN_ACCURACY, 0.4) == 10);
    assert_true(isnan(rv_modular_reached(&r, RV_TRAIN_ACCURACY, 0.999)));
    assert_true(rv_modular_at(&r, RV_TRAIN_ACCURACY, 25) == 0.995);
    assert_true(rv_modular_at(&r, RV_TRAIN_ACCURACY, HUGE_VAL) == 0.7);
    assert_true(isnan(rv_modular_at(&r, RV_TRAIN_ACCURACY, 0.5)));
    assert_true(isnan(rv_modular_at(&r, RV_TRAIN_ACCURACY, NAN)));
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(goes_on),
        cmocka_unit_test(stops),
        cmocka_unit_test(reads_curves),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
