/* Prompts and their loss.  Everything is a 5 x 5 matrix or a vector of 5, in eight lanes: what the loops below do
 * to one number they do to eight prompts. */
#include "workloads/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clones.h"

enum { D = RV_PROMPT_D, D2 = RV_PROMPT_D2, ROOM = 64 /* numbers of the stream that a point may use */ };

/* ---- drawing --------------------------------------------------------------------------- */

/* D standard normal numbers from blocks first, first + 1, ... (Box, Muller 1958, both of a pair). */
static void draw_normals(rv_random stream, uint64_t first, double *out)
{
    for (int k = 0; k < D; k += 2) {
        uint32_t word[4];
        rv_random_block(stream, first + (uint64_t)k / 2, word);
        double u = (double)(((uint64_t)word[1] << 32 | word[0]) >> 11) * 0x1p-53;
        double v = (double)(((uint64_t)word[3] << 32 | word[2]) >> 11) * 0x1p-53;
        double radius = sqrt(-2 * log(1 - u)), angle = 8 * atan(1) * v;
        out[k] = radius * cos(angle);
        if (k + 1 < D)
            out[k + 1] = radius * sin(angle);
    }
}

/* Gamma(0.1, 1): one of shape 1.1 (Marsaglia, Tsang 2000) times u^10.  Nine of ten attempts are accepted, so
 * the room of a point is never used up. */
static double draw_gamma(rv_random stream, uint64_t first)
{
    const double shape = 0.1, d = shape + 1 - 1.0 / 3, c = 1 / sqrt(9 * d);
    double boost = pow(1 - rv_random_uniform(stream, first), 1 / shape);
    for (uint64_t k = first + 1;; k += 2) {
        double x = rv_random_normal(stream, k), v = 1 + c * x;
        v = v * v * v;
        if (v > 0 && log1p(-rv_random_uniform(stream, k + 1)) < x * x / 2 + d - d * v + d * log(v))
            return boost * d * v;
    }
}

static void draw_point(rv_prompt_kind kind, rv_random stream, uint64_t first, double *x)
{
    double squares = 0, radius = 1;
    draw_normals(stream, first, x);
    if (kind == RV_PROMPT_NORMAL)
        return;
    for (int k = 0; k < D; k++)
        squares += x[k] * x[k];
    if (kind == RV_PROMPT_GAMMA)
        radius = sqrt(10 * draw_gamma(stream, first + D));
    for (int k = 0; k < D; k++)
        x[k] *= radius / sqrt(squares);
}

void rv_prompt_draw(rv_prompts *pack, int lane, rv_prompt_kind kind, int points, rv_random stream, uint64_t index,
                    double *rows)
{
    uint64_t first = index * ((uint64_t)points + 2) * ROOM;
    double gram[D2] = {0}, x[D];
    draw_normals(stream, first, x);
    for (int k = 0; k < D; k++)
        pack->task[k][lane] = x[k];
    for (int n = 0; n <= points; n++) {
        draw_point(kind, stream, first + (uint64_t)(n + 1) * ROOM, x);
        if (rows)
            memcpy(rows + n * D, x, sizeof x);
        for (int k = 0; k < D2 && n < points; k++)
            gram[k] += x[k / D] * x[k % D];
    }
    for (int k = 0; k < D2; k++)
        pack->gram[k][lane] = gram[k] / points;
    for (int k = 0; k < D; k++)
        pack->query[k][lane] = x[k];
}

rv_prompts *rv_prompts_new(int64_t count)
{
    size_t packs = (size_t)(count + RV_PROMPT_LANES - 1) / RV_PROMPT_LANES, size = packs * sizeof(rv_prompts);
    rv_prompts *prompts = aligned_alloc(sizeof(rv_lanes), size);
    return prompts ? memset(prompts, 0, size) : NULL;
}

void rv_prompts_draw(rv_prompts *packs, int64_t count, rv_prompt_kind kind, int points, rv_random stream, uint64_t first)
{
    for (int64_t i = 0; i < count; i++)
        rv_prompt_draw(&packs[i / RV_PROMPT_LANES], (int)(i % RV_PROMPT_LANES), kind, points, stream, first + (uint64_t)i, NULL);
}

