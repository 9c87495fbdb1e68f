/* A vector of float lanes, as wide as the registers, and the functions on it.
 *
 * Kernels are written once against this header and compiled once per instruction
 * set (see cpu.h): RV_LANES is 16 with AVX-512, 8 with AVX2, 4 otherwise, so write
 * loops in steps of RV_LANES.  Operators work on vectors (a * b + c becomes an FMA
 * where there is one); comparisons give vi masks for vf_select.
 * Memory is accessed unaligned; a tail of n < RV_LANES elements goes through
 * vf_load_n (missing lanes zero) and vf_store_n, which accept n = RV_LANES too.
 * A sum over lanes is taken by halves.  Accuracies are checked by unit_vec. */
#ifndef RV_TENSOR_KERNELS_CPU_VEC_H
#define RV_TENSOR_KERNELS_CPU_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { RV_LANES = 16 };
#elif defined(__AVX2__)
enum { RV_LANES = 8 };
#else
enum { RV_LANES = 4 };
#endif

typedef float vf __attribute__((vector_size(4 * RV_LANES)));
typedef int32_t vi __attribute__((vector_size(4 * RV_LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * RV_LANES))); /* bf16 bits */

#define RV_INLINE static inline __attribute__((always_inline, unused))

/* ---- memory ---- */

RV_INLINE vf vf_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

RV_INLINE void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

/* x - 0 is x bit for bit; written so, every compiler makes it one broadcast. */
RV_INLINE vf vf_set1(float x)
{
    return x - (vf){0};
}

RV_INLINE vi vi_set1(int32_t x)
{
    return x - (vi){0};
}

RV_INLINE vf vf_zero(void)
{
    return (vf){0};
}

/* The first n lanes, n in [0, RV_LANES]; the others are zero. */
RV_INLINE vf vf_load_n(const float *p, size_t n)
{
    if (__builtin_constant_p(n) && n == RV_LANES)
        return vf_load(p);
#if defined(__AVX512F__)
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#else
    vf v = {0};
    if (n == RV_LANES)
        return vf_load(p);
    memcpy(&v, p, n * sizeof *p);
    return v;
#endif
}

RV_INLINE void vf_store_n(float *p, vf v, size_t n)
{
    if (__builtin_constant_p(n) && n == RV_LANES) {
        vf_store(p, v);
        return;
    }
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    if (n == RV_LANES)
        vf_store(p, v);
    else
        memcpy(p, &v, n * sizeof *p);
#endif
}

RV_INLINE void vi_store_n(int32_t *p, vi v, size_t n)
{
    vf_store_n((float *)(void *)p, (vf)v, n);
}

/* Runs the statement for every vector of an array of n: J its offset, K its lanes, which
 * is the constant RV_LANES in all but the last. */
#define RV_EACH_VECTOR(n, J, K, ...)                                          \
    do {                                                                      \
        size_t J = 0;                                                         \
        for (; J + RV_LANES <= (n); J += RV_LANES) {                          \
            const size_t K = RV_LANES;                                        \
            __VA_ARGS__;                                                      \
        }                                                                     \
        if (J < (n)) {                                                        \
            const size_t K = (n) - J;                                         \
            __VA_ARGS__;                                                      \
        }                                                                     \
    } while (0)

/* ---- lanes ---- */

/* Where the mask (a comparison of vf or vi) is set: a, elsewhere b. */
RV_INLINE vf vf_select(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

/* The mask of the first n lanes, n >= 0. */
RV_INLINE vi vi_first(int64_t n)
{
    static const int32_t number[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi lane;
    memcpy(&lane, number, sizeof lane);
    return lane < vi_set1(n < RV_LANES ? (int32_t)n : RV_LANES);
}

/* a > b ? a : b, so b when either is NaN; vf_max(zero, x) lets a NaN of x through. */
RV_INLINE vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vf_select(a > b, a, b);
#endif
}

RV_INLINE vf vf_min(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vf_select(a < b, a, b);
#endif
}

RV_INLINE vf vf_abs(vf x)
{
    return (vf)((vi)x & vi_set1(0x7fffffff));
}

/* The magnitude of x with the sign of s. */
RV_INLINE vf vf_copysign(vf x, vf s)
{
    return (vf)(((vi)x & vi_set1(0x7fffffff)) | ((vi)s & vi_set1(INT32_MIN)));
}

RV_INLINE vf vf_sqrt(vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (vf)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < RV_LANES; i++)
        x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

/* 1 / x for |x| in [2^-126, 2^126], to 1 ulp. */
RV_INLINE vf vf_reciprocal(vf x)
{
#if defined(__AVX512F__)
    vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return r + r * (vf_set1(1) - x * r);
#else
    return vf_set1(1) / x;
#endif
}

/* Sum and largest of the lanes, by halves: i and i + 8, then i + 4, i + 2, i + 1. */
RV_INLINE float vf_sum(vf v)
{
#if defined(__AVX512F__)
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
#elif defined(__AVX2__)
    __m256 a = (__m256)v;
#endif
#if defined(__AVX2__)
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
#else
    vf b = v;
#endif
    return (b[0] + b[2]) + (b[1] + b[3]);
}

RV_INLINE float vf_largest(vf v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    float m = v[0];
    for (int i = 1; i < RV_LANES; i++)
        m = m > v[i] ? m : v[i];
    return m;
#endif
}

/* ---- bf16 ---- */

RV_INLINE vf vf_load_bf16(const uint16_t *p)
{
    vh h;
    memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vi) << 16);
}

