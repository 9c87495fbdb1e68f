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

/* One vector of n lanes of `rows` rows: gz stored, its sum added to gbias. */
RV_INLINE void start_at(rv_activation act, int rows, int64_t width, const float *stored, const float *gy, float *gz,
                        float *gbias, size_t n)
{
    vf sum = vf_zero();
    for (int r = 0; r < rows; r++) {
        vf g = vf_load_n(gy + r * width, n);
        if (act != RV_ACT_NONE) {
            vf s = vf_load_n(stored + r * width, n);
            g *= vf_activation_slope(act, s, s);
            vf_store_n(gz + r * width, g, n);
        }
        sum += g;
    }
    if (gbias)
        vf_store_n(gbias, vf_load_n(gbias, n) + sum, n);
}

RV_INLINE void start_rows(rv_activation act, int rows, int64_t width, const float *stored, const float *gy, float *gz,
                          float *gbias)
{
    const int64_t whole = width - width % RV_LANES;
    for (int64_t j = 0; j < whole; j += RV_LANES)
        start_at(act, rows, width, stored + j, gy + j, gz ? gz + j : NULL, gbias ? gbias + j : NULL, RV_LANES);
    if (whole < width)
        start_at(act, rows, width, stored + whole, gy + whole, gz ? gz + whole : NULL, gbias ? gbias + whole : NULL,
                 (size_t)(width - whole));
}

RV_INLINE void start_of(rv_activation act, int64_t rows, int64_t width, const float *stored, const float *gy,
                        float *gz, float *gbias)
{
    int64_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER)
        start_rows(act, TOGETHER, width, stored + r * width, gy + r * width, gz ? gz + r * width : NULL, gbias);
    for (; r < rows; r++)
        start_rows(act, 1, width, stored + r * width, gy + r * width, gz ? gz + r * width : NULL, gbias);
}

static void start(rv_activation act, int64_t rows, int64_t width, const float *y, const float *slope,
                  const float *gy, float *gz, bool add, float *gbias)
{
    const float *stored = rv_activation_saves(act) ? slope : y;
    for (int64_t j = 0; gbias && !add && j < width; j++)
        gbias[j] = 0;
    RV_ACTIVATION_SWITCH(act, start_of((rv_activation)ACT, rows, width, stored, gy, gz, gbias))
}

const struct rv_cpu_linear RV_CPU_TABLE(linear) = {.finish = finish, .start = start};