#define INLINE static inline __attribute__((always_inline))

/* ---- products, with either factor transposed ------------------------------------------------ */

INLINE void product(rv_lanes *c, const rv_lanes *a, const rv_lanes *b)
{
    for (int k = 0; k < D2; k++)
        c[k] = (rv_lanes){0};
    for (int i = 0; i < D; i++)
        for (int k = 0; k < D; k++)
            for (int j = 0; j < D; j++)
                c[i * D + j] += a[i * D + k] * b[k * D + j];
}

INLINE void transpose(rv_lanes *t, const rv_lanes *a)
{
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            t[j * D + i] = a[i * D + j];
}

INLINE void product_transposed_first(rv_lanes *c, const rv_lanes *a, const rv_lanes *b)
{
    rv_lanes t[D2];
    transpose(t, a);
    product(c, t, b);
}

INLINE void product_transposed_second(rv_lanes *c, const rv_lanes *a, const rv_lanes *b)
{
    rv_lanes t[D2];
    transpose(t, b);
    product(c, a, t);
}

INLINE void apply(rv_lanes *y, const rv_lanes *a, const rv_lanes *x)
{
    for (int i = 0; i < D; i++) {
        y[i] = (rv_lanes){0};
        for (int j = 0; j < D; j++)
            y[i] += a[i * D + j] * x[j];
    }
}

INLINE void apply_transposed(rv_lanes *y, const rv_lanes *a, const rv_lanes *x)
{
    rv_lanes t[D2];
    transpose(t, a);
    apply(y, t, x);
}

INLINE void add_outer(rv_lanes *a, const rv_lanes *x, const rv_lanes *y)
{
    for (int k = 0; k < D2; k++)
        a[k] += x[k / D] * y[k % D];
}

/* ---- the model --------------------------------------------------------------------------- */

/* What the layers leave for the way back. */
typedef struct pass {
    rv_lanes t[D2], u[D];    /* at its entry */
    rv_lanes gt[D2], gu[D];  /* G T, G u */
    rv_lanes k[D2], h[D];    /* T' G T, T' G u */
    rv_lanes s[D2], qh[D];   /* Q K, Q h */
} pass;

INLINE void forward(const rv_prompts *p, const rv_lanes *w, pass *a, rv_lanes *t, rv_lanes *u)
{
    const rv_lanes *weight_p = w, *weight_q = w + D2;
    rv_lanes ts[D2], tsp[D2], tqh[D];
    memcpy(a->t, t, sizeof a->t);
    memcpy(a->u, u, sizeof a->u);
    product(a->gt, p->gram, t);
    product_transposed_first(a->k, t, a->gt);
    apply(a->gu, p->gram, u);
    apply_transposed(a->h, t, a->gu);
    product(a->s, weight_q, a->k);
    apply(a->qh, weight_q, a->h);
    product(ts, t, a->s);
    product_transposed_second(tsp, ts, weight_p);
    apply(tqh, t, a->qh);
    for (int k = 0; k < D2; k++)
        t[k] += tsp[k];
    for (int k = 0; k < D; k++)
        u[k] += tqh[k];
}

/* u' = u + T Q h, h = T' G u: from du, the derivative by u', to that by u; adds to dt and to g. */
INLINE void backward_u(const rv_prompts *p, const rv_lanes *w, const pass *a, rv_lanes *dt, rv_lanes *du, rv_lanes *g)
{
    rv_lanes te[D], dh[D], tdh[D], gtdh[D];
    apply_transposed(te, a->t, du);
    apply_transposed(dh, w + D2, te);
    apply(tdh, a->t, dh);
    apply(gtdh, p->gram, tdh);
    add_outer(dt, du, a->qh);
    add_outer(dt, a->gu, dh);
    add_outer(g + D2, te, a->h);
    for (int k = 0; k < D; k++)
        du[k] += gtdh[k];
}

