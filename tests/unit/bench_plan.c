/* Plans under rulesets, with the real workloads and methods: who gets which points, how much each may
 * spend in whatever batches, which runs are shared, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/plan.h"
#include "core/json.h"
#include "core/text.h"

/* One problem of 200 steps of 16; T is the title of what is compared. */
#define PROBLEM(more)                                                                                    \
    "\"problems\": [{\"label\": \"p\", \"workload\": \"char-lm\", \"target\": 2, " more                  \
    " \"config\": {\"workload_params\": {\"layers\": 1, \"heads\": 2, \"width\": 16, \"block\": 16}, "   \
    "\"train\": {\"steps\": 200, \"batch\": 16, \"eval_every\": 10}}}]"

static rv_status plan_of(const char *suite, const char *ruleset, int studies, rv_plan *plan, rv_error *err)
{
    rv_bench_options options = {.jobs = 1, .ruleset = ruleset, .studies = studies};
    return rv_plan_make(plan, suite, &options, err);
}

static json_t *config_of(const rv_plan *plan, int trial)
{
    json_t *config = NULL;
    const char *text = plan->trials[trial].config;
    assert_int_equal(rv_json_parse(text, strlen(text), "config", &config, NULL), RV_OK);
    return config;
}

static double number_of(const rv_plan *plan, int trial, const char *group, const char *key)
{
    json_t *config = config_of(plan, trial);
    double value = rv_json_real(json_object_get(config, group), key, NAN);
    json_decref(config);
    return value;
}

/* A ruleset of its own in a file; the caller frees and unlinks. */
static char *write_ruleset(const char *what)
{
    char name[] = "/tmp/ravine-rules-XXXXXX.json";
    int fd = mkstemps(name, 5);
    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "{\"name\": \"own\", \"extends\": \"ravine-external\", %s}", what) > 0, 1);
    close(fd);
    return strdup(name);
}

/* ---- studies -------------------------------------------------------------------- */

/* Drawn points: 3 studies of 5 share out the 15 points of one sequence, in its order. */
static void test_drawn_studies(void **state)
{
    (void)state;
    static const char suite[] = "{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"optimizer\": \"adamw\","
                                " \"search_space\": {\"lr\": {\"min\": 1e-4, \"max\": 1e-1, \"scaling\": \"log\"}}}]}";
    rv_plan plan, five;
    double twenty[25];
    int made = 0;
    assert_int_equal(plan_of(suite, "external", 0, &plan, NULL), RV_OK);
    assert_int_equal(plan.count, 15);
    const rv_point_sampler *halton = NULL;
    assert_int_equal(rv_point_sampler_find("halton", &halton, NULL), RV_OK);
    rv_point_request request = {1, (const int[]){0}, 15, 0};
    assert_int_equal(halton->draw(&request, twenty, &made, NULL), RV_OK);
    for (int i = 0; i < 15; i++) {
        const rv_plan_trial *t = &plan.trials[i];
        assert_true(t->study == i / 5 && t->seed == i / 5 && t->point == i && t->same_as == -1);
        assert_true(fabs(number_of(&plan, i, "optimizer_params", "lr") / (1e-4 * pow(1e3, twenty[i])) - 1) < 1e-14);
    }
    rv_plan_release(&plan);
    assert_int_equal(plan_of(suite, "external", 5, &five, NULL), RV_OK);
    assert_int_equal(five.count, 25);
    rv_plan_release(&five);
}

