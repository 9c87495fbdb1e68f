/* Search spaces as AlgoPerf writes them: what is read, what is refused and how it is said, and
 * that no mutation of a file gets past the reader and then fails in a sampler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/space.h"
#include "core/json.h"

static const char ranges[] =
    "{\"learning_rate\": {\"min\": 1e-4, \"max\": 1e-2, \"scaling\": \"log\"},"
    " \"beta1\": {\"min\": 0.5, \"max\": 0.99, \"scaling\": \"linear\"},"
    " \"beta2\": {\"feasible_points\": [0.9, 0.99, 0.999]}}";
static const char list[] = "[{\"lr\": 1e-3, \"nesterov\": true}, {\"lr\": 2e-3, \"nesterov\": false}]";

static rv_status read_text(const char *text, rv_space *space, rv_error *err)
{
    json_t *json = NULL;
    *space = (rv_space){0};
    RV_TRY(rv_json_parse(text, strlen(text), "space.json", &json, err));
    rv_status status = rv_space_read(space, json, "space.json", err);
    json_decref(json);
    return status;
}

static void draw(const rv_space *space, const char *name, int studies, int trials, uint64_t seed, rv_study_points *points)
{
    const rv_point_sampler *sampler = NULL;
    assert_int_equal(rv_point_sampler_find(name, &sampler, NULL), RV_OK);
    assert_int_equal(rv_space_draw(space, sampler, studies, trials, seed, "space.json", points, NULL), RV_OK);
}

static double real_at(const rv_study_points *points, size_t i, const char *name)
{
    return rv_json_real(json_array_get(points->list, i), name, NAN);
}

/* Against algoperf/halton.py, generate_search(space, 25) after numpy.random.seed(3). */
static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        size_t row;
        double lr, beta1, beta2;
    } expected[] = {{0, 0x1.e05def64ddeb2p-10, 0x1.aad27b5017bc4p-1, 0.999},
                    {1, 0x1.37583e4a63a5cp-10, 0x1.393ff71eb7389p-1, 0.9},
                    {2, 0x1.47fee891d752bp-11, 0x1.49d6ce0649a22p-1, 0.999},
                    {24, 0x1.1b438597a0f1fp-9, 0x1.f1c5e32e820d6p-1, 0.999}};
    rv_space space;
    rv_study_points points;
    assert_int_equal(read_text(ranges, &space, NULL), RV_OK);
    assert_int_equal(space.dims, 3);
    assert_string_equal(rv_space_name(&space, 2), "beta2");
    draw(&space, "halton", 5, 5, 3, &points);
    assert_int_equal(json_array_size(points.list), 25);
    assert_true(points.per_study == 5 && points.stride == 5);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        /* exp and log may differ by a unit in the last place from one C library to the next */
        assert_true(fabs(real_at(&points, expected[i].row, "learning_rate") / expected[i].lr - 1) < 4e-16);
        assert_true(real_at(&points, expected[i].row, "beta1") == expected[i].beta1);
        assert_true(real_at(&points, expected[i].row, "beta2") == expected[i].beta2);
    }
    json_decref(points.list);
    rv_space_release(&space);
}

static void test_list(void **state)
{
    (void)state;
    rv_space space;
    rv_study_points points;
    rv_error err = {0};
    const rv_point_sampler *sampler = NULL;
    assert_int_equal(read_text(list, &space, NULL), RV_OK);
    assert_true(space.points == 2 && space.dims == 2);
    assert_string_equal(rv_space_name(&space, 1), "nesterov");
    draw(&space, "halton", 5, 5, 0, &points);
    assert_true(points.per_study == 2 && points.stride == 0); /* the same in every study */
    assert_true(json_equal(points.list, space.json));
    json_decref(points.list);
    assert_int_equal(rv_point_sampler_find("halton", &sampler, NULL), RV_OK);
    assert_int_equal(rv_space_draw(&space, sampler, 5, 1, 0, "space.json", &points, &err), RV_E_RANGE);
    assert_string_equal(err.message, "space.json: a list of 2 points; a study has 1 trials");
    rv_space_release(&space);
}

