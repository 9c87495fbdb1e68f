/* State in bf16: bits in and out, and the dice of stochastic rounding.  Invariant: what is drawn
 * is a pure function of seed, step and the position of the element in the state. */
#ifndef RV_OPTIM_DICE_H
#define RV_OPTIM_DICE_H

#include <stdint.h>
#include <string.h>

#include "ravine/core.h"

/* Which of two neighbours the halves of a word in memory are. */
enum { RV_BF16_UPPER = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, RV_BF16_LOWER = 1 - RV_BF16_UPPER };

/* Of a slot in a block of elements: two words of Philox at (seed, step, position of the block). */
typedef struct rv_dice_key {
    uint32_t start, stir;
} rv_dice_key;

/* Two dice of 16 bits, the halves of a word, for the elements 2 pair and 2 pair + 1.  A Philox of its
 * own for every pair costs more than the step; here it says where a counter starts that is
 * mixed by the multiplications and shifts of lowbias32 (Wellons 2018), with a second word in between. */
static inline __attribute__((always_inline)) uint32_t rv_dice_roll(rv_dice_key key, uint32_t pair)
{
    uint32_t x = key.start + pair;
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15 ^ key.stir) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* The number whose upper half is a bf16 and whose lower half is zero. */
static inline __attribute__((always_inline)) float rv_bf16_open(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Bits whose upper half is the bf16: away from zero with the probability that makes the mean x; die is
 * uniform in 16 bits.  What is finite stays so. */
static inline __attribute__((always_inline)) uint32_t rv_bf16_close(float x, uint32_t die)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t up = bits + die;
    return (up & 0x7F800000u) == 0x7F800000u ? bits : up;
}

#endif
