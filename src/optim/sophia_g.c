/* Sophia-G: momentum over a running estimate of the diagonal of the Gauss-Newton matrix, cut to
 * one element by element.
 *     every hessian_every steps: h <- beta2 h + (1 - beta2) e^2
 *     w <- w (1 - lr weight_decay);  m <- beta1 m + (1 - beta1) g
 *     w <- w - lr sign(m) min(|m|/(rho bs h + eps), 1)
 * e: estimate_scale times the gradient of the step (the empirical Fisher's estimate, whose labels are
 * the data's) or one with labels drawn from the model (Gauss-Newton-Bartlett).
 * Reference: Liuhong99/Sophia sophia.py a7e15722.  Deviations: see below. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct sophia_args {
    double lr, keep, beta1, rest1, beta2, rest2, scale, weight, eps;
} sophia_args;

enum { SLOT_M, SLOT_H };

#define RV_KERNEL_FILE "optim/sophia_g.c"
#include "optim/kernel.h"

#define SOPHIA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    RV_HP_LR(REAL, 1e-4)                                                                        \
    RV_HP_BETA1(REAL, 0.965)                                                                    \
    REAL(beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of estimates of the curvature") \
    REAL(rho, 0.04, 0, HUGE_VAL, RV_HP_FREE, "factor on the curvature; less clips more")        \
    REAL(bs, 5120, 0, HUGE_VAL, RV_HP_FREE, "examples (tokens) in a batch, whose mean the gradient is") \
    RV_HP_EPS(REAL, 1e-15, "added to the denominator")                                          \
    RV_HP_DECOUPLED(REAL, 0.1)                                                                  \
    INT(hessian_every, 10, 1, 1e15, 0, "steps between estimates of the curvature")              \
    CHOICE(refresh, "before|after", "before", "estimates are taken before the first step of so many, or after the last") \
    CHOICE(estimate, "gradient|sampled", "gradient", "of the step's own gradient, or of labels drawn from the model") \
    REAL(estimate_scale, 1, 0, HUGE_VAL, RV_HP_FREE, "factor on the gradient that is squared as the estimate")
RV_PARAM_STRUCT(sophia_params, SOPHIA_PARAMS);
RV_PARAM_TABLE(sophia_table, "sophia_g", sophia_params, SOPHIA_PARAMS);
enum { BEFORE, AFTER };
enum { GRADIENT, SAMPLED };

static rv_status refresh(const rv_run *run, const sophia_args *args)
{
    double total[RV_MAX_SUMS];
    rv_run other = *run;
    if (((const sophia_params *)run->params)->estimate == SAMPLED)
        RV_TRY(rv_run_probe(run, RV_PROBE_SAMPLED, false, &other.g));
    return rv_run_sum(&other, RV_KERNEL_OF(sophia_estimate), args, total, NULL);
}

static rv_status step(const rv_run *run)
{
    const sophia_params *p = run->params;
    const sophia_args args = {.lr = run->lr,
                              .keep = 1 - run->lr * p->weight_decay,
                              .beta1 = p->beta1,
                              .rest1 = 1 - p->beta1,
                              .beta2 = p->beta2,
                              .rest2 = 1 - p->beta2,
                              .scale = p->estimate_scale,
                              .weight = p->rho * p->bs,
                              .eps = p->eps};
    if (p->refresh == BEFORE && (run->step - 1) % p->hessian_every == 0)
        RV_TRY(refresh(run, &args));
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(sophia), &args));
    if (p->refresh == AFTER && run->step % p->hessian_every == 0)
        return refresh(run, &args);
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"h", rv_slot_like, false}};

const rv_method rv_method_sophia_g = {
    .info = {.name = "sophia_g",
             .version = 1,
             .title = "Sophia-G, clipped steps over a diagonal Gauss-Newton estimate",
             .equations = "before steps 1, 1 + hessian_every, ..., or after steps hessian_every, 2 hessian_every, ...: "
                          "h <- beta2 h + (1 - beta2) (estimate_scale e)^2\n"
                          "e: the gradient of the step (estimate gradient, the empirical Fisher), or of the mean loss "
                          "with labels drawn from the model's output (estimate sampled, Gauss-Newton-Bartlett)\n"
                          "w <- w (1 - lr weight_decay);  m <- beta1 m + (1 - beta1) g\n"
                          "w <- w - lr sign(m) min(|m|/(rho bs h + eps), 1)",
             .paper = "Liu, Li, Hall, Liang & Ma 2023, Sophia: a scalable stochastic second-order optimizer for language "
                      "model pre-training, algorithm 3",
             .reference = "Liuhong99/Sophia a7e15722 sophia.py",
             .deviations = "by default the estimate is the paper's empirical Fisher, which costs nothing; sampled is the "
                           "authors' and needs a closure (rv_optimizer_step_closure).  By default h is refreshed before "
                           "the step, as in the trajectory it is proved against; the authors' training loop does it after "
                           "the step (refresh after)",
             .params = &sophia_table,
             .state = "m, h: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step,
    .probes = true,
};

#else

/* h takes in an estimate, made of the gradient in t->g. */
RV_TILE_FUNCTION(sophia_estimate, sophia_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, scale = (RV_REAL)a->scale;
    RV_REAL *h = t->s[SLOT_H];
    RV_EACH (i, t->n) {
        const RV_REAL e = scale * t->g[i];
        h[i] = beta2 * h[i] + rest2 * e * e;
    }
}
#define RV_KERNEL sophia_estimate
#define RV_KERNEL_ARGS sophia_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(sophia, sophia_args)
{
    const RV_REAL lr = (RV_REAL)a->lr, keep = (RV_REAL)a->keep, eps = (RV_REAL)a->eps;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1, weight = (RV_REAL)a->weight;
    RV_REAL *m = t->s[SLOT_M];
    const RV_REAL *h = t->s[SLOT_H];
    RV_EACH (i, t->n) {
        m[i] = beta1 * m[i] + rest1 * t->g[i];
        const RV_REAL size = RV_MATH(fabs)(m[i]), below = weight * h[i] + eps;
        const RV_REAL step = size < below ? size / below : 1; /* sign(0) below makes 0/0 a still weight */
        t->out[i] = keep * t->w[i] - lr * (RV_FN(rv_sign)(m[i]) * step);
    }
}
#define RV_KERNEL sophia
#define RV_KERNEL_ARGS sophia_args
#include "optim/kernel_loop.h"

#endif
