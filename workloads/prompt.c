/* Prompts and their error.  Everything is a 5 x 5 matrix or a vector of 5, so plain loops over constants. */
#include "workloads/prompt.h"

#include <math.h>
#include <string.h>

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
        double radius = sqrt(-2 * log1p(-u)), angle = 8 * atan(1) * v;
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

void rv_prompt_draw(rv_prompt *p, rv_prompt_kind kind, int points, rv_random stream, uint64_t index, double *rows)
{
    uint64_t at = index * ((uint64_t)points + 2) * ROOM;
    draw_normals(stream, at, p->task);
    memset(p->gram, 0, sizeof p->gram);
    for (int n = 0; n <= points; n++) {
        double x[D];
        draw_point(kind, stream, at + (uint64_t)(n + 1) * ROOM, x);
        if (rows)
            memcpy(rows + n * D, x, sizeof x);
        if (n == points)
            memcpy(p->query, x, sizeof x);
        for (int k = 0; k < D2 && n < points; k++)
            p->gram[k] += x[k / D] * x[k % D] / points;
    }
}

/* ---- products, with either factor transposed ------------------------------------------------ */

static void product(double *c, const double *a, const double *b)
{
    memset(c, 0, D2 * sizeof *c);
    for (int i = 0; i < D; i++)
        for (int k = 0; k < D; k++)
            for (int j = 0; j < D; j++)
                c[i * D + j] += a[i * D + k] * b[k * D + j];
}

static void transpose(double *t, const double *a)
{
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++)
            t[j * D + i] = a[i * D + j];
}

static void product_transposed_first(double *c, const double *a, const double *b)
{
    double t[D2];
    transpose(t, a);
    product(c, t, b);
}

static void product_transposed_second(double *c, const double *a, const double *b)
{
    double t[D2];
    transpose(t, b);
    product(c, a, t);
}

static void apply(double *y, const double *a, const double *x)
{
    for (int i = 0; i < D; i++) {
        y[i] = 0;
        for (int j = 0; j < D; j++)
            y[i] += a[i * D + j] * x[j];
    }
}

static void apply_transposed(double *y, const double *a, const double *x)
{
    double t[D2];
    transpose(t, a);
    apply(y, t, x);
}

static void add_outer(double *a, double scale, const double *x, const double *y)
{
    for (int k = 0; k < D2; k++)
        a[k] += scale * x[k / D] * y[k % D];
}

/* ---- the model --------------------------------------------------------------------------- */

/* What the layers leave for the way back. */
typedef struct pass {
    double t[D2], u[D];    /* at its entry */
    double gt[D2], gu[D];  /* G T, G u */
    double k[D2], h[D];    /* T' G T, T' G u */
    double s[D2], qh[D];   /* Q K, Q h */
} pass;

static void forward(const rv_prompt *p, const double *w, pass *a, double *t, double *u)
{
    const double *weight_p = w, *weight_q = w + D2;
    double ts[D2], tsp[D2], tqh[D];
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
static void backward_u(const rv_prompt *p, const double *w, const pass *a, double scale, double *dt, double *du, double *g)
{
    double te[D], dh[D], tdh[D], gtdh[D];
    apply_transposed(te, a->t, du);
    apply_transposed(dh, w + D2, te);
    apply(tdh, a->t, dh);
    apply(gtdh, p->gram, tdh);
    add_outer(dt, 1, du, a->qh);
    add_outer(dt, 1, a->gu, dh);
    add_outer(g + D2, scale, te, a->h);
    for (int k = 0; k < D; k++)
        du[k] += gtdh[k];
}

/* T' = T + T S P', S = Q K, K = T' G T: likewise from dt, the derivative by the new T, to that by the old. */
static void backward_t(const double *w, const pass *a, double scale, double *dt, double *g)
{
    const double *weight_p = w, *weight_q = w + D2;
    double dp[D2], dts[D2], ds[D2], dq[D2], dk[D2], symmetric[D2], through[D2], dtt[D2];
    product_transposed_first(dtt, dt, a->t); /* D' T */
    product(dp, dtt, a->s);
    product(dts, dt, weight_p);
    product_transposed_first(ds, a->t, dts);
    product(dq, ds, a->k); /* K is symmetric */
    product_transposed_first(dk, weight_q, ds);
    transpose(symmetric, dk);
    for (int k = 0; k < D2; k++) {
        g[k] += scale * dp[k];
        g[D2 + k] += scale * dq[k];
        symmetric[k] += dk[k];
    }
    product(through, a->gt, symmetric);
    product_transposed_second(dtt, dts, a->s);
    for (int k = 0; k < D2; k++)
        dt[k] += through[k] + dtt[k];
}

double rv_prompt_error(const rv_prompt *p, const double *w, int layers, double scale, double *g)
{
    pass passes[RV_PROMPT_LAYERS];
    double t[D2] = {0}, u[D], dt[D2] = {0}, du[D], error = 0;
    for (int k = 0; k < D; k++) {
        t[k * D + k] = 1;
        u[k] = p->task[k];
    }
    for (int l = 0; l < layers; l++)
        forward(p, w + l * RV_PROMPT_LAYER, &passes[l], t, u);
    for (int k = 0; k < D; k++)
        error += p->query[k] * u[k];
    for (int k = 0; k < D; k++)
        du[k] = 2 * error * p->query[k];
    for (int l = layers - 1; g && l >= 0; l--) {
        double *of_layer = g + l * RV_PROMPT_LAYER;
        if (l < layers - 1) /* the last T is not used */
            backward_t(w + l * RV_PROMPT_LAYER, &passes[l], scale, dt, of_layer);
        backward_u(p, w + l * RV_PROMPT_LAYER, &passes[l], scale, dt, du, of_layer);
    }
    return error;
}
