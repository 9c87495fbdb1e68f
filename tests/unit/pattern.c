/* Pictures that a loss surface is to show: files as people write them, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/pattern.h"
#include "probe/pattern_plane.h"

static const char path[] = "pattern-test.txt";

static rv_status read_text(const char *text, rv_pattern *pattern, rv_error *err)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    rv_status status = rv_pattern_read(pattern, path, err);
    unlink(path);
    return status;
}

static void expect(const char *text, int side, const char *cells)
{
    rv_pattern p;
    rv_error err = {0};
    if (read_text(text, &p, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p.side, side);
    assert_string_equal(p.name, "pattern-test");
    for (int k = 0; k < p.cells; k++)
        assert_int_equal(p.bright[k], cells[k] == '#');
    assert_int_equal(p.count[0] + p.count[1], side * side);
}

static void test_files(void **state)
{
    (void)state;
    expect("#.\n.#\n", 2, "#..#");
    expect(" x\r\n\r\nxxx", 3, ".#....###");                      /* short lines, other line ends */
    expect("####\n", 4, "....####........");                       /* made square around it */
    expect("P1\n# an icon\n3 2\n1 0 1\n010\n", 3, "#.#.#....");
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "both"}, {"###\n###\n###", "found 9 bright of 9"}, {"...\n", "found 0 bright"}, {"P1 40 2 1 0", "at most 32 x 32"},
        {"P1 2 2 1 0 1", "expected 4 digits 0 or 1, found 3"}, {"P1 x", "found -1 x"},
        {"#.\n.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#.#", ":2: expected at most 32 lines of 32 characters"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rv_pattern p;
        rv_error err = {0};
        assert_int_equal(read_text(cases[i][0], &p, &err), RV_E_FORMAT);
        if (i > 0 && !strstr(err.message, cases[i][1]))
            fail_msg("%s: %s", cases[i][1], err.message);
    }
    rv_pattern p;
    rv_error err = {0};
    assert_int_equal(rv_pattern_read(&p, "absent.txt", &err), RV_E_IO);
}

/* Three bright of four cells: the best threshold leaves one on the wrong side. */
static void test_agreement(void **state)
{
    (void)state;
    rv_pattern p;
    assert_int_equal(read_text("##\n#.", &p, NULL), RV_OK);
    assert_true(rv_pattern_agreement(&p, (double[]){1, 2, 3, 4}) == 1);
    assert_true(rv_pattern_agreement(&p, (double[]){1, 2, 4, 3}) == 0.75);
    assert_true(rv_pattern_agreement(&p, (double[]){4, 3, 2, 1}) == 0.75);
    assert_true(rv_pattern_mean(&p, (double[]){1, 2, 6, 9}, true) == 3 && rv_pattern_mean(&p, (double[]){1, 2, 6, 9}, false) == 9);
}

static void test_gradient(void **state)
{
    (void)state;
    assert_true(rv_pattern_plane_error(NULL) < 1e-7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_refused), cmocka_unit_test(test_agreement),
                                       cmocka_unit_test(test_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
