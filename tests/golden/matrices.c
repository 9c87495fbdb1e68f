/* Matrix functions against facebookresearch/optimizers and the Muon reference, and against
 * what they mean: R^p A = I for roots, the shape of singular values for Newton-Schulz. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "optim/matrix/basis.h"
#include "optim/matrix/roots.h"
#include "optim/newton_schulz.h"

static json_t *golden;

static double *read_numbers(const json_t *list)
{
    double *numbers = malloc((json_array_size(list) + 1) * sizeof *numbers);
    for (size_t i = 0; i < json_array_size(list); i++)
        numbers[i] = json_number_value(json_array_get(list, i));
    return numbers;
}

/* max |a - b| / (1 + max |b|) */
static double distance(const double *a, const double *b, size_t n)
{
    double apart = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        apart = fmax(apart, fabs(a[i] - b[i]));
        most = fmax(most, fabs(b[i]));
    }
    return apart / (1 + most);
}

/* x under one set of coefficients, in double and in float, against the numbers called key. */
static void check_polar(const json_t *one, const char *key, rv_polar set, double tolerance)
{
    const int64_t rows = json_integer_value(json_object_get(one, "rows"));
    const int64_t cols = json_integer_value(json_object_get(one, "cols"));
    double *x = read_numbers(json_object_get(one, "M")), *expected = read_numbers(json_object_get(one, key));
    double *work = malloc(rv_newton_schulz_size(rows, cols) * sizeof *work);
    float *narrow = malloc((size_t)(rows * cols) * sizeof *narrow);
    float *narrow_work = malloc(rv_newton_schulz_size(rows, cols) * sizeof *narrow_work);
    for (int64_t k = 0; k < rows * cols; k++)
        narrow[k] = (float)x[k];
    rv_polar_f64(NULL, set, x, rows, cols, 5, work);
    assert_true(distance(x, expected, (size_t)(rows * cols)) < tolerance);
    const rv_team alone = {.rooms = aligned_alloc(64, RV_TEAM_ROOM)};
    rv_polar_f32(&alone, set, narrow, rows, cols, 5, narrow_work);
    for (int64_t k = 0; k < rows * cols; k++)
        x[k] = (double)narrow[k];
    assert_true(distance(x, expected, (size_t)(rows * cols)) < 1e-4);
    free(x);
    free(expected);
    free(work);
    free(narrow);
    free(narrow_work);
    free(alone.rooms);
}

static void test_newton_schulz(void **state)
{
    (void)state;
    const json_t *list = json_object_get(golden, "orthogonalisation");
    assert_true(json_array_size(list) == 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        check_polar(one, "muon_ns5", RV_POLAR_MUON, 1e-12);
        check_polar(one, "polar_express_5", RV_POLAR_EXPRESS, 1e-12);
        check_polar(one, "dshampoo_ns5", RV_POLAR_SHAMPOO, 1e-12);
    }
}

/* Modula's coefficients converge to the polar factor itself, every set has singular values near one. */
static void test_polar_factor(void **state)
{
    (void)state;
    enum { N = 6 };
    const double far[RV_POLAR_COUNT] = {0.35, 0.35, 0.35, 1e-9, 0.35};
    for (int set = 0; set < RV_POLAR_COUNT; set++) {
        double x[N * N], gram[N * N], values[N];
        double *work = malloc((rv_newton_schulz_size(N, N) + rv_basis_size(N)) * sizeof *work);
        for (int i = 0; i < N * N; i++)
            x[i] = (i % (N + 1) == 0 ? 5 : 0) + sin(1.7 * i * i + 1);
        rv_polar_f64(NULL, (rv_polar)set, x, N, N, set == RV_POLAR_MODULA ? 60 : 5, work);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                gram[i * N + j] = 0;
                for (int k = 0; k < N; k++)
                    gram[i * N + j] += x[i * N + k] * x[j * N + k];
            }
        assert_true(rv_eigen(gram, N, values, work));
        for (int i = 0; i < N; i++)
            if (!(fabs(sqrt(values[i]) - 1) < far[set]))
                fail_msg("set %d: singular value %g", set, sqrt(values[i]));
        free(work);
    }
}

