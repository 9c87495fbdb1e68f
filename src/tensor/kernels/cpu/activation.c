/* Activation functions on arrays: one pass, vectors and one masked tail. */
#include "tensor/kernels/cpu/activation_inline.h"

RV_INLINE void forward_of(rv_activation act, size_t n, const float *x, float *y, float *slope)
{
    for (size_t i = 0; i < n; i += RV_LANES) {
        size_t m = n - i < RV_LANES ? n - i : RV_LANES;
        vf s = vf_zero();
        vf_store_n(y + i, vf_activate(act, vf_load_n(x + i, m), &s), m);
        if (slope && rv_activation_saves(act))
            vf_store_n(slope + i, s, m);
    }
}

static void forward(rv_activation act, size_t n, const float *x, float *y, float *slope)
{
    RV_ACTIVATION_SWITCH(act, forward_of((rv_activation)ACT, n, x, y, slope))
}

RV_INLINE void backward_of(rv_activation act, size_t n, const float *y, const float *slope,
                           const float *gy, float *gx, bool add)
{
    for (size_t i = 0; i < n; i += RV_LANES) {
        size_t m = n - i < RV_LANES ? n - i : RV_LANES;
        bool saves = rv_activation_saves(act);
        vf stored = vf_load_n((saves ? slope : y) + i, m);
        vf g = vf_load_n(gy + i, m) * vf_activation_slope(act, stored, stored);
        if (add)
            g += vf_load_n(gx + i, m);
        vf_store_n(gx + i, g, m);
    }
}

static void backward(rv_activation act, size_t n, const float *y, const float *slope, const float *gy,
                     float *gx, bool add)
{
    RV_ACTIVATION_SWITCH(act, backward_of((rv_activation)ACT, n, y, slope, gy, gx, add))
}

#define MAP(name, expression)                                                 \
    static void map_##name(size_t n, const float *x, float *y)                \
    {                                                                         \
        for (size_t i = 0; i < n; i += RV_LANES) {                            \
            size_t m = n - i < RV_LANES ? n - i : RV_LANES;                   \
            vf density, v = vf_load_n(x + i, m);                              \
            (void)density;                                                    \
            vf_store_n(y + i, expression, m);                                 \
        }                                                                     \
    }
MAP(exp, vf_exp(v))
MAP(log, vf_log(v))
MAP(tanh, vf_tanh(v))
MAP(sigmoid, vf_sigmoid(v))
MAP(softplus, vf_softplus(v))
MAP(normal, vf_normal(v, &density))

const struct rv_cpu_activation RV_CPU_TABLE(activation) = {
    .forward = forward,
    .backward = backward,
    .exp = map_exp,
    .log = map_log,
    .tanh = map_tanh,
    .sigmoid = map_sigmoid,
    .softplus = map_softplus,
    .normal = map_normal,
};
