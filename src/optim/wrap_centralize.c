/* Gradient centralisation: the gradient of every output unit has mean zero.
 *     tensors of two or more axes: g <- g - mean of g over all axes but the first
 * Reference: Yong et al. 2020; kozistr/pytorch_optimizer 7a076d2f
 * pytorch_optimizer/optimizer/gradient_centralization.py. */
#ifndef RV_REAL

#include "optim/method.h"

#define CENTRALIZE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    BOOL(conv_only, false, "tensors of four or more axes only")
RV_PARAM_STRUCT(centralize_params, CENTRALIZE_PARAMS);
RV_PARAM_TABLE(centralize_table, "centralize", centralize_params, CENTRALIZE_PARAMS);

#define RV_KERNEL_FILE "optim/wrap_centralize.c"
#include "optim/kernel.h"

static rv_fault task(const rv_run *run, const void *context, int tensor, int worker)
{
    (void)worker;
    return (run->dtype == RV_F32 ? centralize_f32 : centralize_f64)(run, context, tensor);
}

static rv_status before(const rv_run *run)
{
    (void)rv_run_own_gradient(run);
    return rv_run_each(run, run->count, task, NULL, run->params);
}

const rv_wrapper rv_wrapper_centralize = {
    .method = {.info = {.name = "centralize",
                        .version = 1,
                        .title = "Gradient centralisation",
                        .equations = "tensors of two or more axes: g <- g - mean of g over all axes but the first",
                        .paper = "Yong, Huang, Hua & Zhang 2020, Gradient centralization",
                        .reference = "kozistr/pytorch_optimizer 7a076d2f gradient_centralization.py",
                        .deviations = "none",
                        .params = &centralize_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12},
    .before = before,
    .filters = true,
};

#else

/* run->g is our own copy. */
static rv_fault RV_FN(centralize)(const rv_run *run, const centralize_params *p, int tensor)
{
    const rv_shape *shape = &run->tensors[tensor].shape;
    const int64_t size = rv_shape_size(shape);
    RV_REAL *g = (RV_REAL *)(uintptr_t)run->g[tensor];
    if (!RV_FN(rv_finite)(g, size))
        return RV_FAULT_GRADIENT;
    if (shape->rank < (p->conv_only ? 4 : 2) || size == 0)
        return RV_FAULT_NONE;
    const int64_t rows = shape->dim[0], cols = size / rows;
    for (int64_t r = 0; r < rows; r++, g += cols) {
        double sum = 0;
        for (int64_t i = 0; i < cols; i++)
            sum += (double)g[i];
        const RV_REAL mean = (RV_REAL)(sum / (double)cols);
        for (int64_t i = 0; i < cols; i++)
            g[i] -= mean;
    }
    return RV_FN(rv_finite)((const RV_REAL *)run->g[tensor], size) ? RV_FAULT_NONE : RV_FAULT_FILTER;
}

#endif
