/* Samplers against numpy's and torch's numbers, and against what their theory promises: nets,
 * stratified coordinates, full grids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/mt19937.h"
#include "bench/sampler.h"
#include "bench/sampler_sobol.h"

enum { MOST = 4096 };
static double points[MOST * 8];

static rv_status draw(const char *name, int dims, const int *choices, int count, uint64_t seed, double *to, int *made)
{
    static const int ranges[256] = {0};
    const rv_point_sampler *sampler = NULL;
    assert_int_equal(rv_point_sampler_find(name, &sampler, NULL), RV_OK);
    rv_point_request request = {dims, choices ? choices : ranges, count, seed};
    return sampler->draw(&request, to, made, NULL);
}

/* ---- Halton ------------------------------------------------------------------ */

static void test_mt19937(void **state)
{
    (void)state;
    static const uint32_t of_997[] = {1913855604u, 1833552326u, 3901360766u, 4149217765u}; /* numpy's MT19937 */
    static const int shuffled[] = {8, 5, 0, 2, 1, 9, 7, 3, 6, 4};       /* RandomState(7).shuffle(list(range(10))) */
    rv_mt19937 mt;
    uint32_t last = 0;
    rv_mt19937_seed(&mt, 5489);
    for (int i = 0; i < 10000; i++)
        last = rv_mt19937_u32(&mt);
    assert_true(last == 4123659995u); /* ISO C++, rand.predef */
    rv_mt19937_seed(&mt, 997);
    for (int i = 0; i < 4; i++)
        assert_true(rv_mt19937_u32(&mt) == of_997[i]);
    int list[10];
    for (int i = 0; i < 10; i++)
        list[i] = i;
    rv_mt19937_seed(&mt, 7);
    rv_mt19937_shuffle(&mt, list, 10);
    assert_memory_equal(list, shuffled, sizeof list);
    assert_true(rv_mt19937_uniform(&mt) == 0x1.271f16d6b7f40p-4); /* RandomState.random_sample() that follows */
}

/* Bit for bit: halton_reference.py POINTS DIMS SEED beside this file; the numbers are also those
 * of algoperf/halton.py itself. */
static void test_halton(void **state)
{
    (void)state;
    static const struct {
        int points, dims, seed, row;
        double first, second, last; /* of the row's coordinates */
    } expected[] = {
        {25, 4, 0, 0, 0x1.dac55a6123e11p-1, 0x1.a6e8176e1a4c6p-1, 0x1.8b8556e29b76ap-1},
        {25, 4, 0, 1, 0x1.66f9b370d053bp-2, 0x1.0710e753b0890p-2, 0x1.7174978deeda8p-2},
        {25, 4, 0, 24, 0x1.0294d79c75df8p-1, 0x1.97b468818b53fp-2, 0x1.c351aca628c46p-1},
        {5, 3, 42, 0, 0x1.9cf318bd7f2dcp-1, 0x1.fb7a33d4db218p-1, 0x1.a8f84b42b4434p-1},
        {5, 3, 42, 4, 0x1.666f5dfb7d5f0p-3, 0x1.80b881b4a6604p-2, 0x1.e637e2ba1b494p-2},
        {3, 170, 1, 0, 0x1.b94ce70981740p-2, 0x1.291ba15e02980p-3, 0x1.2bbaf74adc17ap-1}, /* primes below 2000 */
        {3, 170, 1, 2, 0x1.603abbc8edb90p-1, 0x1.f50e6e991bdf2p-1, 0x1.7f95b941c0e70p-2},
    };
    int made = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        int dims = expected[i].dims;
        assert_int_equal(draw("halton", dims, NULL, expected[i].points, (uint64_t)expected[i].seed, points, &made), RV_OK);
        assert_int_equal(made, expected[i].points);
        const double *row = points + expected[i].row * dims;
        assert_true(row[0] == expected[i].first && row[1] == expected[i].second && row[dims - 1] == expected[i].last);
    }
}

/* ---- Sobol ------------------------------------------------------------------- */

/* torch.quasirandom.SobolEngine(37, scramble=False), points 7 and 1000, times 2^32. */
static void test_sobol_numbers(void **state)
{
    (void)state;
    static const uint32_t seventh[] = {536870912u, 2684354560u, 1610612736u, 536870912u};
    static const uint32_t thousandth[37] = {
        943718400u,  415236096u,  2227175424u, 2906652672u, 1203765248u, 3896508416u, 197132288u,  3862953984u,
        2151677952u, 297795584u,  364904448u,  1094713344u, 692060160u,  1648361472u, 616562688u,  1589641216u,
        3091202048u, 1480589312u, 4257218560u, 3116367872u, 2243952640u, 2361393152u, 4081057792u, 2319450112u,
        2503999488u, 3896508416u, 171966464u,  4206886912u, 255852544u,  1463812096u, 633339904u,  624951296u,
        1270874112u, 2545942528u, 3443523584u, 3309305856u, 3644850176u};
    for (int d = 0; d < 37; d++)
        assert_true(rv_sobol_bits(d, 0) == 0 && rv_sobol_bits(d, 1) == 1u << 31 &&
                    rv_sobol_bits(d, 1000) == thousandth[d]);
    for (int d = 0; d < 4; d++)
        assert_true(rv_sobol_bits(d, 7) == seventh[d]);
}

