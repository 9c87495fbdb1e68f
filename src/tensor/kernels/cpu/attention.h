/* Attention of one head, forward and backward.
 *
 * Weights stand transposed, [key, query]: queries lie in lanes, so softmax and its
 * gradient need no sum across lanes, and no operand but a block of queries is ever
 * transposed.  Queries are taken a strip at a time; a causal strip ends at its own
 * last key. */
#ifndef RV_TENSOR_KERNELS_CPU_ATTENTION_H
#define RV_TENSOR_KERNELS_CPU_ATTENTION_H

#include "tensor/kernels/cpu/cpu.h"

typedef struct rv_attention_head {
    int64_t time, size;
    bool causal;
    float scale; /* of the scores */
    float cap;   /* scores <- cap tanh(scores / cap); 0: none */
    const float *q, *k; /* [time, size], as they enter the scores; rows ld_qk apart */
    int64_t ld_qk;
    const float *v; /* [time, size], rows ld_v apart */
    int64_t ld_v;
    float *p;          /* [key, query]: weights before dropout; forward writes, backward reads */
    float *bent;       /* [key, query]: tanh(scores / cap), likewise; NULL without cap */
    int64_t ld_p;      /* rv_attention_ld(time), of both; what lies beyond time means nothing */
    const float *mask; /* [query, key]: what dropout multiplies the weights with; NULL: nothing */
    float *work;       /* of rv_attention_work floats */
} rv_attention_head;

/* Rows of weights are whole vectors: lanes beyond the last query compute and store what
 * nobody reads. */
static inline int64_t rv_attention_ld(int64_t time)
{
    return (time + 15) / 16 * 16;
}

/* Floats of head.work. */
static inline int64_t rv_attention_work(int64_t time, int64_t size)
{
    return 32 * (size + 2 * time); /* a strip has at most 32 queries */
}

/* From so few queries on that products in bf16 are no gain. */
enum { RV_ATTENTION_SHORT = 4 };

typedef struct rv_attention_gradient {
    const float *gy; /* [time, size], rows ld_gy apart */
    int64_t ld_gy;
    float *gq, *gk; /* [time, size], rows ld_gqk apart */
    int64_t ld_gqk;
    bool add_qk;
    float *gv; /* [time, size], rows ld_gv apart */
    int64_t ld_gv;
    bool add_v;
} rv_attention_gradient;

/* How queries and keys enter the scores: RMS norm, then rotation of the pairs
 * (i, i + size / 2). */
typedef struct rv_attention_entry {
    int64_t time, size;
    float eps;              /* of the norm; negative: no norm */
    const float *cos, *sin; /* [time, size / 2]; NULL: no rotation */
} rv_attention_entry;

/* One head with products in bf16: no soft cap, an even size, rows of an even number of elements. */
typedef struct rv_attention_bf16 {
    int64_t time, size;
    bool causal;
    float scale;
    const uint16_t *q, *k, *v; /* [time, size], rows ld apart */
    int64_t ld;
    uint16_t *p;       /* [key, query], rows rv_attention_ld(time): weights before dropout; forward writes */
    const float *mask; /* as above */
    float *work;       /* of rv_attention_bf16_work floats */
} rv_attention_bf16;

/* Floats of the work of a head. */
static inline int64_t rv_attention_bf16_work(int64_t time, int64_t size)
{
    const int64_t half = (time + 15) / 16 * 8;
    return half * size + 32 * (2 * size + 2 * time + 3 * half);
}

struct rv_cpu_attention {
    void (*forward)(const rv_attention_head *head, float *y, int64_t ld_y);
    void (*backward)(const rv_attention_head *head, const rv_attention_gradient *gradient);
    /* NULL: the instruction set has no products in bf16. */
    void (*forward_bf16)(const rv_attention_bf16 *head, float *y, int64_t ld_y);
    void (*backward_bf16)(const rv_attention_bf16 *head, const rv_attention_gradient *gradient);
    /* out [time, size] from raw, rows ld apart; factor [time] receives the norm's. */
    void (*enter)(const rv_attention_entry *entry, const float *raw, int64_t ld, float *out, float *factor);
    /* graw (+)= the gradient of raw from g [time, size], that of out, which is spoilt. */
    void (*leave)(const rv_attention_entry *entry, const float *raw, int64_t ld, const float *factor, float *g,
                  bool add, float *graw);
};

#endif
