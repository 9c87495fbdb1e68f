/* The step of SGD for methods that make a gradient of their own. */
#ifndef RV_OPTIM_SGD_H
#define RV_OPTIM_SGD_H

#include "optim/method.h"

/* b <- momentum b + g;  w <- keep w - lr b, b: slot 0; where it is absent b is g. */
rv_status rv_run_sgd(const rv_run *run, double momentum, double keep);

#endif