/* Whether the first 2^m points have one in each box 2^-a x 2^-(m - a) of dimensions 0 and 1. */
static bool is_net(const double *p, int dims, int m)
{
    for (int a = 0; a <= m; a++) {
        bool seen[1 << 10] = {false};
        for (int i = 0; i < 1 << m; i++) {
            int box = (int)ldexp(p[i * dims], a) << (m - a) | (int)ldexp(p[i * dims + 1], m - a);
            if (seen[box])
                return false;
            seen[box] = true;
        }
    }
    return true;
}

/* The scrambled first two dimensions are a (0, m, 2)-net, every other one a (0, m, 1)-net. */
static void test_sobol_is_a_net(void **state)
{
    (void)state;
    enum { DIMS = 8 };
    int made = 0;
    for (int m = 0; m <= 9; m++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            assert_int_equal(draw("sobol", DIMS, NULL, 1 << m, seed, points, &made), RV_OK);
            assert_true(is_net(points, DIMS, m));
            for (int d = 2; d < DIMS; d++) {
                bool seen[1 << 9] = {false};
                for (int i = 0; i < 1 << m; i++) {
                    int cell = (int)ldexp(points[i * DIMS + d], m);
                    assert_false(seen[cell]);
                    seen[cell] = true;
                }
            }
        }
    assert_int_equal(draw("random", DIMS, NULL, 1 << 9, 0, points, &made), RV_OK);
    assert_false(is_net(points, DIMS, 9)); /* the test can fail */
}

/* One scrambled point is uniform over seeds; the mean of a smooth function over 256 of them has a
 * far smaller error than over independent ones. */
static void test_sobol_scrambling(void **state)
{
    (void)state;
    enum { SEEDS = 2000, N = 256 };
    double sum = 0, square = 0, error[2] = {0};
    static const char *const names[] = {"sobol", "random"};
    int made = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_int_equal(draw("sobol", 2, NULL, 1, seed, points, &made), RV_OK);
        sum += points[1];
        square += points[1] * points[1];
    }
    assert_true(fabs(sum / SEEDS - 0.5) < 5 * sqrt(1 / 12.0 / SEEDS));
    assert_true(fabs(square / SEEDS - 1 / 3.0) < 5 * sqrt(4 / 45.0 / SEEDS));
    for (int k = 0; k < 2; k++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            double mean = 0;
            assert_int_equal(draw(names[k], 3, NULL, N, seed, points, &made), RV_OK);
            for (int i = 0; i < N; i++) {
                const double *u = points + 3 * i;
                mean += exp(u[0]) * cos(u[1]) * (0.5 + u[2]) / N;
            }
            error[k] += pow(mean - (exp(1) - 1) * sin(1), 2) / 50;
        }
    assert_true(error[0] < error[1] / 100);
}

/* ---- the others --------------------------------------------------------------- */

static void test_random(void **state)
{
    (void)state;
    double more[40];
    int made = 0;
    assert_int_equal(draw("random", 2, NULL, 10, 3, points, &made), RV_OK);
    assert_int_equal(draw("random", 2, NULL, 20, 3, more, &made), RV_OK);
    assert_memory_equal(points, more, 20 * sizeof(double)); /* more points change none of the first */
    assert_int_equal(draw("random", 2, NULL, 10, 4, more, &made), RV_OK);
    assert_memory_not_equal(points, more, 20 * sizeof(double));
}

static void test_grid(void **state)
{
    (void)state;
    static const int choices[] = {0, 3, 0};
    int made = 0;
    /* 3 feasible points leave 2 levels for each of two ranges within 25: 3 * 2 * 2. */
    assert_int_equal(draw("grid", 3, choices, 25, 0, points, &made), RV_OK);
    assert_int_equal(made, 12);
    int ends = 0, middles = 0;
    for (int i = 0; i < made; i++) {
        ends += points[3 * i] == 0 || points[3 * i] == 1;
        middles += fabs(points[3 * i + 1] - 0.5) < 1e-15;
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(points + 3 * i, points + 3 * k, 3 * sizeof(double));
    }
    assert_int_equal(ends, 12);
    assert_int_equal(middles, 4);
    assert_int_equal(draw("grid", 3, choices, 27, 0, points, &made), RV_OK);
    assert_int_equal(made, 27);
    assert_int_equal(draw("grid", 3, choices, 2, 0, points, &made), RV_E_RANGE);
    assert_int_equal(draw("grid", 1, choices, 1, 0, points, &made), RV_OK);
    assert_true(points[0] == 0.5);
}

static void test_registry(void **state)
{
    (void)state;
    const rv_point_sampler *sampler = NULL;
    rv_error err = {0};
    int made = 0;
    assert_int_equal(rv_point_sampler_find("soblo", &sampler, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "did you mean 'sobol'"));
    assert_int_equal(draw("sobol", 38, NULL, 1, 0, points, &made), RV_E_RANGE);
    for (int i = 0; rv_sampler_at(i); i++) {
        const rv_sampler_info *info = rv_sampler_at(i);
        assert_true(info->title && info->description && info->reference);
        assert_int_equal(draw(info->name, 2, NULL, 16, 1, points, &made), RV_OK);
        for (int k = 0; k < 2 * made; k++)
            assert_true(points[k] >= 0 && points[k] <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mt19937),          cmocka_unit_test(test_halton), cmocka_unit_test(test_sobol_numbers),
        cmocka_unit_test(test_sobol_is_a_net),   cmocka_unit_test(test_random), cmocka_unit_test(test_grid),
        cmocka_unit_test(test_sobol_scrambling), cmocka_unit_test(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
