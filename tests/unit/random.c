/* Philox against the known answers published with Random123, and its distributions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "ravine/core.h"

/* Random123's kat_vectors, "philox4x32 10": counter, key, result. */
static void known_answers(void **state)
{
    (void)state;
    static const struct {
        rv_random stream;
        uint64_t index;
        uint32_t out[4];
    } cases[] = {
        {{0, (rv_purpose)0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{UINT64_MAX, (rv_purpose)0xff, 0xffffffffffffff}, UINT64_MAX,
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x299f31d0a4093822, (rv_purpose)0x03, 0x70734413198a2e}, 0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];
        rv_random_block(cases[i].stream, cases[i].index, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
        assert_int_equal(rv_random_u32(cases[i].stream, cases[i].index), out[0]);
    }
}

/* Moments within five standard errors of the exact values. */
static void moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    rv_random stream = {42, RV_RANDOM_INIT, 7};
    double mean = 0, square = 0, normal = 0, normal2 = 0, normal4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = rv_random_uniform(stream, i), z = rv_random_normal(stream, i);
        assert_true(u >= 0 && u < 1);
        mean += u / N;
        square += u * u / N;
        normal += z / N;
        normal2 += z * z / N;
        normal4 += z * z * z * z / N;
    }
    double root = sqrt(N);
    assert_true(fabs(mean - 0.5) < 5 * sqrt(1.0 / 12) / root);
    assert_true(fabs(square - 1.0 / 3) < 5 * sqrt(4.0 / 45) / root);
    assert_true(fabs(normal) < 5 / root);
    assert_true(fabs(normal2 - 1) < 5 * sqrt(2) / root);
    assert_true(fabs(normal4 - 3) < 5 * sqrt(96) / root);
}

static void below(void **state)
{
    (void)state;
    rv_random stream = {1, RV_RANDOM_ORDER, 0};
    int count[7] = {0};
    for (uint64_t i = 0; i < 70000; i++)
        count[rv_random_below(stream, i, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_true(abs(count[i] - 10000) < 5 * 93); /* deviation sqrt(70000 * 1/7 * 6/7) = 93 */
    assert_int_equal(rv_random_below(stream, 3, 1), 0);
}

static void permutation(void **state)
{
    (void)state;
    rv_random stream = {5, RV_RANDOM_ORDER, 2};
    uint32_t order[1000], again[1000];
    bool seen[1000] = {false};
    rv_random_permutation(stream, 1000, order);
    rv_random_permutation(stream, 1000, again);
    assert_memory_equal(order, again, sizeof order);
    int fixed = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 10); /* one is expected of a uniform draw */
    /* All six orders of three come up equally often. */
    int count[27] = {0};
    for (uint64_t step = 0; step < 6000; step++) {
        uint32_t p[3];
        rv_random_permutation((rv_random){9, RV_RANDOM_ORDER, step}, 3, p);
        count[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    int orders = 0;
    for (int i = 0; i < 27; i++) {
        orders += count[i] > 0;
        assert_true(count[i] == 0 || abs(count[i] - 1000) < 5 * 29);
    }
    assert_int_equal(orders, 6);
}

static void streams_differ(void **state)
{
    (void)state;
    rv_random base = {1, RV_RANDOM_INIT, 1};
    rv_random other[] = {{2, RV_RANDOM_INIT, 1}, {1, RV_RANDOM_NOISE, 1}, {1, RV_RANDOM_INIT, 2},
                         {1ull << 32 | 1, RV_RANDOM_INIT, 1}, {1, RV_RANDOM_INIT, 1ull << 32 | 1}};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_int_not_equal(rv_random_u32(base, 0), rv_random_u32(other[i], 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(moments),        cmocka_unit_test(below),
        cmocka_unit_test(permutation),   cmocka_unit_test(streams_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
