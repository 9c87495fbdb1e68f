/* Best fit by decreasing size: a block goes into the smallest gap that holds it between
 * the blocks already placed that are alive at the same time.
 *
 * The placed blocks are kept in order of their offsets, so one walk finds all gaps. */
#include "graph/place.h"

#include <stdlib.h>

static bool together(const rv_block *a, const rv_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static size_t alive_at(const rv_block *blocks, int count, int step)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        if (blocks[i].first <= step && step <= blocks[i].last)
            sum += blocks[i].size;
    return sum;
}

/* Larger first, then older, then by number: the order is total, so the plan is one. */
static int by_size(const void *left, const void *right)
{
    const rv_block *a = *(rv_block *const *)left, *b = *(rv_block *const *)right;
    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* The offset of the smallest gap for block among placed [count], which are in order of offset. */
static size_t best_gap(const rv_block *block, rv_block *const *placed, int count)
{
    size_t end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        if (!together(block, placed[i]))
            continue;
        if (placed[i]->offset > end && placed[i]->offset - end >= block->size && placed[i]->offset - end < best_size) {
            best = end;
            best_size = placed[i]->offset - end;
        }
        if (placed[i]->offset + placed[i]->size > end)
            end = placed[i]->offset + placed[i]->size;
    }
    return best == SIZE_MAX ? end : best;
}

static void insert(rv_block *block, rv_block **placed, int count)
{
    int at = count;
    while (at > 0 && placed[at - 1]->offset > block->offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = block;
}

rv_status rv_place(rv_block *blocks, int count, size_t *arena, size_t *lower_bound, rv_error *err)
{
    *arena = *lower_bound = 0;
    rv_block **order = calloc(2 * (size_t)count + 1, sizeof *order);
    if (!order)
        return rv_fail(err, RV_E_MEMORY, "plan: no memory to place %d blocks", count);
    rv_block **placed = order + count;
    for (int i = 0; i < count; i++) {
        order[i] = &blocks[i];
        /* The sum can only reach a new maximum where a block begins. */
        const size_t alive = alive_at(blocks, count, blocks[i].first);
        if (alive > *lower_bound)
            *lower_bound = alive;
    }
    qsort(order, (size_t)count, sizeof *order, by_size);
    for (int i = 0; i < count; i++) {
        rv_block *block = order[i];
        block->offset = best_gap(block, placed, i);
        insert(block, placed, i);
        if (block->offset + block->size > *arena)
            *arena = block->offset + block->size;
    }
    free(order);
    return RV_OK;
}
