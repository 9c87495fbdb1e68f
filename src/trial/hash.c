/* Multiply and rotate, a word at a time.  Invariant: each step is a bijection of the
 * running value, so a difference of one word cannot be lost on the way. */
#include <string.h>

#include "trial/hash.h"

static const uint64_t odd = 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * odd;
    return hash << 29 | hash >> 35;
}

uint64_t rv_hash(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    hash = mix(hash, n);
    for (; n >= 8; at += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = mix(hash, word);
    }
    uint64_t tail = 0;
    if (n > 0)
        memcpy(&tail, at, n);
    hash = mix(hash, tail);
    return hash ^ hash >> 32;
}
