/* Stochastic weight averaging: the equal-weight mean of the weights at some steps.
 *     average <- average + (w - average)/(n + 1);  n <- n + 1
 * Reference: pytorch torch/optim/swa_utils.py 2.6.0 get_swa_multi_avg_fn.  Deviations: none. */

#include "optim/average.h"

#define SWA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) RV_AVERAGE_WHEN(INT)
RV_PARAM_STRUCT(swa_params, SWA_PARAMS);
RV_PARAM_TABLE(swa_table, "swa", swa_params, SWA_PARAMS);

static rv_status after(const rv_run *run)
{
    const swa_params *p = run->params;
    if (!rv_average_due(run->step, p->start, p->interval))
        return RV_OK;
    const double n = run->scalars[0];
    RV_TRY(rv_average_add(run, n / (n + 1), 1 / (n + 1)));
    run->scalars[0] = n + 1;
    return RV_OK;
}

const rv_wrapper rv_wrapper_swa = {
    .method = {.info = {.name = "swa",
                        .version = 1,
                        .title = "Stochastic weight averaging: the mean of the weights, for evaluation",
                        .equations = "average <- n/(n + 1) average + w/(n + 1) after every interval steps beyond start",
                        .paper = "Izmailov et al. 2018, Averaging weights leads to wider optima; Polyak & Juditsky 1992",
                        .reference = "pytorch 2.6.0 torch/optim/swa_utils.py get_swa_multi_avg_fn",
                        .deviations = "the schedule of the learning rate is chosen apart; before the first average the "
                                      "weights themselves are evaluated",
                        .params = &swa_table,
                        .state = "average: like the tensor; taken: scalar",
                        .bytes_per_parameter = 4},
               .tolerance = 1e-12,
               .slots = rv_average_slots,
               .slot_count = 1,
               .scalars = rv_average_scalars,
               .scalar_count = 1,
               .evaluation_weights = rv_average_evaluate},
    .after = after,
};
