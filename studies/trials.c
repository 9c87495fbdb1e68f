/* Side by side over the study's pool; the first error ends the rest.  Invariant: what a trial gives
 * depends on its configuration alone, never on its neighbours or on who ran it. */
#include "studies/trials.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "trial/runs.h"

typedef struct batch {
    rv_study_run *run;
    rv_study_trial *const *trials;
    int count, finished;
    double from, to;
    double *share; /* [count] of each trial that is made */
    const char *dir;
    pthread_mutex_t lock; /* of all below, of finished and of what the user sees */
    bool told;            /* a trial's notes were passed on; they say the same of all */
    rv_status status;
    rv_error *err;
} batch;

typedef struct job {
    batch *batch;
    int number;
} job;

/* ---- what a run folder says --------------------------------------------------------------- */

static void forget_curve(rv_study_trial *t)
{
    free(t->step);
    free(t->value);
    free(t->further);
    t->step = t->value = t->further = NULL;
    t->count = 0;
}

static bool is_validation(const json_t *line)
{
    return strcmp(rv_run_split(line), rv_split_name(RV_SPLIT_VALIDATION)) == 0;
}

static rv_status put_curve(rv_study_trial *t, const json_t *log, const char *metric, rv_error *err)
{
    size_t i, n = 0;
    json_t *line;
    json_array_foreach(log, i, line)
    {
        n += is_validation(line);
    }
    forget_curve(t);
    t->step = calloc(n + 1, sizeof *t->step);
    t->value = calloc(n + 1, sizeof *t->value);
    t->further = calloc(n * (size_t)t->more_count + 1, sizeof *t->further);
    if (!t->step || !t->value || !t->further)
        return rv_fail(err, RV_E_MEMORY, "no memory for the curve of a trial");
    json_array_foreach(log, i, line)
    {
        if (!is_validation(line))
            continue;
        t->step[t->count] = rv_json_real(line, "step", NAN);
        for (int m = 0; m < t->more_count; m++)
            t->further[(size_t)m * n + (size_t)t->count] = rv_json_real(rv_run_values(line), t->more[m], NAN);
        t->value[t->count++] = rv_json_real(rv_run_values(line), metric, NAN);
    }
    return RV_OK;
}

static rv_status read_curve(rv_study_trial *t, const char *dir, const char *id, const rv_trial_result *result, rv_error *err)
{
    rv_run folder;
    RV_TRY(rv_run_load(&folder, dir, id, err));
    rv_status status = put_curve(t, folder.log, result->metric, err);
    rv_run_release(&folder);
    bool stopped = result->outcome == RV_OUTCOME_INTERRUPTED;
    t->final = result->outcome == RV_OUTCOME_DIVERGED || isnan(result->final) ? HUGE_VAL : result->final;
    t->seconds = result->seconds;
    t->steps = result->steps;
    t->paused = stopped && t->pause > 0 && t->steps >= t->pause;
    t->done = status == RV_OK && (!stopped || t->paused);
    return status;
}

/* A trial that another process is making right now: its log will do where a pause is behind it. */
static rv_status look_on(rv_study_trial *t, const char *dir, const char *id, rv_error *err)
{
    rv_run folder;
    RV_TRY(rv_run_load(&folder, dir, id, err));
    const char *name = json_string_value(json_object_get(folder.config, "workload"));
    const rv_workload *workload = name ? rv_workload_find(name) : NULL;
    rv_status status = put_curve(t, folder.log, workload ? workload->metric : "", err);
    rv_run_release(&folder);
    t->steps = t->count > 0 ? (int64_t)t->step[t->count - 1] : 0;
    t->final = t->count > 0 ? t->value[t->count - 1] : NAN;
    t->seconds = NAN;
    t->paused = t->done = status == RV_OK && t->pause > 0 && t->steps >= t->pause;
    return status;
}

/* Weights and checkpoints take a thousand times the room of a curve; that they are gone harms nobody. */
static void drop_weights(const rv_trial_result *result)
{
    char folder[RV_PATH_SIZE], path[RV_PATH_SIZE], **names = NULL;
    int count = 0;
    unlink(result->weights);
    if (rv_path_join(folder, result->run, "checkpoint", NULL) != RV_OK)
        return;
    if (rv_folder_names(folder, &names, &count, NULL) == RV_OK)
        for (int i = 0; i < count; i++)
            if (rv_path_join(path, folder, names[i], NULL) == RV_OK)
                unlink(path);
    rv_folder_names_free(names, count);
}

