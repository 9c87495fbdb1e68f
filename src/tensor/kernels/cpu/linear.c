/* Bias and activation of linear layers, along the rows in memory; column sums take
 * TOGETHER rows at a time, from the first down. */
#include "tensor/kernels/cpu/linear.h"

#include "tensor/kernels/cpu/activation_inline.h"

enum { TOGETHER = 4 };

/* The end of a row in bf16. */
RV_INLINE void pad(uint16_t *row, int64_t width)
{
    if (width % 2)
        row[width] = 0;
}

/* Where a row of the result goes; y, slope and rounded may be NULL. */
typedef struct result {
    float *y, *slope;
    uint16_t *rounded;
} result;

/* One vector of n lanes at j of a row. */
RV_INLINE void finish_at(rv_activation act, const float *z, const float *bias, result to, int64_t j, size_t n)
{
    vf s = vf_zero(), x = vf_load_n(z + j, n);
    if (bias)
        x += vf_load_n(bias + j, n);
    x = vf_activate(act, x, &s);
    if (to.y)
        vf_store_n(to.y + j, x, n);
    if (to.slope && rv_activation_saves(act))
        vf_store_n(to.slope + j, s, n);
    if (to.rounded)
        vf_store_bf16_n(to.rounded + j, x, n);
}

RV_INLINE void finish_of(rv_activation act, int64_t rows, int64_t width, const float *z, const float *bias, result to)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t j = 0; j < whole; j += RV_LANES)
            finish_at(act, z, bias, to, j, RV_LANES);
        if (whole < width)
            finish_at(act, z, bias, to, whole, (size_t)(width - whole));
        z += width;
        to.y = to.y ? to.y + width : NULL;
        to.slope = to.slope ? to.slope + width : NULL;
        if (to.rounded) {
            pad(to.rounded, width);
            to.rounded += rv_bf16_ld(width);
        }
    }
}

static void finish(rv_activation act, int64_t rows, int64_t width, const float *z, const float *bias, float *y,
                   float *slope, uint16_t *rounded)
{
    const result to = {y, slope, rounded};
    if (act == RV_ACT_NONE && !bias && y == z && !rounded)
        return;
    RV_ACTIVATION_SWITCH(act, finish_of((rv_activation)ACT, rows, width, z, bias, to))
}

/* Where the gradient before the activation goes; each may be NULL. */
typedef struct targets {
    float *gz;
    uint16_t *gz_bf16;
    float *gbias;
} targets;

static inline targets targets_at(targets t, int64_t at, int64_t at_bf16, int64_t column)
{
    return (targets){t.gz ? t.gz + at : NULL, t.gz_bf16 ? t.gz_bf16 + at_bf16 : NULL, t.gbias ? t.gbias + column : NULL};
}

/* One vector of n lanes of `rows` rows. */
RV_INLINE void start_at(rv_activation act, int rows, int64_t width, const float *stored, const float *gy, targets to,
                        size_t n)
{
    vf sum = vf_zero();
    for (int r = 0; r < rows; r++) {
        vf g = vf_load_n(gy + r * width, n);
        if (act != RV_ACT_NONE) {
            vf s = vf_load_n(stored + r * width, n);
            g *= vf_activation_slope(act, s, s);
        }
        if (to.gz)
            vf_store_n(to.gz + r * width, g, n);
        if (to.gz_bf16)
            vf_store_bf16_n(to.gz_bf16 + r * rv_bf16_ld(width), g, n);
        sum += g;
    }
    if (to.gbias)
        vf_store_n(to.gbias, vf_load_n(to.gbias, n) + sum, n);
}

RV_INLINE void start_rows(rv_activation act, int rows, int64_t width, const float *stored, const float *gy, targets to)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t j = 0; j < whole; j += RV_LANES)
        start_at(act, rows, width, stored + j, gy + j, targets_at(to, j, j, j), RV_LANES);
    if (whole < width)
        start_at(act, rows, width, stored + whole, gy + whole, targets_at(to, whole, whole, whole),
                 (size_t)(width - whole));
    for (int r = 0; to.gz_bf16 && r < rows; r++)
        pad(to.gz_bf16 + r * rv_bf16_ld(width), width);
}

RV_INLINE void start_of(rv_activation act, int64_t rows, int64_t width, const float *stored, const float *gy,
                        targets to)
{
    int64_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER)
        start_rows(act, TOGETHER, width, stored + r * width, gy + r * width,
                   targets_at(to, r * width, r * rv_bf16_ld(width), 0));
    for (; r < rows; r++)
        start_rows(act, 1, width, stored + r * width, gy + r * width,
                   targets_at(to, r * width, r * rv_bf16_ld(width), 0));
}

static void start(rv_activation act, int64_t rows, int64_t width, const float *y, const float *slope,
                  const float *gy, float *gz, uint16_t *gz_bf16, bool add, float *gbias)
{
    /* Without an activation nothing is read from here, but pointers are moved. */
    const float *stored = act == RV_ACT_NONE ? gy : rv_activation_saves(act) ? slope : y;
    const targets to = {gz, gz_bf16, gbias};
    for (int64_t j = 0; gbias && !add && j < width; j++)
        gbias[j] = 0;
    RV_ACTIVATION_SWITCH(act, start_of((rv_activation)ACT, rows, width, stored, gy, to))
}

static void round_bf16(int64_t rows, int64_t width, const float *x, uint16_t *y)
{
    const int64_t n = width % 2 ? width : rows * width, lines = width % 2 ? rows : 1;
    for (int64_t r = 0; r < lines; r++, x += n, y += rv_bf16_ld(n)) {
        RV_EACH_VECTOR((size_t)n, i, k, vf_store_bf16_n(y + i, vf_load_n(x + i, k), k));
        pad(y, n);
    }
}

const struct rv_cpu_linear RV_CPU_TABLE(linear) = {.finish = finish, .start = start, .round = round_bf16};
