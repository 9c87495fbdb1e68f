/* Amos: step size and weight decay that fall towards a declared scale of the weights.
 *     g2 = mean of g^2 over the slot;  v <- beta v + (1 - beta) g2;  R = (1 - beta^t)/max(v, eps)
 *     y = lr^2 R g2 / sqrt(1 + c_coef sqrt(lr) b);  D = 1/(1 + d_coef sqrt(lr eta) b)
 *     u = D ((y/2 + extra_l2) w + lr eta sqrt(R) g);  b <- b + y (1 + b)
 *     w <- w - u, or with momentum: M <- momentum M + (1 - momentum) u;  w <- w - M
 * A slot is the tensor or one index of its first axis; eta is the expected size of a weight.
 * Reference: google-research/jestimator amos.py 326824a4; options for kozistr's port. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/segments.h"

typedef struct amos_args {
    double pull, push, momentum, rest; /* weights of w and of g in u */
    double correction;                 /* 1 - beta^t */
} amos_args;

#define RV_KERNEL_FILE "optim/amos.c"
#include "optim/kernel.h"

#define AMOS_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate, about 1/sqrt(batches of the data)") \
    REAL(beta, 0.999, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")              \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of updates; 0: none")               \
    REAL(extra_l2, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decay beside the adaptive one") \
    REAL(c_coef, 0.25, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "speed at which the decay falls")              \
    REAL(d_coef, 0.25, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "speed at which the step size falls")          \
    REAL(eps, 2.350988701644575e-38, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "least second moment") \
    CHOICE(eps_form, "max|add", "max", "max(v, eps), or v + eps (kozistr)")                          \
    REAL(eta, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "expected size of a trained weight; 0: by eta_rule") \
    CHOICE(eta_rule, "fan_in|second_axis", "fan_in", "what it is by shape and role")                 \
    CHOICE(slots, "tensor|rows", "tensor", "what has v and b of its own")
RV_PARAM_STRUCT(amos_params, AMOS_PARAMS);
RV_PARAM_TABLE(amos_table, "amos", amos_params, AMOS_PARAMS);

enum { SLOT_V, SLOT_B, SLOT_M };
enum { EPS_MAX, EPS_ADD };
enum { FAN_IN, SECOND_AXIS };
enum { WHOLE, ROWS };

/* fan_in: sqrt(2/inputs) for whatever has inputs, 1 for gains, 0.5 for biases.  second_axis:
 * sqrt(2/columns) for matrices, sqrt(1/second axis) for kernels, 0.5 for vectors. */
static double eta_of(const rv_tensor *tensor, const amos_params *p)
{
    const rv_shape *shape = &tensor->shape;
    if (p->eta > 0)
        return p->eta;
    if (shape->rank < 2)
        return tensor->role == RV_ROLE_NORM && p->eta_rule == FAN_IN ? 1 : 0.5;
    if (p->eta_rule == SECOND_AXIS)
        return sqrt((shape->rank == 2 ? 2 : 1) / (double)shape->dim[1]);
    double inputs = 1;
    for (int k = 1; k < shape->rank; k++)
        inputs *= (double)shape->dim[k];
    return sqrt(2 / inputs);
}

static int64_t count(const rv_tensor *tensor, const void *params)
{
    return ((const amos_params *)params)->slots == ROWS && tensor->shape.rank > 0 ? tensor->shape.dim[0] : 1;
}

static bool slot_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    *shape = RV_SHAPE(count(tensor, params));
    return true;
}

