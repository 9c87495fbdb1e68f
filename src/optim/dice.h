/* State in bf16: bits in and out, and the dice of stochastic rounding.  Invariant: what is drawn
 * is a pure function of seed, step and the position of the element in the state. */
#ifndef RV_OPTIM_DICE_H
#define RV_OPTIM_DICE_H

#include <stdint.h>
#include <string.h>

#include "ravine/core.h"

enum { RV_DICE = 128 }; /* drawn at a time */

/* Philox4x32-10 of rv_random_block, purpose RV_RANDOM_OPTIMIZER, for sixteen indices beside each
 * other so that it vectorises; dice [RV_DICE] are the halves of word 0 of all of them, then of
 * word 1, and so on. */
static inline __attribute__((always_inline)) void rv_dice_roll(uint64_t seed, uint64_t step, uint64_t index,
                                                               uint16_t *dice)
{
    enum { N = RV_DICE / 8 };
    uint32_t c[4][N], key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < N; i++) {
        const uint64_t at = index + (uint64_t)i;
        c[0][i] = (uint32_t)at;
        c[1][i] = (uint32_t)(at >> 32);
        c[2][i] = (uint32_t)step;
        c[3][i] = (uint32_t)(step >> 32) | (uint32_t)RV_RANDOM_OPTIMIZER << 24;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < N; i++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i], p1 = (uint64_t)0xCD9E8D57u * c[2][i];
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ key0;
            c[1][i] = (uint32_t)p1;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ key1;
            c[3][i] = (uint32_t)p0;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    memcpy(dice, c, sizeof c);
}

static inline float rv_bf16_open(uint16_t from)
{
    const uint32_t bits = (uint32_t)from << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Away from zero with the probability that makes the mean x; die is uniform in 16 bits.  What is
 * finite stays so. */
static inline uint16_t rv_bf16_close(float x, uint16_t die)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t up = (bits + die) >> 16;
    return (uint16_t)((up & 0x7F80u) == 0x7F80u ? bits >> 16 : up);
}

#endif
