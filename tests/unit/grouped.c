/* Losses of groups against the definition, rows in memory, and the hierarchy of classes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "studies/digits.h"
#include "studies/imbalance.h"
#include "studies/tables.h"

enum { SIZE = 3, CLASSES = 7, N = SIZE << SIZE, FEATURES = (SIZE + 1) << SIZE };

static void test_hierarchy(void **state)
{
    (void)state;
    static const int level[CLASSES] = {0, 1, 1, 2, 2, 2, 2};
    double sum = 0;
    assert_int_equal(rv_hierarchy_classes(SIZE), CLASSES);
    for (int k = 0; k < CLASSES; k++) {
        assert_int_equal(rv_hierarchy_level(k), level[k]);
        assert_true(rv_hierarchy_share(SIZE, k) == (double)(8 >> level[k]) / N);
        sum += rv_hierarchy_share(SIZE, k);
    }
    assert_true(fabs(sum - 1) < 1e-15);
}

/* The linear model's losses from weights, features and labels. */
static void expected_losses(const rv_grouped *p, const rv_layout *layout, const float *w, double *loss, double *group)
{
    const float *weight = w + layout->tensors[rv_layout_find(layout, "head.weight")].offset; /* [7, 32] */
    const float *bias = w + layout->tensors[rv_layout_find(layout, "head.bias")].offset;
    double x[FEATURES], count[RV_GROUPS] = {0};
    memset(group, 0, RV_GROUPS * sizeof *group);
    *loss = 0;
    for (int64_t i = 0; i < N; i++) {
        int32_t label;
        double logit[CLASSES], sum = 0;
        p->source->fill(p->source, RV_SPLIT_TRAIN, &i, 1, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64, (void *const[]){x, &label});
        for (int c = 0; c < CLASSES; c++) {
            logit[c] = (double)bias[c];
            for (int k = 0; k < FEATURES; k++)
                logit[c] += (double)weight[c * FEATURES + k] * x[k];
            sum += exp(logit[c]);
        }
        group[p->group[label]] += log(sum) - logit[label];
        count[p->group[label]] += 1;
        *loss += (log(sum) - logit[label]) / N;
    }
    for (int g = 0; g < p->groups; g++)
        group[g] /= count[g];
}

static void test_losses(void **state)
{
    (void)state;
    rv_error err;
    rv_grouped problem;
    rv_grouped_net *net;
    const rv_study_run run = {0};
    const rv_linear_spec spec = {.size = SIZE};
    assert_int_equal(rv_imbalance_linear(&run, &spec, 5, &problem, &err), RV_OK);
    assert_int_equal(problem.source->examples[RV_SPLIT_TRAIN], N);
    assert_int_equal(problem.groups, SIZE);
    assert_int_equal(rv_grouped_net_new(&net, &run, &problem, &err), RV_OK);
    const rv_objective *objective = rv_grouped_objective(net);
    float *w = rv_study_vector(objective, &err);
    assert_non_null(w);
    double loss, group[RV_GROUPS], right, right_group[RV_GROUPS];
    assert_int_equal(rv_grouped_losses(net, w, &loss, group, &err), RV_OK); /* all weights zero */
    assert_true(fabs(loss - log(CLASSES)) < 1e-6);
    for (int g = 0; g < SIZE; g++)
        assert_true(fabs(group[g] - log(CLASSES)) < 1e-6);
    for (int64_t i = 0; i < objective->layout->size; i++)
        w[i] = (float)sin((double)i) / 4;
    assert_int_equal(rv_grouped_losses(net, w, &loss, group, &err), RV_OK);
    expected_losses(&problem, objective->layout, w, &right, right_group);
    assert_true(fabs(loss - right) < 1e-5);
    for (int g = 0; g < SIZE; g++)
        assert_true(fabs(group[g] - right_group[g]) < 1e-5);
    free(w);
    rv_grouped_net_free(net);
    rv_grouped_release(&problem);
}

