/* Distributed Shampoo as it was submitted to AlgoPerf and won external tuning.  The step is the
 * family's (shampoo_step.c); what differs are choices. */
#include <math.h>

#include "optim/matrix/shampoo_family.h"

#define ALGOPERF_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(lr, 1.75e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                \
    REAL(beta1, 0.9327, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients; 0: none")          \
    REAL(beta2, 0.9955, 0, 1, 0, "decay of the factors and of grafting's squares; 1: factors are sums") \
    BOOL(use_nadam, true, "the filtered gradient is beta1 m + (1 - beta1) g with the new m")        \
    REAL(epsilon, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the factors' eigenvalues") \
    REAL(weight_decay, 0.0812, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "as decay says")       \
    CHOICE(decay, "decoupled|l2", "decoupled", "how weight_decay enters")                           \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the momentum of directions; 0: none")       \
    BOOL(nesterov, true, "look ahead along the momentum")                                           \
    CHOICE(momentum_form, "sum|mean", "mean", "of directions")                                      \
    BOOL(bias_correction, true, "of the mean of gradients and of the factors")                      \
    CHOICE(filter_correction, "ahead|plain", "plain", "use_nadam is corrected by 1 - beta1^(t+1), or by 1 - beta1^t") \
    INT(precondition_frequency, 100, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots")          \
    RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CHOICE(merging, RV_MERGING_WORDS, "left", "of short axes before blocks are cut")                \
    CHOICE(grafting, RV_GRAFTING_WORDS, "adam", "the method whose step length each block takes over") \
    REAL(grafting_beta2, 0.9955, 0, 1, RV_PARAM_OPEN_HI, "decay of the squares of rmsprop and adam") \
    REAL(grafting_epsilon, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the root of the squares") \
    RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    CHOICE(perturb, RV_PERTURB_WORDS, "after", "how epsilon enters the eigendecomposition")         \
    CHOICE(roots_start, "identity|zero", "zero", "the roots before the first ones are taken")       \
    INT(root_override, 0, 0, 1024, 0, "inverse roots of this order for every axis; 0: 2 order")     \
    REAL(exponent_multiplier, 1, 0, 16, RV_PARAM_OPEN_LO, "of the exponents")
RV_PARAM_TABLE(algoperf_table, "algoperf_shampoo", rv_shampoo_params, ALGOPERF_PARAMS);

const rv_method rv_method_algoperf_shampoo = {
    .info = {.name = "algoperf_shampoo",
             .version = 1,
             .title = "Distributed Shampoo as submitted to AlgoPerf",
             .equations = "as distributed_shampoo, but\n"
                          "f = (beta1 m + (1 - beta1) g) / (1 - beta1^t) with the new m (use_nadam), or m / (1 - beta1^t)\n"
                          "axes are merged from the left; epsilon is added to eigenvalues after those below zero are 0\n"
                          "roots are 0 until the first are taken, grafting alone makes the steps before\n"
                          "exponent exponent_multiplier/(2 order), or exponent_multiplier/root_override\n"
                          "M <- momentum M + (1 - momentum) P;  P = (1 - momentum) P + momentum M if nesterov",
             .paper = "Shi et al. 2023; Kasimbeg et al. 2025, Accelerating neural network training: an analysis of the "
                      "AlgoPerf competition",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "external_tuning/shampoo_submission",
             .deviations = "defaults are the first search point; beta2 of grafting is said on its own "
                           "(grafting_beta2).  The submission gives tables with an axis of 1,000,000 or more to Adam "
                           "alone, here a rule does so",
             .params = &algoperf_table,
             .state = RV_SHAMPOO_STATE,
             .bytes_per_parameter = NAN},
    RV_SHAMPOO_PARTS,
};
