/* The float path of every method beside its double path, over 1000 steps of the same
 * gradients: how far apart they may be is stated here. */
#include "fixture.h"

/* Full rank from the first step on: where a factor has none, its eigenbasis is the solver's. */
static void general_gradient(fixture *f, int64_t step)
{
    EACH_ELEMENT(f, i)
    put(f->g, f->dtype, i,
        (i + step) % 11 == 0 ? 0 : (double)(float)(sin(0.37 * (double)(i * i % 1009) + 1.7 * (double)step) * (0.1 + (double)(i % 5))));
}

/* A matrix that is not square has, after one gradient, a factor without full rank, whose null
 * space a method that begins with eigenbases gets from the solver: rounding decides. */
static bool determined(const rv_method_info *info, const rv_tensor *tensor)
{
    const rv_shape *shape = &tensor->shape;
    return !strstr(info->state, "bases") || shape->rank != 2 || shape->dim[0] == shape->dim[1];
}

/* max |float - double| / (1 + max |double|) after 1000 steps; 100 on the bowl. */
static double distance(const rv_method_info *info)
{
    fixture f, d;
    rv_error err;
    fixture_init(&f, LARGE, RV_F32);
    fixture_init(&d, LARGE, RV_F64);
    must(fixture_optimizer(&f, full_name(info), "", NULL, &err), &err);
    must(fixture_optimizer(&d, full_name(info), "", NULL, &err), &err);
    const bool estimates = estimates_a_distance(info);
    for (int64_t step = 0; step < (estimates ? 100 : 1000); step++) {
        if (estimates) {
            bowl_gradient(&f);
            bowl_gradient(&d);
        } else {
            general_gradient(&f, step);
            general_gradient(&d, step);
        }
        fixture_step(&f);
        fixture_step(&d);
    }
    double apart = 0, most = 0;
    for (int t = 0; t < LARGE; t++) {
        const int64_t start = d.tensors[t].offset, size = rv_shape_size(&d.tensors[t].shape);
        for (int64_t i = start; i < start + size && determined(info, &d.tensors[t]); i++) {
            apart = fmax(apart, fabs(get(f.w, RV_F32, i) - get(d.w, RV_F64, i)));
            most = fmax(most, fabs(get(d.w, RV_F64, i)));
        }
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
