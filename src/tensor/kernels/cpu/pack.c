/* Rounding and reordering of weights, one block after the other: a pair of bf16 moves as
 * one element of 32 bits. */
#include "tensor/kernels/cpu/pack.h"

#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/vec.h"

enum { PAIRS = RV_PACK_DEPTH / 2 };

extern const struct rv_cpu_gemm RV_CPU_TABLE(gemm);

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A row of pairs: elements of row p in the lower halves, of p + 1 (second) in the upper. */
static void interleave(int64_t n, const float *first, const float *second, int64_t block, uint16_t *to)
{
    for (int64_t j = 0; j < block; j += RV_LANES) {
        const size_t k = (size_t)(n <= j ? 0 : least(n - j, RV_LANES));
        const vi pair = vf_bf16_pairs(first ? vf_load_n(first + j, k) : vf_zero(),
                                      second ? vf_load_n(second + j, k) : vf_zero());
        memcpy(to + 2 * j, &pair, sizeof pair);
    }
}

static void straight(int64_t k, int64_t n, const float *w, int64_t block, int64_t stride, uint16_t *to)
{
    for (int64_t j = 0; j < n; j += block, to += stride)
        for (int64_t p = 0; p < k; p += RV_PACK_DEPTH)
            for (int64_t q = 0; q < RV_PACK_DEPTH; q += 2) {
                const float *row = w + (p + q) * n + j;
                interleave(n - j, p + q < k ? row : NULL, p + q + 1 < k ? row + n : NULL, block,
                           to + p * block + q * block);
            }
}

/* The first k elements of a row, RV_PACK_DEPTH with zeros, as PAIRS pairs. */
static void round_row(int64_t k, const float *row, uint16_t *to)
{
    for (int64_t p = 0; p < RV_PACK_DEPTH; p += RV_LANES)
        vf_store_bf16(to + p, vf_load_n(row + p, (size_t)(k <= p ? 0 : least(k - p, RV_LANES))));
}

static void turned(int64_t k, int64_t n, const float *w, int64_t block, int64_t stride, uint16_t *to)
{
    union { /* [block][PAIRS] */
        uint16_t halves[RV_PACK_WIDEST][RV_PACK_DEPTH];
        float pairs[RV_PACK_WIDEST][PAIRS];
    } rounded;
    for (int64_t j = 0; j < n; j += block, to += stride)
        for (int64_t p = 0; p < k; p += RV_PACK_DEPTH) {
            for (int64_t i = 0; i < block; i++)
                if (j + i < n)
                    round_row(k - p, w + (j + i) * k + p, rounded.halves[i]);
                else
                    memset(rounded.halves[i], 0, sizeof rounded.halves[i]);
            RV_CPU_TABLE(gemm).transpose(block, PAIRS, rounded.pairs[0], PAIRS, (float *)(void *)(to + p * block), block);
        }
}

const struct rv_cpu_pack RV_CPU_TABLE(pack) = {.straight = straight, .turned = turned};
