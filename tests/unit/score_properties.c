/* What holds for every comparison, on random ones; what one might think holds and does not, by
 * counterexample; and how long a large one takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/doubt.h"

enum { SUBMISSIONS = 6, STUDIES = 3, TRIALS = 2, BOARDS = 60, MOST_ROWS = 2000 };

/* A comparison as rows, so that it can be shuffled and changed. */
typedef struct rows {
    rv_trial_row row[MOST_ROWS];
    char text[MOST_ROWS][3][24]; /* submission, study, trial */
    int count;
} rows;

static void add_row(rows *r, const char *submission, const char *workload, int study, int trial, double time,
                    double order)
{
    assert_true(r->count < MOST_ROWS);
    char(*text)[24] = r->text[r->count];
    snprintf(text[0], sizeof text[0], "%s", submission);
    snprintf(text[1], sizeof text[1], "study_%d", study);
    snprintf(text[2], sizeof text[2], "trial_%d", trial);
    r->row[r->count++] = (rv_trial_row){.submission = text[0],
                                        .workload = workload,
                                        .study = text[1],
                                        .trial = text[2],
                                        .time = time,
                                        .order = order,
                                        .merit = NAN};
}

static rv_ruleset *load(const char *name)
{
    rv_ruleset *ruleset;
    assert_int_equal(rv_ruleset_load(&ruleset, name, NULL), RV_OK);
    return ruleset;
}

/* Times over a decade and a half, one in five a miss. */
static void draw(rows *r, const rv_ruleset *ruleset, uint64_t board)
{
    rv_random stream = {7, RV_RANDOM_NOISE, board};
    uint64_t at = 0;
    char name[16];
    r->count = 0;
    for (int s = 0; s < SUBMISSIONS; s++)
        for (int w = 0; w < ruleset->workload_count; w++)
            for (int k = 0; k < STUDIES; k++)
                for (int t = 0; t < TRIALS; t++) {
                    double time = pow(10, 1.5 * rv_random_uniform(stream, at++));
                    bool miss = rv_random_uniform(stream, at++) < 0.2;
                    snprintf(name, sizeof name, "s%d", s);
                    add_row(r, name, ruleset->workloads[w].name, k, t, miss ? INFINITY : time, floor(time));
                }
}

static rv_score *score_rows(const rows *r, const rv_ruleset *ruleset, rv_trials **trials)
{
    rv_score *score = NULL;
    rv_error err = {0};
    assert_int_equal(rv_trials_new(trials, NULL), RV_OK);
    for (int i = 0; i < r->count; i++)
        assert_int_equal(rv_trials_add(*trials, &r->row[i], NULL), RV_OK);
    if (rv_score_make(&score, *trials, ruleset, &err) != RV_OK)
        fail_msg("%s", err.message);
    return score;
}

/* Scores by submission "s0".. into out. */
static void scores(const rows *r, const rv_ruleset *ruleset, double *out)
{
    rv_trials *trials;
    rv_score *score = score_rows(r, ruleset, &trials);
    char name[16];
    for (int s = 0; s < SUBMISSIONS; s++) {
        snprintf(name, sizeof name, "s%d", s);
        out[s] = score->score[rv_score_find(score, name)];
    }
    rv_score_free(score);
    rv_trials_free(trials);
}

static rows board_a, board_b;

static void test_order_of_rows_does_not_matter(void **state)
{
    (void)state;
    static const char *const rulesets[] = {"v0.5-external", "v0.6-external"};
    static const rv_pick picks[] = {RV_PICK_EVALUATION, RV_PICK_TIME, RV_PICK_SETTING};
    for (uint64_t board = 0; board < BOARDS; board++) {
        rv_ruleset *ruleset = load(rulesets[board % 2]);
        double before[SUBMISSIONS], after[SUBMISSIONS];
        uint32_t order[MOST_ROWS];
        ruleset->pick = picks[board % 3]; /* evaluation indices tie often */
        draw(&board_a, ruleset, board);
        rv_random_permutation((rv_random){1, RV_RANDOM_ORDER, board}, (uint32_t)board_a.count, order);
        board_b.count = board_a.count;
        for (int i = 0; i < board_a.count; i++)
            board_b.row[i] = board_a.row[order[i]];
        scores(&board_a, ruleset, before);
        scores(&board_b, ruleset, after);
        assert_memory_equal(before, after, sizeof before);
        rv_ruleset_free(ruleset);
    }
}

/* Exactly so for powers of two, which do not round; and each workload may have its own unit. */
static void test_unit_of_time_does_not_matter(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    for (uint64_t board = 0; board < BOARDS; board++) {
        double before[SUBMISSIONS], after[SUBMISSIONS], hours[SUBMISSIONS];
        draw(&board_a, ruleset, board);
        scores(&board_a, ruleset, before);
        for (int i = 0; i < board_a.count; i++)
            board_a.row[i].time = ldexp(board_a.row[i].time, rv_ruleset_find(ruleset, board_a.row[i].workload) - 5);
        scores(&board_a, ruleset, after);
        assert_memory_equal(before, after, sizeof before);
        draw(&board_a, ruleset, board);
        for (int i = 0; i < board_a.count; i++)
            board_a.row[i].time /= 3600;
        scores(&board_a, ruleset, hours);
        for (int s = 0; s < SUBMISSIONS; s++)
            assert_true(fabs(hours[s] - before[s]) < 1e-12);
    }
    rv_ruleset_free(ruleset);
}

