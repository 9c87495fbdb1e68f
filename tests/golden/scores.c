/* The published leaderboards, to their last digit, from medians, from trials and from a table
 * with a column per workload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/csv.h"
#include "core/json.h"
#include "ravine/score.h"

static const char folder[] = RV_TEST_SOURCE "/tests/golden/algoperf/";

/* name: of a file in the folder, or a whole path. */
static rv_score *score_of(const char *name, const char *ruleset_name, rv_trials **trials, rv_ruleset **ruleset)
{
    char path[512];
    const char *paths[] = {path};
    rv_score *score = NULL;
    rv_error err = {0};
    rv_trials_options options = {.ruleset = NULL};
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : folder, name);
    if (rv_trials_read(trials, ruleset, paths, 1, &options, &err) != RV_OK ||
        rv_score_make(&score, *trials, *ruleset, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_string_equal((*ruleset)->name, ruleset_name);
    return score;
}

static void release(rv_score *score, rv_trials *trials, rv_ruleset *ruleset)
{
    rv_score_free(score);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
}

/* Every published score of a board. */
static void assert_board(const rv_score *score, const char *board, int expected)
{
    char path[512], published[16], ours[16];
    rv_csv csv;
    bool more;
    int checked = 0;
    snprintf(path, sizeof path, "%sscores.csv", folder);
    assert_int_equal(rv_csv_open(&csv, path, 1 << 20, NULL), RV_OK);
    while (rv_csv_next(&csv, &more, NULL) == RV_OK && more) {
        if (strcmp(csv.field[0], board) != 0)
            continue;
        for (int i = 0; i < score->submissions; i++)
            if (strcmp(score->submission[i], csv.field[1]) == 0) {
                snprintf(published, sizeof published, "%.4f", atof(csv.field[2]));
                snprintf(ours, sizeof ours, "%.4f", score->score[i]);
                assert_string_equal(ours, published);
                checked++;
            }
    }
    rv_csv_close(&csv);
    assert_int_equal(checked, expected);
}

static void check(const char *file, const char *ruleset_name, const char *board, int expected)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_score *score = score_of(file, ruleset_name, &trials, &ruleset);
    assert_board(score, board, expected);
    release(score, trials, ruleset);
}

static void test_external_from_medians(void **state)
{
    (void)state;
    check("v05_external_medians.csv", "v0.5-external", "v05_external", 11);
}

static void test_external_from_trials(void **state)
{
    (void)state;
    check("v05_external_trials.csv.gz", "v0.5-external", "v05_external", 11);
}

static void test_self_tuning(void **state)
{
    (void)state;
    check("v05_self_trials.csv.gz", "v0.5-self", "v05_self", 6);
}

static void test_other_hardware(void **state)
{
    (void)state;
    check("v06_a100_medians.csv", "v0.6-self-a100", "v06_a100", 17);
}

static void test_version_06(void **state)
{
    (void)state;
    check("v06_external_trials.csv.gz", "v0.6-external", "v06_external", 1);
}

/* The raw logs, where somebody has them: RAVINE_ALGOPERF_LOGS is the folder with external_tuning
 * and self_tuning of previous_leaderboards/algoperf_v05/logs. */
static void test_raw_logs(void **state)
{
    static const struct {
        const char *folder, *ruleset, *board;
        int expected;
    } boards[] = {{"external_tuning", "v0.5-external", "v05_external", 11},
                  {"self_tuning", "v0.5-self", "v05_self", 6}};
    const char *logs = getenv("RAVINE_ALGOPERF_LOGS");
    (void)state;
    if (!logs)
        skip();
    for (size_t i = 0; i < 2; i++) {
        rv_trials *trials;
        rv_ruleset *ruleset;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", logs, boards[i].folder);
        rv_score *score = score_of(path, boards[i].ruleset, &trials, &ruleset);
        assert_board(score, boards[i].board, boards[i].expected);
        release(score, trials, ruleset);
    }
}

