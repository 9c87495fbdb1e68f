/* Bias and activation of linear layers.  Column sums run down the rows in order. */
#include "tensor/kernels/cpu/linear.h"

#include "tensor/kernels/cpu/activation_inline.h"

enum { STRIP = 4 }; /* vectors of columns that go down the rows together */

RV_INLINE void finish_of(rv_activation act, int64_t rows, int64_t width, float *y, const float *bias, float *slope)
{
    const bool store = slope && rv_activation_saves(act);
    for (int64_t r = 0; r < rows; r++, y += width)
        for (int64_t j = 0; j < width; j += RV_LANES) {
            size_t n = width - j < RV_LANES ? (size_t)(width - j) : RV_LANES;
            vf s = vf_zero(), z = vf_load_n(y + j, n);
            if (bias)
                z += vf_load_n(bias + j, n);
            vf_store_n(y + j, vf_activate(act, z, &s), n);
            if (store)
                vf_store_n(slope + r * width + j, s, n);
        }
}

static void finish(rv_activation act, int64_t rows, int64_t width, float *y, const float *bias, float *slope)
{
    if (act == RV_ACT_NONE && !bias)
        return;
    RV_ACTIVATION_SWITCH(act, finish_of((rv_activation)ACT, rows, width, y, bias, slope))
}

/* One strip of vectors * RV_LANES columns, of which the last vector has lanes lanes. */
RV_INLINE void start_strip(rv_activation act, int64_t rows, int64_t width, int vectors, size_t lanes, const float *y,
                           const float *gy, float *gz, bool add, float *gbias)
{
    vf sum[STRIP] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    for (int64_t r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            int64_t at = r * width + v * RV_LANES;
            size_t n = v == vectors - 1 ? lanes : RV_LANES;
            vf g = vf_load_n(gy + at, n);
            if (act != RV_ACT_NONE) {
                vf stored = vf_load_n(y + at, n);
                g *= vf_activation_slope(act, stored, stored);
                vf_store_n(gz + at, g, n);
            }
            sum[v] += g;
        }
    for (int v = 0; gbias && v < vectors; v++) {
        float *b = gbias + v * RV_LANES;
        size_t n = v == vectors - 1 ? lanes : RV_LANES;
        vf_store_n(b, add ? vf_load_n(b, n) + sum[v] : sum[v], n);
    }
}

RV_INLINE void start_of(rv_activation act, int64_t rows, int64_t width, const float *y, const float *gy, float *gz,
                        bool add, float *gbias)
{
    for (int64_t j = 0; j < width;) {
        int64_t left = width - j, step = left >= STRIP * RV_LANES ? STRIP * RV_LANES : left < RV_LANES ? left : RV_LANES;
        float *z = gz ? gz + j : NULL, *b = gbias ? gbias + j : NULL;
        if (step == STRIP * RV_LANES)
            start_strip(act, rows, width, STRIP, RV_LANES, y + j, gy + j, z, add, b);
        else
            start_strip(act, rows, width, 1, (size_t)step, y + j, gy + j, z, add, b);
        j += step;
    }
}

static void start(rv_activation act, int64_t rows, int64_t width, const float *y, const float *slope,
                  const float *gy, float *gz, bool add, float *gbias)
{
    const float *stored = rv_activation_saves(act) ? slope : y;
    RV_ACTIVATION_SWITCH(act, start_of((rv_activation)ACT, rows, width, stored, gy, gz, add, gbias))
}

const struct rv_cpu_linear RV_CPU_TABLE(linear) = {.finish = finish, .start = start};
