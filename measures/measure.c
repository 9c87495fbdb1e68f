/* The registry of measures (one line each in measures.def), the check of their tables, and what
 * measures call while they run. */
#include "measures/measure.h"

#include <stdarg.h>
#include <string.h>

#include "core/json.h"

#define MEASURE(name) extern const rv_measure rv_measure_##name;
#include "measures.def"
#undef MEASURE

static const rv_measure *const measures[] = {
#define MEASURE(name) &rv_measure_##name,
#include "measures.def"
#undef MEASURE
};

RV_PARAM_TABLE(common_table, "probe", rv_measure_params, RV_MEASURE_COMMON);

const rv_param_table *rv_measure_common(void)
{
    return &common_table;
}

const rv_measure *rv_measure_at(int i)
{
    int count = (int)(sizeof measures / sizeof measures[0]);
    return i >= 0 && i < count ? measures[i] : NULL;
}

const rv_measure *rv_measure_find(const char *name)
{
    for (int i = 0; rv_measure_at(i); i++)
        if (strcmp(rv_measure_at(i)->name, name) == 0)
            return rv_measure_at(i);
    return NULL;
}

rv_status rv_measure_check(const rv_measure *m, rv_error *err)
{
    RV_TRY(rv_params_check(m->params, err));
    if (strcmp(m->params->owner, m->name) != 0)
        return rv_fail(err, RV_E_ARGUMENT, "measure %s: its parameters are said to be of %s", m->name, m->params->owner);
    if (!m->title || !*m->title || !m->description || !*m->description || !m->source || !*m->source || !m->run)
        return rv_fail(err, RV_E_ARGUMENT, "measure %s: a field is missing", m->name);
    if (m->usual && m->others > 0)
        return rv_fail(err, RV_E_ARGUMENT, "measure %s: a usual one must do with one point", m->name);
    return RV_OK;
}

/* ---- what measures call ---------------------------------------------------------- */

void rv_measure_value(rv_measure_run *run, const char *key, double value, double error, const char *quantity, ...)
{
    va_list args;
    va_start(args, quantity);
    json_t *text = json_vsprintf(quantity, args);
    va_end(args);
    json_array_append_new(run->values, json_pack("{s:s,s:o,s:o,s:o}", "key", key, "quantity", text, "value",
                                                 rv_json_from_real(value), "error",
                                                 error == error ? rv_json_from_real(error) : json_null()));
}

rv_figure *rv_measure_figure(rv_measure_run *run, const char *name, const char *title, const char *caption, rv_axis x,
                             rv_axis y)
{
    rv_figure *figure = rv_figure_new(name, title, caption, x, y);
    json_array_append_new(run->figures, figure);
    return figure;
}

void rv_measure_note(rv_measure_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_array_append_new(run->notes, json_vsprintf(format, args));
    va_end(args);
}

rv_status rv_measure_progress(rv_measure_run *run, double fraction)
{
    const rv_measure_options *o = run->options;
    if (o->progress)
        o->progress(o->context, run->begin + (run->end - run->begin) * fraction, run->measure ? run->measure->name : "the point");
    return o->stop && *o->stop ? RV_E_INTERRUPTED : RV_OK;
}
