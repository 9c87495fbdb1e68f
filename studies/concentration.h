/* A progress measure of grokking: on how few frequencies of a cyclic group a table of embeddings lives. */
#ifndef RV_STUDIES_CONCENTRATION_H
#define RV_STUDIES_CONCENTRATION_H

#include "ravine/tensor.h"

typedef enum rv_group {
    RV_GROUP_ADDITIVE,      /* row a stands at a, modulo p */
    RV_GROUP_MULTIPLICATIVE /* row g^i stands at i, modulo p - 1, g the least primitive root; row 0 is left out */
} rv_group;

/* The Gini coefficient of the Fourier powers of the first p rows of table [>= p, width] over the frequencies
 * 1 .. N / 2, N the order of the group: 0 when all are equal, 1 - 1 / count when only one is there.  A network
 * that adds by trigonometric identities (Nanda et al. 2023) has few.  p: a prime above 2.
 * NaN: all powers are zero.  RV_E_MEMORY. */
rv_status rv_concentration(const void *table, rv_dtype dtype, int p, int64_t width, rv_group group, double *gini,
                           rv_error *err);

#endif
