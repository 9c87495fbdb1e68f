/* What a method is to the rest of the house: one descriptor with its parameters,
 * its state slots and an ordinary step function that calls the parallel
 * primitives below.  Invariant: what a step computes depends on tensors, state and
 * parameters only, never on the number of workers. */
#ifndef RV_OPTIM_METHOD_H
#define RV_OPTIM_METHOD_H

#include "optim/dice.h"
#include "ravine/optim.h"
#include "tensor/kernels/cpu/team.h"

enum {
    RV_MAX_SLOTS = 8,   /* slots of one method */
    RV_MAX_SCALARS = 8, /* scalars of one group */
    RV_MAX_SUMS = 4,    /* sums of one pass */
    RV_SUM_LANES = 8    /* partial sums inside a tile, added in a fixed tree */
};

/* ---- state ------------------------------------------------------------ */

/* The shape of a slot for one tensor; false when this tensor has no such slot. */
typedef bool rv_slot_shape(const rv_tensor *tensor, const void *params, rv_shape *shape);

typedef struct rv_slot {
    const char *name;     /* "m": its arrays are called METHOD.m.TENSOR */
    rv_slot_shape *shape; /* NULL: of layers, by the method's layer_shape, and kept with their weights */
    bool from_weights;    /* starts as a copy of the weights; zero otherwise */
} rv_slot;

rv_slot_shape rv_slot_like; /* of the tensor's own shape */

/* A linear layer of the layout whose weight and bias this group has. */
typedef struct rv_run_layer {
    int weight, bias;   /* of the group's tensors; bias -1: none */
    int in, width, out; /* width: in, and 1 for the bias */
    int positions;      /* as in rv_linear_layer */
    int64_t sums;       /* where its sums start in what rv_run_factors gives */
} rv_run_layer;

/* ---- one step of one group -------------------------------------------- */

/* The tensors that one rule gave to one method, in one step. */
typedef struct rv_run {
    const void *params;       /* of the method's struct, values in force */
    double lr;                /* its learning rate with the schedule's factor; NaN: it has none */
    int64_t step;             /* 1 in the first step */
    rv_dtype dtype;           /* RV_F32 or RV_F64: of w, g and every slot */
    int count;                /* tensors */
    const rv_tensor *tensors; /* [count] */
    void *const *w;           /* [count] */
    const void *const *g;     /* [count] */
    double *scalars;          /* of the group, zero at the start */
    const double *joint;      /* [RV_MAX_SUMS], of `measure` below, over all groups of the method */
    uint64_t seed;            /* of the optimizer, for RV_RANDOM_OPTIMIZER at (seed, step) */
    const double *lrs;        /* of a wrapper [count]: the rate of each tensor's method; NaN: it has none */
    double lr_factor;         /* of the schedule */
    int layer_count;          /* of a method with layer_shape */
    const rv_run_layer *layers;
    struct rv_group *group;
    rv_error *err;
} rv_run;

/* Slot number `slot` of a tensor, or NULL where it has none. */
void *rv_run_slot(const rv_run *run, int tensor, int slot);
/* [count] The rooms of the tensors, of the sizes that the method asked for; what is in them lasts for one step. */
void *const *rv_run_rooms(const rv_run *run);
/* The workspace of a worker, of the size that the method asked for. */
void *rv_run_workspace(const rv_run *run, int worker);

/* The worker of a task and who may help it with products, for a method with a workspace. */
rv_team rv_run_team(const rv_run *run, int worker);

typedef enum rv_fault { RV_FAULT_NONE, RV_FAULT_GRADIENT, RV_FAULT_UPDATE, RV_FAULT_EIGEN,
                       RV_FAULT_FILTER, RV_FAULT_FACTOR } rv_fault;

/* A contiguous part of one tensor, as an elementwise kernel gets it (kernel.h). */
typedef struct rv_block {
    void *w;
    const void *g;
    void *slot[RV_MAX_SLOTS];
    int64_t size;      /* elements */
    int tensor;        /* of the group */
    int64_t start;     /* first element within the tensor */
    const void *args;  /* the kernel's struct */
    double *sums;      /* [RV_MAX_SUMS], written by the kernel */
    void *to;          /* where a filter writes the new gradient */
    unsigned packed;   /* bit k: slot k is bf16 in memory */
    rv_dice_key dice[RV_MAX_SLOTS]; /* for the rounding of packed slots */
} rv_block;
typedef rv_fault rv_kernel_loop(const rv_block *block);
typedef struct rv_kernel {
    rv_kernel_loop *f32, *f64;
} rv_kernel;

