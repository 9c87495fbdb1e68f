/* One run from its configuration to its result.  Invariants: nothing is trained before
 * every file that will be written has its place; floating-point modes of the caller
 * neither reach the run nor are changed by it. */
#include <math.h>
#include <stdlib.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "trial/index.h"
#include "trial/loop.h"

/* ---- floating-point modes ---------------------------------------------------------- */

/* Rounding to nearest, denormals kept, no traps: threads started later inherit it. */
static unsigned modes_set(void)
{
#if defined(__SSE__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return before;
#else
    return 0;
#endif
}

static void modes_restore(unsigned before)
{
#if defined(__SSE__)
    _mm_setcsr(before);
#else
    (void)before;
#endif
}

/* ---- making ------------------------------------------------------------------------- */

static void note(const rv_trial_options *options, const char *line)
{
    if (options->note != NULL)
        options->note(options->context, line);
}

static rv_status make_memory(rv_loop *t, rv_error *err)
{
    const rv_objective *o = t->objective;
    size_t element = rv_dtype_size(o->dtype), vector = rv_arena_align((size_t)o->layout->size * element);
    size_t statistics = rv_arena_align((size_t)o->state_size * element);
    bool parts = t->config->train.accumulate > 1;
    RV_TRY(rv_arena_init(&t->arena, vector * (parts ? 4 : 3) + statistics, err));
    char *at = t->arena.base;
    t->w = at;
    t->g = at + vector;
    t->average = at + 2 * vector;
    t->micro = parts ? at + 3 * vector : NULL;
    t->statistics = statistics > 0 ? at + (parts ? 4 : 3) * vector : NULL;
    return RV_OK;
}

/* Everything up to the first step, a restored checkpoint and a trimmed log included. */
static rv_status prepare(rv_loop *t, const rv_folder *folder, rv_error *err)
{
    char path[sizeof folder->path + 16];
    bool found = false;
    RV_TRY(rv_pool_new(&t->pool, t->options->threads, err));
    RV_TRY(rv_config_objective(t->config, t->options->data, t->pool, t->options->note, t->options->context, &t->objective,
                               err));
    RV_TRY(make_memory(t, err));
    RV_TRY(rv_objective_init(t->objective, (uint64_t)t->config->train.seed, t->w, err));
    RV_TRY(rv_loop_enter(t, 0, err));
    t->tally = (rv_tally){.best = NAN, .final = NAN, .best_step = -1, .evaluated = -1, .target_step = -1,
                          .target_examples = -1, .target_seconds = NAN};
    t->snapshot = (rv_snapshot){folder->checkpoints, folder->trajectory, t->config, t->objective, t->optimizer, t->w,
                                &t->tally, -1, rv_loop_enter, t};
    t->loss = NAN;
    RV_TRY(rv_checkpoint_load(&t->snapshot, t->options->note, t->options->context, &found, err));
    if (!found)
        RV_TRY(rv_loop_enter(t, 0, err)); /* a damaged file may have asked for a later part */
    if (found) {
        char line[64];
        snprintf(line, sizeof line, "resumed at step %lld", (long long)t->tally.step);
        note(t->options, line);
    }
    RV_TRY(rv_folder_write_meta(folder, t->options, t->objective->data, false, err));
    if (t->options->keep > 0)
        RV_TRY(rv_folder_make(folder->trajectory, err));
    RV_TRY(rv_folder_trim_log(folder, t->tally.step, err));
    snprintf(path, sizeof path, "%s/log.jsonl", folder->path);
    RV_TRY(rv_log_open(&t->log, path, err));
    return rv_folder_sync(folder->path, err); /* the log's own name must last */
}

static void release(rv_loop *t)
{
    (void)rv_log_close(t->log, NULL);
    rv_optimizer_free(t->optimizer);
    rv_objective_free(t->objective);
    rv_arena_release(&t->arena);
    rv_arena_release(&t->factors);
    rv_pool_free(t->pool);
}

/* ---- ending ------------------------------------------------------------------------- */

