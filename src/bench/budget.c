/* What a trial may spend.  Invariant: every entrant gets the same amount by the ruleset's clock, in
 * whatever batches it asks for; where nothing differs from the problem's own budget, nothing is set. */
#include <math.h>
#include <string.h>

#include "bench/plan.h"
#include "core/json.h"
#include "ravine/score.h"

/* The entrant's batch, 0: the problem's own, whatever that is. */
static int64_t batch_of(const rv_plan_problem *problem, double factor)
{
    double batch = round((double)problem->batch * factor);
    return factor == 1 ? problem->batch : batch < 1 ? 1 : (int64_t)batch;
}

static double batch_factor(const rv_plan_problem *problem, const rv_plan_entry *entry)
{
    return entry->submission ? rv_entrant_batch(&entry->entrant, problem->stands_for) : 1;
}

/* As many examples apart as the problem's own evaluations. */
static int64_t eval_every(const rv_plan_problem *problem, int64_t batch)
{
    if (batch == problem->batch)
        return problem->eval_every;
    double steps = round((double)problem->eval_every * (double)problem->batch / (double)batch);
    return steps < 1 ? 1 : (int64_t)steps;
}

json_t *rv_plan_given(const rv_plan_problem *problem, const rv_plan_entry *entry)
{
    int64_t batch = batch_of(problem, batch_factor(problem, entry));
    double examples = (double)problem->steps * (double)problem->batch;
    return json_pack("{s:I, s:I, s:I, s:f}", "steps", (json_int_t)problem->steps, "batch", (json_int_t)batch,
                     "eval_every", (json_int_t)eval_every(problem, batch), "examples", examples);
}

double rv_plan_overhead(const rv_plan *plan, int optimizer)
{
    const rv_plan_entry *entry = &plan->entry[optimizer];
    return entry->submission ? entry->entrant.overhead : 1;
}

static int set_int(json_t *train, const char *key, double value)
{
    return json_object_set_new(train, key, json_integer((json_int_t)value));
}

rv_status rv_plan_budget(const rv_plan *plan, int problem_number, int optimizer, json_t *config, rv_error *err)
{
    const rv_plan_problem *problem = &plan->problem[problem_number];
    const rv_plan_entry *entry = &plan->entry[optimizer];
    double rule = batch_factor(problem, entry), overhead = rv_plan_overhead(plan, optimizer);
    if (rule != 1 && problem->batch == 0)
        return rv_fail(err, RV_E_ARGUMENT, "the batch is %g times the problem's, which must say train.batch", rule);
    int64_t batch = batch_of(problem, rule);
    const char *clock = plan->ruleset->clock;
    bool seconds = strcmp(clock, "seconds") == 0, examples = strcmp(clock, "examples") == 0;
    /* A smaller batch makes more steps of the same examples, and in the same seconds; by steps it buys nothing. */
    double shrunk = batch == problem->batch || !(seconds || examples) ? 1 : (double)problem->batch / (double)batch;
    double times = plan->ruleset->budget_factor, cost = examples ? overhead : 1;
    double steps = ceil((double)problem->steps * times * shrunk / cost);
    if (seconds && problem->seconds <= 0)
        return rv_fail(err, RV_E_ARGUMENT, "the ruleset '%s' counts seconds, and the problem does not say train.seconds",
                       plan->ruleset->name);
    if (steps > 1e15 || steps * (double)(batch > 0 ? batch : 1) > 1e18)
        return rv_fail(err, RV_E_RANGE, "a budget of %g steps; at most 1e15", steps);
    json_t *train = json_object_get(config, "train");
    int failed = 0;
    if (!train)
        failed |= json_object_set_new(config, "train", train = json_object());
    if (steps != (double)problem->steps) {
        failed |= set_int(train, "steps", steps);
        if (!json_object_get(train, "horizon"))
            failed |= set_int(train, "horizon", (double)problem->steps);
    }
    if (batch != problem->batch) {
        failed |= set_int(train, "batch", (double)batch);
        failed |= set_int(train, "eval_every", (double)eval_every(problem, batch));
    }
    if (seconds)
        failed |= json_object_set_new(train, "seconds", json_real(problem->seconds * times));
    return failed ? rv_plan_need(NULL, err) : RV_OK;
}
