/* The loop over the tiles of a block for the kernel RV_KERNEL with arguments
 * RV_KERNEL_ARGS; included after its tile function.  RV_KERNEL_MEASURES: a kernel that
 * writes sums or slots and leaves the weights alone.  RV_KERNEL_FILTER: t->out is a new
 * gradient. */

RV_INLINE rv_fault RV_FN(RV_PASTE(RV_KERNEL, _tile))(rv_tile *t, const RV_KERNEL_ARGS *args, RV_REAL *to)
{
    if (!RV_FN(rv_finite)(t->g, t->n))
        return RV_FAULT_GRADIENT;
    RV_FN(RV_KERNEL)(t, args);
#ifdef RV_KERNEL_MEASURES
    (void)to;
#elif defined(RV_KERNEL_FILTER)
    if (!RV_FN(rv_finite)(t->out, t->n))
        return RV_FAULT_FILTER;
    memcpy(to, t->out, (size_t)t->n * sizeof *to);
#else
    if (!RV_FN(rv_finite)(t->out, t->n))
        return RV_FAULT_UPDATE;
    memcpy(to, t->out, (size_t)t->n * sizeof *to);
#endif
    return RV_FAULT_NONE;
}

/* Tile t of n elements of a block, a constant in all but the last; packed slots are opened in room. */
RV_INLINE rv_fault RV_FN(RV_PASTE(RV_KERNEL, _open))(const rv_block *block, rv_tile *t, const RV_KERNEL_ARGS *args, int n,
                                                      RV_REAL *to, RV_REAL (*room)[RV_TILE])
{
    t->n = n;
    if (block->packed)
        RV_FN(rv_open_slots)(block, n, t, room[0], RV_TILE);
    const rv_fault fault = RV_FN(RV_PASTE(RV_KERNEL, _tile))(t, args, to);
    if (block->packed && fault == RV_FAULT_NONE)
        RV_FN(rv_close_slots)(block, n, t);
    return fault;
}

RV_CLONES static rv_fault RV_FN(RV_PASTE(RV_KERNEL, _loop))(const rv_block *block)
{
    enum { FULL = RV_TILE };
    const RV_KERNEL_ARGS args = *(const RV_KERNEL_ARGS *)block->args;
    RV_REAL out[FULL] __attribute__((aligned(64))), room[RV_MAX_SLOTS][FULL] __attribute__((aligned(64)));
    double sum[RV_MAX_SUMS][RV_SUM_LANES] = {{0}};
    const RV_REAL *g = block->g;
    rv_fault fault = RV_FAULT_NONE;
#ifdef RV_KERNEL_FILTER
    RV_REAL *to = block->to;
#else
    RV_REAL *to = block->w;
#endif
#ifdef RV_KERNEL_MEASURES
    const RV_FN(rv_streams) streams = RV_FN(rv_streams_of)(block, false); /* few look at the weights */
#else
    const RV_FN(rv_streams) streams = RV_FN(rv_streams_of)(block, true);
#endif
    for (int64_t at = 0; at < block->size && fault == RV_FAULT_NONE; at += FULL) {
        rv_tile t = {.w = (const RV_REAL *)block->w + at, .g = g + at, .out = out, .sum = sum,
                     .tensor = block->tensor, .at = block->start + at};
        for (int k = 0; k < RV_MAX_SLOTS; k++)
            t.s[k] = block->slot[k] ? (RV_REAL *)block->slot[k] + at : NULL;
        RV_FN(rv_prefetch)(&streams, at);
        if (block->size - at >= FULL)
            fault = RV_FN(RV_PASTE(RV_KERNEL, _open))(block, &t, &args, FULL, to + at, room);
        else
            fault = RV_FN(RV_PASTE(RV_KERNEL, _open))(block, &t, &args, (int)(block->size - at), to + at, room);
    }
    for (int k = 0; k < RV_MAX_SUMS && block->sums; k++)
        block->sums[k] = RV_FN(rv_lanes)(sum[k]);
    return fault;
}

#undef RV_KERNEL
#undef RV_KERNEL_ARGS
#undef RV_KERNEL_MEASURES
#undef RV_KERNEL_FILTER
