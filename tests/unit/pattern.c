/* Pictures that a loss surface is to show: files as people write them, and what is refused. */
#include <stdio.h>
#include <unistd.h>

#include "measures/paint.h"
#include "probe_help.h"

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

/* A net with batch norm: the loss draws the picture, statistics come back, and a fixed middle stays. */
static void test_painting(void **state)
{
    (void)state;
    rv_error err = {0};
    rv_painter t;
    rv_objective *o = make_network(true);
    double loss[9], other[9];
    ok(rv_painter_init(&t, o, &err), &err);
    assert_int_equal(read_text("#.#\n.#.\n#.#", &t.pattern, &err), RV_OK);
    for (int k = 0; k < 3; k++) {
        ok(rv_objective_init(o, (uint64_t)k, t.w, &err), &err);
        for (int64_t i = 0; i < t.plane.n; i++)
            t.flat[k * t.plane.n + i] = (float)((double *)t.w)[i];
    }
    t.flat[3 * t.plane.n] = 0.3f;
    rv_painter_begin(&t);
    size_t bytes = (size_t)o->state_size * sizeof(double), size = (size_t)t.plane.n * sizeof(double);
    void *statistics = malloc(bytes), *origin = malloc(size);
    memcpy(statistics, o->state, bytes);
    memcpy(origin, t.plane.origin, size);
    for (int fixed = 1; fixed >= 0; fixed--) {
        rv_paint_options options = {.steps = 150, .cells = 4, .lr = 0.02, .clip = 5, .fixed = fixed};
        ok(rv_painter_run(&t, &options, &err), &err);
        ok(rv_painter_look(&t, RV_SPLIT_TRAIN, "accuracy", loss, other, &err), &err);
        assert_memory_equal(o->state, statistics, bytes);
        assert_int_equal(memcmp(t.plane.origin, origin, size) == 0, fixed);
        assert_true(rv_pattern_mean(&t.pattern, loss, true) < rv_pattern_mean(&t.pattern, loss, false));
    }
    assert_true(rv_pattern_agreement(&t.pattern, loss) >= 8.0 / 9);
    int stop = 1;
    rv_paint_options options = {.steps = 1, .cells = 1, .lr = 0.1, .clip = 5, .stop = &stop};
    assert_int_equal(rv_painter_run(&t, &options, &err), RV_E_INTERRUPTED);
    free(statistics);
    free(origin);
    rv_painter_release(&t);
    rv_objective_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_refused), cmocka_unit_test(test_agreement),
                                       cmocka_unit_test(test_gradient), cmocka_unit_test(test_painting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
