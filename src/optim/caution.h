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

/* Counts with the kernel `aligned` the elements of every tensor whose update points along the
 * gradient (its first sum); *scales [run->count][0] then is the scale of the mask, whose values are 1
 * and weak.  floor: the least mean that is divided by.  Form off: *scales is NULL. */
static inline rv_status rv_caution_measure(const rv_run *run, rv_kernel aligned, const void *args, int form, double floor,
                                           double weak, const double (**scales)[RV_MAX_SUMS])
{
    *scales = NULL;
    if (form == RV_CAUTION_OFF)
        return RV_OK;
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_sum(run, aligned, args, total, each));
    for (int k = 0; k < run->count; k++) {
        const double size = (double)rv_shape_size(&run->tensors[k].shape), count = each[k][0];
        const double mean = size > 0 ? (count + weak * (size - count)) / size : 1;
        each[k][0] = form == RV_CAUTION_COUNT ? size / (count + 1) : 1 / fmax(mean, floor);
    }
    *scales = (const double (*)[RV_MAX_SUMS])each;
    return RV_OK;
}

#endif
