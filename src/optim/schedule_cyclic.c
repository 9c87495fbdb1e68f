/* Cyclic policy, of the rate and of the momentum that runs opposite to it.  lr is the largest
 * rate, momentum the largest momentum; factor of step 0: low, and 1 for the momentum. */
#include <math.h>

#include "optim/schedule.h"

#define CYCLIC_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    REAL(low, 0.1, 0, 1, 0, "the smallest value over the largest")                               \
    INT(up, 0, 0, 1e15, 0, "steps in which the rate rises; 0: up_fraction counts")               \
    REAL(up_fraction, 0.1, 0, 1, RV_PARAM_OPEN_LO, "the same as a share of all steps")           \
    INT(down, 0, 0, 1e15, 0, "steps in which it falls; 0: as many as it rises")                  \
    CHOICE(mode, "triangular|triangular2|exp_range", "triangular", "height of the cycles: equal, halved each, or gamma^k") \
    REAL(gamma, 1, 0, 1, RV_PARAM_OPEN_LO, "of exp_range")
RV_PARAM_STRUCT(cyclic_params, CYCLIC_PARAMS);
RV_PARAM_TABLE(table, "cyclic", cyclic_params, CYCLIC_PARAMS);

enum { TRIANGULAR, TRIANGULAR2, EXP_RANGE };

/* Height in the cycle, from 0 to the cycle's own top. */
static double height(const cyclic_params *p, int64_t step, int64_t total)
{
    const double up = fmax(1, (double)rv_phase_length(p->up, p->up_fraction, total));
    const double length = up + (p->down > 0 ? (double)p->down : up);
    const double cycle = floor((double)step / length), at = (double)step / length - cycle, rise = up / length;
    const double share = at <= rise ? at / rise : (at - 1) / (rise - 1);
    const double top = p->mode == TRIANGULAR2 ? pow(0.5, cycle) : p->mode == EXP_RANGE ? pow(p->gamma, (double)step) : 1;
    return share * top;
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const cyclic_params *p = params;
    return p->low + (1 - p->low) * height(p, step, total);
}

static double momentum_factor(const void *params, int64_t step, int64_t total)
{
    const cyclic_params *p = params;
    return 1 - (1 - p->low) * height(p, step, total);
}

const rv_schedule_info rv_schedule_cyclic = {
    .name = "cyclic",
    .title = "Triangles between two rates",
    .equation = "low + (1 - low) f top, f up from 0 to 1 and down again, top 1, 1/2^cycle or gamma^k",
    .reference = "Smith 2017, Cyclical learning rates; torch.optim.lr_scheduler.CyclicLR 2.6.0 (low = base_lr/max_lr)",
    .params = &table,
    .factor = factor,
};

const rv_schedule_info rv_schedule_cyclic_momentum = {
    .name = "cyclic_momentum",
    .title = "The momentum of the cyclic policy: down while the rate rises, and up again",
    .equation = "1 - (1 - low) f top, f and top as cyclic",
    .reference = "torch.optim.lr_scheduler.CyclicLR 2.6.0 (low = base_momentum/max_momentum)",
    .params = &table,
    .factor = momentum_factor,
};
