/* The training loop.  Invariants: what step k does depends on configuration, weights and
 * state only, never on the clock, the log or where a run was stopped; the clock that is
 * charged runs during batch and step alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trial/loop.h"

/* ---- logging --------------------------------------------------------------------- */

/* A line is where the run stands, and more. */
static rv_status put_line(rv_loop *t, json_t *more, rv_error *err)
{
    json_t *object = json_pack("{s:I, s:I, s:o}", "step", (json_int_t)t->tally.step, "examples",
                               (json_int_t)t->tally.examples, "seconds", rv_json_from_real(t->tally.seconds));
    bool whole = object != NULL && more != NULL && json_object_update(object, more) == 0;
    char *line = whole ? rv_json_text(object, 0) : NULL;
    rv_status status = line == NULL ? rv_fail(err, RV_E_MEMORY, "no memory for a line of the log")
                                    : rv_log_line(t->log, line, err);
    free(line);
    json_decref(object);
    json_decref(more);
    return status;
}

static rv_status log_step(rv_loop *t, double norm, rv_error *err)
{
    double lr = NAN;
    if (rv_optimizer_get(t->optimizer, "lr", &lr, NULL) != RV_OK)
        lr = NAN;
    json_t *more = json_pack("{s:o, s:o, s:o}", "loss", rv_json_from_real(t->loss), "lr", rv_json_from_real(lr),
                             "grad_norm", rv_json_from_real(norm));
    for (int i = 0; i < t->part_config->scheduled_count; i++) {
        double value = NAN;
        const char *name = t->part_config->scheduled[i].name;
        if (rv_optimizer_get(t->optimizer, name, &value, NULL) == RV_OK && strcmp(name, "lr") != 0)
            json_object_set_new(more, name, rv_json_from_real(value));
    }
    return put_line(t, more, err);
}

static rv_status log_metrics(rv_loop *t, rv_split split, const rv_metrics *metrics, rv_error *err)
{
    json_t *values = json_object();
    int failed = values == NULL;
    for (int i = 0; i < metrics->count; i++)
        failed |= json_object_set_new(values, metrics->metric[i].name, rv_json_from_real(metrics->metric[i].value));
    json_t *more = json_pack("{s:s, s:o}", "split", rv_split_name(split), "metrics", values);
    if (failed) {
        json_decref(more);
        more = NULL;
    }
    return put_line(t, more, err);
}

/* ---- when what is due ------------------------------------------------------------- */

static bool last_step(const rv_loop *t, int64_t step, int64_t examples)
{
    const rv_train_params *p = &t->config->train;
    return step >= p->steps || (p->examples > 0 && examples >= p->examples);
}

static bool spent(const rv_loop *t)
{
    const rv_train_params *p = &t->config->train;
    return last_step(t, t->tally.step, t->tally.examples) || (p->seconds > 0 && t->tally.seconds >= p->seconds);
}

static int64_t examples_of_step(const rv_loop *t)
{
    return t->objective->examples * t->config->train.accumulate;
}

/* Whether the step that leads to `step` is logged; seconds play no part, and before the step
 * closures have not added their examples yet. */
static bool log_due(const rv_loop *t, int64_t step)
{
    int64_t examples = t->tally.examples + (step - t->tally.step) * examples_of_step(t);
    return step == 1 || step % t->config->train.log_every == 0 || last_step(t, step, examples);
}

static bool evaluation_due(const rv_loop *t)
{
    return t->tally.step == 1 || t->tally.step % t->config->train.eval_every == 0 || spent(t);
}

/* ---- evaluation -------------------------------------------------------------------- */

static bool better(const rv_loop *t, double value, double than)
{
    return t->config->workload->maximize ? value > than : value < than;
}

static void take_metric(rv_loop *t, double value)
{
    rv_tally *tally = &t->tally;
    double target = t->config->train.target;
    tally->final = value;
    tally->evaluated = tally->step;
    if (!isnan(value) && (isnan(tally->best) || better(t, value, tally->best))) {
        tally->best = value;
        tally->best_step = tally->step;
    }
    if (tally->target_step < 0 && !isnan(target) && (value == target || better(t, value, target))) {
        tally->target_step = tally->step;
        tally->target_examples = tally->examples;
        tally->target_seconds = tally->seconds;
    }
}

