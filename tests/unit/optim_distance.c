/* Methods that estimate the distance to the solution: what their sums span, their closed forms,
 * and the bound that D-Adaptation is built on. */
#include "optim_pair.h"

/* A matrix and a vector under two rules move as under one: sums span the rules. */
static void test_rules_share_their_sums(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"prodigy", "d0=1e-2"},     {"dadapt_adam", "d0=1e-2"},      {"dadapt_sgd", "d0=1e-2"},
        {"dadapt_lion", "d0=1e-2"}, {"dadapt_adagrad", "d0=1e-2"},   {"dadapt_adan", "d0=1e-2"},
        {"lamb", "max_grad_norm=0.5,lr=0.01"}, {"schedule_free_prodigy", "d0=1e-2"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char rules[256];
        trained one = {0}, two = {0};
        snprintf(rules, sizeof rules, "[{\"rank\": 1, \"method\": \"%s\"}, {\"method\": \"%s\"}]", cases[k][0], cases[k][0]);
        begin(&one, cases[k][0], cases[k][1], NULL, 2);
        begin(&two, cases[k][0], cases[k][1], rules, 2);
        for (int t = 0; t < 20; t++) {
            bowl(&one);
            bowl(&two);
            step(&one);
            step(&two);
        }
        if (apart(one.m, two.m, N) > 1e-11 || apart(one.b, two.b, BIAS) > 1e-11)
            fail_msg("%s: %g and %g apart", cases[k][0], apart(one.m, two.m, N), apart(one.b, two.b, BIAS));
        rv_optimizer_free(one.optimizer);
        rv_optimizer_free(two.optimizer);
    }
}

/* DoWG, written out as in its paper. */
static void test_dowg(void **state)
{
    (void)state;
    trained t = {0};
    double x[N], x0[N], g[N], away[N], squares = 1e-8;
    begin(&t, "dowg", "reps_rel=1e-3", NULL, 1);
    memcpy(x, t.m, sizeof x);
    memcpy(x0, t.m, sizeof x);
    double r = 1e-3 * (1 + norm(x0, N));
    for (int s = 0; s < 20; s++) {
        bowl(&t);
        step(&t);
        for (int i = 0; i < N; i++) {
            g[i] = (1 + 0.1 * i) * x[i];
            away[i] = x[i] - x0[i];
        }
        r = fmax(r, norm(away, N));
        squares += r * r * norm(g, N) * norm(g, N);
        for (int i = 0; i < N; i++)
            x[i] -= r * r / sqrt(squares) * g[i];
        assert_true(apart(t.m, x, N) < 1e-12);
    }
    assert_true(r > 100 * 1e-3 * (1 + norm(x0, N)) || norm(x, N) < 0.5 * norm(x0, N));
    rv_optimizer_free(t.optimizer);
}

/* With one tensor L-DoG is DoG. */
static void test_ldog(void **state)
{
    (void)state;
    trained a = {0}, b = {0};
    begin(&a, "dog", "reps_rel=1e-3", NULL, 1);
    begin(&b, "ldog", "reps_rel=1e-3", NULL, 1);
    for (int s = 0; s < 20; s++) {
        bowl(&a);
        bowl(&b);
        step(&a);
        step(&b);
    }
    assert_true(apart(a.m, b.m, N) < 1e-14 * (1 + norm(a.m, N)));
    rv_optimizer_free(a.optimizer);
    rv_optimizer_free(b.optimizer);
}

/* D-Adaptation on AdaGrad: d grows and never passes the largest coordinate of x0 - x*. */
static void test_distance_is_a_lower_bound(void **state)
{
    (void)state;
    trained t = {0};
    begin(&t, "dadapt_adagrad", "d0=1e-4", NULL, 1);
    double far = 0, before = 0;
    for (int i = 0; i < N; i++)
        far = fmax(far, fabs(t.m[i])); /* the minimum is at 0 */
    for (int s = 0; s < 300; s++) {
        bowl(&t);
        step(&t);
        const double d = *state_of(t.optimizer, ".d", NULL);
        assert_true(d >= before && d <= far);
        before = d;
    }
    assert_true(before > 0.1 * far && norm(t.m, N) < 0.01 * far);
    rv_optimizer_free(t.optimizer);
}

/* A rule whose layer_scale is 0 stands still, and d and the other rule's weights are as without it. */
static void test_layer_scale(void **state)
{
    (void)state;
    static const char *const rules = "[{\"rank\": 1, \"method\": \"dadapt_adam\", \"params\": {\"layer_scale\": 0}},"
                                     " {\"method\": \"dadapt_adam\"}]";
    trained alone = {0}, both = {0};
    double before[BIAS];
    begin(&alone, "dadapt_adam", "d0=1e-2", NULL, 1);
    begin(&both, "dadapt_adam", "d0=1e-2", rules, 2);
    memcpy(before, both.b, sizeof before);
    for (int t = 0; t < 20; t++) {
        bowl(&alone);
        bowl(&both);
        step(&alone);
        step(&both);
    }
    assert_memory_equal(before, both.b, sizeof before);
    assert_true(apart(alone.m, both.m, N) < 1e-13);
    rv_optimizer_free(alone.optimizer);
    rv_optimizer_free(both.optimizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_share_their_sums),
        cmocka_unit_test(test_layer_scale),
        cmocka_unit_test(test_dowg),
        cmocka_unit_test(test_ldog),
        cmocka_unit_test(test_distance_is_a_lower_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
