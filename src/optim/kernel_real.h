/* What kernels of one element type share; included by kernel.h once per type. */

/* Some cache lines of every stream.  n is a constant in all but the last tile of a block. */
typedef struct rv_tile {
    const RV_REAL *w, *g;
    RV_REAL *s[RV_MAX_SLOTS]; /* slots, updated in place; NULL where absent */
    RV_REAL *out;             /* the new weights */
    double (*sum)[RV_SUM_LANES];
    int n, tensor;
    int64_t at;               /* of the tile within its tensor */
} rv_tile;

/* -1, 0 or 1; 0 for both zeros. */
RV_INLINE RV_REAL RV_FN(rv_sign)(RV_REAL x)
{
    return x > 0 ? (RV_REAL)1 : x < 0 ? (RV_REAL)-1 : (RV_REAL)0;
}

RV_INLINE bool RV_FN(rv_finite)(const RV_REAL *x, int64_t n)
{
    RV_REAL_INT bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= RV_MATH(fabs)(x[i]) <= RV_REAL_MAX ? 0 : 1;
    return bad == 0;
}

/* Adds the products of a and b to lanes, whose order of summation is fixed. */
RV_INLINE void RV_FN(rv_dot)(const RV_REAL *a, const RV_REAL *b, int64_t n, double *lanes)
{
    int64_t i = 0;
    for (; i + RV_SUM_LANES <= n; i += RV_SUM_LANES)
        for (int j = 0; j < RV_SUM_LANES; j++)
            lanes[j] += (double)a[i + j] * (double)b[i + j];
    for (int j = 0; i + j < n; j++)
        lanes[j] += (double)a[i + j] * (double)b[i + j];
}

/* Adds |a| to lanes. */
RV_INLINE void RV_FN(rv_absolute)(const RV_REAL *a, int64_t n, double *lanes)
{
    int64_t i = 0;
    for (; i + RV_SUM_LANES <= n; i += RV_SUM_LANES)
        for (int j = 0; j < RV_SUM_LANES; j++)
            lanes[j] += fabs((double)a[i + j]);
    for (int j = 0; i + j < n; j++)
        lanes[j] += fabs((double)a[i + j]);
}

/* The lanes of a sum, added in a fixed tree. */
RV_INLINE double RV_FN(rv_lanes)(const double *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

enum { RV_FN(rv_tile_size) = 512 / (int)sizeof(RV_REAL) }; /* elements of a full tile */

/* Slots that are bf16 in memory: in a tile they are RV_REAL, in room [RV_MAX_SLOTS][RV_TILE]. */
RV_INLINE void RV_FN(rv_open_slots)(const rv_block *block, int64_t at, rv_tile *t, RV_REAL *room)
{
    const int64_t left = block->size - at;
    const int n = left < RV_FN(rv_tile_size) ? (int)left : RV_FN(rv_tile_size);
    for (int k = 0; k < RV_MAX_SLOTS; k++) {
        if (!(block->packed >> k & 1) || !block->slot[k])
            continue;
        const uint16_t *from = (const uint16_t *)block->slot[k] + at;
        RV_REAL *to = room + k * RV_FN(rv_tile_size);
        for (int i = 0; i < n; i++)
            to[i] = (RV_REAL)rv_bf16_open(from[i]);
        t->s[k] = to;
    }
}

RV_INLINE void RV_FN(rv_close_slots)(const rv_block *block, int64_t at, const rv_tile *t)
{
    uint32_t dice[RV_DICE], rounded[RV_DICE];
    int turn = 0; /* two slots share a roll: its lower and its upper halves */
    for (int k = 0; k < RV_MAX_SLOTS; k++) {
        if (!(block->packed >> k & 1) || !block->slot[k])
            continue;
        const int shift = turn % 2 * 16;
        uint16_t *to = (uint16_t *)block->slot[k] + at;
        if (shift == 0)
            rv_dice_roll(block->dice[turn / 2], (uint32_t)at, t->n, dice);
        for (int i = 0; i < t->n; i++)
            rounded[i] = rv_bf16_close((float)t->s[k][i], dice[i] >> shift & 0xFFFFu);
        for (int i = 0; i < t->n; i++) /* narrowed apart: one loop of two widths takes half the lanes */
            to[i] = (uint16_t)rounded[i];
        turn++;
    }
}
