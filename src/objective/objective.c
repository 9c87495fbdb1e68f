/* The waist itself: calls go through, and what every objective promises is checked here. */
#include "ravine/objective.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *rv_split_name(rv_split split)
{
    static const char *const names[] = {"train", "validation", "test"};
    return names[split];
}

double rv_metrics_get(const rv_metrics *metrics, const char *name)
{
    for (int i = 0; i < metrics->count; i++)
        if (strcmp(metrics->metric[i].name, name) == 0)
            return metrics->metric[i].value;
    return NAN;
}

rv_status rv_objective_init(rv_objective *objective, uint64_t seed, void *w, rv_error *err)
{
    return objective->methods->init(objective, seed, w, err);
}

rv_status rv_objective_value_grad(rv_objective *objective, const void *w, rv_batch batch, void *g,
                                  double *loss, rv_error *err)
{
    assert(batch.parts >= 1 && batch.part >= 0 && batch.part < batch.parts);
    return objective->methods->value_grad(objective, w, batch, g, loss, err);
}

rv_status rv_objective_sampled_grad(rv_objective *objective, const void *w, rv_batch batch, void *g,
                                    double *loss, rv_error *err)
{
    assert(batch.parts >= 1 && batch.part >= 0 && batch.part < batch.parts);
    if (!objective->methods->sampled_grad)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: has no classes that labels could be drawn from", objective->name);
    return objective->methods->sampled_grad(objective, w, batch, g, loss, err);
}

rv_status rv_objective_factors(rv_objective *objective, const void *w, rv_batch batch, bool sampled, void *g,
                               double *loss, void *factors, rv_error *err)
{
    assert(batch.parts >= 1 && batch.part >= 0 && batch.part < batch.parts);
    if (!objective->methods->factors || objective->layout->layer_count == 0)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: has no linear layers that factors could be taken of", objective->name);
    return objective->methods->factors(objective, w, batch, sampled, g, loss, factors, err);
}

rv_status rv_objective_evaluate(rv_objective *objective, const void *w, rv_split split,
                                rv_metrics *metrics, rv_error *err)
{
    metrics->count = 0;
    return objective->methods->evaluate(objective, w, split, metrics, err);
}

rv_status rv_objective_recompute(rv_objective *objective, const void *w, rv_error *err)
{
    if (objective->state_size == 0)
        return RV_OK;
    return objective->methods->recompute(objective, w, err);
}

void rv_objective_free(rv_objective *objective)
{
    if (objective)
        objective->methods->free(objective);
}