/* Rounding to bf16 is to nearest even; NaN stays NaN.  The instructions for it read
 * numbers below the normal ones as zero, as those for products do. */
#if defined(__AVX512BF16__)

RV_INLINE vh vf_bf16(vf v)
{
    return (vh)_mm512_cvtneps_pbh((__m512)v);
}

/* Pairs of bf16, one to a lane: low in the lower halves. */
RV_INLINE vi vf_bf16_pairs(vf low, vf high)
{
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (vi)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
}

/* sum + the products of the pairs of bf16 in a and b. */
RV_INLINE vf vf_dot_bf16(vf sum, vf a, vf b)
{
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

#else

/* The bits of v as bf16 in the lower halves of the lanes, zeros above. */
RV_INLINE vi vf_bf16_bits(vf v)
{
    vi bits = (vi)v;
    vi rounded = bits + vi_set1(0x7fff) + ((bits >> 16) & vi_set1(1));
    vi nan = v != v;
    vi r = (nan & (bits | vi_set1(0x400000))) | (~nan & rounded);
    return (r >> 16) & vi_set1(0xffff);
}

RV_INLINE vh vf_bf16(vf v)
{
    return __builtin_convertvector(vf_bf16_bits(v), vh);
}

RV_INLINE vi vf_bf16_pairs(vf low, vf high)
{
    return vf_bf16_bits(low) | vf_bf16_bits(high) << 16;
}

#endif

RV_INLINE void vf_store_bf16(uint16_t *p, vf v)
{
    vh h = vf_bf16(v);
    memcpy(p, &h, sizeof h);
}

/* The first n lanes, n in [0, RV_LANES]. */
RV_INLINE void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    if (__builtin_constant_p(n) && n == RV_LANES) {
        vf_store_bf16(p, v);
        return;
    }
#if defined(__AVX512F__)
    _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), (__m256i)vf_bf16(v));
#else
    vh h = vf_bf16(v);
    memcpy(p, &h, n * sizeof *p);
#endif
}

RV_INLINE vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    if (__builtin_constant_p(n) && n == RV_LANES)
        return vf_load_bf16(p);
#if defined(__AVX512F__)
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p)), 16);
#else
    uint16_t whole[RV_LANES] = {0};
    memcpy(whole, p, n * sizeof *p);
    return vf_load_bf16(whole);
#endif
}

/* ---- functions ---- */

/* x rounded to an integer (ties to even), |x| < 2^22. */
RV_INLINE vf vf_round(vf x)
{
#if defined(__AVX512F__)
    return (vf)_mm512_roundscale_ps((__m512)x, 8);
#elif defined(__AVX2__)
    return (vf)_mm256_round_ps((__m256)x, 8);
#else
    /* The sum drops the fraction; the compiler does not reassociate floats. */
    return (x + vf_set1(12582912.0f)) - vf_set1(12582912.0f);
#endif
}

/* 2^n x for integral n in [-252, 252]. */
RV_INLINE vf vf_scale2(vf x, vf n)
{
#if defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    vi k = __builtin_convertvector(n, vi), half = k >> 1; /* in two steps: 2^n may not be normal */
    return x * (vf)((half + 127) << 23) * (vf)((k - half + 127) << 23);
#endif
}

/* x = n ln 2 + r with |r| <= ln(2) / 2: r, and e^r - 1 - r in *tail. */
RV_INLINE vf vf_exp_reduce(vf x, vf *n, vf *tail)
{
    *n = vf_round(x * vf_set1(1.44269504f));
    vf r = x - *n * vf_set1(0.693359375f) - *n * vf_set1(-2.12194440e-4f);
    vf q = vf_set1(0.00139508072f);
    q = q * r + vf_set1(0.00836907311f);
    q = q * r + vf_set1(0.0416662011f);
    q = q * r + vf_set1(0.166665173f);
    q = q * r + vf_set1(0.50000001f);
    *tail = q * r * r;
    return r;
}

