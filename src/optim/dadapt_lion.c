/* Lion with D-Adaptation.
 *     e = d lr;  q = sqrt(beta2);  u = sign(beta1 m + (1 - beta1) g)
 *     w <- w (1 - e weight_decay) - e u;  m <- beta2 m + (1 - beta2) e g
 *     r <- q r + (1 - q) e <u, s>  (s before this step);  s <- q s + (1 - q) e u
 *     d <- max(d, r / ((1 - q) sum|s|)), in force from the next step on
 * Sums run over all tensors of the method, whatever rules gave them, in double.
 * Reference: facebookresearch/dadaptation dadapt_lion.py c9849802.  Deviations: none. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"
#include "optim/rows.h"

typedef struct dlion_args {
    double keep, rate, beta1, rest1, beta2, push2, q, push;
} dlion_args;

#define RV_KERNEL_FILE "optim/dadapt_lion.c"
#include "optim/kernel.h"

#define DLION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                               \
    RV_HP_FACTOR(REAL)                                                            \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "share of the momentum in the sign") \
    REAL(beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the momentum")            \
    RV_HP_WEIGHT_DECAY(REAL, 0, "decoupled, times the step size")                 \
    RV_HP_D0(REAL)                                                                \
    RV_HP_GROWTH(REAL)
RV_PARAM_STRUCT(dlion_params, DLION_PARAMS);
RV_PARAM_TABLE(dlion_table, "dadapt_lion", dlion_params, DLION_PARAMS);

enum { D, NUMERATOR };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("dadapt_lion", ((const dlion_params *)params)->growth_rate, err);
}

/* The whole step but for d, which acts in the next one: total: e <u, s> and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const dlion_params *p = run->params;
    const double e = rv_distance(run, D, p->d0) * run->lr, q = sqrt(p->beta2);
    const dlion_args args = {.keep = 1 - e * p->weight_decay,
                             .rate = e,
                             .beta1 = p->beta1,
                             .rest1 = 1 - p->beta1,
                             .beta2 = p->beta2,
                             .push2 = (1 - p->beta2) * e,
                             .q = q,
                             .push = (1 - q) * e};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(dlion), &args, total, NULL));
    total[0] *= e;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const dlion_params *p = run->params;
    if (run->joint[1] == 0 || run->lr == 0)
        return RV_OK;
    const double q = sqrt(p->beta2);
    const double numerator = q * run->scalars[NUMERATOR] + (1 - q) * run->joint[0];
    run->scalars[D] = rv_distance_grown(rv_distance(run, D, p->d0), numerator / ((1 - q) * run->joint[1]),
                                        p->growth_rate);
    run->scalars[NUMERATOR] = numerator;
    return RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"s", rv_slot_like, false}};
static const char *const scalars[] = {"d", "numerator"};

const rv_method rv_method_dadapt_lion = {
    .info = {.name = "dadapt_lion",
             .version = 1,
             .title = "Lion with D-Adaptation",
             .equations = "e = d lr;  q = sqrt(beta2);  u = sign(beta1 m + (1 - beta1) g)\n"
                          "w <- w (1 - e weight_decay) - e u;  m <- beta2 m + (1 - beta2) e g\n"
                          "r <- q r + (1 - q) e <u, s>   (s before this step)\n"
                          "s <- q s + (1 - q) e u;  d <- max(d, r / ((1 - q) sum|s|)), at most growth_rate d\n"
                          "sums run over all tensors that any rule gives to dadapt_lion",
             .paper = "Defazio & Mishchenko 2023, Learning-rate-free learning by D-Adaptation (the method of its "
                      "algorithm 5 on Lion, Chen et al. 2023)",
             .reference = "facebookresearch/dadaptation c9849802 dadaptation/dadapt_lion.py",
             .deviations = "none from that commit (older ones never stored r); growth_rate is added (0: none, as "
                           "there); sums in double",
             .params = &dlion_table,
             .state = "m, s: like the tensor; d, numerator: scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 2,
    .whole_slots = 3u, /* one sign that rounding flips moves d, and with it every later step */
    .scalars = scalars,
    .scalar_count = 2,
    .check = check,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(dlion, dlion_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->rate, q = (RV_REAL)a->q, push = (RV_REAL)a->push;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL beta2 = (RV_REAL)a->beta2, push2 = (RV_REAL)a->push2;
    RV_REAL *m = t->s[0], *s = t->s[1], u[512 / sizeof(RV_REAL)];
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
#define RV_KERNEL_ARGS dlion_args
#include "optim/kernel_loop.h"

#endif
