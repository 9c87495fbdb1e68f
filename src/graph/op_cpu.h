/* The float32 kernels of every operation; forward NULL: the backend lacks it. */
#ifndef RV_GRAPH_OP_CPU_H
#define RV_GRAPH_OP_CPU_H

#include "graph/op.h"

#define OP(name) extern const rv_kernels rv_##name##_cpu;
#include "ops.def"
#undef OP

/* For gives_bf16 of operations that always do. */
static inline bool rv_cpu_always(const rv_node *node)
{
    (void)node;
    return true;
}

#endif
