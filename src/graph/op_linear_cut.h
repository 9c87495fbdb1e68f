/* How the work of a linear layer is cut into units, a function of its extents alone. */
#ifndef RV_GRAPH_OP_LINEAR_CUT_H
#define RV_GRAPH_OP_LINEAR_CUT_H

#include "graph/cut.h"

enum {
    PART_STEP = 16,         /* rows or columns at which parts of a product begin */
    PART_COLUMNS = 64,      /* of the gradient before the activation */
    PART_WEIGHTS = 3 << 15  /* read for few rows, which takes longer than to multiply them */
};

typedef struct extents {
    int64_t rows, in, out;
    rv_activation act;
} extents;

/* The smallest part that is worth a call of the library; measured: with it a cut costs half a percent. */
typedef struct grain {
    int64_t rows, weight_rows; /* of a result; below that each of them costs more */
    int64_t part;              /* multiply-adds; a product of so many is still worth two parts */
} grain;
static const grain grain_f32 = {32, 32, 1 << 22}, grain_bf16 = {64, 128, 1 << 24};

/* Units of a product with so many rows in its result: eight at most, unless they were very large. */
static inline int product_units(int64_t rows, int64_t least_rows, int64_t multiply_adds, grain g)
{
    const int64_t part = multiply_adds / 8 > 2 * g.part ? 2 * g.part : multiply_adds / 8 > g.part ? multiply_adds / 8 : g.part;
    const int64_t units = multiply_adds >= g.part && multiply_adds < 2 * g.part ? 2 : multiply_adds / part;
    return rv_cut_units(units < rows / least_rows ? units : rows / least_rows, 1);
}

/* The next smaller number that divides n: made products are of one size. */
static inline int even(int64_t n, int units)
{
    while (units > 1 && n % units != 0)
        units--;
    return units;
}

typedef struct parts {
    bool by_columns;                   /* forward and the gradient of x, else by rows */
    int forward, data, weights, start; /* units */
} parts;

static inline parts parts_of(extents x, bool bf16)
{
    const grain g = bf16 ? grain_bf16 : grain_f32;
    const int64_t work = x.rows * x.in * x.out;
    const int start = rv_cut_units(x.out, PART_COLUMNS);
    if (!bf16 && x.rows < 2 * g.rows) {
        const int units = rv_cut_units(x.in * x.out, PART_WEIGHTS);
        const int out = rv_cut_units(x.out / g.rows < units ? x.out / g.rows : units, 1);
        return (parts){true, out, rv_cut_units(x.in / g.rows < units ? x.in / g.rows : units, 1), out, start};
    }
    const int rows = product_units(x.rows, g.rows, work, g), weights = product_units(x.out, g.weight_rows, work, g);
    if (bf16)
        return (parts){false, even(x.rows, rows), even(x.rows, rows), even(x.out, weights), start};
    return (parts){false, rows, rows, weights, start};
}

#endif
