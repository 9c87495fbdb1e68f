/* Bias and activation of linear layers, along the rows in memory; column sums take
 * TOGETHER rows at a time, from the first down. */
#include "tensor/kernels/cpu/linear.h"

#include "tensor/kernels/cpu/activation_inline.h"

enum { TOGETHER = 4 };

/* One vector of n lanes at j of a row. */
RV_INLINE void finish_at(rv_activation act, float *y, const float *bias, float *slope, size_t n)
{
    vf s = vf_zero(), z = vf_load_n(y, n);
    if (bias)
        z += vf_load_n(bias, n);
    vf_store_n(y, vf_activate(act, z, &s), n);
    if (slope && rv_activation_saves(act))
        vf_store_n(slope, s, n);
}

RV_INLINE void finish_of(rv_activation act, int64_t rows, int64_t width, float *y, const float *bias, float *slope)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t r = 0; r < rows; r++, y += width, slope = slope ? slope + width : NULL) {
        for (int64_t j = 0; j < whole; j += RV_LANES)
            finish_at(act, y + j, bias ? bias + j : NULL, slope ? slope + j : NULL, RV_LANES);
        if (whole < width)
            finish_at(act, y + whole, bias ? bias + whole : NULL, slope ? slope + whole : NULL,
                      (size_t)(width - whole));
    }
}

static void finish(rv_activation act, int64_t rows, int64_t width, float *y, const float *bias, float *slope)
{
    if (act == RV_ACT_NONE && !bias)
        return;
    RV_ACTIVATION_SWITCH(act, finish_of((rv_activation)ACT, rows, width, y, bias, slope))
}

/* Where the gradient before the activation goes; each may be NULL. */
typedef struct targets {
    float *gz;
    uint16_t *gz_bf16;
    float *gbias;
} targets;

static inline targets targets_at(targets t, int64_t at, int64_t column)
{
    return (targets){t.gz ? t.gz + at : NULL, t.gz_bf16 ? t.gz_bf16 + at : NULL, t.gbias ? t.gbias + column : NULL};
}

/* One vector of n lanes of `rows` rows, ld apart. */
RV_INLINE void start_at(rv_activation act, int rows, int64_t ld, const float *stored, const float *gy, targets to,
                        size_t n)
{
    vf sum = vf_zero();
    for (int r = 0; r < rows; r++) {
        vf g = vf_load_n(gy + r * ld, n);
        if (act != RV_ACT_NONE) {
            vf s = vf_load_n(stored + r * ld, n);
            g *= vf_activation_slope(act, s, s);
        }
        if (to.gz)
            vf_store_n(to.gz + r * ld, g, n);
        if (to.gz_bf16)
            vf_store_bf16_n(to.gz_bf16 + r * ld, g, n);
        sum += g;
    }
    if (to.gbias)
        vf_store_n(to.gbias, vf_load_n(to.gbias, n) + sum, n);
}

RV_INLINE void start_rows(rv_activation act, int rows, int64_t width, int64_t ld, const float *stored, const float *gy,
                          targets to)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t j = 0; j < whole; j += RV_LANES)
        start_at(act, rows, ld, stored + j, gy + j, targets_at(to, j, j), RV_LANES);
    if (whole < width)
        start_at(act, rows, ld, stored + whole, gy + whole, targets_at(to, whole, whole), (size_t)(width - whole));
}

RV_INLINE void start_of(rv_activation act, int64_t rows, int64_t width, int64_t ld, const float *stored,
                        const float *gy, targets to)
{
    int64_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER)
        start_rows(act, TOGETHER, width, ld, stored + r * ld, gy + r * ld, targets_at(to, r * ld, 0));
    for (; r < rows; r++)
        start_rows(act, 1, width, ld, stored + r * ld, gy + r * ld, targets_at(to, r * ld, 0));
}

static void start(rv_activation act, int64_t rows, int64_t width, int64_t ld, const float *y, const float *slope,
                  const float *gy, float *gz, uint16_t *gz_bf16, bool add, float *gbias)
{
    /* Without an activation nothing is read from here, but pointers are moved. */
    const float *stored = act == RV_ACT_NONE ? gy : rv_activation_saves(act) ? slope : y;
    const targets to = {gz, gz_bf16, gbias};
    for (int64_t j = 0; gbias && !add && j < width; j++)
        gbias[j] = 0;
    RV_ACTIVATION_SWITCH(act, start_of((rv_activation)ACT, rows, width, ld, stored, gy, to))
}

static void round_bf16(int64_t n, const float *x, uint16_t *y)
{
    const int64_t whole = n - n % RV_LANES;
    for (int64_t i = 0; i < whole; i += RV_LANES)
        vf_store_bf16(y + i, vf_load(x + i));
    vf_store_bf16_n(y + whole, vf_load_n(x + whole, (size_t)(n - whole)), (size_t)(n - whole));
}

const struct rv_cpu_linear RV_CPU_TABLE(linear) = {.finish = finish, .start = start, .round = round_bf16};
