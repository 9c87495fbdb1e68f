/* Tree sums over fixed blocks: every element passes through memory once, and which worker
 * adds a block does not matter. */
#include "objective/reduce.h"

#include <math.h>
#include <stdatomic.h>

#include "tensor/kernels/cpu/elementwise.h"

enum { BLOCK = 1 << 14 };
_Static_assert(RV_SHARDS_MOST <= (int)RV_TREE_MOST, "the kernel adds as many");

typedef struct reduction {
    const void *const *vectors;
    int count;
    int64_t size;
    double scale;
    void *out;
    atomic_bool finite;
} reduction;

static bool reduce_f32(const reduction *r, int64_t at, int64_t n)
{
    const float *part[RV_SHARDS_MOST];
    for (int s = 0; s < r->count; s++)
        part[s] = (const float *)r->vectors[s] + at;
    return rv_cpu()->elementwise->tree((size_t)n, r->count, part, (float)r->scale, (float *)r->out + at);
}

static bool reduce_f64(const reduction *r, int64_t at, int64_t n)
{
    bool finite = true;
    for (int64_t i = at; i < at + n; i++) {
        double part[RV_SHARDS_MOST];
        for (int s = 0; s < r->count; s++)
            part[s] = ((const double *)r->vectors[s])[i];
        for (int half = 1; half < r->count; half *= 2)
            for (int s = 0; s + half < r->count; s += 2 * half)
                part[s] += part[s + half];
        ((double *)r->out)[i] = part[0] * r->scale;
        finite &= isfinite(part[0] * r->scale) != 0;
    }
    return finite;
}

#define REDUCE_TASK(name, reduce)                                                \
    static void name(void *context, int task, int worker)                        \
    {                                                                            \
        (void)worker;                                                            \
        reduction *r = context;                                                  \
        const int64_t at = (int64_t)task * BLOCK, left = r->size - at;           \
        if (!reduce(r, at, left < BLOCK ? left : BLOCK))                         \
            atomic_store_explicit(&r->finite, false, memory_order_relaxed);      \
    }

REDUCE_TASK(task_f32, reduce_f32)
REDUCE_TASK(task_f64, reduce_f64)

bool rv_reduce_shards(const void *const *vectors, int count, int64_t size, rv_dtype dtype, double scale, void *out,
                      rv_pool *pool)
{
    reduction r = {.vectors = vectors, .count = count, .size = size, .scale = scale, .out = out};
    atomic_init(&r.finite, true);
    const int blocks = (int)((size + BLOCK - 1) / BLOCK);
    rv_pool_run_near(pool, blocks, dtype == RV_F64 ? task_f64 : task_f32, &r);
    return atomic_load(&r.finite);
}
