/* A matrix and a vector in double, an optimizer for them, and a bowl. */
#ifndef TESTS_UNIT_OPTIM_PAIR_H
#define TESTS_UNIT_OPTIM_PAIR_H

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

enum { ROWS = 6, COLS = 4, N = ROWS * COLS, BIAS = 5 };

/* A matrix, and with count 2 a vector. */
static const rv_tensor pair[] = {{.name = "m", .role = RV_ROLE_HIDDEN, .shape = {2, {ROWS, COLS}}},
                                 {.name = "b", .role = RV_ROLE_BIAS, .shape = {1, {BIAS}}}};

typedef struct trained {
    double m[N], b[BIAS], gm[N], gb[BIAS], x[N];
    rv_optimizer *optimizer;
} trained;

static inline void fill(double *x, int n, double phase)
{
    for (int i = 0; i < n; i++)
        x[i] = sin(1.7 * i * i + phase) + 0.1 * i;
}

static inline double norm(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static inline double apart(const double *a, const double *b, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static inline void begin(trained *t, const char *method, const char *params, const char *rules, int count)
{
    fill(t->m, N, 0.3);
    fill(t->b, BIAS, 1);
    const void *const w[] = {t->m, t->b};
    const rv_optimizer_options options = {.method = method, .params = params, .rules = rules, .dtype = RV_F64};
    rv_error err;
    if (rv_optimizer_new(&t->optimizer, &options, pair, count, w, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static inline void step(trained *t)
{
    void *const w[] = {t->m, t->b};
    const void *const g[] = {t->gm, t->gb};
    rv_error err;
    if (rv_optimizer_step(t->optimizer, w, g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

/* Gradient of 1/2 sum (1 + i/10) w_i^2. */
static inline void bowl(trained *t)
{
    for (int i = 0; i < N; i++)
        t->gm[i] = (1 + 0.1 * i) * t->m[i];
    for (int i = 0; i < BIAS; i++)
        t->gb[i] = (1 + 0.1 * i) * t->b[i];
}

/* The array of the state whose name ends so. */
static inline const double *state_of(rv_optimizer *optimizer, const char *end, rv_shape *shape)
{
    rv_array arrays[64];
    const int count = rv_optimizer_state(optimizer, arrays, 64);
    for (int i = 0; i < count; i++) {
        const size_t n = strlen(arrays[i].name), m = strlen(end);
        if (n >= m && strcmp(arrays[i].name + n - m, end) == 0) {
            if (shape)
                *shape = arrays[i].shape;
            return arrays[i].data;
        }
    }
    fail_msg("no array %s", end);
    return NULL;
}

#endif
