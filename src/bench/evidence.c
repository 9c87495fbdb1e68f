/* The statistics of the third track of the NanoGPT speedrun
 * (github.com/KellerJordan/modded-nanogpt, records/track_3_optimization): is the mean loss below
 * the target, at one stopping step for all seeds, and is one method better than another.
 * Invariant: a step counts for a method only when every one of its seeds was evaluated there. */
#include "bench/evidence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/read.h"
#include "core/csv.h"
#include "core/json.h"

double rv_evidence_reached(double target, double mean, int seeds)
{
    return (target - mean) * sqrt(seeds);
}

double rv_evidence_better(double mean_a, double step_a, int seeds_a, double mean_b, double step_b, int seeds_b,
                          double loss_per_step)
{
    return (mean_b - mean_a + (step_b - step_a) * loss_per_step) / sqrt(1.0 / seeds_a + 1.0 / seeds_b);
}

double rv_evidence_p(double z)
{
    return 0.5 * erfc(z / sqrt(2));
}

/* ---- evaluations ------------------------------------------------------------- */

/* One evaluation; group: a method on a workload. */
typedef struct evaluation {
    int group, study;
    double step, value;
} evaluation;

typedef struct groups {
    rv_trials *trials;
    int *key; /* [groups][3]: submission, workload, setting */
    int count;
    evaluation *at; /* sorted by group, step, study */
    size_t evaluations;
    bool negated; /* larger was better */
} groups;

static int compare_evaluations(const void *a, const void *b)
{
    const evaluation *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return (x->study > y->study) - (x->study < y->study);
}

static int group_of(groups *g, const rv_trial_entry *e)
{
    const int key[3] = {e->submission, e->workload, e->trial};
    for (int i = 0; i < g->count; i++)
        if (memcmp(g->key + 3 * i, key, sizeof key) == 0)
            return i;
    memcpy(g->key + 3 * g->count, key, sizeof key);
    return g->count++;
}

/* The workload that is asked about; with none named there must be one only. */
static rv_status find_workload(const rv_trials *t, const char *name, int *workload, rv_error *err)
{
    *workload = name ? rv_names_find(&t->workloads, name) : 0;
    if (name && *workload < 0)
        return rv_fail(err, RV_E_UNKNOWN, "evidence: no run on the workload '%s'", name);
    if (!name && t->workloads.count > 1)
        return rv_fail(err, RV_E_ARGUMENT, "evidence: runs on several workloads (%s, %s, ...): name one of them",
                       t->workloads.name[0], t->workloads.name[1]);
    return RV_OK;
}

static rv_status gather(groups *g, const rv_evidence_options *options, rv_error *err)
{
    const rv_trials *t = g->trials;
    int workload;
    RV_TRY(find_workload(t, options->workload, &workload, err));
    g->negated = options->maximize;
    g->key = malloc((t->count + 1) * 3 * sizeof *g->key);
    g->at = malloc((t->points + 1) * sizeof *g->at);
    if (!g->key || !g->at)
        return rv_fail(err, RV_E_MEMORY, "evidence: no memory for %zu evaluations", t->points);
    for (size_t i = 0; i < t->count; i++) {
        const rv_trial_entry *e = &t->entry[i];
        if (e->workload != workload || e->points == 0)
            continue;
        int group = group_of(g, e);
        g->negated |= e->maximize; /* the same for all runs of a workload */
        for (size_t k = e->curve; k < e->curve + e->points; k++)
            g->at[g->evaluations++] =
                (evaluation){group, e->study, t->clock[k], g->negated ? -t->value[k] : t->value[k]};
    }
    qsort(g->at, g->evaluations, sizeof *g->at, compare_evaluations);
    return g->evaluations ? RV_OK : rv_fail(err, RV_E_FORMAT, "evidence: no evaluation of any run");
}

/* ---- methods ----------------------------------------------------------------- */

