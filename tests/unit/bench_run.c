/* Plans and runs with trials played by the test: a trial's time to target is a formula of
 * its learning rate and seed, so every median and score is known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "ravine/bench.h"

static const char suite[] =
    "{\"problems\": [{\"label\": \"p\", \"workload\": \"hill\", \"target\": 0.5, \"config\": {\"train\": {\"steps\": 9}}},"
    "                {\"label\": \"q\", \"workload\": \"hill\", \"target\": 0.25}],"
    " \"optimizers\": [{\"label\": \"fast\", \"optimizer\": \"a\", \"grid\": {\"lr\": [0.1, 0.2]}},"
    "                  {\"label\": \"slow\", \"optimizer\": \"b\", \"grid\": {\"lr\": [0.1, 0.2]},"
    "                   \"problems\": {\"q\": {\"grid\": {\"lr\": [0.3]}}}}],"
    " \"seeds\": [0, 1, 2]}";
enum { TRIALS = 3 * (2 + 2 + 2 + 1) };

/* ---- the player ---------------------------------------------------------- */

/* What ran so far; trials run on several threads. */
static struct {
    pthread_mutex_t lock;
    char done[64][160];
    int count, runs, fail_seed, stop_after;
    volatile int stop;
} played = {.lock = PTHREAD_MUTEX_INITIALIZER, .fail_seed = -1};

static void reset_player(void)
{
    played.count = played.runs = played.stop = played.stop_after = 0;
    played.fail_seed = -1;
}

static const rv_workload hill = {.name = "hill", .title = "A hill", .metric = "loss"};

const rv_workload *__wrap_rv_workload_find(const char *name)
{
    return strcmp(name, "hill") == 0 ? &hill : NULL;
}

/* The resolved configuration: what was given, and the overrides in a list of their own. */
rv_status __wrap_rv_trial_resolve(const char *config, const char *const *overrides, int count, char **resolved, rv_error *err)
{
    json_t *object = NULL, *list = json_array();
    if (rv_json_parse(config, strlen(config), "config", &object, err) != RV_OK)
        return err->status;
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(overrides[i]));
    json_object_set_new(object, "overrides", list);
    *resolved = rv_json_text(object, 0);
    json_decref(object);
    return RV_OK;
}

static double number_after(const char *config, const char *key)
{
    const char *at = strstr(config, key);
    return at ? strtod(at + strlen(key), NULL) : NAN;
}

void __wrap_rv_trial_id(const char *config, char *id, size_t size)
{
    const char *method = strstr(config, "\"optimizer\":\"");
    snprintf(id, size, "%c-lr%g-target%g-seed%g", method ? method[13] : '?', number_after(config, "\"lr="),
             number_after(config, "train.target="), number_after(config, "train.seed="));
}

static bool is_done(const char *id)
{
    for (int i = 0; i < played.count; i++)
        if (strcmp(played.done[i], id) == 0)
            return true;
    return false;
}

/* "a" needs 1000 * lr examples plus 10 per seed; "b" three times that and misses at 0.2;
 * both are twice as slow on the harder target. */
static void play(const char *config, rv_trial_result *result)
{
    double lr = number_after(config, "\"lr="), seed = number_after(config, "train.seed=");
    bool b = strstr(config, "\"optimizer\":\"b\"") != NULL, hard = number_after(config, "train.target=") < 0.5;
    double examples = (1000 * lr + 10 * seed) * (b ? 3 : 1) * (hard ? 2 : 1);
    bool miss = b && fabs(lr - 0.2) < 1e-9;
    *result = (rv_trial_result){.outcome = miss ? RV_OUTCOME_BUDGET : RV_OUTCOME_TARGET, .steps = 9, .examples = 900,
                                .seconds = 1, .best = 0.1 * lr, .final = 0.1, .target_step = -1, .target_seconds = NAN};
    if (!miss) {
        result->target_step = (int64_t)lround(examples / 10);
        result->target_examples = (int64_t)lround(examples);
        result->target_seconds = examples / 100;
    }
}

rv_status __wrap_rv_trial_read(const char *run, rv_trial_result *result, rv_error *err)
{
    const char *id = strrchr(run, '/') + 1;
    char config[512];
    (void)err;
    if (!is_done(id))
        return RV_E_IO;
    double lr = 0, target = 0, seed = 0;
    char method = 0;
    assert_int_equal(sscanf(id, "%c-lr%lf-target%lf-seed%lf", &method, &lr, &target, &seed), 4);
    snprintf(config, sizeof config, "\"optimizer\":\"%c\" \"lr=%g train.target=%g train.seed=%g", method, lr, target, seed);
    play(config, result);
    return RV_OK;
}

