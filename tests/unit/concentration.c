/* Concentration on frequencies: one wave, all waves, noise, and which group a wave belongs to. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ravine/core.h"
#include "studies/concentration.h"

enum { P = 13, WIDTH = 3 };
static const double TAU = 6.283185307179586;

static double gini(const double *table, int p, int64_t width, rv_group group)
{
    double value;
    assert_int_equal(rv_concentration(table, RV_F64, p, width, group, &value, NULL), RV_OK);
    return value;
}

/* One frequency of six: 1 - 1/6, wherever its phase; a constant beside it has no frequency. */
static void one_wave(void **state)
{
    (void)state;
    double table[P * WIDTH];
    float single[P * WIDTH];
    for (int i = 0; i < P * WIDTH; i++) {
        table[i] = 5 + cos(TAU * 4 * (i / WIDTH) / P + i % WIDTH);
        single[i] = (float)table[i];
    }
    assert_true(fabs(gini(table, P, WIDTH, RV_GROUP_ADDITIVE) - 5.0 / 6) < 1e-12);
    double value;
    assert_int_equal(rv_concentration(single, RV_F32, P, WIDTH, RV_GROUP_ADDITIVE, &value, NULL), RV_OK);
    assert_true(fabs(value - 5.0 / 6) < 1e-6);
    assert_true(gini(table, P, WIDTH, RV_GROUP_MULTIPLICATIVE) < 0.7);
}

/* 2 generates the twelve units modulo 13: a wave over the logarithm is one frequency of six. */
static void wave_of_products(void **state)
{
    (void)state;
    double table[P] = {100};
    for (int i = 0, row = 1; i < P - 1; i++, row = row * 2 % P)
        table[row] = cos(TAU * 5 * i / (P - 1));
    assert_true(fabs(gini(table, P, 1, RV_GROUP_MULTIPLICATIVE) - 5.0 / 6) < 1e-12);
    assert_true(gini(table, P, 1, RV_GROUP_ADDITIVE) < 0.7);
}

/* A single row has every frequency alike; nothing at all has none. */
static void no_preference(void **state)
{
    (void)state;
    double table[P] = {0};
    assert_true(isnan(gini(table, P, 1, RV_GROUP_ADDITIVE)));
    table[7] = 2;
    assert_true(fabs(gini(table, P, 1, RV_GROUP_ADDITIVE)) < 1e-12);
    assert_true(fabs(gini(table, P, 1, RV_GROUP_MULTIPLICATIVE)) < 1e-12);
}

/* Powers of Gaussian rows are chi-squared of 2 x 128 degrees: their Gini coefficient is about
 * deviation / mean / sqrt(pi) = sqrt(2 / 256) / sqrt(pi) = 0.05. */
static void noise(void **state)
{
    (void)state;
    enum { PRIME = 97, COLUMNS = 128 };
    double *table = malloc(PRIME * COLUMNS * sizeof *table);
    for (int i = 0; i < PRIME * COLUMNS; i++)
        table[i] = rv_random_normal((rv_random){1, RV_RANDOM_NOISE, 0}, (uint64_t)i);
    for (rv_group group = RV_GROUP_ADDITIVE; group <= RV_GROUP_MULTIPLICATIVE; group++) {
        double value = gini(table, PRIME, COLUMNS, group);
        assert_true(value > 0.03 && value < 0.07);
    }
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_wave),
        cmocka_unit_test(wave_of_products),
        cmocka_unit_test(no_preference),
        cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
