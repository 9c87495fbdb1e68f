/* What the Adam family computes once per step: the weights of the two moments, their bias
 * corrections, the forms of decay and RAdam's rectification.  Invariant: all of it is double; kernels
 * narrow it to their own type (moments_real.h). */
#ifndef RV_OPTIM_ADAM_H
#define RV_OPTIM_ADAM_H

#include <math.h>

#include "optim/method.h"
#include "optim/rows.h"

typedef struct rv_moments {
    double beta1, beta2, rest1, rest2; /* rest = 1 - beta */
    double bias1, bias2;               /* 1 - beta^t */
    double rate;                       /* lr / bias1 */
    double root;                       /* 1 / sqrt(bias2), the factor on sqrt(v) */
    double eps;
} rv_moments;

static inline rv_moments rv_moments_at(const rv_run *run, double beta1, double beta2, double eps)
{
    const double t = (double)run->step, bias1 = 1 - pow(beta1, t), bias2 = 1 - pow(beta2, t);
    return (rv_moments){.beta1 = beta1,
                        .beta2 = beta2,
                        .rest1 = 1 - beta1,
                        .rest2 = 1 - beta2,
                        .bias1 = bias1,
                        .bias2 = bias2,
                        .rate = run->lr / bias1,
                        .root = 1 / sqrt(bias2),
                        .eps = eps};
}

/* The same with epsilon at its place: lr sqrt(bias2)/bias1 m / (sqrt(v) + eps) for RV_EPS_BEFORE. */
static inline void rv_moments_place_eps(rv_moments *m, int place)
{
    if (place == RV_EPS_BEFORE) {
        m->rate *= sqrt(m->bias2);
        m->root = 1;
    }
}

/* ---- decay ---------------------------------------------------------------- */

/* RV_HP_DECAY as two numbers: g <- g + l2 w, w <- keep w. */
typedef struct rv_decay {
    double l2, keep;
} rv_decay;

static inline rv_decay rv_decay_of(const rv_run *run, int decay, double weight_decay)
{
    return decay == RV_DECAY_L2 ? (rv_decay){weight_decay, 1} : (rv_decay){0, 1 - run->lr * weight_decay};
}

/* How decoupled decay follows the learning rate, whose base is lr and whose value now is
 * eta = run->lr: eta weight_decay (pytorch), eta/lr weight_decay (Loshchilov & Hutter's paper),
 * eta^2/lr weight_decay (Defazio 2025, "corrected"). */
#define RV_HP_DECAY_FORM(CHOICE)                                        \
    CHOICE(decay, "decoupled|independent|corrected", "decoupled",       \
           "decay per step: lr wd, the schedule's factor times wd, or lr times that factor times wd")
enum { RV_FORM_DECOUPLED, RV_FORM_INDEPENDENT, RV_FORM_CORRECTED };

/* The factor on the weights. */
static inline double rv_decay_keep(const rv_run *run, int form, double lr, double weight_decay)
{
    const double factor = lr > 0 ? run->lr / lr : 0;
    if (form == RV_FORM_INDEPENDENT)
        return 1 - factor * weight_decay;
    return 1 - run->lr * weight_decay * (form == RV_FORM_CORRECTED ? factor : 1);
}

/* ---- rectification -------------------------------------------------------- */

/* RAdam's factor r on the adaptive step (Liu et al. 2020, algorithm 2); 0 while the variance of
 * 1/sqrt(v) is not tractable: rho <= threshold, which is at least 4. */
static inline double rv_rectification(double beta2, double t, double threshold)
{
    const double limit = 2 / (1 - beta2) - 1, power = pow(beta2, t), rho = limit - 2 * t * power / (1 - power);
    if (!(rho > threshold))
        return 0;
    return sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho));
}

#endif
