/* NorMuon: Muon whose rows are then divided by the root of their mean square over time; and the
 * form of it that modded-nanogpt trains with.  The step itself is Muon's (muon.c). */
#include <math.h>

#include "optim/matrix/muon_family.h"

#define NORMUON_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                                      \
    RV_MUON_ROWS_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    REAL(beta2, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean squares of rows")

#define NORMUON_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                      \
    REAL(lr, 0.02, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                          \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    NORMUON_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                                          \
    CHOICE(coefficients, RV_POLAR_WORDS, "muon", "set of Newton-Schulz coefficients")                      \
    CHOICE(normalise, "none|rows|longer", "rows", "what v is kept for: rows, or lines along the longer axis") \
    CHOICE(decay, "plain|cautious", "plain", "w (1 - lr weight_decay), or lr^2 weight_decay w where the step shrinks w")

static const rv_rule rules[] = RV_MUON_RULES("normuon", RV_MAX_RANK, RV_MUON_REST);

RV_PARAM_TABLE(normuon_table, "normuon", rv_muon_params, NORMUON_PARAMS);

const rv_method rv_method_normuon = {
    .info = {.name = "normuon",
             .version = 1,
             .title = "NorMuon: Muon with rows normalised over time",
             .equations = "m, u as muon;  O = NewtonSchulz(u)\n"
                          "v <- beta2 v + (1 - beta2) mean over columns of O^2 (one value per row)\n"
                          "P = O / (sqrt(v) + 1e-10);  P <- P ||O|| / (||P|| + 1e-10)\n"
                          "w <- w (1 - lr weight_decay) - lr sqrt(max(1, rows/cols)) P\n"
                          "normalise=longer: v for columns where rows < cols, 1/sqrt(max(v, 1e-10))\n"
                          "decay=cautious: w <- w - lr^2 weight_decay w only where P w >= 0",
             .paper = "Li et al. 2025, NorMuon: making Muon more efficient and scalable",
             .reference = "zichongli5/NorMuon d45c9a42 normuon.py; normalise=longer, decay=cautious and "
                          "coefficients=polar_express together are the form of KellerJordan/modded-nanogpt f411b3d3 "
                          "train_gpt.py",
             .deviations = "Newton-Schulz in the dtype of the run instead of bfloat16; no bias correction of v, as the "
                           "code; for kernels the code normalises along the last axis of every kh x kw slice "
                           "(kernel_scale=released), flattened takes the rows of [out, rest]",
             .params = &normuon_table,
             .state = "m: like the tensor; v: one value per row",
             .bytes_per_parameter = NAN},
    RV_MUON_PARTS(rules, RV_MUON_SLOTS),
};