/* A list: the same points in every study, with its seed. */
static void test_listed_studies(void **state)
{
    (void)state;
    rv_plan plan;
    assert_int_equal(plan_of("{" PROBLEM("") ", \"submissions\": [\"baseline\"]}", "external", 2, &plan, NULL), RV_OK);
    assert_int_equal(plan.count, 10);
    for (int i = 0; i < 10; i++) {
        const rv_plan_trial *t = &plan.trials[i];
        assert_true(t->study == i / 5 && t->seed == i / 5 && t->point == i % 5);
        assert_int_equal(t->same_as, -1);
        assert_true(number_of(&plan, i, "train", "seed") == i / 5);
    }
    assert_true(number_of(&plan, 4, "workload_params", "dropout") == 0.1);
    assert_true(number_of(&plan, 0, "workload_params", "label_smoothing") == 0.1);
    assert_true(number_of(&plan, 3, "optimizer_params", "beta2") == 0.6291854735396584);
    assert_true(number_of(&plan, 0, "schedule_params", "warmup_steps") == 20);
    rv_plan_release(&plan);
}

/* Points 1 and 3 differ in label smoothing alone: where the workload has none, they are one run. */
static void test_equal_points(void **state)
{
    (void)state;
    rv_plan plan;
    assert_int_equal(plan_of("{\"problems\": [{\"label\": \"p\", \"workload\": \"linear-regression\", \"target\": 2,"
                             " \"config\": {\"train\": {\"steps\": 100}}}], \"submissions\": [\"baseline\"]}", "external", 1, &plan, NULL), RV_OK);
    assert_int_equal(plan.count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(plan.trials[i].same_as, i == 2 ? 0 : -1);
    rv_plan_release(&plan);
}

/* The suite of a plan repeats it without the options and files that made it. */
static void test_suite_is_complete(void **state)
{
    (void)state;
    rv_plan plan, again;
    rv_bench_options options = {.jobs = 1, .ruleset = "external", .studies = 2, .submissions = "schedule_free_adamw,baseline"};
    assert_int_equal(rv_plan_make(&plan, "{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\"}]}", &options, NULL), RV_OK);
    assert_int_equal(plan.optimizers, 2);
    char *text = rv_json_text(plan.suite, 0);
    assert_int_equal(plan_of(text, NULL, 0, &again, NULL), RV_OK);
    assert_int_equal(plan.count, again.count);
    for (int i = 0; i < plan.count; i++)
        assert_string_equal(plan.trials[i].id, again.trials[i].id);
    free(text);
    rv_plan_release(&plan);
    rv_plan_release(&again);
}

/* ---- budgets ---------------------------------------------------------------------- */

#define ENTRANT(more)                                                                                    \
    "{" PROBLEM("\"stands_for\": \"fastmri\",") ", \"submissions\": [{\"name\": \"m\", \"title\": \"M\","      \
    " \"tuning\": \"external\", " more "\"config\": {\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": \"=1 / steps\"}}}]}"

static void test_budgets(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *suite;
        double steps, horizon, batch, eval_every, seconds;
    } cases[] = {
        {"\"clock\": \"examples\"", ENTRANT(""), 200, 0, 16, 10, 0},
        {"\"clock\": \"examples\", \"budget_factor\": 3", ENTRANT(""), 600, 200, 16, 10, 0},
        /* half the batch: twice the steps to the same examples, evaluated as often in examples */
        {"\"clock\": \"examples\"", ENTRANT("\"batch\": {\"fast*\": 0.5}, "), 400, 200, 8, 20, 0},
        {"\"clock\": \"steps\"", ENTRANT("\"batch\": {\"fast*\": 0.5}, "), 200, 0, 8, 20, 0},
        {"\"clock\": \"examples\"", ENTRANT("\"batch\": {\"wmt\": 0.5}, "), 200, 0, 16, 10, 0},
        /* a step that costs two gradients */
        {"\"clock\": \"examples\"", ENTRANT("\"overhead\": 2, "), 100, 200, 16, 10, 0},
        {"\"clock\": \"steps\"", ENTRANT("\"overhead\": 2, "), 200, 0, 16, 10, 0},
        {"\"clock\": \"seconds\", \"budget_factor\": 3, \"workloads\": {\"p\": {\"budget\": 12}}", ENTRANT(""), 600, 200, 16, 10, 36},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *file = write_ruleset(cases[i].rules);
        rv_plan plan;
        rv_error err = {0};
        if (plan_of(cases[i].suite, file, 0, &plan, &err) != RV_OK)
            fail_msg("%s: %s", cases[i].rules, err.message);
        assert_true(number_of(&plan, 0, "train", "steps") == cases[i].steps);
        assert_true(number_of(&plan, 0, "train", "horizon") == cases[i].horizon);
        assert_true(number_of(&plan, 0, "train", "batch") == cases[i].batch);
        assert_true(number_of(&plan, 0, "train", "eval_every") == cases[i].eval_every);
        assert_true(number_of(&plan, 0, "train", "seconds") == cases[i].seconds);
        assert_true(number_of(&plan, 0, "optimizer_params", "lr") == 1.0 / 200); /* steps: the problem's, always */
        rv_plan_release(&plan);
        unlink(file);
        free(file);
    }
}

