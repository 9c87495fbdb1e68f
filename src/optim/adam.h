/* What the Adam family computes once per step: the weights of the two moments, their bias
 * corrections, the forms of decay, RAdam's rectification; and the step that adam, adamw, c_adamw
 * and nadamw share.  Invariant: all of it is double; kernels narrow it to their own type. */
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

/* ---- decay apart from the gradient --------------------------------------- */

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

/* ---- the shared step ------------------------------------------------------ */

enum { RV_ADAM_M, RV_ADAM_V, RV_ADAM_V_MAX }; /* slots; the last is optional */

typedef struct rv_adam_form {
    rv_moments moments;
    double keep;    /* the factor on the weights: decoupled decay */
    double l2;      /* times the weights, added to the gradient */
    double lift;    /* of v in the running maximum: 1, or 1/bias2 with root 1 */
    bool nesterov;  /* beta1 m + (1 - beta1) g in place of m */
    int caution;    /* RV_CAUTION_ */
} rv_adam_form;

rv_status rv_adam_step(const rv_run *run, const rv_adam_form *form);
/* A maximum over corrected moments leaves no correction for epsilon to stand before. */
rv_status rv_adam_check(const char *method, bool corrected_max, int eps_place, rv_error *err);

#define RV_HP_AMSGRAD(BOOL, CHOICE)                                   \
    BOOL(amsgrad, false, "divide by the largest second moment so far") \
    CHOICE(amsgrad_max, "raw|corrected", "raw", "the largest of v, or of v after its bias correction")
enum { RV_AMSGRAD_RAW, RV_AMSGRAD_CORRECTED };

/* Lets the maximum run over corrected moments. */
static inline void rv_adam_correct_max(rv_adam_form *form)
{
    form->lift = form->moments.root * form->moments.root;
    form->moments.root = 1;
}

#endif