static void test_zero_stays_zero(void **state)
{
    (void)state;
    double x[6] = {0}, work[2 * 4 + 6];
    rv_newton_schulz_f64(NULL, x, 2, 3, 5, work);
    for (int i = 0; i < 6; i++)
        assert_true(x[i] == 0);
}

/* The root of one entry by one solver, against the numbers called key; absent: not checked. */
static int check_root(const json_t *one, const char *key, rv_root how, double tolerance)
{
    if (!json_object_get(one, key))
        return 0;
    const int n = (int)json_integer_value(json_object_get(one, "n"));
    how.epsilon = json_number_value(json_object_get(one, "epsilon"));
    how.power = 1 / json_number_value(json_object_get(one, "root"));
    double *a = read_numbers(json_object_get(one, "A")), *expected = read_numbers(json_object_get(one, key));
    double *found = malloc((size_t)(n * n) * sizeof *found), *work = malloc(rv_root_size(n) * sizeof *work);
    assert_true(rv_inverse_root(&how, a, n, found, work));
    if (!(distance(found, expected, (size_t)(n * n)) < tolerance))
        fail_msg("%s, n %d: %.2e", key, n, distance(found, expected, (size_t)(n * n)));
    for (int r = 0; r < n; r++)
        for (int c = 0; c < r; c++)
            assert_true(found[r * n + c] == found[c * n + r]);
    free(a);
    free(expected);
    free(found);
    free(work);
    return 1;
}

static void test_inverse_roots(void **state)
{
    (void)state;
    const json_t *list = json_object_get(golden, "inverse_roots");
    int found[5] = {0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        found[0] += check_root(one, "eigen", (rv_root){.perturb = RV_PERTURB_BEFORE}, 1e-6);
        found[1] += check_root(one, "eigen_perturb_after", (rv_root){.perturb = RV_PERTURB_AFTER}, 1e-6);
        found[2] += check_root(one, "pseudo_inverse_rtol_none", (rv_root){.perturb = RV_PERTURB_PSEUDO}, 1e-6);
        found[3] += check_root(one, "coupled_newton_tol1e-6",
                               (rv_root){.solver = RV_ROOT_NEWTON, .tolerance = 1e-6, .iterations = 100}, 1e-6);
        found[4] += check_root(one, "higher_order_order3_abs_eps",
                               (rv_root){.solver = RV_ROOT_HIGHER_ORDER, .tolerance = 1e-8, .iterations = 100, .order = 3},
                               1e-6);
    }
    assert_true(found[0] == 24 && found[1] == 24 && found[2] == 1 && found[3] == 24 && found[4] == 24);
}

/* What a solver may be asked for. */
static void test_root_check(void **state)
{
    (void)state;
    rv_error err;
    const rv_root whole = {.solver = RV_ROOT_NEWTON, .power = 0.25}, part = {.solver = RV_ROOT_NEWTON, .power = 0.75};
    const rv_root fraction = {.solver = RV_ROOT_HIGHER_ORDER, .power = 0.75};
    const rv_root none = {.solver = RV_ROOT_HIGHER_ORDER, .power = 0.123456789};
    assert_int_equal(rv_root_check(&whole, "x", &err), RV_OK);
    assert_int_equal(rv_root_check(&part, "x", &err), RV_E_ARGUMENT);
    assert_int_equal(rv_root_check(&fraction, "x", &err), RV_OK);
    assert_int_equal(rv_root_check(&none, "x", &err), RV_E_ARGUMENT);
}

/* A = B B' for some B without special structure. */
static void gram_of(double *a, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            a[i * n + j] = 0;
            for (int k = 0; k < n; k++)
                a[i * n + j] += sin(1.7 * (i * n + k) * (i * n + k) + 1) * sin(1.7 * (j * n + k) * (j * n + k) + 1);
        }
}

