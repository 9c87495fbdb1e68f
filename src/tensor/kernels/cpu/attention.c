/* Attention of one head over the register tiles of gemm.c; of a few queries, whose
 * weights fit in one vector, without. */
#include "tensor/kernels/cpu/attention.h"

#include "tensor/kernels/cpu/attention_short.h"

#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/vec.h"

#define GEMM RV_CPU_TABLE(gemm)
extern const struct rv_cpu_gemm GEMM;

enum { STRIP = 2 * RV_LANES }; /* queries */

/* Queries first .. first + count - 1, which see the keys 0 .. keys - 1 at most. */
typedef struct strip {
    int64_t first, count, keys;
} strip;

static strip strip_at(int64_t time, bool causal, int64_t first)
{
    int64_t left = time - first, count = left < STRIP ? left : STRIP;
    return (strip){first, count, causal ? first + count : time};
}

/* The mask of lanes whose query, counted from `query`, does not see `key`. */
RV_INLINE vi hidden(int64_t query, int64_t key)
{
    return vi_first(key - query);
}

/* ---- forward ---- */

/* Softmax down the keys of one vector of queries: s holds scores and receives weights. */
static void softmax(float *s, int64_t ld, int64_t keys, float scale, bool causal, int64_t query)
{
    const vf low = vf_set1(-__builtin_inff()), factor = vf_set1(scale);
    const int64_t open = causal && query + 1 < keys ? query + 1 : keys; /* keys that every lane sees */
    vf top = low, sum = vf_zero();
    for (int64_t j = 0; j < open; j++)
        top = vf_max(vf_load(s + j * ld), top);
    for (int64_t j = open; j < keys; j++)
        top = vf_max(vf_select(hidden(query, j), low, vf_load(s + j * ld)), top);
    for (int64_t j = 0; j < keys; j++) {
        vf e = vf_exp((vf_load(s + j * ld) - top) * factor);
        if (j >= open)
            e = vf_select(hidden(query, j), vf_zero(), e);
        sum += e;
        vf_store(s + j * ld, e);
    }
    sum = vf_set1(1) / sum;
    for (int64_t j = 0; j < keys; j++)
        vf_store(s + j * ld, vf_load(s + j * ld) * sum);
}

/* Scores become their tanh, kept in bent: the softmax's factor is then the cap. */
static void bend(const rv_attention_head *head, int64_t keys, float *p, float *bent)
{
    const vf factor = vf_set1(head->scale / head->cap);
    for (int64_t j = 0; j < keys; j++) {
        vf b = vf_tanh(vf_load(p + j * head->ld_p) * factor);
        vf_store(bent + j * head->ld_p, b);
        vf_store(p + j * head->ld_p, b);
    }
}

/* Scores of a strip to weights, in place. */
static void weigh(const rv_attention_head *head, strip s)
{
    for (int64_t i = s.first; i < s.first + s.count; i += RV_LANES) {
        if (head->bent)
            bend(head, s.keys, head->p + i, head->bent + i);
        softmax(head->p + i, head->ld_p, s.keys, head->bent ? head->cap : head->scale, head->causal, i);
    }
}

/* Columns of whole vectors that hold the strip's queries. */
static int64_t whole(strip s)
{
    return (s.count + RV_LANES - 1) / RV_LANES * RV_LANES;
}

/* What the products with v take: the weights of a strip, or without harm to them their
 * product with the mask of dropout, [key, STRIP] in to. */
static const float *drop(const rv_attention_head *head, strip s, float *to, int64_t *ld)
{
    const float *p = head->p + s.first;
    *ld = head->ld_p;
    if (!head->mask)
        return p;
    *ld = STRIP;
    GEMM.transpose(s.count, s.keys, head->mask + s.first * head->time, head->time, to, STRIP);
    for (int64_t j = 0; j < s.keys; j++)
        for (int64_t i = 0; i < whole(s); i += RV_LANES)
            vf_store(to + j * STRIP + i, vf_load(to + j * STRIP + i) * vf_load(p + j * head->ld_p + i));
    return to;
}

static void forward(const rv_attention_head *head, float *y, int64_t ld_y)
{
    if (is_short(head)) {
        short_forward(head, y, ld_y);
        return;
    }
    float *turned = head->work, *dropped = turned + head->size * STRIP;
    for (int64_t first = 0; first < head->time; first += STRIP) {
        const strip s = strip_at(head->time, head->causal, first);
        int64_t ld;
        GEMM.transpose(s.count, head->size, head->q + first * head->ld_qk, head->ld_qk, turned, STRIP);
        GEMM.product(s.keys, whole(s), head->size, head->k, head->ld_qk, 1, turned, STRIP, false, head->p + first,
                     head->ld_p);
        weigh(head, s);
        const float *w = drop(head, s, dropped, &ld);
        GEMM.product(s.count, head->size, s.keys, w, 1, ld, head->v, head->ld_v, false, y + first * ld_y, ld_y);
    }
}

/* ---- backward ---- */

/* gp [key, STRIP] holds the gradient of the weights under the mask and receives that of
 * the scores, at the vector i of the strip; dropped: as `drop` returned it, p times the mask. */
