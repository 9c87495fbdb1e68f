/* What the exponential rate of Li and Arora (2020) and the momentum it starts from share. */
#ifndef RV_OPTIM_LI_ARORA_H
#define RV_OPTIM_LI_ARORA_H

#include <math.h>

#include "ravine/optim.h"

/* Of the run with weight decay that is reproduced. */
#define RV_LI_ARORA_PARAMS(REAL)                                                                            \
    REAL(lr, 0.1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "rate of the run that is reproduced") \
    REAL(weight_decay, 5e-4, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "its weight decay")              \
    REAL(momentum, 0.9, 0, 1, RV_PARAM_OPEN_HI, "its momentum, and that of the run")

/* The larger root a of a^2 - (1 + momentum - lr weight_decay) a + momentum = 0; NaN: there is no
 * real one. */
double rv_li_arora_root(double lr, double weight_decay, double momentum);

#endif
