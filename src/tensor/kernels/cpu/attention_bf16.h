/* Attention of one head with its five products in bf16, each operand in the order that its
 * product reads: by rows, or by pairs of rows.  Included by attention.c alone, after strips
 * and softmax; scores and their gradients are float32 in between. */
#ifndef RV_TENSOR_KERNELS_CPU_ATTENTION_BF16_H
#define RV_TENSOR_KERNELS_CPU_ATTENTION_BF16_H

/* The work of a head: pairs of rows of v or k, then what a strip needs. */
typedef struct desk {
    uint32_t *long_pairs;        /* [time / 2, size] */
    float *turned;               /* [size / 2, STRIP] pairs: a strip of q or gy, its transpose */
    float *scores, *mask;        /* [time, STRIP] */
    uint16_t *rows, *dropped;    /* [time, STRIP]: gradients of scores; weights under the mask */
    uint32_t *pairs;             /* [time / 2, STRIP]: of weights or of gradients of scores */
    uint16_t *gy;                /* [STRIP, size] */
    uint32_t *gy_pairs, *q_pairs; /* [STRIP / 2, size] */
} desk;

static desk desk_at(const rv_attention_bf16 *h)
{
    const int64_t half = (h->time + 15) / 16 * 8, strip_half = STRIP / 2;
    float *at = h->work;
    desk d;
    d.long_pairs = (uint32_t *)at, at += half * h->size;
    d.turned = at, at += strip_half * h->size;
    d.gy = (uint16_t *)at, at += strip_half * h->size;
    d.gy_pairs = (uint32_t *)at, at += strip_half * h->size;
    d.q_pairs = (uint32_t *)at, at += strip_half * h->size;
    d.scores = at, at += h->time * STRIP;
    d.mask = at, at += h->time * STRIP;
    d.pairs = (uint32_t *)at, at += half * STRIP;
    d.rows = (uint16_t *)at, at += half * STRIP;
    d.dropped = (uint16_t *)at;
    return d;
}

/* The transpose of count rows, by pairs; zeros stand in for what the strip lacks. */
static void turn_pairs(int64_t count, int64_t size, const uint16_t *rows, int64_t ld, float *turned)
{
    if (count < STRIP)
        memset(turned, 0, (size_t)(size / 2 * STRIP) * sizeof *turned);
    GEMM.transpose(count, size / 2, (const float *)(const void *)rows, ld / 2, turned, STRIP);
}

/* The strip's part of the mask to [key, STRIP]; NULL: there is none. */
static const float *turn_mask(const rv_attention_bf16 *h, strip s, float *to)
{
    if (!h->mask)
        return NULL;
    if (s.count < STRIP)
        memset(to, 0, (size_t)(s.keys * STRIP) * sizeof *to);
    GEMM.transpose(s.count, s.keys, h->mask + s.first * h->time, h->time, to, STRIP);
    return to;
}

/* w [keys] of one vector of queries, STRIP apart, in bf16: as they are to p, times the mask by pairs. */
static void keep_weights(const rv_attention_bf16 *h, int64_t keys, const float *w, const float *mask, uint16_t *p,
                         uint32_t *pairs)
{
    const int64_t ld = rv_attention_ld(h->time);
    for (int64_t j = 0; j < keys; j += 2, pairs += STRIP) {
        vf v[2] = {vf_zero(), vf_zero()};
        for (int64_t i = 0; i < 2 && j + i < keys; i++) {
            v[i] = vf_load(w + (j + i) * STRIP);
            vf_store_bf16(p + (j + i) * ld, v[i]);
            if (mask)
                v[i] *= vf_load(mask + (j + i) * STRIP);
        }
        vi_store_n((int32_t *)pairs, vf_bf16_pairs(v[0], v[1]), RV_LANES);
    }
}

static void forward_bf16(const rv_attention_bf16 *h, float *y, int64_t ld_y)
{
    const desk d = desk_at(h);
    GEMM.pair_rows(h->time, h->size, h->v, h->ld, d.long_pairs);
    for (int64_t first = 0; first < h->time; first += STRIP) {
        const strip s = strip_at(h->time, h->causal, first);
        const float *mask = turn_mask(h, s, d.mask);
        turn_pairs(s.count, h->size, h->q + first * h->ld, h->ld, d.turned);
        GEMM.product_bf16(s.keys, whole(s), h->size / 2, h->k, h->ld / 2, 1, d.turned, STRIP, false, d.scores, STRIP);
        for (int64_t i = 0; i < s.count; i += RV_LANES) {
            softmax(d.scores + i, STRIP, s.keys, h->scale, h->causal, first + i);
            keep_weights(h, s.keys, d.scores + i, mask ? mask + i : NULL, h->p + first + i, d.pairs + i);
        }
        GEMM.product_bf16(s.count, h->size, (s.keys + 1) / 2, d.pairs, 1, STRIP, d.long_pairs, h->size, false,
                          y + first * ld_y, ld_y);
    }
}

