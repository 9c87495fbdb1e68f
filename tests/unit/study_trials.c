/* Trials of a study: run once and then read, divergence as an infinite loss, stopping; and the
 * arithmetic of the speedrun's lengths against a closed form. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/file.h"
#include "studies/speedrun.h"
#include "temp_folder.h"

static volatile int stop;
static rv_study_options options = {.dir = test_folder, .threads = 2, .stop = &stop};
static rv_study_run run = {.seeds = 2, .options = &options};

static rv_study_trial trial(double lr)
{
    char text[256];
    snprintf(text, sizeof text,
             "{\"workload\": \"rosenbrock\", \"optimizer\": \"sgd\", \"optimizer_params\": {\"lr\": %g}, \"schedule\": \"constant\","
             " \"train\": {\"steps\": 40, \"eval_every\": 10, \"target\": -1, \"stop_at_target\": false}}", lr);
    return (rv_study_trial){.config = strdup(text)};
}

static int make_run(void **state)
{
    return make_folder(state) == 0 && rv_pool_new(&run.pool, 2, NULL) == RV_OK ? 0 : -1;
}

static int free_run(void **state)
{
    rv_pool_free(run.pool);
    return remove_folder(state);
}

static void run_two(rv_study_trial *a, rv_study_trial *b)
{
    rv_error err = {0};
    *a = trial(1e-4);
    *b = trial(1e6);
    if (rv_study_trials(&run, (rv_study_trial *const[]){a, b}, 2, 0, 1, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_true(a->done && b->done);
}

/* Times of the files of results, added up. */
static double written(void)
{
    char path[512], **names;
    int count;
    double sum = 0;
    snprintf(path, sizeof path, "%s/trials", test_folder);
    assert_int_equal(rv_folder_names(path, &names, &count, NULL), RV_OK);
    for (int i = 0; i < count; i++) {
        struct stat info;
        snprintf(path, sizeof path, "%s/trials/%s/result.json", test_folder, names[i]);
        if (stat(path, &info) == 0)
            sum += (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
        snprintf(path, sizeof path, "%s/trials/%s/weights.safetensors", test_folder, names[i]);
        assert_false(rv_file_exists(path));
    }
    rv_folder_names_free(names, count);
    return sum;
}

static void test_once(void **state)
{
    (void)state;
    rv_study_trial a, b, c, d;
    run_two(&a, &b);
    assert_int_equal(a.count, 5); /* steps 1, 10, 20, 30, 40 */
    assert_true(a.step[0] == 1 && a.step[4] == 40);
    assert_true(isfinite(a.final) && a.final == a.value[4] && a.value[4] < a.value[0]);
    assert_true(isinf(b.final) && b.final > 0);
    double before = written();
    run_two(&c, &d);
    assert_true(before == written());
    assert_true(c.final == a.final && c.count == a.count && memcmp(a.value, c.value, 5 * sizeof *a.value) == 0);
    rv_study_trial *all[] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; i++)
        rv_study_trial_release(all[i]);
}

static void test_stop_and_fail(void **state)
{
    (void)state;
    rv_error err = {0};
    rv_study_trial t = trial(2e-4); /* one that has not run yet */
    stop = 1;
    assert_int_equal(rv_study_trials(&run, (rv_study_trial *const[]){&t}, 1, 0, 1, &err), RV_E_INTERRUPTED);
    assert_false(t.done);
    stop = 0;
    assert_int_equal(rv_study_trials(&run, (rv_study_trial *const[]){&t}, 1, 0, 1, &err), RV_OK);
    assert_true(t.done);
    rv_study_trial_release(&t);
    t.config = strdup("{\"workload\": \"rosenbrok\"}");
    assert_int_equal(rv_study_trials(&run, (rv_study_trial *const[]){&t}, 1, 0, 1, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "rosenbrok"));
    rv_study_trial_release(&t);
}

/* A method whose loss after n steps is that of AdamW after `gain` n, loss = 2 - 0.3 log n. */
static void test_needed(void **state)
{
    (void)state;
    enum { STEPS = 800, RUNS = 2 * 4 };
    const double gain[2] = {1.25, 2.5}; /* of two seeds */
    static const int64_t lengths[] = {800, 600, 400};
    rv_speedrun_params params = {.width = 64, .steps = STEPS};
    rv_race_run runs[RUNS];
    rv_race race;
    rv_race_init(&race, &run, &params);
    assert_int_equal(race.racer[RV_WIDE + 1].width, 128);
    assert_int_equal(race.racer[RV_WIDE + 1].adamw, RV_WIDE);
    assert_int_equal(race.racer[RV_NARROW].method, RV_ADAMW);
    assert_int_equal(race.racer[RV_SOAP].adamw, RV_ADAMW);
    race.runs = runs;
    for (uint64_t s = 0; s < 2; s++) {
        runs[race.count++] = (rv_race_run){RV_ADAMW, 0, STEPS, s, {.done = true, .final = 2 - 0.3 * log(STEPS)}};
        for (int k = 0; k < 3; k++)
            runs[race.count++] = (rv_race_run){RV_MUON, 0, lengths[k], s, {.done = true, .final = 2 - 0.3 * log(gain[s] * (double)lengths[k])}};
    }
    assert_true(isnan(rv_race_needed(&race, RV_MUON, 0))); /* no shorter run is known */
    memcpy(race.racer[RV_MUON].length, lengths, sizeof lengths);
    race.racer[RV_MUON].lengths = 3;
    for (uint64_t s = 0; s < 2; s++) /* between two lengths, and beyond the last */
        assert_true(fabs(rv_race_needed(&race, RV_MUON, s) * gain[s] / STEPS - 1) < 1e-12);
    assert_true(rv_race_needed(&race, RV_ADAMW, 0) == STEPS);
    assert_true(rv_race_trial(&race, RV_MUON, 0, 500, 0) == NULL);
    assert_int_equal(rv_records_slower(), 0);
}

/* Curves that fall on straight lines through the evaluations, one seed later than the other. */
static void test_crossing(void **state)
{
    (void)state;
    double step[3] = {1, 101, 201}, early[3] = {4, 3, 2}, late[3] = {4, 3.5, 2.5};
    rv_speedrun_params params = {.width = 64, .steps = 200};
    rv_race_run runs[2] = {{RV_SOAP, 0, 200, 0, {.done = true, .count = 3, .step = step, .value = early}},
                           {RV_SOAP, 0, 200, 1, {.done = true, .count = 3, .step = step, .value = late}}};
    rv_race race;
    rv_race_init(&race, &run, &params);
    race.runs = runs;
    race.count = 2;
    assert_true(fabs(rv_race_crossing(&race, RV_SOAP, 3.25) - (76 + 126) / 2.0) < 1e-12);
    assert_true(isnan(rv_race_crossing(&race, RV_SOAP, 2.25))); /* one seed does not get there */
    assert_true(isnan(rv_race_crossing(&race, RV_MUON, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_stop_and_fail),
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_crossing),
    };
    return cmocka_run_group_tests(tests, make_run, free_run);
}