static void test_a_never_finishing_submission_changes_nothing(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    for (uint64_t board = 0; board < BOARDS; board++) {
        double before[SUBMISSIONS], after[SUBMISSIONS];
        draw(&board_a, ruleset, board);
        scores(&board_a, ruleset, before);
        for (int w = 0; w < ruleset->workload_count; w++)
            add_row(&board_a, "never", ruleset->workloads[w].name, 0, 0, INFINITY, NAN);
        scores(&board_a, ruleset, after);
        assert_memory_equal(before, after, sizeof before);
    }
    rv_ruleset_free(ruleset);
}

/* Row i of the other board, of s1, is made never slower than that of s0. */
static void dominate(rows *r, double share, rv_random stream)
{
    for (int i = 0; i < r->count; i++)
        for (int k = 0; k < r->count && strcmp(r->row[i].submission, "s0") == 0; k++) {
            rv_trial_row *a = &r->row[i], *b = &r->row[k];
            if (strcmp(b->submission, "s1") != 0 || strcmp(a->workload, b->workload) != 0 ||
                strcmp(a->study, b->study) != 0 || strcmp(a->trial, b->trial) != 0)
                continue;
            double factor = rv_random_uniform(stream, (uint64_t)i) < share
                                ? rv_random_uniform(stream, (uint64_t)(i + MOST_ROWS))
                                : 1;
            a->time = b->time * (factor > 0 ? factor : 1);
            a->order = b->order; /* the same evaluation, or an earlier time of it */
        }
}

/* Never slower in any trial, held-out workloads included: never a lower score, whatever the
 * cut and the held-out rules do, when the fastest trial counts. */
static void test_never_slower_never_scores_lower(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    ruleset->pick = RV_PICK_TIME;
    for (uint64_t board = 0; board < BOARDS; board++) {
        double score[SUBMISSIONS];
        draw(&board_a, ruleset, board);
        dominate(&board_a, 0.5, (rv_random){3, RV_RANDOM_NOISE, board});
        scores(&board_a, ruleset, score);
        assert_true(score[0] >= score[1]);
    }
    rv_ruleset_free(ruleset);
}

static void fill(rows *r, const rv_ruleset *ruleset, const char *submission, double time, const char *except)
{
    for (int w = 0; w < ruleset->workload_count; w++)
        if (strcmp(ruleset->workloads[w].name, except) != 0)
            add_row(r, submission, ruleset->workloads[w].name, 0, 0, time, 1);
}

/* By AlgoPerf's own pick it is false: the trial with the smallest index of evaluation counts,
 * and an earlier evaluation may stand at a later time.  "fast" is faster in both trials and
 * scores lower. */
static void test_the_official_pick_breaks_it(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    for (int official = 0; official < 2; official++) {
        rv_trials *trials;
        board_a.count = 0;
        fill(&board_a, ruleset, "fast", 10, "wmt");
        fill(&board_a, ruleset, "slow", 10, "wmt");
        add_row(&board_a, "fast", "wmt", 0, 0, 90, 5);
        add_row(&board_a, "fast", "wmt", 0, 1, 50, 6);
        add_row(&board_a, "slow", "wmt", 0, 0, 100, 7);
        add_row(&board_a, "slow", "wmt", 0, 1, 60, 6);
        ruleset->pick = official ? RV_PICK_EVALUATION : RV_PICK_TIME;
        rv_score *score = score_rows(&board_a, ruleset, &trials);
        double fast = score->score[rv_score_find(score, "fast")], slow = score->score[rv_score_find(score, "slow")];
        assert_true(official ? fast < slow : fast > slow);
        rv_score_free(score);
        rv_trials_free(trials);
    }
    rv_ruleset_free(ruleset);
}

/* Getting faster helps oneself, but a rival's place may change for the better too: who speeds up
 * on a held-out workload pushes others beyond the cut, and so a third one up.  Scores are a
 * property of the pool. */
static void test_a_rivals_speed_reorders_others(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    bool first_leads[2];
    for (int faster = 0; faster < 2; faster++) {
        rv_trials *trials;
        board_a.count = 0;
        fill(&board_a, ruleset, "a", 10, "ogbg_model_size");
        fill(&board_a, ruleset, "b", 11, "ogbg_model_size");
        fill(&board_a, ruleset, "rival", 30, "ogbg_model_size");
        add_row(&board_a, "a", "ogbg_model_size", 0, 0, 35, 1);
        add_row(&board_a, "b", "ogbg_model_size", 0, 0, 20, 1);
        add_row(&board_a, "rival", "ogbg_model_size", 0, 0, faster ? 8 : 20, 1);
        rv_score *score = score_rows(&board_a, ruleset, &trials);
        first_leads[faster] = score->score[rv_score_find(score, "a")] > score->score[rv_score_find(score, "b")];
        rv_score_free(score);
        rv_trials_free(trials);
    }
    assert_true(first_leads[0] && !first_leads[1]);
    rv_ruleset_free(ruleset);
}

