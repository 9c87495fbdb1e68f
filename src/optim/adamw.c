/* Adam with decoupled weight decay, with AMSGrad and caution as options.  The step is adam_step.c's.
 *     w <- w (1 - lr weight_decay)
 *     m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *     w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * Reference: pytorch torch/optim/adamw.py 2.6.0.  Deviations: none. */
#include "optim/adam.h"
#include "optim/caution.h"

#define ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                      \
    RV_HP_LR(REAL, 1e-3)                                                 \
    RV_HP_BETA1(REAL, 0.9)                                               \
    RV_HP_BETA2(REAL, 0.999)                                             \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment")      \
    RV_HP_EPS_PLACE(CHOICE, "after")                                     \
    RV_HP_DECOUPLED(REAL, 1e-2)                                          \
    RV_HP_DECAY_FORM(CHOICE)                                             \
    RV_HP_AMSGRAD(BOOL, CHOICE)                                          \
    RV_HP_CAUTION(CHOICE, "off")
RV_PARAM_STRUCT(adamw_params, ADAMW_PARAMS);
RV_PARAM_TABLE(adamw_table, "adamw", adamw_params, ADAMW_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const adamw_params *p = params;
    return rv_adam_check("adamw", p->amsgrad && p->amsgrad_max == RV_AMSGRAD_CORRECTED, p->eps_place, err);
}

static bool most_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const adamw_params *)params)->amsgrad && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const adamw_params *p = run->params;
    rv_adam_form form = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                         .keep = rv_decay_keep(run, p->decay, p->lr, p->weight_decay),
                         .lift = 1,
                         .caution = p->caution};
    rv_moments_place_eps(&form.moments, p->eps_place);
    if (p->amsgrad && p->amsgrad_max == RV_AMSGRAD_CORRECTED)
        rv_adam_correct_max(&form);
    return rv_adam_step(run, &form);
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"v_max", most_shape, false}};

const rv_method rv_method_adamw = {
    .info = {.name = "adamw",
             .version = 1,
             .title = "Adam with decoupled weight decay",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place before (Hugging Face): the root is (sqrt(v) + eps)/sqrt(1 - beta2^t)\n"
                          "decay, with f the schedule's factor on lr: independent 1 - f weight_decay (the paper), "
                          "corrected 1 - f lr weight_decay\n"
                          "amsgrad: the largest v so far (before bias correction) in place of v; amsgrad_max "
                          "corrected: the largest v/(1 - beta2^t)\n"
                          "caution: m is 0 where m g <= 0, elsewhere times 1/max(mean of the mask, 1e-3) (mean) or "
                          "size/(count + 1) (count), per tensor; decay is not masked",
             .paper = "Kingma & Ba 2015, Adam; Loshchilov & Hutter 2019, Decoupled weight decay regularization; "
                      "Reddi et al. 2018 (AMSGrad); Liang et al. 2024, Cautious optimizers; Defazio 2025, Why gradients "
                      "rapidly increase near the end of training (decay corrected)",
             .reference = "pytorch 2.6.0 torch/optim/adamw.py; caution: pytorch-image-models aa4b5850 timm/optim/adamw.py",
             .deviations = "none",
             .params = &adamw_table,
             .state = "m, v: like the tensor; v_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .check = check,
    .step = step,
};
