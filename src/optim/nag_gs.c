/* NAG-GS: Nesterov's accelerated gradient flow, integrated semi-implicitly in the order of
 * Gauss and Seidel.
 *     v <- (gamma v + lr mu w - lr g)/(lr mu + gamma)
 *     gamma <- (lr mu + gamma)/(1 + lr);  w <- w + lr/(1 + lr) (v - w)
 * Reference: skolai/nag-gs nag_gs_pytorch.py 095235e1, nag_gs_jax.py.  The PyTorch
 * class drops the new gamma, so that it is NAG4; we keep it, as the JAX one does. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct nag_gs_args {
    double of_v, of_w, of_g; /* v <- of_v v + of_w w - of_g g */
    double pull;             /* w <- w + pull (v - w) */
} nag_gs_args;

#define RV_KERNEL_FILE "optim/nag_gs.c"
#include "optim/kernel.h"

#define NAG_GS_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_HP_FREE, "length of a step in time (alpha)")                   \
    REAL(mu, 1, 0, HUGE_VAL, RV_HP_FREE, "friction; of the size of the curvature")                \
    REAL(gamma, 1, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "inertia at the start; it tends to mu") \
    BOOL(fixed_gamma, false, "gamma stays (NAG4)")                                                \
    CHOICE(form, "torch|jax", "torch", "jax: the first step leaves v, and so the weights, alone")
RV_PARAM_STRUCT(nag_gs_params, NAG_GS_PARAMS);
RV_PARAM_TABLE(nag_gs_table, "nag_gs", nag_gs_params, NAG_GS_PARAMS);
enum { TORCH, JAX };

static rv_status step(const rv_run *run)
{
    const nag_gs_params *p = run->params;
    const double gamma = run->step == 1 ? p->gamma : run->scalars[0];
    const double friction = run->lr * p->mu, norm = friction + gamma;
    nag_gs_args args = {.of_v = gamma / norm,
                        .of_w = friction / norm,
                        .of_g = run->lr / norm,
                        .pull = run->lr / (1 + run->lr)};
    if (p->form == JAX && run->step == 1) {
        args.of_v = 1;
        args.of_w = args.of_g = 0;
    }
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(nag_gs), &args));
    run->scalars[0] = p->fixed_gamma ? gamma : norm / (1 + run->lr);
    return RV_OK;
}

static const rv_slot slots[] = {{"v", rv_slot_like, true}};
static const char *const scalars[] = {"gamma"};

const rv_method rv_method_nag_gs = {
    .info = {.name = "nag_gs",
             .version = 1,
             .title = "NAG-GS, semi-implicit accelerated gradient flow",
             .equations = "v <- (gamma v + lr mu w - lr g)/(lr mu + gamma), v starts as the weights\n"
                          "gamma <- (lr mu + gamma)/(1 + lr), unless fixed_gamma\n"
                          "w <- w + lr/(1 + lr) (v - w)\n"
                          "form jax: v stays in the first step",
             .paper = "Leplat, Merkulov, Katrutsa, Bershatsky & Oseledets 2022, NAG-GS: semi-implicit, accelerated and "
                      "robust stochastic optimizer, algorithm 1",
             .reference = "skolai/nag-gs 095235e1 nag_gs/nag_gs_pytorch.py; form jax: nag_gs/nag_gs_jax.py",
             .deviations = "the PyTorch class NAGGS drops the new gamma (and so is NAG4, here fixed_gamma); it is kept here, "
                           "as in the paper and in JAX; mu=0 is allowed",
             .params = &nag_gs_table,
             .state = "v: like the tensor, starts as the weights; gamma: a scalar",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .scalars = scalars,
    .scalar_count = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(nag_gs, nag_gs_args)
{
    const RV_REAL of_v = (RV_REAL)a->of_v, of_w = (RV_REAL)a->of_w, of_g = (RV_REAL)a->of_g;
    const RV_REAL pull = (RV_REAL)a->pull;
    RV_REAL *v = t->s[0];
    RV_EACH (i, t->n) {
        const RV_REAL w = t->w[i];
        v[i] = of_v * v[i] + of_w * w - of_g * t->g[i];
        t->out[i] = w + pull * (v[i] - w);
    }
}
#define RV_KERNEL nag_gs
#define RV_KERNEL_ARGS nag_gs_args
#include "optim/kernel_loop.h"

#endif
