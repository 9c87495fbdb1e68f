/* Tree sums over fixed blocks: a block stays in cache over all levels of the tree, and
 * which worker adds it does not matter. */
#include "objective/reduce.h"

#include <math.h>
#include <stdatomic.h>

enum { BLOCK = 4096 };

typedef struct reduction {
    void *const *vectors;
    int count;
    int64_t size;
    double scale;
    void *out;
    atomic_bool finite;
} reduction;

#define REDUCE_BLOCK(name, real)                                                            \
    static void name(void *context, int task, int worker)                                   \
    {                                                                                       \
        (void)worker;                                                                       \
        reduction *r = context;                                                             \
        int64_t at = (int64_t)task * BLOCK;                                                 \
        int64_t n = r->size - at < BLOCK ? r->size - at : BLOCK;                            \
        for (int half = 1; half < r->count; half *= 2)                                      \
            for (int s = 0; s + half < r->count; s += 2 * half) {                           \
                real *restrict to = (real *)r->vectors[s] + at;                             \
                const real *restrict from = (const real *)r->vectors[s + half] + at;        \
                for (int64_t i = 0; i < n; i++)                                             \
                    to[i] += from[i];                                                       \
            }                                                                               \
        const real *restrict sum = (const real *)r->vectors[0] + at;                        \
        real *restrict out = (real *)r->out + at;                                           \
        const real scale = (real)r->scale;                                                  \
        int bad = 0;                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                   \
            out[i] = sum[i] * scale;                                                        \
            bad |= !(out[i] - out[i] == 0); /* only inf and nan differ from themselves so */ \
        }                                                                                   \
        if (bad)                                                                            \
            atomic_store_explicit(&r->finite, false, memory_order_relaxed);                 \
    }

REDUCE_BLOCK(reduce_f32, float)
REDUCE_BLOCK(reduce_f64, double)

bool rv_reduce_shards(void *const *vectors, int count, int64_t size, rv_dtype dtype, double scale,
                      void *out, rv_pool *pool)
{
    reduction r = {.vectors = vectors, .count = count, .size = size, .scale = scale, .out = out};
    atomic_init(&r.finite, true);
    int blocks = (int)((size + BLOCK - 1) / BLOCK);
    rv_pool_run(pool, blocks, dtype == RV_F64 ? reduce_f64 : reduce_f32, &r);
    return atomic_load(&r.finite);
}
