/* The cautious AdamW of its authors: Hugging Face's AdamW, with epsilon before the bias correction
 * and decay before the update, and a masked first moment.  The step is adam_step.c's.
 * Reference: kyleliang919/C-Optim c_adamw.py ccadd18.  Deviations: none. */
#include "optim/adam.h"
#include "optim/caution.h"

#define C_ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                    \
    RV_HP_LR(REAL, 1e-3)                                                 \
    RV_HP_BETA1(REAL, 0.9)                                               \
    RV_HP_BETA2(REAL, 0.999)                                             \
    RV_HP_EPS(REAL, 1e-6, "added to the root of the second moment")      \
    RV_HP_EPS_PLACE(CHOICE, "before")                                    \
    RV_HP_DECOUPLED(REAL, 0)                                             \
    RV_HP_CAUTION(CHOICE, "mean")                                        \
    BOOL(correct_bias, true, "divide the moments by 1 - beta^t")
RV_PARAM_STRUCT(c_adamw_params, C_ADAMW_PARAMS);
RV_PARAM_TABLE(c_adamw_table, "c_adamw", c_adamw_params, C_ADAMW_PARAMS);

static rv_status step(const rv_run *run)
{
    const c_adamw_params *p = run->params;
    rv_adam_form form = {.moments = rv_moments_at(run, p->beta1, p->beta2, p->eps),
                         .keep = 1 - run->lr * p->weight_decay,
                         .lift = 1,
                         .caution = p->caution};
    rv_moments_place_eps(&form.moments, p->eps_place);
    if (!p->correct_bias) {
        form.moments.rate = run->lr;
        form.moments.root = 1;
    }
    return rv_adam_step(run, &form);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_c_adamw = {
    .info = {.name = "c_adamw",
             .version = 1,
             .title = "C-AdamW, the cautious AdamW of its authors",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "k = 1 where m g > 0, else 0, and k <- k / max(mean(k), 1e-3) per tensor\n"
                          "w <- w - lr sqrt(1 - beta2^t)/(1 - beta1^t) k m / (sqrt(v) + eps)\n"
                          "caution count: k <- k size/(sum(k) + 1), as in the first version of the paper\n"
                          "correct_bias false: lr alone in front",
             .paper = "Liang et al. 2024, Cautious optimizers: improving training with one line of code",
             .reference = "kyleliang919/C-Optim c_adamw.py at ccadd18",
             .deviations = "none; eps_place after and caution off go beyond the reference and make it adamw",
             .params = &c_adamw_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
};
