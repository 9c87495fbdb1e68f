/* Blocks of tensors, numbered part by part with the last axis fastest.  Invariant: every
 * element of the tensor lies in exactly one block. */
#include "optim/matrix/blocks.h"

static int parts_of(const rv_tensor *tensor)
{
    return tensor->parts > 1 ? tensor->parts : 1;
}

/* The axes of one part; a scalar has one of length 1. */
static rv_shape part_shape(const rv_tensor *tensor)
{
    rv_shape shape = tensor->shape;
    if (shape.rank == 0)
        return RV_SHAPE(1);
    shape.dim[0] /= parts_of(tensor);
    return shape;
}

static rv_shape without_ones(const rv_shape *from)
{
    rv_shape shape = {0};
    for (int k = 0; k < from->rank; k++)
        if (from->dim[k] != 1)
            shape.dim[shape.rank++] = from->dim[k];
    return shape.rank > 0 ? shape : RV_SHAPE(1);
}

/* Joins the axes from + dir, from + 2 dir, ... of shape into runs; runs stand in the order
 * in which they were made. */
static rv_shape runs_of(const rv_shape *shape, const rv_blocking *how, int from, int dir)
{
    rv_shape runs = {1, {shape->dim[from]}};
    const int64_t limit = how->merge_limit > 0 ? how->merge_limit : how->limit;
    int left = shape->rank; /* axes, if nothing more is merged */
    for (int k = 1; k < shape->rank; k++) {
        const int64_t next = shape->dim[from + k * dir], product = runs.dim[runs.rank - 1] * next;
        if (product <= limit && left > how->merge_to) {
            runs.dim[runs.rank - 1] = product;
            left--;
        } else {
            runs.dim[runs.rank++] = next;
        }
    }
    return runs;
}

rv_shape rv_blocks_view(const rv_tensor *tensor, const rv_blocking *how)
{
    rv_shape shape = part_shape(tensor);
    if (how->merging == RV_MERGE_NONE)
        return shape;
    shape = without_ones(&shape);
    if (how->merging == RV_MERGE_LEFT)
        return runs_of(&shape, how, 0, 1);
    const rv_shape runs = runs_of(&shape, how, shape.rank - 1, -1);
    shape.rank = runs.rank;
    for (int k = 0; k < runs.rank; k++)
        shape.dim[k] = runs.dim[runs.rank - 1 - k];
    return shape;
}

static int64_t limit_of(const rv_shape *view, const rv_blocking *how, int axis)
{
    const int64_t whole = view->dim[axis] > 0 ? view->dim[axis] : 1;
    return how->limit > 0 ? how->limit : whole;
}

static int64_t pieces(const rv_shape *view, const rv_blocking *how, int axis)
{
    const int64_t limit = limit_of(view, how, axis);
    return (view->dim[axis] + limit - 1) / limit;
}

static int64_t per_part(const rv_shape *view, const rv_blocking *how)
{
    int64_t count = 1;
    for (int k = 0; k < view->rank; k++)
        count *= pieces(view, how, k);
    return count;
}

int rv_blocks_count(const rv_tensor *tensor, const rv_blocking *how)
{
    const rv_shape view = rv_blocks_view(tensor, how);
    return (int)(parts_of(tensor) * per_part(&view, how));
}

/* Of blocks, not of elements: places and extents along every axis. */
static void place(const rv_shape *view, const rv_blocking *how, int64_t number, rv_subblock *b)
{
    const int64_t count = per_part(view, how);
    b->rank = view->rank;
    b->size = 1;
    b->diagonal = how->diagonal_vectors && view->rank == 1;
    b->base = count > 0 ? number / count * rv_shape_size(view) : 0;
    number = count > 0 ? number % count : 0;
    int64_t stride = 1;
    for (int k = b->rank - 1; k >= 0; k--) {
        const int64_t n = pieces(view, how, k), d = view->dim[k], limit = limit_of(view, how, k);
        b->start[k] = n > 0 ? number % n * limit : 0;
        b->length[k] = d - b->start[k] < limit ? d - b->start[k] : limit;
        b->bare[k] = (how->bare_above > 0 && d > how->bare_above) || (how->bare_vectors && view->rank == 1);
        b->stride[k] = stride;
        b->size *= b->length[k];
        number /= n > 0 ? n : 1;
        stride *= d;
    }
    b->columns = b->length[b->rank - 1];
    b->rows = b->columns > 0 ? b->size / b->columns : 0;
}

int64_t rv_block_factor(const rv_subblock *b, int axis)
{
    if (b->bare[axis])
        return 0;
    return b->diagonal ? b->length[axis] : b->length[axis] * b->length[axis];
}

int64_t rv_block_factors_before(const rv_subblock *b, int axis)
{
    int64_t sum = 0;
    for (int k = 0; k < axis; k++)
        sum += rv_block_factor(b, k);
    return sum;
}

/* How many of the first `number` blocks are the last along an axis, whose place is a digit of
 * the number: it stays for `stride` numbers and has `n` values. */
static int64_t last_ones(int64_t number, int64_t stride, int64_t n)
{
    const int64_t into = number % (stride * n) - (n - 1) * stride;
    return number / (stride * n) * stride + (into > 0 ? into : 0);
}

/* Elements of the factors of the first `number` blocks: along every axis all but the last are alike. */
static int64_t factors_before(const rv_shape *view, const rv_blocking *how, int64_t number)
{
    const int64_t count = per_part(view, how);
    int64_t sum = 0, stride = 1;
    if (count == 0)
        return 0;
    rv_subblock first, last;
    place(view, how, 0, &first);
    place(view, how, count - 1, &last);
    for (int k = view->rank - 1; k >= 0; k--) {
        const int64_t n = pieces(view, how, k), short_ones = last_ones(number, stride, n);
        sum += (number - short_ones) * rv_block_factor(&first, k) + short_ones * rv_block_factor(&last, k);
        stride *= n;
    }
    return sum;
}

int64_t rv_blocks_factors(const rv_tensor *tensor, const rv_blocking *how)
{
    const rv_shape view = rv_blocks_view(tensor, how);
    return parts_of(tensor) * factors_before(&view, how, per_part(&view, how));
}

void rv_blocks_largest(const rv_tensor *tensor, const rv_blocking *how, int64_t *size, int64_t *longest)
{
    *size = *longest = 0;
    if (rv_blocks_count(tensor, how) == 0)
        return;
    const rv_shape view = rv_blocks_view(tensor, how);
    rv_subblock b;
    place(&view, how, 0, &b); /* the first block is whole along every axis */
    *size = b.size;
    for (int k = 0; k < b.rank; k++)
        *longest = b.length[k] > *longest ? b.length[k] : *longest;
}

void rv_block_find(const rv_tensor *tensor, const rv_blocking *how, int number, rv_subblock *block)
{
    const rv_shape view = rv_blocks_view(tensor, how);
    const int64_t count = per_part(&view, how), part = number / count;
    place(&view, how, number, block);
    block->factors = factors_before(&view, how, number % count);
    if (part > 0)
        block->factors += part * factors_before(&view, how, count);
}

int64_t rv_block_offset(const rv_subblock *b, int64_t row)
{
    int64_t offset = b->base + b->start[b->rank - 1];
    for (int k = b->rank - 2; k >= 0; k--) {
        offset += (b->start[k] + row % b->length[k]) * b->stride[k];
        row /= b->length[k];
    }
    return offset;
}