RV_INLINE vf vf_exp(vf x)
{
    /* Beyond these the result is 0 or infinity; the order of operands keeps NaN. */
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-105.0f), x));
    vf n, tail, r = vf_exp_reduce(x, &n, &tail);
    return vf_scale2(vf_set1(1) + (r + tail), n);
}

/* e^x - 1 for x in [0, 80], relative to the result. */
RV_INLINE vf vf_expm1_positive(vf x)
{
    vf n, tail, r = vf_exp_reduce(x, &n, &tail);
    vf two_n = vf_scale2(vf_set1(1), n);
    return two_n * (r + tail) + (two_n - vf_set1(1));
}

RV_INLINE vf vf_tanh(vf x)
{
    vf e = vf_expm1_positive(vf_min(vf_set1(40), vf_abs(x) * vf_set1(2)));
    return vf_copysign(e * vf_reciprocal(e + vf_set1(2)), x);
}

/* 1 / (1 + e^-x) */
RV_INLINE vf vf_sigmoid(vf x)
{
    vf e = vf_exp(vf_min(vf_set1(87), -x));
    return vf_reciprocal(vf_set1(1) + e);
}

/* ln x: -inf at 0, NaN below, inf at inf. */
RV_INLINE vf vf_log(vf x)
{
    vi tiny = x < vf_set1(1.17549435e-38f);
    vf scaled = vf_select(tiny, x * vf_set1(16777216.0f), x);
    /* scaled = 2^e m with m in [sqrt(1/2), sqrt(2)) */
    vi bits = (vi)scaled - vi_set1(0x3f3504f3);
    vf e = __builtin_convertvector((bits >> 23), vf) - vf_select(tiny, vf_set1(24), vf_zero());
    vf f = (vf)((bits & vi_set1(0x7fffff)) + vi_set1(0x3f3504f3)) - vf_set1(1);
    vf p = vf_set1(0.0691529719f);
    p = p * f + vf_set1(-0.117897719f);
    p = p * f + vf_set1(0.118729892f);
    p = p * f + vf_set1(-0.123843554f);
    p = p * f + vf_set1(0.142186572f);
    p = p * f + vf_set1(-0.166692504f);
    p = p * f + vf_set1(0.200022266f);
    p = p * f + vf_set1(-0.249999866f);
    p = p * f + vf_set1(0.333333104f);
    vf f2 = f * f;
    vf tail = f2 * f * p + e * vf_set1(-2.12194440e-4f) - vf_set1(0.5f) * f2;
    vf y = (f + tail) + e * vf_set1(0.693359375f);
    y = vf_select(x == vf_zero(), vf_set1(-__builtin_inff()), y);
    y = vf_select(x == vf_set1(__builtin_inff()), x, y);
    return vf_select((vi)(x < vf_zero()) | (vi)(x != x), vf_set1(__builtin_nanf("")), y);
}

/* ln(1 + e^x), without overflow. */
RV_INLINE vf vf_softplus(vf x)
{
    /* log1p(u) = ln(1 + u) u / ((1 + u) - 1) repairs the rounding of 1 + u. */
    vf u = vf_exp(-vf_abs(x));
    vf one_u = vf_set1(1) + u, seen = one_u - vf_set1(1);
    vf log1p = vf_select(seen == vf_zero(), u, vf_log(one_u) * u / seen);
    return vf_max(vf_zero(), x) + log1p;
}

/* The standard normal distribution function, to 2e-7, and *density, its derivative. */
RV_INLINE vf vf_normal(vf x, vf *density)
{
    vf z = vf_abs(x) * vf_set1(0.707106781f);
    vf e = vf_exp(-z * z);
    /* erfc(z) = e^(-z^2) t P(t), t = 1 / (1 + z / 2) */
    vf t = vf_reciprocal(vf_set1(1) + vf_set1(0.5f) * vf_min(vf_set1(1e18f), z));
    vf p = vf_set1(-0.0496752787f);
    p = p * t + vf_set1(0.239099616f);
    p = p * t + vf_set1(-0.394188465f);
    p = p * t + vf_set1(0.173597996f);
    p = p * t + vf_set1(0.0434521475f);
    p = p * t + vf_set1(0.174122908f);
    p = p * t + vf_set1(0.249966038f);
    p = p * t + vf_set1(0.281492164f);
    p = p * t + vf_set1(0.282132865f);
    vf half = vf_set1(0.5f) * (e * t * p); /* of the tail beyond |x| */
    *density = e * vf_set1(0.398942280f);
    return vf_select(x > vf_zero(), vf_set1(1) - half, half);
}

#endif
