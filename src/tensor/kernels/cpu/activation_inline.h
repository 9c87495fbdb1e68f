/* Activations on one vector, for kernels that fuse them: act is a constant at every
 * call once inlined, so the switches vanish. */
#ifndef RV_TENSOR_KERNELS_CPU_ACTIVATION_INLINE_H
#define RV_TENSOR_KERNELS_CPU_ACTIVATION_INLINE_H

#include "tensor/kernels/cpu/activation.h"
#include "tensor/kernels/cpu/vec.h"

/* act(x); *slope receives act'(x) for the functions of rv_activation_saves. */
RV_INLINE vf vf_activate(rv_activation act, vf x, vf *slope)
{
    const vf one = vf_set1(1), zero = vf_zero();
    switch (act) {
    case RV_ACT_NONE:
        return x;
    case RV_ACT_RELU:
        return vf_max(zero, x);
    case RV_ACT_RELU2: {
        vf r = vf_max(zero, x);
        return r * r;
    }
    case RV_ACT_GELU: {
        vf density, phi = vf_normal(x, &density);
        *slope = phi + x * density;
        return x * phi;
    }
    case RV_ACT_GELU_TANH: {
        /* x s(2u), u = sqrt(2 / pi) (x + 0.044715 x^3), s the sigmoid: (1 + tanh u) / 2 */
        const vf c = vf_set1(1.59576912f), k = vf_set1(0.044715f);
        vf x2 = x * x, s = vf_sigmoid(c * x * (one + k * x2));
        *slope = s + x * s * (one - s) * c * (one + vf_set1(3) * k * x2);
        return x * s;
    }
    case RV_ACT_SILU: {
        vf s = vf_sigmoid(x);
        *slope = s + x * s * (one - s);
        return x * s;
    }
    case RV_ACT_TANH:
        return vf_tanh(x);
    case RV_ACT_SIGMOID:
        return vf_sigmoid(x);
    case RV_ACT_SOFTPLUS:
        return vf_softplus(x);
    }
    return x;
}

/* 1 / x to 2^-14. */
RV_INLINE vf vf_reciprocal_coarse(vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_rcp14_ps((__m512)x);
#else
    return vf_set1(1) / x;
#endif
}

/* GELU and its slope for results that are rounded to bf16: Phi to 3e-4 relative below zero, which is a
 * tenth of that rounding, and to 3e-5 absolute.  The density is 2^(c x^2); the tail beyond |x| is the
 * density times a polynomial in 1 / (1 + 0.38 |x|), fitted to the ratio of both. */
RV_INLINE vf vf_gelu_coarse(vf x, vf *slope)
{
    const vf one = vf_set1(1);
    const vf y = vf_max(vf_set1(-150), x * x * vf_set1(-0.721347520f)), n = vf_round(y), r = y - n;
    vf e = vf_set1(0.009570104f);
    e = e * r + vf_set1(0.0559178777f);
    e = e * r + vf_set1(0.240247443f);
    e = e * r + vf_set1(0.693121791f);
    e = vf_scale2(e * r + vf_set1(0.999999285f), n);
    const vf t = vf_reciprocal_coarse(one + vf_set1(0.38f) * vf_min(vf_set1(1e18f), vf_abs(x)));
    vf p = vf_set1(-0.0829243138f);
    p = p * t + vf_set1(0.172830403f);
    p = p * t + vf_set1(0.104330413f);
    p = p * t + vf_set1(0.154233322f);
    p = p * t + vf_set1(0.151540458f);
    const vf tail = e * (p * t), phi = vf_select(x > vf_zero(), one - tail, tail);
    *slope = phi + x * vf_set1(0.398942280f) * e;
    return x * phi;
}

/* act'(x) from y = act(x) or, for the functions of rv_activation_saves, the stored slope. */
RV_INLINE vf vf_activation_slope(rv_activation act, vf y, vf slope)
{
    const vf one = vf_set1(1), zero = vf_zero();
    switch (act) {
    case RV_ACT_NONE:
        return one;
    case RV_ACT_RELU:
        return (vf)((vi)(y > zero) & (vi)one);
    case RV_ACT_RELU2:
        return vf_set1(2) * vf_sqrt(y);
    case RV_ACT_TANH:
        return one - y * y;
    case RV_ACT_SIGMOID:
        return y * (one - y);
    case RV_ACT_SOFTPLUS: {
        /* 1 - e^-y = m / (1 + m), m = e^y - 1 */
        vf m = vf_expm1_positive(vf_min(vf_set1(80), y));
        return m * vf_reciprocal(one + m);
    }
    case RV_ACT_GELU:
    case RV_ACT_GELU_TANH:
    case RV_ACT_SILU:
        return slope;
    }
    return one;
}

/* Runs statement with ACT a compile-time constant equal to act. */
#define RV_ACTIVATION_SWITCH(act, statement)                                  \
    switch (act) {                                                            \
        RV_ACTIVATION_CASE(RV_ACT_NONE, statement)                            \
        RV_ACTIVATION_CASE(RV_ACT_RELU, statement)                            \
        RV_ACTIVATION_CASE(RV_ACT_RELU2, statement)                           \
        RV_ACTIVATION_CASE(RV_ACT_GELU, statement)                            \
        RV_ACTIVATION_CASE(RV_ACT_GELU_TANH, statement)                       \
        RV_ACTIVATION_CASE(RV_ACT_SILU, statement)                            \
        RV_ACTIVATION_CASE(RV_ACT_TANH, statement)                            \
        RV_ACTIVATION_CASE(RV_ACT_SIGMOID, statement)                         \
        RV_ACTIVATION_CASE(RV_ACT_SOFTPLUS, statement)                        \
    }
#define RV_ACTIVATION_CASE(value, statement)                                  \
    case value: {                                                             \
        enum { ACT = value };                                                 \
        statement;                                                            \
        break;                                                                \
    }

#endif
