/* Who races and how: configurations, sweeps that widen themselves, runs of several lengths.
 * Invariant: everything but the method is the same in every trial of a width: network, data, batches
 * of a seed, length, clipping, and, but for Schedule-Free, the schedule's shape. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json.h"
#include "studies/descend.h"
#include "studies/speedrun.h"

enum { EVALUATIONS = 20, BLOCK = 10 /* as many steps as between changes of a basis */, BLOCKS = 5 /* timed, after one to warm up */ };

typedef struct method {
    const char *name, *optimizer, *params; /* params: JSON, without the learning rate */
    double first;    /* of four learning rates, a factor 2 apart */
    bool hidden;     /* takes the hidden matrices; AdamW takes the rest */
    bool unscheduled;
} method;

/* Weight decay is off everywhere, as in the comparison of record 6. */
static const method methods[RV_METHODS] = {
    [RV_ADAMW] = {"AdamW", "adamw", "{\"beta2\": 0.99, \"weight_decay\": 0}", 1e-3, false, false},
    [RV_NADAMW] = {"NAdamW", "nadamw", "{\"beta2\": 0.99, \"weight_decay\": 0}", 1e-3, false, false},
    [RV_MUON] = {"Muon", "muon", "{}", 0.01, true, false},
    [RV_SOAP] = {"SOAP", "soap", "{\"weight_decay\": 0}", 1e-3, true, false},
    [RV_SHAMPOO] = {"Shampoo", "distributed_shampoo",
                    "{\"beta1\": 0.95, \"beta2\": 0.95, \"epsilon\": 1e-8, \"precondition_frequency\": 10, \"merging\": \"none\", \"grafting\": \"adam\","
                    " \"grafting_beta2\": 0.95, \"grafting_epsilon\": 1e-8}", 1e-3, true, false},
    [RV_SCHEDULE_FREE] = {"Schedule-Free", "schedule_free_adamw", "{\"beta2\": 0.99}", 2e-3, false, true},
    [RV_LION] = {"Lion", "lion", "{}", 2.5e-4, false, false},
    [RV_SGD] = {"SGD-M", "sgd", "{\"momentum\": 0.9}", 0.125, false, false},
    [RV_NO_MOMENTUM] = {"Muon without momentum", "muon", "{\"momentum\": 0, \"nesterov\": false}", 0.0025, true, false},
};

static const double lengths[RV_LENGTHS] = {1, 0.5, 0.375, 0.25, 0.125};

const char *rv_race_name(int m)
{
    return methods[m].name;
}

void rv_race_init(rv_race *race, rv_study_run *run, const rv_speedrun_params *params)
{
    *race = (rv_race){.run = run, .params = params};
    for (int i = 0; i < RV_RACERS; i++) {
        bool narrow = i >= RV_NARROW && i < RV_WIDE, wide = i >= RV_WIDE;
        int first = wide ? RV_WIDE : narrow ? RV_NARROW : 0;
        race->racer[i] = (rv_racer){.method = first == 0 ? i : i == first ? RV_ADAMW : RV_MUON,
                                    .adamw = first,
                                    .width = narrow ? params->width / 2 : wide ? 2 * params->width : params->width,
                                    .lengths = 1,
                                    .length = {params->steps},
                                    .step_seconds = NAN,
                                    .reached = NAN};
    }
}

void rv_race_release(rv_race *race)
{
    for (int i = 0; i < race->count; i++)
        rv_study_trial_release(&race->runs[i].trial);
    free(race->runs);
    race->runs = NULL;
}

/* ---- one trial as a configuration ---------------------------------------------------------- */

static json_t *optimizer_params(const rv_racer *r, double lr, int64_t steps)
{
    const method *m = &methods[r->method];
    json_t *params = json_loads(m->params, 0, NULL);
    json_object_set_new(params, "lr", json_real(lr));
    if (m->unscheduled)
        json_object_set_new(params, "warmup_steps", json_integer(steps / EVALUATIONS));
    return params;
}

/* The hidden matrices to the method, embeddings and vectors to AdamW at the rate that was best for
 * AdamW at this width; or everything to the method. */
static json_t *optimizer_rules(const rv_racer *r)
{
    const method *m = &methods[r->method];
    if (!m->hidden)
        return json_pack("[{s:s}]", "method", m->optimizer);
    return json_pack("[{s:s,s:s},{s:s,s:{s:f,s:f,s:f}}]", "role", "hidden", "method", m->optimizer, "method", "adamw", "params", "lr",
                     r->rest, "beta2", 0.99, "weight_decay", 0.0);
}

