/* Blocks of a product: a part is some rows of c by some columns, whose sums take in DEPTH elements
 * at a time; WIDTH columns of b and GROUP rows of a then stay in the second-level cache.
 * Invariant: an element is summed over depths in order, whatever part it falls into. */
#include "tensor/kernels/cpu/team.h"

#include "core/share.h"
#include "tensor/kernels/cpu/gemm.h"

enum {
    DEPTH = 768,            /* changes bits */
    PANEL = 32,             /* columns: a multiple of every register tile */
    HALF = PANEL / 2,       /* on the diagonal */
    WIDTH = 4 * PANEL,
    GROUP = 48,
    APART = 16,             /* rows of a copy do not meet in one set of the cache */
    ROWS = 768, FEWEST = 96, /* of a part; FEWEST times powers of two */
    PARTS = 3, PAIRS = 2,   /* at least, for every worker, so that they end together; of a triangle a large and a small one */
    NEAR = 1024,            /* columns of rows no longer are read where they are */
    LEFT = DEPTH * (GROUP + APART), RIGHT = DEPTH * WIDTH /* elements of copies */
};
/* Multiply-adds below which a helper costs more than it brings. */
static const int64_t least_shared = (int64_t)1 << 22;

_Static_assert((LEFT + RIGHT) * sizeof(float) <= RV_TEAM_ROOM, "room of a worker");

typedef struct job {
    const struct rv_cpu_gemm *gemm;
    const rv_team *team;
    int64_t m, n, k;
    rv_matrix a, b;
    rv_sum to;
    bool triangle, whole;
    int64_t rows, columns; /* of a part */
    int across;            /* parts beside each other */
} job;

typedef struct range {
    int64_t from, to;
} range;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static rv_matrix sub(rv_matrix a, int64_t row, int64_t column)
{
    a.data += a.transposed ? column * a.ld + row : row * a.ld + column;
    return a;
}

/* Rows of a, `depth` elements from p on, into o: where they are, or copied if they lie apart. */
static void take_left(const job *j, range rows, int64_t p, int64_t depth, float *copy, rv_gemm_operands *o)
{
    const rv_matrix a = sub(j->a, rows.from, p);
    const int64_t count = rows.to - rows.from;
    o->a = a.data;
    o->a_row = a.transposed ? 1 : a.ld;
    o->a_column = a.transposed ? a.ld : 1;
    if (a.transposed && a.ld > NEAR) {
        o->a = copy;
        o->a_column = GROUP + APART;
        j->gemm->copy(depth, count, a.data, a.ld, copy, o->a_column);
    }
}

/* `depth` rows of b from p on, in columns of c, panel after panel into copy; NULL: they are read
 * where they are. */
