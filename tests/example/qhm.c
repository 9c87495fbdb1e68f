/* The worked example does what its equations say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "ravine/optim.h"

/* Under a constant gradient the mean is (1 - beta1^t) g. */
static void test_closed_form(void **state)
{
    (void)state;
    const rv_tensor tensor = {.name = "w", .role = RV_ROLE_BIAS, .shape = {1, {2}}};
    double w[2] = {1, -1}, g[2] = {0.5, -2}, *ws = w, *gs = g, sum = 0;
    const double lr = 0.1, beta1 = 0.9, nu = 0.7;
    const rv_optimizer_options options = {.method = "qhm", .params = "lr=0.1,beta1=0.9,nu=0.7", .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err;
    assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const *)&ws, &err), RV_OK);
    for (int t = 1; t <= 20; t++) {
        assert_int_equal(rv_optimizer_step(optimizer, (void *const *)&ws, (const void *const *)&gs, &err), RV_OK);
        sum += (1 - nu) + nu * (1 - pow(beta1, t));
        assert_true(fabs(w[0] - (1 - lr * 0.5 * sum)) < 1e-14);
        assert_true(fabs(w[1] - (-1 + lr * 2 * sum)) < 1e-14);
    }
    rv_optimizer_free(optimizer);
}

/* It is listed, alone. */
static void test_registered(void **state)
{
    (void)state;
    assert_string_equal(rv_method_at(0)->name, "qhm");
    assert_null(rv_method_at(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_closed_form), cmocka_unit_test(test_registered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
