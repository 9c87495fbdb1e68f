/* AdaGrad: steps divided by the root of the sum of all squared gradients.
 *     g <- g + weight_decay w;  v <- v + g^2  (v starts at initial_accumulator_value)
 *     w <- w - lr/(1 + (t - 1) lr_decay) g / (sqrt(v) + eps)
 * Reference: pytorch torch/optim/adagrad.py 2.6.0.  Deviations: none. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"

typedef struct adagrad_args {
    double rate, l2, start, eps, eps_inside; /* start: of v, in the first step; one eps is 0 */
} adagrad_args;

#define RV_KERNEL_FILE "optim/adagrad.c"
#include "optim/kernel.h"

#define ADAGRAD_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    RV_HP_LR(REAL, 1e-2)                                                                       \
    REAL(lr_decay, 0, 0, HUGE_VAL, RV_HP_FREE, "the rate falls as 1/(1 + (t - 1) lr_decay)")   \
    REAL(initial_accumulator_value, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "where the sum of squares starts") \
    RV_HP_EPS(REAL, 1e-10, "added to the denominator")                                         \
    CHOICE(form, "torch|keras", "torch", "sqrt(v) + eps, or sqrt(v + eps)")                    \
    RV_HP_L2(REAL)
RV_PARAM_STRUCT(adagrad_params, ADAGRAD_PARAMS);
RV_PARAM_TABLE(adagrad_table, "adagrad", adagrad_params, ADAGRAD_PARAMS);
enum { TORCH, KERAS };

static rv_status step(const rv_run *run)
{
    const adagrad_params *p = run->params;
    const adagrad_args args = {.rate = run->lr / (1 + (double)(run->step - 1) * p->lr_decay),
                               .l2 = p->weight_decay,
                               .start = run->step == 1 ? p->initial_accumulator_value : 0,
                               .eps = p->form == TORCH ? p->eps : 0,
                               .eps_inside = p->form == KERAS ? p->eps : 0};
    return rv_run_map(run, RV_KERNEL_OF(adagrad), &args);
}

static const rv_slot slots[] = {{"v", rv_slot_like, false}};

const rv_method rv_method_adagrad = {
    .info = {.name = "adagrad",
             .version = 1,
             .title = "AdaGrad",
             .equations = "g <- g + weight_decay w;  v <- v + g^2, v starts at initial_accumulator_value\n"
                          "w <- w - lr/(1 + (t - 1) lr_decay) g / (sqrt(v) + eps)\n"
                          "form keras: sqrt(v + eps); its defaults are initial_accumulator_value=0.1,eps=1e-7",
             .paper = "Duchi, Hazan & Singer 2011, Adaptive subgradient methods for online learning and stochastic "
                      "optimization",
             .reference = "pytorch 2.6.0 torch/optim/adagrad.py; form keras: optax 0.2.8 optax.adagrad",
             .deviations = "none; the state holds initial_accumulator_value from the first step on",
             .params = &adagrad_table,
             .state = "v: like the tensor",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(adagrad, adagrad_args)
{
    const RV_REAL rate = (RV_REAL)a->rate, l2 = (RV_REAL)a->l2, start = (RV_REAL)a->start;
    const RV_REAL eps = (RV_REAL)a->eps, inside = (RV_REAL)a->eps_inside;
    RV_REAL *v = t->s[0];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i] + l2 * t->w[i];
        v[i] = v[i] + start + g * g;
        const RV_REAL root = RV_MATH(sqrt)(v[i] + inside) + eps;
        t->out[i] = t->w[i] - (root > 0 ? rate * g / root : 0); /* without eps nothing has been seen where v is 0 */
    }
}
#define RV_KERNEL adagrad
#define RV_KERNEL_ARGS adagrad_args
#include "optim/kernel_loop.h"

#endif