static char *config_text(const rv_race *race, const rv_race_run *q)
{
    const rv_speedrun_params *p = race->params;
    const rv_racer *r = &race->racer[q->racer];
    const method *m = &methods[r->method];
    json_t *network = json_pack("{s:I,s:I,s:I,s:I}", "layers", (json_int_t)p->layers, "width", (json_int_t)r->width, "block", (json_int_t)p->block,
                                "evaluate", (json_int_t)p->evaluate);
    json_t *train = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:b}", "seed", (json_int_t)q->seed, "steps", (json_int_t)q->steps, "batch",
                              (json_int_t)p->batch, "eval_every", (json_int_t)(q->steps / EVALUATIONS), "log_every", (json_int_t)q->steps,
                              "checkpoint_every", (json_int_t)q->steps, "clip", 1.0, "target", 0.0, "stop_at_target", false);
    json_t *shape = m->unscheduled ? json_object() : json_pack("{s:f,s:f}", "warmup_fraction", 1.0 / EVALUATIONS, "decay_fraction", 0.3);
    json_t *config = json_pack("{s:s,s:o,s:s,s:o,s:o,s:s,s:o,s:o}", "workload", "char-lm", "workload_params", network, "optimizer", m->optimizer,
                               "optimizer_params", optimizer_params(r, q->lr, q->steps), "optimizer_rules", optimizer_rules(r), "schedule",
                               m->unscheduled ? "constant" : "wsd", "schedule_params", shape, "train", train);
    char *text = config ? rv_json_text(config, 0) : NULL;
    json_decref(config);
    return text;
}

/* ---- asking -------------------------------------------------------------------------------- */

static const rv_race_run *find(const rv_race *race, int racer, double lr, int64_t steps, uint64_t seed)
{
    for (int i = 0; i < race->count; i++) {
        const rv_race_run *q = &race->runs[i];
        if (q->racer == racer && q->lr == lr && q->steps == steps && q->seed == seed)
            return q;
    }
    return NULL;
}

static rv_status ask(rv_race *race, int racer, double lr, int64_t steps, uint64_t seed, rv_error *err)
{
    if (find(race, racer, lr, steps, seed))
        return RV_OK;
    if (race->count == race->capacity) {
        int capacity = race->capacity ? 2 * race->capacity : 64;
        rv_race_run *grown = realloc(race->runs, (size_t)capacity * sizeof *grown);
        if (!grown)
            return rv_fail(err, RV_E_MEMORY, "no memory for %d trials", capacity);
        race->runs = grown;
        race->capacity = capacity;
    }
    rv_race_run *q = &race->runs[race->count];
    *q = (rv_race_run){.racer = racer, .lr = lr, .steps = steps, .seed = seed};
    q->trial.config = config_text(race, q);
    if (!q->trial.config)
        return rv_fail(err, RV_E_MEMORY, "no memory for a configuration");
    race->count++;
    return RV_OK;
}

/* Long ones first, so that none of them is left alone at the end. */
static rv_status run_asked(rv_race *race, double from, double to, rv_error *err)
{
    rv_study_trial **order = malloc(((size_t)race->count + 1) * sizeof *order);
    if (!order)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d trials", race->count);
    int n = 0;
    for (int wide = 2; wide >= 0; wide--)
        for (int i = 0; i < race->count; i++) {
            const rv_racer *r = &race->racer[race->runs[i].racer];
            if ((r->width > race->params->width) + methods[r->method].hidden == wide)
                order[n++] = &race->runs[i].trial;
        }
    rv_status status = rv_study_trials(race->run, order, n, from, to, err);
    free(order);
    return status;
}

const rv_study_trial *rv_race_trial(const rv_race *race, int racer, double lr, int64_t steps, uint64_t seed)
{
    const rv_race_run *q = find(race, racer, lr, steps, seed);
    return q && q->trial.done ? &q->trial : NULL;
}

double rv_race_final(const rv_race *race, int racer, int64_t steps, uint64_t seed)
{
    const rv_study_trial *t = rv_race_trial(race, racer, race->racer[racer].best, steps, seed);
    return t ? t->final : NAN;
}

double rv_race_mean(const rv_race *race, int racer, int64_t steps)
{
    double sum = 0;
    for (int s = 0; s < race->run->seeds; s++)
        sum += rv_race_final(race, racer, steps, (uint64_t)s);
    return sum / race->run->seeds;
}