/* A descent that explodes is not steady and, where guarded, ends at once. */
static void test_steady(void **state)
{
    (void)state;
    rv_error err;
    rv_grouped problem;
    rv_grouped_net *net;
    rv_course course;
    const volatile int stop = 0;
    const rv_study_options options = {.stop = &stop};
    const rv_study_run run = {.options = &options};
    const rv_linear_spec spec = {.size = SIZE};
    assert_int_equal(rv_imbalance_linear(&run, &spec, 0, &problem, &err), RV_OK);
    assert_int_equal(rv_grouped_net_new(&net, &run, &problem, &err), RV_OK);
    assert_int_equal(rv_grouped_descend(net, "sgd", "lr=0.01", 0, 20, true, &course, &err), RV_OK);
    assert_true(course.steady && course.peak == 1 && course.records == 21 && rv_course_end(&course) < course.loss[0]);
    assert_int_equal(rv_grouped_descend(net, "sgd", "lr=100", 0, 20, true, &course, &err), RV_OK);
    assert_true(!course.steady && course.peak > 2 && course.records < 21 && isinf(rv_course_end(&course)));
    assert_int_equal(rv_grouped_descend(net, "sgd", "lr=100", 0, 20, false, &course, &err), RV_OK);
    assert_true(!course.steady && course.records == 21);
    rv_grouped_net_free(net);
    rv_grouped_release(&problem);
}

static void test_table(void **state)
{
    (void)state;
    rv_error err;
    rv_source *source;
    static const float rows[] = {1, 2, 3, 4, 5, 6};
    float *x = malloc(sizeof rows);
    int32_t *labels = malloc(3 * sizeof *labels);
    assert_true(x && labels);
    memcpy(x, rows, sizeof rows);
    for (int i = 0; i < 3; i++)
        labels[i] = i;
    const rv_table table = {.dtype = RV_F32, .row = RV_SHAPE(2), .train = 2, .test = 1, .x = x, .labels = labels, .classes = 3, .one_hot = true};
    assert_int_equal(rv_source_table(&source, "three rows", &table, &err), RV_OK);
    rv_source *lent = rv_source_lend(source);
    double wide[4], target[6];
    int32_t label[2];
    lent->fill(lent, RV_SPLIT_TRAIN, (const int64_t[]){1, -1}, 2, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64, (void *const[]){wide, target, label});
    assert_true(wide[0] == 3 && wide[1] == 4 && wide[2] == 0 && wide[3] == 0);
    assert_true(label[0] == 1 && label[1] == -1);
    for (int c = 0; c < 6; c++)
        assert_true(target[c] == (c == 1)); /* padding has no class */
    rv_source_free(lent);
    float narrow[2], hot[3];
    source->fill(source, RV_SPLIT_TEST, (const int64_t[]){0}, 1, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F32, (void *const[]){narrow, hot, label});
    assert_true(narrow[0] == 5 && narrow[1] == 6 && hot[2] == 1 && label[0] == 2);
    rv_source_free(source);
    const rv_table nothing = {.dtype = RV_F32, .row = RV_SHAPE(2), .train = 1, .classes = 1};
    assert_int_equal(rv_source_table(&source, "no memory", &nothing, &err), RV_E_MEMORY);
}

static void test_mislabel(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < 2000; i++) {
        int32_t label = i % 10, other = rv_digits_mislabel(label, 3, i, 1);
        assert_int_equal(rv_digits_mislabel(label, 3, i, 0), label);
        assert_true(other != label && other >= 0 && other < 10);
        wrong += rv_digits_mislabel(label, 3, i, 0.2) != label;
    }
    assert_in_range(wrong, 310, 490); /* 400, within five deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hierarchy), cmocka_unit_test(test_losses), cmocka_unit_test(test_steady),
        cmocka_unit_test(test_table),     cmocka_unit_test(test_mislabel),
    };
    return cmocka_run_group_tests_name("grouped", tests, NULL, NULL);
}
