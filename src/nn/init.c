/* Initial distributions by their published variances. */
#include "ravine/nn.h"

#include <math.h>

rv_init rv_init_zero(void)
{
    return (rv_init){RV_INIT_ZERO, 0};
}

rv_init rv_init_normal(double std)
{
    return (rv_init){RV_INIT_NORMAL, std};
}

rv_init rv_init_he(int64_t fan_in)
{
    return (rv_init){RV_INIT_NORMAL, sqrt(2.0 / (double)fan_in)};
}

rv_init rv_init_lecun(int64_t fan_in)
{
    return (rv_init){RV_INIT_NORMAL, sqrt(1.0 / (double)fan_in)};
}

rv_init rv_init_glorot(int64_t fan_in, int64_t fan_out)
{
    return (rv_init){RV_INIT_UNIFORM, sqrt(6.0 / (double)(fan_in + fan_out))};
}

rv_init rv_init_torch_linear(int64_t fan_in)
{
    return (rv_init){RV_INIT_UNIFORM, 1.0 / sqrt((double)fan_in)};
}