/* Runs an elementwise kernel over every tensor, in blocks that do not depend on the
 * number of workers.  RV_E_NUMERIC names tensor and step; the tile at fault is then as before. */
rv_status rv_run_map(const rv_run *run, rv_kernel kernel, const void *args);
/* The same for a kernel that also sums: total [RV_MAX_SUMS] over all tensors and, unless
 * NULL, each [count][RV_MAX_SUMS] per tensor; in double, in a fixed tree. */
rv_status rv_run_sum(const rv_run *run, rv_kernel kernel, const void *args, double *total,
                     double (*each)[RV_MAX_SUMS]);
/* rows [count][RV_MAX_SUMS] are added pairwise into the first, in a tree that follows from count. */
void rv_sums_add(double (*rows)[RV_MAX_SUMS], int count);
/* Room for `each`, [count][RV_MAX_SUMS], valid until the next step. */
double (*rv_run_sums(const rv_run *run))[RV_MAX_SUMS];

/* Runs tasks that own disjoint parts of the state: whole tensors or blocks of them, the dearest
 * first where they are as many as the descriptor's `tasks` of all tensors together.  tensor_of
 * says whose tensor a task works on; NULL: tensor number `task`. */
typedef rv_fault rv_run_task(const rv_run *run, const void *context, int task, int worker);
typedef int rv_run_tensor_of(const rv_run *run, const void *context, int task);
rv_status rv_run_each(const rv_run *run, int tasks, rv_run_task *task, rv_run_tensor_of *tensor_of,
                      const void *context);

/* ---- more gradients in a step ------------------------------------------ */

/* For a method or wrapper with `probes`, in a step that was called with a closure
 * (RV_E_ARGUMENT otherwise).  Room for weights, [count] of the group's tensors: */
void *const *rv_run_probe_weights(const rv_run *run);
/* Another gradient of the same batch, at that room's weights (elsewhere) or at the weights in
 * force; *g [count] stays valid until the next probe of this group. */
rv_status rv_run_probe(const rv_run *run, rv_probe probe, bool elsewhere, const void *const **g);

/* For a method with layer_shape: the factor sums of all layers of the layout (rv_layout_factors), in the
 * type of the run, for the data's labels or for sampled ones; one closure a step whoever asks. */
rv_status rv_run_factors(const rv_run *run, bool sampled, const void **sums);
/* Where their last number stands, that of the losses, in elements. */
int64_t rv_run_factor_losses(const rv_run *run);

/* ---- the descriptor --------------------------------------------------- */

#define RV_ROLE_BIT(role) (1u << (role))

/* One entry of a rule list; the first that matches a tensor takes it. */
typedef struct rv_rule {
    const char *name;       /* glob; NULL: any */
    unsigned roles;         /* RV_ROLE_BITs; 0: any */
    int rank_min, rank_max; /* inclusive */
    bool layered;           /* only weights and biases of the layout's layers */
    const char *method;
    const char *params;     /* "lr=3e-4,..." over that method's defaults, or NULL */
} rv_rule;

