/* SGD on a quadratic of two parameters, without running it.  Invariant: what is predicted uses the objective's
 * gradients and Hessians at its minimum alone, no run and no fitted constant. */
#include "studies/stationary.h"

#include <math.h>
#include <stdio.h>

#include "ravine/probe.h"
#include "studies/descend.h"

/* ---- the exact problem, through the objective's interface ------------------------- */

rv_status rv_quadratic_open(rv_study_run *run, int batch, double noise, rv_quadratic *q, rv_error *err)
{
    char text[64];
    snprintf(text, sizeof text, "noise=%.17g", noise);
    RV_TRY(rv_study_objective(run, "linear-regression", text, RV_BACKEND_REF, batch, &q->o, err));
    rv_objective *full;
    rv_status status = rv_study_objective(run, "linear-regression", text, RV_BACKEND_REF, 100, &full, err);
    if (status != RV_OK)
        return status;
    double zero[RV_QUADRATIC_VECTOR] = {0}, g[RV_QUADRATIC_VECTOR], column[RV_QUADRATIC_VECTOR];
    rv_probe_target probe = {.objective = full, .batches = 1};
    status = rv_probe_gradient(&probe, zero, g, NULL, err);
    for (int k = 0; k < RV_QUADRATIC_DIM && status == RV_OK; k++) {
        double unit[RV_QUADRATIC_VECTOR] = {0};
        unit[k] = 1;
        status = rv_probe_hessian_vector(&probe, zero, unit, column, err);
        for (int i = 0; i < RV_QUADRATIC_DIM; i++)
            q->hessian[i * RV_QUADRATIC_DIM + k] = column[i];
    }
    const double *h = q->hessian, determinant = h[0] * h[3] - h[1] * h[2];
    for (int i = 0; i < RV_QUADRATIC_VECTOR; i++)
        q->best[i] = 0;
    q->best[0] = -(h[3] * g[0] - h[1] * g[1]) / determinant;
    q->best[1] = -(h[0] * g[1] - h[2] * g[0]) / determinant;
    if (status == RV_OK)
        status = rv_study_evaluate(full, q->best, RV_SPLIT_TRAIN, "loss", &q->minimum, err);
    rv_objective_free(full);
    return status;
}

double rv_quadratic_excess(const rv_quadratic *q, const double *w)
{
    double x = w[0] - q->best[0], y = w[1] - q->best[1];
    const double *h = q->hessian;
    return (h[0] * x * x + (h[1] + h[2]) * x * y + h[3] * y * y) / 2;
}

/* ---- the prediction ----------------------------------------------------------------- */

rv_status rv_moments_sample(const rv_quadratic *q, int64_t samples, rv_moments *m, rv_error *err)
{
    *m = (rv_moments){0};
    for (int64_t k = 0; k < samples; k++) {
        double g[RV_QUADRATIC_VECTOR], first[RV_QUADRATIC_VECTOR], second[RV_QUADRATIC_VECTOR], unit[2][RV_QUADRATIC_VECTOR] = {{1}, {0, 1}};
        rv_probe_target probe = {q->o, 977, (uint64_t)k, 1};
        RV_TRY(rv_probe_gradient(&probe, q->best, g, NULL, err));
        RV_TRY(rv_probe_hessian_vector(&probe, q->best, unit[0], first, err));
        RV_TRY(rv_probe_hessian_vector(&probe, q->best, unit[1], second, err));
        double a = first[0], b = first[1], c = second[1], n = (double)samples;
        const double rows[3][3] = {{a * a, 2 * a * b, b * b}, {a * b, a * c + b * b, b * c}, {b * b, 2 * b * c, c * c}};
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                m->second[i][j] += rows[i][j] / n;
        m->mean[0] += a / n;
        m->mean[1] += b / n;
        m->mean[2] += c / n;
        m->noise[0] += g[0] * g[0] / n;
        m->noise[1] += g[0] * g[1] / n;
        m->noise[2] += g[1] * g[1] / n;
    }
    return RV_OK;
}

/* S -> E[(I - lr H) S (I - lr H)] as a matrix on (s0, s1, s2). */
static void transition(const rv_moments *m, double lr, double t[3][3])
{
    const double a = m->mean[0], b = m->mean[1], c = m->mean[2];
    const double linear[3][3] = {{2 * a, 2 * b, 0}, {b, a + c, b}, {0, 2 * b, 2 * c}};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            t[i][j] = (i == j) - lr * linear[i][j] + lr * lr * m->second[i][j];
}

double rv_stationary_excess(const rv_quadratic *q, const rv_moments *m, double lr)
{
    double t[3][3], s[3] = {0};
    transition(m, lr, t);
    for (int k = 0; k < 200000; k++) {
        double next[3];
        for (int i = 0; i < 3; i++)
            next[i] = t[i][0] * s[0] + t[i][1] * s[1] + t[i][2] * s[2] + lr * lr * m->noise[i];
        double moved = fabs(next[0] - s[0]) + fabs(next[2] - s[2]);
        for (int i = 0; i < 3; i++)
            s[i] = next[i];
        if (!(s[0] + s[2] < 1e6))
            return HUGE_VAL;
        if (moved < 1e-14 * (s[0] + s[2]))
            break;
    }
    return (q->hessian[0] * s[0] + 2 * q->hessian[1] * s[1] + q->hessian[3] * s[2]) / 2;
}

double rv_stationary_limit(const rv_quadratic *q, const rv_moments *m)
{
    double low = 0.01, high = 100;
    for (int k = 0; k < 40; k++) {
        double middle = sqrt(low * high);
        if (isinf(rv_stationary_excess(q, m, middle)))
            high = middle;
        else
            low = middle;
    }
    return low;
}
