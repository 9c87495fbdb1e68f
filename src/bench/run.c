/* Runs a plan: trials side by side, one worker each, in this process and in any other that works
 * on the same folder.  A trial that has its result is read, not run; one that another process
 * holds is left to it, and taken up if it dies; one that fails is recorded and the others go on. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/plan.h"
#include "bench/record.h"
#include "core/file.h"
#include "core/json.h"

/* Shared by the workers under lock, except that each writes its own trial. */
typedef struct bench {
    const rv_bench_options *options;
    const rv_plan *plan;
    rv_record_trial *trials; /* [plan->count] */
    double *seconds;         /* [plan->count] of wall clock: spent when done, start time while running */
    bool *running;           /* [plan->count] */
    int busy;                /* trials of this pass that other processes hold */
    json_t *notes;
    pthread_mutex_t lock;
} bench;

typedef struct job {
    bench *bench;
    int trial;
} job;

/* ---- progress -------------------------------------------------------------- */

/* Mean wall time of the trials that ran here: of the same optimizer and problem, else of
 * the same problem, else of all; NaN before the first. */
static double expected_seconds(const bench *b, const rv_plan_trial *trial)
{
    double sum[3] = {0};
    int n[3] = {0};
    for (int i = 0; i < b->plan->count; i++) {
        if (b->running[i] || isnan(b->seconds[i]))
            continue;
        bool problem = b->plan->trials[i].problem == trial->problem;
        bool both = problem && b->plan->trials[i].optimizer == trial->optimizer;
        for (int level = both ? 0 : problem ? 1 : 2; level < 3; level++) {
            sum[level] += b->seconds[i];
            n[level]++;
        }
    }
    for (int level = 0; level < 3; level++)
        if (n[level] > 0)
            return sum[level] / n[level];
    return NAN;
}

static double remaining_seconds(const bench *b)
{
    double work = 0, now = rv_clock();
    for (int i = 0; i < b->plan->count; i++) {
        if (b->trials[i].state != RV_TRIAL_PENDING || b->plan->trials[i].same_as >= 0)
            continue;
        double expected = expected_seconds(b, &b->plan->trials[i]);
        if (b->running[i])
            expected = fmax(0, expected - (now - b->seconds[i]));
        work += expected;
    }
    return work / b->options->jobs;
}

static int count_done(const bench *b)
{
    int done = 0;
    for (int i = 0; i < b->plan->count; i++)
        done += b->trials[i].state != RV_TRIAL_PENDING;
    return done;
}

/* Called with the lock held; trial -1: before the first. */
static void report_progress(const bench *b, int trial)
{
    if (!b->options->progress)
        return;
    const rv_plan_trial *planned = trial < 0 ? NULL : &b->plan->trials[trial];
    rv_bench_progress progress = {
        .trials = b->plan->count,
        .done = count_done(b),
        .eta = remaining_seconds(b),
        .problem = planned ? b->plan->problem[planned->problem].label : NULL,
        .optimizer = planned ? b->plan->optimizer[planned->optimizer] : NULL,
    };
    b->options->progress(b->options->context, &progress);
}

/* Each distinct line about a problem is kept, and passed on, once. */
static void add_note(bench *b, const char *problem, const char *line)
{
    size_t i;
    json_t *known;
    json_array_foreach(b->notes, i, known)
    {
        const char *p = json_string_value(json_object_get(known, "problem"));
        const char *l = json_string_value(json_object_get(known, "line"));
        if (p && l && strcmp(p, problem) == 0 && strcmp(l, line) == 0)
            return;
    }
    json_t *entry = json_object();
    json_object_set_new(entry, "problem", json_string(problem));
    if (json_object_set_new(entry, "line", json_string(line)) == 0)
        json_array_append(b->notes, entry);
    json_decref(entry);
    if (b->options->note)
        b->options->note(b->options->context, line);
}

static void on_note(void *context, const char *line)
{
    const job *j = context;
    bench *b = j->bench;
    pthread_mutex_lock(&b->lock);
    add_note(b, b->plan->problem[b->plan->trials[j->trial].problem].label, line);
    pthread_mutex_unlock(&b->lock);
}

/* ---- running ---------------------------------------------------------------- */

/* Set by a signal handler or another thread. */
static bool stopped(const bench *b)
{
    return b->options->stop && __atomic_load_n(b->options->stop, __ATOMIC_RELAXED);
}

/* Trials that are this very run have its result too. */
static void share(bench *b, int trial)
{
    for (int i = trial + 1; i < b->plan->count; i++)
        if (b->plan->trials[i].same_as == trial)
            b->trials[i] = b->trials[trial];
}

static void finish(bench *b, int trial, rv_status status, const rv_trial_result *result, const rv_error *err)
{
    rv_record_trial *record = &b->trials[trial];
    pthread_mutex_lock(&b->lock);
    b->running[trial] = false;
    b->seconds[trial] = rv_clock() - b->seconds[trial];
    b->busy += status == RV_E_BUSY;
    if (status == RV_E_INTERRUPTED || status == RV_E_BUSY ||
        (status == RV_OK && result->outcome == RV_OUTCOME_INTERRUPTED)) {
        b->seconds[trial] = NAN; /* stays pending: the next run, or the next pass, takes it up */
    } else if (status == RV_OK) {
        record->state = RV_TRIAL_DONE;
        record->result = *result;
    } else {
        record->state = RV_TRIAL_FAILED;
        record->status = status;
        snprintf(record->error, sizeof record->error, "%.*s", (int)sizeof record->error - 1, err->message);
    }
    share(b, trial);
    if (record->state != RV_TRIAL_PENDING)
        report_progress(b, trial);
    pthread_mutex_unlock(&b->lock);
}

