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

RV_INLINE rv_linear_result rows_on(rv_linear_result p, int64_t rows, int64_t width)
{
    const int64_t n = rows * width, n_bf16 = rows * rv_bf16_ld(width);
    return (rv_linear_result){p.y ? p.y + n : NULL, p.y_bf16 ? p.y_bf16 + n_bf16 : NULL, p.slope ? p.slope + n : NULL,
                              p.slope_bf16 ? p.slope_bf16 + n_bf16 : NULL};
}

/* ---- forward ---------------------------------------------------------- */

/* One vector of n lanes at j of a row. */
RV_INLINE void finish_at(rv_activation act, bool coarse, const float *z, const float *bias, rv_linear_result to, int64_t j, size_t n)
{
    vf s = vf_zero(), x = vf_load_n(z + j, n);
    if (bias)
        x += vf_load_n(bias + j, n);
    x = coarse && act == RV_ACT_GELU ? vf_gelu_coarse(x, &s) : vf_activate(act, x, &s);
    if (to.y)
        vf_store_n(to.y + j, x, n);
    if (to.y_bf16)
        vf_store_bf16_n(to.y_bf16 + j, x, n);
    if (rv_activation_saves(act) && to.slope)
        vf_store_n(to.slope + j, s, n);
    if (rv_activation_saves(act) && to.slope_bf16)
        vf_store_bf16_n(to.slope_bf16 + j, s, n);
}

RV_INLINE void finish_of(rv_activation act, bool coarse, int64_t rows, int64_t width, const float *z, const float *bias,
                         rv_linear_result to)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t r = 0; r < rows; r++, z += width, to = rows_on(to, 1, width)) {
        for (int64_t j = 0; j < whole; j += RV_LANES)
            finish_at(act, coarse, z, bias, to, j, RV_LANES);
        if (whole < width)
            finish_at(act, coarse, z, bias, to, whole, (size_t)(width - whole));
        if (to.y_bf16)
            pad(to.y_bf16, width);
    }
}

static void finish(rv_activation act, int64_t rows, int64_t width, const float *z, const float *bias,
                   const rv_linear_result *to)
{
    if (act == RV_ACT_NONE && !bias && to->y == z && !to->y_bf16)
        return;
    if (act == RV_ACT_GELU && !to->y && !to->slope)
        finish_of(RV_ACT_GELU, true, rows, width, z, bias, *to);
    else
        RV_ACTIVATION_SWITCH(act, finish_of((rv_activation)ACT, false, rows, width, z, bias, *to))
}

/* ---- backward --------------------------------------------------------- */

/* The gradient of n lanes before the activation, at `at` of a row and what was kept of it. */
RV_INLINE vf gradient_at(rv_activation act, rv_linear_result from, const float *gy, int64_t at, int64_t at_bf16, size_t n)
{
    const vf g = vf_load_n(gy + at, n);
    vf s;
    if (act == RV_ACT_NONE)
        return g;
    if (!rv_activation_saves(act))
        s = vf_load_n(from.y + at, n);
    else
        s = from.slope ? vf_load_n(from.slope + at, n) : vf_load_bf16_n(from.slope_bf16 + at_bf16, n);
    return g * vf_activation_slope(act, s, s);
}

/* One vector of n lanes at j of `rows` rows. */
RV_INLINE void start_at(rv_activation act, int rows, int64_t ld, rv_linear_result from, const float *gy,
                        rv_linear_gradient to, int64_t j, size_t n)
{
    const int64_t ld_bf16 = rv_bf16_ld(ld);
    vf sum = vf_zero(), before = vf_zero();
    for (int r = 0; r < rows; r++) {
        const vf g = gradient_at(act, from, gy, r * ld + j, r * ld_bf16 + j, n);
        if (to.gz)
            vf_store_n(to.gz + r * ld + j, g, n);
        if (to.gz_bf16)
            vf_store_bf16_n(to.gz_bf16 + r * ld_bf16 + j, g, n);
        if (to.gz_pairs && r % 2)
            vi_store_n((int32_t *)to.gz_pairs + r / 2 * ld + j, vf_bf16_pairs(before, g), n);
        else if (to.gz_pairs && r == rows - 1)
            vi_store_n((int32_t *)to.gz_pairs + r / 2 * ld + j, vf_bf16_pairs(g, vf_zero()), n);
        before = g;
        sum += g;
    }
    if (to.bias)
        vf_store_n(to.bias + j, vf_load_n(to.bias + j, n) + sum, n);
}

RV_INLINE void start_rows(rv_activation act, int rows, int64_t width, int64_t ld, rv_linear_result from, const float *gy,
                          rv_linear_gradient to)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t j = 0; j < whole; j += RV_LANES)
        start_at(act, rows, ld, from, gy, to, j, RV_LANES);
    if (whole < width)
        start_at(act, rows, ld, from, gy, to, whole, (size_t)(width - whole));
    for (int r = 0; to.gz_bf16 && r < rows; r++)
        pad(to.gz_bf16 + r * rv_bf16_ld(ld), width);
}

RV_INLINE rv_linear_gradient targets_on(rv_linear_gradient p, int64_t rows, int64_t ld)
{
    p.gz = p.gz ? p.gz + rows * ld : NULL;
    p.gz_bf16 = p.gz_bf16 ? p.gz_bf16 + rows * rv_bf16_ld(ld) : NULL;
    p.gz_pairs = p.gz_pairs ? p.gz_pairs + rows / 2 * ld : NULL;
    return p;
}

RV_INLINE void start_of(rv_activation act, int64_t rows, int64_t width, int64_t ld, rv_linear_result from, const float *gy,
                        rv_linear_gradient to)
{
    for (int64_t r = 0, step; r < rows; r += step) {
        step = rows - r >= TOGETHER ? TOGETHER : rows - r >= 2 ? 2 : 1;
        if (step == TOGETHER)
            start_rows(act, TOGETHER, width, ld, from, gy, to);
        else if (step == 2)
            start_rows(act, 2, width, ld, from, gy, to);
        else
            start_rows(act, 1, width, ld, from, gy, to);
        gy += step * ld;
        from = rows_on(from, step, ld);
        to = targets_on(to, step, ld);
    }
}

static void start(rv_activation act, int64_t rows, int64_t width, int64_t ld, const rv_linear_result *from,
                  const float *gy, const rv_linear_gradient *to)
{
    for (int64_t j = 0; to->bias && !to->add_bias && j < width; j++)
        to->bias[j] = 0;
    RV_ACTIVATION_SWITCH(act, start_of((rv_activation)ACT, rows, width, ld, *from, gy, *to))
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
