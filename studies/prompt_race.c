/* Runs of one seed and one kind of prompts, step by step together.  Invariant: all see the same batch before the next
 * one is drawn, and what a run does depends on neither its neighbours nor the number of workers. */
#include "studies/prompt_race.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "studies/bands.h"
#include "studies/descend.h"

static const char *const methods[RV_PROMPT_METHODS] = {"sgd", "adamw"};
static const char *const settings[RV_PROMPT_METHODS] = {"momentum=0.9", "beta1=0.9,beta2=0.9,weight_decay=0"};
const char *const rv_prompt_labels[RV_PROMPT_METHODS] = {"SGD-M", "AdamW"};
const rv_prompt_setting rv_prompt_sets[RV_PROMPT_SETS] = {
    {"n20", "20 examples", "points=20", {0.005, 0.00125}, {2, 4}},
    {"n5", "5 examples", "points=5", {0.00125, 0.00125}, {3, 2}},
    {"gamma", "20 examples, heavy tails", "points=20,data=gamma", {0.005, 0.00125}, {2, 4}},
    {"fixed", "20 examples, one batch for ever", "points=20", {0.005, 0.00125}, {2, 4}},
};

double rv_prompt_lr(rv_prompt_set set, int k)
{
    return ldexp(rv_prompt_sets[set].slowest[k / RV_PROMPT_RATES], k % RV_PROMPT_RATES);
}

int rv_prompt_authors(const rv_prompt_setting *s, int method)
{
    return method * RV_PROMPT_RATES + s->authors[method];
}

static rv_status open_group(rv_prompt_group *p, const rv_prompt_race *r, rv_prompt_set set, uint64_t seed, rv_error *err)
{
    p->set = set;
    p->seed = seed;
    RV_TRY(rv_study_objective(r->run, "linear-transformer", rv_prompt_sets[set].params, RV_BACKEND_REF, r->prompts, &p->objective, err));
    p->g = rv_study_vector(p->objective, err);
    p->norms = calloc((size_t)r->noise, sizeof *p->norms);
    if (!p->g || !p->norms)
        return rv_fail(err, RV_E_MEMORY, "no memory for gradients");
    for (int k = 0; k < RV_PROMPT_RACERS; k++) {
        char text[128];
        rv_prompt_racer *one = &p->racers[k];
        snprintf(text, sizeof text, "lr=%g,%s", rv_prompt_lr(set, k), settings[k / RV_PROMPT_RATES]);
        rv_optimizer_options options = {.method = methods[k / RV_PROMPT_RATES], .params = text, .dtype = RV_F64, .wrappers = "clip_norm(max_norm=1)"};
        if (!(one->w = rv_study_vector(p->objective, err)))
            return RV_E_MEMORY;
        RV_TRY(rv_objective_init(p->objective, seed, one->w, err));
        RV_TRY(rv_optimizer_new_flat(&one->optimizer, &options, p->objective->layout, one->w, err));
    }
    return RV_OK;
}

static void close_group(rv_prompt_group *p)
{
    for (int k = 0; k < RV_PROMPT_RACERS; k++) {
        rv_optimizer_free(p->racers[k].optimizer);
        free(p->racers[k].w);
    }
    rv_objective_free(p->objective);
    free(p->g);
    free(p->norms);
}

/* max |H_ii| / median |H_ii| on one batch of its own; the median is the lower one, as torch's. */
static rv_status condition_number(rv_prompt_group *p, const double *w, double *condition, rv_error *err)
{
    int64_t n = rv_layout_parameters(p->objective->layout), size = p->objective->layout->size;
    double *axis = calloc(3 * (size_t)size, sizeof *axis);
    if (!axis)
        return rv_fail(err, RV_E_MEMORY, "no memory for curvature");
    double *product = axis + size, *diagonal = axis + 2 * size;
    rv_status status = RV_OK;
    for (int64_t i = 0; i < n && status == RV_OK; i++) {
        axis[i] = 1;
        status = rv_probe_hessian_vector(&(rv_probe_target){.objective = p->objective, .seed = 1 << 20, .batches = 1}, w, axis, product, err);
        axis[i] = 0;
        diagonal[i] = fabs(product[i]);
    }
    if (status == RV_OK) {
        qsort(diagonal, (size_t)n, sizeof *diagonal, rv_ascending);
        *condition = diagonal[n - 1] / diagonal[(n - 1) / 2];
    }
    free(axis);
    return status;
}