/* Resamples are a function of the seed, and the report of neither order nor thread. */
static void test_reports_repeat(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    rv_score_report_options options = {.resamples = 50, .seed = 3};
    char *text[3];
    draw(&board_a, ruleset, 1);
    for (int i = 0; i < 3; i++) {
        rv_trials *trials;
        rv_score *score = score_rows(&board_a, ruleset, &trials);
        options.seed = i == 2 ? 4 : 3;
        assert_int_equal(rv_score_report(&text[i], trials, ruleset, &options, NULL), RV_OK);
        rv_score_free(score);
        rv_trials_free(trials);
        for (int k = 0; k < board_a.count / 2; k++) { /* the next one in reverse order */
            rv_trial_row swap = board_a.row[k];
            board_a.row[k] = board_a.row[board_a.count - 1 - k];
            board_a.row[board_a.count - 1 - k] = swap;
        }
    }
    assert_string_equal(text[0], text[1]);
    assert_string_not_equal(text[0], text[2]);
    for (int i = 0; i < 3; i++)
        free(text[i]);
    rv_ruleset_free(ruleset);
}

/* With one study in each cell there is nothing to resample: no spread at all. */
static void test_single_studies_have_no_spread(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.6-external");
    rv_trials *trials;
    rv_resampled doubt;
    board_a.count = 0;
    fill(&board_a, ruleset, "a", 10, "");
    fill(&board_a, ruleset, "b", 12, "");
    rv_score *score = score_rows(&board_a, ruleset, &trials);
    assert_int_equal(rv_resample(&doubt, score, ruleset, 20, 0, NULL), RV_OK);
    for (int s = 0; s < 2; s++) {
        assert_true(doubt.lo[s] == score->score[s] && doubt.hi[s] == score->score[s] && doubt.sd[s] < 1e-15);
        assert_int_equal(doubt.rank_lo[s], score->rank[s]);
        assert_int_equal(doubt.rank_hi[s], score->rank[s]);
    }
    rv_resampled_release(&doubt);
    rv_score_free(score);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
}

/* 286 submissions x 14 workloads x 5 studies x 5 trials, the whole report with 1000 resamples;
 * seconds of processor time. */
static double score_many(const rv_ruleset *ruleset, uint64_t *count)
{
    enum { MANY = 286 };
    rv_trials *trials;
    rv_random stream = {5, RV_RANDOM_NOISE, 0};
    rv_score_report_options options = {.resamples = 1000};
    char submission[16], study[16], trial[16], *text;
    *count = 0;
    assert_int_equal(rv_trials_new(&trials, NULL), RV_OK);
    clock_t begin = clock();
    for (int s = 0; s < MANY; s++)
        for (int w = 0; w < ruleset->workload_count; w++)
            for (int k = 0; k < 25; k++) {
                double time = 100 + 300 * rv_random_uniform(stream, (*count)++);
                snprintf(submission, sizeof submission, "s%d", s);
                snprintf(study, sizeof study, "%d", k / 5);
                snprintf(trial, sizeof trial, "%d", k % 5);
                rv_trial_row row = {.submission = submission,
                                    .workload = ruleset->workloads[w].name,
                                    .study = study,
                                    .trial = trial,
                                    .time = k % 5 == 0 ? INFINITY : time,
                                    .order = floor(time / 10),
                                    .merit = NAN};
                assert_int_equal(rv_trials_add(trials, &row, NULL), RV_OK);
            }
    assert_int_equal(rv_score_report(&text, trials, ruleset, &options, NULL), RV_OK);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    free(text);
    rv_trials_free(trials);
    return seconds;
}

static void test_a_hundred_thousand_trials(void **state)
{
    (void)state;
    rv_ruleset *ruleset = load("v0.5-external");
    uint64_t count = 0;
    double seconds = score_many(ruleset, &count);
    for (int again = 0; again < 2 && seconds >= 1; again++) /* a busy machine */
        seconds = fmin(seconds, score_many(ruleset, &count));
    print_message("%llu trials in %.2f s of processor time\n", (unsigned long long)count, seconds);
    assert_true(count > 100000);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(seconds < 1);
#endif
    rv_ruleset_free(ruleset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_rows_does_not_matter),
        cmocka_unit_test(test_unit_of_time_does_not_matter),
        cmocka_unit_test(test_a_never_finishing_submission_changes_nothing),
        cmocka_unit_test(test_never_slower_never_scores_lower),
        cmocka_unit_test(test_the_official_pick_breaks_it),
        cmocka_unit_test(test_a_rivals_speed_reorders_others),
        cmocka_unit_test(test_reports_repeat),
        cmocka_unit_test(test_single_studies_have_no_spread),
        cmocka_unit_test(test_a_hundred_thousand_trials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
