/* Amos as revised for AlgoPerf: schedules in closed form for step size and decay.  k elements
 * share a slot (a tensor, or one index of its first axis).
 *     S = sqrt(k);  q = sqrt(1 - 1/S);  T = q ln(S (1 + q)^2);  p = 1 + l2 ((1 + T/2)^2 - 1)^2
 *     r = sqrt(1 + b);  Q = lr^2/max(G, r);  z = 1 + l2 b^2;  a = (2r/(1 + sqrt(1 + 2r/(2 + T))))^2 - 1
 *     w <- w - (Q/2 (p/z G + l2) w + lr eta u) / (1 + eta r a (1 + l2 b a)/(1 + l2 z/p))
 *     b <- b + Q (G/S + b)
 * style adam: m, v as Adam's, u = m/sqrt(v), G = (1 + beta1)/(1 - beta1) mean(m^2)/mean(v).
 * style reduced: v per slot, u = g/sqrt(v), G = mean(g^2)/v, Q = lr^2/r, b <- b + Q (1/S + b), and
 * the mean of updates with decay beta1 at the end.
 * Reference: mlcommons/submissions_algorithms algoperf_v05 external_tuning/amos 12c8e4ea. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"
#include "optim/segments.h"

typedef struct amosap_args {
    double beta1, rest1, beta2;
    double correct;    /* (1 - beta2)/(1 - beta2^t): from the sum v to the mean */
    double limit;      /* adam: g^2 above limit v is clipped, v before this step; 0: never */
    double cut;        /* reduced: g^2 above cut is clipped; 0: never */
    double pull, push; /* weights of w and u in the update */
    double scale;      /* reduced: 1/sqrt(v) */
    double lr, lack;   /* learning rate; what v before this step lacks of its mean */
} amosap_args;

#define RV_KERNEL_FILE "optim/amos_algoperf.c"
#include "optim/kernel.h"

#define AMOSAP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_HP_FREE, "learning rate, or a factor on it with converge_steps") \
    INT(converge_steps, 0, 0, 1e15, RV_PARAM_LOG, "steps to convergence, from which the learning rate follows; 0: lr alone") \
    REAL(beta1, 0.9, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients, or of updates in style reduced") \
    RV_HP_BETA2(REAL, 0.999)                                                                         \
    REAL(l2, 0, 0, HUGE_VAL, RV_HP_FREE, "strength of decay beside the adaptive one") \
    BOOL(use_nu_clip, true, "clip elements of the gradient by the second moment so far")             \
    CHOICE(style, "adam|reduced", "adam", "second moment per element, or per slot")                  \
    REAL(eta, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "expected size of a trained weight; 0: by eta_rule") \
    CHOICE(eta_rule, "fan_in|flax", "fan_in", "what it is by shape, for our layouts or as the reference has it") \
    CHOICE(slots, "tensor|rows", "tensor", "what has b of its own, and v in style reduced")
RV_PARAM_STRUCT(amosap_params, AMOSAP_PARAMS);
RV_PARAM_TABLE(amosap_table, "amos_algoperf", amosap_params, AMOSAP_PARAMS);

enum { SLOT_M, SLOT_V, SLOT_V_SLOT, SLOT_B };
enum { ADAM, REDUCED };
enum { FAN_IN, FLAX };
enum { WHOLE, ROWS };

static const amosap_params *of(const void *params)
{
    return params;
}

/* Matrices sqrt(2/inputs), kernels sqrt(1/inputs), embeddings and gains 1, other vectors 0.5;
 * flax takes the inputs from [in, out] and [kh, kw, in, out]. */
static double eta_of(const rv_tensor *tensor, const amosap_params *p)
{
    const rv_shape *shape = &tensor->shape;
    if (p->eta > 0)
        return p->eta;
    if (shape->rank < 2)
        return tensor->role == RV_ROLE_NORM ? 1 : 0.5;
    if (tensor->role == RV_ROLE_EMBEDDING)
        return 1;
    double inputs = 1;
    for (int k = 0; k < shape->rank - 1; k++)
        inputs *= (double)shape->dim[p->eta_rule == FLAX ? k : k + 1];
    return sqrt((shape->rank == 2 ? 2 : 1) / inputs);
}

static int64_t count(const rv_tensor *tensor, const void *params)
{
    return of(params)->slots == ROWS && tensor->shape.rank > 0 ? tensor->shape.dim[0] : 1;
}

static bool slot_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    *shape = RV_SHAPE(count(tensor, params));
    return true;
}

static bool m_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return (of(params)->style == ADAM || of(params)->beta1 > 0) && rv_slot_like(tensor, params, shape);
}

static bool v_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return of(params)->style == ADAM && rv_slot_like(tensor, params, shape);
}

static bool v_slot_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return of(params)->style == REDUCED && slot_shape(tensor, params, shape);
}

/* The extra time of the early stage, T, for slots of k elements. */
static double early_time(double k)
{
    const double s = sqrt(k), q = sqrt(1 - 1 / s);
    return q * log(s * (1 + q) * (1 + q));
}