static void softmax_gradient(const rv_attention_head *head, strip s, int64_t i, const float *dropped,
                             int64_t ld_dropped, float *gp)
{
    const float *p = head->p + s.first + i, *bent = head->bent ? head->bent + s.first + i : NULL;
    const vf scale = vf_set1(head->scale);
    vf mean = vf_zero();
    dropped += i;
    gp += i;
    for (int64_t j = 0; j < s.keys; j++)
        mean += vf_load(dropped + j * ld_dropped) * vf_load(gp + j * STRIP);
    for (int64_t j = 0; j < s.keys; j++) {
        vf g = vf_load(dropped + j * ld_dropped) * vf_load(gp + j * STRIP) - vf_load(p + j * head->ld_p) * mean;
        g *= scale;
        if (bent) {
            vf b = vf_load(bent + j * head->ld_p);
            g *= vf_set1(1) - b * b;
        }
        vf_store(gp + j * STRIP, g);
    }
}

static void backward(const rv_attention_head *head, const rv_attention_gradient *g)
{
    if (is_short(head)) {
        short_backward(head, g);
        return;
    }
    float *turned = head->work, *gp = turned + head->size * STRIP, *dropped = gp + head->time * STRIP;
    const int64_t strips = (head->time + STRIP - 1) / STRIP, size = head->size;
    for (int64_t n = strips - 1; n >= 0; n--) { /* the last strip sees all keys, so it may overwrite */
        const strip s = strip_at(head->time, head->causal, n * STRIP);
        const bool later = n < strips - 1;
        const float *gy = g->gy + s.first * g->ld_gy;
        int64_t ld;
        const float *w = drop(head, s, dropped, &ld);
        GEMM.transpose(s.count, size, gy, g->ld_gy, turned, STRIP);
        GEMM.product(s.keys, whole(s), size, head->v, head->ld_v, 1, turned, STRIP, false, gp, STRIP);
        GEMM.product(s.keys, size, s.count, w, ld, 1, gy, g->ld_gy, later || g->add_v, g->gv, g->ld_gv);
        for (int64_t i = 0; i < s.count; i += RV_LANES)
            softmax_gradient(head, s, i, w, ld, gp);
        GEMM.product(s.count, size, s.keys, gp, 1, STRIP, head->k, head->ld_qk, g->add_qk,
                     g->gq + s.first * g->ld_gqk, g->ld_gqk);
        GEMM.product(s.keys, size, s.count, gp, STRIP, 1, head->q + s.first * head->ld_qk, head->ld_qk,
                     later || g->add_qk, g->gk, g->ld_gqk);
    }
}

#if defined(__AVX512BF16__)
#include "tensor/kernels/cpu/attention_bf16.h"
#endif

/* ---- queries and keys ---- */

static float dot(const float *a, const float *b, int64_t n)
{
    vf sum = vf_zero();
    for (int64_t i = 0; i < n; i += RV_LANES) {
        size_t m = n - i < RV_LANES ? (size_t)(n - i) : RV_LANES;
        sum += vf_load_n(a + i, m) * vf_load_n(b + i, m);
    }
    return vf_sum(sum);
}

/* out = factor x, its pairs rotated by the angles of (cos, sign sin); out may be x. */
static void turn(const float *x, float factor, const float *cosine, const float *sine, float sign, int64_t size,
                 float *out)
{
    const int64_t half = cosine ? size / 2 : size;
    const vf f = vf_set1(factor);
    for (int64_t i = 0; i < half; i += RV_LANES) {
        size_t m = half - i < RV_LANES ? (size_t)(half - i) : RV_LANES;
        vf a = vf_load_n(x + i, m) * f;
        if (cosine) {
            vf b = vf_load_n(x + half + i, m) * f;
            vf c = vf_load_n(cosine + i, m), s = vf_load_n(sine + i, m) * vf_set1(sign);
            vf_store_n(out + half + i, b * c + a * s, m);
            a = a * c - b * s;
        }
        vf_store_n(out + i, a, m);
    }
}

static void enter(const rv_attention_entry *e, const float *raw, int64_t ld, float *out, float *factor)
{
    for (int64_t t = 0; t < e->time; t++) {
        const float *x = raw + t * ld;
        const int64_t at = t * (e->size / 2);
        factor[t] = e->eps < 0 ? 1 : 1 / __builtin_sqrtf(dot(x, x, e->size) / (float)e->size + e->eps);
        turn(x, factor[t], e->cos ? e->cos + at : NULL, e->sin ? e->sin + at : NULL, 1, e->size, out + t * e->size);
    }
}

static void leave(const rv_attention_entry *e, const float *raw, int64_t ld, const float *factor, float *g, bool add,
                  float *graw)
{
    for (int64_t t = 0; t < e->time; t++, g += e->size) {
        const float *x = raw + t * ld;
        float *to = graw + t * ld;
        const int64_t at = t * (e->size / 2);
        turn(g, factor[t], e->cos ? e->cos + at : NULL, e->sin ? e->sin + at : NULL, -1, e->size, g);
        /* g is factor times the gradient; its part along x vanishes under the norm. */
        const float along = e->eps < 0 ? 0 : factor[t] * factor[t] * dot(g, x, e->size) / (float)e->size;
        for (int64_t i = 0; i < e->size; i += RV_LANES) {
            size_t m = e->size - i < RV_LANES ? (size_t)(e->size - i) : RV_LANES;
            vf v = vf_load_n(g + i, m) - vf_set1(along) * vf_load_n(x + i, m);
            vf_store_n(to + i, add ? vf_load_n(to + i, m) + v : v, m);
        }
    }
}

const struct rv_cpu_attention RV_CPU_TABLE(attention) = {
    .forward = forward,
    .backward = backward,
#if defined(__AVX512BF16__)
    .forward_bf16 = forward_bf16,
    .backward_bf16 = backward_bf16,
#endif
    .enter = enter,
    .leave = leave,
};
