/* Attributes of the operations: what node->attr points to. */
#ifndef RV_GRAPH_ATTR_H
#define RV_GRAPH_ATTR_H

#include "graph/op.h"

typedef struct rv_activation_attr { rv_activation act; } rv_activation_attr;            /* linear, activate */
typedef struct rv_matmul_attr { bool transpose_a, transpose_b; } rv_matmul_attr;
typedef struct rv_scale_attr { double factor; } rv_scale_attr;
typedef struct rv_norm_attr { double eps; int groups; } rv_norm_attr;                   /* all four norms */
typedef struct rv_dropout_attr { double rate; bool channels; } rv_dropout_attr;
typedef struct rv_pool_attr { int size, stride, padding; } rv_pool_attr;
typedef struct rv_slice_attr { int axis; int64_t start, length; } rv_slice_attr;
typedef struct rv_axis_attr { int axis; rv_reduction kind; } rv_axis_attr;              /* concat, reduce */
typedef struct rv_cross_entropy_attr {
    double label_smoothing;
    const double *class_weights; /* [classes] or NULL, owned by the graph */
    bool ignore_negative, stablemax;
} rv_cross_entropy_attr;
/* Smoothing is a regulariser: what an evaluation reports is the plain loss, comparable whatever was trained on. */
static inline double rv_smoothing(const rv_call *call)
{
    return call->shard.training ? ((const rv_cross_entropy_attr *)call->node->attr)->label_smoothing : 0;
}
/* attention: rv_attention_options; conv2d: rv_conv_options with zeros resolved. */

#endif