/* The learning rate, from the largest slot of this rule's tensors with converge_steps. */
static double learning_rate(const rv_run *run)
{
    const amosap_params *p = run->params;
    double most = 1;
    for (int i = 0; i < run->count; i++) {
        const int64_t size = rv_shape_size(&run->tensors[i].shape);
        if (size > 0)
            most = fmax(most, (double)size / (double)count(&run->tensors[i], p));
    }
    const double base = 2 * (early_time(most) + sqrt(2) - 1) / (double)p->converge_steps;
    return run->lr * (p->converge_steps > 0 ? sqrt(base) : 1);
}

static double tiny(const rv_run *run)
{
    return run->dtype == RV_F32 ? (double)FLT_MIN : DBL_MIN;
}

/* Style reduced clips by the second moment of the slot. */
static void before(const rv_run *run, const void *context, int tensor, int64_t segment, void *args)
{
    amosap_args *a = args;
    *a = *(const amosap_args *)context;
    if (of(run->params)->style == REDUCED && of(run->params)->use_nu_clip && run->step > 1)
        a->cut = rv_segment_get(run, tensor, SLOT_V_SLOT, segment) / a->lack;
}

/* The schedules: pull, push and the next b from G and Q's numerator max(G, r) or r. */
static void schedule(const rv_run *run, int tensor, int64_t segment, int64_t size, double moment, amosap_args *a)
{
    const amosap_params *p = run->params;
    const double lr = a->lr, eta = eta_of(&run->tensors[tensor], p), l2 = p->l2;
    const double b = rv_segment_get(run, tensor, SLOT_B, segment);
    const double time = early_time((double)size), r = sqrt(1 + b);
    const double early = (1 + time / 2) * (1 + time / 2) - 1, top = 1 + l2 * early * early, z = 1 + l2 * b * b;
    const double rate = lr * lr / (p->style == ADAM ? fmax(moment, r) : r);
    const double bend = 2 * r / (1 + sqrt(1 + 2 / (2 + time) * r)), reach = bend * bend - 1;
    const double below = 1 + eta * r * reach * (1 + l2 * b * reach) / (1 + l2 / top * z);
    a->pull = 0.5 * rate * (top / z * moment + l2) / below;
    a->push = lr * eta / below;
    rv_segment_put(run, tensor, SLOT_B, segment,
                   b + rate * ((p->style == ADAM ? moment : 1) / sqrt((double)size) + b));
}

static void decide(const rv_run *run, const void *context, int tensor, int64_t segment, int64_t size,
                   const double *sums, void *args)
{
    (void)context;
    const amosap_params *p = run->params;
    amosap_args *a = args;
    const double n = (double)size;
    double moment;
    if (p->style == ADAM) {
        moment = (1 + p->beta1) / (1 - p->beta1) * (sums[0] / n) / fmax(sums[1] / n, tiny(run));
    } else {
        const double mean = sums[0] / n, v = p->beta2 * rv_segment_get(run, tensor, SLOT_V_SLOT, segment) + mean;
        rv_segment_put(run, tensor, SLOT_V_SLOT, segment, v);
        const double corrected = fmax(v * a->correct, tiny(run));
        moment = mean / corrected;
        a->scale = 1 / sqrt(corrected);
    }
    schedule(run, tensor, segment, size, moment, a);
}

static const rv_segments adam_segments = {.count = count,
                                          .before = before,
                                          .measure = {amosap_moments_loop_f32, amosap_moments_loop_f64},
                                          .decide = decide,
                                          .update = {amosap_adam_loop_f32, amosap_adam_loop_f64},
                                          .like = 1u << SLOT_M | 1u << SLOT_V};
static const rv_segments reduced_segments = {.count = count,
                                             .before = before,
                                             .measure = {amosap_squares_loop_f32, amosap_squares_loop_f64},
                                             .decide = decide,
                                             .update = {amosap_reduced_loop_f32, amosap_reduced_loop_f64},
                                             .like = 1u << SLOT_M};

static const rv_segments *segments(const void *params)
{
    return of(params)->style == ADAM ? &adam_segments : &reduced_segments;
}

static rv_status step(const rv_run *run)
{
    const amosap_params *p = run->params;
    const double lack = 1 - pow(p->beta2, (double)(run->step - 1));
    const amosap_args args = {.lr = learning_rate(run),
                              .lack = lack,
                              .beta1 = p->beta1,
                              .rest1 = 1 - p->beta1,
                              .beta2 = p->beta2,
                              .correct = (1 - p->beta2) / (1 - pow(p->beta2, (double)run->step)),
                              .limit = p->use_nu_clip && run->step > 1 ? 1 / lack : 0};
    return rv_segments_run(run, segments(p), &args);
}

static const rv_slot slots[] = {{"m", m_shape, false},
                                {"v", v_shape, false},
                                {"v_slot", v_slot_shape, false},
                                {"b", slot_shape, false}};