/* ---- learning rates -------------------------------------------------------------------------- */

void rv_race_start(rv_race *race, int racer, double middle)
{
    rv_racer *r = &race->racer[racer];
    double first = isnan(middle) ? methods[r->method].first : middle / 2;
    r->rates = isnan(middle) ? 4 : 3;
    for (int i = 0; i < r->rates; i++)
        r->rate[i] = first * exp2(i);
}

/* The best rate so far; one more is added beyond it when it is at an end.  Returns whether. */
static bool widen(rv_race *race, int racer)
{
    rv_racer *r = &race->racer[racer];
    int best = 0;
    double lowest = HUGE_VAL;
    for (int i = 0; i < r->rates; i++) {
        double loss = rv_race_trial(race, racer, r->rate[i], race->params->steps, 0)->final;
        if (loss < lowest) {
            lowest = loss;
            best = i;
        }
    }
    r->best = r->rate[best];
    r->inside = best > 0 && best < r->rates - 1;
    if (r->inside || r->rates == RV_RATES)
        return false;
    if (best == 0) {
        memmove(r->rate + 1, r->rate, (size_t)r->rates * sizeof *r->rate);
        r->rate[0] /= 2;
    } else {
        r->rate[r->rates] = 2 * r->rate[r->rates - 1];
    }
    r->rates++;
    return true;
}

rv_status rv_race_sweep(rv_race *race, const int *racers, int count, double from, double to, rv_error *err)
{
    for (int i = 0; i < count; i++)
        race->racer[racers[i]].rest = race->racer[race->racer[racers[i]].adamw].best;
    for (bool more = true; more;) {
        for (int i = 0; i < count; i++)
            for (int k = 0; k < race->racer[racers[i]].rates; k++)
                RV_TRY(ask(race, racers[i], race->racer[racers[i]].rate[k], race->params->steps, 0, err));
        RV_TRY(run_asked(race, from, to, err));
        more = false;
        for (int i = 0; i < count; i++)
            more |= widen(race, racers[i]);
        from += (to - from) / 2;
    }
    return RV_OK;
}

/* ---- seeds and lengths ------------------------------------------------------------------------- */

static rv_status ask_seeds(rv_race *race, int racer, int64_t steps, rv_error *err)
{
    for (int s = 0; s < race->run->seeds; s++)
        RV_TRY(ask(race, racer, race->racer[racer].best, steps, (uint64_t)s, err));
    return RV_OK;
}

/* A rate that was best with seed 0 may be too large for others.  Where the mean over seeds is worse than
 * what the rate below it had, that one is run with all seeds, and taken if its mean is better. */
static rv_status confirm(rv_race *race, int racer, double from, double to, bool *changed, rv_error *err)
{
    rv_racer *r = &race->racer[racer];
    int64_t steps = race->params->steps;
    double best = r->best, mean = rv_race_mean(race, racer, steps);
    int k = 0;
    while (r->rate[k] != best)
        k++;
    if (k == 0 || !(mean > rv_race_trial(race, racer, r->rate[k - 1], steps, 0)->final))
        return RV_OK;
    r->best = r->rate[k - 1];
    RV_TRY(ask_seeds(race, racer, steps, err));
    RV_TRY(run_asked(race, from, to, err));
    *changed = rv_race_mean(race, racer, steps) < mean;
    r->best = *changed ? r->best : best;
    return RV_OK;
}

rv_status rv_race_seeds(rv_race *race, double from, double to, rv_error *err)
{
    for (int i = 0; i < RV_RACERS; i++)
        RV_TRY(ask_seeds(race, i, race->params->steps, err));
    RV_TRY(run_asked(race, from, to, err));
    for (int i = 0; i < RV_RACERS; i++)
        for (bool changed = true; changed;) {
            changed = false;
            RV_TRY(confirm(race, i, from, to, &changed, err));
        }
    return RV_OK;
}

