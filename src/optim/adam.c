/* Adam and its closest kin in one kernel, whose forms differ in numbers that are computed once per
 * step: adam (L2), adamw (decoupled), nadamw (Nesterov's mixture) and c_adamw (its authors' cautious
 * AdamW).  Invariant: a form that is off costs no pass over memory.
 *     g <- g + l2 w;  m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
 *     u = m, or beta1 m + (1 - beta1) g;  caution: u masked and scaled
 *     w <- keep w - rate u / (sqrt(v) root + eps)
 * References: pytorch 2.6.0, timm, mlcommons/algorithmic-efficiency, C-Optim; see the descriptors.
 * Deviation: AlgoPerf's nadamw forms u in the buffer of m and undoes it, which leaves rounding in m. */
#ifndef RV_REAL

#include "optim/adam.h"
#include "optim/caution.h"

enum { SLOT_M, SLOT_V, SLOT_V_MAX };

typedef struct adam_args {
    rv_moments moments;
    double keep, l2;
    double lift;                          /* of v in the running maximum */
    double own, look;                     /* u = own m + look g */
    const double (*scales)[RV_MAX_SUMS];  /* of the cautious mask, per tensor; NULL: none */
} adam_args;

#define RV_KERNEL_FILE "optim/adam.c"
#include "optim/kernel.h"

/* ---- parameters ----------------------------------------------------------- */

#define CORE_ROWS(REAL, CHOICE, eps_, place_)                            \
    RV_HP_LR(REAL, 1e-3)                                                 \
    RV_HP_BETA1(REAL, 0.9)                                               \
    RV_HP_BETA2(REAL, 0.999)                                             \
    RV_HP_EPS(REAL, eps_, "added to the root of the second moment")      \
    RV_HP_EPS_PLACE(CHOICE, place_)
#define AMSGRAD_ROWS(BOOL, CHOICE)                                      \
    BOOL(amsgrad, false, "divide by the largest second moment so far")  \
    CHOICE(amsgrad_max, "raw|corrected", "raw", "the largest of v, or of v after its bias correction")
#define CORRECT_BIAS_ROW(BOOL) BOOL(correct_bias, true, "divide the moments by 1 - beta^t")
enum { MAX_RAW, MAX_CORRECTED };

#define ADAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) \
    CORE_ROWS(REAL, CHOICE, 1e-8, "after") RV_HP_L2(REAL) AMSGRAD_ROWS(BOOL, CHOICE)
#define ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    CORE_ROWS(REAL, CHOICE, 1e-8, "after") RV_HP_DECOUPLED(REAL, 1e-2) RV_HP_DECAY_FORM(CHOICE)       \
    AMSGRAD_ROWS(BOOL, CHOICE) RV_HP_CAUTION(CHOICE, "off")
#define NADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    CORE_ROWS(REAL, CHOICE, 1e-8, "after") RV_HP_DECOUPLED(REAL, 1e-2) RV_HP_DECAY_FORM(CHOICE)       \
    RV_HP_CAUTION(CHOICE, "off")
#define C_ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    CORE_ROWS(REAL, CHOICE, 1e-6, "before") RV_HP_DECOUPLED(REAL, 0) RV_HP_CAUTION(CHOICE, "mean")    \
    CORRECT_BIAS_ROW(BOOL)
#define ALL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) ADAMW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) CORRECT_BIAS_ROW(BOOL)

/* Of all four; what a method does not list is zero, which means off. */
RV_PARAM_STRUCT(adam_params, ALL_PARAMS);
RV_PARAM_TABLE(adam_table, "adam", adam_params, ADAM_PARAMS);
RV_PARAM_TABLE(adamw_table, "adamw", adam_params, ADAMW_PARAMS);
RV_PARAM_TABLE(nadamw_table, "nadamw", adam_params, NADAMW_PARAMS);
RV_PARAM_TABLE(c_adamw_table, "c_adamw", adam_params, C_ADAMW_PARAMS);

