/* The unscrambled sequence, for tests against other implementations. */
#ifndef RV_BENCH_SAMPLER_SOBOL_H
#define RV_BENCH_SAMPLER_SOBOL_H

#include <stdint.h>

/* Coordinate dim (0-based, below 37) of point `number` of the sequence, times 2^32. */
uint32_t rv_sobol_bits(int dim, uint32_t number);

#endif