typedef struct rv_method {
    rv_method_info info;
    double tolerance;           /* of a float64 replay against the reference, relative */
    const rv_slot *slots;
    int slot_count;
    const char *const *scalars; /* names of the group's scalars */
    int scalar_count;
    const rv_rule *rules;       /* NULL: every tensor goes to this method */
    int rule_count;
    /* Conditions between parameters; NULL: none. */
    rv_status (*check)(const void *params, rv_error *err);
    /* Bytes of workspace that one worker needs for this tensor; NULL: none. */
    size_t (*workspace)(const rv_tensor *tensor, const void *params, rv_dtype dtype);
    /* Bytes that a tensor has to itself during a step (rv_run_rooms); NULL: none. */
    size_t (*room)(const rv_tensor *tensor, const void *params, rv_dtype dtype);
    /* Tasks that rv_run_each is given at most for this tensor; NULL: 1. */
    int (*tasks)(const rv_tensor *tensor, const void *params);
    /* What one of them costs beside others, for the order in which they are handed out; NULL: the
     * elements of the tensor. */
    double (*cost)(const rv_tensor *tensor, const void *params, int task);
    /* What its step gives to rv_segments_run (segments.h); NULL: it has no segments. */
    const struct rv_segments *(*segments)(const void *params);
    /* For methods with one number for all their tensors, whatever rules gave them: before any
     * group steps, each adds its sums to total [RV_MAX_SUMS], `passes` times; run->joint then
     * holds their sum over the groups.  NULL: none. */
    rv_status (*measure)(const rv_run *run, int pass, double *total);
    int passes;
    rv_status (*step)(const rv_run *run);
    /* dst [count]: the weights to evaluate, from w and the state; NULL: w itself. */
    void (*evaluation_weights)(const rv_run *run, void *const *dst);
    /* Its step calls rv_run_probe; with probes_if only where that says so of the parameters. */
    bool probes;
    bool (*probes_if)(const void *params);
    /* The shape of a layer's slot where the slot itself has none; false: it is not there.  A method with
     * it cannot be made where the layout names no layers. */
    bool (*layer_shape)(const rv_run_layer *layer, int slot, const void *params, rv_shape *shape);
    /* Whether step number `step` will ask for factors with the data's labels. */
    bool (*wants_factors)(const void *params, int64_t step);
    /* Bit k: slot k is also reached by rv_run_slot, or adds up its rounding, so that it cannot be kept in
     * bf16.  Methods with tasks or a workspace need not say so. */
    unsigned whole_slots;
} rv_method;

/* ---- wrappers ----------------------------------------------------------- */

/* What stands around any method's step: it changes gradients before or weights after, or
 * keeps an average.  method: its name, parameters, state, check and evaluation_weights (dst then
 * holds what the method and earlier wrappers evaluate); method.step is not used.  Its group
 * holds every tensor, in the caller's order.  Hooks run in the order of the wrappers. */
typedef struct rv_wrapper {
    rv_method method;
    rv_status (*before)(const rv_run *run); /* the gradient: rv_run_filter, rv_run_use_gradient, rv_run_hold */
    rv_status (*after)(const rv_run *run);  /* the new weights; run->g is run->w */
    /* The step failed after `before`: puts back weights that `before` changed.  NULL: it changes none. */
    void (*undo)(const rv_run *run);
    bool filters; /* uses rv_run_filter */
    bool scratch; /* uses rv_run_scratch */
} rv_wrapper;

/* Runs a kernel with RV_KERNEL_FILTER, whose t->out is the new gradient; run->g then is it. */
rv_status rv_run_filter(const rv_run *run, rv_kernel kernel, const void *args);
/* The filtered gradient as memory of our own, for transforms that are no kernels; run->g then
 * is it, and holds what it held before. */
void *const *rv_run_own_gradient(const rv_run *run);
/* g [count] takes the place of the gradient. */
void rv_run_use_gradient(const rv_run *run, const void *const *g);
/* No step is made this time: later wrappers and the method are not called. */
void rv_run_hold(const rv_run *run);
/* Memory like the tensors, [count], that lasts for one step. */
void *const *rv_run_scratch(const rv_run *run);
/* Copies tensors [count]. */
void rv_run_copy(const rv_run *run, const void *const *from, void *const *to);

/* Entry number *out of infos [count] called "name" (its newest version) or "name@version". */
enum { RV_REGISTRY_MAX = 512 };
rv_status rv_registry_lookup(const rv_method_info *const *infos, int count, const char *kind, const char *name, int *out,
                             rv_error *err);
const rv_wrapper *rv_wrapper_number(int i);
rv_status rv_wrapper_lookup(const char *name, const rv_wrapper **out, rv_error *err);

/* Method number i, or the one called "name" (newest version) or "name@version". */
const rv_method *rv_method_number(int i);
rv_status rv_method_lookup(const char *name, const rv_method **out, rv_error *err);

#endif
