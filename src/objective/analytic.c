/* Analytic objectives: x is widened to double, the formula is evaluated there, and
 * the gradient rounded once; a non-finite value or gradient is an error here. */
#include "objective/analytic.h"

#include <math.h>
#include <stdlib.h>

typedef struct analytic_objective {
    rv_objective base;
    rv_analytic formula;
    rv_tensor tensor;
    rv_layout layout;
    double *x, *g; /* [size] */
} analytic_objective;

static void widen(const analytic_objective *o, const void *w)
{
    for (int64_t i = 0; i < o->formula.size; i++)
        o->x[i] = o->base.dtype == RV_F64 ? ((const double *)w)[i] : (double)((const float *)w)[i];
}

/* Rounds size doubles into w and zeroes the gap behind them. */
static void narrow(const analytic_objective *o, const double *from, void *w)
{
    for (int64_t i = 0; i < o->layout.size; i++) {
        double value = i < o->formula.size ? from[i] : 0;
        if (o->base.dtype == RV_F64)
            ((double *)w)[i] = value;
        else
            ((float *)w)[i] = (float)value;
    }
}

static rv_status init(rv_objective *objective, uint64_t seed, void *w, rv_error *err)
{
    (void)err;
    analytic_objective *o = (analytic_objective *)objective;
    o->formula.start(o->formula.context, seed, o->x);
    narrow(o, o->x, w);
    return RV_OK;
}

static rv_status value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g, double *loss,
                            rv_error *err)
{
    analytic_objective *o = (analytic_objective *)objective;
    widen(o, w);
    *loss = o->formula.value_grad(o->formula.context, o->x, batch, o->g);
    if (!isfinite(*loss))
        return rv_fail(err, RV_E_NUMERIC, "%s: the loss is not finite", o->base.name);
    for (int64_t i = 0; i < o->formula.size; i++)
        if (!isfinite(o->g[i]) || (o->base.dtype == RV_F32 && !isfinite((float)o->g[i])))
            return rv_fail(err, RV_E_NUMERIC, "%s: gradient of %s[%lld] is not finite", o->base.name,
                           o->tensor.name, (long long)i);
    narrow(o, o->g, g);
    return RV_OK;
}

static rv_status evaluate(rv_objective *objective, const void *w, rv_split split, rv_metrics *metrics,
                          rv_error *err)
{
    (void)err;
    analytic_objective *o = (analytic_objective *)objective;
    widen(o, w);
    o->formula.evaluate(o->formula.context, o->x, split, metrics);
    return RV_OK;
}

static rv_status hessian_vector(rv_objective *objective, const void *w, rv_batch batch, const double *v, double *hv,
                                rv_error *err)
{
    (void)err;
    analytic_objective *o = (analytic_objective *)objective;
    widen(o, w);
    for (int64_t i = o->formula.size; i < o->layout.size; i++)
        hv[i] = 0;
    o->formula.hessian_vector(o->formula.context, o->x, batch, v, hv);
    return RV_OK;
}

static void release(rv_objective *objective)
{
    analytic_objective *o = (analytic_objective *)objective;
    if (o->formula.release)
        o->formula.release(o->formula.context);
    free(o->x);
    free(o->g);
    free(o);
}

static const rv_objective_methods gradients_only = {.init = init, .value_grad = value_grad, .evaluate = evaluate,
                                                    .free = release};
static const rv_objective_methods with_curvature = {.init = init, .value_grad = value_grad, .evaluate = evaluate,
                                                    .free = release, .hessian_vector = hessian_vector};

rv_status rv_analytic_new(rv_objective **out, const rv_analytic *analytic, rv_dtype dtype, rv_error *err)
{
    analytic_objective *o = calloc(1, sizeof *o);
    size_t size = (size_t)analytic->size;
    double *x = calloc(size, sizeof *x), *g = calloc(size, sizeof *g);
    if (!o || !x || !g) {
        free(o);
        free(x);
        free(g);
        if (analytic->release)
            analytic->release(analytic->context);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu parameters", analytic->name, size);
    }
    o->formula = *analytic;
    o->x = x;
    o->g = g;
    o->tensor = (rv_tensor){.name = "x", .role = RV_ROLE_POINT, .shape = RV_SHAPE(analytic->size)};
    o->layout = (rv_layout){.count = 1, .tensors = &o->tensor, .size = (analytic->size + 15) / 16 * 16};
    o->base = (rv_objective){.methods = analytic->hessian_vector ? &with_curvature : &gradients_only, .name = analytic->name, .layout = &o->layout,
                             .dtype = dtype, .examples = analytic->examples, .epoch = analytic->epoch};
    *out = &o->base;
    return RV_OK;
}