static int count_seeds(const groups *g, size_t from, size_t to)
{
    int seeds = 0;
    bool *seen = calloc((size_t)g->trials->studies.count + 1, sizeof *seen);
    for (size_t i = from; seen && i < to; i++) {
        seeds += !seen[g->at[i].study];
        seen[g->at[i].study] = true;
    }
    free(seen);
    return seeds;
}

static double variance_of(const evaluation *at, int n, double mean)
{
    double square = 0;
    for (int i = 0; i < n; i++)
        square += (at[i].value - mean) * (at[i].value - mean);
    return n > 1 ? square / (n - 1) : NAN;
}

/* Steps of the evaluations from..to of one group that all its seeds share. */
static rv_status make_method(const groups *g, size_t from, size_t to, rv_method_steps *m, rv_error *err)
{
    const int *key = g->key + 3 * g->at[from].group;
    *m = (rv_method_steps){.submission = g->trials->submissions.name[key[0]],
                           .workload = g->trials->workloads.name[key[1]],
                           .setting = g->trials->settings.name[key[2]],
                           .seeds = count_seeds(g, from, to),
                           .variance = NAN};
    m->step = malloc((to - from) * sizeof *m->step);
    m->mean = malloc((to - from) * sizeof *m->mean);
    if (!m->step || !m->mean)
        return rv_fail(err, RV_E_MEMORY, "evidence: no memory");
    for (size_t i = from, end; i < to; i = end) {
        double sum = 0;
        for (end = i; end < to && g->at[end].step == g->at[i].step; end++) {
            sum += g->at[end].value;
            if (end > i && g->at[end].study == g->at[end - 1].study)
                return rv_fail(err, RV_E_ARGUMENT, "evidence: seed '%s' of %s has two evaluations at step %g",
                               g->trials->studies.name[g->at[end].study], m->submission, g->at[i].step);
        }
        if ((int)(end - i) != m->seeds)
            continue;
        m->step[m->count] = g->at[i].step;
        m->mean[m->count] = sum / m->seeds;
        m->variance = variance_of(g->at + i, m->seeds, m->mean[m->count]);
        m->count++;
    }
    return RV_OK;
}

/* ---- reading ----------------------------------------------------------------- */

static int first_column(const rv_csv *csv, const char *const *names)
{
    int column = -1;
    for (; *names && column < 0; names++)
        column = rv_csv_column(csv, *names);
    return column;
}

/* submission, seed, step, loss: a row per evaluation, in any order; rows of a seed that stand
 * together become one curve. */
static rv_status read_rows(rv_trials *trials, rv_csv *csv, rv_error *err)
{
    static const char *const methods[] = {"submission", "method", "optimizer", NULL};
    static const char *const seeds[] = {"seed", "study", "run", NULL};
    static const char *const steps[] = {"step", "steps", NULL};
    static const char *const losses[] = {"loss", "val_loss", "value", NULL};
    static const char *const problems[] = {"workload", "problem", NULL};
    int method = first_column(csv, methods), seed = first_column(csv, seeds), step = first_column(csv, steps);
    int loss = first_column(csv, losses), problem = first_column(csv, problems);
    bool more;
    if (method < 0 || seed < 0 || step < 0 || loss < 0)
        return rv_fail(err, RV_E_FORMAT, "%s:1: expected the columns submission, seed, step and loss", csv->path);
    for (;;) {
        double at, value;
        RV_TRY(rv_csv_next(csv, &more, err));
        if (!more)
            return csv->torn ? rv_csv_fail(csv, err, "the last line is torn") : RV_OK;
        RV_TRY(rv_csv_real(csv, step, &at, err));
        RV_TRY(rv_csv_real(csv, loss, &value, err));
        if (!isfinite(at))
            return rv_csv_fail(csv, err, "no step");
        rv_trial_entry entry = {.submission = rv_names_put(&trials->submissions, csv->field[method]),
                                .workload = rv_names_put(&trials->workloads, problem < 0 ? "" : csv->field[problem]),
                                .study = rv_names_put(&trials->studies, csv->field[seed]),
                                .trial = rv_names_put(&trials->settings, ""),
                                .source = -1};
        const rv_trial_entry *last = trials->count ? &trials->entry[trials->count - 1] : NULL;
        bool same = last && last->submission == entry.submission && last->workload == entry.workload &&
                    last->study == entry.study;
        if (!same)
            RV_TRY(rv_trials_put(trials, &entry, err));
        RV_TRY(rv_trials_put_point(trials, value, at, at, err));
    }
}

