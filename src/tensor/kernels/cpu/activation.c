/* Activation functions on arrays: one pass, vectors and one masked tail. */
#include "tensor/kernels/cpu/activation_inline.h"

RV_INLINE void forward_at(rv_activation act, size_t n, const float *x, float *y, float *slope)
{
    vf s = vf_zero();
    vf_store_n(y, vf_activate(act, vf_load_n(x, n), &s), n);
    if (slope && rv_activation_saves(act))
        vf_store_n(slope, s, n);
}

RV_INLINE void forward_of(rv_activation act, size_t n, const float *x, float *y, float *slope)
{
    const size_t whole = n - n % RV_LANES;
    for (size_t i = 0; i < whole; i += RV_LANES)
        forward_at(act, RV_LANES, x + i, y + i, slope ? slope + i : NULL);
    if (whole < n)
        forward_at(act, n - whole, x + whole, y + whole, slope ? slope + whole : NULL);
}

static void forward(rv_activation act, size_t n, const float *x, float *y, float *slope)
{
    RV_ACTIVATION_SWITCH(act, forward_of((rv_activation)ACT, n, x, y, slope))
}

RV_INLINE void backward_at(rv_activation act, size_t n, const float *stored, const float *gy, float *gx, bool add)
{
    vf s = vf_load_n(stored, n), g = vf_load_n(gy, n) * vf_activation_slope(act, s, s);
    vf_store_n(gx, add ? vf_load_n(gx, n) + g : g, n);
}

RV_INLINE void backward_of(rv_activation act, size_t n, const float *stored, const float *gy, float *gx, bool add)
{
    const size_t whole = n - n % RV_LANES;
    for (size_t i = 0; i < whole; i += RV_LANES)
        backward_at(act, RV_LANES, stored + i, gy + i, gx + i, add);
    if (whole < n)
        backward_at(act, n - whole, stored + whole, gy + whole, gx + whole, add);
}

static void backward(rv_activation act, size_t n, const float *y, const float *slope, const float *gy,
                     float *gx, bool add)
{
    const float *stored = rv_activation_saves(act) ? slope : y;
    RV_ACTIVATION_SWITCH(act, backward_of((rv_activation)ACT, n, stored, gy, gx, add))
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
