/* Philox4x32-10, a block to a lane: the words that rv_random_block gives, bit for bit. */
#ifndef RV_TENSOR_KERNELS_CPU_PHILOX_H
#define RV_TENSOR_KERNELS_CPU_PHILOX_H

#include "ravine/core.h"
#include "tensor/kernels/cpu/vec.h"

typedef uint32_t vu __attribute__((vector_size(4 * RV_LANES)));

RV_INLINE vu vu_set1(uint32_t x)
{
    return (vu)vi_set1((int32_t)x);
}

/* The high and low halves of the 64-bit products a m. */
RV_INLINE void vu_multiply(vu a, uint32_t m, vu *high, vu *low)
{
#if defined(__AVX512F__)
    /* Products of the even and of the odd lanes; shuffles run beside multiplications. */
    const __m512i b = _mm512_set1_epi32((int32_t)m);
    const __m512i even = _mm512_mul_epu32((__m512i)a, b);
    const __m512i odd = _mm512_mul_epu32(_mm512_shuffle_epi32((__m512i)a, (_MM_PERM_ENUM)0xf5), b);
    *high = (vu)_mm512_mask_shuffle_epi32(odd, 0x5555, even, (_MM_PERM_ENUM)0xf5);
    *low = (vu)_mm512_mask_shuffle_epi32(even, 0xaaaa, odd, (_MM_PERM_ENUM)0xa0);
#else
    /* Schoolbook with 16-bit halves: every instruction set multiplies 32 x 32 -> 32. */
    const vu a0 = a & vu_set1(0xffff), a1 = a >> 16, m0 = vu_set1(m & 0xffff), m1 = vu_set1(m >> 16);
    const vu middle = a1 * m0 + ((a0 * m0) >> 16);
    const vu carry = a0 * m1 + (middle & vu_set1(0xffff));
    *high = a1 * m1 + (middle >> 16) + (carry >> 16);
    *low = a * vu_set1(m);
#endif
}

/* a[0] b[0] a[1] b[1] ... of the lower and the upper halves. */
#if defined(__AVX512F__)
#define VU_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define VU_ZIP_HIGH(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif defined(__AVX2__)
#define VU_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define VU_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define VU_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define VU_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* Blocks index .. index + RV_LANES - 1 (index a multiple of RV_LANES) of the stream, in
 * the order of memory: words[0] holds the four words of the first RV_LANES / 4 blocks. */
RV_INLINE void vu_philox(rv_random stream, uint64_t index, vu words[4])
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vu lane;
    memcpy(&lane, numbers, sizeof lane);
    vu key0 = vu_set1((uint32_t)stream.seed), key1 = vu_set1((uint32_t)(stream.seed >> 32));
    vu c0 = vu_set1((uint32_t)index) + lane, c1 = vu_set1((uint32_t)(index >> 32));
    vu c2 = vu_set1((uint32_t)stream.step);
    vu c3 = vu_set1((uint32_t)(stream.step >> 32) | (uint32_t)stream.purpose << 24);
    for (int round = 0; round < 10; round++) {
        vu high0, low0, high1, low1;
        vu_multiply(c0, 0xD2511F53u, &high0, &low0);
        vu_multiply(c2, 0xCD9E8D57u, &high1, &low1);
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += vu_set1(0x9E3779B9u);
        key1 += vu_set1(0xBB67AE85u);
    }
    const vu even_low = VU_ZIP_LOW(c0, c2), even_high = VU_ZIP_HIGH(c0, c2);
    const vu odd_low = VU_ZIP_LOW(c1, c3), odd_high = VU_ZIP_HIGH(c1, c3);
    words[0] = VU_ZIP_LOW(even_low, odd_low);
    words[1] = VU_ZIP_HIGH(even_low, odd_low);
    words[2] = VU_ZIP_LOW(even_high, odd_high);
    words[3] = VU_ZIP_HIGH(even_high, odd_high);
}

#endif
