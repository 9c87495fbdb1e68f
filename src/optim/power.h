/* x^q of floats that vectorises, for x >= 0 and 0 <= q <= 1, within 2 units in the last place.
 * Invariant: additions, products, one division and bits only, so the bits are the same on every
 * processor and with every C library. */
#ifndef RV_OPTIM_POWER_H
#define RV_OPTIM_POWER_H

#include <float.h>
#include <stdint.h>
#include <string.h>

/* q in two parts, of which the first times an exponent is exact. */
typedef struct rv_power {
    float high, low;
} rv_power;

static inline rv_power rv_power_of(double q)
{
    const float high = (float)((double)(int)(q * 4096) / 4096);
    return (rv_power){high, (float)(q - (double)high)};
}

static inline __attribute__((always_inline)) float rv_power_bits(int32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); log2(m) by the series of artanh, q log2(x) = n + r with n
 * whole and |r| <= 1/2 about, 2^r by the series of exp. */
static inline __attribute__((always_inline)) float rv_power_at(float x, rv_power q)
{
    const float small = x < FLT_MIN ? 0x1p24f : 1.0f, shift = x < FLT_MIN ? 24.0f : 0.0f, y = x * small;
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    const int32_t exponent = (bits - 0x3F3504F3) >> 23; /* 0x3F3504F3: sqrt(1/2) */
    const float m = rv_power_bits(bits - exponent * (1 << 23)), e = (float)exponent - shift;
    const float s = (m - 1) / (m + 1), z = s * s;
    const float log2m = s * (2.88539008f + z * (0.961796694f + z * (0.577078016f + z * (0.412198583f + z * 0.320598898f))));
    const float main = q.high * e, rest = q.low * e + (q.high + q.low) * log2m;
    const float n = (main + rest + 12582912.0f) - 12582912.0f; /* 1.5 2^23: to the nearest whole number */
    const float r = (main - n) + rest;
    const float t = r * 0.693147181f;
    const float power = 1 + t * (1 + t * (1.0f / 2 + t * (1.0f / 6 + t * (1.0f / 24 + t * (1.0f / 120 +
                        t * (1.0f / 720 + t * (1.0f / 5040)))))));
    const int32_t whole = (int32_t)n, half = whole >> 1;
    const float scaled = power * rv_power_bits((half + 127) * (1 << 23)) * rv_power_bits((whole - half + 127) * (1 << 23));
    const float zero = q.high + q.low > 0 ? 0.0f : 1.0f;
    return x > FLT_MAX ? x : x > 0 ? scaled : zero;
}

#endif