static const float *take_right(const job *j, int64_t p, int64_t depth, range columns, float *copy)
{
    if (!j->b.transposed && j->b.ld <= NEAR)
        return NULL;
    for (int64_t column = columns.from, at = 0; column < columns.to; column += PANEL, at += DEPTH * PANEL) {
        const rv_matrix b = sub(j->b, p, column);
        const int64_t n = least(PANEL, columns.to - column);
        if (b.transposed)
            j->gemm->transpose(n, depth, b.data, b.ld, copy + at, PANEL);
        else
            j->gemm->copy(depth, n, b.data, b.ld, copy + at, PANEL);
    }
    return copy;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rows [from, to) and n columns from column on of c, where o is given for row and column `at`. */
static void combine(const job *j, range rows, int64_t column, int64_t n, rv_gemm_operands o)
{
    const int64_t at = rows.from * j->to.ld + column;
    if (rows.from >= rows.to || n <= 0)
        return;
    o.base = o.base ? o.base + at : NULL;
    o.c += at;
    j->gemm->combine(rows.to - rows.from, n, o);
}

/* PANEL columns or less of some rows: o for the first of the rows and, in c, for the whole. */
static void add_panel(const job *j, range rows, int64_t column, int64_t n, rv_gemm_operands o)
{
    const float *a = o.a;
    range rest = rows;
    if (j->triangle && column + PANEL > rows.from) { /* a block on the diagonal, without its upper right quarter */
        const range block = {most(rows.from, column), least(rows.to, column + PANEL)};
        const range lower = {most(rows.from, column + HALF), block.to};
        rv_gemm_operands corner = o;
        corner.a = a + (block.from - rows.from) * o.a_row;
        combine(j, block, column, least(HALF, n), corner);
        corner.a = a + (lower.from - rows.from) * o.a_row;
        corner.b += HALF;
        combine(j, lower, column + HALF, n - HALF, corner);
        rest.from = column + PANEL;
        o.a = a + (rest.from - rows.from) * o.a_row;
    }
    combine(j, rest, column, n, o);
}

/* One depth of some rows and at most WIDTH columns, added to what the depths before have left in c. */
static void add_depth(const job *j, range rows, range columns, int64_t p, float *room)
{
    rv_gemm_operands o = {.k = least(DEPTH, j->k - p),
                          .weight = j->to.weight,
                          .keep = p > 0 ? 1 : j->to.keep,
                          .base = p > 0 ? j->to.c : j->to.base,
                          .ld_base = j->to.ld,
                          .c = j->to.c,
                          .ldc = j->to.ld};
    const float *right = take_right(j, p, o.k, columns, room + LEFT);
    for (int64_t row = rows.from; row < rows.to; row += GROUP) {
        const range group = {row, least(row + GROUP, rows.to)};
        if (j->triangle && group.to <= columns.from)
            continue;
        take_left(j, group, p, o.k, room, &o);
        for (int64_t column = columns.from; column < columns.to; column += PANEL) {
            o.b = right ? right + (column - columns.from) * DEPTH : sub(j->b, p, column).data;
            o.ldb = right ? PANEL : j->b.ld;
            add_panel(j, group, column, least(PANEL, columns.to - column), o);
        }
    }
}

/* What stands left of the diagonal in some rows of c, above it as well.  Squares of HALF on the
 * diagonal are whole: the two factors of a product commute. */
static void mirror(const job *j, range rows)
{
    const int64_t ld = j->to.ld;
    float *c = j->to.c;
    j->gemm->transpose(rows.to - rows.from, rows.from, c + rows.from * ld, ld, c + rows.from, ld);
    for (int64_t top = rows.from, below; top < rows.to; top = below) {
        below = least(top + HALF, rows.to);
        j->gemm->transpose(rows.to - below, below - top, c + below * ld + top, ld, c + top * ld + below, ld);
    }
}

static void compute(void *context, int number, int worker)
{
    const job *j = context;
    const int64_t down = number / j->across, along = number % j->across;
    const int64_t last = (j->m + j->rows - 1) / j->rows - 1, row = (j->triangle ? last - down : down) * j->rows;
    const range rows = {row, least(row + j->rows, j->m)};
    const range columns = {along * j->columns, j->triangle ? rows.to : least((along + 1) * j->columns, j->n)};
    float *room = (float *)(void *)((char *)j->team->rooms + (size_t)worker * RV_TEAM_ROOM);
    for (int64_t p = 0; p < j->k; p += DEPTH)
        for (int64_t column = columns.from; column < columns.to; column += WIDTH)
            add_depth(j, rows, (range){column, least(column + WIDTH, columns.to)}, p, room);
    if (j->whole)
        mirror(j, rows);
}

static void run(job *j)
{
    const int workers = rv_pool_workers(j->team->pool);
    const bool shared = workers > 1 && j->m * j->n * j->k >= least_shared;
    j->gemm = rv_cpu()->gemm;
    j->columns = j->triangle ? j->n : WIDTH;
    j->across = (int)((j->n + j->columns - 1) / j->columns);
    j->rows = ROWS;
    const int64_t wanted = (j->triangle ? PAIRS : PARTS) * (int64_t)workers;
    while (shared && j->rows > FEWEST && (j->m + j->rows - 1) / j->rows * j->across < wanted)
        j->rows /= 2;
    const int parts = (int)((j->m + j->rows - 1) / j->rows) * j->across;
    rv_pool_share(shared ? j->team->pool : NULL, j->team->worker, parts, compute, j);
}

/* Sums of nothing. */
static void keep_base(int64_t m, int64_t n, const rv_sum *to)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < n; k++)
            to->c[i * to->ld + k] = to->keep != 0 ? to->keep * to->base[i * to->ld + k] : 0;
}

void rv_team_product(const rv_team *team, int64_t m, int64_t n, int64_t k, rv_matrix a, rv_matrix b, const rv_sum *to)
{
    job j = {.team = team, .m = m, .n = n, .k = k, .a = a, .b = b, .to = *to};
    if (k == 0)
        keep_base(m, n, to);
    else if (m > 0 && n > 0)
        run(&j);
}

void rv_team_symmetric(const rv_team *team, int64_t n, int64_t k, rv_matrix a, rv_matrix b, bool whole, const rv_sum *to)
{
    job j = {.team = team, .m = n, .n = n, .k = k, .a = a, .b = b, .to = *to, .triangle = true, .whole = whole};
    if (k == 0)
        keep_base(n, n, to);
    else if (n > 0)
        run(&j);
}
