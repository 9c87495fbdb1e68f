/* The inside of an optimizer, shared by the files of this room.  Invariant: groups stand
 * in the order of the rules, and every tensor belongs to exactly one of them. */
#ifndef RV_OPTIM_OPTIMIZER_H
#define RV_OPTIM_OPTIMIZER_H

#include "core/arena.h"
#include "core/json.h"
#include "optim/segments.h"

enum { RV_MAX_WRAPPERS = 16 }; /* around one optimizer */

/* A contiguous part of a tensor: the unit of elementwise work. */
typedef struct rv_piece {
    int tensor; /* of the group */
    int64_t start, size;
} rv_piece;

/* Some pieces that one worker takes together. */
typedef struct rv_span {
    int first, count;
} rv_span;

/* A part of a tensor with segments that one worker takes: whole segments, or a part of a long one. */
typedef struct rv_chunk {
    int tensor;
    int part, parts;      /* this is number `part` of the `parts` of its segment */
    int64_t first, count; /* segments */
    int64_t start, size;  /* elements */
} rv_chunk;

/* Where a closure finds weights and leaves a gradient: all tensors of the optimizer, laid
 * out like its flat vectors. */
typedef struct rv_probe_room {
    void *w_base, *g_base;
    void **w, **g;         /* [tensors of the optimizer] */
    void **own_w, **own_g; /* [count], those of the group */
} rv_probe_room;

/* Tensors under one method, or all of them under one wrapper. */
typedef struct rv_group {
    const rv_method *method;
    const rv_wrapper *wrapper;    /* NULL: a rule's group */
    struct rv_optimizer *owner;
    rv_pool *pool;                /* of the optimizer, borrowed */
    void *workspace;              /* of the optimizer, [workers][workspace_size] */
    size_t workspace_size;
    void *team_rooms;             /* of the optimizer, [workers] for products */
    char label[RV_NAME_SIZE]; /* "adamw", "adamw#2" for its second rule */
    rv_rule rule;             /* method and params are not used here */
    char *glob;               /* owner of rule.name */
    void *params;             /* resolved */
    int count;
    rv_tensor *tensors; /* [count] */
    int *index;         /* [count], position in the caller's list */
    void **w;           /* [count], of the step being made */
    const void **g;
    void **slots;           /* [count][slot_count], NULL where absent */
    rv_shape *slot_shapes;  /* [count][slot_count] */
    unsigned packed;        /* bit k: slot k is bf16 */
    void **filtered;        /* [count], the shared buffer of filters, or NULL */
    void **scratch;         /* [count] or NULL */
    void **room;            /* [count] or NULL, in the optimizer's workspace */
    rv_probe_room probe;
    rv_run_layer *layers;   /* [layer_count], of a method with layer_shape */
    int layer_count;
    bool hold;
    rv_piece *pieces;
    int piece_count;
    rv_span *spans;
    int span_count;
    rv_chunk *chunks;                   /* of segments, whole ones first */
    int chunk_count, whole_chunks;
    int *order, order_count;            /* of the tasks of all tensors: the dearest first */
    unsigned char *faults;              /* one per piece, chunk or task */
    double (*partial)[RV_MAX_SUMS];     /* per piece or chunk */
    double (*decided)[RV_SEGMENT_ARGS]; /* per chunk: what a long segment's kernel is given */
    double (*tensor_sums)[RV_MAX_SUMS]; /* per tensor */
    double scalars[RV_MAX_SCALARS];
    double own[RV_MAX_SUMS], joint[RV_MAX_SUMS]; /* of method->measure: of this group, of all */
} rv_group;

struct rv_optimizer {
    const rv_method *method; /* the one asked for */
    rv_dtype dtype, state_dtype;
    rv_pool *pool;
    uint64_t seed;
    double lr_factor;
    double steps; /* whole; a double, so that it is an array of the state like all others */
    int count;    /* tensors in the caller's order */
    int64_t *offsets; /* [count], of the flat calls */
    int64_t flat_size;
    int group_count, wrapper_count;
    rv_group *groups; /* [group_count + wrapper_count], wrappers last */
    rv_arena state, workspace, buffers;
    rv_allocator allocator; /* its functions NULL: the system's memory */
    void **flat_w, **flat_g; /* [count], of the flat calls */
    int64_t *places;         /* [count], of a tensor in buffers: its offset, or packed without a layout */
    int64_t places_size;
    rv_linear_layer *layers; /* [layer_count], of the layout */
    int layer_count;
    int64_t factors_size;    /* of a vector of factor sums; 0: no method looks at them */
    void *factors;           /* in buffers */
    enum { RV_NO_FACTORS, RV_DATA_FACTORS, RV_SAMPLED_FACTORS } have; /* what factors holds in this step */
    const void **g;          /* [count], the gradient as the wrappers have left it */
    double *lrs;             /* [count], of the step being made */
    /* The step being made: one closure or none. */
    rv_closure *closure;
    rv_closure_flat *closure_flat;
    void *closure_context;
    void *const *step_w;
    void *step_w_flat;
};