static void test_grid_studies(void **state)
{
    (void)state;
    rv_space space;
    rv_study_points points;
    assert_int_equal(read_text(ranges, &space, NULL), RV_OK);
    draw(&space, "grid", 3, 12, 0, &points);
    assert_true(points.per_study == 12 && points.stride == 0);
    assert_true(real_at(&points, 0, "learning_rate") == 1e-4 && real_at(&points, 11, "learning_rate") == 1e-2);
    assert_true(real_at(&points, 0, "beta2") == 0.9 && real_at(&points, 11, "beta2") == 0.999);
    json_decref(points.list);
    rv_space_release(&space);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"3", "space.json: a search space is an object of ranges or a list of points"},
        {"{}", "0 hyperparameters; expected 1 to"},
        {"{\"lr\": 3}", "'lr' must be an object with min, max and scaling, or with feasible_points, not 3"},
        {"{\"lr\": {\"min\": 1, \"max\": 2}}", "'lr.scaling' must be \"linear\" or \"log\", and is missing"},
        {"{\"lr\": {\"min\": 1, \"max\": 2, \"scaling\": \"lg\"}}", "'lr.scaling' must be \"linear\" or \"log\", not \"lg\""},
        {"{\"lr\": {\"min\": \"1\", \"max\": 2, \"scaling\": \"log\"}}", "'lr.min' must be a number, not \"1\""},
        {"{\"lr\": {\"min\": 0, \"max\": 2, \"scaling\": \"log\"}}", "scaled by its logarithm and runs from 0 to 2"},
        {"{\"lr\": {\"min\": 3, \"max\": 2, \"scaling\": \"linear\"}}", "runs from 3 to 2; expected min <= max"},
        {"{\"lr\": {\"min\": 1, \"max\": 2, \"scaling\": \"log\", \"feasible_points\": [1]}}", "beside 'feasible_points'"},
        {"{\"lr\": {\"min\": 1, \"mx\": 2, \"scaling\": \"log\"}}", "'lr' has no key 'mx'; did you mean 'max'?"},
        {"{\"lr\": {\"feasible_points\": []}}", "'lr.feasible_points' must be a list with at least one value, not []"},
        {"{\"lr\": {\"feasible_points\": [[1]]}}", "must be a list of numbers, texts, true and false, not [[1]]"},
        {"[]", "a list of 0 points"},
        {"[1]", "'point 1' must be an object, not 1"},
        {"[{\"a\": 1}, {\"b\": 1}]", "point 2 has 'b', which the first point has not"},
        {"[{\"a\": 1}, {}]", "'point 2.a' must be given as in the first point, and is missing"},
        {"[{\"a\": null}]", "'point 1.a' must be a number, a text, true or false, not null"},
        {"{\"lr\": {\"min\": 1,", "space.json: line 1"},
        {"{\"lr\": 1, \"lr\": 1}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rv_space space;
        rv_error err = {0};
        assert_int_not_equal(read_text(bad[i][0], &space, &err), RV_OK);
        if (!strstr(err.message, bad[i][1]))
            fail_msg("%s\n  said: %s\n  expected: %s", bad[i][0], err.message, bad[i][1]);
        rv_space_release(&space);
    }
}

/* Every value lies where the space has it. */
static void check_points(const rv_space *space, const rv_study_points *points)
{
    size_t i;
    json_t *point;
    json_array_foreach(points->list, i, point)
    {
        assert_int_equal(json_object_size(point), space->dims);
        for (int d = 0; space->dim && d < space->dims; d++) {
            const rv_space_dim *dim = &space->dim[d];
            json_t *value = json_object_get(point, dim->name);
            bool found = !dim->feasible && json_number_value(value) >= dim->min && json_number_value(value) <= dim->max;
            for (size_t k = 0; k < json_array_size(dim->feasible); k++)
                found = found || json_equal(json_array_get(dim->feasible, k), value);
            assert_true(found);
        }
    }
}

/* What the reader lets through, every sampler can draw from; what it refuses, it explains. */
static void test_mutations(void **state)
{
    (void)state;
    enum { ROUNDS = 30000 };
    static const char letters[] = "{}[]\",:0123456789.eE+-naxitrufl \\\x01\xff";
    static const char *const texts[] = {ranges, list, "{\"a\": {\"min\": -1e308, \"max\": 1e308, \"scaling\": \"linear\"}}",
                                        "{\"a\": {\"min\": 5e-324, \"max\": 1, \"scaling\": \"log\"}}"};
    int accepted = 0, refused = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        rv_random stream = {1, RV_RANDOM_SEARCH, round};
        char text[512];
        snprintf(text, sizeof text, "%s", texts[round % 4]);
        for (uint64_t k = 0; k <= rv_random_below(stream, 0, 3); k++) {
            size_t n = strlen(text), at = (size_t)rv_random_below(stream, 10 * k + 1, n ? n : 1);
            switch (rv_random_below(stream, 10 * k + 2, 3)) {
            case 0:
                text[at] = letters[rv_random_below(stream, 10 * k + 3, sizeof letters - 1)];
                break;
            case 1:
                memmove(text + at, text + at + 1, n - at);
                break;
            default:
                memmove(text + at + 1, text + at, n - at + 1);
                text[at] = letters[rv_random_below(stream, 10 * k + 3, sizeof letters - 1)];
            }
        }
        rv_space space;
        rv_error err = {0};
        rv_status status = read_text(text, &space, &err);
        accepted += status == RV_OK;
        refused += status != RV_OK;
        assert_true(status == RV_OK || strncmp(err.message, "space.json: ", 12) == 0);
        for (int i = 0; status == RV_OK && rv_sampler_at(i); i++) {
            rv_study_points points;
            draw(&space, rv_sampler_at(i)->name, 2, 16, round, &points);
            check_points(&space, &points);
            json_decref(points.list);
        }
        rv_space_release(&space);
    }
    assert_true(accepted > ROUNDS / 50 && refused > ROUNDS / 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_list),      cmocka_unit_test(test_grid_studies),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