/* A maximum over corrected moments leaves no correction for epsilon to stand before. */
static rv_status check_for(const char *method, const adam_params *p, rv_error *err)
{
    if (p->amsgrad && p->amsgrad_max == MAX_CORRECTED && p->eps_place == RV_EPS_BEFORE)
        return rv_fail(err, RV_E_ARGUMENT, "%s: amsgrad_max corrected needs eps_place after, found before", method);
    return RV_OK;
}

static rv_status check_adam(const void *params, rv_error *err)
{
    return check_for("adam", params, err);
}

static rv_status check_adamw(const void *params, rv_error *err)
{
    return check_for("adamw", params, err);
}

static bool most_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const adam_params *)params)->amsgrad && rv_slot_like(tensor, params, shape);
}

/* ---- the step -------------------------------------------------------------- */

/* What all four compute alike; decay and mixture are left off. */
static adam_args common_args(const rv_run *run)
{
    const adam_params *p = run->params;
    adam_args args = {
        .moments = rv_moments_at(run, p->beta1, p->beta2, p->eps), .keep = 1, .lift = 1, .own = 1, .look = 0};
    rv_moments_place_eps(&args.moments, p->eps_place);
    if (p->amsgrad && p->amsgrad_max == MAX_CORRECTED) {
        args.lift = 1 / args.moments.bias2;
        args.moments.root = 1;
    }
    return args;
}

static rv_status step_with(const rv_run *run, adam_args *args)
{
    const adam_params *p = run->params;
    RV_TRY(rv_caution_measure(run, RV_KERNEL_OF(adam_aligned), args, p->caution, RV_CAUTION_FLOOR, 0, &args->scales));
    return rv_run_map(run, RV_KERNEL_OF(adam), args);
}

static rv_status step_adam(const rv_run *run)
{
    adam_args args = common_args(run);
    args.l2 = ((const adam_params *)run->params)->weight_decay;
    return step_with(run, &args);
}

static rv_status step_adamw(const rv_run *run)
{
    const adam_params *p = run->params;
    adam_args args = common_args(run);
    args.keep = rv_decay_keep(run, p->decay, p->lr, p->weight_decay);
    return step_with(run, &args);
}

static rv_status step_nadamw(const rv_run *run)
{
    const adam_params *p = run->params;
    adam_args args = common_args(run);
    args.keep = rv_decay_keep(run, p->decay, p->lr, p->weight_decay);
    args.own = p->beta1;
    args.look = 1 - p->beta1;
    return step_with(run, &args);
}

static rv_status step_c_adamw(const rv_run *run)
{
    const adam_params *p = run->params;
    adam_args args = common_args(run);
    args.keep = 1 - run->lr * p->weight_decay;
    if (!p->correct_bias) {
        args.moments.rate = run->lr;
        args.moments.root = 1;
    }
    return step_with(run, &args);
}

/* ---- the descriptors --------------------------------------------------------- */

static const rv_slot slots[] = {
    {"m", rv_slot_like, false}, {"v", rv_slot_like, false}, {"v_max", most_shape, false}};