static double named(const rv_score *score, const double *values, const char *submission)
{
    for (int i = 0; i < score->submissions; i++)
        if (strcmp(score->submission[i], submission) == 0)
            return values[i];
    fail_msg("no submission %s", submission);
    return NAN;
}

/* The quirk of the official code: the trial with the smallest index of evaluation, not the
 * fastest.  On this board it changes one score, .3434 to .3384. */
static void test_the_quirk_matters(void **state)
{
    (void)state;
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_score *score = score_of("v05_external_trials.csv.gz", "v0.5-external", &trials, &ruleset), *fastest;
    ruleset->pick = RV_PICK_TIME;
    assert_int_equal(rv_score_make(&fastest, trials, ruleset, NULL), RV_OK);
    for (int i = 0; i < score->submissions; i++) {
        bool quirk = strcmp(score->submission[i], "lawa_ema") == 0;
        assert_true((fabs(score->score[i] - fastest->score[i]) > 5e-5) == quirk);
    }
    assert_true(fabs(named(fastest, fastest->score, "lawa_ema") - 0.3434) < 5e-5);
    rv_score_free(fastest);
    release(score, trials, ruleset);
}

/* The closed form differs from the trapezoid by at most half a step of the grid. */
static void test_exact_is_near(void **state)
{
    (void)state;
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_score *score = score_of("v05_external_trials.csv.gz", "v0.5-external", &trials, &ruleset);
    for (int i = 0; i < score->submissions; i++)
        assert_true(fabs(score->score[i] - score->exact[i]) <= 0.0016);
    assert_true(fabs(named(score, score->exact, "shampoo_submission") - 0.7785) < 5e-5);
    assert_true(fabs(named(score, score->exact, "baseline") - 0.5692) < 5e-5);
    release(score, trials, ruleset);
}

/* The other official number: geometric mean of times, a miss counted as budget + 1 s. */
static void test_speed_ups(void **state)
{
    static const struct {
        const char *file, *ruleset, *submission;
        double speed;
    } cases[] = {{"v05_external_trials.csv.gz", "v0.5-external", "shampoo_submission", 0.721},
                 {"v05_self_trials.csv.gz", "v0.5-self", "schedule_free_adamw", 0.922}};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        rv_trials *trials;
        rv_ruleset *ruleset;
        rv_score *score = score_of(cases[k].file, cases[k].ruleset, &trials, &ruleset);
        int who = -1, base = -1;
        for (int i = 0; i < score->submissions; i++) {
            who = strcmp(score->submission[i], cases[k].submission) == 0 ? i : who;
            base = strcmp(score->submission[i], "baseline") == 0 ? i : base;
        }
        assert_true(fabs(rv_score_speed(score, who, base) - cases[k].speed) < 5e-4);
        release(score, trials, ruleset);
    }
}

/* ---- the report --------------------------------------------------------------- */

static json_t *report_of(const char *name)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    char *text;
    json_t *report;
    rv_score *score = score_of(name, "v0.5-external", &trials, &ruleset);
    rv_score_report_options options = {.resamples = 1000};
    assert_int_equal(rv_score_report(&text, trials, ruleset, &options, NULL), RV_OK);
    assert_int_equal(rv_json_parse(text, strlen(text), "report", &report, NULL), RV_OK);
    free(text);
    release(score, trials, ruleset);
    return report;
}

static const json_t *entry_of(const json_t *report, const char *submission)
{
    json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(report, "scores"), i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "submission")), submission) == 0)
            return entry;
    }
    return NULL;
}

/* Without CASPR, whose OGBG time put seven others beyond four times the fastest, the first two
 * change places: scores depend on who else competes. */