/* An optimizer of a suite without a ruleset keeps the problem's own budget to the letter. */
static void test_no_ruleset(void **state)
{
    (void)state;
    rv_plan plan;
    static const char suite[] = "{" PROBLEM("") ", \"seeds\": [7], \"optimizers\": [{\"label\": \"a\", \"optimizer\": \"adamw\","
                                " \"train\": {\"steps\": 50}, \"grid\": {\"lr\": [1, 2, 3, 4, 5, 6]}}]}";
    assert_int_equal(plan_of(suite, NULL, 0, &plan, NULL), RV_OK);
    assert_int_equal(plan.count, 6);
    assert_true(number_of(&plan, 5, "train", "steps") == 50 && number_of(&plan, 5, "train", "horizon") == 0);
    assert_true(number_of(&plan, 5, "optimizer_params", "lr") == 6 && number_of(&plan, 5, "train", "seed") == 7);
    assert_null(json_object_get(plan.suite, "ruleset"));
    rv_plan_release(&plan);
}

/* ---- what is refused ---------------------------------------------------------------- */

static void test_refused(void **state)
{
    (void)state;
#define GRID(values) "{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"optimizer\": \"adamw\", \"grid\": {\"lr\": [" values "]}}]}"
#define LIST(names) "{" PROBLEM("") ", \"submissions\": [" names "]}"
    static const struct {
        const char *suite, *ruleset, *message;
    } bad[] = {
        {GRID("1, 2, 3, 4, 5, 6"), "external", "'a' has 6 settings; the ruleset 'ravine-external' allows 5 trials a study"},
        {GRID("1, 2"), "self", "'a' has 2 settings; the ruleset 'ravine-self' allows 1 trials a study"},
        {LIST("\"baseline\""), "self", "submission 'baseline' is for external tuning; the ruleset 'ravine-self' is for self-tuning"},
        {LIST("\"self_baseline\""), "external", "is for self-tuning; the ruleset 'ravine-external' is for external tuning"},
        {LIST("\"basline\""), "external", "no submission 'basline'; did you mean 'baseline'?"},
        {LIST("3"), "external", "a submission is a name, a file that ends in .json or an object"},
        {LIST("\"baseline\", \"baseline\""), "external", "two optimizers are called 'baseline'"},
        {LIST("\"/nowhere.json\""), "external", "/nowhere.json"},
        {LIST("\"baseline\""), "v0.5-external", "problem 'p' is no workload of the ruleset 'v0.5-external'"},
        {LIST("\"baseline\""), "ravine-extrenal", "no ruleset 'ravine-extrenal'; did you mean 'ravine-external'?"},
        {LIST("\"self_sinv6\""), "self", "problem 'p', submission 'self_sinv6': self_sinv6 cannot run here: its rates"},
        {LIST("{\"name\": \"m\", \"title\": \"\", \"tuning\": \"external\", \"config\": {\"optimizer\": \"admaw\"}}"), "external",
         "problem 'p', submission 'm': no optimizer is called \"admaw\"; did you mean \"adamw\"?"},
        {LIST("{\"name\": \"m\", \"title\": \"\", \"tuning\": \"external\", \"config\": {\"wrapers\": []}}"), "external",
         "submission 'm': configuration: no key of a configuration is called \"wrapers\""},
        {"{" PROBLEM("") ", \"seeds\": [0, 0], \"submissions\": [\"baseline\"]}", NULL, "seed 0 is there twice"},
        {"{" PROBLEM("") ", \"seeds\": [0], \"studies\": 2, \"submissions\": [\"baseline\"]}", NULL, "say the same"},
        {"{" PROBLEM("") ", \"studies\": 0, \"submissions\": [\"baseline\"]}", NULL, "'studies' must be a whole number"},
        {"{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"optimizer\": \"adamw\", \"grid\": {}, \"search_space\": {}}]}", NULL,
         "has a grid and a search space"},
        {"{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"optimizer\": \"adamw\", \"search_space\": {\"lr\": 1}}]}", NULL,
         "suite: optimizer 'a': 'lr' must be an object with min, max and scaling"},
        {"{" PROBLEM("") ", \"ruleset\": 5, \"submissions\": [\"baseline\"]}", NULL, "'ruleset' must be the name"},
        {"{" PROBLEM("") ", \"rulset\": \"external\"}", NULL, "suite has no key 'rulset'; did you mean 'ruleset'?"},
        {"{" PROBLEM("") ", \"search_seed\": -1, \"submissions\": [\"baseline\"]}", NULL, "'search_seed' must be a whole number"},
        {"{" PROBLEM("\"stand_for\": \"wmt\",") ", \"submissions\": [\"baseline\"]}", NULL,
         "problem 'p' has no key 'stand_for'; did you mean 'stands_for'?"},
        {"{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"serach_space\": {}}]}", NULL, "did you mean 'search_space'?"},
        {"{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"problems\": {\"q\": {}}}]}", NULL, "'a' has no key 'q'"},
        {"{" PROBLEM("") ", \"optimizers\": [{\"label\": \"a\", \"problems\": {\"p\": {\"search_space\": {}}}}]}", NULL,
         "'a' has no key 'search_space'"},
        {"{" PROBLEM("") "}", NULL, "'optimizers' or 'submissions' must be a list"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rv_plan plan;
        rv_error err = {0};
        assert_int_not_equal(plan_of(bad[i].suite, bad[i].ruleset, 0, &plan, &err), RV_OK);
        if (!strstr(err.message, bad[i].message))
            fail_msg("%s\n  said: %s\n  expected: %s", bad[i].suite, err.message, bad[i].message);
        rv_plan_release(&plan);
    }
}

/* Clocks and batch rules that the problem gives no number for. */
static void test_unstated(void **state)
{
    (void)state;
    static const char no_batch[] = "{\"problems\": [{\"label\": \"p\", \"workload\": \"linear-regression\", \"target\": 1}],"
                                   " \"submissions\": [{\"name\": \"m\", \"title\": \"\", \"tuning\": \"external\","
                                   " \"batch\": {\"*\": 2}, \"config\": {\"optimizer\": \"sgd\"}}]}";
    rv_plan plan;
    rv_error err = {0};
    assert_int_equal(plan_of(no_batch, "external", 0, &plan, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "the batch is 2 times the problem's, which must say train.batch"));
    rv_plan_release(&plan);
    char *file = write_ruleset("\"clock\": \"seconds\"");
    assert_int_equal(plan_of(ENTRANT(""), file, 0, &plan, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "counts seconds, and the problem does not say train.seconds"));
    rv_plan_release(&plan);
    unlink(file);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_studies), cmocka_unit_test(test_listed_studies), cmocka_unit_test(test_equal_points), cmocka_unit_test(test_suite_is_complete),
        cmocka_unit_test(test_budgets),       cmocka_unit_test(test_no_ruleset),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unstated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
