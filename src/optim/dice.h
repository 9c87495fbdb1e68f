/* State in bf16: bits in and out, and the dice of stochastic rounding.  Invariant: what is drawn
 * is a pure function of seed, step and the position of the element in the state. */
#ifndef RV_OPTIM_DICE_H
#define RV_OPTIM_DICE_H

#include <stdint.h>
#include <string.h>

#include "ravine/core.h"

enum { RV_DICE = 128 }; /* elements whose dice are rolled at a time */

/* Of a block of elements: two words of Philox at (seed, step, position of the block). */
typedef struct rv_dice_key {
    uint32_t start, stir;
} rv_dice_key;

/* Two dice of 16 bits, the halves of dice[i], for each of the elements index to index + n.  A Philox of
 * its own for every element costs more than the step; here it says where a counter starts that is
 * mixed by the multiplications and shifts of lowbias32 (Wellons 2018), with a second word in between. */
static inline __attribute__((always_inline)) void rv_dice_roll(rv_dice_key key, uint32_t index, int n, uint32_t *dice)
{
    for (int i = 0; i < n; i++) {
        uint32_t x = key.start + index + (uint32_t)i;
        x = (x ^ x >> 16) * 0x7feb352du;
        x = (x ^ x >> 15 ^ key.stir) * 0x846ca68bu;
        dice[i] = x ^ x >> 16;
    }
}

static inline __attribute__((always_inline)) float rv_bf16_open(uint16_t from)
{
    const uint32_t bits = (uint32_t)from << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Away from zero with the probability that makes the mean x; die is uniform in 16 bits.  What is
 * finite stays so. */
static inline __attribute__((always_inline)) uint32_t rv_bf16_close(float x, uint32_t die)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t up = bits + die;
    return ((up & 0x7F800000u) == 0x7F800000u ? bits : up) >> 16;
}

#endif
