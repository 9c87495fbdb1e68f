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