const rv_method rv_method_adam = {
    .info = {.name = "adam",
             .version = 1,
             .title = "Adam",
             .equations = "g <- g + weight_decay w\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place before (TensorFlow, Hugging Face): the root is (sqrt(v) + eps)/sqrt(1 - beta2^t)\n"
                          "amsgrad: the largest v so far in place of v; amsgrad_max corrected (optax): the largest "
                          "v/(1 - beta2^t) so far",
             .paper = "Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1; Reddi et al. 2018, "
                      "On the convergence of Adam and beyond (AMSGrad)",
             .reference = "pytorch 2.6.0 torch/optim/adam.py; amsgrad_max corrected: optax 0.2.8 optax.amsgrad",
             .deviations = "none",
             .params = &adam_table,
             .state = "m, v: like the tensor; v_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .check = check_adam,
    .step = step_adam,
};

const rv_method rv_method_adamw = {
    .info = {.name = "adamw",
             .version = 1,
             .title = "Adam with decoupled weight decay",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place before (Hugging Face): the root is (sqrt(v) + eps)/sqrt(1 - beta2^t)\n"
                          "decay, with f the schedule's factor on lr: independent 1 - f weight_decay (the paper), "
                          "corrected 1 - f lr weight_decay\n"
                          "amsgrad: the largest v so far (before bias correction) in place of v; amsgrad_max "
                          "corrected: the largest v/(1 - beta2^t)\n"
                          "caution: m is 0 where m g <= 0, elsewhere times 1/max(mean of the mask, 1e-3) (mean) or "
                          "size/(count + 1) (count), per tensor; decay is not masked",
             .paper = "Kingma & Ba 2015, Adam; Loshchilov & Hutter 2019, Decoupled weight decay regularization; "
                      "Reddi et al. 2018 (AMSGrad); Liang et al. 2024, Cautious optimizers; Defazio 2025, Why gradients "
                      "rapidly increase near the end of training (decay corrected)",
             .reference = "pytorch 2.6.0 torch/optim/adamw.py; caution: pytorch-image-models aa4b5850 timm/optim/adamw.py",
             .deviations = "none",
             .params = &adamw_table,
             .state = "m, v: like the tensor; v_max: like the tensor, only with amsgrad",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .check = check_adamw,
    .step = step_adamw,
};

const rv_method rv_method_nadamw = {
    .info = {.name = "nadamw",
             .version = 1,
             .title = "AdamW with Nesterov momentum (AlgoPerf's form)",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "n = beta1 m + (1 - beta1) g\n"
                          "w <- w - lr/(1 - beta1^t) n / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "eps_place, decay: as in adamw; caution: n is 0 where n g <= 0, elsewhere scaled as in adamw",
             .paper = "Dozat 2016, Incorporating Nesterov momentum into Adam; Choi et al. 2019, On empirical "
                      "comparisons of optimizers for deep learning, table 1; Liang et al. 2024, Cautious optimizers",
             .reference = "mlcommons/algorithmic-efficiency 2c90454f "
                          "algorithms/target_setting_algorithms/pytorch_nadamw.py; pytorch-image-models aa4b5850 "
                          "timm/optim/nadamw.py, with its caution",
             .deviations = "n is not formed in the buffer of m, so m is free of that rounding; unlike pytorch's "
                           "NAdam there is no momentum schedule",
             .params = &nadamw_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step_nadamw,
};

const rv_method rv_method_c_adamw = {
    .info = {.name = "c_adamw",
             .version = 1,
             .title = "C-AdamW, the cautious AdamW of its authors",
             .equations = "w <- w (1 - lr weight_decay)\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                          "k = 1 where m g > 0, else 0, and k <- k / max(mean(k), 1e-3) per tensor\n"
                          "w <- w - lr sqrt(1 - beta2^t)/(1 - beta1^t) k m / (sqrt(v) + eps)\n"
                          "caution count: k <- k size/(sum(k) + 1), as in the first version of the paper\n"
                          "correct_bias false: lr alone in front",
             .paper = "Liang et al. 2024, Cautious optimizers: improving training with one line of code",
             .reference = "kyleliang919/C-Optim c_adamw.py at ccadd18",
             .deviations = "none; eps_place after and caution off go beyond the reference and make it adamw",
             .params = &c_adamw_table,
             .state = "m, v: like the tensor",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .step = step_c_adamw,
};

#else

#include "optim/moments_real.h"

/* Counts the elements whose update would point along the gradient. */
RV_TILE_FUNCTION(adam_aligned, adam_args)
{
    const RV_FN(moments) c = RV_FN(moments_of)(&a->moments);
    const RV_REAL own = (RV_REAL)a->own, look = (RV_REAL)a->look, l2 = (RV_REAL)a->l2;
    const RV_REAL *m = t->s[SLOT_M];
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
    RV_REAL *m = t->s[SLOT_M], *v = t->s[SLOT_V], *most = t->s[SLOT_V_MAX];
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
        t->out[i] = keep * t->w[i] - RV_FN(moments_step)(&c, u[i], v[i]);
}
#define RV_KERNEL adam
#define RV_KERNEL_ARGS adam_args
#include "optim/kernel_loop.h"

#endif
