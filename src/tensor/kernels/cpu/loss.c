/* Losses.  Within a vector pass sums are taken per lane and joined at its end; passes
 * over many elements end in double every BLOCK elements. */
#include "tensor/kernels/cpu/loss.h"

#include "tensor/kernels/cpu/vec.h"

enum { BLOCK = 1024 };

RV_INLINE size_t lanes_at(int64_t i, int64_t n)
{
    return n - i < RV_LANES ? (size_t)(n - i) : RV_LANES;
}

/* The first n lanes of v, the others as fill. */
RV_INLINE vf fill_tail(vf v, size_t n, float fill)
{
    return vf_select(vi_first((int64_t)n), v, vf_set1(fill));
}

/* ---- softmax ---- */

static float log_sum_exp(int64_t n, const float *x, const float *w, float *weighted)
{
    vf top = vf_set1(-__builtin_inff()), dot = vf_zero(), sum = vf_zero();
    const int64_t whole = n - n % RV_LANES;
    for (int64_t i = 0; i < whole; i += RV_LANES)
        top = vf_max(top, vf_load(x + i));
    vf tail = fill_tail(vf_load_n(x + whole, (size_t)(n - whole)), (size_t)(n - whole), -__builtin_inff());
    const float most = vf_largest(vf_max(top, tail));
    const vf shift = vf_set1(most);
    for (int64_t i = 0; i < whole; i += RV_LANES)
        sum += vf_exp(vf_load(x + i) - shift);
    if (whole < n)
        sum += vf_exp(tail - shift);
    for (int64_t i = 0; weighted && i < n; i += RV_LANES) {
        vf v = vf_load_n(x + i, lanes_at(i, n));
        dot += w ? v * vf_load_n(w + i, lanes_at(i, n)) : v;
    }
    if (weighted)
        *weighted = vf_sum(dot);
    return most + vf_log(vf_set1(vf_sum(sum)))[0];
}

static void softmax_gradient(int64_t n, const float *x, float norm, float scale, float total, float spread,
                             const float *w, bool add, float *g)
{
    const vf top = vf_set1(norm), factor = vf_set1(scale * total), minus = vf_set1(scale * spread);
    for (int64_t i = 0; i < n; i += RV_LANES) {
        size_t m = lanes_at(i, n);
        vf v = vf_exp(vf_load_n(x + i, m) - top) * factor;
        if (spread != 0)
            v -= w ? minus * vf_load_n(w + i, m) : minus;
        vf_store_n(g + i, add ? vf_load_n(g + i, m) + v : v, m);
    }
}

/* ---- StableMax ---- */

RV_INLINE vf stable(vf x)
{
    const vf one = vf_set1(1), base = one + vf_abs(x);
    return vf_select(x < vf_zero(), one / base, base);
}

static float stable_sum(int64_t n, const float *x, const float *w, float *weighted)
{
    vf sum = vf_zero(), dot = vf_zero();
    for (int64_t i = 0; i < n; i += RV_LANES) {
        const size_t m = lanes_at(i, n);
        const vf s = stable(vf_load_n(x + i, m));
        sum += fill_tail(s, m, 0);
        if (weighted) /* log 1 = 0 beyond the end */
            dot += vf_log(fill_tail(s, m, 1)) * (w ? vf_load_n(w + i, m) : vf_set1(1));
    }
    if (weighted)
        *weighted = vf_sum(dot);
    return vf_sum(sum);
}

static void stablemax_gradient(int64_t n, const float *x, float norm, float scale, float total, float spread,
                               const float *w, bool add, float *g)
{
    const vf factor = vf_set1(scale * total / norm), minus = vf_set1(scale * spread), one = vf_set1(1);
    for (int64_t i = 0; i < n; i += RV_LANES) {
        const size_t m = lanes_at(i, n);
        const vf logit = vf_load_n(x + i, m);
        vf v = stable(logit) * factor;
        if (spread != 0)
            v -= w ? minus * vf_load_n(w + i, m) : minus;
        v /= one + vf_abs(logit);
        vf_store_n(g + i, add ? vf_load_n(g + i, m) + v : v, m);
    }
}

/* ---- losses of single values ---- */

