/* Matrices for the tests of products. */
#ifndef RV_TEST_MATRIX_HELP_H
#define RV_TEST_MATRIX_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ravine/core.h"

/* Normal numbers, the same on every run; one more than n, so that there is memory for none.  The caller frees. */
static float *filled(int64_t n, uint64_t stream)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)rv_random_normal((rv_random){stream, RV_RANDOM_DATA, 0}, (uint64_t)i);
    return x;
}

#endif
