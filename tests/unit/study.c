/* The verdict on claims, and that every registered study is well formed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/file.h"
#include "core/json.h"
#include "studies/least_norm.h"
#include "studies/study.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT) INT(size, 7, 1, 100, 0, "of nothing")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "made-up", params, PARAMS);

static const rv_claim claims[] = {
    {"below", "a", "q", "s", -HUGE_VAL, 1, RV_CLAIM_EVERY, false},
    {"every", "b", "q", "s", 0, 1, RV_CLAIM_EVERY, false},
    {"mean", "c", "q", "s", 0, 1, RV_CLAIM_MEAN, false},
    {"large", "d", "q", "s", 5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"absent", "e", "q", "s", -HUGE_VAL, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"nan", "f", "q", "s", -HUGE_VAL, HUGE_VAL, RV_CLAIM_MEAN, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

static rv_status measure_all(rv_study_run *run, const void *values, rv_error *err)
{
    (void)err;
    static const double x[] = {0, 1, 2}, y[] = {1, NAN, 3};
    rv_study_measure(run, "below", 1);
    for (int s = 0; s < 2; s++) {
        rv_study_measure(run, "every", s == 0 ? 0.5 : 1.1);
        rv_study_measure(run, "mean", s == 0 ? 0.5 : 1.1);
        rv_study_measure(run, "nan", s == 0 ? 0.5 : NAN);
    }
    rv_study_measure(run, "large", (double)((const params *)values)->size);
    rv_figure *figure = rv_study_figure(run, "lines", "T <i>", "c", (rv_axis){.label = "x"}, (rv_axis){.label = "y"});
    rv_figure_series(figure, "=one", RV_SERIES_LINE, 3, x, y);
    rv_study_note(run, "size %d", (int)((const params *)values)->size);
    return rv_study_progress(run, 1, "done");
}

static rv_status measure_undeclared(rv_study_run *run, const void *values, rv_error *err)
{
    (void)values;
    (void)err;
    rv_study_measure(run, "blow", 1);
    return RV_OK;
}

static const rv_study made_up = {.name = "made-up", .title = "t", .question = "q", .method = "m", .source = "s", .cost = "0 s",
                                 .params = &table, .quick = "size=3", .seeds = 2, .quick_seeds = 1, .claims = claims,
                                 .run = measure_all};

static char dir[64];

static json_t *execute(const rv_study *study, rv_study_options options, rv_study_verdict *verdict)
{
    rv_error err = {0};
    char *text = NULL;
    json_t *json = NULL;
    options.dir = dir;
    options.threads = 1;
    if (rv_study_execute(study, &options, verdict, &text, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_json_parse(text, strlen(text), "study", &json, &err), RV_OK);
    free(text);
    return json;
}

static int held(const json_t *json, size_t i)
{
    const json_t *value = json_object_get(json_array_get(json_object_get(json, "claims"), i), "holds");
    return json_is_null(value) ? -1 : json_is_true(value);
}

static void test_verdicts(void **state)
{
    (void)state;
    rv_study_verdict verdict;
    json_t *json = execute(&made_up, (rv_study_options){0}, &verdict);
    static const int expected[] = {1, 0, 1, 1, 0, 0}; /* nothing measured and NaN hold nowhere */
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(held(json, i), expected[i]);
    assert_int_equal(verdict.held, 3);
    assert_int_equal(verdict.failed, 3);
    assert_int_equal(verdict.unjudged, 0);
    json_t *first = json_array_get(json_object_get(json, "claims"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "expected")), "at most 1");
    assert_true(json_number_value(json_object_get(first, "measured")) == 1);
    json_decref(json);
}

static void test_quick(void **state)
{
    (void)state;
    rv_study_verdict verdict;
    json_t *json = execute(&made_up, (rv_study_options){.quick = true}, &verdict);
    assert_int_equal(held(json, 3), -1);
    assert_int_equal(verdict.unjudged, 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "params"), "size")), 3);
    json_decref(json);
    /* what the user sets wins over --quick */
    json = execute(&made_up, (rv_study_options){.quick = true, .set = (const char *[]){"size=9"}, .set_count = 1}, &verdict);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "params"), "size")), 9);
    json_decref(json);
}

