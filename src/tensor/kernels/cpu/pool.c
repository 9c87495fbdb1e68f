/* Pooling: for each window and vector of channels, one pass over the taps inside the image. */
#include "tensor/kernels/cpu/pool.h"

#include "tensor/kernels/cpu/vec.h"

/* Loads and stores move bits, whatever they stand for. */
RV_INLINE vi vi_load_n(const int32_t *p, size_t k)
{
    return (vi)vf_load_n((const float *)(const void *)p, k);
}

/* The part of a window inside the image. */
typedef struct window {
    int64_t out;          /* offset of its result */
    int64_t corner;       /* offset of tap (0, 0), which may lie outside the image */
    int64_t row;          /* elements between rows */
    int i0, i1, j0, j1;   /* taps [i0, i1) x [j0, j1) */
} window;

static int least_tap(int64_t at)
{
    return at < 0 ? (int)-at : 0;
}

static int last_tap(int64_t at, int64_t extent, int size)
{
    return at + size > extent ? (int)(extent - at) : size;
}

static window window_at(const rv_pool_shape *s, int64_t n, int64_t row, int64_t column)
{
    const int64_t h = row * s->stride - s->padding, w = column * s->stride - s->padding;
    return (window){.out = ((n * s->oh + row) * s->ow + column) * s->c,
                    .corner = ((n * s->h + h) * s->w + w) * s->c,
                    .row = s->w * s->c,
                    .i0 = least_tap(h),
                    .i1 = last_tap(h, s->h, s->size),
                    .j0 = least_tap(w),
                    .j1 = last_tap(w, s->w, s->size)};
}

/* Runs the statement for every window W and vector of K channels from C. */
#define EACH_WINDOW(s, W, C, K, ...)                                                               \
    for (int64_t n_ = 0; n_ < (s)->n; n_++)                                                        \
        for (int64_t r_ = 0; r_ < (s)->oh; r_++)                                                   \
            for (int64_t c_ = 0; c_ < (s)->ow; c_++) {                                             \
                const window W = window_at(s, n_, r_, c_);                                         \
                RV_EACH_VECTOR((size_t)(s)->c, C, K, __VA_ARGS__);                                 \
            }

static void clear(const rv_pool_shape *s, float *gx, bool add)
{
    if (!add)
        memset(gx, 0, (size_t)(s->n * s->h * s->w * s->c) * sizeof *gx);
}

/* ---- max -------------------------------------------------------------- */

/* A NaN is larger than everything, and the first of equals wins. */
RV_INLINE void max_of(const window *w, int size, int64_t c, const float *x, size_t k, vf *best, vi *where)
{
    *best = vf_load_n(x + w->corner + w->i0 * w->row + w->j0 * c, k);
    *where = vi_set1(w->i0 * size + w->j0);
    for (int i = w->i0; i < w->i1; i++)
        for (int j = w->j0; j < w->j1; j++) {
            const vf v = vf_load_n(x + w->corner + i * w->row + j * c, k);
            const vi larger = (vi)(v > *best) | ((vi)(v != v) & (vi)(*best == *best));
            *best = vf_select(larger, v, *best);
            *where = (larger & vi_set1(i * size + j)) | (~larger & *where);
        }
}

static void max_forward(const rv_pool_shape *s, const float *x, float *y, int32_t *where)
{
    EACH_WINDOW(s, w, c, k, {
        vf best;
        vi at;
        max_of(&w, s->size, s->c, x + c, k, &best, &at);
        vf_store_n(y + w.out + c, best, k);
        if (where)
            vi_store_n(where + w.out + c, at, k);
    })
}

RV_INLINE void spread_max(const window *w, int size, int64_t c, const int32_t *where, const float *gy,
                          float *gx, size_t k)
{
    const vi at = vi_load_n(where + w->out, k);
    const vf g = vf_load_n(gy + w->out, k);
    for (int i = w->i0; i < w->i1; i++)
        for (int j = w->j0; j < w->j1; j++) {
            float *to = gx + w->corner + i * w->row + j * c;
            vf_store_n(to, vf_load_n(to, k) + vf_select(at == vi_set1(i * size + j), g, vf_zero()), k);
        }
}

static void max_backward(const rv_pool_shape *s, const int32_t *where, const float *gy, float *gx, bool add)
{
    clear(s, gx, add);
    EACH_WINDOW(s, w, c, k, spread_max(&w, s->size, s->c, where + c, gy + c, gx + c, k))
}

/* ---- average ---------------------------------------------------------- */

RV_INLINE vf window_sum(const window *w, int64_t c, const float *x, size_t k)
{
    vf sum = vf_zero();
    for (int i = w->i0; i < w->i1; i++)
        for (int j = w->j0; j < w->j1; j++)
            sum += vf_load_n(x + w->corner + i * w->row + j * c, k);
    return sum;
}

static void average_forward(const rv_pool_shape *s, const float *x, float *y)
{
    const vf share = vf_set1(1 / (float)(s->size * s->size));
    EACH_WINDOW(s, w, c, k, vf_store_n(y + w.out + c, window_sum(&w, s->c, x + c, k) * share, k))
}

RV_INLINE void spread(const window *w, int64_t c, vf g, float *gx, size_t k)
{
    for (int i = w->i0; i < w->i1; i++)
        for (int j = w->j0; j < w->j1; j++) {
            float *to = gx + w->corner + i * w->row + j * c;
            vf_store_n(to, vf_load_n(to, k) + g, k);
        }
}

static void average_backward(const rv_pool_shape *s, const float *gy, float *gx, bool add)
{
    const vf share = vf_set1(1 / (float)(s->size * s->size));
    clear(s, gx, add);
    EACH_WINDOW(s, w, c, k, spread(&w, s->c, vf_load_n(gy + w.out + c, k) * share, gx + c, k))
}

const struct rv_cpu_pool RV_CPU_TABLE(pool) = {
    .max_forward = max_forward,
    .max_backward = max_backward,
    .average_forward = average_forward,
    .average_backward = average_backward,
};
