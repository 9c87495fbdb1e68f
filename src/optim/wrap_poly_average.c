/* Polynomial-decay averaging (Shamir and Zhang 2013): later weights count more.
 *     c = (eta + 1)/(t + eta);  average <- (1 - c) average + c w
 * Reference: formll/dog src/dog/averager.py 8d45cf56.  eta 0 is the plain mean. */
#include <math.h>

#include "optim/average.h"

#define POLY_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    REAL(eta, 8, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "degree: weights of step t count about t^eta; 0: the plain mean")
RV_PARAM_STRUCT(poly_params, POLY_PARAMS);
RV_PARAM_TABLE(poly_table, "poly_average", poly_params, POLY_PARAMS);

static rv_status after(const rv_run *run)
{
    const double eta = ((const poly_params *)run->params)->eta, n = ++run->scalars[0];
    const double share = (eta + 1) / (n + eta);
    return rv_average_add(run, 1 - share, share);
}

const rv_wrapper rv_wrapper_poly_average = {
    .method = {.info = {.name = "poly_average",
                        .version = 1,
                        .title = "Polynomial-decay average of the weights, for evaluation",
                        .equations = "c = (eta + 1)/(t + eta);  average <- (1 - c) average + c w",
                        .paper = "Shamir & Zhang 2013, Stochastic gradient descent for non-smooth optimization; "
                                 "Ivgi et al. 2023 (DoG, which is to be used with it)",
                        .reference = "formll/dog 8d45cf56 src/dog/averager.py",
                        .deviations = "none",
                        .params = &poly_table,
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