rv_status __wrap_rv_trial_run(const char *config, const rv_trial_options *options, rv_trial_result *result, rv_error *err)
{
    char id[160];
    __wrap_rv_trial_id(config, id, sizeof id);
    assert_int_equal(options->threads, 1);
    options->note(options->context, "no data folder: procedural hills instead");
    pthread_mutex_lock(&played.lock);
    played.runs++;
    bool stop = played.stop_after > 0 && played.runs > played.stop_after;
    bool fail = played.fail_seed >= 0 && number_after(config, "train.seed=") == played.fail_seed;
    if (stop)
        __atomic_store_n(&played.stop, 1, __ATOMIC_RELAXED);
    if (!stop && !fail)
        snprintf(played.done[played.count++], sizeof played.done[0], "%s", id);
    pthread_mutex_unlock(&played.lock);
    play(config, result);
    if (stop)
        result->outcome = RV_OUTCOME_INTERRUPTED;
    return fail ? rv_fail(err, RV_E_IO, "%s: disk full", id) : RV_OK;
}

/* ---- helpers ------------------------------------------------------------- */

typedef struct seen {
    int calls, trials, done, notes;
} seen;

static void on_progress(void *context, const rv_bench_progress *progress)
{
    seen *s = context;
    assert_true(progress->done >= s->done && progress->done <= progress->trials);
    assert_true(isnan(progress->eta) || progress->eta >= 0);
    s->calls++;
    s->done = progress->done;
    s->trials = progress->trials;
}

static void on_note(void *context, const char *line)
{
    assert_non_null(strstr(line, "procedural"));
    ((seen *)context)->notes++;
}

static rv_status run(const char *dir, const char *text, const char *keep, seen *s, rv_error *err)
{
    rv_bench_options options = {.dir = dir, .jobs = 2, .optimizers = keep, .stop = &played.stop,
                                .progress = on_progress, .note = on_note, .context = s};
    return rv_bench_run(text, &options, err);
}

static json_t *read_record(const char *dir)
{
    char path[256];
    json_t *record = NULL;
    snprintf(path, sizeof path, "%s/bench.json", dir);
    assert_int_equal(rv_json_read(path, &record, NULL), RV_OK);
    return record;
}

static int make_folder(void **state)
{
    char name[] = "/tmp/ravine-bench-XXXXXX";
    *state = strdup(mkdtemp(name));
    reset_player();
    return 0;
}

static int remove_folder(void **state)
{
    char path[256];
    snprintf(path, sizeof path, "%s/bench.json", (char *)*state);
    unlink(path);
    rmdir(*state);
    free(*state);
    return 0;
}

static double score_of(json_t *record, size_t optimizer, const char *unit)
{
    json_t *list = json_object_get(json_object_get(record, "scores"), "optimizers");
    return rv_json_real(json_object_get(json_array_get(list, optimizer), "score"), unit, NAN);
}

/* ---- tests --------------------------------------------------------------- */

static void test_scores(void **state)
{
    seen s = {0};
    rv_error err = {0};
    assert_int_equal(run(*state, suite, NULL, &s, &err), RV_OK);
    assert_int_equal(played.runs, TRIALS);
    assert_int_equal(s.done, TRIALS);
    assert_int_equal(s.notes, 2); /* the same line of every trial, once a problem */
    json_t *record = read_record(*state);
    assert_true(json_is_true(json_object_get(record, "complete")));
    /* p: fast 110 at lr 0.1, slow 330: ratio 3.  q: fast 220, slow (0.3): 1860: ratio beyond 4. */
    assert_true(fabs(score_of(record, 0, "examples") - 1) < 1e-12);
    assert_true(fabs(score_of(record, 1, "examples") - (1.0 / 3) / 2) < 1e-12);
    assert_true(fabs(score_of(record, 1, "seconds") - (1.0 / 3) / 2) < 1e-12);
    json_t *cells = json_object_get(json_object_get(record, "scores"), "cells");
    json_t *slow_p = json_array_get(json_object_get(json_array_get(cells, 1), "points"), 1);
    assert_true(isinf(rv_json_real(slow_p, "examples", 0)));
    assert_int_equal(json_integer_value(json_object_get(slow_p, "reached")), 0);
    json_t *fast_q = json_array_get(json_object_get(json_array_get(cells, 2), "points"), 0);
    assert_true(rv_json_real(fast_q, "examples", 0) == 220);
    json_decref(record);
}

static void test_again_runs_nothing(void **state)
{
    seen s = {0};
    assert_int_equal(run(*state, suite, NULL, &s, NULL), RV_OK);
    json_t *first = read_record(*state);
    played.runs = 0;
    assert_int_equal(run(*state, suite, NULL, &s, NULL), RV_OK);
    assert_int_equal(played.runs, 0);
    json_t *second = read_record(*state);
    assert_true(json_equal(json_object_get(first, "scores"), json_object_get(second, "scores")));
    assert_true(json_equal(json_object_get(first, "notes"), json_object_get(second, "notes")));
    json_decref(first);
    json_decref(second);
}

