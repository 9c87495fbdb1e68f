/* Making, stepping and looking into optimizers, for the tests of matrix methods. */
#ifndef TESTS_UNIT_OPTIM_HELP_H
#define TESTS_UNIT_OPTIM_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/optim.h"

static inline rv_optimizer *made(const char *method, const char *params, const rv_tensor *tensors, int count, double *const *w,
                          rv_pool *pool)
{
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64, .pool = pool};
    rv_optimizer *optimizer;
    rv_error err;
    if (rv_optimizer_new(&optimizer, &options, tensors, count, (const void *const *)w, &err) != RV_OK)
        fail_msg("%s: %s", params, err.message);
    return optimizer;
}

static inline void step(rv_optimizer *optimizer, double *const *w, double *const *g)
{
    rv_error err;
    if (rv_optimizer_step(optimizer, (void *const *)w, (const void *const *)g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static inline void refused(const char *method, const char *params, const char *mentions)
{
    const rv_tensor tensor = {.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {3, 2}}};
    double w[6] = {0};
    const void *const ws[] = {w};
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err = {0};
    assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, ws, &err), RV_E_ARGUMENT);
    if (!strstr(err.message, mentions))
        fail_msg("'%s' lacks '%s'", err.message, mentions);
}

static inline void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++)
        x[i] = sin(1.7 * i * i + phase) + 0.1 * i;
}

/* The array of the state called name. */
static inline double *state_of(rv_optimizer *optimizer, const char *name, int64_t *size)
{
    static rv_array arrays[64];
    const int count = rv_optimizer_state(optimizer, arrays, 64);
    for (int i = 0; i < count; i++)
        if (strcmp(arrays[i].name, name) == 0) {
            *size = rv_shape_size(&arrays[i].shape);
            return arrays[i].data;
        }
    fail_msg("no state %s", name);
    return NULL;
}

#endif
