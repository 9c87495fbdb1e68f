/* Adam with coupled (L2) weight decay, and AMSGrad.  The step is adam_step.c's.
 * Reference: pytorch torch/optim/adam.py 2.6.0.  Deviations: none. */
#include "optim/adam.h"

#define ADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                       \
    RV_HP_LR(REAL, 1e-3)                                                 \
    RV_HP_BETA1(REAL, 0.9)                                               \
    RV_HP_BETA2(REAL, 0.999)                                             \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment")      \
    RV_HP_EPS_PLACE(CHOICE, "after")                                     \
    RV_HP_L2(REAL)                                                       \
    RV_HP_AMSGRAD(BOOL, CHOICE)
RV_PARAM_STRUCT(adam_params, ADAM_PARAMS);
RV_PARAM_TABLE(adam_table, "adam", adam_params, ADAM_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const adam_params *p = params;
    return rv_adam_check("adam", p->amsgrad && p->amsgrad_max == RV_AMSGRAD_CORRECTED, p->eps_place, err);
}

static bool most_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const adam_params *)params)->amsgrad && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const adam_params *p = run->params;
    rv_adam_form form = {
        .moments = rv_moments_at(run, p->beta1, p->beta2, p->eps), .keep = 1, .l2 = p->weight_decay, .lift = 1};
    rv_moments_place_eps(&form.moments, p->eps_place);
    if (p->amsgrad && p->amsgrad_max == RV_AMSGRAD_CORRECTED)
        rv_adam_correct_max(&form);
    return rv_adam_step(run, &form);
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"v_max", most_shape, false}};

const rv_method rv_method_adam = {
    .info = {.name = "adam",
             .version = 1,
             .title = "Adam",
             .equations = "g <- g + weight_decay w\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place before (TensorFlow, Hugging Face): the root is (sqrt(v) + eps)/sqrt(1 - beta2^t)\n"
                          "amsgrad: the largest v so far in place of v; amsgrad_max corrected (optax): the largest "
                          "v/(1 - beta2^t) so far",
             .paper = "Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1; Reddi et al. 2018, "
                      "On the convergence of Adam and beyond (AMSGrad)",
             .reference = "pytorch 2.6.0 torch/optim/adam.py; amsgrad_max corrected: optax 0.2.8 optax.amsgrad",
             .deviations = "none",
             .params = &adam_table,
             .state = "m, v: like the tensor; v_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .check = check,
    .step = step,
};
