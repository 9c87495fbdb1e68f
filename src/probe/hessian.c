/* Gradients of the probe's function, products with its Hessian, power iteration, trace.
 * Invariant: the objective's running statistics are as before after every call. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"

static rv_batch batch_at(const rv_probe_target *p, int k)
{
    return (rv_batch){.seed = p->seed, .step = p->first + (uint64_t)k, .parts = 1};
}

static rv_status mean_gradient(const rv_probe_target *p, const void *w, void *part, double *g, double *loss, rv_error *err)
{
    rv_objective *o = p->objective;
    *loss = 0;
    for (int64_t i = 0; g && i < o->layout->size; i++)
        g[i] = 0;
    for (int k = 0; k < p->batches; k++) {
        double value;
        RV_TRY(rv_objective_value_grad(o, w, batch_at(p, k), part, &value, err));
        *loss += value / p->batches;
        for (int64_t i = 0; g && i < o->layout->size; i++)
            g[i] += rv_vector_at(part, o->dtype, i) / p->batches;
    }
    return RV_OK;
}

rv_status rv_probe_gradient(const rv_probe_target *probe, const void *w, double *g, double *loss, rv_error *err)
{
    assert(probe->batches >= 1);
    double value;
    void *statistics, *part = rv_weights_new(probe->objective, err);
    rv_status status = part ? rv_statistics_save(probe->objective, &statistics, err) : RV_E_MEMORY;
    if (status == RV_OK) {
        status = mean_gradient(probe, w, part, g, &value, err);
        rv_statistics_restore(probe->objective, statistics);
        if (status == RV_OK && loss)
            *loss = value;
    }
    free(part);
    return status;
}

static rv_status exact_product(const rv_probe_target *p, const void *w, const double *v, double *part, double *hv,
                               rv_error *err)
{
    rv_objective *o = p->objective;
    int64_t n = o->layout->size;
    for (int64_t i = 0; i < n; i++)
        hv[i] = 0;
    for (int k = 0; k < p->batches; k++) {
        RV_TRY(o->methods->hessian_vector(o, w, batch_at(p, k), v, part, err));
        rv_vector_add(hv, 1.0 / p->batches, part, n);
    }
    return RV_OK;
}

/* (g(w + h u) - g(w - h u)) / 2h, u = v / |v|, times |v|. */
static rv_status difference(const rv_probe_target *p, const void *w, const double *v, double norm, double *low, double *hv,
                            rv_error *err)
{
    const rv_objective *o = p->objective;
    int64_t n = o->layout->size;
    double size = 0, epsilon = o->dtype == RV_F64 ? DBL_EPSILON : FLT_EPSILON;
    for (int64_t i = 0; i < n; i++)
        size += pow(rv_vector_at(w, o->dtype, i), 2);
    double h = cbrt(epsilon) * (1 + sqrt(size / (double)rv_layout_parameters(o->layout)));
    void *moved = rv_weights_new(o, err);
    rv_status status = moved ? RV_OK : RV_E_MEMORY;
    if (status == RV_OK) {
        rv_vector_move(moved, w, o->dtype, h / norm, v, n);
        status = rv_probe_gradient(p, moved, hv, NULL, err);
    }
    if (status == RV_OK) {
        rv_vector_move(moved, w, o->dtype, -h / norm, v, n);
        status = rv_probe_gradient(p, moved, low, NULL, err);
    }
    for (int64_t i = 0; status == RV_OK && i < n; i++)
        hv[i] = (hv[i] - low[i]) / (2 * h) * norm;
    free(moved);
    return status;
}

rv_status rv_probe_hessian_vector(const rv_probe_target *probe, const void *w, const double *v, double *hv, rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    double norm = rv_vector_norm(v, n);
    double *part = rv_vector_new(probe->objective, 1, err);
    if (!part)
        return RV_E_MEMORY;
    rv_status status = RV_OK;
    if (probe->objective->methods->hessian_vector)
        status = exact_product(probe, w, v, part, hv, err);
    else if (norm > 0)
        status = difference(probe, w, v, norm, part, hv, err);
    else
        for (int64_t i = 0; i < n; i++)
            hv[i] = 0;
    free(part);
    return status;
}

rv_status rv_probe_power(const rv_probe_target *probe, const void *w, uint64_t seed, int most, double tolerance,
                         rv_eigen *top, rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    double *v = rv_vector_new(probe->objective, 2, err);
    if (!v)
        return RV_E_MEMORY;
    double *hv = v + n;
    rv_status status = RV_OK;
    *top = (rv_eigen){0, HUGE_VAL, 0};
    rv_direction_draw(probe->objective, w, RV_DIRECTION_GAUSSIAN, seed, 0, v);
    rv_vector_scale(v, 1 / rv_vector_norm(v, n), n);
    while (top->iterations < most && top->residual > tolerance * fabs(top->value)) {
        status = rv_probe_hessian_vector(probe, w, v, hv, err);
        if (status != RV_OK)
            break;
        double size = rv_vector_norm(hv, n);
        top->iterations++;
        top->value = rv_vector_dot(v, hv, n);
        top->residual = 0;
        for (int64_t i = 0; i < n; i++)
            top->residual += pow(hv[i] - top->value * v[i], 2);
        top->residual = sqrt(top->residual);
        if (!(size > 0))
            break;
        for (int64_t i = 0; i < n; i++)
            v[i] = hv[i] / size;
    }
    free(v);
    return status;
}

rv_status rv_probe_trace(const rv_probe_target *probe, const void *w, uint64_t seed, int samples, rv_estimate *trace,
                         rv_error *err)
{
    int64_t n = probe->objective->layout->size;
    double *v = rv_vector_new(probe->objective, 2, err), sum = 0, squares = 0;
    rv_status status = v ? RV_OK : RV_E_MEMORY;
    for (int k = 0; k < samples && status == RV_OK; k++) {
        rv_direction_draw(probe->objective, w, RV_DIRECTION_GAUSSIAN, seed, (uint64_t)k, v);
        for (int64_t i = 0; i < n; i++)
            v[i] = v[i] > 0 ? 1 : v[i] < 0 ? -1 : 0; /* gaps stay zero */
        status = rv_probe_hessian_vector(probe, w, v, v + n, err);
        double value = rv_vector_dot(v, v + n, n);
        sum += value;
        squares += value * value;
    }
    double mean = sum / samples, spread = fmax(squares / samples - mean * mean, 0);
    *trace = (rv_estimate){mean, samples > 1 ? sqrt(spread / (samples - 1)) : NAN, samples};
    free(v);
    return status;
}
