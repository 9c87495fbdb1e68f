/* What the rows of all families share: the errors of shape rules, the bytes of the
 * cost, and where the float64 reference kernels put gradients. */
#ifndef RV_GRAPH_OP_ROW_H
#define RV_GRAPH_OP_ROW_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/attr.h"
#include "graph/op.h"

/* Fails with "conv2d 'block0.conv': operand kernel: expected [16, 3, *, *], found [16, 4, 3, 3]"
 * where format describes what was expected of operand i. */
static inline rv_status RV_PRINTF(5, 6)
    rv_operand_fail(const rv_node *node, int i, const char *operand, rv_error *err, const char *format, ...)
{
    char expected[256], found[128];
    va_list list;
    va_start(list, format);
    vsnprintf(expected, sizeof expected, format, list);
    va_end(list);
    return rv_fail(err, RV_E_SHAPE, "%s '%s': operand %s: expected %s, found %s", node->op->name, node->name,
                   operand, expected, rv_shape_text(&node->in_shape[i], found, sizeof found));
}

/* Operand i must be float of the given rank (0: any rank of at least 1). */
static inline rv_status rv_operand_float(const rv_node *node, int i, const char *operand, int rank,
                                         rv_error *err)
{
    if (node->in_dtype[i] != RV_F32)
        return rv_fail(err, RV_E_SHAPE, "%s '%s': operand %s: expected f32, found %s", node->op->name,
                       node->name, operand, rv_dtype_name(node->in_dtype[i]));
    if (rank ? node->in_shape[i].rank != rank : node->in_shape[i].rank < 1)
        return rv_operand_fail(node, i, operand, err, "rank %s%d", rank ? "" : "at least ", rank ? rank : 1);
    return RV_OK;
}

/* An optional float vector [width] at operand i. */
static inline rv_status rv_operand_vector(const rv_node *node, int i, const char *operand, int64_t width,
                                          rv_error *err)
{
    if (node->in[i] == RV_NONE)
        return RV_OK;
    RV_TRY(rv_operand_float(node, i, operand, 0, err));
    if (node->in_shape[i].rank != 1 || node->in_shape[i].dim[0] != width)
        return rv_operand_fail(node, i, operand, err, "[%lld]", (long long)width);
    return RV_OK;
}

/* Bytes of all inputs and the output, four to an element. */
static inline double rv_node_bytes(const rv_node *node)
{
    double elements = (double)rv_shape_size(&node->shape);
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] != RV_NONE)
            elements += (double)rv_shape_size(&node->in_shape[i]);
    return 4 * elements;
}

/* The gradient of input i, ready to be added to: zeroed unless the call adds; NULL: not wanted. */
static inline double *rv_ref_gradient(const rv_call *call, int i)
{
    double *g = call->gin[i];
    if (g && !call->add[i])
        memset(g, 0, sizeof *g * (size_t)rv_shape_size(&call->node->in_shape[i]));
    return g;
}

#endif