static void run_one(void *context, int trial, int worker)
{
    bench *b = context;
    (void)worker;
    if (b->plan->trials[trial].same_as >= 0 || b->trials[trial].state != RV_TRIAL_PENDING || stopped(b))
        return;
    pthread_mutex_lock(&b->lock);
    b->running[trial] = true;
    b->seconds[trial] = rv_clock();
    pthread_mutex_unlock(&b->lock);
    job j = {b, trial};
    rv_trial_options options = {
        .dir = b->options->dir,
        .data = b->options->data,
        .threads = 1,
        .argc = b->options->argc,
        .argv = b->options->argv,
        .stop = b->options->stop,
        .note = on_note,
        .context = &j,
    };
    rv_trial_result result = {0};
    rv_error err = {0};
    rv_status status = rv_trial_run(b->plan->trials[trial].config, &options, &result, &err);
    finish(b, trial, status, &result, &err);
}

/* Results that are there already; they say nothing about how long trials take here. */
static void read_finished(bench *b)
{
    char path[RV_PATH_SIZE];
    for (int i = 0; i < b->plan->count; i++) {
        rv_trial_result *result = &b->trials[i].result;
        if (rv_path_join(path, b->options->dir, b->plan->trials[i].id, NULL) == RV_OK &&
            rv_trial_read(path, result, NULL) == RV_OK && result->outcome != RV_OUTCOME_INTERRUPTED)
            b->trials[i].state = RV_TRIAL_DONE;
    }
}

/* What an earlier, stopped run of the same folder learnt about the data. */
static json_t *earlier_notes(const char *path)
{
    json_t *earlier = NULL, *notes = NULL;
    if (rv_file_exists(path) && rv_json_read(path, &earlier, NULL) == RV_OK)
        notes = json_incref(json_object_get(earlier, "notes"));
    json_decref(earlier);
    if (!json_is_array(notes)) {
        json_decref(notes);
        notes = json_array();
    }
    return notes;
}

static rv_status write_record(const bench *b, const char *path, rv_error *err)
{
    json_t *record = rv_record_make(b->plan, b->trials, b->options, b->notes);
    char *text = record ? rv_json_text(record, 1) : NULL;
    json_decref(record);
    if (!text)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for the record", path);
    rv_status status = rv_file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

/* The first failure stands for all of them in the message. */
static rv_status verdict(const bench *b, rv_error *err)
{
    int failed = 0, first = -1, pending = 0;
    for (int i = 0; i < b->plan->count; i++) {
        pending += b->trials[i].state == RV_TRIAL_PENDING;
        if (b->trials[i].state == RV_TRIAL_FAILED && failed++ == 0)
            first = i;
    }
    if (pending > 0)
        return rv_fail(err, RV_E_INTERRUPTED, "stopped with %d of %d trials done; the same command goes on",
                       b->plan->count - pending, b->plan->count);
    if (failed > 0)
        return rv_fail(err, b->trials[first].status, "%d of %d trials failed; the first (%s): %s", failed, b->plan->count,
                       b->plan->trials[first].id, b->trials[first].error);
    return RV_OK;
}

/* Waits a little for other processes; false when there is nothing to wait for any more. */
static bool wait_for_others(const bench *b)
{
    enum { TENTHS = 10 };
    for (int i = 0; i < TENTHS && b->busy > 0 && !stopped(b); i++)
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    return b->busy > 0 && !stopped(b);
}

/* Passes over the plan until every trial has its result here or elsewhere. */
static void run_passes(bench *b, rv_pool *pool)
{
    bool told = false;
    do {
        b->busy = 0;
        rv_pool_run(pool, b->plan->count, run_one, b);
        if (b->busy > 0 && !told && b->options->note) {
            char line[96];
            snprintf(line, sizeof line, "waiting for other processes, which run %d of the trials", b->busy);
            b->options->note(b->options->context, line);
            told = true;
        }
    } while (wait_for_others(b));
}

static rv_status run_plan(bench *b, rv_error *err)
{
    char path[RV_PATH_SIZE];
    rv_pool *pool = NULL;
    RV_TRY(rv_path_join(path, b->options->dir, "bench.json", err));
    for (int i = 0; i < b->plan->count; i++)
        b->seconds[i] = NAN;
    RV_TRY(rv_folder_make(b->options->dir, err));
    b->notes = earlier_notes(path);
    read_finished(b);
    RV_TRY(rv_pool_new(&pool, b->options->jobs, err));
    report_progress(b, -1);
    run_passes(b, pool);
    rv_pool_free(pool);
    RV_TRY(write_record(b, path, err));
    return verdict(b, err);
}

rv_status rv_bench_run(const char *suite_json, const rv_bench_options *options, rv_error *err)
{
    if (options->jobs < 1)
        return rv_fail(err, RV_E_RANGE, "jobs: %d is not at least 1", options->jobs);
    rv_plan plan;
    rv_status status = rv_plan_make(&plan, suite_json, options, err);
    if (status == RV_OK) {
        size_t n = (size_t)plan.count;
        bench b = {.options = options, .plan = &plan, .lock = PTHREAD_MUTEX_INITIALIZER};
        b.trials = calloc(n, sizeof *b.trials);
        b.seconds = calloc(n, sizeof *b.seconds);
        b.running = calloc(n, sizeof *b.running);
        status = b.trials && b.seconds && b.running ? run_plan(&b, err)
                                                    : rv_fail(err, RV_E_MEMORY, "no memory for %zu trials", n);
        free(b.trials);
        free(b.seconds);
        free(b.running);
        json_decref(b.notes);
        pthread_mutex_destroy(&b.lock);
    }
    rv_plan_release(&plan);
    return status;
}
