/* Muon and its relatives are one step with options: momentum, orthogonalisation, perhaps a
 * normalisation of rows, a factor for the shape, decay. */
#ifndef RV_OPTIM_MATRIX_MUON_FAMILY_H
#define RV_OPTIM_MATRIX_MUON_FAMILY_H

#include "optim/matrix/part.h"
#include "optim/newton_schulz.h"

/* The fields of all tables of the family.  A field that a method's table lacks is 0, and
 * the word that stands first in every list of choices is the one that 0 means. */
typedef struct rv_muon_params {
    double lr, momentum, weight_decay, beta2;
    int64_t ns_steps;
    bool nesterov;
    int momentum_form, kernel_scale, scale, coefficients, normalise, decay;
} rv_muon_params;

enum { RV_MUON_MEAN, RV_MUON_SUM };                       /* momentum_form */
enum { RV_MUON_RELEASED, RV_MUON_FLATTENED };             /* kernel_scale */
enum { RV_MUON_TALL, RV_MUON_RMS, RV_MUON_UNSCALED };     /* scale */
enum { RV_MUON_AS_IT_IS, RV_MUON_ROWS, RV_MUON_LONGER };  /* normalise */
enum { RV_MUON_DECAY, RV_MUON_CAUTIOUS };                 /* decay */

/* Rows that every table of the family has. */
#define RV_MUON_ROWS_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                        \
    REAL(momentum, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the momentum")                         \
    BOOL(nesterov, true, "look ahead along the momentum")                                         \
    INT(ns_steps, 5, 1, 100, 0, "Newton-Schulz iterations")                                       \
    CHOICE(kernel_scale, "released|flattened", "released", "rows/cols of a kernel: its last two axes, or [out, rest]")

enum { RV_MUON_SLOTS = 2 };
extern const rv_slot rv_muon_slots[RV_MUON_SLOTS]; /* m; v with normalise */
size_t rv_muon_workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype);
rv_status rv_muon_step(const rv_run *run);

/* What the descriptors of the family have in common. */
#define RV_MUON_PARTS(own_rules, own_slots)                                                       \
    .tolerance = 1e-10, .slots = rv_muon_slots, .slot_count = own_slots, .rules = own_rules,      \
    .rule_count = sizeof own_rules / sizeof own_rules[0], .workspace = rv_muon_workspace,         \
    .tasks = rv_part_tasks, .step = rv_muon_step

/* Where hidden matrices and kernels go; all else takes AdamW with `rest`. */
#define RV_MUON_RULES(name, most, rest)                                                    \
    {{.roles = RV_ROLE_BIT(RV_ROLE_HIDDEN) | RV_ROLE_BIT(RV_ROLE_CONV),                    \
      .rank_min = 2,                                                                       \
      .rank_max = most,                                                                    \
      .method = name},                                                                     \
     {.rank_max = RV_MAX_RANK, .method = "adamw", .params = rest}}
#define RV_MUON_REST "lr=3e-4,beta1=0.9,beta2=0.95,eps=1e-10,weight_decay=0"

#endif