static void fill_result(const rv_loop *t, const rv_folder *folder, rv_outcome outcome, rv_trial_result *r)
{
    const rv_tally *tally = &t->tally;
    *r = (rv_trial_result){.outcome = outcome, .steps = tally->step, .examples = tally->examples,
                           .seconds = tally->seconds, .best = tally->best, .best_step = tally->best_step,
                           .final = tally->final, .target_step = tally->target_step,
                           .target_examples = tally->target_examples, .target_seconds = tally->target_seconds};
    snprintf(r->run, sizeof r->run, "%s", folder->path);
    snprintf(r->metric, sizeof r->metric, "%s", t->config->workload->metric);
    if (outcome == RV_OUTCOME_DIVERGED)
        snprintf(r->why, sizeof r->why, "%s", t->why);
    if (outcome != RV_OUTCOME_INTERRUPTED)
        snprintf(r->weights, sizeof r->weights, "%s/weights.safetensors", folder->path);
}

/* Measures the test split, where there is one, and leaves the weights for others to read. */
static rv_status finish(rv_loop *t, rv_outcome outcome, const rv_trial_result *r, rv_error *err)
{
    if (outcome == RV_OUTCOME_INTERRUPTED)
        return RV_OK;
    if (outcome != RV_OUTCOME_DIVERGED) {
        rv_error why = {0};
        rv_status status = rv_loop_evaluate(t, RV_SPLIT_TEST, &why);
        if (status != RV_OK && status != RV_E_UNSUPPORTED)
            return rv_fail(err, status, "%s", why.message);
    }
    bool differs = false;
    RV_TRY(rv_optimizer_evaluation_weights_flat(t->optimizer, t->w, t->average, &differs));
    if (differs && t->statistics != NULL && outcome != RV_OUTCOME_DIVERGED) /* the last use of the objective */
        RV_TRY(rv_objective_recompute(t->objective, t->average, err));
    return rv_weights_write(r->weights, &t->snapshot, t->average, err);
}

static rv_status run_in(const rv_folder *folder, const rv_config *config, const rv_trial_options *options,
                        rv_trial_result *result, rv_error *err)
{
    rv_loop t = {.config = config, .options = options};
    rv_outcome outcome = RV_OUTCOME_BUDGET;
    rv_error why = {0};
    rv_status status = prepare(&t, folder, err);
    if (status == RV_OK)
        status = rv_loop_run(&t, &outcome, err);
    if (status == RV_OK) {
        fill_result(&t, folder, outcome, result);
        status = finish(&t, outcome, result, err);
    }
    if (status == RV_OK)
        status = rv_folder_write_meta(folder, options, t.objective->data, true, err);
    release(&t);
    RV_TRY(status);
    RV_TRY(rv_folder_write_result(folder, result, err));
    if (rv_index_put(options->dir, config->text, result, &why) != RV_OK) {
        char line[sizeof why.message + 32];
        snprintf(line, sizeof line, "not in the index of runs: %s", why.message);
        note(options, line);
    }
    return RV_OK;
}

static rv_status run_config(const rv_config *config, const rv_trial_options *options, rv_trial_result *result,
                            rv_error *err)
{
    rv_folder folder;
    RV_TRY(rv_folder_name(&folder, options->dir, config, err));
    /* Before the lock: a finished run is read by anyone at any time. */
    if (rv_trial_read(folder.path, result, NULL) == RV_OK && result->outcome != RV_OUTCOME_INTERRUPTED)
        return RV_OK;
    *result = (rv_trial_result){0};
    RV_TRY(rv_folder_open(&folder, config, err));
    rv_status status = RV_OK;
    /* Another process may have finished it while this one waited for nothing. */
    if (rv_trial_read(folder.path, result, NULL) != RV_OK || result->outcome == RV_OUTCOME_INTERRUPTED)
        status = run_in(&folder, config, options, result, err);
    rv_folder_close(&folder);
    return status;
}

rv_status rv_trial_run(const char *resolved, const rv_trial_options *options, rv_trial_result *result, rv_error *err)
{
    rv_config config;
    *result = (rv_trial_result){0};
    if (options->dir == NULL)
        return rv_fail(err, RV_E_ARGUMENT, "a trial needs a folder for its run");
    rv_status status = rv_config_resolve(&config, resolved, false, NULL, 0, err);
    sigset_t signals;
    unsigned modes = modes_set();
    rv_size_limit_hold(&signals); /* the index is written by SQLite, which does not */
    if (status == RV_OK)
        status = run_config(&config, options, result, err);
    rv_size_limit_release(&signals);
    modes_restore(modes);
    rv_config_release(&config);
    return status;
}
