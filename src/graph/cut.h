/* Cuts of calls: where a unit begins, and how many units some work is worth.
 *
 * Boundaries are multiples of a step that the kernel names, so that a unit meets the same
 * vectors and blocks as the whole does. */
#ifndef RV_GRAPH_CUT_H
#define RV_GRAPH_CUT_H

#include "graph/op.h"

/* The cut of an operation that declares none, and of one whose work is not worth more. */
static inline rv_cut rv_cut_of(int units)
{
    return (rv_cut){1, {units > 1 ? units : 1}};
}

static inline rv_cut rv_cut_asked(const rv_kernels *kernels, const rv_node *node, bool backward)
{
    return kernels->cut ? kernels->cut(node, backward) : rv_cut_of(1);
}

/* The number of units that n items of at least `least` items each make. */
static inline int rv_cut_units(int64_t n, int64_t least)
{
    enum { MOST = 1 << 16 };
    const int64_t units = n / (least > 1 ? least : 1);
    return units < 1 ? 1 : units < MOST ? (int)units : MOST;
}

typedef struct rv_span {
    int64_t first, count;
} rv_span;

/* Where unit u of n items begins; unit `units` stands for the end. */
static inline int64_t rv_cut_bound(int64_t n, int64_t step, int units, int u)
{
    return u >= units ? n : n / step * u / units * step;
}

/* Units [first, end) of n items. */
static inline rv_span rv_cut_span(int64_t n, int64_t step, int units, int first, int end)
{
    const int64_t at = rv_cut_bound(n, step, units, first);
    return (rv_span){at, rv_cut_bound(n, step, units, end) - at};
}

#endif
