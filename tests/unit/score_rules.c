/* The rules against cases worked out by hand and against a numerical integral of the profile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/doubt.h"

static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-12 * (1 + fabs(b)));
}

static void test_median(void **state)
{
    (void)state;
    assert_near(rv_score_median((double[]){3, 1, 2}, 3), 2);
    assert_near(rv_score_median((double[]){4, 1, 3, 2}, 4), 2.5);
    assert_near(rv_score_median((double[]){NAN, 5, NAN}, 3), 5);
    assert_true(isnan(rv_score_median((double[]){NAN}, 1)));
    /* Misses: one of three is outvoted; half or more are a miss. */
    assert_near(rv_score_median((double[]){INFINITY, 10, 20}, 3), 20);
    assert_true(isinf(rv_score_median((double[]){INFINITY, 10, INFINITY}, 3)));
    assert_true(isinf(rv_score_median((double[]){INFINITY, 10}, 2)));
    assert_true(isinf(rv_score_median((double[]){INFINITY, INFINITY, 1, 2}, 4)));
    double many[41];
    for (int i = 0; i < 41; i++)
        many[i] = (i * 17) % 41;
    assert_near(rv_score_median(many, 41), 20);
}

/* The integral of the step function "ratio <= tau", by its definition on the grid. */
static double by_definition(double ratio, double tau_max, int points)
{
    double sum = 0;
    for (int i = 1; i < points; i++) {
        double a = 1 + (tau_max - 1) * (i - 1) / (points - 1), b = 1 + (tau_max - 1) * i / (points - 1);
        sum += (b - a) * ((ratio <= a) + (ratio <= b)) / 2;
    }
    return sum / (tau_max - 1);
}

static void test_area(void **state)
{
    (void)state;
    assert_near(rv_score_credit(1, 4), 1);
    assert_near(rv_score_credit(2.5, 4), 0.5);
    assert_near(rv_score_credit(4, 4), 0);
    assert_near(rv_score_credit(INFINITY, 4), 0);
    assert_near(rv_score_area(1, 4, 100), 1);
    assert_near(rv_score_area(4, 4, 100), 0.5 / 99); /* the last point alone is within reach */
    assert_near(rv_score_area(nextafter(4, 5), 4, 100), 0);
    assert_near(rv_score_area(INFINITY, 4, 100), 0);
    assert_near(rv_score_area(1.7, 4, 0), rv_score_credit(1.7, 4));
    for (int i = 0; i < 2000; i++) {
        double ratio = 1 + 3.3 * rv_random_uniform((rv_random){1, RV_RANDOM_NOISE, 0}, (uint64_t)i);
        assert_near(rv_score_area(ratio, 4, 100), by_definition(ratio, 4, 100));
        assert_near(rv_score_area(ratio, 2.5, 7), by_definition(ratio, 2.5, 7));
        assert_true(fabs(rv_score_area(ratio, 4, 100) - rv_score_credit(ratio, 4)) <= 0.5 / 99 + 1e-12);
    }
}

static void test_rank(void **state)
{
    (void)state;
    int rank[5];
    double scratch[5];
    rv_score_rank((double[]){0.5, 0.7, 0.5, 0, 0}, 5, rank, scratch);
    const int expected[] = {2, 1, 2, 4, 4};
    assert_memory_equal(rank, expected, sizeof rank);
}

static void test_spearman(void **state)
{
    (void)state;
    assert_near(rv_spearman((double[]){1, 2, 3}, (double[]){10, 20, 30}, 3), 1);
    assert_near(rv_spearman((double[]){1, 2, 3}, (double[]){3, 2, 1}, 3), -1);
    /* Ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2. */
    assert_near(rv_spearman((double[]){0, 0, 5}, (double[]){1, 2, 3}, 3), 1.5 / sqrt(1.5 * 2));
    assert_true(isnan(rv_spearman((double[]){1, 1}, (double[]){1, 2}, 2)));
}

/* ---- rules on a small board: bases a, b; h guards a ---------------------------- */

enum { SUBMISSIONS = 3, WORKLOADS = 3, BASE = 2 };

typedef struct result {
    double kept[SUBMISSIONS][WORKLOADS], score[SUBMISSIONS], exact[SUBMISSIONS], beyond[SUBMISSIONS][WORKLOADS];
    rv_cause cause[SUBMISSIONS][WORKLOADS];
} result;

static result apply(const double times[SUBMISSIONS][WORKLOADS], int rule_count, const rv_score_rule *rules)
{
    static const int guards[] = {-1, -1, 0};
    result r;
    rv_ruleset ruleset = {.rule_count = rule_count};
    for (int i = 0; i < rule_count; i++)
        ruleset.rules[i] = rules[i];
    rv_board board = {.ruleset = &ruleset,
                      .submissions = SUBMISSIONS,
                      .workloads = WORKLOADS,
                      .base = BASE,
                      .guards = guards,
                      .tau_max = 4,
                      .cut = 4,
                      .without_submission = -1,
                      .without_workload = -1};
    rv_board_apply(
        &board, times[0],
        &(rv_verdict){
            .kept = r.kept[0], .score = r.score, .exact = r.exact, .cause = r.cause[0], .beyond = r.beyond[0]});
    return r;
}