/* Groups of rules and of wrappers. */
static inline int rv_groups_all(const rv_optimizer *o)
{
    return o->group_count + o->wrapper_count;
}

static inline rv_dtype rv_slot_dtype(const rv_optimizer *o, const rv_group *group, int slot)
{
    return group->packed >> slot & 1 ? RV_BF16 : o->dtype;
}

static inline size_t rv_slot_bytes(const rv_optimizer *o, const rv_group *group, int tensor, int slot)
{
    const rv_shape *shape = &group->slot_shapes[tensor * group->method->slot_count + slot];
    return shape->rank < 0 ? 0 : (size_t)rv_shape_size(shape) * rv_dtype_size(rv_slot_dtype(o, group, slot));
}

/* Whether a step of the group calls for more gradients. */
static inline bool rv_group_probes(const rv_group *group)
{
    const rv_method *method = group->method;
    return method->probes && (!method->probes_if || method->probes_if(group->params));
}

/* rules.c: groups with their parameters, from options; tensors are not assigned yet. */
rv_status rv_groups_new(rv_optimizer *o, const rv_optimizer_options *options, rv_error *err);
void rv_groups_free(rv_optimizer *o);
/* Label and default parameters of a group that has its method, the last in o->groups so far. */
rv_status rv_group_init(rv_optimizer *o, rv_group *group, rv_error *err);
/* Parameters of one group: an object, or "name=value,...". */
rv_status rv_group_set_json(rv_group *group, const json_t *params, rv_error *err);
/* The group whose rule matches first, or -1; layered: the tensor is of a layer of the layout. */
int rv_groups_match(const rv_optimizer *o, const rv_tensor *tensor, bool layered);
/* Whether group answers to the owner part of "field" (the method asked for) or
 * "owner.field" (its method or label); *field is what is set. */
bool rv_group_addressed(const rv_optimizer *o, const rv_group *group, const char *name, const char **field);
/* The error of a name that addresses no group. */
rv_status rv_groups_not_addressed(const rv_optimizer *o, const char *name, rv_error *err);

/* wrap.c: the wrappers' groups, behind those of the rules; NULL: none. */
rv_status rv_wrappers_new(rv_optimizer *o, const char *text, rv_error *err);

/* layers.c: a copy of the layout's layers, whether one has tensor number i, and the layers of the groups
 * that look at them, once tensors are assigned. */
rv_status rv_optimizer_copy_layers(rv_optimizer *o, const rv_layout *layout, rv_error *err);
bool rv_optimizer_is_layered(const rv_optimizer *o, int tensor);
rv_status rv_optimizer_assign_layers(rv_optimizer *o, rv_error *err);

/* Memory of an arena of the optimizer, zeroed, and back. */
rv_status rv_optimizer_reserve(rv_optimizer *o, rv_arena *arena, size_t size, rv_error *err);
void rv_optimizer_unreserve(rv_optimizer *o, rv_arena *arena);

/* plan.c: the shape of a slot of tensor number i of the group; false: it has none. */
bool rv_group_slot_shape(const rv_group *group, int i, int slot, rv_shape *shape);
/* Pieces, slots and workspaces, once the groups have their tensors. */
rv_status rv_optimizer_plan(rv_optimizer *o, const void *const *w, rv_error *err);

/* segments.c: the chunks of a group whose method has segments, into chunks unless NULL; returns
 * their number, *whole becomes that of the ones of whole segments. */
int rv_segments_cut(const rv_group *group, rv_chunk *chunks, int *whole);

rv_run rv_group_run(const rv_optimizer *o, rv_group *group, rv_error *err);

#endif
