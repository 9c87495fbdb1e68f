/* The average of Schedule-Free methods, copied out: there is no evaluation mode to forget. */
#ifndef RV_REAL

#include "optim/schedule_free.h"

#define RV_KERNEL_FILE "optim/schedule_free.c"
#include "optim/kernel.h"

void rv_sf_average(const rv_run *run, int slot_z, double b, void *const *dst)
{
    for (int k = 0; k < run->count; k++) {
        const int64_t n = rv_shape_size(&run->tensors[k].shape);
        if (run->dtype == RV_F32)
            sf_average_f32(run->w[k], rv_run_slot(run, k, slot_z), dst[k], n, 1 - 1 / b);
        else
            sf_average_f64(run->w[k], rv_run_slot(run, k, slot_z), dst[k], n, 1 - 1 / b);
    }
}

#else

static void RV_FN(sf_average)(const RV_REAL *y, const RV_REAL *z, RV_REAL *x, int64_t n, double way)
{
    const RV_REAL reach = (RV_REAL)way;
    for (int64_t i = 0; i < n; i++)
        x[i] = y[i] + reach * (z[i] - y[i]);
}

#endif