/* ---- running ---------------------------------------------------------------------------------- */

static void pass_note(void *context, const char *line)
{
    batch *b = ((const job *)context)->batch;
    const rv_study_options *o = b->run->options;
    pthread_mutex_lock(&b->lock);
    if (!b->told && o->note)
        o->note(o->context, line);
    b->told = true;
    pthread_mutex_unlock(&b->lock);
}

/* Called with the lock held. */
static rv_status tell(batch *b)
{
    double sum = 0;
    for (int i = 0; i < b->count; i++)
        sum += b->share[i] / b->count;
    return rv_study_progress(b->run, b->from + (b->to - b->from) * sum, "%d of %d trials", b->finished, b->count);
}

/* A trial asks for a stop itself. */
static void pass_progress(void *context, const rv_progress *progress)
{
    const job *j = context;
    batch *b = j->batch;
    int64_t pause = b->trials[j->number]->pause;
    pthread_mutex_lock(&b->lock);
    b->share[j->number] = fmin(1, (double)progress->step / (double)(pause > 0 ? pause : progress->steps));
    (void)tell(b);
    pthread_mutex_unlock(&b->lock);
}

static rv_status run_trial(batch *b, int number, rv_error *err)
{
    char *resolved, id[256];
    rv_study_trial *t = b->trials[number];
    job j = {b, number};
    rv_trial_result result;
    rv_trial_options options = {.dir = b->dir, .data = b->run->data, .threads = b->count == 1 ? rv_pool_workers(b->run->pool) : 1,
                                .stop = b->run->options->stop, .pause = t->pause, .measure = t->measure,
                                .progress = pass_progress, .note = pass_note, .context = &j};
    RV_TRY(rv_trial_resolve(t->config, NULL, 0, &resolved, err));
    rv_trial_id(resolved, id, sizeof id);
    rv_status status = rv_trial_run(resolved, &options, &result, err);
    free(resolved);
    if (status == RV_E_BUSY && look_on(t, b->dir, id, NULL) == RV_OK && t->done)
        return RV_OK;
    RV_TRY(status);
    RV_TRY(read_curve(t, b->dir, id, &result, err));
    if (result.outcome != RV_OUTCOME_INTERRUPTED)
        drop_weights(&result);
    return t->done ? RV_OK : RV_E_INTERRUPTED;
}

static void run_one(void *context, int task, int worker)
{
    batch *b = context;
    rv_error err = {0};
    (void)worker;
    pthread_mutex_lock(&b->lock);
    bool over = b->status != RV_OK;
    pthread_mutex_unlock(&b->lock);
    if (over)
        return;
    rv_status status = run_trial(b, task, &err);
    pthread_mutex_lock(&b->lock);
    b->finished++;
    b->share[task] = 1;
    if (status == RV_OK)
        status = tell(b);
    if (status != RV_OK && b->status == RV_OK) {
        b->status = status;
        if (b->err)
            *b->err = err;
    }
    pthread_mutex_unlock(&b->lock);
}

rv_status rv_study_trials(rv_study_run *run, rv_study_trial *const *trials, int count, double from, double to, rv_error *err)
{
    char dir[RV_PATH_SIZE];
    RV_TRY(rv_path_join(dir, run->options->dir, "trials", err));
    rv_study_trial **pending = malloc(((size_t)count + 1) * sizeof *pending);
    double *share = calloc((size_t)count + 1, sizeof *share);
    if (!pending || !share) {
        free(pending);
        free(share);
        return rv_fail(err, RV_E_MEMORY, "no memory for %d trials", count);
    }
    batch b = {.run = run, .dir = dir, .trials = pending, .from = from, .to = to, .share = share, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
    for (int i = 0; i < count; i++)
        if (!trials[i]->done)
            pending[b.count++] = trials[i];
    b.status = rv_folder_make(b.dir, err);
    if (b.status == RV_OK)
        rv_pool_run(run->pool, b.count, run_one, &b);
    pthread_mutex_destroy(&b.lock);
    free(pending);
    free(share);
    return b.status;
}

void rv_study_trial_release(rv_study_trial *trial)
{
    free(trial->config);
    forget_curve(trial);
    *trial = (rv_study_trial){0};
}
