/* Exponential moving average of the weights, for evaluation.
 *     n <- n + 1;  d = decay, or min(decay, (1 + n)/(10 + n)) with warmup
 *     average <- d average + (1 - d) w;  the first takes w whole, unless bias_correction
 * Reference: pytorch torch/optim/swa_utils.py 2.6.0 get_ema_multi_avg_fn.  Warm-up: tensorflow
 * train.ExponentialMovingAverage, n counted before this one. */
#include <math.h>

#include "optim/average.h"

#define EMA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(decay, 0.999, 0, 1, RV_PARAM_OPEN_HI, "share of the average that stays")              \
    BOOL(warmup, false, "decay rises from 1/10: min(decay, (1 + n)/(10 + n)) after n averages") \
    BOOL(bias_correction, false, "start at zero and divide by the mass, as Adam does")         \
    RV_AVERAGE_WHEN(INT)
RV_PARAM_STRUCT(ema_params, EMA_PARAMS);
RV_PARAM_TABLE(ema_table, "ema", ema_params, EMA_PARAMS);

enum { TAKEN, MASS };

static rv_status after(const rv_run *run)
{
    const ema_params *p = run->params;
    if (!rv_average_due(run->step, p->start, p->interval))
        return RV_OK;
    const double n = run->scalars[TAKEN];
    const double decay = p->warmup ? fmin(p->decay, (1 + n) / (10 + n)) : p->decay;
    const bool whole = n == 0 && !p->bias_correction;
    RV_TRY(rv_average_add(run, n == 0 ? 0 : decay, whole ? 1 : 1 - decay));
    run->scalars[TAKEN] = n + 1;
    run->scalars[MASS] = whole ? 1 : decay * run->scalars[MASS] + (1 - decay);
    return RV_OK;
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    if (run->scalars[TAKEN] > 0)
        rv_average_read(run, ((const ema_params *)run->params)->bias_correction ? run->scalars[MASS] : 1, dst);
}

static const rv_slot slots[] = {{"average", rv_slot_like, false}};
static const char *const scalars[] = {"taken", "mass"};

const rv_wrapper rv_wrapper_ema = {
    .method = {.info = {.name = "ema",
                        .version = 1,
                        .title = "Exponential moving average of the weights, for evaluation",
                        .equations = "d = decay, or min(decay, (1 + n)/(10 + n)) with warmup after n averages\n"
                                     "average <- d average + (1 - d) w; the first takes w whole\n"
                                     "bias_correction: starts at zero and is divided by 1 - product of all d",
                        .paper = "Polyak & Juditsky 1992; Tarvainen & Valpola 2017 (mean teacher)",
                        .reference = "pytorch 2.6.0 torch/optim/swa_utils.py get_ema_multi_avg_fn",
                        .deviations = "none; before the first average the weights themselves are evaluated",
                        .params = &ema_table,
                        .state = "average: like the tensor; taken, mass: scalars",
                        .bytes_per_parameter = 4},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 1,
               .scalars = scalars,
               .scalar_count = 2,
               .evaluation_weights = evaluation_weights},
    .after = after,
};
