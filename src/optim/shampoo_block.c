/* Blocks of tensors, numbered with the last axis fastest.  Invariant: every element of the
 * tensor lies in exactly one block. */
#include "optim/shampoo_block.h"

static int axes(const rv_tensor *tensor)
{
    return tensor->shape.rank > 0 ? tensor->shape.rank : 1;
}

static int64_t extent(const rv_tensor *tensor, int axis)
{
    return tensor->shape.rank > 0 ? tensor->shape.dim[axis] : 1;
}

/* Rows of one of the tensor's own parts; other axes are not parted. */
static int64_t part_extent(const rv_tensor *tensor, int axis)
{
    const int64_t parts = axis == 0 && tensor->parts > 1 ? tensor->parts : 1;
    return extent(tensor, axis) / parts;
}

static int64_t part_pieces(const rv_tensor *tensor, int64_t limit, int axis)
{
    return (part_extent(tensor, axis) + limit - 1) / limit;
}

static int64_t pieces(const rv_tensor *tensor, int64_t limit, int axis)
{
    const int64_t parts = axis == 0 && tensor->parts > 1 ? tensor->parts : 1;
    return parts * part_pieces(tensor, limit, axis);
}

int rv_blocks_count(const rv_tensor *tensor, int64_t limit)
{
    int64_t count = 1;
    for (int k = 0; k < axes(tensor); k++)
        count *= pieces(tensor, limit, k);
    return (int)count;
}

/* Of blocks, not of elements: places and extents along every axis. */
static void place(const rv_tensor *tensor, int64_t limit, int64_t number, rv_subblock *b)
{
    b->rank = axes(tensor);
    b->size = 1;
    int64_t stride = 1;
    for (int k = b->rank - 1; k >= 0; k--) {
        const int64_t n = pieces(tensor, limit, k), d = part_extent(tensor, k);
        const int64_t within = n > 0 ? number % n : 0, per_part = n > 0 ? part_pieces(tensor, limit, k) : 1;
        const int64_t start = within % per_part * limit; /* in its part */
        b->start[k] = within / per_part * d + start;
        b->length[k] = d - start < limit ? d - start : limit;
        b->stride[k] = stride;
        b->size *= b->length[k];
        number /= n;
        stride *= extent(tensor, k);
    }
    b->columns = b->length[b->rank - 1];
    b->rows = b->size / b->columns;
}

static int64_t factors_of(const rv_subblock *b)
{
    int64_t sum = 0;
    for (int k = 0; k < b->rank; k++)
        sum += b->length[k] * b->length[k];
    return sum;
}

int64_t rv_blocks_factors(const rv_tensor *tensor, int64_t limit)
{
    int64_t sum = 0;
    const int count = rv_blocks_count(tensor, limit);
    for (int i = 0; i < count; i++) {
        rv_subblock b;
        place(tensor, limit, i, &b);
        sum += factors_of(&b);
    }
    return sum;
}

void rv_blocks_largest(const rv_tensor *tensor, int64_t limit, int64_t *size, int64_t *longest)
{
    *size = *longest = 0;
    if (rv_blocks_count(tensor, limit) == 0)
        return;
    rv_subblock b;
    place(tensor, limit, 0, &b); /* the first block is whole along every axis */
    *size = b.size;
    for (int k = 0; k < b.rank; k++)
        *longest = b.length[k] > *longest ? b.length[k] : *longest;
}

void rv_block_find(const rv_tensor *tensor, int64_t limit, int number, rv_subblock *block)
{
    int64_t before = 0;
    for (int i = 0; i < number; i++) {
        place(tensor, limit, i, block);
        before += factors_of(block);
    }
    place(tensor, limit, number, block);
    block->factors = before;
}

int64_t rv_block_offset(const rv_subblock *b, int64_t row)
{
    int64_t offset = b->start[b->rank - 1];
    for (int k = b->rank - 2; k >= 0; k--) {
        offset += (b->start[k] + row % b->length[k]) * b->stride[k];
        row /= b->length[k];
    }
    return offset;
}