RV_INLINE vf value_of(rv_point_loss kind, vf x, vf t)
{
    switch (kind) {
    case RV_POINT_MSE:
        return (x - t) * (x - t);
    case RV_POINT_L1:
        return vf_abs(x - t);
    case RV_POINT_BINARY: /* -t log s(x) - (1 - t) log(1 - s(x)), s the sigmoid */
        return vf_softplus(x) - x * t;
    }
    return x;
}

/* d/dx; *dt receives d/dt. */
RV_INLINE vf slope_of(rv_point_loss kind, vf x, vf t, vf *dt)
{
    vf d = x - t, one = vf_set1(1);
    switch (kind) {
    case RV_POINT_MSE:
        d *= vf_set1(2);
        break;
    case RV_POINT_L1:
        d = vf_select(d > vf_zero(), one, vf_select(d < vf_zero(), -one, d)); /* 0 and NaN as they are */
        break;
    case RV_POINT_BINARY:
        *dt = -x;
        return vf_sigmoid(x) - t;
    }
    *dt = -d;
    return d;
}

RV_INLINE double point_of(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                          double *total)
{
    double sum = 0, weights = 0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t end = n - start < BLOCK ? n : start + BLOCK;
        vf part = vf_zero(), mass = vf_zero();
        for (int64_t i = start; i < end; i += RV_LANES) {
            size_t m = lanes_at(i, end);
            vf v = value_of(kind, vf_load_n(x + i, m), vf_load_n(target + i, m));
            vf w = weight ? vf_load_n(weight + i, m) : vf_set1(1);
            part += m < RV_LANES ? fill_tail(v * w, m, 0) : v * w;
            mass += weight ? w : vf_zero();
        }
        sum += (double)vf_sum(part);
        weights += (double)vf_sum(mass);
    }
    *total = weight ? weights : (double)n;
    return sum;
}

static double point(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                    double *total)
{
    switch (kind) {
    case RV_POINT_MSE:
        return point_of(RV_POINT_MSE, n, x, target, weight, total);
    case RV_POINT_L1:
        return point_of(RV_POINT_L1, n, x, target, weight, total);
    case RV_POINT_BINARY:
        return point_of(RV_POINT_BINARY, n, x, target, weight, total);
    }
    return 0;
}

RV_INLINE void put(float *g, bool add, vf v, size_t n)
{
    if (g)
        vf_store_n(g, add ? vf_load_n(g, n) + v : v, n);
}

RV_INLINE void gradient_of(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                           float scale, float *const gradients[3], const bool add[3])
{
    for (int64_t i = 0; i < n; i += RV_LANES) {
        size_t m = lanes_at(i, n);
        vf a = vf_load_n(x + i, m), t = vf_load_n(target + i, m), dt, dx = slope_of(kind, a, t, &dt);
        vf w = weight ? vf_load_n(weight + i, m) * vf_set1(scale) : vf_set1(scale);
        put(gradients[0] ? gradients[0] + i : NULL, add[0], w * dx, m);
        put(gradients[1] ? gradients[1] + i : NULL, add[1], w * dt, m);
        if (gradients[2])
            put(gradients[2] + i, add[2], vf_set1(scale) * value_of(kind, a, t), m);
    }
}

static void point_gradient(rv_point_loss kind, int64_t n, const float *x, const float *target, const float *weight,
                           float scale, float *const gradients[3], const bool add[3])
{
    switch (kind) {
    case RV_POINT_MSE:
        gradient_of(RV_POINT_MSE, n, x, target, weight, scale, gradients, add);
        break;
    case RV_POINT_L1:
        gradient_of(RV_POINT_L1, n, x, target, weight, scale, gradients, add);
        break;
    case RV_POINT_BINARY:
        gradient_of(RV_POINT_BINARY, n, x, target, weight, scale, gradients, add);
        break;
    }
}

const struct rv_cpu_loss RV_CPU_TABLE(loss) = {
    .log_sum_exp = log_sum_exp,
    .softmax_gradient = softmax_gradient,
    .stable_sum = stable_sum,
    .stablemax_gradient = stablemax_gradient,
    .point = point,
    .point_gradient = point_gradient,
};
