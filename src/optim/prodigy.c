/* Prodigy: Adam whose step size is d, a growing estimate of the distance to the solution.
 *     e = d lr (sqrt(1 - beta2^t)/(1 - beta1^t) with use_bias_correction);  q = beta3
 *     num <- q num - (d/d0) e <g, moved>;  s <- q s + (d/d0) e g       (moved = w - x0)
 *     m <- beta1 m + (1 - beta1) d g;  v <- beta2 v + (1 - beta2) d^2 g^2
 *     d' = max(d, d_coef num / sum|s|);  w <- w - e weight_decay w - e m / (sqrt(v) + d' eps)
 * num and sum|s| run over all tensors of Prodigy, whatever rules gave them, in double; s and moved are
 * kept for every element number k slice_p of a tensor.
 * Reference: konstmish/prodigy prodigyopt/prodigy.py 3efb213e.  Deviation: moved is
 * the sum of the updates: w - x0 of floats is rounding noise while d is of the order of 1e-6. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"
#include "optim/rows.h"

typedef struct prodigy_args {
    double beta1, beta2, beta3;
    double rest1, rest2, push; /* weights of g in m, of g^2 in v and of g in s */
    double coupled;            /* decay added to the gradient */
    double rate, decay, floor; /* e, e weight_decay and d' eps */
    int64_t slice;
    const rv_run *run;         /* where sliced slots are */
} prodigy_args;

enum { SLOT_M, SLOT_V, SLOT_S, SLOT_MOVED };

#define RV_KERNEL_FILE "optim/prodigy.c"
#include "optim/kernel.h"

#define PRODIGY_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                    \
    RV_HP_FACTOR(REAL)                                                                   \
    RV_HP_BETA1(REAL, 0.9)                                                               \
    RV_HP_BETA2(REAL, 0.999)                                                             \
    REAL(beta3, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the sums behind d; 0: sqrt(beta2)") \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "times d, added to the denominator") \
    RV_HP_WEIGHT_DECAY(REAL, 0, "times the step size, or L2 without decouple")           \
    BOOL(decouple, true, "decay the weights themselves, not through the gradient")       \
    BOOL(use_bias_correction, false, "Adam's bias correction in the step size")          \
    BOOL(safeguard_warmup, false, "leave lr out of the sum behind d's denominator")      \
    RV_HP_D0(REAL)                                                                       \
    REAL(d_coef, 1, 0, HUGE_VAL, RV_HP_FREE, "factor on the estimate; what to tune") \
    RV_HP_GROWTH(REAL)                                                                   \
    INT(slice_p, 1, 1, 1e9, RV_PARAM_LOG, "d is measured on one element in so many; 11 costs little")
RV_PARAM_STRUCT(prodigy_params, PRODIGY_PARAMS);
RV_PARAM_TABLE(prodigy_table, "prodigy", prodigy_params, PRODIGY_PARAMS);

enum { D, D_MAX, NUMERATOR };

static rv_status check(const void *params, rv_error *err)
{
    return rv_distance_check("prodigy", ((const prodigy_params *)params)->growth_rate, err);
}

/* The step size e. */
static double step_size(const rv_run *run, double d)
{
    const prodigy_params *p = run->params;
    const double t = (double)run->step;
    return d * run->lr * (p->use_bias_correction ? sqrt(1 - pow(p->beta2, t)) / (1 - pow(p->beta1, t)) : 1);
}

static double decay_of_sums(const prodigy_params *p)
{
    return p->beta3 > 0 ? p->beta3 : sqrt(p->beta2);
}

/* total: what this step adds to num, and sum|s|. */
static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    const prodigy_params *p = run->params;
    const double d = rv_distance(run, D, p->d0), e = step_size(run, d);
    if (run->lr == 0)
        return RV_OK;
    const prodigy_args args = {.beta1 = p->beta1,
                               .beta2 = p->beta2,
                               .beta3 = decay_of_sums(p),
                               .rest1 = d * (1 - p->beta1),
                               .rest2 = d * d * (1 - p->beta2),
                               .push = d / p->d0 * (p->safeguard_warmup ? d : e),
                               .coupled = p->decouple ? 0 : p->weight_decay,
                               .slice = p->slice_p,
                               .run = run};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(prodigy_measure), &args, total, NULL));
    total[0] *= -d / p->d0 * e;
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const prodigy_params *p = run->params;
    const double old = rv_distance(run, D, p->d0), e = step_size(run, old);
    const double numerator = decay_of_sums(p) * run->scalars[NUMERATOR] + run->joint[0];
    if (run->joint[1] == 0)
        return RV_OK; /* no gradient yet, or no learning rate */
    double d = old, most = rv_distance(run, D_MAX, p->d0);
    if (run->lr > 0) {
        const double found = p->d_coef * numerator / run->joint[1];
        if (d == p->d0)
            d = rv_distance_grown(d, found, 0);
        most = rv_distance_grown(most, found, 0);
        d = p->growth_rate > 0 ? fmin(most, d * p->growth_rate) : most;
    }
    const prodigy_args args = {.rate = e, .decay = p->decouple ? e * p->weight_decay : 0, .floor = d * p->eps,
                               .slice = p->slice_p, .run = run};
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(prodigy), &args));
    run->scalars[D] = d;
    run->scalars[D_MAX] = most;
    run->scalars[NUMERATOR] = numerator;
    return RV_OK;
}

