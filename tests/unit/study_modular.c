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

#include <fcntl.h>
#include <sys/file.h>

#include <cmocka.h>

#include "studies/modular.h"
#include "temp_folder.h"

enum { RUNS = 3 };

typedef struct setting {
    rv_study_options options;
    rv_study_run run;
    rv_study_trial runs[RUNS];
    rv_study_trial *list[RUNS];
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
    snprintf(t->path, sizeof t->path, "%s/%s", test_folder, folder);
    t->options = (rv_study_options){.dir = t->path, .stop = stop};
    t->run = (rv_study_run){.options = &t->options};
    assert_int_equal(rv_pool_new(&t->run.pool, workers, NULL), RV_OK);
    for (int i = 0; i < RUNS; i++) {
        t->runs[i].config = strdup(configs[i]);
        rv_modular_prepare(&t->runs[i]);
        t->list[i] = &t->runs[i];
    }
    t->runs[2].pause = 10;
}

static void release(setting *t)
{
    for (int i = 0; i < RUNS; i++)
        rv_study_trial_release(&t->runs[i]);
    rv_pool_free(t->run.pool);
}

static void run_all(setting *t)
{
    rv_error err = {0};
    if (rv_study_trials(&t->run, t->list, RUNS, 0, 1, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static void same_curves(const rv_study_trial *a, const rv_study_trial *b)
{
    assert_int_equal(a->count, b->count);
    size_t size = (size_t)a->count * sizeof *a->step;
    assert_memory_equal(a->step, b->step, size);
    assert_memory_equal(a->further, b->further, RV_MEASURES * size);
    assert_memory_equal(a->value, rv_modular_curve(b, RV_VALIDATION_ACCURACY), size);
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
    assert_true(!one.runs[0].paused && one.runs[2].paused);
    assert_int_equal(one.runs[0].count, 5); /* steps 1, 5, 10, 15, 20 */
    assert_int_equal(one.runs[2].count, 3);
    assert_int_equal(one.runs[2].steps, 10);
    assert_true(rv_modular_curve(&one.runs[0], RV_TRAIN_LOSS)[4] != rv_modular_curve(&one.runs[1], RV_TRAIN_LOSS)[4]);
    assert_true(rv_modular_at(&one.runs[0], RV_WEIGHT_NORM, 1) > 0);
    prepare(&again, "one", 1, NULL);
    run_all(&again); /* only read */
    for (int i = 0; i < RUNS; i++)
        same_curves(&one.runs[i], &again.runs[i]);
    release(&one);
    release(&three);
    release(&again);
}

/* Pausing leaves no trace, and a lone trial has all workers. */
static void goes_on(void **state)
{
    (void)state;
    setting paused, whole;
    prepare(&paused, "paused", 2, NULL);
    prepare(&whole, "whole", 1, NULL);
    whole.runs[2].pause = 0;
    run_all(&paused);
    run_all(&whole);
    paused.runs[2].pause = 0;
    paused.runs[2].done = false;
    assert_int_equal(rv_study_trials(&paused.run, &paused.list[2], 1, 0, 1, NULL), RV_OK);
    assert_true(paused.runs[2].done && !paused.runs[2].paused);
    same_curves(&paused.runs[2], &whole.runs[2]);
    release(&paused);
    release(&whole);
}

/* A trial that was stopped has the curve so far. */
static void stops(void **state)
{
    (void)state;
    volatile int stop = 1;
    setting t;
    prepare(&t, "stopped", 1, &stop);
    assert_int_equal(rv_study_trials(&t.run, t.list, RUNS, 0, 1, NULL), RV_E_INTERRUPTED);
    stop = 0;
    run_all(&t);
    stop = 1;
    t.runs[2].pause = 0;
    t.runs[2].done = false;
    assert_int_equal(rv_study_trials(&t.run, &t.list[2], 1, 0, 1, NULL), RV_E_INTERRUPTED);
    assert_false(t.runs[2].done);
    assert_int_equal(t.runs[2].count, 3);
    release(&t);
}

/* A run that another process is making is drawn as far as it is, once it is past its pause. */
static void looks_on(void **state)
{
    (void)state;
    setting t, beside;
    char command[256];
    prepare(&t, "beside", 1, NULL);
    run_all(&t);
    snprintf(command, sizeof command, "ls -d %s/trials/modular-division-*", t.path);
    FILE *list = popen(command, "r");
    char path[256] = "";
    assert_non_null(fgets(path, sizeof path - 8, list));
    assert_int_equal(pclose(list), 0);
    strcpy(strchr(path, '\n'), "/lock");
    int fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    prepare(&beside, "beside", 1, NULL);
    run_all(&beside);
    same_curves(&t.runs[2], &beside.runs[2]);
    assert_true(beside.runs[2].paused && beside.runs[2].steps == 10);
    beside.runs[2].done = false;
    beside.runs[2].pause = 15; /* there is no more than ten steps yet */
    assert_int_equal(rv_study_trials(&beside.run, &beside.list[2], 1, 0, 1, NULL), RV_E_BUSY);
    close(fd);
    release(&t);
    release(&beside);
}

static void reads_curves(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    double step[] = {1, 10, 20, 30}, further[RV_MEASURES * COUNT] = {[RV_TRAIN_ACCURACY * COUNT] = 0.1, 0.4, 0.995, 0.7};
    rv_study_trial t = {.count = COUNT, .step = step, .further = further};
    assert_true(rv_modular_reached(&t, RV_TRAIN_ACCURACY, 0.4) == 10);
    assert_true(isnan(rv_modular_reached(&t, RV_TRAIN_ACCURACY, 0.999)));
    assert_true(rv_modular_at(&t, RV_TRAIN_ACCURACY, 25) == 0.995);
    assert_true(rv_modular_at(&t, RV_TRAIN_ACCURACY, HUGE_VAL) == 0.7);
    assert_true(isnan(rv_modular_at(&t, RV_TRAIN_ACCURACY, 0.5)));
    assert_true(isnan(rv_modular_at(&t, RV_TRAIN_ACCURACY, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(goes_on),
        cmocka_unit_test(stops),
        cmocka_unit_test(looks_on),
        cmocka_unit_test(reads_curves),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
