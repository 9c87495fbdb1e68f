/* Shapes, types, roles and layouts: sizes, text, places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ravine/tensor.h"

static void shapes(void **state)
{
    (void)state;
    char text[64];
    rv_shape s = RV_SHAPE(2, 3), t = RV_SHAPE(2, 3, 1), scalar = {0};
    assert_int_equal(rv_shape_size(&s), 6);
    assert_int_equal(rv_shape_size(&scalar), 1);
    assert_false(rv_shape_equal(&s, &t));
    assert_string_equal(rv_shape_text(&t, text, sizeof text), "[2, 3, 1]");
    assert_string_equal(rv_shape_text(&scalar, text, sizeof text), "[]");
    assert_string_equal(rv_shape_text(&t, text, 5), "[2, ");
    assert_string_equal(rv_role_name(RV_ROLE_FIRST_CONV), "first_conv");
    assert_int_equal(rv_dtype_size(RV_BF16), 2);
    rv_tensor tensors[2] = {{.name = "a", .role = RV_ROLE_POINT, .shape = RV_SHAPE(3), .offset = 0},
                            {.name = "b", .role = RV_ROLE_BIAS, .shape = RV_SHAPE(2, 2), .offset = 16}};
    rv_layout layout = {.count = 2, .tensors = tensors, .size = 32};
    assert_int_equal(rv_layout_parameters(&layout), 7);
    assert_int_equal(rv_layout_find(&layout, "b"), 1);
    assert_int_equal(rv_layout_find(&layout, "c"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
