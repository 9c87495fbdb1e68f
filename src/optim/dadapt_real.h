/* The kernels of the D-Adaptation family (dadapt.c), in the current float type. */

RV_TILE_FUNCTION(dadagrad_measure, dadapt_args)
{
    const RV_REAL rate = (RV_REAL)a->e, coupled = (RV_REAL)a->coupled, eps = (RV_REAL)a->eps;
    RV_REAL *v = t->s[0], *s = t->s[1];
    RV_REAL grad[RV_TILE], over[RV_TILE], part[RV_TILE];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + coupled * t->w[i];
        v[i] += g * g;
        s[i] += rate * g;
        const RV_REAL root = RV_MATH(sqrt)((RV_REAL)1e-6 + v[i]) + eps;
        grad[i] = g;
        over[i] = g / root;
        part[i] = s[i] / root;
    }
    RV_FN(rv_dot)(grad, over, t->n, t->sum[0]);
    RV_FN(rv_dot)(s, part, t->n, t->sum[1]);
    RV_FN(rv_absolute)(s, t->n, t->sum[2]);
}
#define RV_KERNEL dadagrad_measure
#define RV_KERNEL_ARGS dadapt_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadagrad, dadapt_args)
{
    const RV_REAL momentum = (RV_REAL)a->momentum, rest = (RV_REAL)a->rest, eps = (RV_REAL)a->eps;
    RV_REAL *v = t->s[0], *s = t->s[1], *x0 = t->s[2];
    RV_EACH (i, t->n) {
        const RV_REAL root = RV_MATH(sqrt)((RV_REAL)1e-6 + v[i]) + eps;
        t->out[i] = momentum * t->w[i] + rest * (x0[i] - s[i] / root);
    }
}
#define RV_KERNEL dadagrad
#define RV_KERNEL_ARGS dadapt_args
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadam_measure, dadapt_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, q = (RV_REAL)a->q, eps = (RV_REAL)a->eps;
    const RV_REAL push1 = (RV_REAL)a->push1, rest2 = (RV_REAL)a->rest2, push = (RV_REAL)a->push;
    const RV_REAL coupled = (RV_REAL)a->coupled;
    RV_REAL *m = t->s[0], *v = t->s[1], *s = t->s[2];
    RV_REAL way[RV_TILE], grad[RV_TILE];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + coupled * t->w[i];
        grad[i] = g;
        way[i] = s[i] / (RV_MATH(sqrt)(v[i]) + eps);
        m[i] = beta1 * m[i] + push1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
        s[i] = q * s[i] + push * g;
    }
    RV_FN(rv_dot)(grad, way, t->n, t->sum[0]);
    RV_FN(rv_absolute)(s, t->n, t->sum[1]);
}
#define RV_KERNEL dadam_measure
#define RV_KERNEL_ARGS dadapt_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadam, dadapt_args)
{
    const RV_REAL eps = (RV_REAL)a->eps, decay = (RV_REAL)a->decay;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - decay * t->w[i] - m[i] / (RV_MATH(sqrt)(v[i]) + eps);
}
#define RV_KERNEL dadam
#define RV_KERNEL_ARGS dadapt_args
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadan_measure, dadapt_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, beta3 = (RV_REAL)a->q;
    const RV_REAL push1 = (RV_REAL)a->push1, push2 = (RV_REAL)a->push2, push3 = (RV_REAL)a->push;
    const RV_REAL rest3 = (RV_REAL)a->rest, eps = (RV_REAL)a->eps, before = (RV_REAL)a->before;
    RV_REAL *m = t->s[0], *n = t->s[1], *v = t->s[2], *s = t->s[3], *last = t->s[4];
    RV_REAL over[RV_TILE], part[RV_TILE];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], h = before * (g - last[i]), u = g + beta2 * h;
        last[i] = g;
        m[i] = beta1 * m[i] + push1 * g;
        n[i] = beta2 * n[i] + push2 * h;
        v[i] = beta3 * v[i] + rest3 * u * u;
        s[i] = beta3 * s[i] + push3 * g;
        const RV_REAL root = RV_MATH(sqrt)(v[i]) + eps;
        over[i] = g / root;
        part[i] = s[i] / root;
    }
    RV_FN(rv_dot)(t->g, over, t->n, t->sum[0]);
    RV_FN(rv_dot)(s, part, t->n, t->sum[1]);
    RV_FN(rv_absolute)(s, t->n, t->sum[2]);
}
#define RV_KERNEL dadan_measure
#define RV_KERNEL_ARGS dadapt_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dadan, dadapt_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, eps = (RV_REAL)a->eps;
    const RV_REAL keep = (RV_REAL)a->keep, shrink = (RV_REAL)a->shrink;
    RV_REAL *m = t->s[0], *n = t->s[1], *v = t->s[2];
    RV_EACH (i, t->n)
        t->out[i] = (keep * t->w[i] - (m[i] + beta2 * n[i]) / (RV_MATH(sqrt)(v[i]) + eps)) / shrink;
}
#define RV_KERNEL dadan
#define RV_KERNEL_ARGS dadapt_args
#include "optim/kernel_loop.h"

/* The whole step of Lion but for d, which acts in the next one. */
RV_TILE_FUNCTION(dlion, dadapt_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->e, q = (RV_REAL)a->q, push = (RV_REAL)a->push;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL beta2 = (RV_REAL)a->beta2, push2 = (RV_REAL)a->push2;
    RV_REAL *m = t->s[0], *s = t->s[1], u[RV_TILE];
    RV_EACH (i, t->n) {
        const RV_REAL c = beta1 * m[i] + rest1 * t->g[i];
        u[i] = (RV_REAL)((c > 0) - (c < 0));
        t->out[i] = keep * t->w[i] - rate * u[i];
        m[i] = beta2 * m[i] + push2 * t->g[i];
    }
    RV_FN(rv_dot)(u, s, t->n, t->sum[0]);
    RV_EACH (i, t->n)
        s[i] = q * s[i] + push * u[i];
    RV_FN(rv_absolute)(s, t->n, t->sum[1]);
}
#define RV_KERNEL dlion
#define RV_KERNEL_ARGS dadapt_args
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dsgd_measure, dadapt_args)
{
    const RV_REAL rate = (RV_REAL)a->e, coupled = (RV_REAL)a->coupled;
    RV_REAL *s = t->s[0], grad[RV_TILE];
    RV_EACH (i, t->n)
        grad[i] = t->g[i] + coupled * t->w[i];
    RV_FN(rv_dot)(grad, s, t->n, t->sum[0]);
    RV_EACH (i, t->n)
        s[i] += rate * grad[i];
    RV_FN(rv_dot)(s, s, t->n, t->sum[1]);
}
#define RV_KERNEL dsgd_measure
#define RV_KERNEL_ARGS dadapt_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dsgd, dadapt_args)
{
    const RV_REAL momentum = (RV_REAL)a->momentum, rest = (RV_REAL)a->rest;
    RV_REAL *s = t->s[0], *x0 = t->s[1];
    RV_EACH (i, t->n)
        t->out[i] = momentum * t->w[i] + rest * (x0[i] - s[i]);
}
#define RV_KERNEL dsgd
#define RV_KERNEL_ARGS dadapt_args
#include "optim/kernel_loop.h"
