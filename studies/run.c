/* Runs a study and writes its results.  Invariant: the verdict on a claim is computed here
 * alone, from the declared interval and the recorded values; no study judges itself. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "studies/page.h"

/* ---- what studies call ---------------------------------------------------------- */

static const rv_claim *find_claim(const rv_study *study, const char *key)
{
    for (const rv_claim *c = study->claims; c->key; c++)
        if (strcmp(c->key, key) == 0)
            return c;
    return NULL;
}

void rv_study_measure(rv_study_run *run, const char *key, double value)
{
    if (!find_claim(run->study, key))
        run->undeclared = key;
    if (!json_object_get(run->measured, key))
        json_object_set_new(run->measured, key, json_array());
    json_array_append_new(json_object_get(run->measured, key), rv_json_from_real(value));
}

rv_figure *rv_study_figure(rv_study_run *run, const char *name, const char *title, const char *caption,
                           rv_axis x, rv_axis y)
{
    rv_figure *figure = rv_figure_new(name, title, caption, x, y);
    json_array_append_new(run->figures, figure);
    return figure;
}

void rv_study_note(rv_study_run *run, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(run->notes, json_string(text));
}

void rv_study_reason(rv_study_run *run, const char *key, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (!find_claim(run->study, key))
        run->undeclared = key;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_object_set_new(run->reasons, key, json_string(text));
}

rv_status rv_study_progress(rv_study_run *run, double fraction, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const rv_study_options *o = run->options;
    if (o->progress)
        o->progress(o->context, fraction, text);
    return o->stop && *o->stop ? RV_E_INTERRUPTED : RV_OK;
}

rv_status rv_study_set(const rv_param_table *table, void *values, const char *text, rv_error *err)
{
    char word[512];
    while (text && *text) {
        size_t n = strcspn(text, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        char *equals = strchr(word, '=');
        if (!equals || n >= sizeof word)
            return rv_fail(err, RV_E_ARGUMENT, "%s: expected NAME=VALUE, found '%s'", table->owner, word);
        *equals = '\0';
        RV_TRY(rv_params_set(table, values, word, equals + 1, err));
        text += n + (text[n] == ',');
    }
    return RV_OK;
}

/* ---- the verdict ---------------------------------------------------------------- */

typedef struct spread {
    size_t n;
    double mean, low, high; /* NaN when any value is */
} spread;

static spread spread_of(const json_t *values)
{
    spread s = {.n = json_array_size(values), .mean = 0, .low = HUGE_VAL, .high = -HUGE_VAL};
    for (size_t i = 0; i < s.n; i++) {
        double v = rv_json_value(json_array_get(values, i), NAN);
        s.mean += v / (double)s.n;
        s.low = isnan(v) || v < s.low ? v : s.low;
        s.high = isnan(v) || v > s.high ? v : s.high;
    }
    if (s.n == 0 || isnan(s.mean))
        s.mean = s.low = s.high = NAN;
    return s;
}

static bool holds(const rv_claim *claim, spread s)
{
    double low = claim->over == RV_CLAIM_MEAN ? s.mean : s.low;
    double high = claim->over == RV_CLAIM_MEAN ? s.mean : s.high;
    return s.n > 0 && low >= claim->low && high <= claim->high;
}

static json_t *judge(const rv_study_run *run, const rv_claim *claim, rv_study_verdict *verdict)
{
    char expected[96];
    json_t *values = json_object_get(run->measured, claim->key), *held;
    spread s = spread_of(values);
    rv_claim_expected(claim, expected, sizeof expected);
    if (run->quick && claim->full) {
        held = json_null();
        verdict->unjudged++;
    } else {
        bool yes = holds(claim, s);
        held = json_boolean(yes);
        verdict->held += yes;
        verdict->failed += !yes;
    }
    json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:s}", "key", claim->key, "claim", claim->text,
                            "quantity", claim->quantity, "source", claim->source, "expected", expected,
                            "measured", rv_json_from_real(s.mean), "holds", held, "spread",
                            json_pack("[o,o]", rv_json_from_real(s.low), rv_json_from_real(s.high)), "over",
                            claim->over == RV_CLAIM_MEAN ? "mean" : "every");
    json_object_set_new(row, "values", values ? json_incref(values) : json_array());
    json_object_set_new(row, "interval", json_pack("[o,o]", rv_json_from_real(claim->low), rv_json_from_real(claim->high)));
    if (json_is_false(held) && json_object_get(run->reasons, claim->key))
        json_object_set(row, "why", json_object_get(run->reasons, claim->key));
    return row;
}

