/* Runs modular arithmetic as trials.  Invariant: what is drawn and judged is read from the logs, so a run that
 * was stopped, resumed or finished long ago says the same as one that has just been made. */
#include "studies/modular.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "objective/metric.h"
#include "studies/concentration.h"
#include "trial/runs.h"

/* As the log names them; those that begin with "validation" are the split's own. */
static const char *const names[RV_MEASURES] = {"train_accuracy", "accuracy", "train_loss", "norm", "additive", "multiplicative"};

/* All runs of a study, as their workers see them. */
typedef struct session {
    rv_study_run *run;
    rv_modular_run *runs;
    int count, threads; /* threads: of a trial */
    char dir[1024];
    double *done;       /* [count], share of a run */
    rv_status *status;  /* [count] */
    rv_error *error;    /* [count] */
    pthread_mutex_t lock;
} session;

typedef struct job {
    session *s;
    int number;
} job;

/* ---- measuring ------------------------------------------------------------------------- */

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

/* ---- running --------------------------------------------------------------------------- */

/* Progress may be asked for by several workers at once; the bar is not made for that. */
static void tell(session *s, int number, double share)
{
    double sum = 0;
    pthread_mutex_lock(&s->lock);
    s->done[number] = share < 1 ? share : 1;
    for (int i = 0; i < s->count; i++)
        sum += s->done[i] / s->count;
    /* trials ask for the stop themselves */
    if (s->count > 1)
        (void)rv_study_progress(s->run, sum, "%d runs", s->count);
    else
        (void)rv_study_progress(s->run, sum, "step %.0f", share * (double)s->runs[0].expected);
    pthread_mutex_unlock(&s->lock);
}

static void on_progress(void *context, const rv_progress *p)
{
    const job *j = context;
    tell(j->s, j->number, (double)p->step / (double)j->s->runs[j->number].expected);
}

static rv_status read_curve(rv_modular_run *r, const char *folder, rv_error *err)
{
    rv_run log;
    RV_TRY(rv_run_load(&log, folder, ".", err));
    size_t lines = json_array_size(log.log), i;
    double *memory = malloc((lines + 1) * (RV_MEASURES + 1) * sizeof *memory);
    json_t *line;
    if (!memory) {
        rv_run_release(&log);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu lines of the log", folder, lines);
    }
    rv_modular_release(r);
    r->step = memory;
    for (int m = 0; m < RV_MEASURES; m++)
        r->value[m] = memory + (size_t)(m + 1) * (lines + 1);
    json_array_foreach(log.log, i, line)
    {
        if (strcmp(rv_run_split(line), rv_split_name(RV_SPLIT_VALIDATION)) != 0)
            continue;
        r->step[r->n] = rv_json_real(line, "step", NAN);
        for (int m = 0; m < RV_MEASURES; m++)
            r->value[m][r->n] = rv_json_real(rv_run_values(line), names[m], NAN);
        r->n++;
    }
    rv_run_release(&log);
    return RV_OK;
}

static rv_status run_trial(session *s, int number, rv_error *err)
{
    const rv_study_options *o = s->run->options;
    rv_modular_run *r = &s->runs[number];
    job j = {s, number};
    rv_trial_options options = {.dir = s->dir, .threads = s->threads, .stop = o->stop, .pause = r->pause,
                                .measure = measure, .progress = on_progress, .context = &j};
    rv_trial_result result;
    RV_TRY(rv_trial_run(r->config, &options, &result, err));
    r->steps = result.steps;
    r->seconds = result.seconds;
    r->over = result.outcome != RV_OUTCOME_INTERRUPTED;
    RV_TRY(read_curve(r, result.run, err));
    bool paused = r->pause > 0 && r->steps >= r->pause;
    return r->over || paused ? RV_OK : RV_E_INTERRUPTED;
}

static void task(void *context, int number, int worker)
{
    session *s = context;
    const volatile int *stop = s->run->options->stop;
    (void)worker;
    s->status[number] = stop && *stop ? RV_E_INTERRUPTED : run_trial(s, number, &s->error[number]);
    tell(s, number, 1);
}

static rv_status run_session(session *s, rv_error *err)
{
    s->done = calloc((size_t)s->count, sizeof *s->done);
    s->status = calloc((size_t)s->count, sizeof *s->status);
    s->error = calloc((size_t)s->count, sizeof *s->error);
    rv_status status = s->done && s->status && s->error ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for %d runs", s->count);
    snprintf(s->dir, sizeof s->dir, "%s/trials", s->run->options->dir);
    pthread_mutex_init(&s->lock, NULL);
    if (status == RV_OK)
        rv_pool_run(s->run->pool, s->count, task, s);
    for (int i = 0; i < s->count && status == RV_OK; i++)
        if ((status = s->status[i]) != RV_OK && err)
            *err = s->error[i];
    pthread_mutex_destroy(&s->lock);
    free(s->done);
    free(s->status);
    free(s->error);
    return status;
}

rv_status rv_modular_run_all(rv_study_run *run, rv_modular_run *runs, int count, rv_error *err)
{
    session s = {.run = run, .runs = runs, .count = count, .threads = 1};
    return run_session(&s, err);
}

rv_status rv_modular_go_on(rv_study_run *run, rv_modular_run *r, rv_error *err)
{
    session s = {.run = run, .runs = r, .count = 1, .threads = rv_pool_workers(run->pool)};
    rv_status status = run_session(&s, err);
    return status == RV_E_INTERRUPTED ? RV_OK : status;
}

void rv_modular_release(rv_modular_run *r)
{
    free(r->step);
    r->step = NULL;
    r->n = 0;
}

/* ---- reading --------------------------------------------------------------------------- */

double rv_modular_reached(const rv_modular_run *r, rv_measure what, double level)
{
    for (int i = 0; i < r->n; i++)
        if (r->value[what][i] >= level)
            return r->step[i];
    return NAN;
}

double rv_modular_at(const rv_modular_run *r, rv_measure what, double step)
{
    double value = NAN;
    for (int i = 0; i < r->n && r->step[i] <= step; i++)
        value = r->value[what][i];
    return value;
}
