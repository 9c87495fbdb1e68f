/* The generator and the two draws of numpy's RandomState that AlgoPerf's sampler uses.
 * Only that sampler: everything else here draws from Philox. */
#ifndef RV_BENCH_MT19937_H
#define RV_BENCH_MT19937_H

#include <stdint.h>

typedef struct rv_mt19937 {
    uint32_t state[624];
    int next; /* word of state that is drawn next; 624: all are used up */
} rv_mt19937;

/* As numpy.random.RandomState(seed) for an integer seed. */
void rv_mt19937_seed(rv_mt19937 *mt, uint32_t seed);
uint32_t rv_mt19937_u32(rv_mt19937 *mt);
/* RandomState.random_sample(): [0, 1), 53 bits. */
double rv_mt19937_uniform(rv_mt19937 *mt);
/* RandomState.shuffle() of a list of n integers. */
void rv_mt19937_shuffle(rv_mt19937 *mt, int *values, int n);

#endif
