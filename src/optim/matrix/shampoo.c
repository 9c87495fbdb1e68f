/* Shampoo as Gupta, Koren and Singer wrote it: no mean of gradients, factors that are sums.  The
 * step is the family's (shampoo_step.c). */
#include <math.h>

#include "optim/matrix/shampoo_family.h"

#define SHAMPOO_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(epsilon, 1e-4, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "initial factors are epsilon times I") \
    REAL(beta2, 1, 0, 1, 0, "decay of the factors; 1: they are sums")                               \
    BOOL(bias_correction, true, "of the factors, with beta2 < 1")                                   \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the sum of preconditioned gradients; 0: none") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    INT(precondition_frequency, 1, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots; above 1 use grafting") \
    RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CHOICE(merging, RV_MERGING_WORDS, "none", "of short axes before blocks are cut")                \
    RV_SHAMPOO_GRAFT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    CHOICE(perturb, RV_PERTURB_WORDS, "before", "how epsilon enters the eigendecomposition")        \
    TEXT(exponent_override, "", "exponents instead of 1/(2 order): ORDER:E or ORDER.AXIS:E, apart by spaces")
RV_PARAM_TABLE(shampoo_table, "shampoo", rv_shampoo_params, SHAMPOO_PARAMS);

const rv_method rv_method_shampoo = {
    .info = {.name = "shampoo",
             .version = 2,
             .title = "Shampoo: a full-matrix preconditioner for every axis",
             .equations = "for each of the o axes k of a block:  L_k <- beta2 L_k + unfold_k(G) unfold_k(G)'\n"
                          "(with beta2 < 1 the new product counts 1 - beta2)\n"
                          "P = G multiplied along every axis k by (L_k + epsilon I)^(-1/(2o))\n"
                          "grafting: P <- P ||graft|| / (||P|| + 1e-16), graft = G (sgd) or "
                          "G / (sqrt(squares) + grafting_epsilon)\n"
                          "before start_preconditioning_step: P = G, or the graft's direction\n"
                          "P <- P + weight_decay w;  M <- momentum M + P;  w <- w - lr M",
             .paper = "Gupta, Koren & Singer 2018, Shampoo: preconditioned stochastic tensor optimization; "
                      "grafting: Anil et al. 2020; blocks: Shi et al. 2023",
             .reference = "facebookresearch/optimizers f6066066 distributed_shampoo (b1 = 0, b2 = 1, no merging)",
             .deviations = "none from Algorithm 2 with precondition_frequency=1 and axes up to max_preconditioner_dim; older "
                           "roots enlarge a direction not seen before by up to epsilon^(-1/2), so that values above 1 "
                           "want grafting.  Small ports (moskomule, jettify, kozistr) use the exponent -1/o and "
                           "preconditioned statistics: they are other methods",
             .params = &shampoo_table,
             .state = RV_SHAMPOO_STATE,
             .bytes_per_parameter = NAN},
    RV_SHAMPOO_PARTS,
};