static void test_files(void **state)
{
    (void)state;
    rv_error err;
    rv_reader reader;
    rv_study_verdict verdict;
    char path[128];
    json_decref(execute(&made_up, (rv_study_options){0}, &verdict));
    snprintf(path, sizeof path, "%s/lines.csv", dir);
    assert_int_equal(rv_reader_open(&reader, path, 1 << 20, &err), RV_OK);
    static const char csv[] = "series,frame,x,y,low,high,z\r\n\"'=one\",,0,1,,,\r\n\"'=one\",,1,,,,\r\n\"'=one\",,2,3,,,\r\n";
    assert_int_equal(reader.size, sizeof csv - 1);
    assert_memory_equal(reader.data, csv, sizeof csv - 1);
    rv_reader_close(&reader);
    snprintf(path, sizeof path, "%s/index.html", dir);
    assert_int_equal(rv_reader_open(&reader, path, 1 << 26, &err), RV_OK);
    assert_non_null(memmem(reader.data, reader.size, "T \\u003ci>", 10)); /* inert in the script element */
    rv_reader_close(&reader);
    snprintf(path, sizeof path, "%s/study.json", dir);
    assert_true(rv_file_exists(path));
}

static void test_errors(void **state)
{
    (void)state;
    rv_error err;
    rv_study_verdict verdict;
    rv_study undeclared = made_up;
    undeclared.run = measure_undeclared;
    rv_study_options options = {.dir = dir, .threads = 1};
    assert_int_equal(rv_study_execute(&undeclared, &options, &verdict, NULL, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "blow"));
    volatile int stop = 1;
    options.stop = &stop;
    assert_int_equal(rv_study_execute(&made_up, &options, &verdict, NULL, &err), RV_E_INTERRUPTED);
    options = (rv_study_options){.dir = dir, .threads = 1, .set = (const char *[]){"szie=2"}, .set_count = 1};
    assert_int_equal(rv_study_execute(&made_up, &options, &verdict, NULL, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "size"));
}

/* x = A'(A A')^-1 b for a wide matrix, the fit for a tall one; both routes. */
static void test_least_norm(void **state)
{
    (void)state;
    rv_error err;
    static const double wide[] = {1, 0, 0, 1, 1, 1}, b[] = {3, 6}; /* columns (1,0), (0,1), (1,1) */
    static const double tall[] = {1, 1, 1, 0, 1, 2}, y[] = {1, 3, 5}; /* 1 + 2 t */
    for (int k = 0; k < 2; k++) {
        double x[3], rcond = k ? -1 : 1e-15;
        assert_int_equal(rv_least_norm(2, 3, 1, wide, b, rcond, x, &err), RV_OK);
        const double expected[] = {0, 3, 3};
        for (int i = 0; i < 3; i++)
            assert_true(fabs(x[i] - expected[i]) < 1e-12);
        assert_int_equal(rv_least_norm(3, 2, 1, tall, y, rcond, x, &err), RV_OK);
        assert_true(fabs(x[0] - 1) < 1e-12 && fabs(x[1] - 2) < 1e-12);
    }
    static const double twice[] = {1, 1, 1, 1}, z[] = {2, 2}; /* rank one: the solution is spread evenly */
    double x[2];
    assert_int_equal(rv_least_norm(2, 2, 1, twice, z, 1e-10, x, &err), RV_OK);
    assert_true(fabs(x[0] - 1) < 1e-12 && fabs(x[1] - 1) < 1e-12);
}

static void test_registry(void **state)
{
    (void)state;
    rv_error err;
    for (int i = 0; rv_study_at(i); i++) {
        const rv_study *study = rv_study_at(i);
        if (rv_study_check(study, &err) != RV_OK)
            fail_msg("%s", err.message);
        assert_ptr_equal(rv_study_find(study->name), study);
    }
    rv_study twice = made_up;
    static const rv_claim same[] = {{"a", "a", "q", "s", 0, 1, RV_CLAIM_EVERY, false}, {"a", "b", "q", "s", 0, 1, RV_CLAIM_EVERY, false},
                                    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};
    twice.claims = same;
    assert_int_equal(rv_study_check(&twice, &err), RV_E_ARGUMENT);
    static const rv_claim empty[] = {{"a", "a", "q", "s", 2, 1, RV_CLAIM_EVERY, false}, {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};
    twice.claims = empty;
    assert_int_equal(rv_study_check(&twice, &err), RV_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts), cmocka_unit_test(test_quick),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_errors),   cmocka_unit_test(test_registry),
        cmocka_unit_test(test_least_norm),
    };
    snprintf(dir, sizeof dir, "/tmp/ravine-study-%ld", (long)getpid());
    int failed = cmocka_run_group_tests_name("study", tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) == 0 ? failed : 1;
}
