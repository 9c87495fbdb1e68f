/* Latest weight averaging: the mean of the k newest copies of the weights, for evaluation.
 *     after step t, t > start and t a multiple of interval: a copy enters, the oldest leaves
 * Reference: mlcommons/submissions_algorithms AlgoPerf v0.5 lawa_queue, which copies the mean into
 * the model to evaluate and the weights back to train; here the mean is a query. */
#ifndef RV_REAL

#include "optim/average.h"

typedef struct push_args {
    const rv_tensor *tensors;
    int64_t row;
} push_args;

#define RV_KERNEL_FILE "optim/wrap_lawa_queue.c"
#include "optim/kernel.h"

#define LAWA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                 \
    INT(k, 10, 1, 10000, 0, "copies that are kept and averaged")   \
    RV_AVERAGE_WHEN(INT)
RV_PARAM_STRUCT(lawa_params, LAWA_PARAMS);
RV_PARAM_TABLE(lawa_table, "lawa_queue", lawa_params, LAWA_PARAMS);

static bool queue_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    *shape = (rv_shape){2, {((const lawa_params *)params)->k, rv_shape_size(&tensor->shape)}};
    return true;
}

static rv_status after(const rv_run *run)
{
    const lawa_params *p = run->params;
    if (!rv_average_due(run->step, p->start, p->interval))
        return RV_OK;
    const push_args args = {run->tensors, (int64_t)run->scalars[0] % p->k};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(push), &args));
    run->scalars[0]++;
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    const int64_t k = ((const lawa_params *)run->params)->k;
    if (run->scalars[0] < (double)k)
        return;
    for (int i = 0; i < run->count; i++) {
        const int64_t n = rv_shape_size(&run->tensors[i].shape);
        if (run->dtype == RV_F32)
            queue_mean_f32(rv_run_slot(run, i, 0), dst[i], n, k);
        else
            queue_mean_f64(rv_run_slot(run, i, 0), dst[i], n, k);
    }
}

static const rv_slot slots[] = {{"queue", queue_shape, false}};

const rv_wrapper rv_wrapper_lawa_queue = {
    .method = {.info = {.name = "lawa_queue",
                        .version = 1,
                        .title = "Latest weight averaging: the mean of the newest copies, for evaluation",
                        .equations = "after step t > start, t a multiple of interval: a copy of w enters, the oldest leaves\n"
                                     "evaluated: the mean of k copies; before there are k: w",
                        .paper = "Kaddour 2022, Stop wasting my time!; Sanyal et al. 2023, Early weight averaging",
                        .reference = "mlcommons/submissions_algorithms AlgoPerf v0.5 lawa_queue",
                        .deviations = "none: there too training goes on from the weights, not from their mean",
                        .params = &lawa_table,
                        .state = "queue: k times the tensor; taken: scalar",
                        .bytes_per_parameter = 40},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 1,
               .scalars = rv_average_scalars,
               .scalar_count = 1,
               .evaluation_weights = evaluation_weights},
    .after = after,
};

#else

RV_TILE_FUNCTION(push, push_args)
{
    RV_REAL *row = t->s[0] + a->row * rv_shape_size(&a->tensors[t->tensor].shape);
    RV_EACH (i, t->n)
        row[i] = t->w[i];
}
#define RV_KERNEL push
#define RV_KERNEL_ARGS push_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

static void RV_FN(queue_mean)(const RV_REAL *queue, RV_REAL *dst, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = queue[i];
    for (int64_t row = 1; row < k; row++)
        for (int64_t i = 0; i < n; i++)
            dst[i] += queue[row * n + i];
    for (int64_t i = 0; i < n; i++)
        dst[i] /= (RV_REAL)k;
}

#endif
