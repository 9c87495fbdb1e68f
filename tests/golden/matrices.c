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
#include "optim/eigen.h"
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

static void test_newton_schulz(void **state)
{
    (void)state;
    const json_t *list = json_object_get(golden, "orthogonalisation");
    assert_true(json_array_size(list) == 5);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const int64_t rows = json_integer_value(json_object_get(one, "rows"));
        const int64_t cols = json_integer_value(json_object_get(one, "cols"));
        double *x = read_numbers(json_object_get(one, "M"));
        double *expected = read_numbers(json_object_get(one, "muon_ns5"));
        double *work = malloc(rv_newton_schulz_size(rows, cols) * sizeof *work);
        float *narrow = malloc((size_t)(rows * cols) * sizeof *narrow);
        float *narrow_work = malloc(rv_newton_schulz_size(rows, cols) * sizeof *narrow_work);
        for (int64_t k = 0; k < rows * cols; k++)
            narrow[k] = (float)x[k];
        rv_newton_schulz_f64(x, rows, cols, 5, work);
        assert_true(distance(x, expected, (size_t)(rows * cols)) < 1e-10);
        rv_newton_schulz_f32(narrow, rows, cols, 5, narrow_work);
        for (int64_t k = 0; k < rows * cols; k++)
            x[k] = (double)narrow[k];
        assert_true(distance(x, expected, (size_t)(rows * cols)) < 1e-4);
        free(x);
        free(expected);
        free(work);
        free(narrow);
        free(narrow_work);
    }
}

static void test_zero_stays_zero(void **state)
{
    (void)state;
    double x[6] = {0}, work[2 * 4 + 6];
    rv_newton_schulz_f64(x, 2, 3, 5, work);
    for (int i = 0; i < 6; i++)
        assert_true(x[i] == 0);
}

static void test_inverse_roots(void **state)
{
    (void)state;
    const json_t *list = json_object_get(golden, "inverse_roots");
    assert_true(json_array_size(list) == 18);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const int n = (int)json_integer_value(json_object_get(one, "n"));
        const double epsilon = json_number_value(json_object_get(one, "epsilon"));
        const double root = json_number_value(json_object_get(one, "root"));
        double *a = read_numbers(json_object_get(one, "A"));
        double *expected = read_numbers(json_object_get(one, "eigen_perturb_after"));
        double *found = malloc((size_t)(n * n) * sizeof *found);
        double *work = malloc(rv_inverse_root_size(n) * sizeof *work);
        assert_true(rv_inverse_root(a, n, epsilon, 1 / root, found, work));
        assert_true(distance(found, expected, (size_t)(n * n)) < 1e-6);
        for (int r = 0; r < n; r++)
            for (int c = 0; c < r; c++)
                assert_true(found[r * n + c] == found[c * n + r]);
        free(a);
        free(expected);
        free(found);
        free(work);
    }
}

/* (A + eps I)^(-1/2) squared, times A + eps I, is I. */
static void test_root_inverts(void **state)
{
    (void)state;
    enum { N = 5 };
    double b[N * N], a[N * N], copy[N * N], root[N * N], work[1 + N + 1 + 6 * N + 2 * N * N + 3 + 5 * N];
    const double epsilon = 1e-3;
    for (int i = 0; i < N * N; i++)
        b[i] = sin(3.0 * i + 1);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i * N + j] = 0;
            for (int k = 0; k < N; k++)
                a[i * N + j] += b[i * N + k] * b[j * N + k];
        }
    memcpy(copy, a, sizeof a);
    assert_true(rv_inverse_root_size(N) * sizeof(double) <= sizeof work);
    assert_true(rv_inverse_root(copy, N, epsilon, 0.5, root, work));
    for (int i = 0; i < N; i++)
        a[i * N + i] += epsilon;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                for (int l = 0; l < N; l++)
                    sum += root[i * N + k] * root[k * N + l] * a[l * N + j];
            assert_true(fabs(sum - (i == j)) < 1e-10);
        }
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
        cmocka_unit_test(test_zero_stays_zero),
        cmocka_unit_test(test_inverse_roots),
        cmocka_unit_test(test_root_inverts),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