static rv_status look(rv_prompt_group *p, rv_error *err)
{
    int at = p->chunks;
    for (int k = 0; k < RV_PROMPT_RACERS; k++) {
        rv_prompt_racer *one = &p->racers[k];
        one->loss[at] = INFINITY;
        if (one->diverged)
            continue;
        if (p->set == RV_PROMPT_FIXED)
            RV_TRY(rv_probe_gradient(&(rv_probe_target){.objective = p->objective, .seed = p->seed, .batches = 1}, one->w, NULL, &one->loss[at], err));
        else
            RV_TRY(rv_study_evaluate(p->objective, one->w, RV_SPLIT_TEST, "loss", &one->loss[at], err));
        if (p->set != RV_PROMPT_FIXED && at % 2 == 0 && k == rv_prompt_authors(&rv_prompt_sets[p->set], k / RV_PROMPT_RATES))
            RV_TRY(condition_number(p, one->w, &one->condition[at], err));
    }
    return RV_OK;
}

/* All runs of the group see the same batch before the next one is drawn. */
static rv_status advance(rv_prompt_group *p, rv_error *err)
{
    for (int64_t step = (int64_t)p->chunks * RV_PROMPT_CHUNK; step < (int64_t)(p->chunks + 1) * RV_PROMPT_CHUNK; step++) {
        rv_batch batch = {.seed = p->seed, .step = p->set == RV_PROMPT_FIXED ? 0 : (uint64_t)step, .parts = 1};
        for (int k = 0; k < RV_PROMPT_RACERS; k++) {
            rv_prompt_racer *one = &p->racers[k];
            double loss;
            rv_status status = one->diverged ? RV_E_NUMERIC : rv_objective_value_grad(p->objective, one->w, batch, p->g, &loss, err);
            if (status == RV_OK)
                status = rv_optimizer_step_flat(one->optimizer, one->w, p->g, err);
            one->diverged = status == RV_E_NUMERIC;
            if (status != RV_OK && !one->diverged)
                return status;
        }
    }
    p->chunks++;
    return look(p, err);
}

static void first_task(void *context, int task, int worker)
{
    const rv_prompt_race *r = context;
    rv_prompt_group *p = &r->group[r->first + task];
    rv_probe_target probe = {.objective = p->objective, .seed = 1 << 21 | p->seed, .batches = (int)r->noise};
    (void)worker;
    p->status = p->set == RV_PROMPT_FIXED ? RV_OK : rv_probe_noise(&probe, p->racers[0].w, &p->noise, p->norms, &p->error);
    if (p->status == RV_OK)
        p->status = look(p, &p->error);
}

static void chunk_task(void *context, int task, int worker)
{
    const rv_prompt_race *r = context;
    rv_prompt_group *p = &r->group[r->first + task];
    (void)worker;
    p->status = advance(p, &p->error);
}

/* count groups from `first` on, side by side. */
static rv_status run_groups(rv_prompt_race *r, int first, int count, rv_task *task, rv_error *err)
{
    r->first = first;
    rv_pool_run(r->run->pool, count, task, r);
    for (int k = first; k < first + count; k++)
        if (r->group[k].status != RV_OK) {
            if (err)
                *err = r->group[k].error;
            return r->group[k].status;
        }
    return RV_OK;
}

rv_status rv_prompt_race_run(rv_prompt_race *r, rv_error *err)
{
    const int seeds = r->run->seeds;
    r->group = calloc((size_t)RV_PROMPT_SETS * (size_t)seeds, sizeof *r->group);
    if (!r->group)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d groups of runs", RV_PROMPT_SETS * seeds);
    r->groups = RV_PROMPT_SETS * seeds;
    for (int k = 0; k < r->groups; k++)
        RV_TRY(open_group(&r->group[k], r, (rv_prompt_set)(k / seeds), (uint64_t)(k % seeds), err));
    for (int first = 0; first < r->groups; first += seeds) { /* in parts, so that one can stop */
        RV_TRY(rv_study_progress(r->run, 0.15 * first / r->groups, "gradient noise, %s", rv_prompt_sets[first / seeds].title));
        RV_TRY(run_groups(r, first, seeds, first_task, err));
    }
    for (int64_t done = 0; done < r->steps; done += RV_PROMPT_CHUNK) {
        RV_TRY(rv_study_progress(r->run, 0.15 + 0.85 * (double)done / (double)r->steps, "step %lld of %d runs", (long long)done, r->groups * RV_PROMPT_RACERS));
        RV_TRY(run_groups(r, 0, r->groups, chunk_task, err));
    }
    return RV_OK;
}

void rv_prompt_race_release(rv_prompt_race *r)
{
    for (int k = 0; k < r->groups; k++)
        close_group(&r->group[k]);
    free(r->group);
}