static void test_pool_dependence(void **state)
{
    (void)state;
    json_t *report = report_of("v05_external_trials.csv.gz");
    const json_t *without =
        json_object_get(json_object_get(json_object_get(report, "without"), "submission"), "caspr_adaptive");
    assert_true(fabs(rv_json_real(without, "schedule_free_adamw", NAN) - 0.811) < 5e-4);
    assert_true(fabs(rv_json_real(without, "shampoo_submission", NAN) - 0.802) < 5e-4);
    assert_null(json_object_get(without, "caspr_adaptive"));
    json_decref(report);
}

/* Spearman with the official ranking for other tau_max, from an independent calculation. */
static void test_other_limits(void **state)
{
    static const struct {
        double tau_max, spearman;
    } cases[] = {{2, 0.782}, {3, 0.918}, {4, 1}, {8, 0.991}};
    (void)state;
    json_t *report = report_of("v05_external_trials.csv.gz"), *entry;
    size_t i, found = 0;
    json_array_foreach(json_object_get(json_object_get(report, "sensitivity"), "tau_max"), i, entry)
    {
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
            if (rv_json_real(entry, "tau_max", NAN) == cases[k].tau_max) {
                assert_true(fabs(rv_json_real(entry, "spearman", NAN) - cases[k].spearman) < 5e-4);
                found++;
            }
    }
    assert_int_equal(found, 4);
    json_decref(report);
}

static void test_reasons(void **state)
{
    (void)state;
    json_t *report = report_of("v05_external_trials.csv.gz");
    const json_t *cells = json_object_get(entry_of(report, "schedule_free_adamw"), "cells");
    const json_t *ogbg = json_object_get(cells, "ogbg"), *resnet = json_object_get(cells, "imagenet_resnet");
    assert_string_equal(json_string_value(json_object_get(ogbg, "cause")), "held-out");
    assert_string_equal(json_string_value(json_object_get(ogbg, "why")),
                        "ogbg_model_size: 5.12 times as long as caspr_adaptive, more than 4");
    assert_string_equal(json_string_value(json_object_get(resnet, "why")), "missed in studies 0, 1, 2, 3, 4 of 5");
    cells = json_object_get(entry_of(report, "caspr_adaptive"), "cells");
    assert_string_equal(json_string_value(json_object_get(json_object_get(cells, "wmt"), "why")),
                        "wmt_glu_tanh: no trial left an evaluation");
    json_decref(report);
}

/* Credits as the official numbers have them, and the spread over resampled studies. */
static void test_credits_and_intervals(void **state)
{
    (void)state;
    json_t *report = report_of("v05_external_trials.csv.gz"), *entry;
    const json_t *shampoo = entry_of(report, "shampoo_submission"), *credits = json_object_get(shampoo, "credits");
    size_t i;
    assert_true(fabs(rv_json_real(credits, "fastmri", NAN) - 0.9399) < 2e-4);
    assert_true(fabs(rv_json_real(credits, "ogbg", NAN) - 0.8219) < 2e-4);
    assert_true(rv_json_real(credits, "imagenet_resnet", NAN) == 0);
    json_array_foreach(json_object_get(report, "scores"), i, entry)
    {
        const json_t *interval = json_object_get(entry, "interval");
        double score = rv_json_real(entry, "score", NAN), sd = rv_json_real(entry, "sd", NAN);
        assert_true(json_number_value(json_array_get(interval, 0)) <= score);
        assert_true(json_number_value(json_array_get(interval, 1)) >= score);
        assert_true(sd > 0.005 && sd < 0.1);
    }
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_external_from_medians),
        cmocka_unit_test(test_external_from_trials),
        cmocka_unit_test(test_self_tuning),
        cmocka_unit_test(test_other_hardware),
        cmocka_unit_test(test_version_06),
        cmocka_unit_test(test_the_quirk_matters),
        cmocka_unit_test(test_exact_is_near),
        cmocka_unit_test(test_speed_ups),
        cmocka_unit_test(test_pool_dependence),
        cmocka_unit_test(test_other_limits),
        cmocka_unit_test(test_raw_logs),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_credits_and_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
