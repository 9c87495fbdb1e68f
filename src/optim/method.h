/* What a method is to the rest of the house: one descriptor with its parameters,
 * its state slots and an ordinary step function that calls the parallel
 * primitives below.  Invariant: what a step computes depends on tensors, state and
 * parameters only, never on the number of workers. */
#ifndef RV_OPTIM_METHOD_H
#define RV_OPTIM_METHOD_H

#include "ravine/optim.h"

enum {
    RV_MAX_SLOTS = 6,   /* slots of one method */
    RV_MAX_SCALARS = 8, /* scalars of one group */
    RV_MAX_SUMS = 4,    /* sums of one pass */
    RV_SUM_LANES = 8    /* partial sums inside a tile, added in a fixed tree */
};

/* ---- state ------------------------------------------------------------ */

/* The shape of a slot for one tensor; false when this tensor has no such slot. */
typedef bool rv_slot_shape(const rv_tensor *tensor, const void *params, rv_shape *shape);

typedef struct rv_slot {
    const char *name;     /* "m": its arrays are called METHOD.m.TENSOR */
    rv_slot_shape *shape;
    bool from_weights;    /* starts as a copy of the weights; zero otherwise */
} rv_slot;

rv_slot_shape rv_slot_like; /* of the tensor's own shape */

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
    struct rv_group *group;
    rv_error *err;
} rv_run;

/* Slot number `slot` of a tensor, or NULL where it has none. */
void *rv_run_slot(const rv_run *run, int tensor, int slot);
/* The workspace of a worker, of the size that the method asked for. */
void *rv_run_workspace(const rv_run *run, int worker);

typedef enum rv_fault { RV_FAULT_NONE, RV_FAULT_GRADIENT, RV_FAULT_UPDATE, RV_FAULT_EIGEN } rv_fault;

/* A contiguous part of one tensor, as an elementwise kernel gets it (kernel.h). */
typedef struct rv_block {
    void *w;
    const void *g;
    void *slot[RV_MAX_SLOTS];
    int64_t size;      /* elements */
    int tensor;        /* of the group */
    const void *args;  /* the kernel's struct */
    double *sums;      /* [RV_MAX_SUMS], written by the kernel */
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
/* Room for `each`, [count][RV_MAX_SUMS], valid until the next step. */
double (*rv_run_sums(const rv_run *run))[RV_MAX_SUMS];

/* Runs tasks that own disjoint parts of the state: whole tensors or blocks of them.  tensor_of
 * says whose tensor a task works on; NULL: tensor number `task`. */
typedef rv_fault rv_run_task(const rv_run *run, const void *context, int task, int worker);
typedef int rv_run_tensor_of(const rv_run *run, const void *context, int task);
rv_status rv_run_each(const rv_run *run, int tasks, rv_run_task *task, rv_run_tensor_of *tensor_of,
                      const void *context);

/* ---- the descriptor --------------------------------------------------- */

#define RV_ROLE_BIT(role) (1u << (role))

/* One entry of a rule list; the first that matches a tensor takes it. */
typedef struct rv_rule {
    const char *name;       /* glob; NULL: any */
    unsigned roles;         /* RV_ROLE_BITs; 0: any */
    int rank_min, rank_max; /* inclusive */
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
    /* Tasks that rv_run_each is given at most for this tensor; NULL: 1. */
    int (*tasks)(const rv_tensor *tensor, const void *params);
    /* For methods with one number for all their tensors, whatever rules gave them: before any
     * group steps, each adds its sums to total [RV_MAX_SUMS], `passes` times; run->joint then
     * holds their sum over the groups.  NULL: none. */
    rv_status (*measure)(const rv_run *run, int pass, double *total);
    int passes;
    rv_status (*step)(const rv_run *run);
    /* dst [count]: the weights to evaluate, from w and the state; NULL: w itself. */
    void (*evaluation_weights)(const rv_run *run, void *const *dst);
} rv_method;

/* Method number i, or the one called "name" (newest version) or "name@version". */
const rv_method *rv_method_number(int i);
rv_status rv_method_lookup(const char *name, const rv_method **out, rv_error *err);

#endif
