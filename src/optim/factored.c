/* Sums of squares over rows and columns of a tensor, and their roots.  Invariant: a tile owns its
 * part of the sums, so the number of workers changes no bit. */
#ifndef RV_REAL

#include <math.h>
#include <string.h>

#include "optim/factored.h"

#define RV_KERNEL_FILE "optim/factored.c"
#include "optim/kernel.h"

enum { TILE = 65536, WIDTH = 1024, LINES = 64 }; /* elements; of a line at most, lines at least */

int64_t rv_factor_rows(const rv_factor_view *v)
{
    return v->outer * v->a * v->mid * v->inner;
}

int64_t rv_factor_columns(const rv_factor_view *v)
{
    return v->outer * v->mid * v->b * v->inner;
}

static int64_t parts(int64_t whole, int64_t part)
{
    return (whole + part - 1) / part;
}

static rv_factor_grid grid_of(const rv_factor_view *v)
{
    const int64_t line = v->b * v->inner, panel = v->a * line;
    const int64_t widest = v->inner > 0 && v->inner < WIDTH ? WIDTH / v->inner * v->inner : v->inner;
    rv_factor_grid grid = {.panels = v->outer * v->mid, .together = 1, .width = line < widest ? line : widest};
    if (grid.panels * panel == 0)
        return (rv_factor_grid){.together = 1, .lines = 1, .width = 1};
    grid.lines = TILE / grid.width > LINES ? TILE / grid.width : LINES;
    grid.down = parts(v->a, grid.lines);
    grid.across = parts(line, grid.width);
    if (grid.down * grid.across == 1 && TILE / panel > 1)
        grid.together = TILE / panel;
    return grid;
}

static int tiles_of(const rv_factor_view *v, const rv_factor_grid *grid)
{
    return v->factored ? (int)(parts(grid->panels, grid->together) * grid->down * grid->across) : 0;
}

int rv_factor_tiles(const rv_factor_view *v)
{
    const rv_factor_grid grid = grid_of(v);
    return tiles_of(v, &grid);
}

size_t rv_factor_room_size(const rv_factor_view *v, rv_dtype dtype)
{
    const rv_factor_grid grid = grid_of(v);
    const size_t rows = (size_t)rv_factor_rows(v), columns = (size_t)rv_factor_columns(v);
    if (!v->factored)
        return sizeof(rv_factor_room);
    return sizeof(rv_factor_room) + ((size_t)grid.across * rows + (size_t)grid.down * columns) * sizeof(double) +
           (rows + columns) * rv_dtype_size(dtype);
}

void rv_factor_furnish(rv_factor_room *room, const rv_factor_view *v, rv_dtype dtype, int first_task)
{
    *room = (rv_factor_room){.view = *v, .grid = grid_of(v), .first_task = first_task};
    if (!v->factored)
        return;
    room->row_sums = (double *)(room + 1);
    room->column_sums = room->row_sums + room->grid.across * rv_factor_rows(v);
    room->row = room->column_sums + room->grid.down * rv_factor_columns(v);
    room->column = (char *)room->row + (size_t)rv_factor_rows(v) * rv_dtype_size(dtype);
}

rv_fault rv_factor_observe(const rv_factor_room *room, rv_dtype dtype, const void *g, double add, int tile)
{
    const int64_t tiles = room->grid.down * room->grid.across, group = tile / tiles, place = tile % tiles;
    const int64_t first = group * room->grid.together, end = first + room->grid.together;
    rv_fault fault = RV_FAULT_NONE;
    for (int64_t p = first; p < end && p < room->grid.panels && fault == RV_FAULT_NONE; p++)
        fault = (dtype == RV_F32 ? factor_tile_f32 : factor_tile_f64)(room, g, add, p, place / room->grid.across,
                                                                      place % room->grid.across);
    return fault;
}

/* The mean over a of `sums` [a] with a stride. */
static double mean_of(const double *sums, int64_t a, int64_t stride)
{
    double mean = 0;
    for (int64_t i = 0; i < a; i++)
        mean += sums[i * stride];
    return mean / (double)a;
}

