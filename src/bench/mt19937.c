/* MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998) with the seeding of 2002, and
 * numpy's legacy draws.  Invariant: bit for bit what numpy.random.RandomState gives; numpy
 * keeps that stream frozen (NEP 19). */
#include "bench/mt19937.h"

enum { WORDS = 624, SHIFT = 397 };

void rv_mt19937_seed(rv_mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++)
        mt->state[i] = 1812433253u * (mt->state[i - 1] ^ mt->state[i - 1] >> 30) + i;
    mt->next = WORDS;
}

static void refill(rv_mt19937 *mt)
{
    for (int i = 0; i < WORDS; i++) {
        uint32_t y = (mt->state[i] & 0x80000000u) | (mt->state[(i + 1) % WORDS] & 0x7fffffffu);
        mt->state[i] = mt->state[(i + SHIFT) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    mt->next = 0;
}

uint32_t rv_mt19937_u32(rv_mt19937 *mt)
{
    if (mt->next == WORDS)
        refill(mt);
    uint32_t y = mt->state[mt->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

double rv_mt19937_uniform(rv_mt19937 *mt)
{
    uint32_t high = rv_mt19937_u32(mt) >> 5, low = rv_mt19937_u32(mt) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

/* Uniform in [0, most]: draws under the next mask of ones are refused until one fits. */
static uint32_t at_most(rv_mt19937 *mt, uint32_t most)
{
    uint32_t mask = most, value;
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        value = rv_mt19937_u32(mt) & mask;
    while (value > most);
    return value;
}

void rv_mt19937_shuffle(rv_mt19937 *mt, int *values, int n)
{
    for (int i = n - 1; i > 0; i--) {
        uint32_t j = at_most(mt, (uint32_t)i);
        int swap = values[i];
        values[i] = values[j];
        values[j] = swap;
    }
}
