/* Polynomial decay.  Factor of step 0: 1. */
#include <math.h>

#include "optim/schedule.h"

#define POLYNOMIAL_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                    \
    REAL(power, 2, 0, 100, RV_PARAM_OPEN_LO, "1: linear")                                   \
    INT(steps, 0, 0, 1e15, 0, "steps until the end value; 0: all")                          \
    REAL(end, 0, 0, 1, 0, "factor at the end")
RV_PARAM_STRUCT(polynomial_params, POLYNOMIAL_PARAMS);
RV_PARAM_TABLE(table, "polynomial", polynomial_params, POLYNOMIAL_PARAMS);

static double factor(const void *params, int64_t step, int64_t total)
{
    const polynomial_params *p = params;
    const int64_t length = rv_phase_length(p->steps, 1, total);
    if (step >= length)
        return p->end;
    return p->end + (1 - p->end) * pow(1 - (double)step / (double)length, p->power);
}

const rv_schedule_info rv_schedule_polynomial = {
    .name = "polynomial",
    .title = "Polynomial decay",
    .equation = "end + (1 - end) (1 - min(k, T)/T)^power",
    .reference = "torch.optim.lr_scheduler.PolynomialLR 2.6.0 (end 0)",
    .params = &table,
    .factor = factor,
};
