/* RMSProp, centered and with momentum, in PyTorch's form or TensorFlow's.
 *     g <- g + weight_decay w;  v <- alpha v + (1 - alpha) g^2
 *     centered: a <- alpha a + (1 - alpha) g, and v - a^2 for v below
 *     torch: u = g / (sqrt(v) + eps);       b <- momentum b + u;     w <- w - lr b
 *     tf:    u = g / sqrt(v + eps), v_0 = 1;  b <- momentum b + lr u;  w <- w - b
 * Reference: pytorch torch/optim/rmsprop.py 2.6.0, timm/optim/rmsprop_tf.py aa4b5850.
 * Deviation: v - a^2 is kept from falling below zero. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct rmsprop_args {
    double l2, start, alpha, rest, eps, eps_inside; /* start: of v, in the first step; one eps is 0 */
    double momentum, in, out;                       /* b <- momentum b + in u;  w <- w - out b */
} rmsprop_args;

enum { SLOT_V, SLOT_A, SLOT_B };

#define RV_KERNEL_FILE "optim/rmsprop.c"
#include "optim/kernel.h"

#define RMSPROP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    RV_HP_LR(REAL, 1e-2)                                                                       \
    REAL(alpha, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")        \
    RV_HP_EPS(REAL, 1e-8, "added to the denominator")                                          \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer; 0: no buffer")             \
    BOOL(centered, false, "divide by the standard deviation instead of the root mean square")  \
    CHOICE(form, "torch|tf", "torch", "place of eps, start of v, place of lr against the buffer") \
    RV_HP_L2(REAL)
RV_PARAM_STRUCT(rmsprop_params, RMSPROP_PARAMS);
RV_PARAM_TABLE(rmsprop_table, "rmsprop", rmsprop_params, RMSPROP_PARAMS);
enum { TORCH, TF };

static bool mean_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const rmsprop_params *)params)->centered && rv_slot_like(tensor, params, shape);
}

static bool buffer_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const rmsprop_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const rmsprop_params *p = run->params;
    const bool tf = p->form == TF;
    const rmsprop_args args = {.l2 = p->weight_decay,
                               .start = tf && run->step == 1 ? 1 : 0,
                               .alpha = p->alpha,
                               .rest = 1 - p->alpha,
                               .eps = tf ? 0 : p->eps,
                               .eps_inside = tf ? p->eps : 0,
                               .momentum = p->momentum,
                               .in = tf ? run->lr : 1,
                               .out = tf ? 1 : run->lr};
    return rv_run_map(run, RV_KERNEL_OF(rmsprop), &args);
}

static const rv_slot slots[] = {
    {"v", rv_slot_like, false}, {"a", mean_shape, false}, {"b", buffer_shape, false}};

const rv_method rv_method_rmsprop = {
    .info = {.name = "rmsprop",
             .version = 1,
             .title = "RMSProp, centered or not, with or without momentum",
             .equations = "g <- g + weight_decay w;  v <- alpha v + (1 - alpha) g^2\n"
                          "centered: a <- alpha a + (1 - alpha) g, and max(v - a^2, 0) for v below\n"
                          "form torch: u = g / (sqrt(v) + eps);  b <- momentum b + u;  w <- w - lr b\n"
                          "form tf: v starts at 1;  u = g / sqrt(v + eps);  b <- momentum b + lr u;  w <- w - b; "
                          "its defaults are alpha=0.9,eps=1e-10",
             .paper = "Tieleman & Hinton 2012, lecture 6.5 of Neural networks for machine learning; Graves 2013, "
                      "Generating sequences with recurrent neural networks (centered)",
             .reference = "pytorch 2.6.0 torch/optim/rmsprop.py; form tf: pytorch-image-models aa4b5850 "
                          "timm/optim/rmsprop_tf.py",
             .deviations = "centered: v - a^2 is kept from falling below zero, where rounding gives the reference NaN",
             .params = &rmsprop_table,
             .state = "v: like the tensor; a: like the tensor, only when centered; b: like the tensor, only with "
                      "momentum > 0",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step,
};

#else

RV_TILE_FUNCTION(rmsprop, rmsprop_args)
{
    const RV_REAL l2 = (RV_REAL)a->l2, start = (RV_REAL)a->start, alpha = (RV_REAL)a->alpha, rest = (RV_REAL)a->rest;
    const RV_REAL eps = (RV_REAL)a->eps, inside = (RV_REAL)a->eps_inside, mu = (RV_REAL)a->momentum;
    const RV_REAL in = (RV_REAL)a->in, out = (RV_REAL)a->out;
    RV_REAL *v = t->s[SLOT_V], *mean = t->s[SLOT_A], *b = t->s[SLOT_B];
    RV_REAL u[RV_TILE], spread[RV_TILE];
    RV_EACH (i, t->n) {
        u[i] = t->g[i] + l2 * t->w[i];
        v[i] = alpha * (v[i] + start) + rest * u[i] * u[i];
        spread[i] = v[i];
    }
    if (mean)
        RV_EACH (i, t->n) {
            mean[i] = alpha * mean[i] + rest * u[i];
            const RV_REAL left = v[i] - mean[i] * mean[i];
            spread[i] = left > 0 ? left : 0;
        }
    RV_EACH (i, t->n) {
        const RV_REAL root = RV_MATH(sqrt)(spread[i] + inside) + eps;
        u[i] = root > 0 ? in * u[i] / root : 0;
    }
    if (b)
        RV_EACH (i, t->n) {
            b[i] = mu * b[i] + u[i];
            u[i] = b[i];
        }
    RV_EACH (i, t->n)
        t->out[i] = t->w[i] - out * u[i];
}
#define RV_KERNEL rmsprop
#define RV_KERNEL_ARGS rmsprop_args
#include "optim/kernel_loop.h"

#endif