/* Elements 0, slice_p, 2 slice_p, ... of the tensor in the order of memory. */
static bool sliced_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const int64_t size = rv_shape_size(&tensor->shape), slice = ((const prodigy_params *)params)->slice_p;
    rv_slot_like(tensor, params, shape);
    if (slice > 1 && size > 1)
        *shape = RV_SHAPE((size - 1) / slice + 1);
    return true;
}

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"s", sliced_shape, false}, {"moved", sliced_shape, false}};
static const char *const scalars[] = {"d", "d_max", "numerator"};

const rv_method rv_method_prodigy = {
    .info = {.name = "prodigy",
             .version = 1,
             .title = "Prodigy: Adam that finds its step size",
             .equations = "e = d lr, times sqrt(1 - beta2^t)/(1 - beta1^t) with use_bias_correction\n"
                          "num <- beta3 num - (d/d0) e <g, moved>;  s <- beta3 s + (d/d0) e g   (moved = w - x0)\n"
                          "m <- beta1 m + (1 - beta1) d g;  v <- beta2 v + (1 - beta2) d^2 g^2\n"
                          "d' = max(d, d_coef num / sum|s|), at most growth_rate d\n"
                          "w <- w - e weight_decay w - e m / (sqrt(v) + d' eps)   (e of the old d, eps with the new)\n"
                          "num and sum|s| run over all tensors that any rule gives to prodigy, of each tensor over the "
                          "elements 0, slice_p, 2 slice_p, ...",
             .paper = "Mishchenko & Defazio 2023, Prodigy: an expeditiously adaptive parameter-free learner",
             .reference = "konstmish/prodigy 3efb213e prodigyopt/prodigy.py",
             .deviations = "moved is the sum of the updates, where the reference subtracts "
                           "rounded weights; growth_rate 0 stands for infinity; sums in double; steps whose "
                           "gradients are all zero count in the bias correction; rules with different d0, d_coef or lr "
                           "have each their own d from the shared sums, the reference refuses different lr",
             .params = &prodigy_table,
             .state = "m, v, s, moved: like the tensor (s, moved: one element in slice_p); d, d_max, numerator: scalars",
             .bytes_per_parameter = 16},
    .tolerance = 1e-11,
    .slots = slots,
    .slot_count = 4,
    .scalars = scalars,
    .scalar_count = 3,
    .check = check,
    .measure = measure,
    .passes = 1,
    .step = step,
};

#else

/* Sliced slot k of a tile's tensor; one element is its own slice. */
RV_INLINE RV_REAL *RV_FN(prodigy_sliced)(const rv_tile *t, const prodigy_args *a, int k)
{
    return rv_shape_size(&a->run->tensors[t->tensor].shape) > 1 ? rv_run_slot(a->run, t->tensor, k) : t->s[k];
}

/* The first element of a tile that belongs to the slice. */
RV_INLINE int64_t RV_FN(prodigy_first)(const rv_tile *t, int64_t slice)
{
    return (t->at + slice - 1) / slice * slice - t->at;
}

RV_TILE_FUNCTION(prodigy_measure, prodigy_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, beta2 = (RV_REAL)a->beta2, beta3 = (RV_REAL)a->beta3;
    const RV_REAL rest1 = (RV_REAL)a->rest1, rest2 = (RV_REAL)a->rest2, push = (RV_REAL)a->push;
    const RV_REAL coupled = (RV_REAL)a->coupled;
    RV_REAL *m = t->s[0], *v = t->s[1], *s = t->s[2], *moved = t->s[3];
    RV_REAL grad[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + coupled * t->w[i];
        grad[i] = g;
        m[i] = beta1 * m[i] + rest1 * g;
        v[i] = beta2 * v[i] + rest2 * g * g;
    }
    if (a->slice > 1) {
        s = RV_FN(prodigy_sliced)(t, a, SLOT_S);
        moved = RV_FN(prodigy_sliced)(t, a, SLOT_MOVED);
        for (int64_t i = RV_FN(prodigy_first)(t, a->slice); i < t->n; i += a->slice) {
            const int64_t k = (t->at + i) / a->slice;
            s[k] = beta3 * s[k] + push * grad[i];
            t->sum[0][0] += (double)grad[i] * (double)moved[k];
            t->sum[1][0] += fabs((double)s[k]);
        }
        return;
    }
    RV_EACH (i, t->n)
        s[i] = beta3 * s[i] + push * grad[i];
    RV_FN(rv_dot)(grad, moved, t->n, t->sum[0]);
    RV_FN(rv_absolute)(s, t->n, t->sum[1]);
}
#define RV_KERNEL prodigy_measure
#define RV_KERNEL_ARGS prodigy_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(prodigy, prodigy_args)
{
    const RV_REAL rate = (RV_REAL)a->rate, decay = (RV_REAL)a->decay, floor = (RV_REAL)a->floor;
    RV_REAL *m = t->s[0], *v = t->s[1], *moved = t->s[3], down[RV_TILE];
    RV_EACH (i, t->n) {
        down[i] = decay * t->w[i] + rate * m[i] / (RV_MATH(sqrt)(v[i]) + floor);
        t->out[i] = t->w[i] - down[i];
    }
    if (a->slice > 1) {
        moved = RV_FN(prodigy_sliced)(t, a, SLOT_MOVED);
        for (int64_t i = RV_FN(prodigy_first)(t, a->slice); i < t->n; i += a->slice)
            moved[(t->at + i) / a->slice] -= down[i];
        return;
    }
    RV_EACH (i, t->n)
        moved[i] -= down[i];
}
#define RV_KERNEL prodigy
#define RV_KERNEL_ARGS prodigy_args
#include "optim/kernel_loop.h"

#endif
