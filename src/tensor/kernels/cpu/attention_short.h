/* Attention of one head over at most four queries and keys: their weights are one vector,
 * lane SIDE * query + key, and an operand's rows are read once.  Included by attention.c alone. */
#ifndef RV_TENSOR_KERNELS_CPU_ATTENTION_SHORT_H
#define RV_TENSOR_KERNELS_CPU_ATTENTION_SHORT_H

#include "tensor/kernels/cpu/attention.h"
#include "tensor/kernels/cpu/vec.h"

enum { SIDE = RV_ATTENTION_SHORT };

#if defined(__AVX512F__)

#if defined(__clang__)
#define SHORT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SHORT_UNROLL _Pragma("GCC unroll 16")
#endif

RV_INLINE bool is_short(const rv_attention_head *head)
{
    return head->time <= SIDE && !head->mask && !head->bent;
}

/* Lane i of the result is the sum over the lanes of v[i], by halves; v is spoilt. */
RV_INLINE vf sums_of_lanes(vf v[RV_LANES])
{
    SHORT_UNROLL for (int i = 0; i < 8; i++)
        v[i] = __builtin_shufflevector(v[i], v[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               __builtin_shufflevector(v[i], v[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    SHORT_UNROLL for (int i = 0; i < 4; i++)
        v[i] = __builtin_shufflevector(v[i], v[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
               __builtin_shufflevector(v[i], v[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    SHORT_UNROLL for (int i = 0; i < 2; i++)
        v[i] = __builtin_shufflevector(v[i], v[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
               __builtin_shufflevector(v[i], v[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    return __builtin_shufflevector(v[0], v[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
           __builtin_shufflevector(v[0], v[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
}

/* The other lanes of a query, one and two further. */
RV_INLINE vf next_key(vf v)
{
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

RV_INLINE vf next_pair(vf v)
{
    return __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

/* In every lane the sum over the keys of its query. */
RV_INLINE vf sum_of_keys(vf v)
{
    v += next_key(v);
    return v + next_pair(v);
}

/* Lanes whose query sees their key. */
RV_INLINE vi seen(int time, bool causal)
{
    static const int32_t query[RV_LANES] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    static const int32_t key[RV_LANES] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    vi q, k;
    memcpy(&q, query, sizeof q);
    memcpy(&k, key, sizeof k);
    return (k < vi_set1(time)) & (causal ? k <= q : vi_set1(-1));
}

/* The products of all rows of a with all rows of b, [time, size] each. */
RV_INLINE vf short_products(int time, int64_t size, const float *a, int64_t lda, const float *b, int64_t ldb)
{
    vf sum[RV_LANES];
    SHORT_UNROLL for (int l = 0; l < RV_LANES; l++)
        sum[l] = vf_zero();
    RV_EACH_VECTOR((size_t)size, d, n, {
        vf row[SIDE];
        SHORT_UNROLL for (int j = 0; j < time; j++)
            row[j] = vf_load_n(b + j * ldb + d, n);
        SHORT_UNROLL for (int i = 0; i < time; i++) {
            const vf x = vf_load_n(a + i * lda + d, n);
            SHORT_UNROLL for (int j = 0; j < time; j++)
                sum[SIDE * i + j] += x * row[j];
        }
    });
    return sums_of_lanes(sum);
}

/* c [time, size] (+)= w b, w in the order of lanes (turned: its transpose). */
RV_INLINE void short_mix(int time, int64_t size, const float *w, bool turned, const float *b, int64_t ldb, bool add,
                         float *c, int64_t ldc)
{
    RV_EACH_VECTOR((size_t)size, d, n, {
        vf row[SIDE];
        SHORT_UNROLL for (int j = 0; j < time; j++)
            row[j] = vf_load_n(b + j * ldb + d, n);
        SHORT_UNROLL for (int i = 0; i < time; i++) {
            vf sum = add ? vf_load_n(c + i * ldc + d, n) : vf_zero();
            SHORT_UNROLL for (int j = 0; j < time; j++)
                sum += vf_set1(w[turned ? SIDE * j + i : SIDE * i + j]) * row[j];
            vf_store_n(c + i * ldc + d, sum, n);
        }
    });
}

RV_INLINE void short_forward_of(int time, const rv_attention_head *h, float *y, int64_t ld_y)
{
    const vi mask = seen(time, h->causal);
    const vf low = vf_set1(-__builtin_inff());
    const vf s = vf_select(mask, short_products(time, h->size, h->q, h->ld_qk, h->k, h->ld_qk), low);
    vf top = vf_max(s, next_key(s));
    top = vf_max(top, next_pair(top));
    const vf e = vf_select(mask, vf_exp((s - top) * vf_set1(h->scale)), vf_zero());
    vf_store(h->p, e / sum_of_keys(e));
    short_mix(time, h->size, h->p, false, h->v, h->ld_v, false, y, ld_y);
}

RV_INLINE void short_backward_of(int time, const rv_attention_head *h, const rv_attention_gradient *g)
{
    const vf p = vf_load(h->p), gp = short_products(time, h->size, g->gy, g->ld_gy, h->v, h->ld_v);
    const vf seen_gp = vf_select(seen(time, h->causal), gp, vf_zero());
    float gs[RV_LANES];
    vf_store(gs, p * (seen_gp - sum_of_keys(p * seen_gp)) * vf_set1(h->scale));
    short_mix(time, h->size, h->p, true, g->gy, g->ld_gy, g->add_v, g->gv, g->ld_gv);
    short_mix(time, h->size, gs, false, h->k, h->ld_qk, g->add_qk, g->gq, g->ld_gqk);
    short_mix(time, h->size, gs, true, h->q, h->ld_qk, g->add_qk, g->gk, g->ld_gqk);
}

static void short_forward(const rv_attention_head *head, float *y, int64_t ld_y)
{
    switch (head->time) {
    case 1: short_forward_of(1, head, y, ld_y); break;
    case 2: short_forward_of(2, head, y, ld_y); break;
    case 3: short_forward_of(3, head, y, ld_y); break;
    case 4: short_forward_of(4, head, y, ld_y); break;
    }
}

static void short_backward(const rv_attention_head *head, const rv_attention_gradient *gradient)
{
    switch (head->time) {
    case 1: short_backward_of(1, head, gradient); break;
    case 2: short_backward_of(2, head, gradient); break;
    case 3: short_backward_of(3, head, gradient); break;
    case 4: short_backward_of(4, head, gradient); break;
    }
}

#else

static inline bool is_short(const rv_attention_head *head)
{
    (void)head;
    return false;
}

static inline void short_forward(const rv_attention_head *head, float *y, int64_t ld_y)
{
    (void)head, (void)y, (void)ld_y;
}

static inline void short_backward(const rv_attention_head *head, const rv_attention_gradient *gradient)
{
    (void)head, (void)gradient;
}

#endif

#endif
