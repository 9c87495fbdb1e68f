/* LARS: momentum on gradients scaled per tensor to the norm of the weights.
 *     r = trust_coeff ||w|| / (||g|| + weight_decay ||w|| + eps), 1 where a norm is 0
 *     trust_clip (LARC): r <- min(r/lr, 1);  d = r (g + weight_decay w)
 *     b <- momentum b + (1 - dampening) d     (b <- d in the first step)
 *     w <- w - lr (d + momentum b if nesterov, else b)
 * lr_in_buffer, the paper's form: b <- momentum b + lr d;  w <- w - b.
 * Reference: huggingface/pytorch-image-models timm/optim/lars.py aa4b5850.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct lars_args {
    double weight_decay, momentum, keep; /* keep: weight of d in the buffer */
    double rate, push;                   /* lr outside and inside of the buffer */
    bool nesterov;
    const double (*ratios)[RV_MAX_SUMS]; /* [tensors] */
} lars_args;

#define RV_KERNEL_FILE "optim/lars.c"
#include "optim/kernel.h"

#define LARS_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                 \
    REAL(momentum, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer; 0: no buffer")           \
    REAL(dampening, 0, 0, 1, 0, "share of the gradient kept out of the buffer")                \
    BOOL(nesterov, false, "look ahead along the buffer")                                       \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the gradient after its norm is taken") \
    REAL(trust_coeff, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "norm of a step over that of the weights") \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the denominator of the ratio") \
    BOOL(trust_clip, false, "LARC: min(ratio/lr, 1), so that lr is an upper bound")            \
    CHOICE(adapt, "decayed|always", "decayed", "tensors that get the ratio: those with weight decay, or all") \
    CHOICE(norm, "apart|together", "apart", "denominator ||g|| + weight_decay ||w||, or ||g + weight_decay w|| (optax)") \
    BOOL(lr_in_buffer, false, "the learning rate of each step stays in the buffer (paper, TensorFlow, optax)")
RV_PARAM_STRUCT(lars_params, LARS_PARAMS);
RV_PARAM_TABLE(lars_table, "lars", lars_params, LARS_PARAMS);

enum { DECAYED, ALWAYS };
enum { APART, TOGETHER };

static rv_status check(const void *params, rv_error *err)
{
    const lars_params *p = params;
    if (p->nesterov && (p->momentum <= 0 || p->dampening != 0))
        return rv_fail(err, RV_E_ARGUMENT, "lars: nesterov needs momentum > 0 and dampening = 0, found %g and %g",
                       p->momentum, p->dampening);
    return RV_OK;
}

static bool buffer_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const lars_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

/* The trust ratio from ||w||^2, ||g||^2 and ||g + weight_decay w||^2. */
static double ratio_of(const lars_params *p, double lr, const double *sums)
{
    if (p->weight_decay == 0 && p->adapt == DECAYED)
        return 1;
    const double w = sqrt(sums[0]), g = sqrt(sums[1]);
    const double below = p->norm == TOGETHER ? sqrt(sums[2]) : g + w * p->weight_decay;
    const double ratio = w > 0 && g > 0 && below + p->eps > 0 ? p->trust_coeff * w / (below + p->eps) : 1;
    return p->trust_clip && ratio > lr ? 1 : p->trust_clip ? ratio / lr : ratio;
}

static rv_status step(const rv_run *run)
{
    const lars_params *p = run->params;
    lars_args args = {.weight_decay = p->weight_decay,
                      .momentum = p->momentum,
                      .keep = run->step == 1 ? 1 : 1 - p->dampening,
                      .rate = p->lr_in_buffer ? 1 : run->lr,
                      .push = p->lr_in_buffer ? run->lr : 1,
                      .nesterov = p->nesterov};
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(lars_measure), &args, total, each));
    for (int k = 0; k < run->count; k++)
        each[k][0] = ratio_of(p, run->lr, each[k]);
    args.ratios = (const double (*)[RV_MAX_SUMS])each;
    return rv_run_map(run, RV_KERNEL_OF(lars), &args);
}

static const rv_slot slots[] = {{"b", buffer_shape, false}};

const rv_method rv_method_lars = {
    .info = {.name = "lars",
             .version = 1,
             .title = "LARS: gradients scaled per tensor to the weights",
             .equations = "r = trust_coeff ||w|| / (||g|| + weight_decay ||w|| + eps) per tensor, 1 where a norm is 0\n"
                          "trust_clip: r <- min(r/lr, 1);  d = r (g + weight_decay w)\n"
                          "b <- momentum b + (1 - dampening) d, and b <- d in the first step\n"
                          "w <- w - lr (d + momentum b if nesterov, else b)\n"
                          "lr_in_buffer: lr d in place of d, w <- w - (lr d + momentum b if nesterov, else b)",
             .paper = "You, Gitman & Ginsburg 2017, Large batch training of convolutional networks; trust_clip: LARC of "
                      "NVIDIA apex",
             .reference = "huggingface/pytorch-image-models aa4b5850 timm/optim/lars.py",
             .deviations = "none; lr_in_buffer=true is the paper's and TensorFlow's momentum, norm=together with it optax's",
             .params = &lars_table,
             .state = "b: like the tensor, only with momentum > 0",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .check = check,
    .step = step,
};

#else

RV_TILE_FUNCTION(lars_measure, lars_args)
{
    RV_REAL both[512 / sizeof(RV_REAL)];
    const RV_REAL decay = (RV_REAL)a->weight_decay;
    RV_EACH (i, t->n)
        both[i] = t->g[i] + decay * t->w[i];
    RV_FN(rv_dot)(t->w, t->w, t->n, t->sum[0]);
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[1]);
    RV_FN(rv_dot)(both, both, t->n, t->sum[2]);
}
#define RV_KERNEL lars_measure
#define RV_KERNEL_ARGS lars_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(lars, lars_args)
{
    const RV_REAL decay = (RV_REAL)a->weight_decay, rate = (RV_REAL)a->rate;
    const RV_REAL scale = (RV_REAL)(a->push * a->ratios[t->tensor][0]);
    const RV_REAL mu = (RV_REAL)a->momentum, keep = (RV_REAL)a->keep;
    RV_REAL *b = t->s[0];
    if (!b) {
        RV_EACH (i, t->n)
            t->out[i] = t->w[i] - rate * (scale * (t->g[i] + decay * t->w[i]));
        return;
    }
    RV_EACH (i, t->n) {
        const RV_REAL d = scale * (t->g[i] + decay * t->w[i]);
        b[i] = mu * b[i] + keep * d;
        t->out[i] = t->w[i] - rate * (a->nesterov ? d + mu * b[i] : b[i]);
    }
}
#define RV_KERNEL lars
#define RV_KERNEL_ARGS lars_args
#include "optim/kernel_loop.h"

#endif
