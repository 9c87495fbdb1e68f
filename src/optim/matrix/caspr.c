/* CASPR: Shampoo's two factors combined by a sum of Kronecker products instead of one product.
 * The step is the family's (shampoo_step.c). */
#include <math.h>

#include "optim/matrix/shampoo_family.h"

#define CASPR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(epsilon, 1e-4, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "initial factors are epsilon times I") \
    REAL(beta1, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients; 0: none")               \
    REAL(beta2, 1, 0, 1, 0, "decay of the factors; 1: they are sums")                               \
    BOOL(bias_correction, true, "of the mean of gradients and of the factors")                      \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the sum of preconditioned gradients; 0: none") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    INT(precondition_frequency, 1, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots; above 1 use grafting") \
    RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CHOICE(merging, RV_MERGING_WORDS, "right", "of kernel axes, to [out, rest]")                    \
    INT(merge_to, 2, 1, RV_MAX_RANK, 0, "merging ends at this many axes")                           \
    RV_SHAMPOO_GRAFT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    CHOICE(preconditioner, "root|caspr", "caspr", "what makes the direction")                       \
    RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    CHOICE(perturb, RV_PERTURB_WORDS, "before", "how epsilon enters the eigendecomposition")
RV_PARAM_TABLE(caspr_table, "caspr", rv_shampoo_params, CASPR_PARAMS);

const rv_method rv_method_caspr = {
    .info = {.name = "caspr",
             .version = 1,
             .title = "CASPR: axis preconditioners combined by a Kronecker sum",
             .equations = "L = epsilon I + sum G G',  R = epsilon I + sum G' G;  l = L^(-1/4), r = R^(-1/4)\n"
                          "J = l G + G r;  U = (l J + J r)/4 = (L^(-1/2) G + 2 l G r + G R^(-1/2))/4;  w <- w - lr U\n"
                          "o axes: U = ((sum of roots)/o)^2 G;  vectors: G / (sqrt(sum of G^2) + epsilon)\n"
                          "grafting, momentum, decay as shampoo",
             .paper = "Duvvuri et al. 2024, Combining axes preconditioners through Kronecker approximation for deep learning",
             .reference = "own derivation from the formula (leloykun.github.io/ponder/caspr-wo-accum-is-muon); no "
                          "trustworthy reference runs: the AlgoPerf submission of that name is another method "
                          "(caspr_adaptive)",
             .deviations = "the form for more than two axes is ours; vectors take diagonal AdaGrad",
             .params = &caspr_table,
             .state = RV_SHAMPOO_STATE,
             .bytes_per_parameter = NAN},
    RV_SHAMPOO_PARTS,
};
