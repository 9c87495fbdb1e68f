/* Sums of squares that methods divide by, in double and in a fixed tree. */
#ifndef RV_OPTIM_NORMS_H
#define RV_OPTIM_NORMS_H

#include "optim/method.h"

enum { RV_SQUARES_G, RV_SQUARES_W }; /* columns of the sums */

/* Of the gradient and, with `weights`, of the weights: total over all tensors and, unless NULL,
 * each [count][RV_MAX_SUMS] per tensor. */
rv_status rv_run_squares(const rv_run *run, bool weights, double *total, double (*each)[RV_MAX_SUMS]);

#endif
