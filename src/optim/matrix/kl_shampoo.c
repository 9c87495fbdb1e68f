/* KL-Shampoo: factors of Shampoo that minimise a Kullback-Leibler divergence.  The step is the
 * family's (shampoo_step.c). */
#include <math.h>

#include "optim/matrix/shampoo_family.h"

#define KL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients; 0: none")             \
    REAL(beta2, 0.95, 0, 1, 0, "decay of the factors; 1: they are sums")                            \
    REAL(beta3, -1, -1, 1, RV_PARAM_OPEN_HI, "weight of the old mean in the filtered gradient; -1 and 0: beta1") \
    REAL(epsilon, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the factors' eigenvalues") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "as decay says")            \
    CHOICE(decay, RV_DECAY_WORDS, "decoupled", "how weight_decay enters")                           \
    BOOL(bias_correction, true, "of the mean of gradients and of the factors")                      \
    INT(precondition_frequency, 1, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots")            \
    RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CHOICE(merging, RV_MERGING_WORDS, "right", "of short axes before blocks are cut")               \
    INT(merge_to, 1, 1, RV_MAX_RANK, 0, "merging ends at this many axes")                           \
    RV_SHAMPOO_GRAFT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    CHOICE(preconditioner, "root|caspr|kl", "kl", "what makes the direction")                       \
    RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    CHOICE(perturb, RV_PERTURB_WORDS, "before", "how epsilon enters the eigendecomposition")        \
    TEXT(exponent_override, "", "exponents instead of 1/(2 order): ORDER:E or ORDER.AXIS:E, apart by spaces") \
    BOOL(kl_mean, false, "products are divided by the other dimensions")
RV_PARAM_TABLE(kl_table, "kl_shampoo", rv_shampoo_params, KL_PARAMS);

const rv_method rv_method_kl_shampoo = {
    .info = {.name = "kl_shampoo",
             .version = 1,
             .title = "KL-Shampoo: factors that see the gradient whitened along the other axes",
             .equations = "L_k <- beta2 L_k + (1 - beta2) unfold_k(H) unfold_k(H)', H = G times the roots of all axes but k\n"
                          "all else as distributed_shampoo\n"
                          "paper: kl_mean=true (the product over the other dimensions), exponent_override=2:0.5, so that\n"
                          "S_a <- beta2 S_a + (1 - beta2)/d_b G S_b^-1 G'",
             .paper = "Lin et al. 2025, Understanding and improving Shampoo and SOAP via Kullback-Leibler minimization",
             .reference = "facebookresearch/optimizers f6066066 distributed_shampoo (RootInvKLShampoo)",
             .deviations = "defaults as the reference where it has some: the exponents stay -1/(2 order) and products are not "
                           "divided, unlike the paper; with the exponent 1/2 a staircase of old roots may want grafting",
             .params = &kl_table,
             .state = RV_SHAMPOO_STATE,
             .bytes_per_parameter = NAN},
    RV_SHAMPOO_PARTS,
};