/* For one vector of queries: d.scores holds the gradient of the weights under the mask; that of the
 * scores goes to d.rows and d.pairs, and the weights under the mask to d.dropped where there is one. */
static void scores_gradient(const rv_attention_bf16 *h, strip s, const desk *d, const float *mask, int64_t i)
{
    const int64_t ld = rv_attention_ld(h->time);
    const uint16_t *p = h->p + s.first + i;
    const vf scale = vf_set1(h->scale);
    vf mean = vf_zero();
    for (int64_t j = 0; j < s.keys; j++) {
        vf g = vf_load(d->scores + j * STRIP + i), w = vf_load_bf16(p + j * ld);
        if (mask) {
            const vf m = vf_load(mask + j * STRIP + i);
            vf_store_bf16(d->dropped + j * STRIP + i, w * m);
            vf_store(d->scores + j * STRIP + i, g *= m);
        }
        mean += w * g;
    }
    for (int64_t j = 0; j < s.keys; j += 2) {
        vf g[2] = {vf_zero(), vf_zero()};
        for (int64_t k = 0; k < 2 && j + k < s.keys; k++) {
            g[k] = vf_load_bf16(p + (j + k) * ld) * (vf_load(d->scores + (j + k) * STRIP + i) - mean) * scale;
            vf_store_bf16(d->rows + (j + k) * STRIP + i, g[k]);
        }
        vi_store_n((int32_t *)d->pairs + j / 2 * STRIP + i, vf_bf16_pairs(g[0], g[1]), RV_LANES);
    }
}

static void round_rows(int64_t count, int64_t size, const float *x, int64_t ld, uint16_t *y)
{
    for (int64_t r = 0; r < count; r++)
        RV_EACH_VECTOR((size_t)size, j, n, vf_store_bf16_n(y + r * size + (int64_t)j, vf_load_n(x + r * ld + (int64_t)j, n), n));
}

static void backward_bf16(const rv_attention_bf16 *h, const rv_attention_gradient *g)
{
    const desk d = desk_at(h);
    const int64_t strips = (h->time + STRIP - 1) / STRIP, size = h->size;
    GEMM.pair_rows(h->time, size, h->k, h->ld, d.long_pairs);
    for (int64_t n = strips - 1; n >= 0; n--) { /* the last strip sees all keys, so it may overwrite */
        const strip s = strip_at(h->time, h->causal, n * STRIP);
        const bool later = n < strips - 1;
        const float *mask = turn_mask(h, s, d.mask);
        round_rows(s.count, size, g->gy + s.first * g->ld_gy, g->ld_gy, d.gy);
        turn_pairs(s.count, size, d.gy, size, d.turned);
        GEMM.pair_rows(s.count, size, d.gy, size, d.gy_pairs);
        GEMM.pair_rows(s.count, size, h->q + s.first * h->ld, h->ld, d.q_pairs);
        GEMM.product_bf16(s.keys, whole(s), size / 2, h->v, h->ld / 2, 1, d.turned, STRIP, false, d.scores, STRIP);
        for (int64_t i = 0; i < s.count; i += RV_LANES)
            scores_gradient(h, s, &d, mask, i);
        GEMM.product_bf16(s.keys, size, (s.count + 1) / 2, mask ? d.dropped : h->p + s.first,
                          mask ? STRIP / 2 : rv_attention_ld(h->time) / 2, 1, d.gy_pairs, size, later || g->add_v, g->gv,
                          g->ld_gv);
        GEMM.product_bf16(s.count, size, (s.keys + 1) / 2, d.pairs, 1, STRIP, d.long_pairs, size, g->add_qk,
                          g->gq + s.first * g->ld_gqk, g->ld_gqk);
        GEMM.product_bf16(s.keys, size, (s.count + 1) / 2, d.rows, STRIP / 2, 1, d.q_pairs, size, later || g->add_qk, g->gk,
                          g->ld_gqk);
    }
}

#endif
