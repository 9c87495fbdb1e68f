/* Philox4x32-10 (Salmon et al., SC 2011) and the distributions drawn from it.
 * Invariant: every number is a pure function of (seed, purpose, step, index). */
#include <assert.h>
#include <math.h>

#include "ravine/core.h"

enum { PHILOX_ROUNDS = 10 };

/* Constants of section 3.3 of the paper: two multipliers and two Weyl increments. */
static const uint32_t philox_m[2] = {0xD2511F53u, 0xCD9E8D57u};
static const uint32_t philox_w[2] = {0x9E3779B9u, 0xBB67AE85u};

void rv_random_block(rv_random stream, uint64_t index, uint32_t out[4])
{
    assert(stream.step >> 56 == 0);
    uint32_t key[2] = {(uint32_t)stream.seed, (uint32_t)(stream.seed >> 32)};
    uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream.step,
                     (uint32_t)(stream.step >> 32) | (uint32_t)stream.purpose << 24};
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)philox_m[0] * c[0];
        uint64_t p1 = (uint64_t)philox_m[1] * c[2];
        uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ key[0], (uint32_t)p1,
                            (uint32_t)(p0 >> 32) ^ c[3] ^ key[1], (uint32_t)p0};
        for (int i = 0; i < 4; i++)
            c[i] = next[i];
        key[0] += philox_w[0];
        key[1] += philox_w[1];
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

uint32_t rv_random_u32(rv_random stream, uint64_t index)
{
    uint32_t word[4];
    rv_random_block(stream, index, word);
    return word[0];
}

static uint64_t pair(uint32_t lo, uint32_t hi)
{
    return (uint64_t)hi << 32 | lo;
}

static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

double rv_random_uniform(rv_random stream, uint64_t index)
{
    uint32_t word[4];
    rv_random_block(stream, index, word);
    return unit(pair(word[0], word[1]));
}

double rv_random_normal(rv_random stream, uint64_t index)
{
    uint32_t word[4];
    rv_random_block(stream, index, word);
    double radius = sqrt(-2.0 * log1p(-unit(pair(word[0], word[1]))));
    return radius * cos(6.283185307179586 * unit(pair(word[2], word[3])));
}

uint64_t rv_random_below(rv_random stream, uint64_t index, uint64_t n)
{
    assert(n >= 1);
    uint32_t word[4];
    rv_random_block(stream, index, word);
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)pair(word[0], word[1]) * n >> 64);
}

void rv_random_permutation(rv_random stream, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        uint32_t j = (uint32_t)rv_random_below(stream, i, (uint64_t)i + 1);
        uint32_t swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
}
