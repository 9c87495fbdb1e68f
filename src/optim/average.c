/* The arithmetic of averages of the weights.  Invariant: one pass over weights and average,
 * element by element. */
#ifndef RV_REAL

#include "optim/average.h"

typedef struct average_args {
    double keep, take;
} average_args;

#define RV_KERNEL_FILE "optim/average.c"
#include "optim/kernel.h"

rv_status rv_average_add(const rv_run *run, double keep, double take)
{
    const average_args args = {keep, take};
    return rv_run_map(run, RV_KERNEL_OF(average), &args);
}

const rv_slot rv_average_slots[1] = {{"average", rv_slot_like, false}};
const char *const rv_average_scalars[1] = {"taken"};

void rv_average_evaluate(const rv_run *run, void *const *dst)
{
    if (run->scalars[0] > 0)
        rv_average_read(run, 1, dst);
}

void rv_average_read(const rv_run *run, double mass, void *const *dst)
{
    for (int i = 0; i < run->count; i++) {
        const int64_t n = rv_shape_size(&run->tensors[i].shape);
        if (run->dtype == RV_F32)
            average_read_f32(rv_run_slot(run, i, 0), dst[i], n, mass);
        else
            average_read_f64(rv_run_slot(run, i, 0), dst[i], n, mass);
    }
}

#else

RV_TILE_FUNCTION(average, average_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, take = (RV_REAL)a->take;
    RV_REAL *average = t->s[0];
    if (a->keep == 0)
        RV_EACH (i, t->n)
            average[i] = take * t->w[i];
    else
        RV_EACH (i, t->n)
            average[i] = keep * average[i] + take * t->w[i];
}
#define RV_KERNEL average
#define RV_KERNEL_ARGS average_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

static void RV_FN(average_read)(const RV_REAL *average, RV_REAL *dst, int64_t n, double mass)
{
    const RV_REAL whole = (RV_REAL)mass;
    for (int64_t i = 0; i < n; i++)
        dst[i] = average[i] / whole;
}

#endif