static rv_status evaluate(rv_loop *t, rv_split split, rv_metrics *metrics, rv_error *err)
{
    RV_TRY(rv_objective_evaluate(t->objective, t->average, split, metrics, err));
    if (split != RV_SPLIT_VALIDATION || t->options->measure == NULL)
        return RV_OK;
    return t->options->measure(t->options->context, t->objective, t->average, metrics, err);
}

/* Running statistics belong to the weights that were trained with; for others they are
 * recomputed, and put back afterwards. */
static rv_status measure(rv_loop *t, rv_split split, rv_metrics *metrics, rv_error *err)
{
    bool differs = false;
    size_t bytes = (size_t)t->objective->state_size * rv_dtype_size(t->objective->dtype);
    RV_TRY(rv_optimizer_evaluation_weights_flat(t->optimizer, t->w, t->average, &differs));
    if (!differs || t->statistics == NULL)
        return evaluate(t, split, metrics, err);
    memcpy(t->statistics, t->objective->state, bytes);
    rv_status status = rv_objective_recompute(t->objective, t->average, err);
    if (status == RV_OK)
        status = evaluate(t, split, metrics, err);
    memcpy(t->objective->state, t->statistics, bytes);
    return status;
}

rv_status rv_loop_evaluate(rv_loop *t, rv_split split, rv_error *err)
{
    rv_metrics metrics = {0};
    RV_TRY(measure(t, split, &metrics, err));
    if (split == RV_SPLIT_VALIDATION)
        take_metric(t, rv_metrics_get(&metrics, t->config->workload->metric));
    return log_metrics(t, split, &metrics, err);
}

/* ---- one step ----------------------------------------------------------------------- */

typedef struct sum {
    void *to;
    const void *from; /* NULL: to is scaled instead */
    double factor;
    int64_t size;
    rv_dtype dtype;
} sum;

enum { CHUNK = 1 << 16 }; /* elements; elementwise, so that the cut changes no bit */

static void sum_task(void *context, int task, int worker)
{
    (void)worker;
    const sum *s = context;
    int64_t start = (int64_t)task * CHUNK, end = start + CHUNK < s->size ? start + CHUNK : s->size;
    float *f = s->to;
    double *d = s->to;
    for (int64_t i = start; i < end; i++) {
        if (s->dtype == RV_F32)
            f[i] = s->from == NULL ? f[i] * (float)s->factor : f[i] + ((const float *)s->from)[i];
        else
            d[i] = s->from == NULL ? d[i] * s->factor : d[i] + ((const double *)s->from)[i];
    }
}

/* to [size] += from, or to *= factor where from is NULL. */
static void combine(rv_loop *t, void *to, const void *from, double factor, int64_t size)
{
    sum s = {to, from, factor, size, t->objective->dtype};
    rv_pool_run(t->pool, (int)((s.size + CHUNK - 1) / CHUNK), sum_task, &s);
}

/* Where a step's gradient goes, and its factor sums.  NULL: not wanted. */
typedef struct wanted {
    void *g, *factors;
    bool sampled; /* labels from the model */
} wanted;

static rv_status part_gradient(rv_loop *t, const void *w, rv_batch batch, wanted to, double *loss, rv_error *err)
{
    if (to.factors != NULL)
        RV_TRY(rv_objective_factors(t->objective, w, batch, to.sampled, to.g, loss, to.factors, err));
    else if (to.sampled)
        RV_TRY(rv_objective_sampled_grad(t->objective, w, batch, to.g, loss, err));
    else
        RV_TRY(rv_objective_value_grad(t->objective, w, batch, to.g, loss, err));
    return isfinite(*loss) ? RV_OK : rv_fail(err, RV_E_NUMERIC, "the loss is not finite");
}