rv_status rv_race_shorten(rv_race *race, double from, double to, rv_error *err)
{
    for (int k = 1; k < RV_LENGTHS; k++) {
        bool any = false;
        for (int i = 0; i < RV_RACERS; i++) {
            rv_racer *r = &race->racer[i];
            double goal = rv_race_mean(race, r->adamw, race->params->steps);
            if (r->method == RV_ADAMW || r->lengths != k || rv_race_mean(race, i, r->length[k - 1]) >= goal)
                continue;
            int64_t steps = (int64_t)(lengths[k] * (double)race->params->steps) / EVALUATIONS * EVALUATIONS;
            if (steps < EVALUATIONS || steps == r->length[k - 1])
                continue;
            r->length[r->lengths++] = steps;
            RV_TRY(ask_seeds(race, i, steps, err));
            any = true;
        }
        if (!any)
            break;
        RV_TRY(run_asked(race, from, to, err));
        from += (to - from) / 2;
    }
    return RV_OK;
}

double rv_race_needed(const rv_race *race, int racer, uint64_t seed)
{
    const rv_racer *r = &race->racer[racer];
    double goal = rv_race_final(race, r->adamw, race->params->steps, seed);
    if (r->method == RV_ADAMW)
        return (double)race->params->steps;
    if (r->lengths < 2)
        return NAN;
    /* The pair of lengths that holds the goal between them, else the pair nearest to it. */
    int k = 0;
    while (k < r->lengths - 2 && rv_race_final(race, racer, r->length[k + 1], seed) < goal)
        k++;
    double a = rv_race_final(race, racer, r->length[k], seed), b = rv_race_final(race, racer, r->length[k + 1], seed);
    double x = log((double)r->length[k]), y = log((double)r->length[k + 1]);
    return exp(x + (goal - a) / (b - a) * (y - x));
}

double rv_race_crossing(const rv_race *race, int racer, double level)
{
    double sum = 0;
    for (int s = 0; s < race->run->seeds; s++) {
        const rv_study_trial *t = rv_race_trial(race, racer, race->racer[racer].best, race->params->steps, (uint64_t)s);
        int k = 1;
        while (t && k < t->count && !(t->value[k] <= level))
            k++;
        if (!t || k >= t->count)
            return NAN;
        double share = (t->value[k - 1] - level) / (t->value[k - 1] - t->value[k]);
        sum += t->step[k - 1] + fmax(share, 0) * (t->step[k] - t->step[k - 1]);
    }
    return sum / race->run->seeds;
}

/* ---- cost ---------------------------------------------------------------------------------------- */

typedef struct stopwatch {
    double last, least; /* least: the fastest block, which neighbours disturbed least */
} stopwatch;

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    stopwatch *watch = context;
    struct timespec time;
    (void)w, (void)loss, (void)err;
    if (step % BLOCK != 0)
        return RV_OK;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    double now = (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
    if (step > BLOCK)
        watch->least = fmin(watch->least, now - watch->last);
    watch->last = now;
    return RV_OK;
}

static rv_status time_steps(const rv_race *race, rv_racer *r, rv_objective *o, rv_error *err)
{
    stopwatch time = {.least = HUGE_VAL};
    json_t *params = optimizer_params(r, r->best / 100, race->params->steps), *rules = optimizer_rules(r);
    char *params_text = rv_json_text(params, 0), *rules_text = rv_json_text(rules, 0);
    float *w = rv_study_vector(o, err);
    rv_descent d = {.objective = o, .method = methods[r->method].optimizer, .params = params_text, .rules = rules_text, .steps = (1 + BLOCKS) * BLOCK,
                    .observe = watch, .context = &time};
    rv_status status = w && params_text && rules_text ? rv_objective_init(o, 0, w, err) : rv_fail(err, RV_E_MEMORY, "no memory to time a step");
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    r->step_seconds = d.diverged ? NAN : time.least / BLOCK;
    json_decref(params);
    json_decref(rules);
    free(params_text);
    free(rules_text);
    free(w);
    return status;
}

rv_status rv_race_cost(rv_race *race, rv_error *err)
{
    rv_study_run alone = *race->run; /* one worker, as every trial has */
    alone.pool = NULL;
    for (int i = 0; i < RV_RACERS; i++) {
        char text[160];
        rv_objective *o;
        const rv_speedrun_params *p = race->params;
        snprintf(text, sizeof text, "layers=%lld,width=%lld,block=%lld", (long long)p->layers, (long long)race->racer[i].width, (long long)p->block);
        RV_TRY(rv_study_objective(&alone, "char-lm", text, RV_BACKEND_CPU, p->batch, &o, err));
        rv_status status = time_steps(race, &race->racer[i], o, err);
        rv_objective_free(o);
        RV_TRY(status);
        RV_TRY(rv_study_progress(race->run, 0.98, "time of a step, %d of %d", i + 1, (int)RV_RACERS));
    }
    return RV_OK;
}
