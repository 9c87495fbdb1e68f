/* Memory and comparison for the tests of float32 kernels. */
#ifndef RV_TEST_KERNEL_HELP_H
#define RV_TEST_KERNEL_HELP_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ravine/core.h"

enum { MOST = 8192 };

static float a[MOST], b[MOST], c[MOST], y[MOST], z[MOST];
static double expected[MOST];

/* Numbers in (-1, 1), the same on every run. */
static void fill(float *x, size_t n, uint64_t seed)
{
    const rv_random stream = {seed, RV_RANDOM_PROBE, 0};
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * rv_random_uniform(stream, i) - 1);
}

static void assert_near(const float *found, const double *wanted, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(found[i] - wanted[i]) <= tolerance * (1 + fabs(wanted[i]))))
            fail_msg("element %zu of %zu: expected %.9g, found %.9g", i, n, wanted[i], found[i]);
}

#endif