/* The mean of loss and gradient at w over the micro-batches of this step, in their order; factor sums add up. */
static rv_status batch_gradient(rv_loop *t, const void *w, wanted to, double *mean, rv_error *err)
{
    const rv_layout *layout = t->objective->layout;
    int parts = (int)t->config->train.accumulate;
    double total = 0;
    for (int part = 0; part < parts; part++) {
        double loss = 0;
        rv_batch batch = {(uint64_t)t->config->train.seed, (uint64_t)t->tally.step, part, parts};
        wanted one = part == 0 ? to : (wanted){to.g == NULL ? NULL : t->micro, NULL, to.sampled};
        if (part > 0 && to.factors != NULL)
            one.factors = (char *)t->factors.base + rv_loop_factor_bytes(t);
        RV_TRY(part_gradient(t, w, batch, one, &loss, err));
        total += loss;
        if (part > 0 && to.g != NULL)
            combine(t, to.g, one.g, 1, layout->size);
        if (part > 0 && to.factors != NULL)
            combine(t, to.factors, one.factors, 1, rv_layout_factors(layout));
    }
    if (parts > 1 && to.g != NULL)
        combine(t, to.g, NULL, 1.0 / parts, layout->size);
    *mean = total / parts;
    return RV_OK;
}

/* What the optimizer asks for beside the step's own gradient: it is charged as examples unless it fell out
 * of the step's own pass, and running statistics stay those of the weights that are trained. */
static rv_status closure(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    rv_loop *t = context;
    size_t bytes = (size_t)t->objective->state_size * rv_dtype_size(t->objective->dtype);
    const bool factors = probe == RV_PROBE_FACTORS || probe == RV_PROBE_SAMPLED_FACTORS;
    const wanted to = {factors ? NULL : g, factors ? g : NULL, probe == RV_PROBE_SAMPLED || probe == RV_PROBE_SAMPLED_FACTORS};
    if (probe == RV_PROBE_FACTORS && t->have_factors) {
        memcpy(g, t->factors.base, (size_t)rv_layout_factors(t->objective->layout) * rv_dtype_size(t->objective->dtype));
        *loss = t->loss;
        return RV_OK;
    }
    if (t->statistics != NULL)
        memcpy(t->statistics, t->objective->state, bytes);
    rv_status status = batch_gradient(t, w, to, loss, err);
    if (t->statistics != NULL)
        memcpy(t->objective->state, t->statistics, bytes);
    t->tally.examples += examples_of_step(t);
    return status;
}

/* The hyperparameters that have a schedule of their own. */
static rv_status set_scheduled(rv_loop *t, rv_error *err)
{
    for (int i = 0; i < t->part_config->scheduled_count; i++) {
        const rv_scheduled *s = &t->part_config->scheduled[i];
        double factor = s->schedule->factor(s->params, t->tally.step - t->part_start, rv_loop_horizon(t));
        RV_TRY(rv_optimizer_set(t->optimizer, s->name, s->base * factor, err));
    }
    return RV_OK;
}

/* Clips where asked; the norm before, or NaN when nobody wants to know. */
static double clip(rv_loop *t)
{
    double most = t->part_config->train.clip;
    if (most == 0 && !log_due(t, t->tally.step + 1))
        return NAN;
    return rv_clip_global_norm(t->g, t->objective->layout, t->objective->dtype, most == 0 ? HUGE_VAL : most, t->pool);
}

static rv_status step(rv_loop *t, double *norm, rv_error *err)
{
    double start = rv_clock();
    t->have_factors = rv_optimizer_wants_factors(t->optimizer);
    RV_TRY(batch_gradient(t, t->w, (wanted){t->g, t->have_factors ? t->factors.base : NULL, false}, &t->loss, err));
    *norm = clip(t);
    if (isinf(*norm))
        return rv_fail(err, RV_E_NUMERIC, "the norm of the gradient is not finite");
    const rv_config *c = t->part_config;
    rv_optimizer_set_lr_factor(t->optimizer, c->schedule->factor(c->schedule_params, t->tally.step - t->part_start,
                                                                 rv_loop_horizon(t)));
    RV_TRY(set_scheduled(t, err));
    RV_TRY(rv_optimizer_step_closure_flat(t->optimizer, t->w, t->g, closure, t, err));
    t->tally.step++;
    t->tally.examples += examples_of_step(t);
    t->tally.seconds += rv_clock() - start;
    return RV_OK;
}

