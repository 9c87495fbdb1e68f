/* One-cycle policy.  lr is the largest rate; factor of step 0: 1/div. */
#include <math.h>

#include "optim/schedule.h"

#define ONE_CYCLE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                     \
    RV_CYCLE_PARAMS(REAL, BOOL, CHOICE)                                                     \
    REAL(div, 25, 1, HUGE_VAL, RV_PARAM_OPEN_HI, "lr over the first rate")                  \
    REAL(final_div, 1e4, 1, HUGE_VAL, RV_PARAM_OPEN_HI, "first rate over the final rate")
RV_PARAM_STRUCT(one_cycle_params, ONE_CYCLE_PARAMS);
RV_PARAM_TABLE(table, "one_cycle", one_cycle_params, ONE_CYCLE_PARAMS);

enum { COS, LINEAR };

double rv_cycle_value(const rv_cycle *c, int64_t step, int64_t total)
{
    const double k = (double)step, last = (double)total - 1, top = c->rise * (double)total;
    const double end[] = {top - 1, c->three_phase ? 2 * top - 2 : last, last};
    double start = 0;
    for (int phase = 0; phase < (c->three_phase ? 3 : 2); phase++) {
        if (k <= end[phase] && end[phase] > start) {
            const double x = (k - start) / (end[phase] - start), from = c->value[phase], to = c->value[phase + 1];
            return c->anneal == COS ? to + (from - to) / 2 * (1 + cos(M_PI * x)) : from + (to - from) * x;
        }
        start = fmax(start, end[phase]);
    }
    return c->value[c->three_phase ? 3 : 2];
}

static double factor(const void *params, int64_t step, int64_t total)
{
    const one_cycle_params *p = params;
    const double first = 1 / p->div, last = first / p->final_div;
    const rv_cycle c = {p->rise, p->anneal, p->three_phase, {first, 1, p->three_phase ? first : last, last}};
    return rv_cycle_value(&c, step, total);
}

const rv_schedule_info rv_schedule_one_cycle = {
    .name = "one_cycle",
    .title = "One cycle: up to lr, then down to almost nothing",
    .equation = "1/div -> 1 until step rise T - 1, then -> 1/(div final_div) at step T - 1\n"
                "three_phase: back to 1/div until step 2 rise T - 2, then to the end",
    .reference = "Smith & Topin 2018, Super-convergence; torch.optim.lr_scheduler.OneCycleLR 2.6.0",
    .params = &table,
    .factor = factor,
};
