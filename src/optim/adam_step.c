/* The step of adam, adamw, c_adamw and nadamw: one kernel, whose forms differ in numbers that are
 * computed once per step.  Invariant: a form that is off costs no pass over memory.
 *     g <- g + l2 w;  m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *     u = m, or beta1 m + (1 - beta1) g;  caution: u masked and scaled
 *     w <- keep w - rate u / (sqrt(v) root + eps) */
#ifndef RV_REAL

#include "optim/adam.h"
#include "optim/caution.h"

typedef struct adam_args {
    rv_moments moments;
    double keep, l2, lift;
    double own, look;                     /* u = own m + look g */
    const double (*scales)[RV_MAX_SUMS];  /* of the cautious mask, per tensor; NULL: none */
} adam_args;

#define RV_KERNEL_FILE "optim/adam_step.c"
#include "optim/kernel.h"

rv_status rv_adam_step(const rv_run *run, const rv_adam_form *form)
{
    adam_args args = {.moments = form->moments,
                      .keep = form->keep,
                      .l2 = form->l2,
                      .lift = form->lift,
                      .own = form->nesterov ? form->moments.beta1 : 1,
                      .look = form->nesterov ? form->moments.rest1 : 0};
    if (form->caution != RV_CAUTION_OFF) {
        double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
        RV_TRY(rv_run_sum(run, RV_KERNEL_OF(adam_aligned), &args, total, each));
        rv_caution_scales(run, each, form->caution, RV_CAUTION_FLOOR, 0);
        args.scales = (const double (*)[RV_MAX_SUMS])each;
    }
    return rv_run_map(run, RV_KERNEL_OF(adam), &args);
}

rv_status rv_adam_check(const char *method, bool corrected_max, int eps_place, rv_error *err)
{
    if (corrected_max && eps_place == RV_EPS_BEFORE)
        return rv_fail(err, RV_E_ARGUMENT, "%s: amsgrad_max corrected needs eps_place after, found before", method);
    return RV_OK;
}

#else

#include "optim/moments_real.h"

/* Counts the elements whose update would point along the gradient. */
RV_TILE_FUNCTION(adam_aligned, adam_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL own = (RV_REAL)a->own, look = (RV_REAL)a->look, l2 = (RV_REAL)a->l2;
    const RV_REAL *m = t->s[RV_ADAM_M];
    RV_REAL_INT count = 0;
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        const RV_REAL u = own * (c.beta1 * m[i] + c.rest1 * g) + look * g;
        count += u * g > 0 ? 1 : 0;
    }
    t->sum[0][0] += (double)count;
}
#define RV_KERNEL adam_aligned
#define RV_KERNEL_ARGS adam_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(adam, adam_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL keep = (RV_REAL)a->keep, l2 = (RV_REAL)a->l2, lift = (RV_REAL)a->lift;
    const RV_REAL own = (RV_REAL)a->own, look = (RV_REAL)a->look;
    RV_REAL *m = t->s[RV_ADAM_M], *v = t->s[RV_ADAM_V], *most = t->s[RV_ADAM_V_MAX];
    RV_REAL u[RV_TILE];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        RV_FN(moments_add)(&c, &m[i], &v[i], g);
        u[i] = own * m[i] + look * g;
    }
    if (most) {
        RV_EACH (i, t->n)
            most[i] = most[i] > lift * v[i] ? most[i] : lift * v[i];
        v = most;
    }
    if (a->scales) {
        const RV_REAL scale = (RV_REAL)a->scales[t->tensor][0];
        RV_EACH (i, t->n)
            u[i] *= u[i] * (t->g[i] + l2 * t->w[i]) > 0 ? scale : 0;
    }
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - c.rate * u[i] / (RV_MATH(sqrt)(v[i]) * c.root + c.eps);
}
#define RV_KERNEL adam
#define RV_KERNEL_ARGS adam_args
#include "optim/kernel_loop.h"

#endif
