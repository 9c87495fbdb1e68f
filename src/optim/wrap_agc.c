/* Adaptive gradient clipping: no unit's gradient is larger than a share of its weights.
 *     per row of a matrix or kernel, or per whole vector:
 *     most = clipping max(||w||, eps);  g <- g most/max(||g||, 1e-6) where ||g|| > most
 * Reference: Brock et al. 2021, equation 3; optax.adaptive_grad_clip has the same floors. */
#ifndef RV_REAL

#include <math.h>

#include "optim/method.h"

#define RV_KERNEL_FILE "optim/wrap_agc.c"

#define AGC_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(clipping, 0.01, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "largest ||g||/||w|| of a unit") \
    REAL(eps, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "least ||w|| that counts")         \
    BOOL(head, false, "clip the head too; the paper leaves it alone")
RV_PARAM_STRUCT(agc_params, AGC_PARAMS);
RV_PARAM_TABLE(agc_table, "agc", agc_params, AGC_PARAMS);

#include "optim/kernel.h"

static rv_fault task(const rv_run *run, const void *context, int tensor, int worker)
{
    (void)worker;
    return (run->dtype == RV_F32 ? agc_f32 : agc_f64)(run, context, tensor);
}

static rv_status before(const rv_run *run)
{
    (void)rv_run_own_gradient(run);
    return rv_run_each(run, run->count, task, NULL, run->params);
}

const rv_wrapper rv_wrapper_agc = {
    .method = {.info = {.name = "agc",
                        .version = 1,
                        .title = "Adaptive gradient clipping, per unit",
                        .equations = "per row of a matrix or kernel, per whole vector: most = clipping max(||w||, eps)\n"
                                     "g <- g most/max(||g||, 1e-6) where ||g|| > most",
                        .paper = "Brock, De, Smith & Simonyan 2021, High-performance large-scale image recognition "
                                 "without normalization",
                        .reference = "timm 1.0.31 timm/utils/agc.py",
                        .deviations = "none",
                        .params = &agc_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .filters = true,
};

#else

static double RV_FN(norm)(const RV_REAL *x, int64_t n)
{
    double lanes[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, n, lanes);
    return sqrt(RV_FN(rv_lanes)(lanes));
}

/* run->g is our own copy. */
static rv_fault RV_FN(agc)(const rv_run *run, const agc_params *p, int tensor)
{
    const rv_tensor *shape = &run->tensors[tensor];
    const int64_t size = rv_shape_size(&shape->shape);
    const int64_t rows = shape->shape.rank > 1 && size > 0 ? shape->shape.dim[0] : 1, cols = size / rows;
    RV_REAL *g = (RV_REAL *)(uintptr_t)run->g[tensor];
    if (!RV_FN(rv_finite)(g, size))
        return RV_FAULT_GRADIENT;
    if (shape->role == RV_ROLE_HEAD && !p->head)
        return RV_FAULT_NONE;
    for (int64_t r = 0; r < rows; r++, g += cols) {
        const double most = p->clipping * fmax(RV_FN(norm)((const RV_REAL *)run->w[tensor] + r * cols, cols), p->eps);
        const double norm = RV_FN(norm)(g, cols);
        if (!(norm > most))
            continue;
        const RV_REAL scale = (RV_REAL)(most / fmax(norm, 1e-6));
        for (int64_t i = 0; i < cols; i++)
            g[i] *= scale;
    }
    return RV_FAULT_NONE;
}

#endif