/* T' = T + T S P', S = Q K, K = T' G T: likewise from dt, the derivative by the new T, to that by the old. */
INLINE void backward_t(const rv_lanes *w, const pass *a, rv_lanes *dt, rv_lanes *g)
{
    const rv_lanes *weight_p = w, *weight_q = w + D2;
    rv_lanes dp[D2], dts[D2], ds[D2], dq[D2], dk[D2], symmetric[D2], through[D2], dtt[D2];
    product_transposed_first(dtt, dt, a->t); /* D' T */
    product(dp, dtt, a->s);
    product(dts, dt, weight_p);
    product_transposed_first(ds, a->t, dts);
    product(dq, ds, a->k); /* K is symmetric */
    product_transposed_first(dk, weight_q, ds);
    transpose(symmetric, dk);
    for (int k = 0; k < D2; k++) {
        g[k] += dp[k];
        g[D2 + k] += dq[k];
        symmetric[k] += dk[k];
    }
    product(through, a->gt, symmetric);
    product_transposed_second(dtt, dts, a->s);
    for (int k = 0; k < D2; k++)
        dt[k] += through[k] + dtt[k];
}

/* error <- prediction + y of a pack; adds the gradient of error^2 to g, or g is NULL. */
INLINE void run_pack(const rv_prompts *p, const rv_lanes *w, int layers, rv_lanes *error, rv_lanes *g)
{
    pass passes[RV_PROMPT_LAYERS];
    rv_lanes t[D2], u[D], dt[D2], du[D], sum = {0};
    for (int k = 0; k < D2; k++)
        t[k] = dt[k] = (rv_lanes){0};
    for (int k = 0; k < D; k++) {
        t[k * D + k] += 1;
        u[k] = p->task[k];
    }
    for (int l = 0; l < layers; l++)
        forward(p, w + l * RV_PROMPT_LAYER, &passes[l], t, u);
    for (int k = 0; k < D; k++)
        sum += p->query[k] * u[k];
    *error = sum;
    for (int k = 0; k < D; k++)
        du[k] = 2 * sum * p->query[k];
    for (int l = layers - 1; g && l >= 0; l--) {
        const rv_lanes *weight = w + l * RV_PROMPT_LAYER;
        if (l < layers - 1) /* the last T is not used */
            backward_t(weight, &passes[l], dt, g + l * RV_PROMPT_LAYER);
        backward_u(p, weight, &passes[l], dt, du, g + l * RV_PROMPT_LAYER);
    }
}

RV_CLONES static void run_packs(const rv_prompts *packs, int64_t count, const rv_lanes *w, int layers, rv_lanes *squares, rv_lanes *g)
{
    for (int64_t i = 0; i < count; i++) {
        rv_lanes error;
        run_pack(&packs[i], w, layers, &error, g);
        *squares += error * error;
    }
}

static double sum_of_lanes(const rv_lanes *x)
{
    double sum = 0;
    for (int lane = 0; lane < RV_PROMPT_LANES; lane++)
        sum += (*x)[lane];
    return sum;
}

double rv_prompts_loss(const rv_prompts *packs, int64_t count, const double *w, int layers, double *g)
{
    rv_lanes weights[RV_PROMPT_LAYERS * RV_PROMPT_LAYER], sums[RV_PROMPT_LAYERS * RV_PROMPT_LAYER], squares = {0};
    for (int k = 0; k < RV_PROMPT_LAYERS * RV_PROMPT_LAYER; k++) {
        weights[k] = (rv_lanes){0} + (k < layers * RV_PROMPT_LAYER ? w[k] : 0);
        sums[k] = (rv_lanes){0};
    }
    run_packs(packs, (count + RV_PROMPT_LANES - 1) / RV_PROMPT_LANES, weights, layers, &squares, g ? sums : NULL);
    for (int k = 0; g && k < layers * RV_PROMPT_LAYER; k++)
        g[k] = sum_of_lanes(&sums[k]) / (double)count;
    return sum_of_lanes(&squares) / (double)count;
}
