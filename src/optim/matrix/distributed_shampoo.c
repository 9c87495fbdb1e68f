/* Distributed Shampoo with its options; eigenvalue-corrected Shampoo, spectral and sign descent
 * among them.  The step is the family's (shampoo_step.c). */
#include <math.h>

#include "optim/matrix/shampoo_family.h"

#define DISTRIBUTED_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                           \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients; 0: none")             \
    REAL(beta2, 1, 0, 1, 0, "decay of the factors; 1: they are sums")                               \
    REAL(beta3, -1, -1, 1, RV_PARAM_OPEN_HI, "weight of the old mean in the filtered gradient; -1 and 0: beta1") \
    REAL(epsilon, 1e-4, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the factors' eigenvalues") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "as decay says")            \
    CHOICE(decay, RV_DECAY_WORDS, "decoupled", "how weight_decay enters")                           \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the momentum of directions; 0: none")       \
    REAL(dampening, 0, 0, 1, RV_PARAM_OPEN_HI, "momentum_form=sum: the direction counts 1 - dampening") \
    BOOL(nesterov, false, "look ahead along the momentum")                                          \
    CHOICE(momentum_form, "sum|mean", "sum", "of directions")                                       \
    BOOL(bias_correction, true, "of the mean of gradients and of the factors")                      \
    BOOL(drop_weighting, false, "new products count 1, not 1 - beta2")                              \
    INT(precondition_frequency, 1, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots")            \
    RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CHOICE(merging, RV_MERGING_WORDS, "right", "of short axes before blocks are cut; kernel axes first or last") \
    INT(merge_to, 1, 1, RV_MAX_RANK, 0, "merging ends at this many axes")                           \
    RV_SHAMPOO_GRAFT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    CHOICE(preconditioner, RV_PRE_WORDS, "root", "what makes the direction")                        \
    RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    CHOICE(perturb, RV_PERTURB_WORDS, "before", "how epsilon enters the eigendecomposition")        \
    REAL(trace_exponent, 0, 0, 4, 0, "factors are divided by this power of their trace; 0: not")    \
    TEXT(exponent_override, "", "exponents instead of 1/(2 order): ORDER:E or ORDER.AXIS:E, apart by spaces") \
    CHOICE(basis, "eigen|qr", "eigen", "preconditioner=eigenvalues: eigenvectors, or a sweep of the QR algorithm") \
    BOOL(kl_mean, false, "preconditioner=kl: products are divided by the other dimensions")
RV_PARAM_TABLE(distributed_table, "distributed_shampoo", rv_shampoo_params, DISTRIBUTED_PARAMS);

const rv_method rv_method_distributed_shampoo = {
    .info = {.name = "distributed_shampoo",
             .version = 1,
             .title = "Distributed Shampoo: blocks, filter, grafting and roots by choice",
             .equations =
                 "axes are merged, then cut into blocks; for each of the o axes k of a block:\n"
                 "L_k <- beta2 L_k + (1 - beta2) unfold_k(G) unfold_k(G)'  (a sum for beta2 = 1)\n"
                 "f = (beta3 m + (1 - beta3) G) / (1 - beta3 beta1^(t-1));  m <- beta1 m + (1 - beta1) G\n"
                 "P by preconditioner:\n"
                 "  root         f times (L_k/(1 - beta2^t))^(-1/(2o)) along every axis k\n"
                 "  kl           the same; L_k sees G times the roots of all other axes\n"
                 "  eigenvalues  f in the eigenbases Q_k, over sqrt(mean of squared G in them) + epsilon\n"
                 "  caspr        ((sum over k of L_k^(-1/4)) / o)^2 f (a vector has its diagonal only)\n"
                 "  spectral     NewtonSchulz(f as [first axis, rest]);  sign: sign(f);  none: f\n"
                 "grafting: P <- P ||graft|| / (||P|| + 1e-16), graft = f (sgd) or f / (sqrt(squares) + grafting_epsilon)\n"
                 "before start_preconditioning_step: P = f, or graft\n"
                 "decay: decoupled P += weight_decay w; corrected P += weight_decay (lr/peak) w;\n"
                 "  independent P += (weight_decay/peak) w; l2 G += weight_decay w before all;  peak: lr without schedule\n"
                 "M <- momentum M + (1 - dampening) P;  P = M, or (1 - dampening) P + momentum M if nesterov;  w <- w - lr P",
             .paper = "Shi et al. 2023, A distributed data-parallel PyTorch implementation of the Distributed Shampoo "
                      "optimizer; Anil et al. 2020; Eschenhagen et al. 2025 (eigenvalue correction); Lin et al. 2025 (KL)",
             .reference = "facebookresearch/optimizers f6066066 distributed_shampoo",
             .deviations = "roots are taken in double whatever the type of the run; a root that cannot be taken ends the "
                           "step (the reference keeps the old one up to three times); epsilon is 1e-4, not 1e-12: in "
                           "float the small eigenvalues of factors are rounding, and their roots huge.  As in the "
                           "reference merging makes ONE vector of every tensor up to max_preconditioner_dim elements "
                           "(merging=none keeps the axes).  Averaging of iterates is the wrapper gpa.  stagger and "
                           "kl_mean are ours; kl_mean=true with "
                           "exponent_override=2:0.5 is the paper's KL-Shampoo, the reference leaves 1/(2 order); "
                           "one-sided Shampoo is exponent_override=2.0:0.5;2.1:0",
             .params = &distributed_table,
             .state = RV_SHAMPOO_STATE,
             .bytes_per_parameter = NAN},
    RV_SHAMPOO_PARTS,
};
