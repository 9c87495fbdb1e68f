/* The one map from an element of a dropout operation to its fate, shared by all
 * backends so that their masks agree bit for bit.
 *
 * Element e of node n in shard s is decided by word e % 4 of the Philox block
 *     ((s * 2^20 + n) * 2^36 + e) / 4
 * of the stream (shard seed, RV_RANDOM_DROPOUT, shard step); it is kept when the word
 * is at least rate * 2^32, and a kept element is scaled by 1 / (1 - rate).
 * What e is: dropout: the element's row-major number, or example * channels + channel;
 * attention: ((example * heads + head) * T + i) * T + j for the weight of key j in query i. */
#ifndef RV_GRAPH_DROPOUT_H
#define RV_GRAPH_DROPOUT_H

#include <math.h>

#include "graph/op.h"

static inline rv_random rv_dropout_stream(const rv_call *call)
{
    return (rv_random){call->shard.seed, RV_RANDOM_DROPOUT, call->shard.step};
}

/* The block of element 0. */
static inline uint64_t rv_dropout_first(const rv_call *call)
{
    return (((uint64_t)call->shard.shard << 20) + call->node_index) << 34;
}

/* The words of elements 4 * block .. 4 * block + 3. */
static inline void rv_dropout_words(const rv_call *call, uint64_t block, uint32_t words[4])
{
    rv_random_block(rv_dropout_stream(call), rv_dropout_first(call) + block, words);
}

/* The least word that is kept, in [0, 2^32]. */
static inline uint64_t rv_dropout_threshold(double rate)
{
    return (uint64_t)ceil(rate * 0x1p32);
}

static inline bool rv_dropout_keep(const rv_call *call, uint64_t element, uint64_t threshold)
{
    uint32_t words[4];
    rv_dropout_words(call, element / 4, words);
    return words[element % 4] >= threshold;
}

#endif
