/* The float path of every method beside its double path, over 1000 steps of the same
 * gradients: how far apart they may be is stated here. */
#include "fixture.h"

/* A method that estimates the distance to the solution goes to infinity under gradients that
 * do not depend on the weights.  On the bowl it arrives within about 100 steps; what is left
 * of the gradient then is rounding, made large again by the method's denominator. */
static bool estimates_a_distance(const rv_method_info *info)
{
    return rv_params_find(info->params, "d0") || rv_params_find(info->params, "reps_rel");
}

/* max |float - double| / (1 + max |double|) after 1000 steps; 100 on the bowl. */
static double distance(const rv_method_info *info)
{
    fixture f, d;
    rv_error err;
    fixture_init(&f, LARGE, RV_F32);
    fixture_init(&d, LARGE, RV_F64);
    must(fixture_optimizer(&f, info->name, "", NULL, &err), &err);
    must(fixture_optimizer(&d, info->name, "", NULL, &err), &err);
    const bool estimates = estimates_a_distance(info);
    for (int64_t step = 0; step < (estimates ? 100 : 1000); step++) {
        if (estimates) {
            bowl_gradient(&f);
            bowl_gradient(&d);
        } else {
            fixed_gradient(&f, step);
            fixed_gradient(&d, step);
        }
        fixture_step(&f);
        fixture_step(&d);
    }
    double apart = 0, most = 0;
    EACH_ELEMENT(&d, i)
    {
        apart = fmax(apart, fabs(get(f.w, RV_F32, i) - get(d.w, RV_F64, i)));
        most = fmax(most, fabs(get(d.w, RV_F64, i)));
    }
    fixture_release(&f);
    fixture_release(&d);
    return apart / (1 + most);
}

/* Roots and orthogonalisation amplify the rounding of small singular values. */
static double allowed(const rv_method_info *info)
{
    const rv_method *method = NULL;
    assert_int_equal(rv_method_lookup(info->name, &method, NULL), RV_OK);
    return method->tolerance <= 1e-12 ? 5e-5 : 2e-3;
}

static void test_float_follows_double(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        const double found = distance(info);
        print_message("%-20s %.1e\n", info->name, found);
        if (!(found <= allowed(info)))
            fail_msg("%s: %.2e apart, %.0e allowed", info->name, found, allowed(info));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_float_follows_double)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