static const rv_score_rule in_order[] = {RV_RULE_HELD_OUT_NEEDS_BASE, RV_RULE_CUT, RV_RULE_BASE_NEEDS_HELD_OUT};

/* Credits that swap their workloads tie; summed as they come, 0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1. */
static void test_equal_profiles_tie(void **state)
{
    (void)state;
    enum { ROWS = 3, COLUMNS = 3 };
    double kept[ROWS][COLUMNS], score[ROWS], exact[ROWS];
    const double times[ROWS][COLUMNS] = {{3.7, 3.4, 3.1}, {3.1, 3.4, 3.7}, {1, 1, 1}};
    const int guards[COLUMNS] = {-1, -1, -1};
    const rv_ruleset ruleset = {.points = 100};
    const rv_board board = {.ruleset = &ruleset, .submissions = ROWS, .workloads = COLUMNS, .base = COLUMNS,
                            .guards = guards, .tau_max = 4, .cut = 4, .without_submission = -1,
                            .without_workload = -1};
    rv_board_apply(&board, times[0], &(rv_verdict){.kept = kept[0], .score = score, .exact = exact});
    assert_true(score[0] == score[1] && exact[0] == exact[1]);
    assert_near(exact[0], (0.1 + 0.2 + 0.3) / 3);
    assert_near(score[2], 1);
}

static void test_rules_by_hand(void **state)
{
    (void)state;
    static const double times[SUBMISSIONS][WORKLOADS] = {
        {10, 100, 5},       /* everything */
        {20, INFINITY, 21}, /* its held-out is beyond 4 times 5 */
        {INFINITY, 250, 1}, /* base missed: its held-out, the fastest, must not count */
    };
    result r = apply(times, 3, in_order);
    assert_near(r.score[0], 1);
    assert_near(r.score[1], 0);
    assert_near(r.score[2], rv_score_credit(2.5, 4) / 2);
    assert_int_equal(r.cause[0][0], RV_CAUSE_NONE);
    assert_int_equal(r.cause[1][0], RV_CAUSE_HELD_OUT);
    assert_int_equal(r.cause[1][1], RV_CAUSE_MISSED);
    assert_int_equal(r.cause[1][2], RV_CAUSE_CUT);
    assert_near(r.beyond[1][2], 21.0 / 5);
    assert_int_equal(r.cause[2][0], RV_CAUSE_MISSED);
    assert_int_equal(r.cause[2][2], RV_CAUSE_BASE);
}

/* The order is part of the rules: with the cut first, the held-out time of one who missed the
 * base is still the fastest and takes the others out. */
static void test_the_order_of_rules_matters(void **state)
{
    (void)state;
    static const double times[SUBMISSIONS][WORKLOADS] = {{10, 100, 5}, {20, INFINITY, 21}, {INFINITY, 250, 1}};
    static const rv_score_rule cut_first[] = {RV_RULE_CUT, RV_RULE_HELD_OUT_NEEDS_BASE, RV_RULE_BASE_NEEDS_HELD_OUT};
    result r = apply(times, 3, cut_first);
    assert_int_equal(r.cause[0][2], RV_CAUSE_CUT);
    assert_int_equal(r.cause[0][0], RV_CAUSE_HELD_OUT);
    assert_near(r.score[0], 0.5);
}

/* What the fastest loses in the last rule is not the measure of the others any more, though the
 * cut was taken against it. */
static void test_ratios_are_to_survivors(void **state)
{
    (void)state;
    static const double times[SUBMISSIONS][WORKLOADS] = {{10, 1, INFINITY}, {30, 1, 7}, {41, 1, 7}};
    result r = apply(times, 3, in_order);
    assert_int_equal(r.cause[0][0], RV_CAUSE_HELD_OUT);
    assert_int_equal(r.cause[2][0], RV_CAUSE_CUT);
    assert_near(r.exact[0], 0.5);
    assert_near(r.exact[1], 1);
    assert_near(r.exact[2], 0.5);
}

static void test_edges(void **state)
{
    (void)state;
    static const double times[SUBMISSIONS][WORKLOADS] = {{0, NAN, NAN}, {0, INFINITY, NAN}, {5, NAN, NAN}};
    result r = apply(times, 0, NULL);
    assert_near(r.exact[0], 0.5); /* a time of zero is the best there is, twice */
    assert_near(r.exact[1], 0.5);
    assert_near(r.exact[2], 0);
    assert_int_equal(r.cause[0][1], RV_CAUSE_NO_TRIAL);
    /* Exactly at the cut is within it. */
    static const double edge[SUBMISSIONS][WORKLOADS] = {{1, 1, 1}, {4, 1, 1}, {4.0000001, 1, 1}};
    r = apply(edge, 1, &in_order[1]);
    assert_int_equal(r.cause[1][0], RV_CAUSE_NONE);
    assert_int_equal(r.cause[2][0], RV_CAUSE_CUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_area),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_spearman),
        cmocka_unit_test(test_equal_profiles_tie),
        cmocka_unit_test(test_rules_by_hand),
        cmocka_unit_test(test_the_order_of_rules_matters),
        cmocka_unit_test(test_ratios_are_to_survivors),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
