/* Concatenation, slices and reductions in float32: rows are copied or folded.
 *
 * A tensor is seen as [outer, extent, inner] around the axis. */
#include <string.h>

#include "graph/attr.h"
#include "graph/op_cpu.h"
#include "tensor/kernels/cpu/elementwise.h"

typedef struct view {
    size_t outer, extent, inner;
} view;

static view view_of(const rv_shape *shape, int axis)
{
    view v = {1, (size_t)shape->dim[axis], 1};
    for (int i = 0; i < shape->rank; i++) {
        v.outer *= i < axis ? (size_t)shape->dim[i] : 1;
        v.inner *= i > axis ? (size_t)shape->dim[i] : 1;
    }
    return v;
}

/* Copies (or adds) `rows` rows of n elements between arrays with their own row lengths. */
static void copy_rows(size_t rows, size_t n, const float *x, size_t x_row, float *y, size_t y_row, bool add)
{
    for (size_t r = 0; n > 0 && r < rows; r++)
        rv_cpu()->elementwise->scale(n, n, 1, x + r * x_row, y + r * y_row, add);
}

/* ---- concat ----------------------------------------------------------- */

static rv_status concat_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int axis = ((const rv_axis_attr *)call->node->attr)->axis;
    const view whole = view_of(&call->node->shape, axis);
    float *y = call->out;
    for (int i = 0; i < 2; i++) {
        const size_t part = view_of(&call->node->in_shape[i], axis).extent * whole.inner;
        copy_rows(whole.outer, part, call->in[i], part, y, whole.extent * whole.inner, false);
        y += part;
    }
    return RV_OK;
}

static rv_status concat_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const int axis = ((const rv_axis_attr *)call->node->attr)->axis;
    const view whole = view_of(&call->node->shape, axis);
    const float *gy = call->gout;
    for (int i = 0; i < 2; i++) {
        const size_t part = view_of(&call->node->in_shape[i], axis).extent * whole.inner;
        if (call->gin[i])
            copy_rows(whole.outer, part, gy, whole.extent * whole.inner, call->gin[i], part, call->add[i]);
        gy += part;
    }
    return RV_OK;
}

const rv_kernels rv_concat_cpu = {.forward = concat_forward, .backward = concat_backward};

/* ---- slice ------------------------------------------------------------ */

static rv_status slice_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_slice_attr *attr = call->node->attr;
    const view whole = view_of(&call->node->in_shape[0], attr->axis);
    const size_t part = (size_t)attr->length * whole.inner;
    copy_rows(whole.outer, part, (const float *)call->in[0] + (size_t)attr->start * whole.inner,
              whole.extent * whole.inner, call->out, part, false);
    return RV_OK;
}

static rv_status slice_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const rv_slice_attr *attr = call->node->attr;
    const view whole = view_of(&call->node->in_shape[0], attr->axis);
    const size_t part = (size_t)attr->length * whole.inner, row = whole.extent * whole.inner;
    if (!call->gin[0])
        return RV_OK;
    if (!call->add[0])
        memset(call->gin[0], 0, whole.outer * row * sizeof(float));
    copy_rows(whole.outer, part, call->gout, part, (float *)call->gin[0] + (size_t)attr->start * whole.inner,
              row, true);
    return RV_OK;
}

const rv_kernels rv_slice_cpu = {.forward = slice_forward, .backward = slice_backward};

/* ---- reduce ----------------------------------------------------------- */

static float reduce_factor(const rv_node *node)
{
    const rv_axis_attr *attr = node->attr;
    return attr->kind == RV_REDUCE_MEAN ? (float)(1 / (double)node->in_shape[0].dim[attr->axis]) : 1;
}

static rv_status reduce_forward(const rv_call *call, rv_error *err)
{
    (void)err;
    const view v = view_of(&call->node->in_shape[0], ((const rv_axis_attr *)call->node->attr)->axis);
    const size_t part = v.extent * v.inner;
    const float *x = call->in[0];
    float *y = call->out; /* [outer, inner] */
    for (size_t o = 0; v.inner > 0 && o < v.outer; o++)
        rv_cpu()->elementwise->fold(part, v.inner, reduce_factor(call->node), x + o * part, NULL,
                                    y + o * v.inner, false);
    return RV_OK;
}

static rv_status reduce_backward(const rv_call *call, rv_error *err)
{
    (void)err;
    const view v = view_of(&call->node->in_shape[0], ((const rv_axis_attr *)call->node->attr)->axis);
    const size_t part = v.extent * v.inner;
    const float *gy = call->gout;
    float *gx = call->gin[0];
    for (size_t o = 0; gx && v.inner > 0 && o < v.outer; o++)
        rv_cpu()->elementwise->scale(part, v.inner, reduce_factor(call->node), gy + o * v.inner,
                                     gx + o * part, call->add[0]);
    return RV_OK;
}

const rv_kernels rv_reduce_cpu = {.forward = reduce_forward, .backward = reduce_backward};