/* ---- the loop -------------------------------------------------------------------------- */

static void report(rv_loop *t, bool always)
{
    double now = rv_clock(), wall = now - t->session_start;
    if (t->options->progress == NULL || (!always && now - t->reported < 0.1))
        return;
    t->reported = now;
    const rv_train_params *p = &t->config->train;
    double rate = wall > 0 ? (double)(t->tally.step - t->session_step) / wall : 0;
    double left = rate > 0 ? (double)(p->steps - t->tally.step) / rate : NAN;
    if (p->seconds > 0 && p->seconds - t->tally.seconds < left)
        left = p->seconds - t->tally.seconds;
    if (p->examples > 0 && rate > 0)
        left = fmin(left, (double)(p->examples - t->tally.examples) / (rate * (double)examples_of_step(t)));
    rv_progress progress = {.step = t->tally.step, .steps = p->steps, .loss = t->loss, .metric = t->tally.final,
                            .seconds = t->tally.seconds, .steps_per_second = rate > 0 ? rate : NAN,
                            .eta = left < 0 ? 0 : left, .metric_name = t->config->workload->metric};
    t->options->progress(t->options->context, &progress);
}

static bool finished(const rv_loop *t, rv_outcome *outcome)
{
    bool reached = t->tally.target_step >= 0;
    *outcome = reached ? RV_OUTCOME_TARGET : RV_OUTCOME_BUDGET;
    return spent(t) || (reached && t->config->train.stop_at_target);
}

/* The log first: lines up to the step of a checkpoint must not be lost after it. */
static rv_status save(rv_loop *t, rv_error *err)
{
    RV_TRY(rv_log_sync(t->log, err));
    return rv_checkpoint_write(&t->snapshot, err);
}

/* A step with what follows it, up to the checkpoint. */
static rv_status advance(rv_loop *t, rv_error *err)
{
    double norm = NAN;
    RV_TRY(rv_loop_restart(t, err));
    RV_TRY(step(t, &norm, err));
    if (log_due(t, t->tally.step))
        RV_TRY(log_step(t, norm, err));
    if (evaluation_due(t))
        RV_TRY(rv_loop_evaluate(t, RV_SPLIT_VALIDATION, err));
    rv_outcome ignored;
    if (t->options->keep > 0 && t->tally.step % t->options->keep == 0)
        RV_TRY(rv_checkpoint_keep(&t->snapshot, err));
    if (t->tally.step % t->config->train.checkpoint_every == 0 && !finished(t, &ignored))
        RV_TRY(save(t, err));
    return RV_OK;
}

static rv_status diverged(rv_loop *t, rv_status status, rv_outcome *outcome, const rv_error *why, rv_error *err)
{
    if (status != RV_E_NUMERIC) {
        if (err != NULL)
            *err = *why;
        return status;
    }
    *outcome = RV_OUTCOME_DIVERGED;
    snprintf(t->why, sizeof t->why, "step %lld: %.200s", (long long)t->tally.step + 1, why->message);
    return RV_OK;
}

static bool stopped(const rv_loop *t)
{
    const rv_trial_options *o = t->options;
    return (o->stop != NULL && *o->stop) || (o->pause > 0 && t->tally.step >= o->pause);
}

rv_status rv_loop_run(rv_loop *t, rv_outcome *outcome, rv_error *err)
{
    t->session_start = rv_clock();
    t->session_step = t->tally.step;
    if (t->options->keep > 0 && t->tally.step == 0)
        RV_TRY(rv_checkpoint_keep(&t->snapshot, err));
    while (!finished(t, outcome)) {
        if (stopped(t)) {
            *outcome = RV_OUTCOME_INTERRUPTED;
            return t->snapshot.previous == t->tally.step ? RV_OK : save(t, err);
        }
        rv_error why = {0};
        rv_status status = advance(t, &why);
        if (status != RV_OK)
            return diverged(t, status, outcome, &why, err);
        report(t, false);
    }
    report(t, true);
    if (t->options->keep > 0)
        RV_TRY(rv_checkpoint_keep(&t->snapshot, err));
    /* evaluation_due covers the last step, so the metric is that of these weights */
    return save(t, err);
}
