/* Scores against cases worked out by hand, against a numerical integral of the profile,
 * and against properties that hold for every table of times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "bench/score.h"

static void assert_near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-12 * (1 + fabs(b)));
}

enum { PROBLEMS = 7, OPTIMIZERS = 5, TABLES = 200 };

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
    assert_true(isinf(rv_score_median((double[]){INFINITY, INFINITY}, 2)));
}

static void test_summary(void **state)
{
    (void)state;
    double scratch[4];
    rv_score_run runs[4] = {
        {.time = {300, 3.5, 30}, .metric = 0.9},
        {.time = {100, 1.5, 10}, .metric = 0.95},
        {.time = {INFINITY, INFINITY, INFINITY}, .metric = 0.7},
        {.time = {NAN, NAN, NAN}, .metric = NAN}, /* not run yet */
    };
    rv_score_point point = rv_score_summary(runs, 4, scratch);
    assert_int_equal(point.n, 3);
    assert_int_equal(point.reached, 2);
    assert_near(point.time[RV_TIME_EXAMPLES], 300);
    assert_near(point.time[RV_TIME_SECONDS], 3.5);
    assert_near(point.time[RV_TIME_STEPS], 30);
    assert_near(point.metric, 0.9);
}

static rv_score_point point_of(double examples, double metric)
{
    return (rv_score_point){.n = 3, .time = {examples, NAN, NAN}, .metric = metric};
}

static void test_best(void **state)
{
    (void)state;
    rv_score_point a[3] = {point_of(200, 0.99), point_of(100, 0.5), point_of(INFINITY, 1)};
    assert_int_equal(rv_score_best(a, 3, true), 1);
    rv_score_point ties[3] = {point_of(100, 0.9), point_of(100, 0.8), point_of(100, NAN)};
    assert_int_equal(rv_score_best(ties, 3, true), 0);
    assert_int_equal(rv_score_best(ties, 3, false), 1);
    rv_score_point missed[3] = {point_of(INFINITY, NAN), point_of(INFINITY, 2.5), point_of(INFINITY, 2.1)};
    assert_int_equal(rv_score_best(missed, 3, false), 2);
    assert_int_equal(rv_score_best(missed, 3, true), 1);
    rv_score_point none[2] = {{.metric = NAN, .time = {NAN, NAN, NAN}}, {.metric = NAN, .time = {NAN, NAN, NAN}}};
    assert_int_equal(rv_score_best(none, 2, true), -1);
}

static void test_profile_by_hand(void **state)
{
    (void)state;
    /* Ratios 1, 2, miss; 2, 1, 4; nobody. */
    double times[3 * 3] = {1, 2, INFINITY, 3, 1.5, 6, INFINITY, INFINITY, NAN}, score[3];
    rv_score_profile(times, 3, 3, score);
    assert_near(score[0], (1 + 2.0 / 3) / 3);
    assert_near(score[1], (2.0 / 3 + 1) / 3);
    assert_near(score[2], 0);
    int rank[3];
    rv_score_rank(score, 3, rank);
    assert_int_equal(rank[0], 1);
    assert_int_equal(rank[1], 1);
    assert_int_equal(rank[2], 3);
    double alone[2] = {7, 0};
    rv_score_profile(alone, 2, 1, score);
    assert_near(score[0], 1);
}

/* Times over three decades, one in five a miss. */
static void draw(uint64_t step, double *times)
{
    rv_random stream = {99, RV_RANDOM_SEARCH, step};
    for (uint64_t i = 0; i < PROBLEMS * OPTIMIZERS; i++) {
        double time = pow(10, 2 * rv_random_uniform(stream, 2 * i));
        times[i] = rv_random_uniform(stream, 2 * i + 1) < 0.2 ? INFINITY : time;
    }
}

/* The share of problems within tau, straight from its definition. */
static double rho(const double *times, int optimizer, double tau)
{
    int within = 0;
    for (int p = 0; p < PROBLEMS; p++) {
        double best = INFINITY;
        for (int o = 0; o < OPTIMIZERS; o++)
            best = fmin(best, times[p * OPTIMIZERS + o]);
        within += isfinite(best) && times[p * OPTIMIZERS + optimizer] <= tau * best;
    }
    return (double)within / PROBLEMS;
}

static void test_profile_is_the_integral(void **state)
{
    (void)state;
    enum { CUTS = 6000 };
    for (uint64_t t = 0; t < 10; t++) {
        double times[PROBLEMS * OPTIMIZERS], score[OPTIMIZERS];
        draw(t, times);
        rv_score_profile(times, PROBLEMS, OPTIMIZERS, score);
        for (int o = 0; o < OPTIMIZERS; o++) {
            double sum = 0;
            for (int i = 0; i < CUTS; i++)
                sum += rho(times, o, 1 + 3 * (i + 0.5) / CUTS) / CUTS;
            assert_true(fabs(sum - score[o]) < 1.0 / CUTS);
        }
    }
}

/* Who is nowhere slower has no lower score; who gets faster does not fall. */
static void test_faster_is_never_worse(void **state)
{
    (void)state;
    for (uint64_t t = 0; t < TABLES; t++) {
        double times[PROBLEMS * OPTIMIZERS], before[OPTIMIZERS], after[OPTIMIZERS];
        draw(t, times);
        for (int p = 0; p < PROBLEMS; p++) /* 0 dominates 1 */
            times[p * OPTIMIZERS] = fmin(times[p * OPTIMIZERS], times[p * OPTIMIZERS + 1]);
        rv_score_profile(times, PROBLEMS, OPTIMIZERS, before);
        assert_true(before[0] >= before[1]);
        times[(t % PROBLEMS) * OPTIMIZERS + 2] *= 0.7;
        rv_score_profile(times, PROBLEMS, OPTIMIZERS, after);
        assert_true(after[2] >= before[2]);
        assert_true(after[0] <= before[0] && after[1] <= before[1]);
    }
}

static void test_unit_and_order_do_not_matter(void **state)
{
    (void)state;
    for (uint64_t t = 0; t < TABLES; t++) {
        double times[PROBLEMS * OPTIMIZERS], other[PROBLEMS * OPTIMIZERS], a[OPTIMIZERS], b[OPTIMIZERS];
        draw(t, times);
        for (int p = 0; p < PROBLEMS; p++) /* rows turned round, each in its own unit, columns reversed */
            for (int o = 0; o < OPTIMIZERS; o++)
                other[(PROBLEMS - 1 - p) * OPTIMIZERS + (OPTIMIZERS - 1 - o)] = times[p * OPTIMIZERS + o] * ldexp(1, p - 3);
        rv_score_profile(times, PROBLEMS, OPTIMIZERS, a);
        rv_score_profile(other, PROBLEMS, OPTIMIZERS, b);
        for (int o = 0; o < OPTIMIZERS; o++)
            assert_near(a[o], b[OPTIMIZERS - 1 - o]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_profile_by_hand),
        cmocka_unit_test(test_profile_is_the_integral),
        cmocka_unit_test(test_faster_is_never_worse),
        cmocka_unit_test(test_unit_and_order_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
