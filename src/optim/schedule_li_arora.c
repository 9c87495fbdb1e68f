/* The exponentially increasing rate that takes the place of weight decay where the loss does not
 * see the scale of the weights: SGD with this schedule and without decay visits the same functions
 * as SGD with rate lr and decay.
 *     start zero: a_0 = 1, a_(k+1) = 1 - lr wd + momentum (1 - 1/a_k), P_k = a_1 ... a_k;
 *                 factor 1/(P_k P_(k+1)), both runs begin without momentum
 *     start corrected: a the larger root of a^2 - (1 + momentum - lr wd) a + momentum = 0;
 *                 factor a^-(2k + 1), with wrapper li_arora_start for the initial momentum */
#include "optim/li_arora.h"
#include "optim/schedule.h"

#define LI_ARORA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    RV_LI_ARORA_PARAMS(REAL)                                                                 \
    CHOICE(start, "zero|corrected", "zero", "of the momentum: none, or by wrapper li_arora_start")
RV_PARAM_STRUCT(li_arora_params, LI_ARORA_PARAMS);
RV_PARAM_TABLE(table, "li_arora", li_arora_params, LI_ARORA_PARAMS);

enum { ZERO, CORRECTED };

double rv_li_arora_root(double lr, double weight_decay, double momentum)
{
    const double b = 1 + momentum - lr * weight_decay, d = b * b - 4 * momentum;
    return d >= 0 ? (b + sqrt(d)) / 2 : (double)NAN;
}

/* log(P_k P_(k+1)); the a_k settle after some hundred steps, the rest is a power. */
static double log_products(double lr, double weight_decay, double momentum, int64_t step)
{
    enum { SETTLED = 4096 };
    double a = 1, sum = 0; /* sum of log a_1 ... a_k */
    int64_t k = 0;
    for (; k < step && k < SETTLED; k++) {
        a = 1 - lr * weight_decay + momentum * (1 - 1 / a);
        sum += log(a);
    }
    const double next = 1 - lr * weight_decay + momentum * (1 - 1 / a);
    return 2 * (sum + (double)(step - k) * log(a)) + log(next);
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const li_arora_params *p = params;
    (void)total;
    const double root = rv_li_arora_root(p->lr, p->weight_decay, p->momentum);
    const double exponent = p->start == CORRECTED ? (2 * (double)step + 1) * log(root)
                                                  : log_products(p->lr, p->weight_decay, p->momentum, step);
    /* Where there is no root the equivalence does not hold: the rate stays as it is. */
    return isnan(root) || isnan(exponent) ? 1 : fmin(exp(-exponent), 1e300);
}

const rv_schedule_info rv_schedule_li_arora = {
    .name = "li_arora",
    .title = "Exponentially increasing rate in place of weight decay",
    .equation = "zero: 1/(P_k P_(k+1)), a_(k+1) = 1 - lr weight_decay + momentum (1 - 1/a_k), a_0 = 1, P_k = a_1 ... a_k\n"
                "corrected: a^-(2k + 1), a^2 - (1 + momentum - lr weight_decay) a + momentum = 0",
    .reference = "Li & Arora 2020, An exponential learning rate schedule for deep learning (arXiv 1910.07454); needs "
                 "lr weight_decay <= (1 - sqrt(momentum))^2, is 1 otherwise",
    .params = &table,
    .factor = factor,
};
