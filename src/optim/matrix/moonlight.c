/* Muon as in Moonlight: its step has the length of an AdamW step, so that both take the same
 * learning rate and decay.  The step itself is Muon's (muon.c). */
#include <math.h>

#include "optim/matrix/muon_family.h"

#define MOONLIGHT_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                          \
    REAL(weight_decay, 0.1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    RV_MUON_ROWS_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    CHOICE(coefficients, RV_POLAR_WORDS, "muon", "set of Newton-Schulz coefficients")                      \
    CHOICE(momentum_form, "mean|sum", "sum", "m <- momentum m + (1 - momentum) g, or m <- momentum m + g") \
    CHOICE(scale, "tall|rms|none", "rms", "of the step: sqrt(max(1, rows/cols)), 0.2 sqrt(max(rows, cols)), or 1")
RV_PARAM_TABLE(moonlight_table, "moonlight", rv_muon_params, MOONLIGHT_PARAMS);

static const rv_rule rules[] = RV_MUON_RULES("moonlight", 2, "lr=1e-3,beta1=0.9,beta2=0.95,eps=1e-8,eps_place=before,weight_decay=0.1");

const rv_method rv_method_moonlight = {
    .info = {.name = "moonlight",
             .version = 1,
             .title = "Muon with the step length of AdamW (Moonlight)",
             .equations = "m <- momentum m + g;  u = g + momentum m if nesterov, else m\n"
                          "X = NewtonSchulz(u)\n"
                          "w <- w (1 - lr weight_decay) - lr 0.2 sqrt(max(rows, cols)) X\n"
                          "hidden matrices; every other tensor, kernels too: adamw",
             .paper = "Liu et al. 2025, Muon is scalable for LLM training",
             .reference = "MoonshotAI/Moonlight c2ad5b20 examples/toy_train.py",
             .deviations = "Newton-Schulz in the dtype of the run instead of bfloat16; the reference has one learning "
                           "rate and one decay for all tensors, here adamw.lr and adamw.weight_decay are set on their "
                           "own; its AdamW adds eps before the bias correction (adamw with eps_place=before)",
             .params = &moonlight_table,
             .state = "m: like the tensor",
             .bytes_per_parameter = 4},
    RV_MUON_PARTS(rules, 1),
};
