/* Stochastic gradient descent with momentum, dampening and Nesterov's look-ahead, in PyTorch's
 * form (the learning rate stands outside the buffer) or Sutskever's (inside); and SGDW, where the
 * decay is apart from the gradient.
 *     g <- g + weight_decay w                          sgdw: w <- w (1 - lr weight_decay)
 *     b <- momentum b + (1 - dampening) g              (b <- g in the first step)
 *     w <- w - lr (g + momentum b if nesterov, else b)
 * Reference: pytorch torch/optim/sgd.py 2.6.0, timm/optim/sgdw.py aa4b5850.  Deviations: none. */
#ifndef RV_REAL

#include "optim/rows.h"
#include "optim/sgd.h"

typedef struct sgd_args {
    double l2, keep, momentum;
    double in, take, out; /* buffer: momentum b + take in g; weights: minus out times it */
    bool nesterov;
} sgd_args;

#define RV_KERNEL_FILE "optim/sgd.c"
#include "optim/kernel.h"

#define SGD_ROWS(REAL, BOOL)                                                               \
    RV_HP_LR(REAL, 1e-3)                                                                   \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer; 0: no buffer")         \
    REAL(dampening, 0, 0, 1, 0, "share of the gradient kept out of the buffer")            \
    BOOL(nesterov, false, "look ahead along the buffer")                                   \
    BOOL(lr_inside, false, "the learning rate enters the buffer with the gradient")
#define SGD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) SGD_ROWS(REAL, BOOL) RV_HP_L2(REAL)
#define SGDW_PARAMS(REAL, INT, BOOL, CHOICE, TEXT) SGD_ROWS(REAL, BOOL) RV_HP_DECOUPLED(REAL, 0)
RV_PARAM_STRUCT(sgd_params, SGD_PARAMS); /* of both methods */
RV_PARAM_TABLE(sgd_table, "sgd", sgd_params, SGD_PARAMS);
RV_PARAM_TABLE(sgdw_table, "sgdw", sgd_params, SGDW_PARAMS);

static rv_status check_for(const char *method, const sgd_params *p, rv_error *err)
{
    if (p->nesterov && (p->momentum <= 0 || p->dampening != 0))
        return rv_fail(err, RV_E_ARGUMENT, "%s: nesterov needs momentum > 0 and dampening = 0, found %g and %g", method,
                       p->momentum, p->dampening);
    return RV_OK;
}

static rv_status check_sgd(const void *params, rv_error *err)
{
    return check_for("sgd", params, err);
}

static rv_status check_sgdw(const void *params, rv_error *err)
{
    return check_for("sgdw", params, err);
}

static bool buffer_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const sgd_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static rv_status step_with(const rv_run *run, double l2, double keep)
{
    const sgd_params *p = run->params;
    const sgd_args args = {.l2 = l2,
                           .keep = keep,
                           .momentum = p->momentum,
                           .in = p->lr_inside ? run->lr : 1,
                           .take = run->step == 1 ? 1 : 1 - p->dampening,
                           .out = p->lr_inside ? 1 : run->lr,
                           .nesterov = p->nesterov};
    return rv_run_map(run, RV_KERNEL_OF(sgd), &args);
}

rv_status rv_run_sgd(const rv_run *run, double momentum, double keep)
{
    const sgd_args args = {.keep = keep, .momentum = momentum, .in = 1, .take = 1, .out = run->lr};
    return rv_run_map(run, RV_KERNEL_OF(sgd), &args);
}

static rv_status step_sgd(const rv_run *run)
{
    return step_with(run, ((const sgd_params *)run->params)->weight_decay, 1);
}

static rv_status step_sgdw(const rv_run *run)
{
    return step_with(run, 0, 1 - run->lr * ((const sgd_params *)run->params)->weight_decay);
}

static const rv_slot slots[] = {{"b", buffer_shape, false}};

#define BUFFER_EQUATIONS                                                        \
    "b <- momentum b + (1 - dampening) g, and b <- g in the first step\n"       \
    "w <- w - lr (g + momentum b if nesterov, else b)\n"                        \
    "lr_inside (Sutskever, TensorFlow): b <- momentum b + lr (1 - dampening) g and w <- w - b; the same for constant lr"

const rv_method rv_method_sgd = {
    .info = {.name = "sgd",
             .version = 1,
             .title = "Stochastic gradient descent with momentum",
             .equations = "g <- g + weight_decay w\n" BUFFER_EQUATIONS,
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
    .check = check_sgd,
    .step = step_sgd,
};

const rv_method rv_method_sgdw = {
    .info = {.name = "sgdw",
             .version = 1,
             .title = "SGD with momentum and decoupled weight decay",
             .equations = "w <- w (1 - lr weight_decay)\n" BUFFER_EQUATIONS,
             .paper = "Loshchilov & Hutter 2019, Decoupled weight decay regularization, algorithm 1",
             .reference = "pytorch-image-models aa4b5850 timm/optim/sgdw.py",
             .deviations = "none from the reference; the paper's decay is not multiplied by the base learning rate",
             .params = &sgdw_table,
             .state = "b: like the tensor, only with momentum > 0",
             .bytes_per_parameter = 0},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .check = check_sgdw,
    .step = step_sgdw,
};

#else

RV_TILE_FUNCTION(sgd, sgd_args)
{
    const RV_REAL l2 = (RV_REAL)a->l2, keep = (RV_REAL)a->keep, in = (RV_REAL)a->in, out = (RV_REAL)a->out;
    const RV_REAL mu = (RV_REAL)a->momentum, take = (RV_REAL)a->take;
    RV_REAL *b = t->s[0];
    if (!b) {
        RV_EACH (i, t->n)
            t->out[i] = keep * t->w[i] - out * (in * (t->g[i] + l2 * t->w[i]));
        return;
    }
    RV_EACH (i, t->n) {
        const RV_REAL g = in * (t->g[i] + l2 * t->w[i]);
        b[i] = mu * b[i] + take * g;
        t->out[i] = keep * t->w[i] - out * (a->nesterov ? g + mu * b[i] : b[i]);
    }
}
#define RV_KERNEL sgd
#define RV_KERNEL_ARGS sgd_args
#include "optim/kernel_loop.h"

#endif
