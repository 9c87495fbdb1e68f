/* Cautious updates (Liang et al. 2024, algorithm 1): elements whose update points against the
 * gradient are masked, and the rest of the tensor is scaled up.  Invariant: the mask is counted
 * before the step in a pass of its own, so the scale does not depend on the number of workers. */
#ifndef RV_OPTIM_CAUTION_H
#define RV_OPTIM_CAUTION_H

#include <math.h>

#include "optim/method.h"

#define RV_HP_CAUTION(CHOICE, initial)          \
    CHOICE(caution, "off|mean|count", initial,  \
           "mask updates against the gradient; scale by 1/mean of the mask or by size/(count + 1)")
enum { RV_CAUTION_OFF, RV_CAUTION_MEAN, RV_CAUTION_COUNT };

/* The smallest mean that is divided by, in timm and in the authors' code. */
#define RV_CAUTION_FLOOR 1e-3

/* each [run->count][0]: in, the number of elements whose update points along the gradient; out,
 * the scale of the mask.  weak: what the mask is where it is not 1. */
static inline void rv_caution_scales(const rv_run *run, double (*each)[RV_MAX_SUMS], int form, double floor, double weak)
{
    for (int k = 0; k < run->count; k++) {
        const double size = (double)rv_shape_size(&run->tensors[k].shape), count = each[k][0];
        const double mean = size > 0 ? (count + weak * (size - count)) / size : 1;
        each[k][0] = form == RV_CAUTION_COUNT ? size / (count + 1) : 1 / fmax(mean, floor);
    }
}

#endif
