/* A benchmark run by several processes at once that are killed at random moments ends in the bits, and
 * the ranking, of one that a single process ran undisturbed; no trial is run twice.  RAVINE_SLOW: 1000
 * kills. */
#include "help.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/plan.h"
#include "core/json.h"

/* Two studies of five drawn points and of a submission's five, on a problem without a plateau. */
static const char suite[] =
    "{\"ruleset\": \"ravine-external\", \"studies\": 2, \"problems\": [{\"label\": \"line\", \"workload\": \"linear-regression\","
    "  \"target\": 0.03, \"config\": {\"train\": {\"steps\": 1500, \"batch\": 4, \"eval_every\": 50, \"log_every\": 10,"
    "  \"checkpoint_every\": 20, \"stop_at_target\": false}}}],"
    " \"optimizers\": [{\"label\": \"adamw\", \"optimizer\": \"adamw\", \"sampler\": \"sobol\","
    "                  \"search_space\": {\"lr\": {\"min\": 0.001, \"max\": 0.3, \"scaling\": \"log\"}}}],"
    " \"submissions\": [\"baseline\"]}";
enum { WORKERS = 3 };

static void drop_note(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static rv_status run_bench(const char *dir, int jobs, rv_error *err)
{
    rv_bench_options options = {.dir = help_path(dir), .jobs = jobs, .note = drop_note};
    return rv_bench_run(suite, &options, err);
}

static pid_t start(const char *dir)
{
    rv_error err = {0};
    pid_t child = fork();
    if (child == 0)
        _exit(run_bench(dir, 1, &err) == RV_OK ? 0 : 1);
    return child;
}

static void wait_a_little(uint64_t number, uint64_t most)
{
    uint64_t delay = rv_random_below((rv_random){5, RV_RANDOM_PROBE, 0}, number, most);
    nanosleep(&(struct timespec){0, (long)delay}, NULL);
}

/* Three processes; one of them is killed and replaced every few milliseconds, until all trials are done. */
static int disturb(const char *dir, int first)
{
    pid_t worker[WORKERS];
    int kills = 0, over = 0, status = 0;
    for (int i = 0; i < WORKERS; i++)
        worker[i] = start(dir);
    while (over == 0) {
        wait_a_little((uint64_t)(first + kills), 40000000);
        int victim = (int)rv_random_below((rv_random){6, RV_RANDOM_PROBE, 0}, (uint64_t)(first + kills), WORKERS);
        kill(worker[victim], SIGKILL);
        waitpid(worker[victim], &status, 0);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            over++;
        } else {
            kills++;
            worker[victim] = start(dir);
            continue;
        }
        worker[victim] = -1;
    }
    for (int i = 0; i < WORKERS; i++)
        if (worker[i] > 0) {
            waitpid(worker[i], &status, 0);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    return kills;
}

/* What the record says without clocks. */
static json_t *scores_of(const char *dir)
{
    char path[640];
    json_t *record = NULL, *entry;
    size_t i;
    snprintf(path, sizeof path, "%s/bench.json", help_path(dir));
    assert_int_equal(rv_json_read(path, &record, NULL), RV_OK);
    assert_true(json_is_true(json_object_get(record, "complete")));
    json_t *list = json_array();
    json_array_foreach(json_object_get(record, "trials"), i, entry)
    {
        assert_string_equal(json_string_value(json_object_get(entry, "state")), "done");
        json_array_append_new(list, json_pack("{s:O, s:O, s:O, s:O}", "run", json_object_get(entry, "run"), "steps",
                                              json_object_get(entry, "steps"), "target", json_object_get(entry, "target_step"),
                                              "best", json_object_get(entry, "best")));
    }
    json_decref(record);
    return list;
}

/* Steps of all log lines of a run are there once and in order: nothing was repeated. */
static void compare_runs(const char *a, const char *b)
{
    rv_plan plan;
    rv_bench_options options = {.jobs = 1};
    assert_int_equal(rv_plan_make(&plan, suite, &options, NULL), RV_OK);
    assert_int_equal(plan.count, 20);
    for (int i = 0; i < plan.count; i++)
        help_same(plan.trials[i].config, a, b);
    rv_plan_release(&plan);
    json_t *x = scores_of(a), *y = scores_of(b);
    assert_true(json_equal(x, y));
    json_decref(x);
    json_decref(y);
}

static void test_killed_workers(void **state)
{
    (void)state;
    const int wanted = getenv("RAVINE_SLOW") != NULL ? 1000 : 40;
    rv_error err = {0};
    int kills = 0, runs = 0;
    assert_int_equal(run_bench("whole", 2, &err), RV_OK);
    for (; kills < wanted; runs++) {
        help_remove(help_path("parts"));
        kills += disturb("parts", kills);
        compare_runs("whole", "parts");
    }
    print_message("%d kills in %d benchmarks\n", kills, runs);
}

static double modified(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return (double)info.st_mtim.tv_sec + 1e-9 * (double)info.st_mtim.tv_nsec;
}

/* A finished benchmark is read: no run folder is written again. */
static void test_again_repeats_nothing(void **state)
{
    (void)state;
    rv_plan plan;
    rv_error err = {0};
    rv_bench_options options = {.jobs = 1};
    char path[640];
    double before[64];
    assert_int_equal(run_bench("again", 2, &err), RV_OK);
    assert_int_equal(rv_plan_make(&plan, suite, &options, NULL), RV_OK);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < plan.count; i++) {
            snprintf(path, sizeof path, "%s/%s/meta.json", help_path("again"), plan.trials[i].id);
            if (pass == 0)
                before[i] = modified(path);
            else
                assert_true(modified(path) == before[i]);
        }
        if (pass == 0)
            assert_int_equal(run_bench("again", 2, &err), RV_OK);
    }
    rv_plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_workers), cmocka_unit_test(test_again_repeats_nothing)};
    return cmocka_run_group_tests(tests, help_start, help_end);
}