static bool momentum_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const amos_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static void decide(const rv_run *run, const void *context, int tensor, int64_t segment, int64_t size,
                   const double *sums, void *args)
{
    const amos_params *p = run->params;
    const double lr = run->lr, rate = lr * eta_of(&run->tensors[tensor], p), g2 = sums[0] / (double)size;
    const double v = p->beta * rv_segment_get(run, tensor, SLOT_V, segment) + (1 - p->beta) * g2;
    const double b = rv_segment_get(run, tensor, SLOT_B, segment);
    const double correction = ((const amos_args *)context)->correction;
    const double inverse = correction / (p->eps_form == EPS_ADD ? v + p->eps : fmax(v, p->eps));
    const double gamma = lr * lr * inverse * g2 / sqrt(1 + p->c_coef * sqrt(lr) * b);
    const double fall = 1 / (1 + p->d_coef * sqrt(rate) * b);
    rv_segment_put(run, tensor, SLOT_V, segment, v);
    rv_segment_put(run, tensor, SLOT_B, segment, b + gamma * (1 + b));
    *(amos_args *)args = (amos_args){.pull = fall * (0.5 * gamma + p->extra_l2),
                                     .push = fall * rate * sqrt(inverse),
                                     .momentum = p->momentum,
                                     .rest = 1 - p->momentum};
}

static const rv_segments walk = {.count = count,
                                 .decide = decide,
                                 .update = {amos_loop_f32, amos_loop_f64},
                                 .like = 1u << SLOT_M};

static const rv_segments *segments(const void *params)
{
    (void)params;
    return &walk;
}

static rv_status step(const rv_run *run)
{
    const amos_params *p = run->params;
    const amos_args args = {.correction = 1 - pow(p->beta, (double)run->step)};
    return rv_segments_run(run, &walk, &args);
}

static const rv_slot slots[] = {{"v", slot_shape, false}, {"b", slot_shape, false}, {"m", momentum_shape, false}};

const rv_method rv_method_amos = {
    .info = {.name = "amos",
             .version = 1,
             .title = "Amos: weight decay towards a scale of the weights",
             .equations = "g2 = mean of g^2 over the slot;  v <- beta v + (1 - beta) g2;  R = (1 - beta^t)/max(v, eps)\n"
                          "y = lr^2 R g2 / sqrt(1 + c_coef sqrt(lr) b);  D = 1/(1 + d_coef sqrt(lr eta) b)\n"
                          "u = D ((y/2 + extra_l2) w + lr eta sqrt(R) g);  b <- b + y (1 + b)\n"
                          "w <- w - u, or with momentum: m <- momentum m + (1 - momentum) u;  w <- w - m\n"
                          "eta_rule=fan_in: sqrt(2/inputs), gains of norms 1, other vectors 0.5; second_axis: sqrt(2/d) for "
                          "matrices, sqrt(1/d) for kernels with d the second axis, vectors 0.5",
             .paper = "Tian & Parikh 2022, Amos: an Adam-style optimizer with adaptive weight decay towards "
                      "model-oriented scale",
             .reference = "google-research/jestimator 326824a4 jestimator/amos.py; with eps_form=add, eps=1e-18, "
                          "eta_rule=second_axis kozistr/pytorch_optimizer 7a076d2f",
             .deviations = "none; eta, a function of the user there, is eta of a rule or eta_rule; extra_l2 has the authors' "
                           "sign and factor (the port's are wrong)",
             .params = &amos_table,
             .state = "v, b: one per slot; m: like the tensor, only with momentum > 0",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .segments = segments,
    .step = step,
};

#else

RV_TILE_FUNCTION(amos, amos_args)
{
    const RV_REAL pull = (RV_REAL)a->pull, push = (RV_REAL)a->push;
    const RV_REAL mu = (RV_REAL)a->momentum, rest = (RV_REAL)a->rest;
    RV_REAL *m = t->s[2];
    if (!m) {
        RV_EACH (i, t->n)
            t->out[i] = t->w[i] - (pull * t->w[i] + push * t->g[i]);
        return;
    }
    RV_EACH (i, t->n) {
        m[i] = mu * m[i] + rest * (pull * t->w[i] + push * t->g[i]);
        t->out[i] = t->w[i] - m[i];
    }
}
#define RV_KERNEL amos
#define RV_KERNEL_ARGS amos_args
#include "optim/kernel_loop.h"

#endif
