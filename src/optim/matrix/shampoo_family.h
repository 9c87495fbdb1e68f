/* The Shampoo family is one step with options.  A tensor is cut into blocks (blocks.h); a
 * block keeps one factor per axis, from which now and then come inverse roots (roots.h) or an
 * eigenbasis (basis.h); these turn the filtered gradient into a direction, whose length may be
 * another method's (graft.h); decay and momentum follow.
 *
 * shampoo_plan.c says what is kept and when roots are taken, shampoo_step.c does the step. */
#ifndef RV_OPTIM_MATRIX_SHAMPOO_FAMILY_H
#define RV_OPTIM_MATRIX_SHAMPOO_FAMILY_H

#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"
#include "optim/matrix/roots.h"
#include "optim/method.h"

/* The fields of all tables of the family.  A field that a method's table lacks is 0, and 0 means
 * that the option is off, or the word that stands first in its list of choices. */
typedef struct rv_shampoo_params {
    double lr, epsilon, weight_decay;
    double beta1, beta2, beta3; /* of the filter, of the factors, of the filter's look ahead */
    double momentum, dampening;
    double grafting_beta2, grafting_epsilon;
    double root_tolerance, exponent_multiplier, trace_exponent;
    int64_t precondition_frequency, start_preconditioning_step, max_preconditioner_dim, merge_to;
    int64_t root_override, root_iterations, root_order;
    bool nesterov, use_nadam, bias_correction, drop_weighting, stagger, kl_mean;
    int decay, momentum_form, merging, grafting, preconditioner, root, perturb, basis, filter_correction;
    int roots_start;
    char exponent_override[RV_PARAM_TEXT_SIZE];
} rv_shampoo_params;

enum { RV_DECAY_DECOUPLED, RV_DECAY_L2, RV_DECAY_INDEPENDENT, RV_DECAY_CORRECTED };
enum { RV_MOMENTUM_SUM, RV_MOMENTUM_MEAN };
enum { RV_PRE_ROOT, RV_PRE_CASPR, RV_PRE_KL, RV_PRE_EIGENVALUES, RV_PRE_SPECTRAL, RV_PRE_SIGN, RV_PRE_NONE };
enum { RV_BASIS_EIGEN, RV_BASIS_QR };
enum { RV_FILTER_AHEAD, RV_FILTER_PLAIN };
enum { RV_START_IDENTITY, RV_START_ZERO };

#define RV_DECAY_WORDS "decoupled|l2|independent|corrected"
#define RV_PRE_WORDS "root|caspr|kl|eigenvalues|spectral|sign|none" /* tables offer the first few */

/* Rows that every table of the family has. */
#define RV_SHAMPOO_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                               \
    INT(max_preconditioner_dim, 1024, 1, 16384, RV_PARAM_LOG, "longer axes are cut into blocks")                     \
    INT(start_preconditioning_step, 0, 0, 1e15, 0, "step of the first inverse roots; 0: precondition_frequency")     \
    BOOL(stagger, false, "spread the roots over the steps between two refreshes instead of taking all in one")

/* Rows of the methods that take inverse roots of single factors. */
#define RV_SHAMPOO_ROOT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                          \
    CHOICE(root, RV_ROOT_WORDS, "eigen", "how inverse roots are taken")                                              \
    REAL(root_tolerance, 1e-6, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "newton, higher_order: of max |M - I|")        \
    INT(root_iterations, 100, 1, 10000, RV_PARAM_LOG, "newton, higher_order: at most")                               \
    INT(root_order, 3, 2, 16, 0, "higher_order: of the iteration")

/* Rows of the methods that are not grafted unless it is asked for. */
#define RV_SHAMPOO_GRAFT_ROWS(REAL, INT, BOOL, CHOICE, TEXT)                                                         \
    CHOICE(grafting, RV_GRAFTING_WORDS, "none", "the method whose step length each block takes over")                \
    REAL(grafting_beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the squares of rmsprop and adam")                   \
    REAL(grafting_epsilon, 1e-10, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the root of the squares")

enum { RV_SHAMPOO_FACTORS, RV_SHAMPOO_ROOTS, RV_SHAMPOO_M, RV_SHAMPOO_SQUARES, RV_SHAMPOO_MOMENTUM,
       RV_SHAMPOO_SLOTS };
extern const rv_slot rv_shampoo_slots[RV_SHAMPOO_SLOTS];
#define RV_SHAMPOO_STATE                                                                                     \
    "factors, roots: one d x d matrix per axis of every block; m: like the tensor, only where there is a beta1 > 0; " \
    "squares: like the tensor, only with the squares of grafting or of eigenvalues; momentum: like the "     \
    "tensor, only with momentum > 0"

rv_status rv_shampoo_check(const void *params, rv_error *err);
size_t rv_shampoo_workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype);
int rv_shampoo_tasks(const rv_tensor *tensor, const void *params);
double rv_shampoo_cost(const rv_tensor *tensor, const void *params, int task);
rv_status rv_shampoo_step(const rv_run *run);

/* What the descriptors of the family have in common. */
#define RV_SHAMPOO_PARTS                                                                                     \
    .tolerance = 1e-6, .slots = rv_shampoo_slots, .slot_count = RV_SHAMPOO_SLOTS, .check = rv_shampoo_check, \
    .workspace = rv_shampoo_workspace, .tasks = rv_shampoo_tasks, .cost = rv_shampoo_cost,                   \
    .step = rv_shampoo_step

/* ---- inside ------------------------------------------------------------------ */

/* One step as all its tasks see it. */
typedef struct rv_shampoo_args {
    const rv_shampoo_params *p;
    rv_blocking blocking;
    rv_root root;    /* but for its power */
    rv_graft graft;
    double lr, decay; /* decay: factor of w in the direction */
    double keep, weight, correction; /* of factors: keep, weight of the new product, 1 - beta2^t */
    double look, look_scale; /* f = look_scale (look m + (1 - look) g) with the old m */
    double momentum_weight;
    double power[RV_MAX_RANK + 1][RV_MAX_RANK]; /* exponents by order and axis */
    int64_t step, start;
    bool started; /* there are roots to multiply with */
    bool refresh; /* some are taken in this step */
    bool observe, move; /* what the pass at hand does */
} rv_shampoo_args;

/* Whether the inverse root or basis number `unit` (axes counted through all blocks) is due. */
bool rv_shampoo_due(const rv_shampoo_args *args, int64_t unit);
rv_shampoo_args rv_shampoo_args_of(const rv_run *run);
bool rv_shampoo_has_factors(const rv_shampoo_params *p);

/* A pass over one block, and over one axis of it. */
rv_fault rv_shampoo_block_f32(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b, int worker);
rv_fault rv_shampoo_block_f64(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b, int worker);
rv_fault rv_shampoo_refresh_f32(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b, int axis,
                                void *work);
rv_fault rv_shampoo_refresh_f64(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b, int axis,
                                void *work);

#endif