/* (A + eps I)^(-1/2) squared, times A + eps I, is I, whatever takes the root. */
static void test_root_inverts(void **state)
{
    (void)state;
    enum { N = 5 };
    for (int solver = RV_ROOT_EIGEN; solver <= RV_ROOT_HIGHER_ORDER; solver++) {
        double a[N * N], copy[N * N], root[N * N], *work = malloc(rv_root_size(N) * sizeof *work);
        const rv_root how = {.solver = (rv_root_solver)solver, .epsilon = 1e-3, .power = 0.5, .tolerance = 1e-13,
                             .iterations = 100, .order = 4};
        gram_of(a, N);
        memcpy(copy, a, sizeof a);
        assert_true(rv_inverse_root(&how, copy, N, root, work));
        for (int i = 0; i < N; i++)
            a[i * N + i] += how.epsilon;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < N; k++)
                    for (int l = 0; l < N; l++)
                        sum += root[i * N + k] * root[k * N + l] * a[l * N + j];
                assert_true(fabs(sum - (i == j)) < 1e-9);
            }
        free(work);
    }
}

/* A sweep keeps the basis orthonormal and its values in ascending order, and leaves
 * eigenvectors where they are.  (Repeated sweeps need not settle: unshifted QR converges to
 * descending order, the reference sorts ascending after every one.) */
static void test_sweep(void **state)
{
    (void)state;
    enum { N = 5 };
    double a[N * N], q[N * N], before[N * N], values[N], *work = malloc(rv_root_size(N) * sizeof *work);
    gram_of(q, N);
    assert_true(rv_eigen(q, N, values, work));
    memcpy(before, q, sizeof q);
    gram_of(a, N);
    assert_true(rv_basis_sweep(a, q, N, work));
    for (int i = 0; i < N * N; i++) /* up to sign */
        assert_true(fabs(fabs(q[i]) - fabs(before[i])) < 1e-9);
    memset(q, 0, sizeof q);
    for (int i = 0; i < N; i++)
        q[i * N + i] = 1;
    for (int k = 0; k < 3; k++) {
        gram_of(a, N);
        assert_true(rv_basis_sweep(a, q, N, work));
    }
    gram_of(a, N);
    double last = 0;
    for (int i = 0; i < N; i++) {
        double value = 0;
        for (int j = 0; j < N; j++) {
            double dot = 0;
            for (int k = 0; k < N; k++) {
                dot += q[i * N + k] * q[j * N + k];
                value += q[i * N + j] * a[j * N + k] * q[i * N + k];
            }
            assert_true(fabs(dot - (i == j)) < 1e-13);
        }
        assert_true(value >= last - 1e-12);
        last = value;
    }
    free(work);
}

/* Columns stay orthonormal where the matrix has no full rank. */
static void test_orthonormal(void **state)
{
    (void)state;
    enum { ROWS = 7, N = 4 };
    double a[ROWS * N], copy[ROWS * N], r[N * N], *work = malloc(rv_root_size(N) * sizeof *work);
    for (int i = 0; i < ROWS * N; i++)
        a[i] = i % N == 3 ? 0 : cos(1.0 + i * i);
    memcpy(copy, a, sizeof a);
    assert_true(rv_orthonormal(a, ROWS, N, r, work));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < ROWS; k++)
                sum += a[k * N + i] * a[k * N + j];
            assert_true(fabs(sum - (i == j)) < 1e-13);
            assert_true(j >= i || r[i * N + j] == 0);
        }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i * N + k] * r[k * N + j];
            assert_true(fabs(sum - copy[i * N + j]) < 1e-13);
        }
    free(work);
}

int main(void)
{
    rv_error err;
    if (rv_json_read(RV_TEST_SOURCE "/tests/golden/matrix_functions.json", &golden, &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newton_schulz),
        cmocka_unit_test(test_polar_factor),
        cmocka_unit_test(test_zero_stays_zero),
        cmocka_unit_test(test_inverse_roots),
        cmocka_unit_test(test_root_check),
        cmocka_unit_test(test_root_inverts),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_orthonormal),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