static rv_status read_table(rv_trials **out, const char *path, rv_error *err)
{
    rv_csv csv;
    rv_status status = rv_csv_open(&csv, path, (size_t)1 << 30, err);
    if (status == RV_OK)
        status = rv_trials_new(out, err);
    if (status == RV_OK)
        status = read_rows(*out, &csv, err);
    rv_csv_close(&csv);
    return status;
}

static rv_status read_runs(rv_trials **out, const char *path, rv_error *err)
{
    rv_trials_options options = {.ruleset = "ravine", .clock = "steps"};
    rv_ruleset *ruleset = NULL;
    RV_TRY(rv_trials_read(out, &ruleset, &path, 1, &options, err));
    rv_ruleset_free(ruleset);
    return RV_OK;
}

/* ---- the report -------------------------------------------------------------- */

/* What is claimed of a method: its earliest step with evidence, else its last. */
typedef struct claim {
    const rv_method_steps *method;
    bool reached;
    double step, mean, z;
} claim;

static double pooled_sigma(const rv_method_steps *methods, int count)
{
    double sum = 0, weight = 0;
    for (int i = 0; i < count; i++)
        if (!isnan(methods[i].variance)) {
            sum += (methods[i].seeds - 1) * methods[i].variance;
            weight += methods[i].seeds - 1;
        }
    return weight > 0 ? sqrt(sum / weight) : NAN;
}

static claim claim_of(const rv_method_steps *m, const rv_evidence_options *o, double target)
{
    claim c = {.method = m, .step = NAN, .mean = NAN, .z = NAN};
    for (int i = 0; i < m->count && !c.reached; i++) {
        double statistic = rv_evidence_reached(target, m->mean[i], m->seeds);
        c.step = m->step[i];
        c.mean = m->mean[i];
        c.z = statistic / o->sigma;
        c.reached = statistic >= o->margin;
    }
    return c;
}

static json_t *number(double value)
{
    return isnan(value) ? json_null() : rv_json_from_real(value);
}

static void put_name(json_t *entry, const char *key, const char *name)
{
    json_t *text = json_string(name);
    json_object_set_new(entry, key, text ? text : json_string("(not UTF-8)"));
}

static json_t *claim_entry(const claim *c, double sign)
{
    json_t *entry = json_object();
    put_name(entry, "submission", c->method->submission);
    put_name(entry, "workload", c->method->workload);
    put_name(entry, "setting", c->method->setting);
    json_object_set_new(entry, "seeds", json_integer(c->method->seeds));
    json_object_set_new(entry, "reached", json_boolean(c->reached));
    json_object_set_new(entry, "step", number(c->step));
    json_object_set_new(entry, "mean", number(sign * c->mean));
    json_object_set_new(entry, "z", number(c->z));
    json_object_set_new(entry, "p", number(rv_evidence_p(c->z)));
    return entry;
}

