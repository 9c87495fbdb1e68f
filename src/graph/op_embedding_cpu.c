/* Rows of a table in float32.  The gradient is added row by row in the order of the ids. */
#include <string.h>

#include "graph/cut.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/embedding.h"

enum { UNIT_ROWS = 16 };

/* Forward by rows; the sums of backward are one unit. */
static rv_cut cut(const rv_node *node, bool backward)
{
    return rv_cut_of(backward ? 1 : rv_cut_units(rv_shape_size(&node->in_shape[0]), UNIT_ROWS));
}

static rv_status forward(const rv_call *call, rv_error *err)
{
    const rv_node *node = call->node;
    const int64_t count = rv_shape_size(&node->in_shape[0]);
    const rv_span rows = rv_cut_span(count, UNIT_ROWS, cut(node, false).units[0], call->first, call->end);
    const int64_t tokens = node->in_shape[1].dim[0], width = node->in_shape[1].dim[1];
    const int32_t *ids = call->in[0];
    const float *table = call->in[1]; /* [tokens, width] */
    float *y = call->out;             /* [count, width] */
    for (int64_t i = rows.first; i < rows.first + rows.count; i++) {
        if (ids[i] < 0 || ids[i] >= tokens)
            return rv_fail(err, RV_E_RANGE, "embedding '%s': id %lld: expected 0 <= id < %lld, found %d", node->name,
                           (long long)i, (long long)tokens, ids[i]);
        memcpy(y + i * width, table + ids[i] * width, (size_t)width * sizeof *y);
    }
    return RV_OK;
}

static rv_status backward(const rv_call *call, rv_error *err)
{
    const rv_shape *table = &call->node->in_shape[1];
    float *g = call->gin[1];
    (void)err;
    if (g && !call->add[1])
        memset(g, 0, (size_t)rv_shape_size(table) * sizeof *g);
    if (g)
        rv_cpu()->embedding->add_rows(rv_shape_size(&call->node->in_shape[0]), table->dim[1], call->in[0], call->gout,
                                      g);
    return RV_OK;
}

const rv_kernels rv_embedding_cpu = {.forward = forward, .backward = backward, .cut = cut, .reads = RV_READS_INPUT(0)};
