/* The activation functions and their slopes, written as their definitions.
 *
 * GELU: Hendrycks and Gimpel 2016, the exact form x Phi(x) and its tanh approximation;
 * SiLU: x sigmoid(x); softplus: log(1 + e^x); ReLU^2: So et al. 2021. */
#include "graph/activation.h"

#include <math.h>

static const double sqrt_half = 0.70710678118654752440;       /* 1 / sqrt(2) */
static const double inverse_sqrt_2pi = 0.39894228040143267794; /* 1 / sqrt(2 pi) */
static const double sqrt_2_over_pi = 0.79788456080286535588;  /* sqrt(2 / pi) */
static const double gelu_cubic = 0.044715;

const char *rv_activation_name(rv_activation act)
{
    switch (act) {
    case RV_ACT_NONE: return "none";
    case RV_ACT_RELU: return "relu";
    case RV_ACT_RELU2: return "relu2";
    case RV_ACT_GELU: return "gelu";
    case RV_ACT_GELU_TANH: return "gelu_tanh";
    case RV_ACT_SILU: return "silu";
    case RV_ACT_TANH: return "tanh";
    case RV_ACT_SIGMOID: return "sigmoid";
    case RV_ACT_SOFTPLUS: return "softplus";
    }
    return NULL;
}

static double sigmoid(double x)
{
    /* The exponent is never positive, so nothing overflows. */
    const double e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

double rv_activation_value(rv_activation act, double x)
{
    switch (act) {
    case RV_ACT_NONE: return x;
    /* Comparisons are written so that a NaN passes through. */
    case RV_ACT_RELU: return x < 0 ? 0 : x;
    case RV_ACT_RELU2: return x < 0 ? 0 : x * x;
    case RV_ACT_GELU: return x * 0.5 * erfc(-x * sqrt_half);
    case RV_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x)));
    case RV_ACT_SILU: return x * sigmoid(x);
    case RV_ACT_TANH: return tanh(x);
    case RV_ACT_SIGMOID: return sigmoid(x);
    case RV_ACT_SOFTPLUS: return (x < 0 ? 0 : x) + log1p(exp(-fabs(x)));
    }
    return NAN;
}

static double gelu_tanh_slope(double x)
{
    const double t = tanh(sqrt_2_over_pi * (x + gelu_cubic * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * sqrt_2_over_pi * (1 + 3 * gelu_cubic * x * x);
}

double rv_activation_slope(rv_activation act, double x)
{
    switch (act) {
    case RV_ACT_NONE: return 1;
    case RV_ACT_RELU: return x > 0 ? 1 : 0;
    case RV_ACT_RELU2: return x > 0 ? 2 * x : 0;
    case RV_ACT_GELU: return 0.5 * erfc(-x * sqrt_half) + x * inverse_sqrt_2pi * exp(-0.5 * x * x);
    case RV_ACT_GELU_TANH: return gelu_tanh_slope(x);
    case RV_ACT_SILU: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case RV_ACT_TANH: return 1 - tanh(x) * tanh(x);
    case RV_ACT_SIGMOID: return sigmoid(x) * (1 - sigmoid(x));
    case RV_ACT_SOFTPLUS: return sigmoid(x);
    }
    return NAN;
}