/* a against b; NULL when one has no step that all its seeds share. */
static json_t *pair_entry(const claim *a, const claim *b, const rv_evidence_options *o)
{
    if (isnan(a->step) || isnan(b->step))
        return NULL;
    double statistic =
        rv_evidence_better(a->mean, a->step, a->method->seeds, b->mean, b->step, b->method->seeds, o->loss_per_step);
    const claim *better = statistic >= 0 ? a : b, *worse = statistic >= 0 ? b : a;
    json_t *entry = json_object();
    put_name(entry, "better", better->method->submission);
    put_name(entry, "than", worse->method->submission);
    put_name(entry, "better_setting", better->method->setting);
    put_name(entry, "than_setting", worse->method->setting);
    json_object_set_new(entry, "statistic", number(fabs(statistic)));
    json_object_set_new(entry, "z", number(fabs(statistic) / o->sigma));
    json_object_set_new(entry, "p", number(rv_evidence_p(fabs(statistic) / o->sigma)));
    json_object_set_new(entry, "significant", json_boolean(fabs(statistic) >= o->margin));
    return entry;
}

static char *report_text(const claim *claims, int count, const rv_evidence_options *o, double pooled, double sign)
{
    json_t *object = json_object(), *methods = json_array(), *pairs = json_array();
    for (int i = 0; i < count; i++) {
        json_array_append_new(methods, claim_entry(&claims[i], sign));
        for (int k = i + 1; k < count; k++) {
            json_t *pair = pair_entry(&claims[i], &claims[k], o);
            if (pair)
                json_array_append_new(pairs, pair);
        }
    }
    json_object_set_new(object, "target", number(o->target));
    json_object_set_new(object, "sigma", number(o->sigma));
    json_object_set_new(object, "sigma_pooled", number(pooled));
    json_object_set_new(object, "margin", number(o->margin));
    json_object_set_new(object, "loss_per_step", number(o->loss_per_step));
    json_object_set_new(object, "methods", methods);
    json_object_set_new(object, "pairs", pairs);
    char *text = rv_json_text(object, 0);
    json_decref(object);
    return text;
}

static rv_status write_report(char **json, const groups *g, rv_method_steps *methods, claim *claims,
                              const rv_evidence_options *given, rv_error *err)
{
    rv_evidence_options o = *given;
    for (size_t i = 0, end; i < g->evaluations; i = end) {
        for (end = i + 1; end < g->evaluations && g->at[end].group == g->at[i].group;)
            end++;
        RV_TRY(make_method(g, i, end, &methods[g->at[i].group], err));
    }
    double pooled = pooled_sigma(methods, g->count);
    o.sigma = isnan(o.sigma) ? pooled : o.sigma;
    o.margin = isnan(o.margin) ? RV_EVIDENCE_Z * o.sigma : o.margin;
    if (!(o.sigma > 0))
        return rv_fail(err, RV_E_ARGUMENT,
                       "evidence: the spread of one run is not known: no method has two seeds, so give sigma");
    for (int i = 0; i < g->count; i++)
        claims[i] = claim_of(&methods[i], &o, g->negated ? -o.target : o.target);
    *json = report_text(claims, g->count, &o, pooled, g->negated ? -1 : 1);
    return *json ? RV_OK : rv_fail(err, RV_E_MEMORY, "evidence: no memory for the report");
}

rv_status rv_evidence_report(char **json, const char *path, const rv_evidence_options *options, rv_error *err)
{
    groups g = {0};
    rv_method_steps *methods = NULL;
    claim *claims = NULL;
    *json = NULL;
    rv_status status = rv_is_folder(path) ? read_runs(&g.trials, path, err) : read_table(&g.trials, path, err);
    if (status == RV_OK)
        status = gather(&g, options, err);
    if (status == RV_OK) {
        methods = calloc((size_t)g.count, sizeof *methods);
        claims = calloc((size_t)g.count, sizeof *claims);
        status = methods && claims ? write_report(json, &g, methods, claims, options, err)
                                   : rv_fail(err, RV_E_MEMORY, "evidence: no memory");
    }
    for (int i = 0; methods && i < g.count; i++) {
        free(methods[i].step);
        free(methods[i].mean);
    }
    free(methods);
    free(claims);
    free(g.key);
    free(g.at);
    rv_trials_free(g.trials);
    return status;
}
