/* Rows of parameter tables that many methods have.  Invariant: one idea has one name, one range
 * and one wording; only the default differs between methods. */
#ifndef RV_OPTIM_ROWS_H
#define RV_OPTIM_ROWS_H

#include "ravine/param.h"

#define RV_HP_FREE (RV_PARAM_LOG | RV_PARAM_OPEN_HI) /* 0 to infinity, on a logarithmic scale */

#define RV_HP_LR(REAL, initial) REAL(lr, initial, 0, HUGE_VAL, RV_HP_FREE, "learning rate")
#define RV_HP_BETA1(REAL, initial) REAL(beta1, initial, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")
#define RV_HP_BETA2(REAL, initial) \
    REAL(beta2, initial, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")
#define RV_HP_EPS(REAL, initial, help) REAL(eps, initial, 0, HUGE_VAL, RV_HP_FREE, help)
#define RV_HP_WEIGHT_DECAY(REAL, initial, help) REAL(weight_decay, initial, 0, HUGE_VAL, RV_HP_FREE, help)
#define RV_HP_L2(REAL) RV_HP_WEIGHT_DECAY(REAL, 0, "times the weights, added to the gradient (L2)")
#define RV_HP_DECOUPLED(REAL, initial) RV_HP_WEIGHT_DECAY(REAL, initial, "decoupled, times the learning rate")

/* Whether decay is a part of the gradient or apart from it. */
#define RV_HP_DECAY(CHOICE, initial) \
    CHOICE(decay, "l2|decoupled", initial, "decay enters the gradient, or shrinks the weights by lr weight_decay")
enum { RV_DECAY_L2, RV_DECAY_DECOUPLED };

/* Where epsilon stands: sqrt(v)/sqrt(1 - beta2^t) + eps, or (sqrt(v) + eps)/sqrt(1 - beta2^t). */
#define RV_HP_EPS_PLACE(CHOICE, initial) \
    CHOICE(eps_place, "after|before", initial, "epsilon is added after or before the bias correction of the root")
enum { RV_EPS_AFTER, RV_EPS_BEFORE };

#endif
