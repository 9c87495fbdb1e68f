/* Measures at the evaluations of a trial, kept in its log: a run that was stopped, resumed or finished long ago
 * says the same as one that has just been made. */
#include "studies/modular.h"

#include <math.h>

#include "objective/metric.h"
#include "studies/concentration.h"

/* As the log names them; "accuracy" is the workload's own. */
static const char *const names[RV_MEASURES] = {"train_accuracy", "accuracy", "train_loss", "norm", "additive", "multiplicative"};

static rv_status measure_embedding(const rv_objective *objective, const void *w, rv_metrics *metrics, rv_error *err)
{
    const rv_layout *layout = objective->layout;
    int tokens = rv_layout_find(layout, "tokens.weight"), hidden = rv_layout_find(layout, "hidden0.weight");
    const rv_tensor *table = &layout->tensors[tokens >= 0 ? tokens : hidden]; /* [p + 2, width] or [2 p, width] */
    int p = (int)(tokens >= 0 ? table->shape.dim[0] - 2 : table->shape.dim[0] / 2);
    const char *rows = (const char *)w + (size_t)table->offset * rv_dtype_size(objective->dtype);
    for (rv_group group = RV_GROUP_ADDITIVE; group <= RV_GROUP_MULTIPLICATIVE; group++) {
        double gini;
        RV_TRY(rv_concentration(rows, objective->dtype, p, table->shape.dim[1], group, &gini, err));
        rv_metrics_put(metrics, names[group == RV_GROUP_ADDITIVE ? RV_ADDITIVE : RV_MULTIPLICATIVE], gini);
    }
    return RV_OK;
}

static rv_status measure(void *context, rv_objective *objective, const void *w, rv_metrics *metrics, rv_error *err)
{
    (void)context;
    rv_metrics train;
    double sum = 0;
    RV_TRY(rv_objective_evaluate(objective, w, RV_SPLIT_TRAIN, &train, err));
    for (int64_t i = 0; i < objective->layout->size; i++) {
        double x = objective->dtype == RV_F64 ? ((const double *)w)[i] : (double)((const float *)w)[i];
        sum += x * x;
    }
    rv_metrics_put(metrics, names[RV_TRAIN_ACCURACY], rv_metrics_get(&train, "accuracy"));
    rv_metrics_put(metrics, names[RV_TRAIN_LOSS], rv_metrics_get(&train, "loss"));
    rv_metrics_put(metrics, names[RV_WEIGHT_NORM], sqrt(sum));
    return measure_embedding(objective, w, metrics, err);
}

void rv_modular_prepare(rv_study_trial *t)
{
    t->measure = measure;
    t->more = names;
    t->more_count = RV_MEASURES;
}

const double *rv_modular_curve(const rv_study_trial *t, rv_measure what)
{
    return t->further + (size_t)what * (size_t)t->count;
}

double rv_modular_reached(const rv_study_trial *t, rv_measure what, double level)
{
    const double *value = rv_modular_curve(t, what);
    for (int i = 0; i < t->count; i++)
        if (value[i] >= level)
            return t->step[i];
    return NAN;
}

double rv_modular_at(const rv_study_trial *t, rv_measure what, double step)
{
    double found = NAN;
    const double *value = rv_modular_curve(t, what);
    for (int i = 0; i < t->count && t->step[i] <= step; i++)
        found = value[i];
    return found;
}
