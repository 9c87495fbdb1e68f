/* Puts one named value into a set of metrics. */
#ifndef RV_OBJECTIVE_METRIC_H
#define RV_OBJECTIVE_METRIC_H

#include <assert.h>
#include <stdio.h>

#include "ravine/objective.h"

static inline void rv_metrics_put(rv_metrics *metrics, const char *name, double value)
{
    assert(metrics->count < RV_MAX_METRICS);
    rv_metric *metric = &metrics->metric[metrics->count++];
    snprintf(metric->name, sizeof metric->name, "%s", name);
    metric->value = value;
}

#endif
