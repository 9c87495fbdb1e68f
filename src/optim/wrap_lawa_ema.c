/* Latest weight averaging as an exponential average of copies some steps apart.
 *     after step t, t > start and t a multiple of interval:  average <- beta average + (1 - beta) w
 * The first copy is taken whole.  Form submitted is AlgoPerf v0.5 lawa_ema as it ran: there beta
 * goes through int(), so that 0.2 became 0 and the average is the newest copy. */
#include <math.h>

#include "optim/average.h"

#define LAWA_EMA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    REAL(beta, 0.2, 0, 1, RV_PARAM_OPEN_HI, "share of the average that stays")               \
    CHOICE(form, "intended|submitted", "intended", "submitted: beta is cut to an integer, as in AlgoPerf v0.5") \
    RV_AVERAGE_WHEN(INT)
RV_PARAM_STRUCT(lawa_ema_params, LAWA_EMA_PARAMS);
RV_PARAM_TABLE(lawa_ema_table, "lawa_ema", lawa_ema_params, LAWA_EMA_PARAMS);

enum { INTENDED, SUBMITTED };

static rv_status after(const rv_run *run)
{
    const lawa_ema_params *p = run->params;
    if (!rv_average_due(run->step, p->start, p->interval))
        return RV_OK;
    const double beta = p->form == SUBMITTED ? trunc(p->beta) : p->beta;
    const bool first = run->scalars[0] == 0;
    RV_TRY(rv_average_add(run, first ? 0 : beta, first ? 1 : 1 - beta));
    run->scalars[0]++;
    return RV_OK;
}

const rv_wrapper rv_wrapper_lawa_ema = {
    .method = {.info = {.name = "lawa_ema",
                        .version = 1,
                        .title = "Latest weight averaging, exponential",
                        .equations = "after step t > start, t a multiple of interval: "
                                     "average <- beta average + (1 - beta) w; the first copy whole\n"
                                     "form submitted: int(beta) in place of beta",
                        .paper = "Kaddour 2022, Stop wasting my time!; Sanyal et al. 2023, Early weight averaging",
                        .reference = "mlcommons/submissions_algorithms AlgoPerf v0.5 lawa_ema (form submitted)",
                        .deviations = "intended: beta as given; the submission's int(beta) takes the newest copy alone",
                        .params = &lawa_ema_table,
                        .state = "average: like the tensor; taken: scalar",
                        .bytes_per_parameter = 4},
               .tolerance = 1e-12,
               .slots = rv_average_slots,
               .slot_count = 1,
               .scalars = rv_average_scalars,
               .scalar_count = 1,
               .evaluation_weights = rv_average_evaluate},
    .after = after,
};
