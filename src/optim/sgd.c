/* Stochastic gradient descent with momentum, dampening, Nesterov's look-ahead and
 * coupled (L2) weight decay, in PyTorch's form: the learning rate stands outside the buffer.
 *     g <- g + weight_decay w
 *     b <- momentum b + (1 - dampening) g       (b <- g in the first step)
 *     w <- w - lr (g + momentum b if nesterov, else b)
 * Reference: pytorch torch/optim/sgd.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct sgd_args {
    double lr, weight_decay, momentum, keep; /* keep: weight of the gradient in the buffer */
    bool nesterov;
} sgd_args;

#define RV_KERNEL_FILE "optim/sgd.c"
#include "optim/kernel.h"

#define SGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")          \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer; 0: no buffer")         \
    REAL(dampening, 0, 0, 1, 0, "share of the gradient kept out of the buffer")            \
    BOOL(nesterov, false, "look ahead along the buffer")                                   \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the gradient (L2)")
RV_PARAM_STRUCT(sgd_params, SGD_PARAMS);
RV_PARAM_TABLE(sgd_table, "sgd", sgd_params, SGD_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const sgd_params *p = params;
    if (p->nesterov && (p->momentum <= 0 || p->dampening != 0))
        return rv_fail(err, RV_E_ARGUMENT, "sgd: nesterov needs momentum > 0 and dampening = 0, found %g and %g",
                       p->momentum, p->dampening);
    return RV_OK;
}

static bool buffer_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const sgd_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static rv_status step(const rv_run *run)
{
    const sgd_params *p = run->params;
    const sgd_args args = {.lr = run->lr,
                           .weight_decay = p->weight_decay,
                           .momentum = p->momentum,
                           .keep = run->step == 1 ? 1 : 1 - p->dampening,
                           .nesterov = p->nesterov};
    return rv_run_map(run, RV_KERNEL_OF(sgd), &args);
}

static const rv_slot slots[] = {{"b", buffer_shape, false}};

const rv_method rv_method_sgd = {
    .info = {.name = "sgd",
             .version = 1,
             .title = "Stochastic gradient descent with momentum",
             .equations = "g <- g + weight_decay w\n"
                          "b <- momentum b + (1 - dampening) g, and b <- g in the first step\n"
                          "w <- w - lr (g + momentum b if nesterov, else b)",
             .paper = "Polyak 1964, Some methods of speeding up the convergence of iteration methods; "
                      "Nesterov 1983; Sutskever et al. 2013",
             .reference = "pytorch 2.6.0 torch/optim/sgd.py",
             .deviations = "none",
             .params = &sgd_table,
             .state = "b: like the tensor, only with momentum > 0",
             .bytes_per_parameter = 0},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .check = check,
    .step = step,
};

#else

RV_TILE_FUNCTION(sgd, sgd_args)
{
    const RV_REAL lr = (RV_REAL)a->lr, decay = (RV_REAL)a->weight_decay;
    const RV_REAL mu = (RV_REAL)a->momentum, keep = (RV_REAL)a->keep;
    RV_REAL *b = t->s[0];
    if (!b) {
        RV_EACH (i, t->n)
            t->out[i] = t->w[i] - lr * (t->g[i] + decay * t->w[i]);
        return;
    }
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + decay * t->w[i];
        b[i] = mu * b[i] + keep * g;
        t->out[i] = t->w[i] - lr * (a->nesterov ? g + mu * b[i] : b[i]);
    }
}
#define RV_KERNEL sgd
#define RV_KERNEL_ARGS sgd_args
#include "optim/kernel_loop.h"

#endif
