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

/* Elements in bf16, read two at a time as a word: a loop over numbers of one width fills whole vectors. */
RV_INLINE void RV_FN(rv_open)(const uint16_t *from, int n, RV_REAL *to)
{
    RV_EACH (j, n / 2) {
        uint32_t pair;
        memcpy(&pair, from + 2 * j, sizeof pair);
        to[2 * j + RV_BF16_LOWER] = (RV_REAL)rv_bf16_open(pair << 16);
        to[2 * j + RV_BF16_UPPER] = (RV_REAL)rv_bf16_open(pair & 0xFFFF0000u);
    }
    if (n % 2)
        to[n - 1] = (RV_REAL)rv_bf16_open((uint32_t)from[n - 1] << 16);
}

/* Rounds n elements from number `at`, which is even, of a block. */
RV_INLINE void RV_FN(rv_close)(const RV_REAL *from, int n, rv_dice_key key, int64_t at, uint16_t *to)
{
    const uint32_t first = (uint32_t)(at / 2);
    RV_EACH (j, n / 2) {
        const uint32_t dice = rv_dice_roll(key, first + (uint32_t)j);
        const uint32_t lower = rv_bf16_close((float)from[2 * j + RV_BF16_LOWER], dice & 0xFFFFu);
        const uint32_t upper = rv_bf16_close((float)from[2 * j + RV_BF16_UPPER], dice >> 16);
        const uint32_t pair = lower >> 16 | (upper & 0xFFFF0000u);
        memcpy(to + 2 * j, &pair, sizeof pair);
    }
    if (n % 2)
        to[n - 1] = (uint16_t)(rv_bf16_close((float)from[n - 1], rv_dice_roll(key, first + (uint32_t)(n / 2)) & 0xFFFFu) >> 16);
}

/* Slots that are bf16 in memory: in a tile of n elements they are RV_REAL, in room [RV_MAX_SLOTS][size]. */
RV_INLINE void RV_FN(rv_open_slots)(const rv_block *block, int n, rv_tile *t, RV_REAL *room, int size)
{
    for (int k = 0; k < RV_MAX_SLOTS; k++)
        if (block->packed >> k & 1 && block->slot[k]) {
            t->s[k] = room + k * size;
            RV_FN(rv_open)((const uint16_t *)block->slot[k] + (t->at - block->start), n, t->s[k]);
        }
}

RV_INLINE void RV_FN(rv_close_slots)(const rv_block *block, int n, const rv_tile *t)
{
    const int64_t at = t->at - block->start;
    for (int k = 0; k < RV_MAX_SLOTS; k++)
        if (block->packed >> k & 1 && block->slot[k])
            RV_FN(rv_close)(t->s[k], n, block->dice[k], at, (uint16_t *)block->slot[k] + at);
}

/* The streams of a block: those of RV_REAL, and slots that are bf16. */
typedef struct RV_FN(rv_streams) {
    const char *whole[2 + RV_MAX_SLOTS], *packed[RV_MAX_SLOTS];
    int wholes, packs;
} RV_FN(rv_streams);

RV_INLINE RV_FN(rv_streams) RV_FN(rv_streams_of)(const rv_block *block, bool weights)
{
    RV_FN(rv_streams) s = {.whole = {block->g, block->w}, .wholes = weights ? 2 : 1};
    for (int k = 0; k < RV_MAX_SLOTS; k++)
        if (block->slot[k] && block->packed >> k & 1)
            s.packed[s.packs++] = block->slot[k];
        else if (block->slot[k])
            s.whole[s.wholes++] = block->slot[k];
    return s;
}

/* Asks for the lines of a tile some tiles ahead of element `at`, two at a time of every stream.  Kernels read up to
 * eight; what the processor foresees of them by itself depends on their addresses, and the time of a step with it. */
RV_INLINE void RV_FN(rv_prefetch)(const RV_FN(rv_streams) *s, int64_t at)
{
    enum { PAIR = 2 * RV_LINE, NUMBERS = PAIR / sizeof(RV_REAL) };
    for (int pair = 0; pair < RV_TILE_LINES / 2; pair++) {
        const int64_t number = at + RV_AHEAD * RV_TILE + pair * NUMBERS;
        for (int k = 0; k < s->wholes; k++) {
            const char *line = s->whole[k] + number * (int64_t)sizeof(RV_REAL);
            __builtin_prefetch(line, 0, 3);
            __builtin_prefetch(line + RV_LINE, 0, 3);
        }
        for (int k = 0; k < s->packs; k++)
            __builtin_prefetch(s->packed[k] + number * 2, 0, 3);
    }
}
