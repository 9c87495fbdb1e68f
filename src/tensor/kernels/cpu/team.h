/* Float32 products of matrices too large for one worker alone: blocked for the caches and
 * cut into parts, which workers of the pool that have nothing else to do take over.
 * Every element is summed in the same order whoever computes it and however many help: bits
 * depend on the shape and the instruction set only. */
#ifndef RV_TENSOR_KERNELS_CPU_TEAM_H
#define RV_TENSOR_KERNELS_CPU_TEAM_H

#include "tensor/kernels/cpu/product.h"

/* A worker in the middle of a task, and what it needs to be helped. */
typedef struct rv_team {
    rv_pool *pool; /* whose task it is; NULL: nobody helps */
    int worker;    /* the calling one */
    void *rooms;   /* [workers of the pool][RV_TEAM_ROOM] bytes, 64-byte aligned: for packing */
} rv_team;

/* Bytes of one worker's room. */
enum { RV_TEAM_ROOM = 576 << 10 };

/* What becomes of a product: c = keep base + weight product, with rows of `ld` elements in both;
 * base is c or apart from it, and is not read where keep is 0. */
typedef struct rv_sum {
    float weight, keep;
    const float *base;
    float *c;
    int64_t ld;
} rv_sum;

/* a [m, k] b [k, n] as `to` says. */
void rv_team_product(const rv_team *team, int64_t m, int64_t n, int64_t k, rv_matrix a, rv_matrix b, const rv_sum *to);

/* The same for a product that is symmetric in exact arithmetic, such as x x' or the square of a symmetric
 * matrix: half the arithmetic, for the lower triangle of c [n, n].  With `whole` base is symmetric, and
 * c is filled; otherwise what stands above the diagonal is either kept or becomes what it would be
 * with `whole`. */
void rv_team_symmetric(const rv_team *team, int64_t n, int64_t k, rv_matrix a, rv_matrix b, bool whole, const rv_sum *to);

#endif