const rv_method rv_method_amos_algoperf = {
    .info = {.name = "amos_algoperf",
             .version = 1,
             .title = "Amos as revised for AlgoPerf",
             .equations = "S = sqrt(elements of the slot);  q = sqrt(1 - 1/S);  T = q ln(S (1 + q)^2);  "
                          "p = 1 + l2 ((1 + T/2)^2 - 1)^2\n"
                          "r = sqrt(1 + b);  Q = lr^2/max(G, r);  z = 1 + l2 b^2;  "
                          "a = (2r/(1 + sqrt(1 + 2r/(2 + T))))^2 - 1\n"
                          "w <- w - (Q/2 (p/z G + l2) w + lr eta u) / (1 + eta r a (1 + l2 b a)/(1 + l2 z/p))\n"
                          "b <- b + Q (G/S + b)\n"
                          "use_nu_clip: g^2 of an element is at most the corrected v before, over 1 - beta2\n"
                          "style adam: m <- beta1 m + (1 - beta1) g;  v <- beta2 v + g^2, corrected to a mean;  u = m/sqrt(v);  "
                          "G = (1 + beta1)/(1 - beta1) mean(m^2)/mean(v)\n"
                          "style reduced: v per slot;  u = g/sqrt(v);  G = mean(g^2)/v;  Q = lr^2/r;  b <- b + Q (1/S + b);  the "
                          "update is averaged with decay beta1\n"
                          "converge_steps: lr times sqrt(2 (T + sqrt(2) - 1)/converge_steps), T of the largest slot",
             .paper = "Tian & Parikh 2022, Amos, as revised by its authors in their AlgoPerf v0.5 submission",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "external_tuning/amos/submission.py",
             .deviations = "none in the rule; its gradient clipping and warm-up are the trial's; eta by role and our layouts "
                           "(eta_rule=flax: the axes of the reference); the largest slot is that of the rule's tensors",
             .params = &amosap_table,
             .state = "style adam: m, v like the tensor; style reduced: m like the tensor, only with beta1 > 0, v_slot one "
                      "per slot; b: one per slot",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 4,
    .segments = segments,
    .step = step,
};

#else

RV_TILE_FUNCTION(amosap_moments, amosap_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1, beta2 = (RV_REAL)a->beta2;
    const RV_REAL limit = (RV_REAL)a->limit, correct = (RV_REAL)a->correct;
    RV_REAL *m = t->s[0], *v = t->s[1], one[512 / sizeof(RV_REAL)], mean[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n) {
        const RV_REAL most = limit * v[i], square = t->g[i] * t->g[i];
        const RV_REAL over = most > 0 && square > most ? square / most : 1;
        m[i] = beta1 * m[i] + rest1 * (t->g[i] / RV_MATH(sqrt)(over));
        v[i] = beta2 * v[i] + square / over;
        mean[i] = v[i] * correct;
        one[i] = 1;
    }
    RV_FN(rv_dot)(m, m, t->n, t->sum[0]);
    RV_FN(rv_dot)(mean, one, t->n, t->sum[1]);
}
#define RV_KERNEL amosap_moments
#define RV_KERNEL_ARGS amosap_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(amosap_adam, amosap_args)
{
    const RV_REAL pull = (RV_REAL)a->pull, push = (RV_REAL)a->push, correct = (RV_REAL)a->correct;
    const RV_REAL least = sizeof(RV_REAL) == 4 ? (RV_REAL)FLT_MIN : (RV_REAL)DBL_MIN;
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL mean = v[i] * correct;
        const RV_REAL u = m[i] / RV_MATH(sqrt)(mean > least ? mean : least);
        t->out[i] = t->w[i] - (pull * t->w[i] + push * u);
    }
}
#define RV_KERNEL amosap_adam
#define RV_KERNEL_ARGS amosap_args
#include "optim/kernel_loop.h"

/* How far the square of g is above the cut, at least 1. */
RV_INLINE RV_REAL RV_FN(amosap_over)(RV_REAL g, RV_REAL cut)
{
    return cut > 0 && g * g > cut ? g * g / cut : 1;
}

RV_TILE_FUNCTION(amosap_squares, amosap_args)
{
    const RV_REAL cut = (RV_REAL)a->cut;
    RV_REAL g[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n)
        g[i] = t->g[i] / RV_MATH(sqrt)(RV_FN(amosap_over)(t->g[i], cut));
    RV_FN(rv_dot)(g, g, t->n, t->sum[0]);
}
#define RV_KERNEL amosap_squares
#define RV_KERNEL_ARGS amosap_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(amosap_reduced, amosap_args)
{
    const RV_REAL pull = (RV_REAL)a->pull, push = (RV_REAL)a->push, cut = (RV_REAL)a->cut;
    const RV_REAL scale = (RV_REAL)a->scale, beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    RV_REAL *m = t->s[0];
    for (int i = 0; i < t->n; i++) {
        const RV_REAL u = t->g[i] / RV_MATH(sqrt)(RV_FN(amosap_over)(t->g[i], cut)) * scale;
        RV_REAL down = pull * t->w[i] + push * u;
        if (m)
            down = m[i] = beta1 * m[i] + rest1 * down;
        t->out[i] = t->w[i] - down;
    }
}
#define RV_KERNEL amosap_reduced
#define RV_KERNEL_ARGS amosap_args
#include "optim/kernel_loop.h"

#endif