static json_t *all_claims(const rv_study_run *run, rv_study_verdict *verdict)
{
    json_t *list = json_array();
    for (const rv_claim *c = run->study->claims; c->key; c++)
        json_array_append_new(list, judge(run, c, verdict));
    return list;
}

/* ---- results -------------------------------------------------------------------- */

/* The result as design and callers know it: figures by name, title and file. */
static json_t *result_json(const rv_study_run *run, json_t *claims, json_t *params, double seconds)
{
    return json_pack("{s:s,s:s,s:O,s:o,s:O,s:s,s:i,s:b,s:O,s:f,s:s}", "study", run->study->name, "title",
                     run->study->title, "claims", claims, "figures", rv_figures_index(run->figures), "params", params, "data",
                     run->data ? "data folder" : "procedural", "seeds",
                     run->seeds, "quick", run->quick, "notes", run->notes, "seconds", seconds, "version",
                     rv_version());
}

static rv_status write_results(const rv_study_run *run, const char *dir, json_t *result, rv_error *err)
{
    char path[RV_PATH_SIZE];
    RV_TRY(rv_figures_write(run->figures, dir, err));
    RV_TRY(rv_study_page_write(run, dir, result, err));
    RV_TRY(rv_path_join(path, dir, "study.json", err));
    char *text = rv_json_text(result, 2);
    rv_status status = text ? rv_file_write(path, text, strlen(text), err)
                            : rv_fail(err, RV_E_MEMORY, "%s: no memory", path);
    free(text);
    return status;
}

/* ---- running -------------------------------------------------------------------- */

static rv_status resolve(const rv_study *study, const rv_study_options *o, void *params, rv_error *err)
{
    rv_params_init(study->params, params);
    if (o->quick)
        RV_TRY(rv_study_set(study->params, params, study->quick, err));
    for (int i = 0; i < o->set_count; i++)
        RV_TRY(rv_study_set(study->params, params, o->set[i], err));
    return RV_OK;
}

rv_status rv_study_options_check(const rv_study *study, const rv_study_options *options, rv_error *err)
{
    void *params = malloc(study->params->size);
    if (!params)
        return rv_fail(err, RV_E_MEMORY, "study %s: no memory", study->name);
    rv_status status = resolve(study, options, params, err);
    free(params);
    return status;
}

static rv_status finish(rv_study_run *run, const void *params, double seconds, rv_study_verdict *verdict,
                        char **json, rv_error *err)
{
    if (run->undeclared)
        return rv_fail(err, RV_E_ARGUMENT, "study %s measures '%s', which it does not claim", run->study->name, run->undeclared);
    *verdict = (rv_study_verdict){.seconds = seconds};
    json_t *claims = all_claims(run, verdict), *values = rv_params_to_json(run->study->params, params);
    json_t *result = result_json(run, claims, values, seconds);
    rv_status status = result ? write_results(run, run->options->dir, result, err)
                              : rv_fail(err, RV_E_MEMORY, "study %s: no memory for its result", run->study->name);
    if (status == RV_OK && json) {
        *json = rv_json_text(result, 0);
        status = *json ? RV_OK : rv_fail(err, RV_E_MEMORY, "study %s: no memory", run->study->name);
    }
    json_decref(result);
    json_decref(claims);
    json_decref(values);
    return status;
}

rv_status rv_study_execute(const rv_study *study, const rv_study_options *options, rv_study_verdict *verdict,
                           char **json, rv_error *err)
{
    rv_study_run run = {.study = study, .quick = options->quick, .data = options->data, .options = options};
    run.seeds = options->seeds > 0 ? options->seeds : options->quick ? study->quick_seeds : study->seeds;
    void *params = malloc(study->params->size);
    if (!params)
        return rv_fail(err, RV_E_MEMORY, "study %s: no memory", study->name);
    rv_status status = resolve(study, options, params, err);
    if (status == RV_OK)
        status = rv_folder_make(options->dir, err);
    if (status == RV_OK)
        status = rv_pool_new(&run.pool, options->threads, err);
    if (status == RV_OK) {
        double begin = rv_clock();
        run.measured = json_object();
        run.figures = json_array();
        run.notes = json_array();
        run.reasons = json_object();
        status = study->run(&run, params, err);
        if (status == RV_E_INTERRUPTED)
            rv_fail(err, status, "study %s: stopped", study->name);
        else if (status != RV_OK)
            rv_fail_prefix(err, status, "study %s", study->name);
        else
            status = finish(&run, params, rv_clock() - begin, verdict, json, err);
        json_decref(run.measured);
        json_decref(run.figures);
        json_decref(run.notes);
        json_decref(run.reasons);
    }
    rv_pool_free(run.pool);
    free(params);
    return status;
}
