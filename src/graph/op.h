/* The row that describes an operation, and what its kernels see.
 *
 * One file per family (op_linear.c, op_norm.c, ...) holds the rows: name, shape
 * rule, cost and the float64 reference kernels; the float32 kernels stand in
 * op_*_cpu.c beside it and are glue over src/tensor/kernels/cpu.  Kernels are
 * single-threaded, allocate nothing and depend on their call only. */
#ifndef RV_GRAPH_OP_H
#define RV_GRAPH_OP_H

#include "ravine/graph.h"

enum { RV_OP_INPUTS = 5, RV_PACK_PARTS = 2, RV_CUT_STAGES = 2 };

typedef struct rv_node rv_node;
typedef struct rv_call rv_call;

/* How the work of a call is cut: one stage after the other, each of so many units, of which any may
 * run beside any other.  Every element a call writes is computed by one unit of one stage, with
 * the same sums whoever runs it and whatever runs beside it: that is what keeps bits apart from
 * the number of workers. */
typedef struct rv_cut {
    int stages;
    int units[RV_CUT_STAGES]; /* each at least 1 */
} rv_cut;

/* Computes the units of a stage that the call names. */
typedef rv_status rv_kernel(const rv_call *call, rv_error *err);

/* What the kernels of one backend offer for one operation. */
typedef struct rv_kernels {
    rv_kernel *forward;
    rv_kernel *backward; /* NULL: not differentiable */
    size_t (*saved)(const rv_node *node);   /* bytes kept from forward to backward; NULL: 0 */
    size_t (*scratch)(const rv_node *node); /* bytes needed during either, by all units together; NULL: 0 */
    size_t (*work)(const rv_node *node);    /* bytes that each worker needs beside those; NULL: 0 */
    /* The cut of either direction, a function of the node alone; NULL: one unit. */
    rv_cut (*cut)(const rv_node *node, bool backward);
    /* Bytes of prepared weights; NULL: 0.  Only input 1 is packed, and only where it is a
     * parameter: otherwise call->packed is NULL. */
    size_t (*packed)(const rv_node *node);
    /* Runs once for every part in [0, RV_PACK_PARTS), by whichever workers: parts write apart. */
    rv_status (*pack)(const rv_node *node, const void *prepared, const void *weight, void *packed, int part,
                      rv_error *err);
    /* State built once per plan (library descriptors), immutable afterwards; NULL: none. */
    rv_status (*prepare)(const rv_node *node, void **prepared, rv_error *err);
    void (*unprepare)(void *prepared);
    /* For a layer whose weight is input 1 and bias input 2: adds the factor sums (rv_layout_factors) of
     * the first `used` of `of` equal parts of its rows.  Runs right after backward, on the same call. */
    rv_status (*factors)(const rv_call *call, void *sums, int64_t used, int64_t of, rv_error *err);
    unsigned reads;   /* RV_READS_*: what backward looks at */
    bool (*reads_output)(const rv_node *node); /* where not every node does that reads promises; NULL: all do */
    /* Whether both programs read the first input in bf16 where there is such a copy; NULL: never. */
    bool (*takes_bf16)(const rv_node *node);
    /* Whether forward writes call->out_bf16 where it is given, and call->out where that is; NULL: never. */
    bool (*gives_bf16)(const rv_node *node);
    bool in_place;    /* forward may write its first input's memory */
    bool gradient_in_place; /* backward may write gin[0] over gout (then add[0] is false) */
} rv_kernels;

/* Bit i: forward input i; RV_READS_OUTPUT: the forward result. */
#define RV_READS_INPUT(i) (1u << (i))
#define RV_READS_OUTPUT (1u << 31)

typedef struct rv_cost {
    double flops; /* forward, a multiply-add counted as two */
    double bytes; /* forward, of inputs and output */
} rv_cost;

typedef struct rv_op {
    const char *name;
    int min_inputs, max_inputs;
    /* Checks node->in_shape against the attributes, sets node->shape (and dtype). */
    rv_status (*infer)(rv_node *node, rv_error *err);
    rv_cost (*cost)(const rv_node *node);
    int64_t (*buffer)(const rv_node *node); /* elements of running statistics; NULL: 0 */
    const rv_kernels *kernels[RV_BACKEND_COUNT];
} rv_op;

struct rv_node {
    const rv_op *op;
    char name[RV_NAME_SIZE]; /* path of the graph at its creation: "block0.attention" */
    int n_in;
    rv_value in[RV_OP_INPUTS]; /* RV_NONE: absent */
    rv_shape in_shape[RV_OP_INPUTS];
    rv_dtype in_dtype[RV_OP_INPUTS];
    rv_value out;
    rv_shape shape;
    rv_dtype dtype;      /* of the result: RV_F32 stands for the backend's float */
    const void *attr;    /* the operation's own attributes, owned by the graph */
    /* set by the planner */
    bool bf16;           /* products in bf16 */
    bool in_bf16;        /* the first input comes in bf16 alone */
    bool only_bf16;      /* the result is wanted in bf16 alone */
    bool wants_first;    /* the first input gets a gradient */
};

/* One execution of a node.  Pointers to float data are double for ref, float for cpu. */
struct rv_call {
    const rv_node *node;
    const void *in[RV_OP_INPUTS]; /* NULL: absent */
    int stage;
    int first, end; /* the units of the stage to compute */
    void *out;
    const uint16_t *in_bf16; /* the first input and the result in bf16 (rows of even length), where the */
    uint16_t *out_bf16;      /* node's flags say so or both kinds are wanted; NULL: absent */
    void *saved, *scratch, *work;
    const void *packed, *prepared;
    void *statistics;       /* running statistics of this node */
    rv_shard shard;
    uint64_t node_index;    /* number of the node in its graph: part of dropout's key */
    /* backward only */
    const void *gout;
    void *gin[RV_OP_INPUTS]; /* NULL: not wanted */
    bool add[RV_OP_INPUTS];  /* add to gin[i] instead of overwriting it */
};

/* X(op): every operation, in the order of the documentation. */
#define OP(name) extern const rv_op rv_op_##name;
#include "ops.def"
#undef OP

#endif
