/* Adam with decoupled weight decay and Nesterov momentum, in the form of AlgoPerf.  The step is
 * adam_step.c's.
 *     w <- w (1 - lr weight_decay);  m, v as in Adam
 *     n = beta1 m + (1 - beta1) g
 *     w <- w - lr/(1 - beta1^t) n / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * Reference: mlcommons/algorithmic-efficiency, pytorch_nadamw.py 2c90454f.  Deviation: the
 * reference forms n inside the buffer of m and undoes it, which leaves rounding in m. */
#include "optim/adam.h"
#include "optim/caution.h"

#define NADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                     \
    RV_HP_LR(REAL, 1e-3)                                                 \
    RV_HP_BETA1(REAL, 0.9)                                               \
    RV_HP_BETA2(REAL, 0.999)                                             \
    RV_HP_EPS(REAL, 1e-8, "added to the root of the second moment")      \
    RV_HP_EPS_PLACE(CHOICE, "after")                                     \
    RV_HP_DECOUPLED(REAL, 1e-2)                                          \
    RV_HP_DECAY_FORM(CHOICE)                                             \
    RV_HP_CAUTION(CHOICE, "off")
RV_PARAM_STRUCT(nadamw_params, NADAMW_PARAMS);
RV_PARAM_TABLE(nadamw_table, "nadamw", nadamw_params, NADAMW_PARAMS);

static rv_status step(const rv_run *run)
{
    const nadamw_params *p = run->params;
    rv_adam_form form = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                         .keep = rv_decay_keep(run, p->decay, p->lr, p->weight_decay),
                         .lift = 1,
                         .nesterov = true,
                         .caution = p->caution};
    rv_moments_place_eps(&form.moments, p->eps_place);
    return rv_adam_step(run, &form);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_nadamw = {
    .info = {.name = "nadamw",
             .version = 1,
             .title = "AdamW with Nesterov momentum (AlgoPerf's form)",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "n = beta1 m + (1 - beta1) g\n"
                          "w <- w - lr/(1 - beta1^t) n / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place, decay: as in adamw; caution: n is 0 where n g <= 0, elsewhere scaled as in adamw",
             .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam; Choi et al. 2019, On empirical "
                      "comparisons of optimizers for deep learning, table 1; Liang et al. 2024, Cautious optimizers",
             .reference = "mlcommons/algorithmic-efficiency 2c90454f "
                          "algorithms/target_setting_algorithms/pytorch_nadamw.py; pytorch-image-models aa4b5850 "
                          "timm/optim/nadamw.py, with its caution",
             .deviations = "n is not formed in the buffer of m, so m is free of that rounding; unlike pytorch's "
                           "NAdam there is no momentum schedule",
             .params = &nadamw_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};