void rv_factor_roots(const rv_factor_room *room, rv_dtype dtype, void *row_slot, void *column_slot, double weight,
                     double least)
{
    const rv_factor_view *v = &room->view;
    const int64_t rows = rv_factor_rows(v), columns = rv_factor_columns(v), stride = v->mid * v->inner;
    if (tiles_of(v, &room->grid) == 0)
        return;
    const bool single = dtype == RV_F32;
    (single ? factor_follow_f32 : factor_follow_f64)(row_slot, room->row_sums, room->grid.across, rows, (double)v->b, weight);
    (single ? factor_follow_f32 : factor_follow_f64)(column_slot, room->column_sums, room->grid.down, columns, (double)v->a,
                                                     weight);
    for (int64_t o = 0; o < v->outer; o++)
        for (int64_t k = 0; k < stride; k++) {
            double *sums = room->row_sums + o * v->a * stride + k;
            const double mean = fmax(mean_of(sums, v->a, stride), least);
            for (int64_t i = 0; i < v->a; i++)
                sums[i * stride] /= mean;
        }
    (single ? factor_roots_f32 : factor_roots_f64)(room->row, room->row_sums, rows);
    (single ? factor_roots_f32 : factor_roots_f64)(room->column, room->column_sums, columns);
}

#else

/* A part of a line, n elements from one with a row number 0 on: into its rows [inner] and columns [n]. */
RV_INLINE void RV_FN(factor_line)(const RV_REAL *g, double add, int64_t inner, int64_t n, double *row, double *column)
{
    double lane[RV_SUM_LANES] = {0};
    int64_t j = 0;
    for (; inner == 1 && j + RV_SUM_LANES <= n; j += RV_SUM_LANES)
        for (int k = 0; k < RV_SUM_LANES; k++) {
            const double square = (double)g[j + k] * (double)g[j + k] + add;
            lane[k] += square;
            column[j + k] += square;
        }
    row[0] += RV_FN(rv_lanes)(lane);
    for (int64_t l = 0; j < n; j++) {
        const double square = (double)g[j] * (double)g[j] + add;
        row[l] += square;
        column[j] += square;
        l = l + 1 < inner ? l + 1 : 0;
    }
}

/* A tile of a panel; its sums start at zero. */
RV_CLONES static rv_fault RV_FN(factor_tile)(const rv_factor_room *r, const void *all, double add, int64_t panel,
                                             int64_t down, int64_t across)
{
    const rv_factor_view *v = &r->view;
    const RV_REAL *g = all;
    const int64_t line = v->b * v->inner, from = across * r->grid.width, first = down * r->grid.lines;
    const int64_t n = line - from < r->grid.width ? line - from : r->grid.width;
    const int64_t last = first + r->grid.lines < v->a ? first + r->grid.lines : v->a;
    double *column = r->column_sums + down * v->outer * v->mid * line + panel * line + from;
    memset(column, 0, (size_t)n * sizeof *column);
    for (int64_t i = first; i < last; i++) {
        const int64_t number = (panel / v->mid * v->a + i) * v->mid + panel % v->mid; /* of the line in the tensor */
        const RV_REAL *x = g + number * line + from;
        double *row = r->row_sums + (across * v->outer * v->a * v->mid + number) * v->inner;
        if (!RV_FN(rv_finite)(x, n))
            return RV_FAULT_GRADIENT;
        memset(row, 0, (size_t)v->inner * sizeof *row);
        RV_FN(factor_line)(x, add, v->inner, n, row, column);
    }
    return RV_FAULT_NONE;
}

/* slot [n] moves by weight towards the sums [tiles][n] over size; the first of them become the new values. */
RV_CLONES static void RV_FN(factor_follow)(void *to, double *sums, int64_t tiles, int64_t n, double size, double weight)
{
    RV_REAL *slot = to;
    for (int64_t k = 1; k < tiles; k++)
        for (int64_t i = 0; i < n; i++)
            sums[i] += sums[k * n + i];
    for (int64_t i = 0; i < n; i++) {
        slot[i] = (RV_REAL)((double)slot[i] + weight * (sums[i] / size - (double)slot[i]));
        sums[i] = (double)slot[i];
    }
}

/* root [n] = 1/sqrt(x). */
RV_CLONES static void RV_FN(factor_roots)(void *to, const double *x, int64_t n)
{
    RV_REAL *root = to;
    for (int64_t i = 0; i < n; i++)
        root[i] = (RV_REAL)(1 / sqrt(x[i]));
}

#endif