static void test_stop_and_go_on(void **state)
{
    seen s = {0};
    rv_error err = {0};
    played.stop_after = 5;
    assert_int_equal(run(*state, suite, NULL, &s, &err), RV_E_INTERRUPTED);
    assert_non_null(strstr(err.message, "5 of 21"));
    json_t *record = read_record(*state);
    assert_true(json_is_false(json_object_get(record, "complete")));
    json_decref(record);
    int before = played.count;
    played.stop = played.stop_after = played.runs = 0;
    assert_int_equal(run(*state, suite, NULL, &(seen){0}, &err), RV_OK);
    assert_int_equal(played.runs, TRIALS - before);
}

static void test_a_failure_is_recorded(void **state)
{
    seen s = {0};
    rv_error err = {0};
    played.fail_seed = 1;
    assert_int_equal(run(*state, suite, NULL, &s, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "7 of 21 trials failed"));
    assert_non_null(strstr(err.message, "disk full"));
    json_t *record = read_record(*state);
    /* Seeds 0 and 2 are left: their 100 and 120 with a miss have the median 120. */
    json_t *cells = json_object_get(json_object_get(record, "scores"), "cells");
    json_t *fast_p = json_array_get(json_object_get(json_array_get(cells, 0), "points"), 0);
    assert_true(rv_json_real(fast_p, "examples", 0) == 120);
    json_decref(record);
}

static void test_some_optimizers(void **state)
{
    seen s = {0};
    rv_error err = {0};
    assert_int_equal(run(*state, suite, "slow", &s, &err), RV_OK);
    assert_int_equal(s.trials, 9);
    assert_int_equal(run(*state, suite, "fast,slwo", &s, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "slwo"));
    assert_non_null(strstr(err.message, "did you mean 'slow'"));
}

static void test_bad_suites(void **state)
{
    static const char *const bad[][2] = {
        {"{", "suite"},
        {"{\"problems\": [], \"optimizers\": [], \"seeds\": []}", "'problems'"},
        {"{\"problems\": [{\"label\": \"p\", \"workload\": \"hlil\", \"target\": 1}],"
         " \"optimizers\": [{\"label\": \"o\", \"optimizer\": \"a\"}], \"seeds\": [0]}", "hlil"},
        {"{\"problems\": [{\"label\": \"p\", \"workload\": \"hill\"}],"
         " \"optimizers\": [{\"label\": \"o\", \"optimizer\": \"a\"}], \"seeds\": [0]}", "target"},
        {"{\"problems\": [{\"label\": \"p\", \"workload\": \"hill\", \"target\": 1}],"
         " \"optimizers\": [{\"label\": \"o\", \"optimizer\": \"a\", \"grid\": {\"lr\": []}}], \"seeds\": [0]}", "grid"},
        {"{\"problems\": [{\"label\": \"p\", \"workload\": \"hill\", \"target\": 1}],"
         " \"optimizers\": [{\"label\": \"o\", \"optimizer\": \"a\"}, {\"label\": \"o\", \"optimizer\": \"b\"}], \"seeds\": [0]}", "two optimizers"},
        {"{\"problems\": [{\"label\": \"p\", \"workload\": \"hill\", \"target\": 1}],"
         " \"optimizers\": [{\"label\": \"o\", \"optimizer\": \"a\", \"grid\": {\"lr\": [1, 1]}}], \"seeds\": [0]}", "same trial"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rv_error err = {0};
        assert_int_not_equal(run(*state, bad[i][0], NULL, &(seen){0}, &err), RV_OK);
        assert_non_null(strstr(err.message, bad[i][1]));
    }
    assert_int_equal(played.runs, 0);
}

static void test_table(void **state)
{
    char *text = NULL;
    assert_int_equal(run(*state, suite, NULL, &(seen){0}, NULL), RV_OK);
    assert_int_equal(rv_bench_table(*state, 100, false, &text, NULL), RV_OK);
    const char *fast = strstr(text, "1  fast"), *slow = strstr(text, "2  slow");
    assert_true(fast && slow && fast < slow);
    assert_non_null(strstr(fast, "1.000"));
    assert_non_null(strstr(slow, "0.167"));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    free(text);
}

/* The suites that come with the program are well-formed as far as that can be told here. */
static void test_suites(void **state)
{
    (void)state;
    assert_non_null(rv_suite_find("quick"));
    assert_null(rv_suite_find("quik"));
    for (int i = 0; rv_suite_at(i); i++) {
        json_t *json = NULL;
        const rv_suite *s = rv_suite_at(i);
        assert_int_equal(rv_json_parse(s->json, strlen(s->json), s->name, &json, NULL), RV_OK);
        assert_true(json_array_size(json_object_get(json, "seeds")) >= 3);
        json_decref(json);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_scores),          TEST(test_again_runs_nothing), TEST(test_stop_and_go_on),
        TEST(test_a_failure_is_recorded), TEST(test_some_optimizers), TEST(test_bad_suites),
        TEST(test_table),           TEST(test_suites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
